"""The event log: nothing lost, nothing doubled, one order for all, and everybody gets an answer."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from api.stack.postgres import PostgresServer
from services import log as log_module
from services.log import Conflict, Entry, Log, LoggedEvent, LogReader, Unavailable, Written, notifications
from services.schema import DATABASE, prepare
from services.settings import Settings
from tests.services.logbook import a_wire, an_entry, an_event, ask, nothing_done, whole_log

PROJECT = Path(__file__).parents[2]
LOCK = "SELECT pg_advisory_xact_lock(7072015)"


@pytest.fixture
async def log(settings: Settings) -> AsyncIterator[Log]:
    """The log as one process writes it."""
    async with Log(settings.writer_url) as log:
        yield log


@pytest.fixture(scope="module")
async def own_server(session_folder: Path) -> AsyncIterator[PostgresServer]:
    """A server that these tests may stop."""
    async with PostgresServer(session_folder / "stopped") as server:
        await prepare(server.url(), server.passwords)
        yield server


async def outcomes(log: Log, *entries: Entry) -> list[Written | BaseException]:
    """Ask for all entries at the same moment."""
    return await asyncio.gather(*(log.append(entry) for entry in entries), return_exceptions=True)


# ---- together, and each for itself ---------------------------------------------------------------------


async def test_commands_that_wait_are_written_in_one_transaction(log: Log, settings: Settings) -> None:
    entries = [an_entry() for _ in range(20)]

    written = await asyncio.gather(*map(log.append, entries))

    transactions = "SELECT count(DISTINCT xmin::text), count(*) FROM log.commands"
    assert await ask(settings.reader_url, transactions) == [(1, 20)]
    logged = await whole_log(settings.reader_url)
    assert [event.originator_id for event in logged] == [entry.events[0].originator_id for entry in entries]
    assert [result.last_position for result in written] == [event.position for event in logged]


async def test_a_conflict_fails_only_its_own_command(log: Log, settings: Settings) -> None:
    taken, free, long = uuid4(), uuid4(), uuid4()
    await log.append(an_entry(an_event(taken)))

    before, loser, after, nothing, also_loses = await outcomes(
        log,
        an_entry(an_event(free)),
        an_entry(an_event(uuid4()), an_event(taken)),
        an_entry(an_event(long, 1), an_event(long, 2)),
        nothing_done(),
        an_entry(an_event(long, 2)),
    )

    assert isinstance(loser, Conflict)
    assert isinstance(also_loses, Conflict), "the one that came first in the batch has the version"
    logged = await whole_log(settings.reader_url)
    assert [(event.originator_id, event.originator_version) for event in logged] == [
        (taken, 1),
        (free, 1),
        (long, 1),
        (long, 2),
    ]
    assert before == Written(logged[1].position)
    assert after == Written(logged[3].position)
    assert nothing == Written(None)


async def test_a_key_that_comes_twice_in_one_batch_is_written_once(log: Log, settings: Settings) -> None:
    key = uuid4()

    first, second, other = await outcomes(log, an_entry(key=key), an_entry(key=key), an_entry())

    assert isinstance(first, Written) and not first.repeated
    assert isinstance(second, Written) and second.repeated
    assert isinstance(other, Written) and not other.repeated
    assert len(await whole_log(settings.reader_url)) == 2


async def test_a_key_known_from_earlier_is_not_taken_for_a_conflict(log: Log, settings: Settings) -> None:
    entry = an_entry()
    first = await log.append(entry)

    again = await log.append(entry)

    assert again.repeated
    async with await psycopg.AsyncConnection.connect(settings.reader_url) as connection:
        known = await LogReader(connection).command(entry.key)
    assert known is not None
    assert known.last_position == first.last_position


@pytest.mark.parametrize(
    "culprit",
    [
        an_entry(an_event(uuid4(), topic="tests:\0")),
        an_entry(actor="service:\ud800"),
        an_entry(an_event(uuid4(), 2**70)),
        Entry(uuid4(), b"", "service:tests", "lost", b"", (an_event(uuid4()),)),  # type: ignore[arg-type]  # on purpose
    ],
    ids=["for the driver", "for the encoding", "for the column", "for the database"],
)
async def test_what_cannot_be_stored_fails_alone(culprit: Entry, log: Log, settings: Settings) -> None:
    others = [an_entry() for _ in range(9)]

    results = await outcomes(log, *others[:4], culprit, *others[4:])

    failed = results.pop(4)
    assert isinstance(failed, Exception)
    assert not isinstance(failed, Unavailable | Conflict)
    assert all(isinstance(result, Written) for result in results)
    logged = await whole_log(settings.reader_url)
    assert [event.originator_id for event in logged] == [entry.events[0].originator_id for entry in others]


async def test_a_batch_is_closed_before_it_grows_too_large(settings: Settings) -> None:
    def large() -> Entry:
        event = an_event(uuid4())
        return an_entry(type(event)(event.originator_id, 1, event.topic, b" " * 7_000_000))

    async with Log(settings.writer_url) as log:
        await asyncio.gather(*(log.append(large()) for _ in range(5)))

    assert await ask(settings.reader_url, "SELECT count(DISTINCT xmin::text) FROM log.commands") == [(2,)]


async def test_a_full_queue_says_so_and_loses_nothing(settings: Settings) -> None:
    async with (
        Log(settings.writer_url, queue_limit=2) as log,
        await psycopg.AsyncConnection.connect(settings.writer_url) as other,
    ):
        await other.execute(LOCK)
        taken = [asyncio.create_task(log.append(an_entry()))]
        await asyncio.sleep(0.1)
        taken += [asyncio.create_task(log.append(an_entry())) for _ in range(2)]
        await asyncio.sleep(0)

        with pytest.raises(Unavailable, match="Nothing was recorded"):
            await log.append(an_entry())

        await other.commit()
        await asyncio.gather(*taken)
    assert len(await whole_log(settings.reader_url)) == 3


async def test_a_caller_that_goes_away_takes_nobody_along(log: Log, settings: Settings) -> None:
    async with await psycopg.AsyncConnection.connect(settings.writer_url) as other:
        await other.execute(LOCK)
        gone, stays = (asyncio.create_task(log.append(an_entry())) for _ in range(2))
        await asyncio.sleep(0.1)
        gone.cancel()
        await other.commit()
        assert isinstance(await stays, Written)
    assert gone.cancelled()
    assert len(await whole_log(settings.reader_url)) == 2, "what was asked for stands"


async def test_whoever_waits_when_the_service_stops_is_told(settings: Settings) -> None:
    async with await psycopg.AsyncConnection.connect(settings.writer_url) as other:
        await other.execute(LOCK)
        async with Log(settings.writer_url) as log:
            under_way = asyncio.create_task(log.append(an_entry()))
            await asyncio.sleep(0.1)
            behind = asyncio.create_task(log.append(an_entry()))
            await asyncio.sleep(0)
    for task, in_doubt in ((under_way, True), (behind, False)):
        with pytest.raises(Unavailable, match="stopping") as caught:
            await task
        assert caught.value.in_doubt is in_doubt
    with pytest.raises(Unavailable, match="stopping"):
        await log.append(an_entry())


# ---- when the connection or the server goes ------------------------------------------------------------


async def test_connections_killed_while_many_write_lose_and_double_nothing(
    postgres: PostgresServer, log: Log, settings: Settings
) -> None:
    records = [uuid4() for _ in range(20)]
    done = asyncio.Event()
    kills = 0

    async def write(record: UUID) -> list[Written]:
        written: list[Written] = []
        while kills < 5 or len(written) < 15:
            written.append(await log.append(an_entry(an_event(record, len(written) + 1))))
        return written

    async def kill() -> None:
        nonlocal kills
        async with await psycopg.AsyncConnection.connect(postgres.url(), autocommit=True) as superuser:
            while not done.is_set():
                cursor = await superuser.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'mandate writer' AND datname = %s",
                    (psycopg.conninfo.conninfo_to_dict(settings.writer_url)["dbname"],),
                )
                kills += cursor.rowcount
                await asyncio.sleep(0.015)

    killer = asyncio.create_task(kill())
    answers = await asyncio.gather(*map(write, records))
    done.set()
    await killer

    logged = await whole_log(settings.reader_url)
    assert len(logged) == sum(map(len, answers)), "every command that was answered is there, and no other"
    for record, written in zip(records, answers, strict=True):
        versions = [event.originator_version for event in logged if event.originator_id == record]
        assert versions == list(range(1, len(written) + 1))


async def test_a_reply_that_was_lost_is_looked_up_by_its_key(
    postgres: PostgresServer, settings: Settings
) -> None:
    socket = postgres.socket_folder / ".s.PGSQL.5432"
    async with a_wire(socket, settings.writer_url) as (wire, url), Log(url) as log:
        await log.append(an_entry())
        wire.replies_to_lose = 1
        record = uuid4()

        written = await log.append(an_entry(an_event(record)))

        assert wire.replies_to_lose == 0
        [event] = [event for event in await whole_log(settings.reader_url) if event.originator_id == record]
        assert written == Written(event.position, repeated=True)


async def test_who_cannot_learn_how_it_ended_is_told_so(postgres: PostgresServer, settings: Settings) -> None:
    socket = postgres.socket_folder / ".s.PGSQL.5432"
    async with (
        a_wire(socket, settings.writer_url) as (wire, url),
        Log(url, patience_seconds=0.5) as log,
    ):
        await log.append(an_entry())
        wire.replies_to_lose, wire.cut = 1, True
        entry = an_entry()

        with pytest.raises(Unavailable, match="its key") as caught:
            await log.append(entry)

        assert caught.value.in_doubt
        wire.cut = False
        again = await log.append(entry)
        assert again.repeated, "the first one had been recorded"
    assert len(await whole_log(settings.reader_url)) == 2


async def test_commands_wait_while_the_database_is_stopped_and_then_go_on(own_server: PostgresServer) -> None:
    urls = own_server.urls(DATABASE)
    async with Log(urls["writer_url"], patience_seconds=30) as log:
        await log.append(an_entry())
        before = len(await whole_log(urls["reader_url"]))
        await own_server.stop()
        waiting = [asyncio.create_task(log.append(an_entry())) for _ in range(10)]
        await asyncio.sleep(0.3)
        assert not any(task.done() for task in waiting)

        await own_server.start()

        written = await asyncio.gather(*waiting)
        positions = [result.last_position for result in written]
        assert positions == sorted(set(positions), key=lambda position: position or 0)
        assert len(await whole_log(urls["reader_url"])) == before + 10


async def test_patience_with_a_stopped_database_runs_out_for_each_on_its_own(
    own_server: PostgresServer,
) -> None:
    urls = own_server.urls(DATABASE)
    async with Log(urls["writer_url"], patience_seconds=0.6) as log:
        before = len(await whole_log(urls["reader_url"]))
        await own_server.stop()
        loop = asyncio.get_running_loop()
        started = loop.time()
        waiting = []
        for _ in range(4):
            waiting.append(asyncio.create_task(log.append(an_entry())))
            await asyncio.sleep(0.1)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        took = loop.time() - started

        assert all(isinstance(result, Unavailable) and not result.in_doubt for result in results), results
        assert took < 2.0, "nobody waits out the patience of those before"
        await own_server.start()
        assert (await log.append(an_entry())).last_position
        assert len(await whole_log(urls["reader_url"])) == before + 1


async def test_a_database_that_takes_a_command_and_falls_silent_keeps_nobody_waiting(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "GRACE_SECONDS", 0.2)
    async with (
        Log(settings.writer_url, patience_seconds=0.2) as log,
        await psycopg.AsyncConnection.connect(settings.writer_url) as other,
    ):
        await other.execute(LOCK)
        taken, waiting = an_entry(), an_entry()
        first = asyncio.create_task(log.append(taken))
        await asyncio.sleep(0.1)
        results = await asyncio.gather(first, log.append(waiting), return_exceptions=True)
        assert all(isinstance(result, Unavailable) and result.in_doubt for result in results), results
        await other.commit()
        assert isinstance(await log.append(an_entry()), Written)
        assert (await log.append(taken)).repeated, "it was recorded when the database went on"
        assert not (await log.append(waiting)).repeated, "it was not sent any more"


# ---- one order for all ---------------------------------------------------------------------------------


async def test_a_follower_sees_every_event_of_several_writing_processes_once_and_in_order(
    settings: Settings,
) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.services.writers", settings.writer_url, "4", "150", cwd=PROJECT
        )
        for _ in range(3)
    ]
    expected = 3 * 4 * 50 * (1 + 2 + 3)
    seen: list[LoggedEvent] = []

    async with (
        asyncio.timeout(40),
        await psycopg.AsyncConnection.connect(settings.reader_url, autocommit=True) as listener,
        await psycopg.AsyncConnection.connect(settings.reader_url, autocommit=True) as connection,
    ):
        reader = LogReader(connection)
        async for _ in notifications(listener, "log"):
            while events := await reader.after(seen[-1].position if seen else 0, 50):
                seen += events
            if len(seen) >= expected:
                break
    assert [await process.wait() for process in processes] == [0, 0, 0]

    positions = [event.position for event in seen]
    assert positions == sorted(set(positions))
    assert seen == await whole_log(settings.reader_url), "no event came later below a position already passed"
    assert len(seen) == expected
    versions: dict[UUID, int] = {}
    for event in seen:
        assert event.originator_version == versions.get(event.originator_id, 0) + 1
        versions[event.originator_id] = event.originator_version


async def test_a_moment_leads_to_the_position_of_the_log_at_that_moment(log: Log, settings: Settings) -> None:
    async with await psycopg.AsyncConnection.connect(settings.reader_url, autocommit=True) as connection:
        reader = LogReader(connection)
        assert await reader.position_at(datetime.now(UTC)) == 0

        first = await log.append(an_entry())
        await log.append(nothing_done())
        between = datetime.now(UTC)
        await asyncio.sleep(0.01)
        batch = await asyncio.gather(*(log.append(an_entry()) for _ in range(50)))

        assert await reader.position_at(between) == first.last_position
        assert await reader.position_at(datetime.now(UTC)) == batch[-1].last_position
        assert await reader.position_at(between - timedelta(days=1)) == 0


async def test_moments_never_run_backwards_when_the_clock_does(
    postgres: PostgresServer, log: Log, settings: Settings
) -> None:
    owner_url = settings.owner_url
    await log.append(an_entry())
    # The clock was ahead when the first was recorded, and has been put right since.
    await ask(owner_url, "UPDATE log.commands SET recorded_at = now() + interval '1 hour'")

    second = await log.append(an_entry())

    async with await psycopg.AsyncConnection.connect(settings.reader_url, autocommit=True) as connection:
        reader = LogReader(connection)
        later = datetime.now(UTC) + timedelta(hours=2)
        assert await reader.position_at(later) == second.last_position
        assert await reader.position_at(datetime.now(UTC)) == 0


# ---- added to, never changed ---------------------------------------------------------------------------

CHANGES = [
    "UPDATE {} SET {} = {}",
    "DELETE FROM {}",
    "TRUNCATE {}",
    "DROP TABLE {}",
    "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
    "LOCK TABLE {} IN EXCLUSIVE MODE",
    "ALTER TABLE {} OWNER TO CURRENT_USER",
    "ALTER TABLE {} DISABLE TRIGGER ALL",
    "CREATE RULE changed AS ON INSERT TO {} DO INSTEAD NOTHING",
    "SELECT FROM {} FOR UPDATE",
]


@pytest.mark.parametrize("role", ["writer", "projector", "reader"])
@pytest.mark.parametrize("table", ["log.stored_events", "log.commands"])
async def test_the_database_lets_no_process_change_what_is_in_the_log(
    role: str, table: str, settings: Settings
) -> None:
    async with Log(settings.writer_url) as log:
        await log.append(an_entry())
    # A column, so that the statement would be right if it were allowed.
    column = {"log.stored_events": "state", "log.commands": "reply"}[table]
    url: str = getattr(settings, f"{role}_url")
    before = await ask(settings.reader_url, f"TABLE {table}")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        # Giving oneself a right is no error, only a warning; what counts is that it changes nothing.
        await connection.execute(f"GRANT ALL ON {table} TO CURRENT_USER".encode())
        for change in CHANGES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                async with connection.transaction():
                    await connection.execute(change.format(table, column, column).encode())
                    pytest.fail(f"{change} was carried out")
    assert await ask(settings.reader_url, f"TABLE {table}") == before


@pytest.mark.parametrize("role", ["writer", "projector", "reader"])
async def test_no_process_can_become_somebody_who_may(role: str, settings: Settings) -> None:
    async with await psycopg.AsyncConnection.connect(
        getattr(settings, f"{role}_url"), autocommit=True
    ) as connection:
        for attempt in (
            "SET ROLE mandate_owner",
            "SET ROLE postgres",
            "SET SESSION AUTHORIZATION mandate_owner",
            "ALTER SCHEMA log RENAME TO gone",
            "DROP SCHEMA log CASCADE",
            "CREATE TABLE log.more ()",
            "CREATE OR REPLACE FUNCTION log.append() RETURNS void LANGUAGE sql AS ''",
            "SELECT setval('log.stored_events_notification_id_seq', 1)",
            "SET session_replication_role = replica",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(attempt.encode())
                pytest.fail(f"{attempt} was carried out")


@pytest.mark.parametrize("role", ["projector", "reader"])
async def test_only_the_writer_adds_to_the_log(role: str, settings: Settings) -> None:
    async with Log(getattr(settings, f"{role}_url")) as log:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await log.append(an_entry())
    assert await whole_log(settings.reader_url) == []


async def test_the_database_can_be_prepared_again_and_keeps_what_it_holds(own_server: PostgresServer) -> None:
    urls = own_server.urls(DATABASE)
    async with Log(urls["writer_url"]) as log:
        await log.append(an_entry())
        before = await whole_log(urls["reader_url"])

        await prepare(own_server.url(), own_server.passwords)

        assert await whole_log(urls["reader_url"]) == before
        assert isinstance(await log.append(an_entry()), Written)
