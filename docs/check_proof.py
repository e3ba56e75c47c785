"""Checks a proof of gpuledger's without gpuledger, by docs/FORMAT.md, section 10.

check_proof.py KEY PROOF CHECKPOINT EVENT    that the event (a line of an export) is in the log
check_proof.py KEY PROOF OLDER NEWER         for a proof made with --from

Python's standard library, and Ed25519 from the package `cryptography`.
"""

# ruff: noqa: D103, T201 - small functions that their names tell
from __future__ import annotations

import base64
import json
import sys
from datetime import datetime
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def checkpoint(note: str, key: str) -> tuple[str, int, bytes]:
    """Origin, size and root of a note that the key has signed."""
    name, key_hash, told = key.strip().split("+", 2)
    public = base64.b64decode(told)
    assert sha256(f"{name}\n".encode() + public).hexdigest()[:8] == key_hash, "the key's hash"
    body, _, lines = note.rpartition("\n\n")
    for line in lines.splitlines():
        mark, signer, signature = line.split(" ")
        raw = base64.b64decode(signature)
        if mark == "—" and signer == name and raw[:4].hex() == key_hash:
            Ed25519PublicKey.from_public_bytes(public[1:]).verify(raw[4:], f"{body}\n".encode())
            origin, size, root = body.split("\n")[:3]
            return origin, int(size), base64.b64decode(root)
    raise AssertionError("not signed by that key")


def spelled(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def leaf(line: str, ledger: str) -> tuple[int, bytes]:
    """Seq and hash of an event of the ledger's export, made anew from what it says, once each."""
    told = json.loads(line)
    data = line[line.index('"data":') + 7 : line.rindex("}")]
    once = spelled({**told, "source": f"gpuledger:{ledger}", "data": 0})
    assert told.get("data_base64", line.strip()) == f"{once[:-2]}{data}}}", "no export's line"
    moment = datetime.fromisoformat(told["time"]) - datetime.fromisoformat("1970-01-01T00:00:00Z")
    at = (moment.days * 86_400 + moment.seconds) * 1_000_000 + moment.microseconds
    seq, kind = int(told["id"]), told["type"].removeprefix("gpuledger.")
    front = spelled([1, seq, at, kind, told["version"], told["actor"], told.get("key")])
    covered = f'{front[:-1]},{data},"{told["prev"]}"]'
    return seq, sha256(b"\0" + covered.encode()).digest()


def climb(index: int, last: int, steps: list[bytes]) -> tuple[bytes, bytes]:
    """The roots that hashes lead to: over the leaves up to `index`, and over all up to `last`."""
    old = new = steps[0]
    for one in steps[1:]:
        assert last, "too many hashes"
        if index & 1 or index == last:
            old, new = (sha256(b"\1" + one + right).digest() for right in (old, new))
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            new = sha256(b"\1" + new + one).digest()
        index, last = index >> 1, last >> 1
    assert not last, "too few hashes"
    return old, new


def main(key: str, proof: str, one: str, other: str) -> None:
    head, _, note = proof.partition("\n\n")
    kind, number, *told = head.split("\n")
    at, path = int(number.split(" ")[1]), [base64.b64decode(line) for line in told]
    if kind == "c2sp.org/tlog-proof@v1":
        origin, size, root = checkpoint(one, key)
        assert checkpoint(note, key) == (origin, size, root), "the proof is for another checkpoint"
        seq, digest = leaf(other, origin.split("/")[1])
        assert at == seq - int(([*origin.split("/"), "1"])[2]), "the proof is for another event"
        assert climb(at, size - 1, [digest, *path])[1] == root, "it leads to another root"
        return
    old, new = checkpoint(one, key), checkpoint(other, key)
    assert checkpoint(note, key) == new, "the proof is for another checkpoint"
    assert (*old[:2], 0 < at <= new[1]) == (new[0], at, True), "it is from another checkpoint"
    steps = [old[2], *path] if not old[1] & (old[1] - 1) else path
    index, last = old[1] - 1, new[1] - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    assert (old[1:] == new[1:] and not path) or climb(index, last, steps) == (old[2], new[2])


if __name__ == "__main__":
    main(*map(text, sys.argv[1:5]))
    print("ok")
