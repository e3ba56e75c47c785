"""The tree over the log: RFC 6962's own figures, an independent implementation, every size."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InclusionProof, InmemoryTree, verify_consistency, verify_inclusion

from gpuledger.ledger import merkle
from gpuledger.ledger.merkle import WIDTH, Fetch, complete
from plain_tree import plain_root

LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657",
          "606162636465666768696a6b6c6d6e6f"]  # fmt: skip
"""The leaves of Certificate Transparency's reference tests (RFC 6962)."""

ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Their roots for sizes 1 to 8."""

INCLUSION = {
    (0, 1): [],
    (0, 8): ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
             "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"],
    (5, 8): ["bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
             "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
             "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
             "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"],
}  # fmt: skip

CONSISTENCY = {
    (1, 1): [],
    (1, 8): ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
             "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"],
    (6, 8): ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
             "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
             "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"],
    (2, 5): ["5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"],
}  # fmt: skip


def leaf(data: bytes) -> bytes:
    return sha256(b"\0" + data).digest()


def fetching(leaves: Sequence[bytes]) -> Fetch:
    """Subtrees of leaves that lie in a list."""

    def fetch(level: int, first: int, count: int) -> Sequence[bytes]:
        size = WIDTH**level
        return [complete(leaves[n * size : (n + 1) * size]) for n in range(first, first + count)]

    return fetch


VECTOR = [leaf(bytes.fromhex(told)) for told in LEAVES]


def hexes(path: Sequence[bytes]) -> list[str]:
    return [one.hex() for one in path]


def test_the_roots_of_the_reference_tests() -> None:
    """Sizes 0 to 8."""
    fetch = fetching(VECTOR)
    assert [merkle.root(fetch, size).hex() for size in range(1, 9)] == ROOTS
    assert merkle.root(fetch, 0) == sha256(b"").digest()


@pytest.mark.parametrize(("where", "path"), INCLUSION.items())
def test_the_inclusion_proofs_of_the_reference_tests(
    where: tuple[int, int], path: list[str]
) -> None:
    """Made as there, and accepted."""
    index, size = where
    found = merkle.inclusion(fetching(VECTOR), index, size)
    assert hexes(found) == path
    assert merkle.includes(VECTOR[index], index, size, found, bytes.fromhex(ROOTS[size - 1]))


@pytest.mark.parametrize(("sizes", "path"), CONSISTENCY.items())
def test_the_consistency_proofs_of_the_reference_tests(
    sizes: tuple[int, int], path: list[str]
) -> None:
    """Made as there, and accepted."""
    old, new = sizes
    found = merkle.consistency(fetching(VECTOR), old, new)
    assert hexes(found) == path
    heads = [(size, bytes.fromhex(ROOTS[size - 1])) for size in sizes]
    assert merkle.extends(heads[0], heads[1], found)


MANY = [leaf(b"%d" % number) for number in range(1100)]


@given(st.integers(1, 1100), st.data())
def test_every_root_and_every_proof(size: int, data: st.DataObject) -> None:
    """Over tiles and edges: the plain root; each proof proves its own and nothing else."""
    fetch, old = fetching(MANY), data.draw(st.integers(1, size))
    head, before = merkle.root(fetch, size), merkle.root(fetch, old)
    assert head == plain_root(MANY[:size])
    path = merkle.inclusion(fetch, old - 1, size)
    assert merkle.includes(MANY[old - 1], old - 1, size, path, head)
    assert not merkle.includes(MANY[old % len(MANY)], old - 1, size, path, head)
    assert not merkle.includes(MANY[old - 1], old, size, path, head)
    assert not merkle.includes(MANY[old - 1], old - 1, size, [*path, head], head)
    steps = merkle.consistency(fetch, old, size)
    assert merkle.extends((old, before), (size, head), steps)
    assert not merkle.extends((old, bytes(32)), (size, head), steps)
    assert not merkle.extends((old, before), (size, head), [*steps, head])
    if path:
        assert not merkle.includes(MANY[old - 1], old - 1, size, path[:-1], head)
    if steps:
        assert not merkle.extends((old, before), (size, head), steps[:-1])


@given(st.integers(1, 600), st.data())
def test_an_independent_implementation_agrees(size: int, data: st.DataObject) -> None:
    """pymerkle, which never heard of gpuledger: the same roots, and it accepts both proofs."""
    other = InmemoryTree(algorithm="sha256")
    events = [b"event %d" % number for number in range(size)]
    for event in events:
        other.append_entry(event)
    leaves = [leaf(event) for event in events]
    old = data.draw(st.integers(1, size))
    fetch = fetching(leaves)
    assert merkle.root(fetch, size) == other.get_root(size)
    included = other.prove_inclusion(old, size)
    ours = [leaves[old - 1], *merkle.inclusion(fetch, old - 1, size)]
    proof = InclusionProof("sha256", True, size, old, included.rule, ours)
    verify_inclusion(leaves[old - 1], merkle.root(fetch, size), proof)
    consistent = other.prove_consistency(old, size)
    verify_consistency(merkle.root(fetch, old), merkle.root(fetch, size), consistent)
    assert merkle.extends(
        (old, other.get_root(old)), (size, other.get_root(size)),
        merkle.consistency(fetch, old, size),
    )  # fmt: skip
