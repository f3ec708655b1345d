"""The history as a Merkle tree: what a leaf is, which hashes make a root, and what proves what.

The tree is that of RFC 6962, section 2.1, with SHA-256. Its leaves are the events of the log in their
order, counted from 0 without gaps, each in the encoding of ``leaf``. Proofs are lists of hashes, as in
that RFC.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from struct import Struct
from typing import NamedTuple, Protocol
from uuid import UUID

HASH_BYTES = 32

EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree without leaves."""

LEAF_ENCODING = 1
"""The first byte of every leaf. Another encoding would begin with another byte."""


class StoredEvent(Protocol):
    """What of an event goes into its leaf."""

    @property
    def originator_id(self) -> UUID: ...
    @property
    def originator_version(self) -> int: ...
    @property
    def topic(self) -> str: ...
    @property
    def state(self) -> bytes: ...


# ---- Leaves -----------------------------------------------------------------------------------------------


def leaf(event: StoredEvent) -> bytes:
    """Return the bytes of an event that are hashed into the tree.

    ===========  =====  =================================================================
    offset       bytes  what stands there
    ===========  =====  =================================================================
    0            1      the number of this encoding, 1
    1            4      n, the length of the topic in bytes
    5            n      the topic, in UTF-8
    5 + n        16     the id of the record (a UUID) in network order
    21 + n       8      the version, signed: 1 for the first event of the record
    29 + n       4      m, the length of the stored state in bytes
    33 + n       m      the stored state, byte for byte
    ===========  =====  =================================================================

    Numbers are big-endian, lengths unsigned. The position in the log is not part of the leaf, since the
    place of the leaf in the tree says where the event stands.
    """
    return _leaf_head(event.topic)[1:] + _leaf_tail(event)


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\x00" + leaf).digest()


def leaf_hashes(events: Iterable[StoredEvent]) -> list[bytes]:
    """Return the hash of each event's leaf."""
    return hash_leaves(
        (event.originator_id.bytes, event.originator_version, event.topic, event.state) for event in events
    )


def hash_leaves(parts: Iterable[tuple[bytes, int, str, bytes]]) -> list[bytes]:
    """Return the same for ids (their 16 bytes), versions, topics and states.

    Every event of the log comes through here when the tree grows anew, so it is as short as it can be.
    """
    heads, numbers, digest = _Heads(), _VERSION_AND_LENGTH, sha256
    return [
        digest(b"".join((heads[topic], record, numbers(version, len(state)), state))).digest()
        for record, version, topic, state in parts
    ]


def _leaf_head(topic: str) -> bytes:
    """Return the RFC's prefix of a leaf, and the leaf up to the end of its topic."""
    encoded = topic.encode()
    return b"\x00%c%b%b" % (LEAF_ENCODING, len(encoded).to_bytes(4, "big"), encoded)


class _Heads(dict[str, bytes]):
    """The head of the leaves of each topic, made when it is first asked for."""

    def __missing__(self, topic: str) -> bytes:
        head = self[topic] = _leaf_head(topic)
        return head


def _leaf_tail(event: StoredEvent) -> bytes:
    numbers = _VERSION_AND_LENGTH(event.originator_version, len(event.state))
    return event.originator_id.bytes + numbers + event.state


_VERSION_AND_LENGTH = Struct(">qI").pack


# ---- Spans, nodes and roots -------------------------------------------------------------------------------


class Span(NamedTuple):
    """The leaves from ``start`` up to, and without, ``end``."""

    start: int
    end: int


class Node(NamedTuple):
    """A complete subtree of 2**level leaves, the ``number``-th on its level."""

    level: int
    number: int


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node with two children."""
    return sha256(b"\x01" + left + right).digest()


def complete_nodes(span: Span) -> list[Node]:
    """Return the complete subtrees that make up a span, from left to right: at most one for each bit.

    The span begins where a subtree of its size may begin, as all spans of proofs do.
    """
    nodes, start = [], span.start
    while start < span.end:
        level = (span.end - start).bit_length() - 1
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return nodes


def span_hash(span: Span, read: Callable[[Node], bytes]) -> bytes:
    """Return the Merkle tree hash of a span, from the hashes of its complete subtrees."""
    hashes = [read(node) for node in complete_nodes(span)]
    if not hashes:
        return EMPTY_ROOT
    folded = hashes.pop()
    while hashes:
        folded = node_hash(hashes.pop(), folded)
    return folded


def inclusion_spans(index: int, size: int) -> list[Span]:
    """Return the spans whose hashes prove that a tree of ``size`` leaves holds the leaf at ``index``."""
    if not 0 <= index < size:
        raise ValueError(f"A tree of {size} leaves has none at index {index}.")
    spans, start, end = [], 0, size
    while end - start > 1:
        middle = start + _left_width(end - start)
        if index < middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    return spans[::-1]


def consistency_spans(old: int, new: int) -> list[Span]:
    """Return the spans whose hashes prove that a tree of ``new`` leaves begins with that of ``old``."""
    if not 0 <= old <= new:
        raise ValueError(f"A tree of {new} leaves cannot extend one of {old}.")
    if old in (0, new):
        return []
    spans, start, end = [], 0, new
    while end != old:
        middle = start + _left_width(end - start)
        if old <= middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    if start:
        spans.append(Span(start, end))
    return spans[::-1]


def _left_width(width: int) -> int:
    """Return the largest power of two that is smaller than ``width``."""
    return 1 << (width - 1).bit_length() - 1


# ---- Verifying --------------------------------------------------------------------------------------------


def includes(root: bytes, size: int, index: int, hash: bytes, proof: Sequence[bytes]) -> bool:
    """Say whether a proof shows that the tree with this root holds this leaf hash at this index."""
    if not 0 <= index < size or not _are_hashes(root, hash, *proof):
        return False
    number, last, folded = index, size - 1, hash
    for other in proof:
        if last == 0:
            return False
        if number & 1 or number == last:
            folded = node_hash(other, folded)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            folded = node_hash(folded, other)
        number, last = number >> 1, last >> 1
    return last == 0 and folded == root


def extends(old_root: bytes, old: int, new_root: bytes, new: int, proof: Sequence[bytes]) -> bool:
    """Say whether a proof shows that the newer tree begins with all leaves of the older one."""
    if new == 0 and new_root != EMPTY_ROOT:
        return False
    return holds_subtree(new_root, new, Span(0, old), old_root, proof)


def holds_subtree(root: bytes, size: int, span: Span, hash: bytes, proof: Sequence[bytes]) -> bool:
    """Say whether a proof shows that the tree with this root has this hash for the leaves of a span."""
    start, end = span
    if start == end <= size:
        return hash == EMPTY_ROOT and not proof
    if not 0 <= start < end <= size or start % (1 << (end - start - 1).bit_length()):
        return False
    if not _are_hashes(root, hash, *proof):
        return False
    first, last, newest = start, end - 1, size - 1
    # Up to the largest complete subtree in which the span ends: its hash is where the proof begins.
    while first != last and (last & 1 or last == newest):
        first, last, newest = first >> 1, last >> 1, newest >> 1
    hashes = list(proof)
    if first != last and not hashes:
        return False
    in_span = in_tree = hash if first == last else hashes.pop(0)
    for other in hashes:
        if newest == 0:
            return False
        if last & 1 or last == newest:
            if first < last:
                in_span = node_hash(other, in_span)
            in_tree = node_hash(other, in_tree)
            while not last & 1 and last:
                first, last, newest = first >> 1, last >> 1, newest >> 1
        else:
            in_tree = node_hash(in_tree, other)
        first, last, newest = first >> 1, last >> 1, newest >> 1
    return newest == 0 and in_span == hash and in_tree == root


def _are_hashes(*hashes: bytes) -> bool:
    """Hashes of other lengths could be joined so that the same bytes mean another tree."""
    return all(len(hash) == HASH_BYTES for hash in hashes)
