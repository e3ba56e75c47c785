"""How wide a text stands on a terminal: Chinese letters take two places, marks none."""

from __future__ import annotations

ELLIPSIS = "…"


def display_width(text: str) -> int:
    """The number of places that a printable text takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0
        if unicodedata.category(letter) in ("Mn", "Me", "Cf")
        else 2
        if unicodedata.east_asian_width(letter) in "WF"
        else 1
        for letter in text
    )


def padded(text: str, width: int, *, right: bool = False) -> str:
    """The text filled up with spaces to a width; `right` aligns it there."""
    spaces = " " * (width - display_width(text))
    return spaces + text if right else text + spaces


def clipped(text: str, width: int, mark: str = ELLIPSIS) -> str:
    """The text cut to a width, with a mark where something is missing."""
    if display_width(text) <= width:
        return text
    kept = ""
    for letter in text:
        if display_width(kept + letter) > width - len(mark):
            break
        kept += letter
    return (kept + mark)[:width]
