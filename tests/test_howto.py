"""How-to pages show what the program says: each is played from its first command to its last."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpuledger.cli.environment import FORMS
from gpuledger.cli.gang import Gang, environment
from gpuledger.replay.facts import Share
from howto import BLOCK, pages, play, rewritten, text_of

POSIX = pytest.mark.needs("sh", "sed")
ROOT = Path(__file__).resolve().parent.parent


@POSIX
@pytest.mark.parametrize("page", pages())
def test_a_page_shows_what_is_said(page: str, tmp_path: Path) -> None:
    """Every command of a page says, on the ledger that the page makes, what the page shows."""
    blocks = list(play(text_of(page), tmp_path))
    assert blocks
    for block in blocks:
        for one in block:
            assert (one.prompt, one.said) == (one.prompt, one.shown)


@POSIX
def test_a_page_is_written_anew_as_it_is_read(tmp_path: Path) -> None:
    """Prose, files and scenes survive a rewriting, and what is said is put in place."""
    text = (
        '# A page\n\n<!-- file pool.toml -->\n```toml\n[[server]]\nname = "a"\ngpus = 1\n'
        "cpus = 1\n```\n\nAs it was.\n\n<!-- at 2026-07-03T17:40:00Z -->\n<!-- on a -->\n"
        "```console\nada$ gpuledger init --pool pool.toml\nwhatever\nbob$ gpuledger allocate t 1"
        " --here --lease 2h\n```\n\n```sh\nleft alone\n```\n"
    )
    once = rewritten(text, tmp_path)
    assert "made /var/lib/gpuledger/ledger.db: 1 server, 1 GPU, 1 CPU\n" in once
    assert "t: a:0, 1 CPU, until 2026-07-03T19:40:01+00:00 (2h); give back" in once
    assert "whatever" not in once
    again = tmp_path / "again"
    again.mkdir()
    assert rewritten(once, again) == once
    assert once.startswith(text.partition("ada$ ")[0])
    assert once.endswith("\n```\n\n```sh\nleft alone\n```\n")


@pytest.mark.parametrize("page", pages())
def test_a_page_can_be_found_and_read(page: str) -> None:
    """Each page has a title, is named in the README, and knows no block that is not closed."""
    text = text_of(page)
    assert text.startswith("# ")
    assert f"docs/howto/{page}.md" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("```") == 2 * len(BLOCK.findall(text))
    prose = re.sub(r"(?ms)^```.*?^```$", "", text)
    assert max(len(line) for line in prose.splitlines() if not line.startswith("|")) <= 100


def test_every_variable_is_told() -> None:
    """The tables of the page on several servers have each variable that a form sets, no other."""
    shares = (Share("a", (0,), 1), Share("b", (0,), 1))
    told = Gang(7, "train", shares, ("a", "b"), 0)
    made = {name for form in FORMS for name in environment(form, told)}
    rows = re.findall(r"(?m)^\| (`.*?`) \|", text_of("several-servers"))
    assert sorted(re.findall(r"\w+", " ".join(rows))) == sorted(made)
