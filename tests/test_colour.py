"""Colour: on a terminal alone, and not there either where NO_COLOR asks for none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from conftest import RunCli
from console import SMALL, Console
from terminal import plain, terminal

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SCREENS = ("status", "status --gpus", "list", "history", "pool show", "audit usage")


@pytest.fixture
def console(run_cli: RunCli, ledger_path: Path) -> Console:
    made = Console(run_cli, ledger_path)
    made.says(SMALL)
    made.says("allocate train 2 16")
    made.says("drain gpu-server-1:3")
    return made


@pytest.mark.needs("linux", "setsid")
@pytest.mark.parametrize("words", ["status", "list"])
def test_no_color_takes_the_colour_alone(
    console: Console,
    cli_command: Sequence[str],
    cli_env: Mapping[str, str],
    tmp_path: Path,
    words: str,
) -> None:
    """With NO_COLOR a terminal shows the same frame and words, without any colour."""
    shown = {}
    for value in (None, "1"):
        environ = {**cli_env, **console.environ, **({} if value is None else {"NO_COLOR": value})}
        with terminal([*cli_command, words], environ, cwd=tmp_path) as screen:
            shown[value] = screen.rest()
            assert screen.ends() == 0
    assert "\x1b[33m" in shown[None] or words != "status", "what is drained calls for attention"
    assert COLOUR.search(shown[None])
    coloured = re.findall(r"\x1b\[([0-9;]*)m", shown["1"])
    assert [one for one in coloured if re.search(r"(^|;)(3|4|9)\d", one)] == []
    first, second = (re.sub(r" +\d+s │", " <time> │", plain(one)) for one in shown.values())
    assert first == second
    assert first.startswith("╭")


@pytest.mark.parametrize("words", SCREENS)
def test_a_pipe_gets_neither_colour_nor_frame(console: Console, words: str) -> None:
    """Piped, nothing is coloured or framed, whatever colour the environment asks for."""
    out, err = console.ends(0, words)
    asking = {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "TERM": "xterm-256color"}
    console.environ.update(asking)
    forced, _ = console.ends(0, words)
    for text in (out, err, forced):
        assert "\x1b" not in text
        assert not set(text) & set("╭│─")


@pytest.mark.needs("linux", "setsid")
def test_an_error_is_a_plain_sentence(
    console: Console, cli_command: Sequence[str], cli_env: Mapping[str, str], tmp_path: Path
) -> None:
    """On a terminal, too, what failed is one sentence without colour or frame."""
    environ = {**cli_env, **console.environ}
    with terminal([*cli_command, "release", "nothing"], environ, cwd=tmp_path) as screen:
        text = screen.rest()
        assert screen.ends() == 3
    assert text == "gpuledger: no task 'nothing' runs; gpuledger list shows what runs\r\n"
