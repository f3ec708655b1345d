"""The tree of the history: what is a leaf, what proves what, and what is no proof."""

import base64
import hashlib
import json
import random
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.history import (
    EMPTY_ROOT,
    Node,
    Span,
    consistency_spans,
    extends,
    holds_subtree,
    includes,
    inclusion_spans,
    leaf,
    leaf_hash,
    leaf_hashes,
    node_hash,
    span_hash,
)
from domain.history_tiles import (
    TILE_BYTES,
    RightEdge,
    Tile,
    edge_tiles,
    hash_in_tile,
    parse_tile_path,
    tile_of,
    width_of,
)
from services.log import LoggedEvent

RECORD = UUID("00112233-4455-6677-8899-aabbccddeeff")
MANY = 1_300
"""Enough leaves for two full levels of tiles and a bit."""
HASHES = [leaf_hash(number.to_bytes(2, "big")) for number in range(MANY)]
VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "rfc6962_proofs.json").read_text()
)


def an_event(topic: str = "tests:Happened", version: int = 1, state: bytes = b"{}") -> LoggedEvent:
    return LoggedEvent(7, RECORD, version, topic, state)


def by_the_book(hashes: list[bytes]) -> bytes:
    """The Merkle tree hash, word by word as in RFC 6962."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return hashlib.sha256(b"\x01" + by_the_book(hashes[:k]) + by_the_book(hashes[k:])).digest()


class Grown:
    """A tree that grew in steps, with the tiles that came of it."""

    def __init__(self, size: int, steps: random.Random | None = None) -> None:
        self.edge = RightEdge()
        self.tiles: dict[tuple[int, int], bytes] = {}
        while self.edge.size < size:
            step = steps.randint(1, 600) if steps else size
            self.tiles |= self.edge.add(HASHES[self.edge.size : min(size, self.edge.size + step)])

    def read(self, node: Node) -> bytes:
        return hash_in_tile(node, self.tiles[tile_of(node)])

    def proof(self, spans: list[Span]) -> list[bytes]:
        return [span_hash(span, self.read) for span in spans]


# ---- leaves --------------------------------------------------------------------------------------------


def test_a_leaf_is_what_its_table_says_byte_by_byte() -> None:
    assert leaf(an_event("a:B", 258, b'{"x":1}')) == (
        b"\x01"
        b"\x00\x00\x00\x03a:B"
        b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"
        b"\x00\x00\x00\x00\x00\x00\x01\x02"
        b'\x00\x00\x00\x07{"x":1}'
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(max_size=40), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=200))))
def test_many_leaves_are_hashed_as_each_one_is(parts: list[tuple[str, int, bytes]]) -> None:
    events = [an_event(*part) for part in parts]

    assert leaf_hashes(events) == [hashlib.sha256(b"\x00" + leaf(event)).digest() for event in events]


@settings(deadline=None)
@given(*[st.tuples(st.text(max_size=4), st.integers(1, 300), st.binary(max_size=4))] * 2)
def test_two_events_share_a_leaf_only_when_they_are_equal(
    one: tuple[str, int, bytes], other: tuple[str, int, bytes]
) -> None:
    assert (leaf(an_event(*one)) == leaf(an_event(*other))) == (one == other)


# ---- roots and proofs ----------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(0, MANY), st.randoms(use_true_random=False))
def test_a_tree_has_one_root_however_it_grew(size: int, steps: random.Random) -> None:
    assert Grown(size, steps).edge.root() == by_the_book(HASHES[:size])


@settings(deadline=None)
@given(st.integers(1, MANY), st.data())
def test_a_tree_is_taken_up_again_from_its_edge(size: int, data: st.DataObject) -> None:
    upto = data.draw(st.integers(0, size))
    before = Grown(upto)
    known = {(tile.level, tile.number): b"" for tile in edge_tiles(upto)} | before.tiles

    again = RightEdge(upto, known)
    again.add(HASHES[upto:size])

    assert again.root() == by_the_book(HASHES[:size])


@settings(deadline=None)
@given(st.integers(1, MANY), st.data())
def test_every_leaf_is_proven_and_no_other_one(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, MANY - 1))
    tree = Grown(size)

    proof = tree.proof(inclusion_spans(index, size))

    root = tree.edge.root()
    assert includes(root, size, index, HASHES[index], proof)
    assert includes(root, size, index, HASHES[other], proof) == (index == other)
    assert includes(root, size, other, HASHES[index], proof) == (index == other)
    assert len(proof) <= size.bit_length()


@settings(deadline=None)
@given(st.integers(0, MANY), st.data())
def test_a_tree_extends_each_of_its_beginnings(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, size))
    tree = Grown(size)

    proof = tree.proof(consistency_spans(old, size))

    root, old_root = tree.edge.root(), by_the_book(HASHES[:old])
    assert extends(old_root, old, root, size, proof)
    assert not extends(node_hash(old_root, root), old, root, size, proof)
    if proof:
        assert not extends(old_root, old, root, size, proof[:-1])
        assert not extends(old_root, old, root, size, [*proof, proof[-1]])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"].removesuffix(".json"))
def test_it_judges_as_the_vectors_of_others_do(vector: dict[str, Any]) -> None:
    kind = vector["name"].split("/")[0]
    proof = [base64.b64decode(hash) for hash in vector["proof"] or []]
    first, second = (
        base64.b64decode(vector[name] or "")
        for name in (("root1", "root2") if "consistency" in kind else ("leafHash", "root"))
    )
    match kind:
        case "inclusion":
            verdict = includes(second, vector["treeSize"], vector["leafIdx"], first, proof)
        case "consistency":
            verdict = extends(first, vector["size1"], second, vector["size2"], proof)
        case "subtreeinclusion":
            start, end = vector["start"], vector["end"]
            verdict = includes(second, end - start, vector["leafIdx"] - start, first, proof)
        case "subtreeconsistency":
            span = Span(vector["start"], vector["end"])
            verdict = holds_subtree(second, vector["size"], span, first, proof)
        case _:
            pytest.fail(f"{kind} is not a kind of vector that is known here")

    assert verdict == (not vector["wantErr"])


def test_hashes_of_another_length_prove_nothing() -> None:
    """Joined, 31 and 33 bytes read like 32 and 32."""
    tree = Grown(4)
    first, second = tree.proof(inclusion_spans(0, 4))

    assert not includes(tree.edge.root(), 4, 0, HASHES[0] + first[:1], [first[1:], second])


def test_there_is_no_proof_for_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="has none at index 3"):
        inclusion_spans(3, 3)
    with pytest.raises(ValueError, match="cannot extend"):
        consistency_spans(4, 3)


def test_nothing_has_a_root_too() -> None:
    assert RightEdge().root() == EMPTY_ROOT == by_the_book([])


# ---- tiles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "0/000"),
        (Tile(0, 1_234_067), "0/x001/x234/067"),
        (Tile(1, 1_000), "1/x001/000"),
        (Tile(2, 999, 17), "2/999.p/17"),
    ],
)
def test_a_tile_lies_where_the_tools_of_others_look_for_it(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    ["0/0", "0/1234", "0/x000/001", "0/001/002", "00/000", "64/000", "0/000.p/0", "0/000.p/256", "0/000.p/",
     "0/000.p/05", "0", "", "-1/000", "0/٠٠٠", "entries/000"],
)  # fmt: skip
def test_what_is_no_path_of_a_tile_is_refused(path: str) -> None:
    assert parse_tile_path(path) is None


@settings(deadline=None)
@given(st.integers(0, 63), st.integers(0, 10**15), st.integers(1, 256))
def test_every_tile_is_found_again_by_its_path(level: int, number: int, width: int) -> None:
    assert parse_tile_path(Tile(level, number, width).path) == Tile(level, number, width)


def test_a_tree_of_70_000_leaves_has_the_tiles_of_the_specification() -> None:
    assert [width_of(0, 272, 70_000), width_of(0, 273, 70_000), width_of(0, 274, 70_000)] == [256, 112, 0]
    assert [width_of(1, 0, 70_000), width_of(1, 1, 70_000), width_of(2, 0, 70_000)] == [256, 17, 1]
    assert width_of(1, 0, 256) == 1


def test_only_tiles_at_the_edge_change() -> None:
    tree = Grown(600)

    changed = tree.edge.add(HASHES[600:800])

    assert {place: len(hashes) for place, hashes in changed.items()} == {
        (0, 2): TILE_BYTES,
        (0, 3): 32 * 32,
        (1, 0): 3 * 32,
    }
    assert changed[0, 2].startswith(tree.tiles[0, 2])
