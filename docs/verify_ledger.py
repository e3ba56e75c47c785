"""A second reader, written from docs/FORMAT.md alone: it shares no code with gpuledger.

`verify_ledger.py LEDGER [MICROSECONDS ...]` prints head, faults, gaps, and who held what at an
instant: behind a gap those alone who were granted it since.
"""
# ruff: noqa: ANN401, D103, T201 - any JSON is read; small functions say it by name

import json
import sqlite3
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any


def integer(text: str) -> int | str:
    return int(text) if abs(int(text)) < 2**53 else text


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def event_hash(row: tuple[Any, ...]) -> bytes:
    seq, at, kind, version, actor, key, data, prev, _ = row
    front = canonical([1, seq, at, kind.decode(), version, actor.decode(), key and key.decode()])
    return sha256(b"\0" + front[:-1] + b"," + data + b',"' + prev.hex().encode() + b'"]').digest()


def check(pool: Any, running: Any, name: str) -> None:
    """Raise where a server has not the GPUs or the CPUs for the shares that run there."""
    cpus, cards = pool[name]
    shares = [share for taken in running.values() for share in taken if share["server"] == name]
    gpus = [gpu for share in shares for gpu in share["gpus"]]
    if len(set(gpus)) < len(gpus) or not set(gpus) <= cards.keys():
        raise ValueError("a GPU is held twice, or is not there")
    if sum(share["cpus"] for share in shares) > cpus or any(share["cpus"] < 0 for share in shares):
        raise ValueError("more CPUs than there are, or fewer than none")


def settle(pool: Any, running: Any, server: Any, there: bool) -> None:
    """Give a server its facts; raise where a held card goes. One with another UUID is another."""
    name, cards = server["name"], {card["index"]: card.get("uuid") for card in server["gpus"]}
    if (name in pool) != there or len(cards) < len(server["gpus"]):
        raise ValueError("a server is not there, or is already, or has a GPU twice")
    before = pool[name][1] if there else {}
    same = {gpu: uuid for gpu, uuid in cards.items() if len({uuid, before.get(gpu), None}) < 3}
    pool[name] = server["cpus"], same
    check(pool, running, name)
    pool[name] = server["cpus"], cards


def stand(running: Any, seq: int, kind: str, data: Any) -> None:
    """Requests wait beside what runs, holding nothing; raise where what is named does not."""
    for number in data.get("requests", []):
        del running[number, "waits"]
    running.pop((data.get("request"), "waits"), None)
    if kind == "request.queued":
        running[seq, "waits"], places = [], data.get("places", [])
        asked = {"cpus": 1, "servers": 1, **data["asked"]}
        gpus = [one["gpus"] for one in places if one.get("gpus") is not None]
        alike = not gpus or len({one["server"] for one in places}) == len(gpus) == len(places)
        clear = all(one and one == sorted(set(one)) for one in gpus)
        if min(asked["gpus"], asked["cpus"], asked["servers"]) < 1 or not (alike and clear):
            raise ValueError("it asks for nothing, or its places are unclear")
    longer = [one["allocation"] for one in data.get("extensions", [])]
    if len(set(longer)) < len(longer) or not set(longer) <= running.keys():
        raise ValueError("what is extended does not run, or is named twice")


def fold(pool: Any, running: Any, seq: int, kind: str, data: Any) -> None:
    """Change pool and running allocations as the event says; raise where it is void."""
    stand(running, seq, kind, data)
    for number in [*data.get("allocations", []), *data.get("ended", [])]:
        del running[number]
    left = [number for number in running if type(number) is int]
    if (kind == "ledger.reset" and left) or (kind == "ledger.created" and pool):
        raise ValueError("it leaves allocations, or there is a pool already")
    if kind == "allocation.granted":
        running[seq] = data["servers"]
        for share in data["servers"]:
            check(pool, running, share["server"])
    for name in data.get("removed", []):
        settle(pool, running, {"name": name, "cpus": 0, "gpus": []}, there=True)
        del pool[name]
    for server in data.get("changed", []):
        settle(pool, running, server, there=True)
    for server in data["pool"]["servers"] if "pool" in data else data.get("added", []):
        settle(pool, running, server, there=False)


def named(data: bytes) -> list[tuple[int, int, str, str]]:
    """The gaps that a record names."""
    try:
        gaps = json.loads(data)["gaps"]
        return [(one["first"], one["last"], one["before"], one["after"]) for one in gaps]
    except (ValueError, KeyError, TypeError):
        return []


def since(running: Any, seq: int, kind: str, data: Any) -> None:
    """The same behind a gap, where only what was granted since certainly runs."""
    for number in [*data.get("allocations", []), *data.get("ended", [])]:
        running.pop(number, None)
    running |= {seq: data["servers"]} if kind == "allocation.granted" else {}


def verify(path: str, instants: list[int]) -> dict[str, Any]:
    log = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
    log.text_factory = bytes
    rows = log.execute("SELECT * FROM events ORDER BY seq").fetchall()
    log.close()
    held: dict[int, dict[str, int]] = {instant: {} for instant in instants}
    pool, running, wrong, lost, head, at = {}, {}, [], [], (0, bytes(32)), 0
    ends: dict[int, int] = {}
    holes = {hole for row in rows if row[2] == b"gap.recorded" for hole in named(row[6])}
    for row, until in zip(rows, [*(row[1] for row in rows[1:]), 2**63], strict=True):
        if (head[0] + 1, row[0] - 1, head[1].hex(), row[7].hex()) in holes:
            lost, running, head = [*lost, [head[0] + 1, row[0] - 1]], {}, (row[0] - 1, row[7])
        try:
            if (row[0] - 1, row[7]) != head or row[1] < at or event_hash(row) != row[8]:
                wrong.append(f"{row[0]}: it does not fit its hash, or what is before it")
            data = json.loads(row[6], parse_int=integer, parse_float=str, parse_constant=str)
            if canonical(data) != row[6]:
                wrong.append(f"{row[0]}: its data is not canonical")
            trial = dict(pool), dict(running)
            story = (row[0], row[2].decode(), data)
            since(trial[1], *story) if lost else fold(*trial, *story)
            pool, running = trial
            if row[2] == b"allocation.granted" and "lease" in data:
                ends[row[0]] = row[1] + data["lease"] * 10**6
            ends.update((one["allocation"], one["until"]) for one in data.get("extensions", []))
        except (ValueError, KeyError) as error:  # void as a whole, or no JSON at all
            wrong.append(f"{row[0]}: {error!r}")
        head, at = (row[0], row[8]), row[1]
        for instant in (one for one in instants if at <= one < until):
            runs = [one for one in running.items() if ends.get(one[0], instant + 1) > instant]
            shares = ((number, it) for number, taken in runs for it in taken)
            held[instant] = {f"{it['server']}:{gpu}": n for n, it in shares for gpu in it["gpus"]}
    return {"head": [head[0], head[1].hex()], "wrong": wrong, "held": held, "lost": lost}


if __name__ == "__main__":
    print(json.dumps(found := verify(sys.argv[1], [int(word) for word in sys.argv[2:]])))
    sys.exit(bool(found["wrong"]))
