"""`--export` stands alone or with a form, and takes no word that made sense without it."""

from __future__ import annotations

import click
import pytest

from gpuledger.cli.commands.allocate import command
from gpuledger.cli.environment import FORMS
from gpuledger.cli.optionalvalue import spelled_out
from gpuledger.replay.errors import BadRequest

ALONE = {
    "train 2 --export": "train 2 --export=",
    "train --export 2": "train --export= 2",
    "--export train 2": "--export= train 2",
    "--export train 2 16": "--export= train 2 16",
    "--export mpi 2": "--export= mpi 2",
    "--export mpi 2 16": "--export= mpi 2 16",
    "--on gpu-server-0 --export slurm 2": "--on gpu-server-0 --export= slurm 2",
    "--export torchrun 2 --note mpi": "--export= torchrun 2 --note mpi",
    "train 2 --export bogus": "train 2 --export= bogus",
}
WITH_FORM = {
    "train 2 --export=mpi": "train 2 --export=mpi",
    "train 2 --export mpi": "train 2 --export=mpi",
    "train 2 16 --export torchrun": "train 2 16 --export=torchrun",
    "train --export slurm 2": "train --export=slurm 2",
    "--export torchrun train 2": "--export=torchrun train 2",
    "--export torchrun train 2 16": "--export=torchrun train 2 16",
    "--export mpi --servers 2 mpi 2": "--export=mpi --servers 2 mpi 2",
    "--export mpi 2 16 64": "--export=mpi 2 16 64",
    "--export mpi": "--export=mpi",
    "--export mpi t 1 --export slurm": "--export=mpi t 1 --export=slurm",
}
LEFT = ["train 2", "train 2 --note --export", "train 2 -- --export mpi", "train 2 --short"]


def settled(line: str) -> str:
    """A command line with each `--export` bound to its value."""
    words = line.split()
    return " ".join(spelled_out(command, click.Context(command), words))


@pytest.mark.parametrize("line", ALONE)
def test_alone_it_takes_nothing(line: str) -> None:
    """What was a command line before there were forms means what it meant."""
    assert settled(line) == ALONE[line]


@pytest.mark.parametrize("line", WITH_FORM)
def test_a_form_may_stand_behind_it(line: str) -> None:
    """A known word that could not be anything else is the form."""
    assert settled(line) == WITH_FORM[line]


@pytest.mark.parametrize("line", LEFT)
def test_nothing_else_is_touched(line: str) -> None:
    """A value of another option and what stands behind `--` are none of its business."""
    assert settled(line) == line


def parsed(line: str) -> dict[str, object]:
    """What the command makes of a line."""
    return command.make_context("allocate", line.split()).params


@pytest.mark.parametrize(("line", "form"), [("--export t 2", ""), ("t 2", None)])
def test_what_the_command_gets(line: str, form: str | None) -> None:
    """An empty text where it stands alone, None where it does not stand there."""
    assert (parsed(line)["export"], parsed(line)["task"]) == (form, "t")
    assert [parsed(f"t 2 --export {one}")["export"] for one in FORMS] == list(FORMS)


def test_a_word_that_is_no_form() -> None:
    """Behind an equals sign only a form may stand."""
    with pytest.raises(BadRequest) as caught:
        parsed("t 2 --export=bogus")
    assert caught.value.expected == "torchrun, mpi or slurm, or no value"
