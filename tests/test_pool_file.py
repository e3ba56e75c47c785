"""The pool file: what it means, what it must not say, and its way back into text."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuledger.cli import poolfile, pooltext
from gpuledger.cli.poolfile import BadConfiguration
from gpuledger.replay.errors import BadRequest
from gpuledger.replay.facts import AdminGroup, Admins, AdminUser, Card, Limits, Pool, Server

USERS = {"root": "uid:0", "ada": "uid:1001", "uid-1234": "uid:1234"}
GROUPS = {"lab-admins": 70}
SERVER = '[[server]]\nname = "a"\ngpus = 2\ncpus = 8\n'


def read(text: str | bytes) -> Pool:
    return poolfile.read(text, path="pool.toml", resolve_user=USERS.get, resolve_group=GROUPS.get)


def cards(count: int, **facts: object) -> tuple[Card, ...]:
    return tuple(msgspec.convert({"index": at, **facts}, Card) for at in range(count))


DESIGN = """
[defaults]
gpus = 8
cpus = 64

[[server]]
name = "gpu-server-[0-3]"      # host ranges as Slurm writes them

[[server]]
name = "h100-01"
host = "h100-01.lab.example"   # what the machine calls itself, where that differs
cpus = 192
gpu_model = "H100-SXM5-80GB"
[[server.gpu]]                 # optional, one a card
index = 0
uuid = "GPU-6f2c1a3e-…"

[limits]
gpus_per_task = 8

[admins]
users = ["root", "ada"]
groups = ["lab-admins"]
"""


def test_the_file_of_the_design_is_read_as_it_says() -> None:
    """Defaults, ranges, cards, limits and admins all arrive, users as uids and groups as gids."""
    pool = read(DESIGN)
    assert [server.name for server in pool.servers] == [
        *(f"gpu-server-{n}" for n in range(4)), "h100-01",
    ]  # fmt: skip
    assert pool.servers[0] == Server("gpu-server-0", 64, cards(8))
    assert pool.servers[4] == Server(
        "h100-01",
        192,
        (Card(0, "GPU-6f2c1a3e-…", "H100-SXM5-80GB"),),
        "h100-01.lab.example",
    )
    assert pool.limits == Limits(8)
    users = (AdminUser("root", "uid:0"), AdminUser("ada", "uid:1001"))
    assert pool.admins == Admins(users, (AdminGroup("lab-admins", 70),))


def test_the_template_is_sound() -> None:
    """`pool template` passes `pool check`, also with every example line uncommented."""
    assert read(pooltext.template()).servers[3].name == "gpu-server-3"
    full = "\n".join(
        line.removeprefix("# ") if " = " in line or "[" in line else line
        for line in pooltext.template().splitlines()
    )
    poolfile.read(full, path="t", resolve_user=lambda _: "uid:0", resolve_group=lambda _: 4)


def test_a_file_says_what_it_leaves_out() -> None:
    """Tables that are absent are told apart from empty ones, so that applying changes no limits."""

    def given_in(text: str) -> tuple[bool, bool, bool]:
        file = poolfile.parse(text, path="p", resolve_user=USERS.get, resolve_group=GROUPS.get)
        return file.limits_given, file.projects_given, file.members_given

    assert given_in(SERVER) == (False, False, False)
    assert given_in(SERVER + "[limits]\n[admins]\n") == (True, False, False)
    assert given_in(SERVER + "[[project]]\nname = 'vision'\n") == (False, True, False)
    assert given_in(SERVER + "[[user]]\nname = 'ada'\n") == (False, False, True)


def test_windows_line_ends_and_a_byte_order_mark_are_fine() -> None:
    """A file saved on Windows reads the same."""
    assert read(b"\xef\xbb\xbf" + SERVER.replace("\n", "\r\n").encode()) == read(SERVER)


def test_hosts_may_be_a_range_beside_the_names() -> None:
    """A range of names takes a range of hosts of the same length."""
    pool = read('[[server]]\nname="a[1-2]"\nhost="n[08-09].lab"\ngpus=1\ncpus=1\n')
    assert [server.host for server in pool.servers] == ["n08.lab", "n09.lab"]


CARD = '[[server]]\nname = "a"\ncpus = 8\n'
BAD = [
    ("syntax", "[[server]\n", 1, None),
    ("no end of text", SERVER + 'x = "\n', 5, None),
    ("key twice", SERVER + "cpus = 9\n", 5, None),
    ("deep", "a = " + "[" * 100_000, None, None),
    ("huge number", SERVER + "\n[limits]\ngpus_per_task = " + "9" * 5000, None, None),
    ("no server", "", None, "server"),
    ("empty list", "server = []", 1, "server"),
    ("server as a table", "[server]\nname = 'a'", 1, "server"),
    ("server as a number", "server = 3", 1, "server"),
    ("unknown table", SERVER + "[pool]\n", 5, "pool"),
    ("unknown key", SERVER + "speed = 3\n", 5, "[[server]] speed"),
    ("unknown default", "[defaults]\nname = 'x'\n" + SERVER, 2, "[defaults] name"),
    ("lease before its time", SERVER + "[limits]\nlease = '1d'\n", 6, "[limits] lease"),
    ("unknown of a card", CARD + "[[server.gpu]]\nindex = 0\nspeed = 1\n",
     6, "[[server.gpu]] speed"),
    ("unknown admin key", SERVER + "[admins]\nroots = []\n", 6, "[admins] roots"),
    ("no name", "[[server]]\ngpus = 1\ncpus = 1\n", 1, "[[server]] name"),
    ("no GPUs", "[[server]]\nname = 'a'\ncpus = 1\n", 1, "[[server]] gpus"),
    ("no CPUs", "[[server]]\nname = 'a'\ngpus = 1\n", 1, "[[server]] cpus"),
    ("zero GPUs", "[[server]]\nname = 'a'\ngpus = 0\ncpus = 1\n", 3, "[[server]] gpus"),
    ("negative CPUs", "[[server]]\nname = 'a'\ngpus = 1\ncpus = -1\n", 4, "[[server]] cpus"),
    ("zero default", "[defaults]\ngpus = 0\n" + SERVER, 2, "[defaults] gpus"),
    ("true is no number", "[[server]]\nname = 'a'\ngpus = true\ncpus = 1\n", 3, "[[server]] gpus"),
    ("half a GPU", "[[server]]\nname = 'a'\ngpus = 1.5\ncpus = 1\n", 3, "[[server]] gpus"),
    ("text for a number", "[[server]]\nname = 'a'\ngpus = '8'\ncpus = 1\n", 3, "[[server]] gpus"),
    ("too many GPUs", "[[server]]\nname = 'a'\ngpus = 99999\ncpus = 1\n", 3, "[[server]] gpus"),
    ("number for a name", "[[server]]\nname = 7\ngpus = 1\ncpus = 1\n", 2, "[[server]] name"),
    ("empty name", "[[server]]\nname = ''\ngpus = 1\ncpus = 1\n", 2, "[[server]] name"),
    ("bad name", "[[server]]\nname = 'a b'\ngpus = 1\ncpus = 1\n", 2, "[[server]] name"),
    ("colon in a name", "[[server]]\nname = 'a:0'\ngpus = 1\ncpus = 1\n", 2, "[[server]] name"),
    ("escape in a name", '[[server]]\nname = "a\\u001b[1m"\n', 2, "[[server]] name"),
    ("crossing range", "[[server]]\nname = 'a[3-1]'\ngpus = 1\ncpus = 1\n", 2, "[[server]] name"),
    ("overlap in a range", "[[server]]\nname = 'a[1-3,2]'\ngpus = 1\n", 2, "[[server]] name"),
    ("huge range", "[[server]]\nname = 'a[1-99999]'\ngpus = 1\n", 2, "[[server]] name"),
    ("same server", SERVER + SERVER, 6, "[[server]] name"),
    ("overlapping ranges",
     "[defaults]\ngpus=1\ncpus=1\n[[server]]\nname='a[1-3]'\n[[server]]\nname='a[3-4]'\n",
     7, "[[server]] name"),
    ("hosts too few", SERVER.replace('"a"', '"a[1-2]"') + "host = 'h'\n", 5, "[[server]] host"),
    ("bad host", SERVER + "host = '-h'\n", 5, "[[server]] host"),
    ("same host", SERVER + "host='h'\n" + SERVER.replace('"a"', '"b"') + "host='h'\n",
     10, "[[server]] host"),
    ("host named like another", SERVER + "host='b'\n" + SERVER.replace('"a"', '"b"'),
     5, "[[server]] host"),
    ("count against cards", SERVER + "[[server.gpu]]\nindex = 0\n", 3, "[[server]] gpus"),
    ("no cards", CARD + "gpu = []\n", 1, "[[server]] gpus"),
    ("card without index", CARD + "[[server.gpu]]\nuuid = 'x'\n", 4, "[[server.gpu]] index"),
    ("negative index", CARD + "[[server.gpu]]\nindex = -1\n", 5, "[[server.gpu]] index"),
    ("index twice", CARD + "[[server.gpu]]\nindex = 0\n" * 2, 7, "[[server.gpu]] index"),
    ("UUID twice on a server",
     CARD + "[[server.gpu]]\nindex = 0\nuuid='u'\n[[server.gpu]]\nindex = 1\nuuid='u'\n",
     9, "[[server.gpu]] uuid"),
    ("UUID on two servers", (CARD + "[[server.gpu]]\nindex=0\nuuid='u'\n")
     + (CARD.replace('"a"', '"b"') + "[[server.gpu]]\nindex=0\nuuid='u'\n"),
     12, "[[server.gpu]] uuid"),
    ("UUID on a range",
     CARD.replace('"a"', '"a[1-2]"') + "[[server.gpu]]\nindex=0\nuuid='u'\n",
     6, "[[server.gpu]] uuid"),
    ("PCI twice", CARD + "[[server.gpu]]\nindex=0\npci='u'\n[[server.gpu]]\nindex=1\npci='u'\n",
     9, "[[server.gpu]] pci"),
    ("memory as text", SERVER + "gpu_memory_mib = '80GB'\n", 5, "[[server]] gpu_memory_mib"),
    ("blank model", SERVER + "gpu_model = ' '\n", 5, "[[server]] gpu_model"),
    ("zero limit", SERVER + "[limits]\ngpus_per_task = 0\n", 6, "[limits] gpus_per_task"),
    ("limits as a number", "limits = 3\n" + SERVER, 1, "limits"),
    ("unknown user", SERVER + "[admins]\nusers = ['nobody-here']\n", 6, "[admins] users"),
    ("unknown group", SERVER + "[admins]\ngroups = ['none']\n", 6, "[admins] groups"),
    ("user as a text", SERVER + "[admins]\nusers = 'root'\n", 6, "[admins] users"),
    ("uid for a user", SERVER + "[admins]\nusers = [0]\n", 6, "[admins] users"),
    ("user twice", SERVER + "[admins]\nusers = ['root', 'root']\n", 6, "[admins] users"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "key"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_what_a_file_must_not_say(text: str, line: int | None, key: str | None) -> None:
    """Each fault is told with file, line, key and what was expected."""
    with pytest.raises(BadConfiguration) as caught:
        read(text)
    error = caught.value
    assert (error.path, error.line, error.key) == ("pool.toml", line, key)
    assert error.expected


def test_what_is_no_text_is_refused() -> None:
    """Bytes that are not UTF-8 name their line."""
    with pytest.raises(BadConfiguration) as caught:
        read(b"[defaults]\n# \xff\n")
    assert caught.value.line == 2


def test_lines_are_found_past_texts_of_many_lines() -> None:
    """A text in triple quotes that looks like tables does not shift the lines."""
    text = 'x = """\n[limits]\nlease = 1\n"""\n' + SERVER + "[limits]\nlease = 2\n"
    file = text.replace('x = """', 'defaults = {}\nserver_note = """')
    with pytest.raises(BadConfiguration) as caught:
        read(file.replace("server_note", "[[server]]\nname"))
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("servers", "gpus", "cpus"), [(0, 8, 64), (4, 0, 64), (4, 8, -1), (4, True, 1)]
)
def test_a_uniform_pool_needs_sane_counts(servers: int, gpus: int, cpus: int) -> None:
    """Zero and negative counts, and truth values, raise BadRequest."""
    with pytest.raises(BadRequest):
        poolfile.uniform(servers, gpus, cpus)


def test_a_uniform_pool_is_the_old_script_s() -> None:
    """Servers are named gpu-server-0 and so on, their GPUs counted from 0."""
    pool = poolfile.uniform(4, 8, 64)
    assert pool == read('[[server]]\nname="gpu-server-[0-3]"\ngpus=8\ncpus=64')
    assert pooltext.write(pool).count("[[server]]") == 1


WORDS = st.text('abcXYZ019-_é机"\\', min_size=1, max_size=12)
COUNTS = st.integers(1, 40)
CARDS = st.one_of(
    st.builds(cards, st.integers(1, 9), model=st.none() | WORDS, memory_mib=st.none() | COUNTS),
    st.lists(
        st.builds(
            Card, st.integers(0, 30), st.none() | st.uuids().map("GPU-{}".format),
            st.none() | WORDS, st.none() | COUNTS,
            st.none() | st.uuids().map(lambda one: one.hex[:12]),
        ), min_size=1, max_size=6, unique_by=lambda card: card.index,
    ).map(lambda some: tuple(sorted(some, key=lambda card: card.index))),
)  # fmt: skip
SERVERS = st.lists(
    st.builds(
        Server,
        st.builds("{}{}".format, st.sampled_from(["gpu-server-", "n0", "x", "é"]), COUNTS),
        st.integers(1, 3),
        CARDS,
        st.none() | st.builds("h{}.lab".format, COUNTS),
    ),
    min_size=1,
    max_size=12,
    unique_by=(lambda one: one.name, lambda one: one.host or one.name),
)
POOLS = st.builds(
    Pool,
    SERVERS.map(tuple),
    st.builds(Limits, st.none() | COUNTS),
    st.builds(
        Admins,
        st.lists(st.sampled_from(sorted(USERS)), unique=True).map(
            lambda names: tuple(AdminUser(name, USERS[name]) for name in names)
        ),
        st.sampled_from([(), (AdminGroup("lab-admins", 70),)]),
    ),
)


@given(POOLS)
def test_a_written_pool_reads_back_equal(pool: Pool) -> None:
    """`pool show --toml` gives a file that applies to no change, whatever the pool."""
    assert read(pooltext.write(pool)) == pool


def test_a_large_pool_is_written_in_few_lines() -> None:
    """Like neighbours fold into ranges, in pool order."""
    pool = read('[[server]]\nname="venus[001-121]"\ngpus=8\ncpus=48\ngpu_model="V100"\n')
    assert pooltext.write(pool) == (
        '[[server]]\nname = "venus[001-121]"\ncpus = 48\ngpus = 8\ngpu_model = "V100"\n'
    )


def test_a_uuid_of_another_server_is_named_with_its_own_line() -> None:
    """Cards may stand in any order in the file; the complaint names the line that repeats."""
    text = (
        '[[server]]\nname = "a"\ncpus = 1\n[[server.gpu]]\nindex = 0\nuuid = "GPU-x"\n'
        '[[server]]\nname = "b"\ncpus = 1\n'
        '[[server.gpu]]\nindex = 1\nuuid = "GPU-x"\n[[server.gpu]]\nindex = 0\nuuid = "GPU-y"\n'
    )
    with pytest.raises(BadConfiguration) as told:
        read(text)
    assert told.value.line == 12
