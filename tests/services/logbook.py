"""What the tests of the log share: entries to write, and a wire that can be cut at the worst moment."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from eventsourcing.persistence import StoredEvent
from psycopg import sql
from psycopg.conninfo import make_conninfo

from services.log import Entry, LoggedEvent, LogReader

ACTOR = "service:tests"


def an_event(record: UUID, version: int = 1, topic: str = "tests:Happened") -> StoredEvent:
    """An event of a record; the log does not look into its bytes."""
    return StoredEvent(record, version, topic, b'{"version":%d}' % version)


def an_entry(*events: StoredEvent, key: UUID | None = None, actor: str = ACTOR) -> Entry:
    """A command that was carried out; without events named, one new record begins."""
    return Entry(key or uuid4(), b"digest", actor, "done", b"{}", events or (an_event(uuid4()),))


def nothing_done(key: UUID | None = None) -> Entry:
    """A command that found nothing to do."""
    return Entry(key or uuid4(), b"digest", ACTOR, "done", b"{}", ())


async def whole_log(url: str) -> list[LoggedEvent]:
    """Every event of the log, in order."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        return await LogReader(connection).after(0, 1_000_000)


async def ask(url: str, query: str | sql.Composed, *parameters: object) -> list[tuple[object, ...]]:
    """The rows of a query."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(query.encode() if isinstance(query, str) else query, parameters)
        return await cursor.fetchall() if cursor.description else []


class Wire:
    """A way to the database that can lose a reply: what was asked for is done, and nobody hears of it."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._pairs: list[Sequence[asyncio.StreamWriter]] = []
        self.replies_to_lose = 0
        self.cut = False
        """Whether connections are refused, as if the database were gone."""

    async def carry(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Pass on what either side says until one of them ends."""
        if self.cut:
            to_client.close()
            return
        server, to_server = await asyncio.open_unix_connection(str(self._socket))
        self._pairs.append((to_client, to_server))
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self._pass_on(client, to_server), self._answer(server, to_client, to_server))

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()

    async def _answer(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        while data := await source.read(65536):
            if self.replies_to_lose:
                self.replies_to_lose -= 1
                back.close()
                break
            target.write(data)
            await target.drain()
        target.close()

    def close(self) -> None:
        """End all connections."""
        for pair in self._pairs:
            for writer in pair:
                writer.close()


@asynccontextmanager
async def a_wire(socket: Path, url: str) -> AsyncIterator[tuple[Wire, str]]:
    """Give a wire to the server behind ``socket``, and ``url`` as it reads over that wire."""
    wire = Wire(socket)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield wire, make_conninfo(url, host=host, port=port)
    finally:
        wire.close()
        server.close()
