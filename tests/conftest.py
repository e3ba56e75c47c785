"""What every test may ask for: the size of a campaign, tools, traces, and whole commands.

A test that lacks a tool or data says so by `needs` (or by the `needs` marker): it skips with the
reason on somebody's laptop and fails where `$CI` is set, since a check that CI passes over is
no check. Figures given to `record_property` are printed below the summary.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import hypothesis
import pytest

from absence import IN_CI, lacking

if TYPE_CHECKING:
    from desk import Desk
    from runs import Host
    from sshd import Sshd

ROOT = Path(__file__).resolve().parent.parent
PASSED_ON = ("PATH", "PATHEXT", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")


class RunCli(Protocol):
    """Runs `gpuledger ARGS…` as a process of its own and returns what it said."""

    def __call__(
        self,
        *args: str | os.PathLike[str],
        env: Mapping[str, str] | None = None,
        input: str | None = None,  # noqa: A002 - subprocess.run's own word
        timeout_s: float = 120.0,
    ) -> subprocess.CompletedProcess[str]: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run every campaign at its full size")
    parser.addoption("--rng-seed", type=int, default=20200331, help="seed of the random samples")


def _mind_signals() -> None:
    """Give signals that a shell or nohup made this process ignore their plain meaning again.

    Children inherit it, and tests of signals would wait for what never comes.
    """
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            plain = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
            signal.signal(number, plain)


def pytest_configure(config: pytest.Config) -> None:
    with suppress(ValueError):  # not the main thread
        _mind_signals()
    config.addinivalue_line("markers", "needs(*names): tools on the path, or `root` …")
    full: bool = config.getoption("--full")
    hypothesis.settings.register_profile(
        "sample", deadline=None, derandomize=True, max_examples=50, print_blob=True
    )
    hypothesis.settings.register_profile("full", deadline=None, max_examples=1000, print_blob=True)
    if not config.getoption("--hypothesis-profile"):
        hypothesis.settings.load_profile("full" if full else "sample")


def pytest_report_header(config: pytest.Config) -> str:
    size = "full" if config.getoption("--full") else "seeded samples"
    return f"gpuledger: {size}, --rng-seed {config.getoption('--rng-seed')}, ci: {IN_CI}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped, which counts as a failure in CI: {_why(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid}: skipped whole, a failure in CI: {_why(report)}"
    return report


def _why(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        _need(*marker.args)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures = [
        (report.nodeid, name, value)
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
    ]
    if figures:
        terminalreporter.section("figures")
        for nodeid, name, value in figures:
            terminalreporter.write_line(f"{nodeid}: {name} = {value}")


def _need(*names: str) -> None:
    for name in names:
        if name == "root":
            here = getattr(os, "geteuid", lambda: -1)() == 0
        elif name == "linux":
            here = sys.platform.startswith("linux")
        elif name == "namespaces":
            here = _namespaces()
        else:
            here = shutil.which(name) is not None
        if not here:
            lacking(f"needs {name}")


@cache
def _namespaces() -> bool:
    """Whether this user may make a pid namespace with a /proc of its own, as containers have."""
    words = ("unshare", "--pid", "--fork", "--mount-proc", "true")
    return (
        shutil.which(words[0]) is not None
        and subprocess.run(words, capture_output=True, check=False).returncode == 0
    )


@pytest.fixture(scope="session")
def needs() -> Callable[..., None]:
    """Call it with names of tools, or `root`, `linux`, `namespaces`: lacking one ends the test."""
    return _need


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether a campaign runs at the size that is promised, or as a seeded sample."""
    return bool(request.config.getoption("--full"))


@pytest.fixture(scope="session")
def rng_seed(request: pytest.FixtureRequest) -> int:
    """The seed from which a sample is drawn; printed in the header, set by `--rng-seed`."""
    return int(request.config.getoption("--rng-seed"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the source tree."""
    return ROOT


@pytest.fixture(scope="session")
def traces() -> Path:
    """The folder with the real cluster's trace and its pool."""
    given = os.environ.get("GPULEDGER_TRACES")
    folder = Path(given) if given else ROOT.parent / "shared" / "traces"
    if not (folder / "helios.csv.gz").is_file():
        lacking(f"no helios.csv.gz in {folder}; set GPULEDGER_TRACES to the folder that has it")
    return folder


@pytest.fixture(scope="session")
def sshd(root: Path, needs: Callable[..., None]) -> Iterator[Sshd]:
    """A machine with two users behind an sshd of its own; ask for it with `desk.GROUPED`."""
    from people import a_program, interpreter
    from sshd import TOOLS, an_sshd

    needs(*TOOLS)
    python = interpreter()
    if python is None:
        needs("an interpreter of this version that everybody can execute")
        return
    with a_program(root, python) as program, an_sshd(program) as made:
        yield made


@pytest.fixture
def desk(sshd: Sshd, run_cli: RunCli, cli_env: dict[str, str], tmp_path: Path) -> Iterator[Desk]:
    """Another machine than the ledger's, where `run` is typed; ask for it with `desk.GROUPED`."""
    from desk import Desk

    yield Desk(run_cli, sshd, cli_env, tmp_path / "pool.toml")
    if sshd.process is None:
        sshd.start()


@pytest.fixture
def host(
    run_cli: RunCli, ledger_path: Path, cli_command: Sequence[str], cli_env: dict[str, str]
) -> Host:
    """This machine, a server of a pool, where `run` is typed."""
    from runs import Host

    return Host(run_cli, ledger_path, cli_command, cli_env)


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    """A place for a ledger of this test's own, in a folder that holds nothing yet."""
    folder = tmp_path / "ledger"
    folder.mkdir()
    return folder / "ledger.db"


@pytest.fixture(scope="session")
def cli_command() -> Sequence[str]:
    """The words that start the program, before its arguments."""
    return (sys.executable, "-m", "gpuledger")


@pytest.fixture
def cli_env(tmp_path: Path) -> dict[str, str]:
    """An environment with nothing of the person's own: no ledger named, home in `tmp_path`."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    return {
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        "HOME": str(home),
        "LOCALAPPDATA": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }


@pytest.fixture
def run_cli(tmp_path: Path, cli_command: Sequence[str], cli_env: dict[str, str]) -> RunCli:
    """Run whole commands, each in a process of its own, with a clean environment."""

    def run(
        *args: str | os.PathLike[str],
        env: Mapping[str, str] | None = None,
        input: str | None = None,  # noqa: A002 - subprocess.run's own word
        timeout_s: float = 120.0,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*cli_command, *args],
            cwd=tmp_path,
            env={**cli_env, **(env or {})},
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=timeout_s,
            check=False,
        )

    return run
