"""The runner keeps the tables in step with the log: promptly, whole at every moment, skipping nothing."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from domain.parties import Party
from projections import parties, reading, registry
from projections.reading import Tables
from projections.runner import BrokenProjectionError, Runner, open_runner, rebuild, run, schema_name
from projections.schema import take_over
from projections.tables import Change, Projection, Table
from services.log import Log, Unavailable
from services.settings import Settings
from tests.projections.crowds import a_crowd, check_every_position, is_whole, write
from tests.services.logbook import an_entry, an_event, ask

PROJECT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60


@pytest.fixture
async def log(settings: Settings) -> AsyncIterator[Log]:
    """The log as one process writes it."""
    async with Log(settings.writer_url) as log:
        yield log


@pytest.fixture
async def tables(settings: Settings) -> AsyncIterator[Tables]:
    """The tables as one process reads them."""
    async with Tables(settings.reader_url) as tables:
        yield tables


@asynccontextmanager
async def a_follower(settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    """A runner that follows the log while the test goes on."""
    task = asyncio.create_task(run(settings))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def arrive(tables: Tables, position: int) -> None:
    """Wait for a position for as long as it may take a process to start on a busy machine."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(Unavailable):
                return await tables.wait_for(position)


async def schemas(settings: Settings) -> set[str]:
    """The schemas with tables that are there."""
    rows = await ask(
        settings.projector_url, r"SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tables\_%%'"
    )
    return {str(name) for (name,) in rows}


async def served_by(settings: Settings) -> str:
    """The schema that the views show."""
    [(name,)] = await ask(
        settings.projector_url,
        "SELECT DISTINCT table_schema FROM information_schema.view_table_usage "
        "WHERE view_schema IN ('now', 'as_of')",
    )
    return str(name)


# ---- following -----------------------------------------------------------------------------------------


async def test_a_reader_waits_for_the_position_that_it_names(
    runner: Runner, log: Log, tables: Tables
) -> None:
    position = await write(log, a_crowd(30))

    async def read() -> int:
        async with tables.picture(after=position) as picture:
            assert await is_whole(picture)
            return picture.position

    reading_on = asyncio.create_task(read())
    await asyncio.sleep(0.1)
    assert not reading_on.done()
    await runner.catch_up()
    assert await reading_on == position


async def test_a_reader_is_told_when_the_tables_do_not_get_there(
    runner: Runner, log: Log, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WAIT_SECONDS", 0.2)
    position = await write(log, a_crowd(3))
    for wish in ({"after": position}, {"at": position}):
        with pytest.raises(Unavailable, match=f"not reached {position}"):
            async with tables.picture(**wish):
                pass


async def test_a_reader_that_comes_before_the_first_tables_is_told_so(tables: Tables) -> None:
    with pytest.raises(Unavailable, match="first time"):
        async with tables.picture():
            pass


async def test_an_event_appears_at_once_and_not_when_somebody_looks(
    settings: Settings, log: Log, tables: Tables
) -> None:
    async with a_follower(settings):
        events = a_crowd(12)
        await tables.wait_for(await write(log, events[:2]))
        loop = asyncio.get_running_loop()
        started = loop.time()
        for event in events[2:]:
            written = await log.append(an_entry(event))
            async with tables.picture(after=written.last_position) as picture:
                assert await is_whole(picture)
        # Looking once a second would take ten seconds for ten events.
        assert loop.time() - started < 6


async def test_a_follower_finds_the_database_again(settings: Settings, log: Log, tables: Tables) -> None:
    events = a_crowd(60)
    async with a_follower(settings) as follower:
        await tables.wait_for(await write(log, events[:20]))
        await ask(
            settings.projector_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mandate_projector' "
            "AND datname = current_database() AND pid <> pg_backend_pid()",
        )
        position = await write(log, events[20:])
        async with tables.picture(after=position) as picture:
            assert await is_whole(picture)
        assert not follower.done()


# ---- never skipping ------------------------------------------------------------------------------------

COUNTS = Table("counts", {"id": "uuid", "number": "bigint"}, key=("id",))


def _counting(wrong: Change | Exception, at_version: int) -> tuple[Projection, ...]:
    """The parties, and beside them a table with a fault at one event."""
    projection = Projection(COUNTS)

    @projection.on(Party.Registered)
    def _begin(event: Party.Registered) -> Iterable[Change]:
        yield COUNTS.begin(id=event.originator_id, number=1)

    @projection.on(Party.ContactEnded)
    @projection.on(Party.ContactNamed)
    def _count(event: Party.Event) -> Iterable[Change]:
        if event.originator_version == at_version:
            if isinstance(wrong, Exception):
                raise wrong
            yield wrong
        yield COUNTS.change(event.originator_id, number=event.originator_version)

    return (parties.projection, projection)


@pytest.mark.parametrize(
    "wrong",
    [
        ZeroDivisionError("a fault of the projection"),
        COUNTS.change(uuid4(), number=2),
        COUNTS.begin(id=uuid4(), number="many"),
        COUNTS.begin(id=uuid4(), number=2**70),
    ],
    ids=["raises", "row is not there", "wrong type", "too large"],
)
async def test_a_broken_projection_stops_loudly_where_it_stands_and_goes_on_when_it_is_mended(
    wrong: Change | Exception, settings: Settings, log: Log
) -> None:
    last = await write(log, a_crowd(40, parties=4))
    async with (
        await psycopg.AsyncConnection.connect(settings.projector_url) as connection,
        await psycopg.AsyncConnection.connect(settings.projector_url) as other,
    ):
        broken = Runner(connection, "tables_broken", _counting(wrong, at_version=6), batch_events=4)
        await broken.prepare()
        with pytest.raises(BrokenProjectionError, match="nothing was skipped"):
            await broken.catch_up()
        stood = broken.position
        assert 0 < stood < last
        with pytest.raises(BrokenProjectionError):
            await broken.step()
        assert broken.position == stood
        assert await ask(settings.projector_url, "SELECT position FROM tables_broken.position") == [(stood,)]
        assert await ask(
            settings.projector_url,
            "SELECT sum(version)::bigint FROM tables_broken.parties WHERE upper_inf(valid)",
        ) == [(stood,)]

        mended = Runner(other, "tables_broken", _counting(ZeroDivisionError(), at_version=-1))
        await mended.prepare()
        await mended.catch_up()
        assert await ask(
            settings.projector_url,
            "SELECT sum(number)::bigint, count(*) FROM tables_broken.counts WHERE upper_inf(valid)",
        ) == [(last, 4)]


async def test_an_event_that_nobody_can_read_stops_the_follower(settings: Settings, log: Log) -> None:
    await write(log, a_crowd(5))
    await log.append(an_entry(an_event(uuid4(), topic="domain.parties:Party.NeverHeardOf")))
    with pytest.raises(BrokenProjectionError, match="NeverHeardOf"):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await run(settings)


async def test_a_row_that_was_tampered_with_is_noticed(runner: Runner, settings: Settings, log: Log) -> None:
    events = a_crowd(30, parties=5)
    await write(log, events[:10])
    await runner.catch_up()
    await ask(settings.projector_url, f"TRUNCATE {runner.schema}.parties")
    await write(log, events[10:])
    with pytest.raises(BrokenProjectionError, match="rows of parties were to end"):
        await runner.catch_up()


# ---- only one writes -----------------------------------------------------------------------------------


async def test_a_second_runner_waits_until_the_first_is_gone(settings: Settings, log: Log) -> None:
    events = a_crowd(40)
    first = await open_runner(settings)
    waiting = asyncio.create_task(open_runner(settings))
    await write(log, events[:20])
    await first.catch_up()
    await asyncio.sleep(0.7)
    assert not waiting.done()

    await first.connection.close()

    second = await waiting
    async with second.connection:
        assert second.position == 20
        assert await second.step() == 0


async def test_runners_that_pass_the_lock_by_still_take_turns(settings: Settings, log: Log) -> None:
    await write(log, a_crowd(200, parties=20))
    async with AsyncExitStack() as stack:
        runners = [
            Runner(
                await stack.enter_async_context(
                    await psycopg.AsyncConnection.connect(settings.projector_url)
                ),
                "tables_shared",
                batch_events=3,
            )
            for _ in range(3)
        ]
        for runner in runners:
            await runner.prepare()
        await asyncio.gather(*(runner.catch_up() for runner in runners))
    assert await ask(
        settings.projector_url,
        "SELECT position, (SELECT sum(version)::bigint FROM tables_shared.parties WHERE upper_inf(valid)), "
        "(SELECT count(*) FROM tables_shared.parties) FROM tables_shared.position",
    ) == [(200, 200, 200)]


# ---- building anew -------------------------------------------------------------------------------------


async def test_tables_are_rebuilt_while_others_follow_write_and_read_and_nobody_sees_a_gap(
    settings: Settings, log: Log, tables: Tables
) -> None:
    events = a_crowd(3_000)
    last, ended, pictures = 0, False, 0

    async def write_on() -> None:
        nonlocal last, ended
        for start in range(1_000, len(events), 8):
            written = await log.append(an_entry(*events[start : start + 8]))
            last = written.last_position or last
            await asyncio.sleep(0.005)
        ended = True

    async def read_on() -> None:
        nonlocal pictures
        seen = 0
        while not ended:
            wanted = last
            async with tables.picture(after=wanted) as picture:
                assert await is_whole(picture)
                assert picture.position >= max(wanted, seen)
                seen = picture.position
            pictures += 1
            async with tables.picture(at=seen // 2) as picture:
                assert await is_whole(picture)

    last = await write(log, events[:1_000], at_once=500)
    async with a_follower(settings) as follower:
        await tables.wait_for(last)
        async with asyncio.TaskGroup() as group:
            group.create_task(write_on())
            for _ in range(4):
                group.create_task(read_on())
            for _ in range(3):
                await rebuild(settings)

        assert pictures > 20
        async with tables.picture(after=last) as picture:
            assert await is_whole(picture)
        assert not follower.done(), "it goes on with the new tables"
        await check_every_position(tables, last, step=97)
    assert await schemas(settings) == {schema_name()}


async def test_a_long_reader_holds_the_rebuild_up_and_nobody_else(
    runner: Runner, settings: Settings, log: Log, tables: Tables
) -> None:
    await write(log, a_crowd(50))
    await runner.catch_up()
    async with tables.picture(after=50) as long_picture:
        rebuilding = asyncio.create_task(rebuild(settings))
        for _ in range(10):
            async with asyncio.timeout(3), tables.picture() as picture:
                assert await is_whole(picture)
            await asyncio.sleep(0.15)
        assert not rebuilding.done()
        assert await is_whole(long_picture)
    assert await rebuilding == 50


async def test_tables_that_were_spoilt_are_right_after_a_rebuild(
    settings: Settings, log: Log, tables: Tables
) -> None:
    events = a_crowd(40, parties=5)
    async with a_follower(settings):
        await tables.wait_for(await write(log, events[:30]))
        await ask(settings.projector_url, "UPDATE now.parties SET name = 'Atlantis'")

        await rebuild(settings)

        # What the follower has in its memory must not come back.
        position = await write(log, events[30:])
        async with tables.picture(after=position) as picture:
            assert await is_whole(picture)
            assert await picture.all("SELECT FROM parties WHERE name = 'Atlantis'") == []


async def test_a_rebuild_that_is_interrupted_leaves_the_old_tables_serving(
    runner: Runner, settings: Settings, log: Log, tables: Tables
) -> None:
    await write(log, a_crowd(50))
    await runner.catch_up()

    def interrupt(position: int, head: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rebuild(settings, interrupt)

    async with tables.picture(after=50) as picture:
        assert await is_whole(picture)
    assert await served_by(settings) == schema_name()
    assert await rebuild(settings) == 50, "the next one begins again"
    assert await schemas(settings) == {schema_name()}


async def test_a_runner_that_starts_leaves_a_rebuild_under_way_alone(
    settings: Settings, log: Log, tables: Tables
) -> None:
    await write(log, a_crowd(50))
    under_way = await open_runner(settings, f"{schema_name()}_anew", anew=True)
    async with under_way.connection:
        async with a_follower(settings):
            await tables.wait_for(50)
        await under_way.catch_up()
        assert under_way.position == 50
    async with a_follower(settings):
        await tables.wait_for(50)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await schemas(settings) != {schema_name()}:
                await asyncio.sleep(0.1)


async def test_changed_code_builds_its_own_tables_beside_the_old_ones_and_takes_over(
    settings: Settings, log: Log, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = a_crowd(60)
    async with a_follower(settings):
        await tables.wait_for(await write(log, events[:40]))
        old = schema_name()
        assert await served_by(settings) == old
        monkeypatch.setattr(registry, "code_version", lambda: "changed")
        async with a_follower(settings):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while await served_by(settings) != "tables_changed":
                    async with tables.picture(after=40) as picture:
                        assert await is_whole(picture)
            position = await write(log, events[40:])
            async with tables.picture(after=position) as picture:
                assert await is_whole(picture)
            assert old in await schemas(settings), "the old runner is still at work"
    async with a_follower(settings), asyncio.timeout(PATIENCE_SECONDS):
        while await schemas(settings) != {"tables_changed"}:
            await asyncio.sleep(0.1)


async def test_tables_that_take_over_a_little_behind_are_waited_for(
    runner: Runner, settings: Settings, log: Log, tables: Tables
) -> None:
    events = a_crowd(40)
    await write(log, events[:20])
    later = await open_runner(settings, "tables_later")
    async with later.connection:
        await later.catch_up()
        position = await write(log, events[20:])
        await runner.catch_up()
        await tables.wait_for(position)
        await take_over(later.connection, "tables_later", later.tables)
        await later.connection.commit()

        async def read() -> int:
            async with tables.picture(after=position) as picture:
                assert await is_whole(picture)
                return picture.position

        reading_on = asyncio.create_task(read())
        await asyncio.sleep(0.1)
        assert not reading_on.done(), "whoever has seen a position never sees an earlier one"
        await later.catch_up()
        assert await reading_on == position


# ---- killed --------------------------------------------------------------------------------------------


@asynccontextmanager
async def a_process(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """A runner in a process of its own, which is killed in the end."""
    environment = os.environ | {"MANDATE_PROJECTOR_URL": settings.projector_url}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.projections.following", cwd=PROJECT, env=environment
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def steps_taken(settings: Settings) -> int:
    """How far tables have come that do not serve yet, or do; 0 while there are none."""
    for schema in await schemas(settings):
        with suppress(psycopg.errors.UndefinedTable):
            [(position,)] = await ask(settings.projector_url, f"TABLE {schema}.position")
            return int(str(position))
    return 0


async def test_a_runner_killed_amid_a_batch_loses_and_doubles_nothing(
    settings: Settings, log: Log, tables: Tables
) -> None:
    """Its writing is stopped half-way by a lock on one of the tables, and there it is killed."""
    events = a_crowd(300)
    await write(log, events[:100])
    async with (
        a_process(settings) as process,
        await psycopg.AsyncConnection.connect(settings.projector_url) as other,
    ):
        await arrive(tables, 100)
        await other.execute(
            sql.SQL("LOCK TABLE {} IN SHARE MODE").format(
                sql.Identifier(await served_by(settings), "parties")
            )
        )
        await write(log, events[100:200])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await ask(settings.projector_url, "SELECT pid FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await other.rollback()
    assert await steps_taken(settings) == 100

    async with a_process(settings):
        position = await write(log, events[200:])
        await arrive(tables, position)
        await check_every_position(tables, position, step=7)


async def test_runners_killed_at_any_moment_lose_and_double_nothing(
    settings: Settings, log: Log, tables: Tables
) -> None:
    events = a_crowd(2_000)
    position = await write(log, events, at_once=500)
    reached: list[int] = []
    for moment in (0.0, 0.05):
        begun = await steps_taken(settings)
        async with a_process(settings), asyncio.timeout(PATIENCE_SECONDS):
            while await steps_taken(settings) == begun < position:
                await asyncio.sleep(0.005)
            await asyncio.sleep(moment)
        reached.append(await steps_taken(settings))
    assert reached == sorted(reached)
    assert reached[0] < position, "it was killed on the way"

    async with a_process(settings):
        await arrive(tables, position)
        await check_every_position(tables, position, step=53)
        query = sql.SQL("SELECT count(*), count(DISTINCT lower(valid)) FROM {}.parties")
        counted = await ask(settings.projector_url, query.format(sql.Identifier(await served_by(settings))))
    assert counted == [(2_000, 2_000)]
