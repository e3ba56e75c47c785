"""Which ledger a command means: the first of five places, and nothing that others could slip in."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import platformdirs
import pytest

from conftest import RunCli
from gpuledger.cli import location
from gpuledger.cli.location import Location, Machine, Notice
from gpuledger.cli.sshurl import Address
from gpuledger.cli.tomlfile import BadConfiguration
from gpuledger.replay.errors import BadRequest


class Places:
    """A file system of our own, with each of the places in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ: dict[str, str] = {}
        (root / "etc").mkdir()
        (root / "var/lib/gpuledger").mkdir(parents=True)
        (root / "home").mkdir()
        self.configuration = root / "etc/gpuledger.toml"
        self.machine_ledger = root / "var/lib/gpuledger/ledger.db"
        self.user_ledger = root / "home/ledger.db"

    @property
    def machine(self) -> Machine:
        return Machine(str(self.root), os.getuid(), self.environ)

    def configure(self, text: str, mode: int = 0o644) -> None:
        self.configuration.write_text(text)
        self.configuration.chmod(mode)

    def find(self, option: str | None = None) -> Location:
        return location.find(option, self.machine)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    places = Places(tmp_path)
    monkeypatch.setattr(location, "user_path", lambda: str(places.user_ledger))
    return places


def test_the_first_place_counts(places: Places) -> None:
    """Option, environment, configuration, machine, user: each hides those after it."""
    assert places.find() == Location(str(places.user_ledger), "user")
    places.machine_ledger.touch()
    assert places.find() == Location(str(places.machine_ledger), "machine")
    places.configure('ledger = "/srv/team.db"\n')
    assert places.find() == Location("/srv/team.db", "configuration")
    places.environ["GPULEDGER"] = "/tmp/mine.db"
    assert places.find() == Location("/tmp/mine.db", "environment")
    assert places.find("/tmp/one.db") == Location("/tmp/one.db", "option")


def test_an_empty_variable_is_no_variable(places: Places) -> None:
    """`GPULEDGER=` is as if it were not set."""
    places.environ["GPULEDGER"] = ""
    assert places.find().found_by == "user"


def test_paths_become_absolute(
    places: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A relative path counts from the working directory, `~` is the home directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    assert places.find("x/../l.db").path == str(tmp_path / "l.db")
    assert places.find("~/l.db").path == "/home/ada/l.db"


@pytest.mark.parametrize("text", ["", "ssh://-host/x", "postgresql://h/d", "a\0b"])
def test_what_is_no_path_is_refused(places: Places, text: str) -> None:
    """Empty paths and the addresses of later releases raise BadRequest."""
    with pytest.raises(BadRequest) as caught:
        places.find(text)
    assert caught.value.field == "--ledger"
    if text and "\0" not in text:
        places.environ["GPULEDGER"] = text
        with pytest.raises(BadRequest) as caught:
            places.find()
        assert caught.value.field == "$GPULEDGER"


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_configuration_that_others_may_write_does_not_count(places: Places, mode: int) -> None:
    """Nobody but root can send the team to another ledger; the file is passed over and told."""
    places.configure('ledger = "/tmp/trap.db"\n', mode)
    assert places.find() == Location(
        str(places.user_ledger), "user", (Notice(str(places.configuration), "writable"),)
    )


def test_a_configuration_of_another_owner_does_not_count(places: Places) -> None:
    """The file must be root's own."""
    places.configure('ledger = "/tmp/trap.db"\n')
    machine = Machine(str(places.root), os.getuid() + 1, {})
    found = location.find(None, machine)
    assert found.notices == (Notice(str(places.configuration), "owner"),)
    assert found.found_by == "user"


def test_a_configuration_that_is_no_file_does_not_count(places: Places) -> None:
    """A folder in its place is passed over and told."""
    places.configuration.mkdir()
    assert places.find().notices == (Notice(str(places.configuration), "unreadable"),)


def test_a_configuration_that_is_not_needed_is_not_read(places: Places) -> None:
    """With a ledger named, a broken file disturbs nobody."""
    places.configure("= nonsense")
    places.environ["GPULEDGER"] = "/tmp/mine.db"
    found = places.find()
    assert found == Location("/tmp/mine.db", "environment")
    assert location.others(found, places.machine) == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("ledger = ", 1),
        ("\nledger = 3", 2),
        ("ledger = 'relative.db'", 1),
        ("ledger = 'ssh://host /x'", 1),
        ("ledger = ''", 1),
        ("# x\nledgers = '/x'", 2),
    ],
)
def test_a_wrong_configuration_is_told(places: Places, text: str, line: int) -> None:
    """Where it counts and is wrong, file and line are named."""
    places.configure(text)
    with pytest.raises(BadConfiguration) as caught:
        places.find()
    assert (caught.value.path, caught.value.line) == (str(places.configuration), line)


def test_a_configuration_may_say_nothing(places: Places) -> None:
    """An empty file leaves the choice to the places after it."""
    places.configure("# nothing yet\n")
    assert places.find().found_by == "user"


def test_a_folder_that_one_may_not_enter_holds_the_machine_s_ledger(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside the group the machine's ledger is still meant: its refusal names the group."""
    real = os.stat

    def closed(path: str, *rest: object, **named: object) -> os.stat_result:
        if path == str(places.machine_ledger):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", closed)
    assert places.find() == Location(str(places.machine_ledger), "machine")


def test_a_ledger_may_lie_on_another_machine(places: Places) -> None:
    """Option, environment and configuration take an address, which is kept as it was written."""
    far = Address("far", "ada", 22, "/srv/l.db")
    places.configure('ledger = "ssh://far"\n')
    assert places.find() == Location("ssh://far", "configuration", (), Address("far"))
    places.environ["GPULEDGER"] = "ssh://ada@far:22/srv/l.db"
    found = places.find()
    assert found == Location("ssh://ada@far:22/srv/l.db", "environment", (), far)
    assert [one.path for one in location.others(found, places.machine)] == ["ssh://far"]
    assert places.find("ssh://ada@far:22/srv/l.db").far == far


def test_the_other_ledgers_are_known(places: Places) -> None:
    """`status` can say which ledgers it does not read: those that exist, each once."""
    places.environ["GPULEDGER"] = str(places.root / "mine.db")
    places.machine_ledger.touch()
    places.configure(f'ledger = "{places.machine_ledger}"\n')
    found = places.find()
    assert [one.path for one in location.others(found, places.machine)] == [
        str(places.machine_ledger)
    ]
    places.user_ledger.touch()
    one = places.find(str(places.machine_ledger))
    assert [other.found_by for other in location.others(one, places.machine)] == ["user"]


@pytest.mark.parametrize("state", ["", "  ", "/srv/state", None])
def test_the_user_s_ledger_lies_where_the_platform_says(
    state: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our short way to the state directory gives what platformdirs gives."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    if state is not None:
        monkeypatch.setenv("XDG_STATE_HOME", state)
    folder = Path(platformdirs.user_state_dir("gpuledger", appauthor=False))
    assert location.user_path() == str(folder / "ledger.db")


def test_without_a_home_a_ledger_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no home directory to keep one in, the user is asked for a path."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(BadRequest):
        location.user_path()


@pytest.mark.parametrize(
    "words",
    [
        "--ledger rel.db status",
        "--ledger rel.db status --json",
        "--ledger rel.db init --servers 1",
        "--ledger HERE backup b.db",
        "--ledger HERE mirror add m",
        "--ledger HERE salvage HERE -o n.db",
        "keys new --key-file k",
    ],
)
@pytest.mark.needs("linux")
def test_a_working_directory_that_is_gone(
    tmp_path: Path, ledger_path: Path, run_cli: RunCli, cli_command: Sequence[str], words: str
) -> None:
    """A relative path leads nowhere then, which is said in one sentence with a way out."""
    run_cli("--ledger", ledger_path, "init", "--servers", "1", "--gpus-per-server", "1")
    gone = tmp_path / "gone"
    gone.mkdir()
    line = shlex.join([*cli_command, *words.replace("HERE", str(ledger_path)).split()])
    done = subprocess.run(
        ["sh", "-c", f"rmdir {gone}; {line}"],
        cwd=gone, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 78
    told = done.stdout if "--json" in words else done.stderr
    assert "the working directory is gone" in told
    assert "cd to one that is there" in told
    assert len(done.stderr.splitlines()) == ("--json" not in words)
