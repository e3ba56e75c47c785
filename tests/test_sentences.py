"""Sentences: every failure says what happened, why and what to do next, and is safe to print."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuledger.cli.sshfailure as ssh_errors
import gpuledger.ledger.errors as ledger_errors
import gpuledger.replay.errors as replay_errors
from gpuledger.cli import exit as exits
from gpuledger.cli import sentence
from gpuledger.cli.executable import CommandMissing, CommandRefused
from gpuledger.cli.keyfile import SigningKey
from gpuledger.cli.location import NoWorkingDirectory
from gpuledger.cli.tomlfile import BadConfiguration
from gpuledger.ledger.errors import GpuledgerError
from gpuledger.replay.errors import BadRequest, Refused
from gpuledger.replay.facts import Asked, AskedRelease
from gpuledger.replay.fit import Held
from gpuledger.replay.limit import Breach
from gpuledger.replay.refusal import REASONS, Ahead, Free, Refusal

DESIGNED = {0, 1, 2, 3, 4, 5, 65, 74, 75, 77, 78, 124, 126, 127, 130, 141}
GOLDEN = Path(__file__).parent / "transcripts" / "sentences.txt"
PATH = "/var/lib/gpuledger/ledger.db"


def classes(parent: type[GpuledgerError] = GpuledgerError) -> Iterator[type[GpuledgerError]]:
    for child in parent.__subclasses__():
        if child.__module__.startswith("gpuledger."):
            yield child
            yield from classes(child)


def refused(reason: str, **facts: Any) -> Refused:  # noqa: ANN401
    whole = Refusal(facts.pop("act", "allocate"), reason, facts.pop("user", "ada"), **facts)
    told = {name: getattr(whole, name) for name in whole.__struct_fields__ if name != "reason"}
    return Refused(reason, 12, **told)


def asked(gpus: int, cpus: int | None = None, **more: Any) -> Asked:  # noqa: ANN401
    return Asked("train", gpus, cpus, **more)


def bad_toml(**facts: Any) -> BadConfiguration:  # noqa: ANN401
    return BadConfiguration("pool.toml", facts.pop("expected", "one of a, b"), **facts)


HELD = (
    Held("gpu-server-2", 0, 12, "train", "bob"),
    Held("gpu-server-2", 1, 12, "train", "bob"),
    Held("gpu-server-3", 0, 14, "eval", "eve"),
)
L, R, S = ledger_errors, replay_errors, ssh_errors
CASES: list[GpuledgerError] = [
    L.LedgerMissing(PATH),
    L.LedgerExists(PATH, "ledger"),
    L.LedgerExists(PATH, "lock"),
    L.LedgerExists("backup.db", "file"),
    L.LedgerExists("new.db", "new"),
    L.LedgerExists("notes.txt", "other"),
    L.LedgerExists("ledger.db-wal", "neighbour"),
    L.NotALedger("notes.txt", "neither a ledger nor an export"),
    L.NoHistory(("events.jsonl", "mirror")),
    L.OtherLedger("backup.db", "ab" * 16, "cd" * 16),
    L.OtherLedger(PATH, "ab" * 16, "cd" * 16, place=True),
    L.NotALedger("x.db", "an empty file"),
    L.NotALedger("/dev/fd/63", "a pipe or a device, which cannot be read again and again"),
    L.NewerFormat("x.db", 2, 1),
    L.UnknownEvent(7, "gap.recorded", 1),
    L.NetworkFilesystem("/nfs/l.db", "nfs4"),
    L.NotPermitted(PATH, "read", "gpu"),
    L.NotPermitted(PATH, "write"),
    L.StorageFailed(PATH, "x", full=True),
    L.StorageFailed(PATH, "disk I/O error"),
    L.Damaged("x.db", "malformed"),
    L.BrokenChain("", "hash", 7),
    L.LostTail("x.db", "the log ends too early", first=7, last=9),
    L.LostTail("x.db", "the log ends too early", first=9, last=9),
    L.NothingLeft("x.db"),
    L.LockTimeout("x.db", 60.0, pid=7, host="h", user="ada", since_us=0),
    L.LockTimeout("x.db", 0.5),
    L.KeyReused("k", 7),
    L.HeadMoved(3, 4),
    L.NoSuchGroup("gpu"),
    L.UnsuitableFolder("/srv", "gpu"),
    NoWorkingDirectory(),
    L.MirrorUnusable("/mnt/m", "gone", "No such file or directory"),
    L.MirrorUnusable("/mnt/m", "full", "No space left on device"),
    L.MirrorUnusable("/mnt/m", "read_only", "Read-only file system"),
    L.MirrorUnusable("/mnt/m", "not_permitted", "Permission denied"),
    L.MirrorUnusable("/mnt/m", "failed", "Input/output error"),
    L.MirrorUnusable("/mnt/m", "diverged", "its event 7 is another than the log's"),
    S.NoSsh("ssh", "No such file or directory"),
    S.NotReached("ada@far", "gpuledger status"),
    S.ConnectionLost("ada@far", "gpuledger status", "read"),
    S.ConnectionLost("ada@far", "gpuledger allocate train 2 --key 0f1e", "keyed"),
    S.ConnectionLost("ada@far", "gpuledger drain gpu-server-0", "bare"),
    S.ConnectionLost("ada@far", "gpuledger run -- python train.py", "run"),
    S.FarFailed("ada@far", 75),
    S.NotThere("ada@far", "gpuledger-remote", 127),
    S.VersionsDiffer("ada@far", "0.2.0", "0.3.1"),
    S.SecondHop("ada@far", "ssh://third/l.db"),
    BadRequest("GPUs", 0, "a whole number from 1 up"),
    BadRequest("task", "a\x1b[1m\n", "1 to 64 letters"),
    BadRequest("what to release", (), "tasks or --mine"),
    bad_toml(line=6, key="[limits] lease", found="lease", problem="unknown"),
    bad_toml(line=3, key="[[server]] gpus", found=0, expected="a whole number from 1 to 9"),
    bad_toml(line=1, key="[[server]] name", expected="a name", problem="missing"),
    bad_toml(line=2, expected="TOML", found="Invalid value", problem="syntax"),
    bad_toml(expected="UTF-8 text", problem="syntax"),
    R.NoSuchTask("train", "ada"),
    R.NoSuchTask("@12", "ada"),
    R.NoSuchTask("@12", "ada", ended=True),
    R.NoSuchTask("@1", "ada", never=True),
    R.NoSuchTask("@9", "ada", lost=True),
    R.NoSuchTask("any task", "ada"),
    R.NoSuchServer("x", ("gpu-server-0", "gpu-server-1")),
    R.NoSuchServer("x", tuple(f"a{n}b{n}" for n in range(99))),
    R.NoSuchServer("a", ("0", "1", "3"), 9),
    R.NoSuchServer("login", ("gpu-server-0", "gpu-server-1"), here=True),
    R.NoSuchServer("login", (), here=True),
    CommandMissing("trian"),
    CommandMissing("./train"),
    *(SigningKey("/etc/key.pem", what) for what in ("missing", "there", "open", "none")),
    CommandRefused("./train.py", "Permission denied"),
    CommandRefused("./train.sh", "No such file or directory", "/bin/zsh\r"),
    R.HasEnded("train", 12),
    R.NoSuchTask("train", "ada", waits=True),
    R.NoSuchTask("any task", "ada", on=("gpu-server-0", "gpu-server-1")),
    R.NotWaiting("@12", "ada", runs=True),
    R.TaskInUse("train", "ada", 12),
    R.TaskInUse("train", "ada", 12, waits=True),
    R.NoSuchProject("visoin", ("nlp", "vision")),
    R.NoSuchMirror("/mnt/m", ("/mnt/a", "/mnt/b")),
    R.NoSuchMirror("/mnt/m", ()),
    R.NoLease("train", 12),
    R.NotWaiting("train", "ada"),
    R.NotWaiting("train", "ada", 12),
    R.NotWaiting("any task", "ada"),
    R.WaitedInVain("train", 1_800),
    R.AmbiguousTask("train", (12, 14), ("ada", "bob")),
    R.ServerInUse("a", "removed", (12,)),
    R.ServerInUse("a", "swapped", (12, 14)),
    R.NotEmpty(3),
    R.ReasonNeeded("reset", tuple(range(1, 11))),
    R.ReasonNeeded("restore", ()),
    R.DoesNotExtend(PATH, "truncated", 12, "20"),
    R.DoesNotExtend(PATH, "signature", None, "gpuledger/ab, size 20"),
    refused("fragmented", asked=asked(8), gpus_free=9, largest=5, servers=2),
    refused("fragmented", asked=asked(8), gpus_free=9, largest=5),
    refused("no_gpus", asked=asked(4), gpus_free=1, largest=1),
    refused("no_gpus", asked=asked(4)),
    refused("no_gpus", asked=asked(1, on=("a",))),
    refused("no_gpus", asked=asked(3), held=HELD),
    refused("no_cpus", asked=asked(2, 64), cpus_free=8),
    refused("no_cpus", asked=asked(2, 64), cpus_free=80),
    refused("no_cpus", asked=asked(2)),
    refused("drained", asked=asked(2, on=("a", "b", "c", "d"))),
    refused("limit", asked=asked(9), breach=Breach("task", "train", "gpus", 8, 0, 9)),
    refused("limit", asked=asked(2), breach=Breach("user", "ada", "gpus", 8, 7, 2)),
    refused("limit", asked=asked(2), breach=Breach("project", "nlp", "cpus", 8, 7, 2, free_at=0)),
    refused("limit", asked=asked(2), breach=Breach("user", "ada", "lease", 3_600, 0, 7_200)),
    refused(
        "limit",
        asked=asked(2),
        breach=Breach("user", "ada", "gpu_hours", 432_000, 431_640, 3_600, 604_800, 0),
    ),
    refused(
        "limit", act="extend", most=7_200, breach=Breach("user", "ada", "lease", 9_000, 0, 9_999)
    ),
    refused("limit", act="extend", breach=Breach("task", "t", "gpu_hours", 3_600, 3_600, 9, 60)),
    refused("limit", asked=asked(2)),
    refused("waiting", asked=asked(2), ahead=(Ahead(12, "train", "bob"),)),
    refused("waiting", asked=asked(2)),
    refused("waiting", act="extend", ahead=(Ahead(12, "train", "bob"),)),
    refused("not_permitted", act="cancel", held=(Held("", 0, 12, "train", "bob"),)),
    refused("never", asked=asked(9), most=8),
    refused("never", asked=asked(9, on=("a",)), most=8),
    refused("never", asked=asked(2, servers=2, here="me"), most=8),
    refused("never", asked=asked(2, 99), most=8),
    refused("never", asked=asked(64, 64, servers=32), most=8),
    refused("never", asked=asked(16, servers=2), most=8),
    refused("not_permitted", asked=asked(1, beneficiary="bob"), user="bob"),
    refused("not_permitted", act="release", held=HELD[:1], asked_release=AskedRelease()),
    refused("not_permitted", act="pool apply"),
]


def test_a_failure_says_what_and_why_and_what_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each failure's exit code and its sentence with the next step are those of the golden file."""
    monkeypatch.setenv("TZ", "UTC")
    told = [f"{exits.exit_code(one)} {one.code}: {sentence.said(one).text}" for one in CASES]
    assert told == GOLDEN.read_text(encoding="utf-8").splitlines()


def test_every_error_class_is_told() -> None:
    """No class of error is without a sentence, an exit code that DESIGN knows, and a case above."""
    cases = {type(error) for error in CASES}
    for one in classes():
        assert one in cases, one
        if one.code != "refused":
            assert one.code in exits.BY_CODE
        assert one.code in sentence.BY_CODE
    assert set(exits.BY_CODE.values()) | set(exits.BY_REASON.values()) <= DESIGNED
    reasons = {error.facts["reason"] for error in CASES if isinstance(error, Refused)}
    assert reasons == set(REASONS) == set(exits.BY_REASON)


def test_the_pictures_of_the_errors_tell_the_exit_codes() -> None:
    """The trees at the top of the errors modules name every class with its true exit code."""
    for module in (ledger_errors, replay_errors, ssh_errors):
        tree = inspect.getdoc(module) or ""
        for line in re.findall(r"─ (\w+) .*?(\d+(?:, \d+)*)(?: by reason)?$", tree, re.MULTILINE):
            name, codes = line
            one = getattr(module, name)
            told = {int(code) for code in codes.split(",")}
            known = set(exits.BY_REASON.values()) if name == "Refused" else None
            assert told == (known or {exits.BY_CODE[one.code]}), name


def test_an_unknown_failure_still_speaks() -> None:
    """An error of a code that nobody wrote a sentence for has one, and exit code 1."""
    assert sentence.said(GpuledgerError()).sentence == "this failed: failed"
    assert exits.exit_code(GpuledgerError()) == 1
    assert sentence.said(Refused("odd", 3)).next == "gpuledger status shows what is free"


NASTY = st.text(st.characters(codec=None), min_size=1, max_size=300) | st.sampled_from(
    ["\x1b]0;x\x07", "\u202eabc", "a\nb", "\ud800", "\x9b1m", "{x}", "%s"]
)


@given(st.sampled_from(sorted(sentence.BY_CODE)), st.dictionaries(st.sampled_from(
    ["path", "task", "user", "server", "key", "field", "value", "expected", "why", "found", "group",
     "host", "kind", "reason", "act"]), NASTY))  # fmt: skip
def test_nothing_that_people_gave_reaches_the_terminal_raw(
    code: str, facts: dict[str, Any]
) -> None:
    """Whatever the facts hold or lack, the sentence is one printable line."""
    error = GpuledgerError(**facts)
    error.code = code
    said = sentence.said(error)
    for part in (said.sentence, said.next):
        assert part
        assert all(letter.isprintable() or letter in "\u3000\xa0" or letter.isspace() or
                   letter in "\u200c\u200d" for letter in part)  # fmt: skip
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", part)


def test_long_texts_are_cut() -> None:
    """A value of a thousand letters does not fill the screen."""
    said = sentence.said(BadRequest("note", "x" * 1000, "at most 200 characters"))
    assert len(said.text) < 150


def test_facts_are_kept_whole() -> None:
    """What a sentence cuts or escapes stays as it is in the facts, for programs."""
    error = refused("no_gpus", asked=asked(4), free=(Free("a", 1, 2),))
    assert msgspec.to_builtins(error.facts)["free"][0] == {"server": "a", "gpus": 1, "cpus": 2}
