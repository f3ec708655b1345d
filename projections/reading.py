"""Reading the tables: one consistent picture, now or as it was at an earlier position.

A question is written once, against plain table names. The search path of the transaction decides whether
the names mean the rows that are true now (schema ``now``) or those that were true at a position (schema
``as_of``). Every row has a column ``position``: the event that made the row what it is.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import PoolTimeout

from services.log import LogReader, Unavailable, notifications
from services.pool import NOTICE_LOSS, make_pool

Record = dict[str, Any]

WAIT_SECONDS = 5.0
"""How long a reader waits for the tables to reach a position."""


@dataclass(frozen=True, slots=True)
class Picture:
    """All tables as they stand, or stood, at one position of the log."""

    connection: psycopg.AsyncConnection
    position: int
    is_past: bool = False

    async def all(self, query: str, **parameters: Any) -> list[Record]:
        """Return all rows of a query."""
        async with self.connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query.encode(), parameters)
            return await cursor.fetchall()

    async def one(self, query: str, **parameters: Any) -> Record | None:
        """Return the first row of a query, None when there is none."""
        rows = await self.all(query, **parameters)
        return rows[0] if rows else None


class Tables:
    """The tables, for one process that reads them. Use as an asynchronous context manager."""

    def __init__(self, reader_url: str) -> None:
        self._reader_url = reader_url
        self._pool = make_pool(reader_url, "mandate tables", configure=_one_picture)
        self._position = 0
        self._moved = asyncio.Condition()
        self._changes_ended = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Tables":
        await self._pool.open()
        self._task = asyncio.create_task(self._follow(), name="tables position")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._pool.close()

    @asynccontextmanager
    async def picture(
        self, at: int | datetime | None = None, after: int | None = None
    ) -> AsyncIterator[Picture]:
        """Give one consistent picture of all tables.

        ``at`` is a position or a moment of the past; ``after`` a position that the tables must have
        reached, which is waited for. Raises Unavailable when they do not reach it in time or when the
        database is out of reach.
        """
        needed = max(after or 0, at if isinstance(at, int) else 0)
        await self.wait_for(needed)
        try:
            async with self._pool.connection() as connection:
                yield await self._look(connection, at, needed)
        except PoolTimeout as error:
            raise Unavailable("The database cannot be reached. Nothing can be shown now.") from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise Unavailable("The connection to the database broke.") from error

    async def _look(
        self, connection: psycopg.AsyncConnection, at: int | datetime | None, needed: int
    ) -> Picture:
        """Begin the transaction of a picture, and see to it that the tables in it have got far enough.

        They have nearly always, since the position was waited for. But tables that were built anew and have
        just taken over can stand before those that were there, for a moment; and so can tables after a crash
        of the database, which are filled again from the log.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            position, asked = await self._begin(connection, at)
            needed = max(needed, asked or 0)
            if position >= needed:
                return Picture(connection, position if asked is None else asked, asked is not None)
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"The tables stand at position {position} and have not reached {needed} yet.",
                    retry_after_seconds=1,
                )
            await connection.rollback()
            await asyncio.sleep(0.02)

    async def _begin(
        self, connection: psycopg.AsyncConnection, at: int | datetime | None
    ) -> tuple[int, int | None]:
        """Return where the tables stand, and the earlier position that is asked for, if any."""
        asked = await LogReader(connection).position_at(at) if isinstance(at, datetime) else at
        try:
            cursor = await connection.execute(
                "SELECT position, set_config('search_path', %s, true), "
                "set_config('mandate.position', %s, true) FROM now.position",
                ("now" if asked is None else "as_of", str(asked or 0)),
            )
        except psycopg.errors.UndefinedTable:
            raise Unavailable(
                "The tables are being made for the first time.", retry_after_seconds=5
            ) from None
        row = await cursor.fetchone()
        assert row is not None, "the position is made with the tables"
        return row[0], asked

    async def wait_for(self, position: int) -> None:
        """Return once the tables have reached a position. Raises Unavailable when they do not in time."""
        if self._position >= position:
            return
        async with self._moved:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._moved.wait_for(lambda: self._position >= position)
            except TimeoutError:
                raise Unavailable(
                    f"The tables stand at position {self._position} and have not reached {position} "
                    f"within {WAIT_SECONDS:.0f} seconds.",
                    retry_after_seconds=1,
                ) from None

    async def changes(self, after: int = 0, patience_seconds: float | None = None) -> AsyncGenerator[int]:
        """Yield the position of the tables once it lies beyond ``after``, and whenever it has moved, until
        ``end_changes``; with ``patience_seconds`` also, unmoved, when nothing has happened for so long.

        However many follow, the database is asked once: all of them wait for the one task that listens.
        """
        while not self._changes_ended:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_seconds), self._moved:
                    while self._position <= after and not self._changes_ended:
                        await self._moved.wait()
            if not self._changes_ended:
                after = max(after, self._position)
                yield after

    async def end_changes(self) -> None:
        """Let all go who follow the changes, because the process is to end."""
        async with self._moved:
            self._changes_ended = True
            self._moved.notify_all()

    async def _follow(self) -> None:
        """Keep the position of the tables at hand; a lost connection is looked for again."""
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self._reader_url, autocommit=True, **NOTICE_LOSS
                )
                async with connection:
                    async for _ in notifications(connection, "tables"):
                        await self._take_position(connection)
            except (psycopg.Error, OSError):
                await asyncio.sleep(0.5)

    async def _take_position(self, connection: psycopg.AsyncConnection) -> None:
        cursor = await connection.execute("SELECT position FROM now.position")
        row = await cursor.fetchone()
        if row and row[0] != self._position:
            async with self._moved:
                self._position = row[0]
                self._moved.notify_all()


async def _one_picture(connection: psycopg.AsyncConnection) -> None:
    """Every transaction sees the tables as they were at its first look, whatever is committed meanwhile."""
    # Moments read the same from everywhere, and so does the hash of what the tables hold.
    await connection.execute("SET timezone = 'UTC'")
    await connection.commit()
    await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
    await connection.set_read_only(True)


async def content_hashes(picture: Picture, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of what each table holds, whatever order its rows were stored in."""
    hashes = {}
    for name in names:
        row = await picture.one(
            # The names are those of our own tables.
            "SELECT encode(sha256(coalesce(string_agg(line, ''::bytea ORDER BY line), '')), 'hex') AS hash "  # noqa: S608
            f"FROM (SELECT sha256(convert_to(t::text, 'UTF8')) AS line FROM {name} t) AS lines"
        )
        assert row is not None, "an aggregate has one row"
        hashes[name] = row["hash"]
    return hashes
