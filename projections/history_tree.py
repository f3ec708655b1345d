"""The tree of the history, growing: it follows the log in order, in batches.

Tiles, positions and progress are written in one transaction. What the tree is for, domain/history.py says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg

from domain.history import hash_leaves
from domain.history_tiles import TILE_WIDTH, RightEdge, edge_tiles
from services.history_tree import HistoryDiffers, Standing, pack_positions, unpack_positions
from services.log import LogReader
from services.pool import NOTICE_LOSS
from services.settings import Settings

BATCH_EVENTS = 10_000


@dataclass(slots=True)
class Follower:
    """Grows the tree, over a connection that it owns. One that has failed is not used again."""

    connection: psycopg.AsyncConnection
    batch_events: int = BATCH_EVENTS
    standing: Standing = field(default_factory=lambda: Standing(0, 0))
    _edge: RightEdge = field(default_factory=RightEdge)
    _positions: list[int] = field(default_factory=list)
    """The positions of the leaves in the last tile, where it is not full."""

    async def step(self) -> int:
        """Take in the next batch and return how many events it held, 0 when there was nothing new."""
        await self._take_turn()
        rows = await self._read()
        if not rows:
            if (head := await LogReader(self.connection).position()) < self.standing.position:
                raise HistoryDiffers(
                    f"The log ends at position {head}, and the tree at {self.standing.position}: the last "
                    "events were removed. Bring back the database as it was."
                )
            await self.connection.rollback()
            return 0
        changed = self._edge.add(hash_leaves(row[1:] for row in rows))
        await self._write(changed, [row[0] for row in rows])
        await self.connection.commit()
        return len(rows)

    async def catch_up(self) -> None:
        """Take in all that is in the log."""
        while await self.step():
            pass

    async def _read(self) -> list[tuple[int, bytes, int, str, bytes]]:
        """Read the next batch as LogReader does, but the ids as bytes: to make a UUID of each, and an event
        of each row, takes longer than to hash it."""
        cursor = await self.connection.execute(
            "SELECT notification_id, uuid_send(originator_id), originator_version, topic, state "
            "FROM log.stored_events WHERE notification_id > %s ORDER BY notification_id LIMIT %s",
            (self.standing.position, self.batch_events),
            binary=True,
            prepare=True,
        )
        return await cursor.fetchall()

    async def _take_turn(self) -> None:
        """Lock the progress for this transaction; when it is not ours, begin where it stands."""
        cursor = await self.connection.execute("SELECT size, position FROM history.progress FOR UPDATE")
        row = await cursor.fetchone()
        assert row is not None, "the row is made with the table"
        if Standing(*row) != self.standing:
            self.standing = Standing(*row)
            await self._load_edge()

    async def _load_edge(self) -> None:
        size, tiles = self.standing.size, edge_tiles(self.standing.size)
        cursor = await self.connection.execute(
            "SELECT level, number, hashes FROM history.tiles "
            "JOIN unnest(%s::smallint[], %s::bigint[]) AS edge(level, number) USING (level, number)",
            ([tile.level for tile in tiles], [tile.number for tile in tiles]),
            binary=True,
        )
        known = {(level, number): hashes for level, number, hashes in await cursor.fetchall()}
        for tile in tiles:
            if len(known.setdefault((tile.level, tile.number), b"")) != tile.width * 32:
                raise HistoryDiffers(f"The tile {tile.path} of the tree was changed. {_REGROW}")
        self._edge = RightEdge(size, known)
        cursor = await self.connection.execute(
            "SELECT positions FROM history.positions WHERE number = %s", (size // TILE_WIDTH,), binary=True
        )
        row = await cursor.fetchone()
        self._positions = unpack_positions(row[0]) if row else []
        if len(self._positions) != size % TILE_WIDTH:
            raise HistoryDiffers(f"The positions of the last leaves were changed. {_REGROW}")

    async def _write(self, tiles: dict[tuple[int, int], bytes], positions: Sequence[int]) -> None:
        number, self._positions = self.standing.size // TILE_WIDTH, [*self._positions, *positions]
        parts = [
            self._positions[start : start + TILE_WIDTH]
            for start in range(0, len(self._positions), TILE_WIDTH)
        ]
        self._positions = parts[-1] if len(parts[-1]) < TILE_WIDTH else []
        self.standing = Standing(self._edge.size, positions[-1])
        await self.connection.execute(
            "INSERT INTO history.tiles SELECT * FROM unnest(%s::smallint[], %s::bigint[], %b::bytea[]) "
            "ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes",
            ([level for level, _ in tiles], [number for _, number in tiles], list(tiles.values())),
        )
        await self.connection.execute(
            "INSERT INTO history.positions SELECT * FROM unnest(%s::bigint[], %s::bigint[], %b::bytea[]) "
            "ON CONFLICT (number) DO UPDATE SET positions = excluded.positions",
            (
                list(range(number, number + len(parts))),
                [part[0] for part in parts],
                [pack_positions(part) for part in parts],
            ),
        )
        await self.connection.execute(
            "UPDATE history.progress SET size = %s, position = %s",
            (self.standing.size, self.standing.position),
        )


_REGROW = "Let it grow anew from the log; what was published will show whether the log is as it was."


class TakenError(Exception):
    """Another process lets the tree grow now."""


async def open_follower(settings: Settings, *, wait: bool = True) -> Follower:
    """Connect a follower; only one at a time grows the tree, and others wait here for their turn.

    Without ``wait``, TakenError is raised where there is another.
    """
    connection = await psycopg.AsyncConnection.connect(
        settings.projector_url, application_name="mandate history", **NOTICE_LOSS
    )
    # What the tree loses in a crash is in the log. Checkpoints are waited for, and with them all before.
    await connection.execute("SET synchronous_commit = off")
    taken = await connection.execute("SELECT pg_try_advisory_lock(hashtext('mandate history'))")
    if await taken.fetchone() == (False,):
        if not wait:
            await connection.close()
            raise TakenError
        await connection.execute("SELECT pg_advisory_lock(hashtext('mandate history'))")
    await connection.commit()
    return Follower(connection)
