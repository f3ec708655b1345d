"""The tree of the log as it is kept: tiles, positions, and the proofs that are made from them.

Everything here works over a connection that the caller owns, in autocommit or not. What was read of the
tree stays true, since a complete subtree never changes; several questions need no transaction around them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import pack, unpack

import psycopg

from domain.history import Node, Span, complete_nodes, consistency_spans, inclusion_spans, span_hash
from domain.history_tiles import TILE_WIDTH, Tile, hash_in_tile, tile_of


class HistoryDiffers(Exception):
    """The history is not what was published of it. The message says where, and what to do."""


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

    async def indexes_of(self, positions: Sequence[int]) -> dict[int, int]:
        """Return the index of the leaf of each position that has one."""
        cursor = await self._connection.execute(
            "SELECT number, positions FROM history.positions WHERE number IN (SELECT tile.number "
            "FROM unnest(%s::bigint[]) AS wanted(position), LATERAL (SELECT number FROM history.positions "
            "WHERE first <= wanted.position ORDER BY first DESC LIMIT 1) AS tile)",
            (list(positions),),
            binary=True,
        )
        wanted = set(positions)
        return {
            position: number * TILE_WIDTH + place
            for number, packed in await cursor.fetchall()
            for place, position in enumerate(unpack_positions(packed))
            if position in wanted
        }

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
