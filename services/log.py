"""The event log: many commands appended in one transaction, in one total order.

Each process has one writer task. It takes whatever commands are waiting and appends their events with
one call of ``log.append`` (services/schema.sql). What can go wrong, and what is done about it:

1. Two commands wrote the same version of an aggregate, or used one key twice: the whole batch fails with
   a unique violation. The same batch is then tried command by command inside one transaction
   (``log.append_checked``), which names the ones that lose. The others are recorded.
2. The connection breaks. Nobody knows whether the transaction was committed. Once there is a connection
   again, the keys of the batch are looked up: a key that is there was committed, with its events.
3. Something in the batch cannot be stored at all: the batch is halved until the culprit stands alone.

A command is answered after its commit and not before. Each command has its own patience with a database
that is away; whoever comes when it has been away for long gets one try, and is told at once.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple, cast
from uuid import UUID

import psycopg
from eventsourcing.persistence import StoredEvent
from psycopg.errors import UniqueViolation

from services.arrays import bigints, byteas, ints, take_arrays, texts, uuids
from services.pool import NOTICE_LOSS

BATCH_COMMANDS = 512
"""How many commands one transaction holds at the most."""

HALVED_FROM_COMMANDS = 32
"""From how many commands on half of them go out at a time. Fewer are not worth a transaction each half."""
GRACE_SECONDS = 2.0
"""How long beyond its patience a command is waited for, when the database is silent and not gone."""
WATCH_SECONDS = 0.25
"""How often it is looked for commands that have waited for longer than that."""
BATCH_BYTES = 16_000_000
"""How many bytes of events a transaction holds before it is closed to further commands: a message that
passes a gigabyte breaks the connection, and would do so again with each try."""


class Unavailable(Exception):
    """The log cannot be reached now. Nothing was recorded, unless ``in_doubt`` says that nobody can tell."""

    def __init__(self, message: str, *, retry_after_seconds: int = 2, in_doubt: bool = False) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.in_doubt = in_doubt


class Conflict(Exception):
    """Somebody else recorded the same version of one of the aggregates first."""


Outcome = Literal["done", "refused"]


class Entry(NamedTuple):
    """One command as it is written: its key, what it answers, and its events."""

    key: UUID
    digest: bytes
    actor: str
    outcome: Outcome
    reply: bytes
    events: Sequence[StoredEvent]


class Written(NamedTuple):
    """What became of an entry."""

    last_position: int | None
    """The position of the entry's last event; None when it recorded none."""
    repeated: bool = False
    """The key was known already; the entry was not written again."""


@dataclass(frozen=True, slots=True)
class KnownCommand:
    """A command that was carried out or refused earlier."""

    key: UUID
    digest: bytes
    outcome: Outcome
    reply: bytes
    last_position: int | None
    recorded_at: datetime
    actor: str
    """Who gave it, as events name them."""


class LoggedEvent(NamedTuple):
    """An event as it stands in the log."""

    position: int
    originator_id: UUID
    originator_version: int
    topic: str
    state: bytes


LoggedState = tuple[int, str, bytes]
"""What an event says: its position, its topic and its state."""


@dataclass(slots=True)
class _Waiting:
    entry: Entry
    future: "asyncio.Future[Written]"
    until: float
    """When its patience with a lost database ends, by the clock of the event loop."""


@dataclass(slots=True)
class Log:
    """The log as one process writes it. Use as an asynchronous context manager."""

    writer_url: str
    queue_limit: int = 2_000
    patience_seconds: float = 8.0
    """How long a command waits for a lost database before its caller is told."""
    synchronous_commit: str = "on"
    """Never anything else outside the tests, which show what would be lost."""

    _queue: "deque[_Waiting]" = field(init=False, default_factory=deque)
    _news: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    """Set when a command comes into the queue."""
    _batch: "list[_Waiting]" = field(init=False, default_factory=list)
    """The commands that were taken out of the queue last."""
    _task: "asyncio.Task[None] | None" = field(init=False, default=None)
    _watch: "asyncio.Task[None] | None" = field(init=False, default=None)
    _connection: psycopg.AsyncConnection | None = field(init=False, default=None)

    async def __aenter__(self) -> "Log":
        self._task = asyncio.create_task(self._write_for_ever(), name="log writer")
        self._watch = asyncio.create_task(self._watch_patience(), name="log patience")
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (self._task, self._watch):
            assert task is not None
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        _fail(self._queue, _stopping())
        self._queue.clear()
        if self._connection is not None:
            await self._connection.close()

    async def append(self, entry: Entry) -> Written:
        """Record an entry and return once it is committed.

        Raises Conflict when a version is taken, and Unavailable when the log is out of reach or more
        commands are waiting than the queue holds.
        """
        if self._task is None or self._task.done():
            raise _stopping()
        if len(self._queue) >= self.queue_limit:
            raise Unavailable("More commands are waiting than can be taken in. Nothing was recorded.")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(entry, loop.create_future(), loop.time() + self.patience_seconds)
        self._queue.append(waiting)
        self._news.set()
        return await waiting.future

    async def _watch_patience(self) -> None:
        """Tell those whom the database has kept waiting in silence: one look at all costs less than a timer
        for each."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(WATCH_SECONDS, GRACE_SECONDS))
            over = loop.time() - GRACE_SECONDS
            _fail([waiting for waiting in (*self._batch, *self._queue) if waiting.until <= over], _silence())

    async def _write_for_ever(self) -> None:
        while True:
            batch = await self._take_waiting()
            try:
                await self._record(batch)
            except asyncio.CancelledError:
                _fail(batch, Unavailable("The service is stopping.", in_doubt=True))
                raise
            except Exception as error:
                # A fault of ours fails the commands that met it, and the writer goes on.
                _fail(batch, error)

    async def _take_waiting(self) -> list[_Waiting]:
        """Wait for a command, and take with it what else is waiting and fits.

        Were many to go out at once, the database would wait while they are decided, and they would wait while
        it records them. So half of those in play are taken, and from then on the halves take turns.
        """
        # The callers of the batch before have their answer, and come again only when we wait for something.
        answered = len(self._batch) if self._queue else 0
        while not self._queue:
            self._news.clear()
            await self._news.wait()
        in_play = answered + len(self._queue)
        limit = min(BATCH_COMMANDS, in_play if in_play < HALVED_FROM_COMMANDS else in_play // 2)
        batch: list[_Waiting] = []
        size = 0
        while self._queue and len(batch) < limit and size < BATCH_BYTES:
            waiting = self._queue.popleft()
            batch.append(waiting)
            size += _size(waiting.entry)
        self._batch = batch
        # Whoever has gone away by now has been told nothing, or that nobody can tell: nothing is lost.
        return [waiting for waiting in batch if not waiting.future.done()]

    async def _record(self, batch: list[_Waiting]) -> None:
        """Record a batch, whatever it takes; every waiting caller gets an answer."""
        in_doubt = False
        while batch:
            try:
                connection = await self._connected()
                if in_doubt:
                    batch = await self._settle(connection, batch)
                    in_doubt = False
                    continue
                await self._append(connection, batch)
                return
            except (psycopg.OperationalError, psycopg.InterfaceError, OSError) as error:
                in_doubt = in_doubt or self._connection is not None
                await self._disconnect()
                batch = _those_with_patience(batch, _unavailable(in_doubt, error))
                if batch:
                    await asyncio.sleep(0.1)
            except Exception as error:
                if len(batch) == 1:
                    _fail(batch, error)
                    return
                middle = len(batch) // 2
                await self._record(batch[:middle])
                batch = batch[middle:]

    async def _append(self, connection: psycopg.AsyncConnection, batch: list[_Waiting]) -> None:
        arguments = _arguments([waiting.entry for waiting in batch])
        try:
            cursor = await connection.execute(_APPEND, arguments, binary=True, prepare=True)
        except UniqueViolation:
            await self._append_checked(connection, batch, arguments)
            return
        row = await cursor.fetchone()
        positions: list[int] = row[0] if row and row[0] else []
        upto = 0
        for waiting in batch:
            upto += len(waiting.entry.events)
            last = positions[upto - 1] if waiting.entry.events else None
            _answer(waiting, Written(last))

    async def _append_checked(
        self, connection: psycopg.AsyncConnection, batch: list[_Waiting], arguments: Sequence[object]
    ) -> None:
        cursor = await connection.execute(_APPEND_CHECKED, arguments, binary=True, prepare=True)
        for number, result, last_position in await cursor.fetchall():
            waiting = batch[number - 1]
            if result == "conflict":
                _fail([waiting], Conflict())
            else:
                _answer(waiting, Written(last_position, repeated=result == "repeated"))

    async def _settle(self, connection: psycopg.AsyncConnection, batch: list[_Waiting]) -> list[_Waiting]:
        """After a broken connection: answer those whose key is in the log, return the rest."""
        cursor = await connection.execute(
            "SELECT key, last_position FROM log.commands WHERE key = ANY(%s)",
            ([waiting.entry.key for waiting in batch],),
        )
        committed: dict[UUID, int | None] = dict(await cursor.fetchall())
        for waiting in batch:
            if waiting.entry.key in committed:
                # Ours or an earlier one with the same key: the caller compares digests either way.
                _answer(waiting, Written(committed[waiting.entry.key], repeated=True))
        return [waiting for waiting in batch if waiting.entry.key not in committed]

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None:
            connection = await psycopg.AsyncConnection.connect(
                self.writer_url, autocommit=True, application_name="mandate writer", **NOTICE_LOSS
            )
            await connection.execute(f"SET synchronous_commit = {self.synchronous_commit}".encode())
            take_arrays(connection)
            self._connection = connection
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):
                await self._connection.close()
            self._connection = None


_ARGUMENTS = (
    "%b::uuid[], %b::bytea[], %b::text[], %b::text[], %b::bytea[], %b::int[], %b::int[], "
    "%b::uuid[], %b::bigint[], %b::text[], %b::bytea[]"
)
_APPEND = f"SELECT log.append({_ARGUMENTS})".encode()
_APPEND_CHECKED = f"SELECT * FROM log.append_checked({_ARGUMENTS})".encode()  # noqa: S608 - constants


def _arguments(entries: Sequence[Entry]) -> list[object]:
    events = [event for entry in entries for event in entry.events]
    firsts, lasts, upto = [], [], 0
    for entry in entries:
        firsts.append(upto + 1)
        upto += len(entry.events)
        lasts.append(upto)
    return [
        uuids([entry.key for entry in entries]),
        byteas([entry.digest for entry in entries]),
        texts([entry.actor for entry in entries]),
        texts([entry.outcome for entry in entries]),
        byteas([entry.reply for entry in entries]),
        ints(firsts),
        ints(lasts),
        # The library lets ids be texts as well; ours never are.
        uuids(cast("list[UUID]", [event.originator_id for event in events])),
        bigints([event.originator_version for event in events]),
        texts([event.topic for event in events]),
        byteas([event.state for event in events]),
    ]


def _size(entry: Entry) -> int:
    return sum([len(event.state) for event in entry.events])


def _those_with_patience(batch: Sequence[_Waiting], error: Unavailable) -> list[_Waiting]:
    """Tell those whose patience has ended, and return the others."""
    now = asyncio.get_running_loop().time()
    _fail([waiting for waiting in batch if waiting.until <= now], error)
    return [waiting for waiting in batch if waiting.until > now]


def _answer(waiting: _Waiting, written: Written) -> None:
    if not waiting.future.done():  # A caller that went away has cancelled its future; the events stand.
        waiting.future.set_result(written)


def _fail(batch: Iterable[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.future.done():
            waiting.future.set_exception(error)


def _stopping() -> Unavailable:
    return Unavailable("The service is stopping. Nothing was recorded.")


def _silence() -> Unavailable:
    return Unavailable(
        "The database takes commands and does not answer. Ask for the key of this one to learn how it ended, "
        "or send it again with the same key.",
        in_doubt=True,
    )


def _unavailable(in_doubt: bool, error: Exception) -> Unavailable:
    if in_doubt:
        return Unavailable(
            f"The connection to the database broke while the command was being recorded ({error}). "
            "Ask for its key to learn how it ended, or send it again with the same key.",
            in_doubt=True,
        )
    return Unavailable("The database cannot be reached. Nothing was recorded.")


_SELECT_EVENTS = (
    "SELECT notification_id, originator_id, originator_version, topic, state FROM log.stored_events"
)


class LogReader:
    """Reads the log over one connection that the caller owns."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection

    async def stream(self, id: UUID, after_version: int = 0) -> list[LoggedEvent]:
        """Return the events of one record, oldest first."""
        return await self._fetch(
            "WHERE originator_id = %s AND originator_version > %s ORDER BY originator_version",
            (id, after_version),
        )

    async def any_after(self, versions: Mapping[UUID, int]) -> bool:
        """Return whether any of the records has gone beyond the version that is given for it."""
        cursor = await self._connection.execute(
            "SELECT EXISTS (SELECT FROM unnest(%s::uuid[], %s::bigint[]) AS seen(id, version) "
            "JOIN log.stored_events ON originator_id = seen.id AND originator_version = seen.version + 1)",
            (list(versions.keys()), list(versions.values())),
        )
        row = await cursor.fetchone()
        return bool(row and row[0])

    async def after(self, position: int, limit: int) -> list[LoggedEvent]:
        """Return up to ``limit`` events that stand after ``position``, in order."""
        return await self._fetch(
            "WHERE notification_id > %s ORDER BY notification_id LIMIT %s", (position, limit)
        )

    async def states_after(self, position: int, limit: int) -> list[LoggedState]:
        """Return what up to ``limit`` events say that stand after ``position``, in order. For whoever reads
        long logs: it costs half of the time of the whole events."""
        cursor = await self._connection.execute(
            "SELECT notification_id, topic, state FROM log.stored_events "
            "WHERE notification_id > %s ORDER BY notification_id LIMIT %s",
            (position, limit),
            binary=True,
            prepare=True,
        )
        return await cursor.fetchall()

    async def position(self) -> int:
        """Return the position of the newest event, 0 when there is none."""
        cursor = await self._connection.execute("SELECT max(notification_id) FROM log.stored_events")
        row = await cursor.fetchone()
        return (row[0] if row else None) or 0

    async def position_at(self, moment: datetime) -> int:
        """Return the position at which the log stood at ``moment``, 0 when it was empty."""
        cursor = await self._connection.execute(
            "SELECT last_position FROM log.commands WHERE recorded_at <= %s AND last_position IS NOT NULL "
            "ORDER BY recorded_at DESC, last_position DESC LIMIT 1",
            (moment,),
        )
        row = await cursor.fetchone()
        return row[0] if row else 0

    async def command(self, key: UUID) -> KnownCommand | None:
        """Return what is known of a command by its key."""
        cursor = await self._connection.execute(
            "SELECT key, digest, outcome, reply, last_position, recorded_at, actor "
            "FROM log.commands WHERE key = %s",
            (key,),
            binary=True,
        )
        row = await cursor.fetchone()
        return KnownCommand(*row) if row else None

    async def _fetch(self, where: str, arguments: Sequence[object]) -> list[LoggedEvent]:
        cursor = await self._connection.execute(
            f"{_SELECT_EVENTS} {where}".encode(),
            arguments,
            binary=True,
            prepare=True,
        )
        return list(map(LoggedEvent._make, await cursor.fetchall()))


async def notifications(connection: psycopg.AsyncConnection, channel: str) -> AsyncIterator[None]:
    """Yield whenever something is announced on ``channel``, and once a second at the latest.

    The connection must be in autocommit and used for nothing else. The first item comes at once: one
    listens before one reads, or an event between the two would wait for the next.
    """
    await connection.execute(f"LISTEN {channel}".encode())
    while True:
        yield
        async for _ in connection.notifies(timeout=1.0, stop_after=1):
            pass
