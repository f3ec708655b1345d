"""Holds the log against what was published of it, event by event, and names the first one that is wrong.

Every leaf is hashed anew from the stored bytes, and the root is compared at the size of every checkpoint.
The checkpoints are what is believed; tree and positions in the database only help to say which event it is.
Where they were rewritten as well, what remains is a span: between the last checkpoint that the log agrees
with and the first that it does not.

What this cannot find: an event that was added at the end, as a command would, before any checkpoint covers
it; a change of what stands beside the events, such as the times in ``log.commands``; and other numbers for
the positions, where the order is kept and the positions of the tree were rewritten as well.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import psycopg

from domain.history import HASH_BYTES, leaf_hashes
from domain.history_notes import Checkpoint, NoteError, PublicKey, open_checkpoint
from domain.history_tiles import TILE_WIDTH, RightEdge, Tile, width_of
from services.history_tree import HistoryDiffers, Tree, unpack_positions
from services.log import LogReader

BATCH_EVENTS = 5_000
_BEFORE_ALL = -(2**63)
"""A position before every other. Events that somebody put before the first are read as well."""
_REGROW = "Let the tree grow anew."

What = Literal["changed", "removed", "added", "moved", "rewritten", "cut", "tree", "uncovered", "checkpoint"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was published."""

    what: What
    message: str
    position: int | None = None
    """The first position that is wrong; with ``upto``, the first that may be."""
    upto: int | None = None


@dataclass(slots=True)
class Audit:
    """What was looked at, and what was found."""

    size: int = 0
    """How many events the log holds."""
    covered: int = 0
    """How many of them a checkpoint covers."""
    checkpoints: int = 0
    findings: list[Finding] = field(default_factory=list)


async def audit(
    connection: psycopg.AsyncConnection, notes: Iterable[bytes], keys: Sequence[PublicKey]
) -> Audit:
    """Hold the log against published checkpoints.

    ``notes`` were published before the connection began its transaction, which shows one state throughout
    (repeatable read, where others write meanwhile).
    """
    result = Audit()
    published = _read(notes, keys, result)
    result.checkpoints = len(published)
    log = _LogRead({checkpoint.size for checkpoint in published})
    await log.read(connection)
    result.size = log.edge.size
    result.covered = max((c.size for c in published if c.size <= log.edge.size), default=0)
    wrong = next((c for c in published if log.roots.get(c.size) != c.root), None)
    if wrong:
        good = max((c.size for c in published if c.size < wrong.size), default=0)
        result.covered = good
        result.findings.append(await _what_is_wrong(connection, log, good, wrong))
    elif log.first_difference is not None:
        result.findings.append(await _what_differs(connection, log, result.covered))
    elif (tile := await log.other_tile(connection)) is not None:
        message = (
            f"The log is as it was published, but the tile {tile.path} of the tree was changed. {_REGROW}"
        )
        result.findings.append(Finding("tree", message))
    result.findings += await _compare_table(connection, keys[0].name, published)
    return result


def _read(notes: Iterable[bytes], keys: Sequence[PublicKey], result: Audit) -> list[Checkpoint]:
    published = []
    for note in notes:
        try:
            checkpoint = open_checkpoint(note, keys)
            if checkpoint.origin != keys[0].name:
                raise NoteError(f"It is about another log, {checkpoint.origin}.")
            published.append(checkpoint)
        except NoteError as error:
            message = f"A checkpoint that was published is not one of this log: {error}"
            result.findings.append(Finding("checkpoint", message))
    return sorted(published, key=lambda checkpoint: checkpoint.size)


class _LogRead:
    """The log as it was read: its tree, the roots on the way, and where the stored tree first differs."""

    def __init__(self, sizes: set[int]) -> None:
        self._sizes = sizes
        self.edge = RightEdge()
        self.roots: dict[int, bytes] = {}
        self.stored_size = 0
        self.first_difference: int | None = None
        """The index of the first leaf that is another one, or stands elsewhere, than the stored tree says."""
        self.positions_around: tuple[int, int | None] = (_BEFORE_ALL, None)
        self._upper_tiles: dict[tuple[int, int], bytes] = {}
        """The positions in the log before that index and at it."""

    async def read(self, connection: psycopg.AsyncConnection) -> None:
        reader, stored, position = LogReader(connection), _Stored(connection), _BEFORE_ALL
        self.stored_size = (await Tree(connection).standing()).size
        while events := await reader.after(position, BATCH_EVENTS):
            hashes, positions = leaf_hashes(events), [event.position for event in events]
            if self.first_difference is None:
                self._compare(hashes, positions, *await stored.leaves(self.edge.size, len(hashes)), position)
            self._add(hashes)
            position = positions[-1]
        if self.first_difference is None and self.edge.size < self.stored_size:
            self.first_difference, self.positions_around = self.edge.size, (position, None)

    def _compare(
        self,
        hashes: list[bytes],
        positions: list[int],
        stored_hashes: list[bytes],
        stored_positions: list[int],
        before: int,
    ) -> None:
        first = self.edge.size
        known = min(len(hashes), max(0, self.stored_size - first))
        if hashes[:known] == stored_hashes[:known] and positions[:known] == stored_positions[:known]:
            return
        place = next(
            place
            for place in range(known)
            if hashes[place : place + 1] != stored_hashes[place : place + 1]
            or positions[place : place + 1] != stored_positions[place : place + 1]
        )
        self.first_difference = first + place
        self.positions_around = (positions[place - 1] if place else before, positions[place])

    def _add(self, hashes: list[bytes]) -> None:
        """Add leaves, stopping at each size of a checkpoint to note the root."""
        first = self.edge.size
        stops = sorted(size for size in self._sizes if first < size <= first + len(hashes))
        for stop in (*stops, first + len(hashes)):
            changed = self.edge.add(hashes[self.edge.size - first : stop - first])
            self._upper_tiles |= {place: tile for place, tile in changed.items() if place[0]}
            if stop in self._sizes:
                self.roots[stop] = self.edge.root()

    async def other_tile(self, connection: psycopg.AsyncConnection) -> Tile | None:
        """Return a tile above the leaves that is not as the log makes it; None when all are."""
        cursor = await connection.execute(
            "SELECT level, number, hashes FROM history.tiles WHERE level > 0", binary=True
        )
        stored = {(level, number): hashes for level, number, hashes in await cursor.fetchall()}
        for level, number in sorted(self._upper_tiles.keys() | stored.keys()):
            width = width_of(level, number, self.stored_size)
            expected = self._upper_tiles.get((level, number), b"")[: width * HASH_BYTES]
            if stored.get((level, number), b"") != expected:
                return Tile(level, number)
        return None


class _Stored:
    """The leaves as tree and positions in the database have them."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection

    async def leaves(self, first: int, count: int) -> tuple[list[bytes], list[int]]:
        """Return hashes and positions of leaves, fewer where there are not so many."""
        skip, upto = first % TILE_WIDTH, first % TILE_WIDTH + count
        cursor = await self._connection.execute(
            "SELECT t.hashes, p.positions FROM generate_series(%s::bigint, %s::bigint) AS wanted(number) "
            "LEFT JOIN history.tiles t ON t.level = 0 AND t.number = wanted.number "
            "LEFT JOIN history.positions p ON p.number = wanted.number ORDER BY wanted.number",
            (first // TILE_WIDTH, (first + count - 1) // TILE_WIDTH),
            binary=True,
        )
        rows = await cursor.fetchall()
        joined = b"".join(row[0] or b"" for row in rows)
        hashes = [joined[start : start + HASH_BYTES] for start in range(0, len(joined), HASH_BYTES)]
        positions = [position for row in rows for position in unpack_positions(row[1] or b"")]
        return hashes[skip:upto], positions[skip:upto]


async def _what_is_wrong(
    connection: psycopg.AsyncConnection, log: _LogRead, good: int, wrong: Checkpoint
) -> Finding:
    """Say what is wrong with a log that a checkpoint does not agree with."""
    if log.first_difference is not None and await _tree_agrees(connection, wrong):
        return await _first_wrong_event(connection, log, log.first_difference)
    last_good = await _position_in_log(connection, good)
    if log.edge.size < wrong.size:
        return Finding(
            "cut",
            f"A checkpoint about {wrong.size} events was published, and the log holds {log.edge.size}. The "
            f"database was restored to before it, or its last events were removed. The log agrees with what "
            f"was published up to position {last_good}.",
            last_good + 1,
            None,
        )
    upto = await _position_in_log(connection, wrong.size)
    return Finding(
        "rewritten",
        f"The events after position {last_good}, up to position {upto}, are not those that were published, "
        "and the stored tree was rewritten too.",
        last_good + 1,
        upto,
    )


async def _tree_agrees(connection: psycopg.AsyncConnection, checkpoint: Checkpoint) -> bool:
    try:
        return await Tree(connection).root(checkpoint.size) == checkpoint.root
    except (ValueError, HistoryDiffers):
        return False


async def _position_in_log(connection: psycopg.AsyncConnection, size: int) -> int:
    """Return the position of the last of the first ``size`` events of the log; 0 for none."""
    if not size:
        return 0
    cursor = await connection.execute(
        "SELECT notification_id FROM log.stored_events ORDER BY notification_id OFFSET %s LIMIT 1",
        (size - 1,),
    )
    row = await cursor.fetchone()
    return row[0] if row else 0


async def _first_wrong_event(connection: psycopg.AsyncConnection, log: _LogRead, index: int) -> Finding:
    """Name the first event that is wrong, and what was done to it. The stored tree is as it was published."""
    before, found_position = log.positions_around
    stored, positions = await _Stored(connection).leaves(index, 1)
    found = leaf_hashes(await LogReader(connection).after(before, 1))
    position = min(p for p in (*positions, found_position) if p is not None)
    if not found or not stored:
        what: What = "cut" if stored else "added"
    elif stored == found:
        what = "moved"
    else:
        comes_later = await _is_in_log(connection, stored[0], before)
        was_published = await _is_in_tree(connection, found[0])
        what = _WHAT_WAS_DONE[comes_later, was_published]
    return Finding(what, _MESSAGES[what].format(position), position)


_WHAT_WAS_DONE: dict[tuple[bool, bool], What] = {
    (True, True): "moved",
    (True, False): "added",
    (False, True): "removed",
    (False, False): "changed",
}
"""What was done, from two questions: does the event that should stand there come later, and was the one that
stands there published at all?"""

_MESSAGES: dict[What, str] = {
    "cut": "The event at position {} and all after it were removed.",
    "added": "The event at position {} was added; it was not published.",
    "removed": "The event at position {} was removed.",
    "moved": "From position {} on, events stand in another order than was published, or at other positions.",
    "changed": "The event at position {} is not as it was published.",
}


async def _is_in_log(connection: psycopg.AsyncConnection, hash: bytes, after: int) -> bool:
    reader = LogReader(connection)
    while events := await reader.after(after, BATCH_EVENTS):
        if hash in leaf_hashes(events):
            return True
        after = events[-1].position
    return False


async def _is_in_tree(connection: psycopg.AsyncConnection, hash: bytes) -> bool:
    cursor = await connection.execute(
        "SELECT hashes FROM history.tiles WHERE level = 0 AND position(%s::bytea IN hashes) > 0",
        (hash,),
        binary=True,
    )
    return any(
        hash == tile[start : start + HASH_BYTES]
        for (tile,) in await cursor.fetchall()
        for start in range(0, len(tile), HASH_BYTES)
    )


async def _what_differs(connection: psycopg.AsyncConnection, log: _LogRead, covered: int) -> Finding:
    """Say what it means that the stored tree is not that of the log, which agrees with all checkpoints."""
    index, (before, found) = log.first_difference or 0, log.positions_around
    stored = await Tree(connection).position_of(index)
    position = min((p for p in (found, stored) if p is not None), default=before + 1)
    if index < covered:
        return Finding(
            "tree",
            f"The log is as it was published, but the tree or its positions were changed, first for the "
            f"event at position {position}. {_REGROW}",
            position,
        )
    return Finding(
        "uncovered",
        f"The event at position {position} is not the one that the tree grew from, or the tree was changed. "
        "No checkpoint covers it yet, so nobody can say which.",
        position,
    )


async def _compare_table(
    connection: psycopg.AsyncConnection, log: str, published: Sequence[Checkpoint]
) -> list[Finding]:
    """Compare the table of checkpoints with what was published."""
    cursor = await connection.execute(
        "SELECT size, note FROM history.checkpoints WHERE log = %s AND size <= %s",
        (log, max((checkpoint.size for checkpoint in published), default=0)),
    )
    kept: dict[int, bytes] = {
        size: note.partition(b"\n\n")[0] + b"\n" for size, note in await cursor.fetchall()
    }
    expected = {checkpoint.size: checkpoint.text.encode() for checkpoint in published}
    differing = [size for size in sorted(kept | expected) if kept.get(size) != expected.get(size)]
    if not differing:
        return []
    message = f"The checkpoint about {differing[0]} events is not in the table as it was published."
    return [Finding("checkpoint", message)]
