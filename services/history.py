"""The history as it is kept: the tree of the log, read from its tiles, and the checkpoints about it.

Everything here works over a connection that the caller owns, in autocommit or not. What was read of the
tree stays true, since a complete subtree never changes; several questions need no transaction around them.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from struct import pack, unpack

import psycopg

from domain.history import Node, Span, complete_nodes, consistency_spans, inclusion_spans, span_hash
from domain.history_notes import Checkpoint, Note, PublicKey, follow_keys
from domain.history_tiles import TILE_WIDTH, Tile, hash_in_tile, tile_of
from services.log import Unavailable

ASK = "checkpoint_wanted"
"""The channel on which somebody asks for a checkpoint now."""
MADE = "checkpoints"
"""The channel on which a new checkpoint, or an answer of a witness, is announced."""


class HistoryDiffers(Exception):
    """The history is not what was published of it. The message says where, and what to do."""


# ---- The tree ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the tree has grown."""

    size: int
    position: int
    """The position of the last event in it; 0 while it is empty."""


class Tree:
    """Reads the tree. A proof costs one query, for the few tiles that it is made from."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection

    async def standing(self) -> Standing:
        """Return how far the tree has grown."""
        cursor = await self._connection.execute("SELECT size, position FROM history.progress")
        row = await cursor.fetchone()
        assert row is not None, "the row is made with the table"
        return Standing(*row)

    async def root(self, size: int) -> bytes:
        """Return the root that the tree had, or has, with its first ``size`` leaves."""
        [hash] = await self.hashes([Span(0, size)])
        return hash

    async def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the proof that the tree of ``size`` leaves holds the leaf at ``index``."""
        return await self.hashes(inclusion_spans(index, size))

    async def inclusions(self, indexes: Iterable[int], size: int) -> list[list[bytes]]:
        """Return the proofs for many leaves, reading each tile once."""
        spans = [inclusion_spans(index, size) for index in indexes]
        hashes = iter(await self.hashes([span for each in spans for span in each]))
        return [[next(hashes) for _ in each] for each in spans]

    async def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of ``new`` leaves begins with that of ``old``."""
        return await self.hashes(consistency_spans(old, new))

    async def hashes(self, spans: Sequence[Span]) -> list[bytes]:
        """Return the hash of each span."""
        nodes = {node for span in spans for node in complete_nodes(span)}
        tiles = await self._tiles({tile_of(node) for node in nodes})

        def read(node: Node) -> bytes:
            try:
                return hash_in_tile(node, tiles[tile_of(node)])
            except (KeyError, ValueError):
                raise HistoryDiffers(
                    f"The stored tree lacks the hash of leaves {node.number << node.level} to "
                    f"{((node.number + 1) << node.level) - 1}, which it had."
                ) from None

        largest = max((span.end for span in spans), default=0)
        if largest and largest > (size := (await self.standing()).size):
            raise ValueError(f"The tree has {size} leaves, and not {largest}.")
        return [span_hash(span, read) for span in spans]

    async def tile(self, tile: Tile) -> bytes | None:
        """Return the hashes of a tile; None when the tree has no such tile yet."""
        tiles = await self._tiles([(tile.level, tile.number)])
        hashes = tiles.get((tile.level, tile.number), b"")[: tile.width * 32]
        return hashes if len(hashes) == tile.width * 32 else None

    async def _tiles(self, places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        wanted = list(places)
        cursor = await self._connection.execute(
            "SELECT level, number, hashes FROM history.tiles "
            "JOIN unnest(%s::smallint[], %s::bigint[]) AS wanted(level, number) USING (level, number)",
            ([level for level, _ in wanted], [number for _, number in wanted]),
            binary=True,
        )
        return {(level, number): hashes for level, number, hashes in await cursor.fetchall()}

    async def index_of(self, position: int) -> int | None:
        """Return the index of the leaf of the event at a position; None when the tree has none."""
        number, positions = await self._positions_around(position)
        place = bisect_left(positions, position)
        found = place < len(positions) and positions[place] == position
        return number * TILE_WIDTH + place if found else None

    async def size_at(self, position: int) -> int:
        """Return how many leaves the tree has up to a position and with it."""
        number, positions = await self._positions_around(position)
        return number * TILE_WIDTH + bisect_right(positions, position)

    async def _positions_around(self, position: int) -> tuple[int, list[int]]:
        cursor = await self._connection.execute(
            "SELECT number, positions FROM history.positions WHERE first <= %s ORDER BY first DESC LIMIT 1",
            (position,),
            binary=True,
        )
        row = await cursor.fetchone()
        return (row[0], unpack_positions(row[1])) if row else (0, [])

    async def position_of(self, index: int) -> int | None:
        """Return the position of the event whose leaf stands at ``index``; None when the tree has none."""
        number, place = divmod(index, TILE_WIDTH)
        cursor = await self._connection.execute(
            "SELECT positions FROM history.positions WHERE number = %s", (number,), binary=True
        )
        row = await cursor.fetchone()
        positions = unpack_positions(row[0]) if row else []
        return positions[place] if place < len(positions) else None


def pack_positions(positions: Sequence[int]) -> bytes:
    """Return positions as they are kept for a tile of leaves: eight bytes each."""
    return pack(f">{len(positions)}q", *positions)


def unpack_positions(packed: bytes) -> list[int]:
    """Return positions from what was kept."""
    return list(unpack(f">{len(packed) // 8}q", packed[: len(packed) // 8 * 8]))


# ---- Checkpoints ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that was signed and published, and what its witness said."""

    log: str
    size: int
    position: int
    """The position of the last event that it covers."""
    note: bytes
    made_at: datetime
    witness: str
    """Who was to be asked to cosign; empty for nobody."""
    outcome: str | None = None
    """What came of that: cosigned, refused, absent or passed over; None while it is open."""
    cosignature: str | None = None
    detail: str | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """What the note says."""
        return Checkpoint.parse(Note.parse(self.note).text)

    @property
    def settled(self) -> bool:
        """Whether nothing more will be added to it."""
        return not self.witness or self.outcome is not None

    @property
    def encoded(self) -> bytes:
        """The note with all its signatures, as it is given out at ``/checkpoint``."""
        return self.note + (self.cosignature or "").encode()


_LOG = "(SELECT log FROM history.keys ORDER BY known_at DESC, number DESC LIMIT 1)"
_PUBLISHED = (
    "SELECT c.log, c.size, c.position, c.note, c.made_at, c.witness, s.outcome, s.line, s.detail "  # noqa: S608
    "FROM history.checkpoints c LEFT JOIN history.cosignatures s USING (log, size, witness) "
    f"WHERE c.log = {_LOG} "
)


class Checkpoints:
    """The checkpoints of the log, and its keys."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection

    async def newest(self) -> Published | None:
        """Return the newest checkpoint."""
        return await self._one("ORDER BY c.size DESC LIMIT 1")

    async def of_size(self, size: int) -> Published | None:
        """Return the checkpoint of a tree of ``size`` leaves."""
        return await self._one("AND c.size = %s", size)

    async def first_covering(self, position: int) -> Published | None:
        """Return the first checkpoint that covers a position; the same for ever, once there is one."""
        return await self._one("AND c.position >= %s ORDER BY c.position LIMIT 1", position)

    async def covering(
        self, position: int, patience_seconds: float = 5, *, settled: bool = False
    ) -> Published:
        """Return the first checkpoint that covers a position, asking for one where there is none.

        ``settled`` waits for the witness too. Raises Unavailable when it does not come in time. The
        connection must be in autocommit, or the new checkpoint would not be seen.
        """
        until = asyncio.get_running_loop().time() + patience_seconds
        asked = False
        while True:
            found = await self.first_covering(position)
            if found and (found.settled or not settled):
                return found
            if asyncio.get_running_loop().time() > until:
                raise Unavailable(await self._why_none(position))
            if not asked and not found:
                await self._connection.execute("SELECT pg_notify(%s, %s)", (ASK, str(position)))
                asked = True
            await asyncio.sleep(0.03)

    async def _why_none(self, position: int) -> str:
        alarms = await open_alarms(self._connection)
        if alarms:
            return f"No checkpoint is made while this stands: {alarms[0].message}"
        return f"No checkpoint covers position {position} yet. Is the process running that makes them?"

    async def keys(self) -> tuple[list[PublicKey], list[bytes]]:
        """Return the public keys of the log, oldest first, and the notes by which one named the next."""
        cursor = await self._connection.execute(
            f"SELECT public, rotation FROM history.keys WHERE log = {_LOG} ORDER BY number".encode()  # noqa: S608
        )
        rows = await cursor.fetchall()
        if not rows:
            return [], []
        rotations = [rotation for _, rotation in rows[1:]]
        return follow_keys(PublicKey.parse(rows[0][0]), rotations), rotations

    async def _one(self, rest: str, *arguments: object) -> Published | None:
        cursor = await self._connection.execute((_PUBLISHED + rest).encode(), arguments, binary=True)
        row = await cursor.fetchone()
        return Published(*row) if row else None


# ---- Alarms -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that shows that the history is not what was published of it."""

    kind: str
    """Who found it: follower, audit or witness."""
    message: str
    raised_at: datetime


async def open_alarms(connection: psycopg.AsyncConnection) -> list[Alarm]:
    """Return the alarms that stand, newest first. While one does, pages say so."""
    cursor = await connection.execute(
        "SELECT kind, message, raised_at FROM history.alarms WHERE ended_at IS NULL ORDER BY number DESC"
    )
    return [Alarm(*row) for row in await cursor.fetchall()]


async def raise_alarm(connection: psycopg.AsyncConnection, kind: str, message: str) -> None:
    """Keep an alarm; one that stands already is not repeated."""
    await connection.execute(
        "INSERT INTO history.alarms (kind, message) SELECT %(kind)s, %(message)s WHERE NOT EXISTS "
        "(SELECT FROM history.alarms WHERE kind = %(kind)s AND message = %(message)s AND ended_at IS NULL)",
        {"kind": kind, "message": message},
    )


async def end_alarms(connection: psycopg.AsyncConnection, kind: str) -> None:
    """Say that what was found is over: whoever found it has looked again."""
    await connection.execute(
        "UPDATE history.alarms SET ended_at = clock_timestamp() WHERE kind = %s AND ended_at IS NULL", (kind,)
    )
