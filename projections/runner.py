"""Keeps the tables in step with the log.

The runner listens before it reads, takes events in batches, folds what they do to rows in memory, and
writes rows and position in one transaction: the tables of all projections stand at one position, always.
It never skips an event. When it cannot apply one, it stops and says which. Where many are waiting, it works
out the next batch while the database is busy with the one before.

Tables are disposable. Each version of the code has a schema of its own; a new one is filled beside the
old, which goes on serving, and takes over when it has caught up.
"""

import asyncio
import contextlib
import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog
from psycopg import sql

from projections import registry
from projections.fold import Fold, FoldError, copy_text
from projections.schema import drop_others, hold, hold_readers, make, queue_for_views, take_over
from projections.tables import Projection, Table
from services.log import LoggedState, LogReader, notifications
from services.mapper import decode
from services.pool import NOTICE_LOSS
from services.settings import Settings

log = structlog.get_logger("projections")

BATCH_EVENTS = 5_000
"""How many events are applied together at the most. The more there are, the more rows begin and end within
one batch and are written once; but what is held in memory grows with them."""
Report = Callable[[int, int], None]
"""Told how far the tables have come: position reached, position of the log."""


class BrokenProjectionError(Exception):
    """An event could not be applied. The tables stand before it; nothing was skipped."""


@dataclass(frozen=True, slots=True)
class TableChange:
    """What is to be written to one table: the keys of rows that end, with their positions, and new rows."""

    table: Table
    closed: Sequence[tuple[tuple[Any, ...], int]]
    opened: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the log that has been worked out: how far it goes, and what is to be written for it."""

    position: int
    """The position of its last event."""
    topic: str
    events: int
    changes: Sequence[TableChange]


@dataclass(slots=True)
class Runner:
    """Writes one schema of tables, over one connection that it owns."""

    connection: psycopg.AsyncConnection
    schema: str
    projections: Sequence[Projection] = registry.PROJECTIONS
    batch_events: int = BATCH_EVENTS
    position: int = 0
    _table_id: int = 0
    _fold: Fold = field(init=False)
    _ahead: Part | None = field(init=False, default=None)
    """The part that comes next, when it has been worked out already."""

    def __post_init__(self) -> None:
        self._fold = Fold(self.projections)

    @property
    def tables(self) -> list[Table]:
        return [table for projection in self.projections for table in projection.tables]

    async def prepare(self) -> None:
        """Make the schema where it is missing, and find out where it stands."""
        await make(self.connection, self.schema, self.tables)
        await self._take_turn()
        await self.connection.commit()

    async def step(self, *, commit: bool = True) -> int:
        """Apply the next batch and return how many events it held, 0 when there was nothing new."""
        try:
            return await self._step(commit)
        except BaseException:
            # The rows in memory may be ahead of those that are stored.
            self._let_go()
            with contextlib.suppress(psycopg.Error):
                await self.connection.rollback()
            raise

    async def _step(self, commit: bool) -> int:
        await self._take_turn()
        part, self._ahead = self._ahead, None
        if part is None:
            part = await self._work_out(await self._read(self.position))
        if part is None:
            if commit:
                await self.connection.rollback()
            return 0
        try:
            await self._write_and_look_ahead(part)
        except (FoldError, psycopg.DataError, psycopg.IntegrityError) as error:
            raise BrokenProjectionError(_where(part.position, part.topic, error)) from error
        if commit:
            await self.connection.commit()
        self.position = part.position
        return part.events

    async def _read(self, after: int) -> list[LoggedState]:
        return await LogReader(self.connection).states_after(after, self.batch_events)

    async def _write_and_look_ahead(self, part: Part) -> None:
        """Write a part. When more is waiting, work out the next one while the database is busy with this."""
        if part.events < self.batch_events:
            await self._write(part)
            return
        events = await self._read(part.position)
        writing = asyncio.create_task(self._write(part))
        try:
            self._ahead = await self._work_out(events, writing)
        except BrokenProjectionError:
            # It is met again, and told, when this part is stored and the turn of the next has come.
            self._let_go()
        finally:
            await writing

    async def _work_out(
        self, events: Sequence[LoggedState], writing: "asyncio.Task[None] | None" = None
    ) -> Part | None:
        """Work out what is to be written for some events, None when there are none.

        The part before may still be on its way to the database. The rows in memory are as it leaves them.
        """
        if not events:
            return None
        batch = self._fold.batch()
        for number, (position, topic, state) in enumerate(events):
            try:
                batch.add(decode(topic, state), position)
            except Exception as error:
                raise BrokenProjectionError(_where(position, topic, error)) from error
            if writing and number % 100 == 0:
                await asyncio.sleep(0)  # Lets the writing go on.
        if batch.missing and writing:
            await asyncio.wait([writing])  # They must be read as that leaves them.
        await batch.load(self._load)
        try:
            batch.fold()
        except FoldError as error:
            raise BrokenProjectionError(_where(position, topic, error)) from error
        changes = [
            TableChange(table, batch.closed(table), copy_text(batch.opened(table))) for table in self.tables
        ]
        batch.stored()
        return Part(position, topic, len(events), changes)

    async def _take_turn(self) -> None:
        """Lock the position for this transaction. Another position or another table than before means that
        the tables were replaced by a rebuild: then the rows in memory are let go, and work goes on there."""
        cursor = await self.connection.execute(
            sql.SQL("SELECT position, tableoid FROM {}.position FOR UPDATE").format(
                sql.Identifier(self.schema)
            )
        )
        row = await cursor.fetchone()
        assert row is not None, "the position is made with the schema"
        if row != (self.position, self._table_id):
            self._let_go()
            self.position, self._table_id = row

    def _let_go(self) -> None:
        """Forget the rows in memory, and what was worked out from them."""
        self._ahead = None
        self._fold.forget()

    async def _write(self, part: Part) -> None:
        for change in part.changes:
            await self._close(change.table, change.closed)
            await self._insert(change.table, change.opened)
        await self.connection.execute(
            sql.SQL("UPDATE {}.position SET position = %s").format(sql.Identifier(self.schema)),
            (part.position,),
        )
        await self.connection.execute("SELECT pg_notify('tables', %s)", (str(part.position),))

    async def _load(self, table: Table, keys: Sequence[tuple[Any, ...]]) -> list[tuple[int, dict[str, Any]]]:
        """Fetch the rows that are true now, for keys that the fold does not know."""
        columns = sql.SQL(", ").join(sql.SQL("t.") + sql.Identifier(name) for name in table.columns)
        cursor = await self.connection.execute(
            sql.SQL("SELECT lower(t.valid), {} FROM {} t JOIN {} ON {} WHERE upper_inf(t.valid)").format(
                columns, sql.Identifier(self.schema, table.name), _unnest(table), _same_key(table)
            ),
            [list(column) for column in zip(*keys, strict=True)],
        )
        return [(row[0], dict(zip(table.columns, row[1:], strict=True))) for row in await cursor.fetchall()]

    async def _close(self, table: Table, closed: Sequence[tuple[tuple[Any, ...], int]]) -> None:
        if not closed:
            return
        cursor = await self.connection.execute(
            sql.SQL(
                "UPDATE {} t SET valid = int8range(lower(t.valid), k.ended) FROM {} "
                "WHERE {} AND upper_inf(t.valid)"
            ).format(sql.Identifier(self.schema, table.name), _unnest(table, ended=True), _same_key(table)),
            [
                *([list(column) for column in zip(*(key for key, _ in closed), strict=True)]),
                [ended for _, ended in closed],
            ],
        )
        if cursor.rowcount != len(closed):
            raise FoldError(f"{len(closed)} rows of {table.name} were to end, and {cursor.rowcount} did")

    async def _insert(self, table: Table, opened: str) -> None:
        if not opened:
            return
        columns = sql.SQL(", ").join(map(sql.Identifier, (*table.columns, "valid")))
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(self.schema, table.name), columns
        )
        async with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            await copy.write(opened)

    async def catch_up(self, report: Report | None = None) -> None:
        """Apply all that is in the log, reporting as it goes."""
        while True:
            head = await LogReader(self.connection).position()
            if self.position >= head:
                await self.connection.rollback()
                return
            with _collector_resting():
                while self.position < head:
                    await self.step()
                    if report:
                        report(self.position, head)


@contextlib.contextmanager
def _collector_resting() -> Iterator[None]:
    """Keep the collector of cycles from looking through all rows again and again, which takes a third of the
    time. Events and rows refer to nothing that refers to them: they go without it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        # What was made meanwhile counts as old, or all of it would be looked through now.
        gc.freeze()
        gc.unfreeze()
        if was_on:
            gc.enable()


def _unnest(table: Table, *, ended: bool = False) -> sql.Composed:
    casts: list[sql.Composable] = [
        sql.SQL("%b::{}[]").format(sql.SQL(table.columns[name])) for name in table.key
    ]
    names = [sql.Identifier(name) for name in table.key]
    if ended:
        casts.append(sql.SQL("%b::bigint[]"))
        names.append(sql.Identifier("ended"))
    return sql.SQL("unnest({}) AS k({})").format(sql.SQL(", ").join(casts), sql.SQL(", ").join(names))


def _same_key(table: Table) -> sql.Composed:
    return sql.SQL(" AND ").join(sql.SQL("t.{0} = k.{0}").format(sql.Identifier(name)) for name in table.key)


def schema_name() -> str:
    """Return the name of the schema that this version of the code fills."""
    return f"tables_{registry.code_version()}"


async def open_runner(settings: Settings, schema: str | None = None, *, anew: bool = False) -> Runner:
    """Connect and prepare a runner; only one at a time writes a schema, others wait here for their turn.

    With ``anew``, whatever the schema holds is dropped before.
    """
    connection = await psycopg.AsyncConnection.connect(
        settings.projector_url, application_name="mandate projections", **NOTICE_LOSS
    )
    # What the tables lose in a crash is in the log, rows and position alike: no need to wait for the disk.
    await connection.execute("SET synchronous_commit = off")
    runner = Runner(connection, schema or schema_name())
    # Asked again and again, since a statement that waits would keep the database from clearing up.
    while not await hold(connection, runner.schema):  # noqa: ASYNC110 - it depends on another process
        await asyncio.sleep(0.5)
    if anew:
        await connection.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(runner.schema))
        )
    await runner.prepare()
    return runner


async def run(settings: Settings) -> None:
    """Follow the log for ever. A lost connection is looked for again; a broken projection is raised."""
    while True:
        try:
            await _follow(settings)
        except (psycopg.OperationalError, psycopg.InterfaceError, OSError) as error:
            log.warning("the database is out of reach; trying again", error=str(error))
            await asyncio.sleep(0.5)


async def _follow(settings: Settings) -> None:
    listener = await psycopg.AsyncConnection.connect(settings.projector_url, autocommit=True, **NOTICE_LOSS)
    async with listener:
        runner = await open_runner(settings)
        async with runner.connection:
            await runner.catch_up(_log_progress)
            await take_over(runner.connection, runner.schema, runner.tables)
            await drop_others(runner.connection, runner.schema)
            log.info("the tables have caught up", schema=runner.schema, position=runner.position)
            async for _ in notifications(listener, "log"):
                while await runner.step():
                    pass


def _log_progress(position: int, head: int) -> None:
    if position == head or position % (20 * BATCH_EVENTS) < BATCH_EVENTS:
        log.info("catching up", position=position, head=head)


async def rebuild(settings: Settings, report: Report | None = None) -> int:
    """Build the tables anew beside those that serve, and let the new ones take over.

    Returns the position that they reached. The running projector finds its tables replaced and goes on
    with the new ones. Interrupted, it leaves the old tables serving; the next start begins again.
    """
    schema = schema_name()
    runner = await open_runner(settings, f"{schema}_anew", anew=True)
    async with runner.connection:
        await runner.catch_up(report)
        await _replace(runner, schema)
        await runner.connection.commit()
    return runner.position


async def _replace(runner: Runner, schema: str) -> None:
    """Let the runner's tables take the place and the name of those that serve, in one transaction.

    1. A runner that is at work on the old tables waits from here to the commit, so that the new ones can
       reach the end of the log and are never behind the old.
    2. Readers go on until the new tables have got there. Then they wait as well, at the door.
    3. Whoever waited finds the new tables under the old names.
    """
    connection, old = runner.connection, sql.Identifier(schema)
    await queue_for_views(connection)
    if await _exists(connection, schema):
        await connection.execute(sql.SQL("LOCK TABLE {}.position IN EXCLUSIVE MODE").format(old))
    while await runner.step(commit=False):
        pass
    await hold_readers(connection)
    await connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(old))
    await connection.execute(
        sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(sql.Identifier(runner.schema), old)
    )
    await take_over(connection, schema, runner.tables)


async def _exists(connection: psycopg.AsyncConnection, schema: str) -> bool:
    cursor = await connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", (schema,))
    return await cursor.fetchone() is not None


def _where(position: int, topic: str, error: Exception) -> str:
    return (
        f"The tables cannot take in the events up to position {position} ({topic}): {error}. "
        "They stand before them; nothing was skipped."
    )
