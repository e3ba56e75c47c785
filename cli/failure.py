"""How a command ends: its exit code, and the one sentence where it failed.

Also where the reader of stdout is gone (141, in silence), where Ctrl-C was pressed (130)
and where a disk is full. A failure that nobody foresaw says so in a sentence, too; with
`GPULEDGER_TRACEBACK` in the environment it shows where it happened.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

import click

from ..ledger.errors import GpuledgerError
from . import exit as exits
from .output import NO_ANSWER, Closed, Unanswered, json_text, plain, ready_streams
from .printable import printable
from .said import Said
from .usage import usage_said
from .words import _


def ended(run: Callable[[list[str]], None], args: list[str]) -> int:
    """Run one command; its exit code, when all that there is to say has been said."""
    ready_streams()
    try:
        code = _run(run, args)
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = exits.PIPE_CLOSED
    except OSError as error:
        code = _unwritten(error)
    except KeyboardInterrupt:
        code = exits.INTERRUPTED
    if code in (exits.PIPE_CLOSED, exits.STORAGE):
        _silence()
    return code


def _run(run: Callable[[list[str]], None], args: list[str]) -> int:
    try:
        run(args)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        return exits.INTERRUPTED
    except click.ClickException as error:
        return _usage(error, args)
    except GpuledgerError as error:
        return _failed(error, args)
    except Exception as error:  # noqa: BLE001 - the last resort: a sentence, not a traceback
        return _unforeseen(error, args)
    return exits.OK


def _failed(error: GpuledgerError, args: list[str]) -> int:
    from .sentence import said

    _tell(error.code, said(error), error.facts, args)
    return exits.exit_code(error)


def _usage(error: click.ClickException, args: list[str]) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        sys.stderr.write(f"{error.format_message()}\n")
        return exits.USAGE
    _tell("usage", usage_said(error), {}, args)
    return exits.USAGE


def _unforeseen(error: Exception, args: list[str]) -> int:
    """What nobody thought of: a sentence all the same. What stdout did not take goes on up."""
    unwritten = isinstance(error, OSError) and error.errno in NO_ANSWER
    if unwritten or os.environ.get("GPULEDGER_TRACEBACK"):
        raise error
    if isinstance(error, FileNotFoundError) and _nowhere():
        from .location import NoWorkingDirectory

        return _failed(NoWorkingDirectory(), args)
    what = printable(f"{type(error).__name__}: {error}")
    said = Said(
        _("this should not have happened: {what}").format(what=what),
        _("please report it with the command that you typed"),
    )
    _tell("unforeseen", said, {"error": what}, args)
    return exits.FAILED


def _nowhere() -> bool:
    """Whether the working directory is gone, so that no relative path leads anywhere."""
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def _tell(code: str, said: Said, facts: Mapping[str, object], args: list[str]) -> None:
    """The error document on stdout where JSON was asked for, else the sentence on stderr."""
    if not _wants_json(args):
        sys.stderr.write(f"gpuledger: {said.text}\n")
        return
    error = {"code": code, "sentence": said.sentence, "facts": plain(facts), "next": said.next}
    sys.stdout.write(json_text({"error": error}) + "\n")


def _wants_json(args: list[str]) -> bool:
    """Whether JSON was asked for; told from the words, since they may not even have been parsed."""
    upto = args.index("--") if "--" in args else len(args)
    return "--json" in args[:upto]


def _unwritten(error: OSError) -> int:
    """Where the answer could not be written: the exit code, and the sentence while stderr works."""
    told = _("the answer could not be written: {why}").format(why=error.strerror)
    if isinstance(error, Unanswered):
        told = f"{told}; {error.done}"
    with suppress(OSError):  # Where nobody is left who could be told.
        sys.stderr.write(f"gpuledger: {told}\n")
        sys.stderr.flush()
    return exits.STORAGE


def _silence() -> None:
    """Let what is left in the buffers go nowhere when the interpreter flushes them at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # Where it has no descriptor to lead elsewhere.
            os.dup2(nowhere, stream.fileno())
    if isinstance(getattr(getattr(sys.stdout, "buffer", None), "raw", None), Closed):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for good
