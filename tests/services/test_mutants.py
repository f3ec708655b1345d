"""Promises that could be kept by luck: each is checked on the real thing and on a mutant that breaks it.

The same check has to pass for the one and to fail for the other. Otherwise it would prove nothing.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from api.stack.postgres import PostgresServer
from projections import reading
from projections.reading import Tables
from projections.runner import BrokenProjectionError, Part, Runner
from services.log import Conflict, Log, LogReader
from services.schema import DATABASE, prepare
from services.settings import Settings
from services.store import Request, UnitOfWork
from tests.cast import stamp
from tests.conftest import running
from tests.projections.crowds import a_crowd, is_whole, write
from tests.services.logbook import a_wire, an_entry, ask, whole_log
from tests.services.tallies import LIMIT, a_store, counting, starting

both = pytest.mark.parametrize("mutant", [False, True], ids=["the real thing", "the mutant"])


# ---- an acknowledged command survives the death of the database ----------------------------------------


@pytest.fixture(scope="module")
async def lazy_server(session_folder: Path) -> AsyncIterator[PostgresServer]:
    """A server that writes to the disk only when it must, so that nothing is kept by chance."""
    async with PostgresServer(session_folder / "lazy", options={"wal_writer_delay": "10000"}) as server:
        await prepare(server.url(), server.passwords)
        yield server


async def acknowledged_and_lost(server: PostgresServer, synchronous_commit: str) -> set[UUID]:
    """Write until a moment, kill the database at that moment, and say which acknowledged keys are gone."""
    urls = server.urls(DATABASE)
    acknowledged: set[UUID] = set()
    async with Log(urls["writer_url"], synchronous_commit=synchronous_commit) as log:
        for _ in range(60):
            entry = an_entry()
            await log.append(entry)
            acknowledged.add(entry.key)
        server.kill()
    await server.start()
    kept = {key for (key,) in await ask(urls["reader_url"], "SELECT key FROM log.commands")}
    return acknowledged - kept


@both
async def test_what_was_acknowledged_survives_kill_9_of_the_database(
    lazy_server: PostgresServer, mutant: bool
) -> None:
    """The mutant acknowledges a command before it is on the disk."""
    lost = await acknowledged_and_lost(lazy_server, "off" if mutant else "on")
    assert bool(lost) is mutant


# ---- a follower by position misses nothing -------------------------------------------------------------


async def change_function(superuser_url: str, function: str, part: str, to: str) -> None:
    """Make a mutant of one of the log's functions."""
    [(definition,)] = await ask(
        superuser_url, "SELECT pg_get_functiondef(p.oid) FROM pg_proc p WHERE proname = %s", function
    )
    mutant, times = re.subn(part, to, str(definition))
    assert times == 1, "the part to change is there"
    await ask(superuser_url, mutant)


async def missed_by_a_follower(settings: Settings) -> set[int]:
    """Two writers, of which the first to get a position commits last; and a follower who looks in between."""
    append = (
        "SELECT log.append(ARRAY[%s]::uuid[], ARRAY['']::bytea[], ARRAY['a'], ARRAY['done'], "
        "ARRAY['']::bytea[], ARRAY[1], ARRAY[1], ARRAY[%s]::uuid[], ARRAY[1]::bigint[], ARRAY['t'], "
        "ARRAY['']::bytea[])"
    )
    seen: list[int] = []
    async with (
        await psycopg.AsyncConnection.connect(settings.writer_url) as first,
        await psycopg.AsyncConnection.connect(settings.writer_url) as second,
        await psycopg.AsyncConnection.connect(settings.reader_url, autocommit=True) as follower,
    ):

        async def write_second() -> None:
            await second.execute(append, (uuid4(), uuid4()))
            await second.commit()

        async def follow() -> None:
            events = await LogReader(follower).after(seen[-1] if seen else 0, 100)
            seen.extend(event.position for event in events)

        await first.execute(append, (uuid4(), uuid4()))
        writing = asyncio.create_task(write_second())
        waiting = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while not writing.done() and not await ask(settings.reader_url, waiting):
            await asyncio.sleep(0.01)
        await follow()
        await first.commit()
        await writing
        await follow()
    return {event.position for event in await whole_log(settings.reader_url)} - set(seen)


@both
async def test_a_follower_by_position_misses_nothing(
    postgres: PostgresServer, settings: Settings, mutant: bool
) -> None:
    """The mutant takes no lock."""
    if mutant:
        database = str(psycopg.conninfo.conninfo_to_dict(settings.writer_url)["dbname"])
        await change_function(
            postgres.url(database=database), "append", r"PERFORM pg_advisory_xact_lock\(\d+\);", ""
        )
    assert bool(await missed_by_a_follower(settings)) is mutant


# ---- one's own commit is not taken for somebody else's -------------------------------------------------


class ForgetfulLog(Log):
    """A log that sends a batch again without asking first whether it was recorded."""

    async def _settle(self, connection: psycopg.AsyncConnection, batch: list[Any]) -> list[Any]:
        return batch


@both
async def test_a_command_whose_reply_was_lost_does_not_conflict_with_itself(
    postgres: PostgresServer, settings: Settings, mutant: bool
) -> None:
    """The mutant looks for the key neither after a break nor before it calls something a conflict."""
    if mutant:
        database = str(psycopg.conninfo.conninfo_to_dict(settings.writer_url)["dbname"])
        await change_function(
            postgres.url(database=database),
            "append_checked",
            r"EXISTS \(SELECT FROM log\.commands .*\)",
            "false",
        )
    kind = ForgetfulLog if mutant else Log
    socket = postgres.socket_folder / ".s.PGSQL.5432"
    async with a_wire(socket, settings.writer_url) as (wire, url), kind(url) as log:
        await log.append(an_entry())
        wire.replies_to_lose = 1
        told_of_a_conflict = False
        try:
            await log.append(an_entry())
        except Conflict:
            told_of_a_conflict = True
    assert wire.replies_to_lose == 0
    assert len(await whole_log(settings.reader_url)) == 2
    assert told_of_a_conflict is mutant


# ---- rows and position are one -------------------------------------------------------------------------


class Killed(Exception):
    """The process is gone; nothing that it would have done next is done."""


class MortalConnection(psycopg.AsyncConnection[Any]):
    """A connection that dies at the moment when the position is to be moved."""

    async def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        text = query.as_string(self) if isinstance(query, psycopg.sql.Composable) else str(query)
        if "UPDATE" in text and "SET position" in text:
            self.pgconn.finish()
            raise Killed
        return await super().execute(query, *arguments, **options)


class TearingRunner(Runner):
    """A runner that commits the rows by themselves, and then the position."""

    async def _write(self, part: Part) -> None:
        for change in part.changes:
            await self._close(change.table, change.closed)
            await self._insert(change.table, change.opened)
        await self.connection.commit()
        await super()._write(replace(part, changes=()))


async def is_torn_by_death(settings: Settings, kind: type[Runner]) -> bool:
    """Let a runner die between rows and position, let another go on, and look at what they made."""
    schema = "tables_of_two"
    async with Log(settings.writer_url) as log:
        last = await write(log, a_crowd(30, parties=6))
    async with await psycopg.AsyncConnection.connect(settings.projector_url) as connection:
        await kind(connection, schema).prepare()
    mortal = await MortalConnection.connect(settings.projector_url)
    with pytest.raises(Killed):
        runner = kind(mortal, schema, batch_events=10)
        await runner.prepare()
        await runner.catch_up()
    async with await psycopg.AsyncConnection.connect(settings.projector_url) as connection:
        heir = kind(connection, schema, batch_events=10)
        await heir.prepare()
        try:
            await heir.catch_up()
        except BrokenProjectionError:
            return True
    rows = "SELECT count(*), sum(version) FILTER (WHERE upper_inf(valid))::bigint FROM tables_of_two.parties"
    return await ask(settings.projector_url, rows) != [(last, last)]


@both
async def test_rows_and_position_are_written_together_or_not_at_all(settings: Settings, mutant: bool) -> None:
    """The mutant commits rows and position in two transactions."""
    assert await is_torn_by_death(settings, TearingRunner if mutant else Runner) is mutant


# ---- a picture is of one moment ------------------------------------------------------------------------


async def _as_it_comes(connection: psycopg.AsyncConnection) -> None:
    """Configure nothing: each statement sees what is committed by then."""


@both
async def test_a_picture_stays_as_it_was_at_its_first_look(
    settings: Settings, mutant: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant reads each statement's own moment."""
    if mutant:
        monkeypatch.setattr(reading, "_one_picture", _as_it_comes)
    events = a_crowd(40)
    async with Log(settings.writer_url) as log, running(settings) as runner:
        await write(log, events[:20])
        await runner.catch_up()
        async with Tables(settings.reader_url) as tables, tables.picture(after=20) as picture:
            await write(log, events[20:])
            await runner.catch_up()
            assert await is_whole(picture) is not mutant


# ---- what is remembered is not taken for what is so ----------------------------------------------------


@both
async def test_a_refusal_rests_on_the_log_and_not_on_what_is_remembered(
    settings: Settings, mutant: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant trusts its cache."""
    if mutant:
        monkeypatch.setattr(UnitOfWork, "used_cache", False)
    async with a_store(settings.writer_url) as store, a_store(settings.writer_url) as another:
        for decide in (starting("a", LIMIT - 1), counting("a")):
            await store.execute(Request(stamp()), decide)
        await another.execute(Request(stamp()), counting("a", -5))
        answer = await store.execute(Request(stamp()), counting("a"))
    assert (answer.outcome == "refused") is mutant
