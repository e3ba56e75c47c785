"""Limits, projects and users in the pool file: what they mean, and their way through a pool."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import RunCli
from console import Console
from gpuledger import BadRequest, Pool
from gpuledger.cli import poolfile, pooltext
from gpuledger.cli.poolfile import BadConfiguration
from gpuledger.handle import Ledger, init
from gpuledger.replay.facts import Cap, Limits, Member, Project
from gpuledger.replay.pool_request import pool as checked
from json_shapes import check
from small_pools import ROOT, pool

HOUR, DAY = 3_600, 86_400
USERS = {"root": "uid:0", "ada": "uid:1001", "uid-1001": "uid:1001", "bob": "uid:1002"}
SERVER = '[[server]]\nname = "a"\ngpus = 2\ncpus = 8\n'
WHOLE = """\
[limits]
gpus_per_task = 8
[limits.task]
gpus = 8
cpus = 64
gpu_hours = 200
window = "7d"
lease = "3d"
default_lease = "8h"
[limits.user]
gpus = 16
[limits.project]
cpus = 256
[[project]]
name = "vision"
priority = 10
gpus = 16
[[project]]
name = "sound"
[[user]]
name = "root"
project = "vision"
gpu_hours = 20
"""


def read(text: str) -> Pool:
    return poolfile.read(text, path="pool.toml", resolve_user=USERS.get, resolve_group={}.get)


def test_every_limit_is_read_as_it_says() -> None:
    """Counts, durations in seconds, projects with priorities, users by their identity."""
    made = read(SERVER + WHOLE)
    task = Cap(8, 64, 200, 7 * DAY, 3 * DAY, 8 * HOUR)
    assert made.limits == Limits(8, task, Cap(16), Cap(cpus=256))
    assert made.projects == (Project("vision", 10, Cap(16)), Project("sound"))
    assert made.members == (Member("root", "uid:0", "vision", Cap(gpu_hours=20)),)


def test_durations_are_typed_as_everywhere() -> None:
    """Whatever a duration on the command line may look like, it may in the file."""
    for text in ("90m", "1d12h", "1-12:00:00", "2w", "45"):
        lease = read(f'{SERVER}[limits.user]\nlease = "{text}"\n').limits.user.lease
        assert lease in (90 * 60, 36 * HOUR, 14 * DAY, 45 * 60)


USER = '[[user]]\nname = "ada"\n'
PROJECT = '[[project]]\nname = "vision"\n'
BAD = [
    ("unknown limit", "[limits.task]\nnodes = 2\n", 6, "[limits.task] nodes"),
    ("unknown scope", "[limits.group]\ngpus = 2\n", 5, "[limits] group"),
    ("scope as a number", "[limits]\ntask = 3\n", 6, "[limits] task"),
    ("zero GPUs", "[limits.user]\ngpus = 0\n", 6, "[limits.user] gpus"),
    ("text for CPUs", "[limits.user]\ncpus = '8'\n", 6, "[limits.user] cpus"),
    ("half an hour", "[limits.user]\ngpu_hours = 0.5\n", 6, "[limits.user] gpu_hours"),
    ("number for a lease", "[limits.task]\nlease = 8\n", 6, "[limits.task] lease"),
    ("no duration", "[limits.task]\nlease = 'soon'\n", 6, "[limits.task] lease"),
    ("no time at all", "[limits.task]\nlease = '0h'\n", 6, "[limits.task] lease"),
    ("lease too long", "[limits.task]\nlease = '367d'\n", 6, "[limits.task] lease"),
    ("window too long", "[limits.task]\ngpu_hours = 1\nwindow = '32d'\n",
     7, "[limits.task] window"),
    ("window of nothing", "[limits.task]\nwindow = '7d'\n", 6, "[limits.task] window"),
    ("default above the longest", "[limits.task]\ndefault_lease = '2h'\nlease = '1h'\n",
     6, "[limits.task] default_lease"),
    ("project as a table", "[project]\nname = 'a'\n", 5, "project"),
    ("project without a name", "[[project]]\npriority = 1\n", 5, "[[project]] name"),
    ("project of no name", "[[project]]\nname = 'a b'\n", 6, "[[project]] name"),
    ("project twice", PROJECT * 2, 8, "[[project]] name"),
    ("priority too high", PROJECT + "priority = 1001\n", 7, "[[project]] priority"),
    ("priority in words", PROJECT + "priority = 'high'\n", 7, "[[project]] priority"),
    ("unknown of a project", PROJECT + "owner = 'ada'\n", 7, "[[project]] owner"),
    ("user without a name", "[[user]]\ngpus = 1\n", 5, "[[user]] name"),
    ("user unknown here", "[[user]]\nname = 'zoe'\n", 6, "[[user]] name"),
    ("user twice", USER * 2, 8, "[[user]] name"),
    ("user by another name", USER + "[[user]]\nname = 'uid-1001'\n", 8, "[[user]] name"),
    ("priority of a user", USER + "priority = 1\n", 7, "[[user]] priority"),
    ("project that is none", USER + "project = 'a b'\n", 7, "[[user]] project"),
    ("project not listed", PROJECT + USER + "project = 'sound'\n", 9, "[[user]] project"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "key"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_what_a_limit_must_not_say(text: str, line: int, key: str) -> None:
    """Each fault is told with file, line, key and what was expected."""
    with pytest.raises(BadConfiguration) as caught:
        read(SERVER + text)
    assert (caught.value.path, caught.value.line, caught.value.key) == ("pool.toml", line, key)
    assert caught.value.expected


COUNTS = st.none() | st.integers(1, 1_000_000)
SPANS = st.none() | st.integers(1, 31 * DAY)


def caps() -> st.SearchStrategy[Cap]:
    """Caps that a file can say."""

    def sound(cap: Cap) -> bool:
        windowed = cap.window is None or cap.gpu_hours is not None
        return windowed and (cap.default_lease or 0) <= (cap.lease or 366 * DAY)

    return st.builds(Cap, COUNTS, COUNTS, COUNTS, SPANS, SPANS, SPANS).filter(sound)


@st.composite
def limited_pools(draw: st.DrawFn) -> Pool:
    """A pool with limits, projects and users of every kind."""
    names = draw(st.lists(st.sampled_from(["vision", "sound", "été", "機械"]), unique=True))
    projects = tuple(Project(name, draw(st.integers(-1000, 1000)), draw(caps())) for name in names)
    listed = st.none() | st.sampled_from(names or ["any"])
    members = tuple(
        Member(user, USERS[user], draw(listed), draw(caps()))
        for user in draw(st.lists(st.sampled_from(["root", "ada", "bob"]), unique=True))
    )
    limits = Limits(draw(COUNTS), draw(caps()), draw(caps()), draw(caps()))
    return Pool(pool().servers, limits, projects=projects, members=members)


@given(limited_pools())
def test_written_limits_read_back_equal(pool: Pool) -> None:
    """`pool show --toml` gives a file that applies to no change, whatever the limits."""
    assert read(pooltext.write(pool)) == checked(pool) == pool


WRONG = {
    "a negative count": Cap(gpus=-1),
    "a truth value": Cap(cpus=True),
    "a window of nothing": Cap(window=DAY),
    "a window too long": Cap(gpu_hours=1, window=32 * DAY),
    "a default above the longest": Cap(lease=HOUR, default_lease=DAY),
}


@pytest.mark.parametrize("how", WRONG)
@pytest.mark.parametrize("where", ["task", "user", "project", "one project", "one user"])
def test_a_pool_made_in_python_is_held_to_the_same(ledger_path: Path, how: str, where: str) -> None:
    """No event is written with limits that a file could not say."""
    cap = WRONG[how]
    limits = Limits(**{where: cap}) if " " not in where else Limits()
    projects = (Project("vision", 0, cap),) if where == "one project" else ()
    members = (Member("ada", "uid:1001", None, cap),) if where == "one user" else ()
    whole = Pool(pool().servers, limits, projects=projects, members=members)
    with pytest.raises(BadRequest):
        init(ledger_path, whole, actor=ROOT)
    assert not ledger_path.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"projects": (Project("a"), Project("a"))},
        {"projects": (Project("a b"),)},
        {"projects": (Project("a", 1001),)},
        {"members": (Member("ada", "uid:1"), Member("eve", "uid:1"))},
        {"members": (Member("ada", "uid:1", "b"),), "projects": (Project("a"),)},
    ],
)
def test_names_and_priorities_are_held_to_the_same(wrong: dict[str, tuple[object]]) -> None:
    """Projects and users stand once, priorities within bounds, defaults among the projects."""
    with pytest.raises(BadRequest):
        checked(Pool(pool().servers, **wrong))  # type: ignore[arg-type]


def test_what_limits_nothing_is_left_out_of_the_event(ledger_path: Path) -> None:
    """A cap without a limit is not told, however it came about."""
    every = Limits(None, Cap(), Cap(), Cap())
    init(ledger_path, Pool(pool().servers, every, projects=(Project("a", 0, Cap()),)), actor=ROOT)
    with Ledger(str(ledger_path), actor=ROOT) as ledger:
        (line,) = ledger.export()
    assert b'"projects":[{"name":"a"}]' in line
    assert b'"limits"' not in line


@pytest.fixture
def console(run_cli: RunCli, ledger_path: Path, tmp_path: Path) -> Console:
    (tmp_path / "pool.toml").write_text(SERVER + WHOLE)
    made = Console(run_cli, ledger_path)
    made.says("init --pool pool.toml")
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pool.toml"


def test_show_tells_every_limit(console: Console) -> None:
    """Below the table stands a line for each scope, project and user that is limited."""
    lines = console.says("pool show").splitlines()
    assert lines[-8:-1] == [
        "limit: 8 GPUs a task",
        "limits of each task: 8 GPUs, 64 CPUs, 200 GPU-hours in 7d, leases up to 3d, 8h by default",
        "limits of each user: 16 GPUs",
        "limits of each project: 256 CPUs",
        "project vision: priority 10, 16 GPUs",
        "project sound",
        "user root: project vision, 20 GPU-hours in 7d",
    ]
    document = console.document("pool show")
    check("pool-show", document)
    assert document["limits"]["task"]["lease_s"] == 3 * DAY
    assert document["users"][0]["limits"]["window_s"] == 7 * DAY


def test_the_pool_as_a_file_changes_no_limit(console: Console, file: Path) -> None:
    """`pool show --toml` applies to no change, and so does a file in another order."""
    file.write_text(console.says("pool show --toml"))
    assert console.remarks("pool diff pool.toml") == "the pool is what pool.toml says"
    text = file.read_text()
    first = text.index("[[project]]")
    second = text.index("[[project]]", first + 1)
    user = text.index("[[user]]")
    file.write_text(text[:first] + text[second:user] + text[first:second] + text[user:])
    assert "says already" in console.remarks("pool apply pool.toml")
    assert console.head() == 1


def test_diff_and_apply_tell_each_limit_that_changes(console: Console, file: Path) -> None:
    """A scope, a project, a user that comes, changes or goes has a line; the event has it whole."""
    changed = (
        WHOLE.replace("gpus = 16\n[limits.project]", "gpus = 4\n[limits.project]")
        .replace("priority = 10", "priority = 3")
        .replace('name = "sound"', 'name = "text"')
        .replace("gpu_hours = 20\n", "")
    )
    file.write_text(SERVER + changed)
    lines = [
        "~ limits of each user: 16 GPUs -> 4 GPUs",
        "~ project vision: priority 10, 16 GPUs -> priority 3, 16 GPUs",
        "+ project text",
        "- project sound",
        "~ user root: project vision, 20 GPU-hours in 7d -> project vision",
    ]
    assert console.says("pool diff pool.toml").splitlines() == lines
    check("pool-diff", console.document("pool diff pool.toml"))
    assert console.says("pool apply pool.toml").splitlines()[:-1] == lines
    assert console.remarks("pool diff pool.toml") == "the pool is what pool.toml says"


def test_what_a_file_leaves_out_stays(console: Console, file: Path) -> None:
    """Projects and users stay without a table, and go where the file says that there are none."""
    file.write_text(SERVER)
    assert "says already" in console.remarks("pool apply pool.toml")
    file.write_text("project = []\nuser = []\n" + SERVER + "[limits]\n")
    document = console.document("pool apply pool.toml")
    check("pool-apply", document)
    assert document["changes"]["projects"] == document["changes"]["users"] == []
    shown = console.document("pool show")
    assert (shown["projects"], shown["users"], shown["limits"]["gpus_per_task"]) == ([], [], None)


def test_a_default_project_goes_with_those_that_stay(console: Console, file: Path) -> None:
    """A file that lists no projects cannot give a user one that the pool does not have."""
    file.write_text(SERVER + '[[user]]\nname = "root"\nproject = "text"\n')
    for act in ("diff", "apply"):
        assert "sound, vision" in console.fails(2, f"pool {act} pool.toml")
