"""Requests: what may be asked, checked before anything is decided.

A malformed request raises BadRequest and changes nothing. Names: 1 to 64 letters of any
script, digits and `._+-`, beginning with a letter or digit. A note: at most 200
characters, none of them a control character.
"""

from __future__ import annotations

import re
import unicodedata

from .errors import BadRequest
from .facts import Asked, AskedExtend, AskedRelease, Placed, Record, Tie

NAME_LENGTH = 64
NOTE_LENGTH = 200
KEY_LENGTH = 200
MOST = 1_000_000
LONGEST_S = 366 * 86_400
DIGITS = 17
"""The longest `@id`: no seq has more than 16 digits."""
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", re.ASCII).fullmatch
"""The names that need no closer look: ASCII is in its composed form."""
NAME_RULE = "1 to 64 letters, digits and . _ + -, beginning with a letter or a digit"


def placed_text(place: Placed) -> str:
    """A place as words: `gpu-server-2`, or `gpu-server-2:0,1`."""
    if place.gpus is None:
        return place.server
    return f"{place.server}:{','.join(map(str, place.gpus))}"


class AllocateRequest(Record, frozen=True):
    """An allocate, checked: `asked` word for word, `on` as places, the holder of `--for`.

    `uid` and `sid` identify the beneficiary where the machine knows him. `tie` is what the
    grant ends with. Of one who waits: `waiting` is the request's id once it stands in line,
    `waiter` the process that waits, told at UDP port `port`, until `give_up` (microseconds UTC).
    """

    asked: Asked
    on: tuple[Placed, ...] = ()
    uid: int | None = None
    sid: str | None = None
    imported: int | None = None
    tie: Tie | None = None
    waiting: int | None = None
    waiter: Tie | None = None
    port: int | None = None
    give_up: int | None = None


def name(field: str, value: str) -> str:
    """The name in its composed form (NFC). Raises BadRequest where it is none."""
    if _PLAIN(value):
        return value
    composed = unicodedata.normalize("NFC", value)
    good = (
        1 <= len(composed) <= NAME_LENGTH
        and composed[0].isalnum()
        and all(map(name_letter, composed))
    )
    if not good:
        raise BadRequest(field, value, NAME_RULE)
    return composed


def name_letter(letter: str) -> bool:
    """Whether a letter may stand in a name."""
    return letter in "._+-" or unicodedata.category(letter)[0] in "LM" or letter.isdecimal()


def note(field: str, value: str | None, most: int = NOTE_LENGTH) -> str | None:
    """A free text in NFC, or None. Raises BadRequest where it is too long or holds control
    characters.
    """
    if value is None:
        return None
    composed = unicodedata.normalize("NFC", value)
    if len(composed) > most:
        raise BadRequest(field, value, f"at most {most} characters")
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in composed):
        raise BadRequest(field, value, "no control characters")
    return composed


def reason(value: str | None) -> str | None:
    """A reason: a note that is not blank; None where none was given."""
    text = note("reason", value)
    if text is not None and not text.strip():
        raise BadRequest("reason", value, "a reason in words")
    return text


def key(value: str | None) -> str | None:
    """A retry key: 1 to 200 characters, no control characters."""
    text = note("key", value, KEY_LENGTH)
    if text == "":
        raise BadRequest("key", value, "1 to 200 characters")
    return text


def count(field: str, value: int) -> int:
    """A count from 1 to 1,000,000. Raises BadRequest otherwise."""
    if isinstance(value, bool) or not 1 <= value <= MOST:
        raise BadRequest(field, value, "a whole number from 1 up")
    return value


def lease(field: str, value: int | None) -> int | None:
    """A lease in seconds, at most 366 days; None where none was asked for.

    Raises BadRequest.
    """
    if value is not None and not 1 <= value <= LONGEST_S:
        raise BadRequest(field, f"{value} s", "a time such as 8h, from 1s to 366d")
    return value


def extend(asked: AskedExtend) -> AskedExtend:
    """The extension, checked and with its names composed. Raises BadRequest."""
    if not asked.tasks:
        raise BadRequest("what to extend", asked.tasks, "tasks or @ids")
    lease("lease", asked.lease)
    tasks = tuple(dict.fromkeys(_task(task) for task in asked.tasks))
    return AskedExtend(tasks, asked.lease, asked.user, asked.force, reason(asked.reason))


def allocate(
    asked: Asked,
    on: tuple[Placed, ...] = (),
    *,
    uid: int | None = None,
    sid: str | None = None,
    tie: Tie | None = None,
) -> AllocateRequest:
    """The request, checked and with its names composed. Raises BadRequest."""
    checked = Asked(
        name("task", asked.task),
        count("GPUs", asked.gpus),
        None if asked.cpus is None else count("CPUs", asked.cpus),
        count("servers", asked.servers),
        asked.on,
        asked.here,
        None if asked.project is None else name("project", asked.project),
        note("note", asked.note),
        asked.beneficiary,
        lease("lease", asked.lease),
    )
    exact = _exact(on)
    if exact and checked.gpus != exact:
        raise BadRequest("GPUs", asked.gpus, f"{exact}, as many as --on names")
    if exact and checked.servers not in (1, len(on)):
        raise BadRequest("servers", asked.servers, f"{len(on)}, as many as --on names")
    if not exact:
        _divides(checked)
    return AllocateRequest(checked, on, uid, sid, tie=tie)


def _exact(on: tuple[Placed, ...]) -> int:
    """How many GPUs `on` names one by one; 0 where it names servers only."""
    named = [place.gpus for place in on if place.gpus is not None]
    if not named:
        return 0
    for gpus in named:
        _ascending(gpus)
    if len(named) < len(on):
        raise BadRequest("on", "SERVER beside SERVER:GPUS", "GPUs for each server, or for none")
    if len({place.server for place in on}) < len(on):
        raise BadRequest("on", on[-1].server, "each server once")
    return sum(map(len, named))


def _divides(asked: Asked) -> None:
    if asked.gpus % asked.servers:
        raise BadRequest(
            "GPUs", asked.gpus, f"a multiple of {asked.servers}, the servers asked for"
        )
    if asked.cpus is not None and asked.cpus % asked.servers:
        raise BadRequest(
            "CPUs", asked.cpus, f"a multiple of {asked.servers}, the servers asked for"
        )


def release(asked: AskedRelease) -> AskedRelease:
    """The release, checked and with its names composed. Raises BadRequest."""
    return _ending(asked, "what to release", "tasks, --mine, --server or --for, one of them")


def cancel(asked: AskedRelease) -> AskedRelease:
    """The same of requests, which are on no server. Raises BadRequest."""
    return _ending(asked, "what to cancel", "tasks, --mine or --for, one of them")


def _ending(asked: AskedRelease, field: str, ways_told: str) -> AskedRelease:
    ways = bool(asked.tasks) + asked.mine + bool(asked.servers)
    alone = asked.user is not None and not ways
    if ways > 1:
        raise BadRequest(field, "told in several ways at once", ways_told)
    if not (ways or alone):
        raise BadRequest(field, None, ways_told)
    tasks = tuple(dict.fromkeys(_task(task) for task in asked.tasks))
    return AskedRelease(
        tasks,
        asked.mine,
        tuple(dict.fromkeys(asked.servers)),
        asked.user,
        asked.force,
        reason(asked.reason),
        asked.if_held,
    )


def _task(text: str) -> str:
    if text.startswith("@"):
        if not (text[1:].isascii() and text[1:].isdecimal() and len(text) <= DIGITS):
            raise BadRequest("task", text, "@ and the number of an allocation")
        return f"@{int(text[1:])}"
    return name("task", text)


def places(on: tuple[Placed, ...]) -> tuple[Placed, ...]:
    """Places to drain or resume, checked. Raises BadRequest."""
    for place in on:
        _ascending(place.gpus)
    return on


def _ascending(gpus: tuple[int, ...] | None) -> None:
    if gpus is not None and (not gpus or tuple(sorted(set(gpus))) != gpus):
        raise BadRequest("on", gpus, "GPU indices in ascending order, each once")
