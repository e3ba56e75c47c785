r"""Printable: text that people gave, made safe to show on a terminal.

A task, a note or a file's name may hold escape sequences, newlines or marks that turn
the writing direction. Such characters are shown as escapes (`\x1b`, `\u202e`), so that
what is printed is what is there and nothing acts on the terminal.
"""

from __future__ import annotations

_JOINERS = "\u200c\u200d"
"""Parts of words in Indic and Persian scripts and of emoji; harmless."""
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(text: str) -> str:
    """The text with every character that is not plain writing shown as an escape."""
    if text.isprintable():
        return text
    return "".join(letter if _plain(letter) else _escape(letter) for letter in text)


def _plain(letter: str) -> bool:
    if letter.isprintable() or letter in _JOINERS:
        return True
    import unicodedata

    return unicodedata.category(letter) == "Zs"


def _escape(letter: str) -> str:
    short = _SHORT.get(letter)
    if short is not None:
        return short
    code = ord(letter)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
