"""How a command ends: its exit code, and the one sentence where it failed.

Also where the reader of stdout is gone (141, in silence), where Ctrl-C was pressed (130)
and where a disk is full. A failure that nobody foresaw says so in a sentence, too; with
`GPULEDGER_TRACEBACK` in the environment it shows where it happened.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress

import click

from ..ledger.errors import GpuledgerError

OK, FAILED, USAGE, INPUT_OUTPUT, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 74, 130, 141

NO_ANSWER = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""Why an answer could not be written. (What the ledger's own disk lacks, StorageFailed tells.)"""


def ended(run: Callable[[list[str]], None], args: list[str]) -> int:
    """Run one command; its exit code, when all that there is to say has been said."""
    try:
        code = _run(run, args)
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = PIPE_CLOSED
    except OSError as error:
        code = _unwritten(error)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code in (PIPE_CLOSED, INPUT_OUTPUT):
        _silence()
    return code


def _run(run: Callable[[list[str]], None], args: list[str]) -> int:
    try:
        run(args)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        return _usage(error, args)
    except GpuledgerError as error:
        return _failed(error, args)
    except Exception as error:  # noqa: BLE001 - the last resort: a sentence, not a traceback
        return _unforeseen(error, args)
    return OK


def _failed(error: GpuledgerError, args: list[str]) -> int:
    from .exit import exit_code
    from .sentence import explain

    told = explain(error)
    _tell(told.code, told.sentence, error.facts, told.next, args)
    return exit_code(error)


def _usage(error: click.ClickException, args: list[str]) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        sys.stderr.write(f"{error.format_message()}\n")
        return USAGE
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "gpuledger"
    sentence = error.format_message().strip().rstrip(".")
    sentence = sentence[:1].lower() + sentence[1:]
    _tell("usage", sentence, {}, f"{path} --help", args)
    return USAGE


def _unforeseen(error: Exception, args: list[str]) -> int:
    unwritten = isinstance(error, OSError) and error.errno in NO_ANSWER
    if unwritten or os.environ.get("GPULEDGER_TRACEBACK"):
        raise error
    what = f"{type(error).__name__}: {error}"
    sentence = f"this should not have happened: {what}"
    _tell("unforeseen", sentence, {"error": what}, "report it; the ledger is unchanged", args)
    return FAILED


def _tell(
    code: str, sentence: str, facts: dict[str, object], step: str | None, args: list[str]
) -> None:
    """The error document on stdout where JSON was asked for, else the sentence on stderr."""
    if not _wants_json(args):
        sys.stderr.write(f"gpuledger: {sentence}{f'; {step}' if step else ''}\n")
        return
    import json

    error = {"code": code, "sentence": sentence, "facts": facts, "next": step}
    sys.stdout.write(json.dumps({"error": error}, ensure_ascii=False, indent=2) + "\n")


def _wants_json(args: list[str]) -> bool:
    """Whether JSON was asked for; told from the words, since they may not even have been parsed."""
    upto = args.index("--") if "--" in args else len(args)
    return "--json" in args[:upto]


def _unwritten(error: OSError) -> int:
    """Where the answer could not be written: the exit code, and the sentence while stderr works."""
    with suppress(OSError):  # Where nobody is left who could be told.
        sys.stderr.write(f"gpuledger: the answer could not be written: {error.strerror}\n")
        sys.stderr.flush()
    return INPUT_OUTPUT


def _silence() -> None:
    """Let what is left in the buffers go nowhere when the interpreter flushes them at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # Where it has no descriptor to lead elsewhere.
            os.dup2(nowhere, stream.fileno())
