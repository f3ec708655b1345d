"""Watches over the history: every night the log is held against what was published of it, every day its
checkpoint goes to those who keep it, and an alarm is written to people as soon as it stands.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from uuid import UUID

from temporalio import activity, workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)

with workflow.unsafe.imports_passed_through():
    import psycopg
    import structlog

    from domain.access import Role
    from projections import access
    from projections.history import watch
    from projections.reading import Tables
    from services.history import ALARMS, Checkpoints, keep_as_told, untold_alarms
    from services.history_letters import HistoryLetters
    from services.log import notifications
    from services.pool import NOTICE_LOSS
    from services.settings import Settings
    from services.wiring import Services
    from workflows.rounds import TRY_WITHOUT_END

log = structlog.get_logger("history")

WATCH = "watch-history"
SEND = "send-checkpoint"
AGAIN_SECONDS = 15.0
"""When to try again to write about an alarm."""
WATCHERS = (Role.ADMINISTRATOR, Role.AUDITOR)
"""Who is written to about an alarm."""


@workflow.defn(name="WatchHistory")
class WatchHistory:
    """Holds the whole log against the checkpoints that were published."""

    @workflow.run
    async def run(self) -> int:
        """Return how many differences were found."""
        found: int = await workflow.execute_activity(
            "watch_history",
            start_to_close_timeout=timedelta(hours=12),
            heartbeat_timeout=timedelta(minutes=2),
            retry_policy=TRY_WITHOUT_END,
            result_type=int,
        )
        return found


@workflow.defn(name="SendCheckpoint")
class SendCheckpoint:
    """Sends the newest checkpoint to those who keep them."""

    @workflow.run
    async def run(self) -> int:
        """Return how many events it is about; 0 when there was none to send."""
        size: int = await workflow.execute_activity(
            "send_checkpoint",
            start_to_close_timeout=timedelta(minutes=30),
            schedule_to_close_timeout=timedelta(hours=20),
            retry_policy=TRY_WITHOUT_END,
            result_type=int,
        )
        return size


class HistorySteps:
    """What the watch does, and the letters that follow from it."""

    def __init__(self, services: Services, tables: Tables) -> None:
        self._services = services
        self._tables = tables
        self._letters = HistoryLetters(services.settings, services.directory, services.mailer)

    @activity.defn(name="watch_history")
    async def watch(self) -> int:
        """Hold the log against what was published. What is found becomes an alarm."""
        async with _heartbeats():
            return len((await watch(self._services.settings)).findings)

    @activity.defn(name="send_checkpoint")
    async def send_checkpoint(self) -> int:
        """Send the newest checkpoint to those who asked for it."""
        async with self._services.pool.connection() as connection:
            newest = await Checkpoints(connection).newest()
        wanted = await self._services.directory.who_want_checkpoints()
        if newest is None or not wanted:
            return 0
        await self._letters.send_checkpoint(newest, wanted)
        return newest.size

    async def tell_alarms(self) -> None:
        """Write to people about each alarm once, for ever. One worker at a time does."""
        while True:
            try:
                async with AsyncExitStack() as stack:
                    connection = await stack.enter_async_context(await self._connect())
                    await connection.execute("SELECT pg_advisory_lock(hashtext('mandate alarms'))")
                    listener = await stack.enter_async_context(await self._connect())
                    async for _ in notifications(listener, ALARMS):
                        for alarm in await untold_alarms(connection):
                            await self._letters.tell_alarm(alarm, await self._watchers())
                            await keep_as_told(connection, alarm)
            except Exception as error:
                # A mail server that is away, or the database: the alarm stands until somebody was told.
                log.warning("an alarm cannot be told now; trying again", error=str(error))
                await asyncio.sleep(AGAIN_SECONDS)

    async def _connect(self) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(
            self._services.settings.writer_url, autocommit=True, **NOTICE_LOSS
        )

    async def _watchers(self) -> list[UUID]:
        async with self._tables.picture() as picture:
            rows = [row for role in WATCHERS for row in await access.accounts(picture, role=role)]
        return list(dict.fromkeys(row["person_id"] for row in rows))


@asynccontextmanager
async def _heartbeats() -> AsyncIterator[None]:
    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(20)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def schedule_watch(client: Client, settings: Settings) -> None:
    """Have the log looked at every night at three, and its checkpoint sent every morning at six, where the
    Secretariat is."""
    for id, name, hour in ((WATCH, "WatchHistory", 3), (SEND, "SendCheckpoint", 6)):
        schedule = Schedule(
            action=ScheduleActionStartWorkflow(name, id=id, task_queue=settings.temporal_task_queue),
            spec=ScheduleSpec(
                calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(hour)])],
                time_zone_name=settings.secretariat_time_zone,
            ),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(days=1)),
        )
        with suppress(ScheduleAlreadyRunningError):
            await client.create_schedule(id, schedule)
