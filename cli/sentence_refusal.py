"""What is said about a request that was turned down: what is free, who holds what, what to try."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .hostrange import gpu_text
from .said import Facts, Said
from .sentence_limit import limit
from .words import _, bare, cpu_count, gpu_count, ids

MOST_HOLDERS = 3


def refused(facts: Facts) -> Said:
    """The sentence for a refusal, by its reason."""
    speak = BY_REASON.get(str(facts.raw("reason")))
    if speak is None:
        return Said(
            _("this was turned down: {reason}").format(reason=facts.text("reason")),
            _("gpuledger status shows what is free"),
        )
    return speak(facts)


class _Wish:
    """What was asked of an allocate, from a record or from facts that lack it."""

    def __init__(self, asked: Any) -> None:  # noqa: ANN401 — a record or nothing
        self.gpus: int = getattr(asked, "gpus", 0)
        self.cpus: int | None = getattr(asked, "cpus", None)
        self.servers: int = max(1, getattr(asked, "servers", 1))
        self.on: tuple[str, ...] = getattr(asked, "on", ())
        self.here: bool = getattr(asked, "here", None) is not None
        self.beneficiary: str | None = getattr(asked, "beneficiary", None)

    @property
    def each_gpus(self) -> int:
        return self.gpus // self.servers

    @property
    def each_cpus(self) -> int:
        return (self.cpus or 0) // self.servers

    def there(self, sentence: str) -> str:
        """The sentence with the servers that were named in front of it."""
        if not self.on:
            return sentence
        places = ", ".join(bare(one) for one in self.on[:MOST_HOLDERS])
        more = ", …" if len(self.on) > MOST_HOLDERS else ""
        return _("on {places}: {sentence}").format(places=places + more, sentence=sentence)


def _never(facts: Facts) -> Said:
    wish, most = _Wish(facts.raw("asked")), facts.number("most")
    if wish.here and not wish.on and wish.servers > 1:
        sentence = _("--here means one server, and {servers} were asked for")
        return Said(sentence.format(servers=wish.servers), _("leave --here away, or --servers"))
    if wish.each_gpus > most:
        sentence = _("no server has {gpus}, the largest has {most}").format(
            gpus=gpu_count(wish.each_gpus), most=most
        )
        step = _("ask for at most {most}") if len(wish.on) == 1 else _(
            "ask for at most {most}, or spread them over several with --servers N"
        )  # fmt: skip
        return Said(wish.there(sentence), step.format(most=most))
    if wish.servers == 1:
        sentence = _("no server has {gpus} and {cpus} together, not even when idle")
    elif wish.cpus is None:
        sentence = _("there are not {servers} servers with {gpus} each, not even idle")
    else:
        sentence = _("there are not {servers} servers with {gpus} and {cpus} each, not even idle")
    return Said(
        wish.there(
            sentence.format(
                servers=wish.servers, gpus=gpu_count(wish.each_gpus), cpus=cpu_count(wish.each_cpus)
            )
        ),
        _("ask for less, as gpuledger status shows what each server has"),
    )


def _not_permitted(facts: Facts) -> Said:
    act, held = str(facts.raw("act")), facts.items("held")
    ask = _("ask an admin; gpuledger pool show names them")
    if act == "allocate":
        return Said(_("allocating for {user} is for admins").format(user=facts.text("user")), ask)
    if act in ("release", "extend", "cancel") and held:
        runs = ", ".join(
            _("{task} ({id}) is {user}'s").format(
                task=bare(one.task), id=ids([one.allocation]), user=bare(one.user)
            )
            for one in held[:MOST_HOLDERS]
        )
        return Said(
            runs + (", …" if len(held) > MOST_HOLDERS else ""),
            _("ask {user}, or an admin, who can do it with --force --reason TEXT").format(
                user=bare(held[0].user)
            ),
        )
    return Said(_("{act} is for admins").format(act=facts.text("act")), ask)


def _passed(first: Any) -> Said:  # noqa: ANN401 — a record
    return Said(
        _("{user}'s {task} ({id}), which this passed in line, would start later for it").format(
            user=bare(first.user), task=bare(first.task), id=ids([first.request])
        ),
        _("let it end in time, or ask an admin, who can do it with --force --reason TEXT"),
    )


def _waiting(facts: Facts) -> Said:
    wish, ahead = _Wish(facts.raw("asked")), facts.items("ahead")
    if facts.raw("act") == "extend" and ahead:
        return _passed(ahead[0])
    sentence = _("{gpus} would be free, but others wait in line for them")
    if ahead:
        sentence = _("{gpus} would be free, but {user}'s {task} ({id}) waits in line for them")
        first = ahead[0]
        return Said(
            wish.there(
                sentence.format(
                    gpus=gpu_count(wish.gpus),
                    user=bare(first.user),
                    task=bare(first.task),
                    id=ids([first.request]),
                )
            ),
            _("stand in line with --wait; a --lease that ends soon enough may pass"),
        )
    return Said(
        wish.there(sentence.format(gpus=gpu_count(wish.gpus))),
        _("stand in line with --wait"),
    )


def _drained(facts: Facts) -> Said:
    wish = _Wish(facts.raw("asked"))
    return Said(
        wish.there(
            _("{gpus} would be free if nothing were drained").format(gpus=gpu_count(wish.gpus))
        ),
        _("try again later; gpuledger status --gpus shows what is drained"),
    )


def _no_gpus(facts: Facts) -> Said:
    wish, free, held = _Wish(facts.raw("asked")), facts.number("gpus_free"), facts.items("held")
    if held:
        return Said(_holders(held), _("name other GPUs, or try again later"))
    none = _("no GPU is free, {asked} were asked for") if wish.gpus > 1 else _("no GPU is free")
    some = _(
        "{free} GPU is free, {asked} were asked for",
        "{free} GPUs are free, {asked} were asked for",
        free,
    )
    return Said(
        wish.there((some if free else none).format(free=free, asked=wish.gpus)), _less(facts, wish)
    )


def _no_cpus(facts: Facts) -> Said:
    wish = _Wish(facts.raw("asked"))
    if wish.cpus is not None:
        free = facts.number("cpus_free")
        if free < wish.cpus:
            sentence = _(
                "{free} CPU is free, {asked} were asked for",
                "{free} CPUs are free, {asked} were asked for",
                free,
            ).format(free=free, asked=wish.cpus)
        else:
            sentence = _("no server has {gpus} and {cpus} free together").format(
                gpus=gpu_count(wish.each_gpus), cpus=cpu_count(wish.each_cpus)
            )
        return Said(
            wish.there(sentence), _spread(facts) or _("try again later, or with fewer CPUs")
        )
    return Said(
        wish.there(
            _("{gpus} are free, but too few CPUs beside them").format(gpus=gpu_count(wish.gpus))
        ),
        _spread(facts) or _("try again later, or say how many CPUs are enough"),
    )


def _fragmented(facts: Facts) -> Said:
    wish = _Wish(facts.raw("asked"))
    sentence = _(
        "{free} GPU is free, at most {largest} on one server",
        "{free} GPUs are free, at most {largest} on one server",
        facts.number("gpus_free"),
    ).format(free=facts.number("gpus_free"), largest=facts.number("largest"))
    return Said(wish.there(sentence), _spread(facts) or _less(facts, wish))


def _spread(facts: Facts) -> str | None:
    """The number of servers over which it would fit now, where there is one."""
    servers = facts.number("servers")
    return _("try --servers {servers}").format(servers=servers) if servers > 1 else None


def _less(facts: Facts, wish: _Wish) -> str:
    largest = facts.number("largest")
    if wish.servers == 1 and 0 < largest < wish.gpus:
        return _("try again later, or ask for at most {largest}").format(largest=largest)
    return _("try again later")


def _holders(held: tuple[Any, ...]) -> str:
    """`gpu-server-2:0-1 is held by ada for train (@12)`, the first few; `may be` behind a gap."""
    sure = _("{gpus} is held by {user} for {task} ({id})")
    unsure = _("{gpus} may be held by {user} for {task} ({id}), which a gap leaves open")
    grouped: dict[tuple[str, int], list[Any]] = {}
    for one in held:
        grouped.setdefault((one.server, one.allocation), []).append(one)
    told = [
        (unsure if some[0].uncertain else sure).format(
            gpus=f"{server}:{gpu_text(one.gpu for one in some)}",
            user=bare(some[0].user),
            task=bare(some[0].task),
            id=ids([number]),
        )
        for (server, number), some in grouped.items()
    ]
    return ", ".join(told[:MOST_HOLDERS]) + (", …" if len(told) > MOST_HOLDERS else "")


BY_REASON: Mapping[str, Callable[[Facts], Said]] = {
    "never": _never,
    "not_permitted": _not_permitted,
    "limit": limit,
    "drained": _drained,
    "no_gpus": _no_gpus,
    "no_cpus": _no_cpus,
    "fragmented": _fragmented,
    "waiting": _waiting,
}
