"""The same clocks on the real Temporal server, in seconds instead of months."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from temporalio.client import WorkflowExecutionStatus

from api.stack.temporal import TemporalServer
from domain.rounds import Due, Invitation, InvitationState, Schedule, invitation_id
from projections.runner import Runner
from services.rounds import SubmitResponse
from services.settings import Settings
from services.wiring import Services
from tests.cast import KENYA, PERU, Office, Postbox
from tests.workflows.conftest import Clockwork, clockwork
from workflows.reconciliation import SCHEDULE, schedule_nightly
from workflows.triggers import workflow_id
from workflows.worker import connect

SECOND = timedelta(seconds=1)


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.1)


async def a_short_round(office: Office, *parties: UUID, seconds: float = 4) -> UUID:
    """Open a round that is due in a few seconds."""
    office.now = datetime.now(UTC)
    return await office.with_open_round(
        *parties,
        due=Due(at=office.now + seconds * SECOND),
        schedule=Schedule(reminders=(SECOND,), escalations=(SECOND,)),
    )


async def test_a_whole_life_in_seconds(ticking: Clockwork, postbox: Postbox) -> None:
    round_id = await a_short_round(ticking.office, KENYA, PERU)
    await ticking.triggers.pull()
    kenya, peru = invitation_id(round_id, KENYA), invitation_id(round_id, PERU)

    await eventually(lambda: count_is(postbox, 2))
    ticking.office.now = datetime.now(UTC)
    await ticking.office.do(SubmitResponse(invitation_id=peru, answers={"areas": ["law"]}))
    await ticking.triggers.pull()
    await eventually(lambda: count_is(postbox, 4))

    assert (await ticking.services.store.read(Invitation, kenya)).state is InvitationState.LAPSED
    recipients = [str(letter["To"]).split("<")[1].rstrip(">") for letter in postbox.letters]
    assert recipients.count("ocp.ken@example.org") == 2
    assert recipients[-1] == "dna.ken@example.org"
    assert recipients.count("ocp.per@example.org") == 1


async def count_is(postbox: Postbox, count: int) -> bool:
    return len(postbox.letters) == count


async def test_a_clock_that_was_stopped_by_hand_is_found_and_started_anew(
    ticking: Clockwork, postbox: Postbox
) -> None:
    round_id = await a_short_round(ticking.office, KENYA, seconds=3600)
    await ticking.triggers.pull()
    id = invitation_id(round_id, KENYA)
    await eventually(lambda: count_is(postbox, 1))
    handle = ticking.client.get_workflow_handle(workflow_id(id))
    await handle.terminate("by mistake")
    await ticking.runner.catch_up()
    await eventually(lambda: is_missing(ticking, id))

    result = await ticking.client.execute_workflow(
        "ReconcileDeadlines", id=f"reconcile-{id}", task_queue=ticking.triggers.task_queue, result_type=int
    )

    assert result == 1
    await eventually(lambda: is_running(ticking, id))
    await asyncio.sleep(1)
    assert len(postbox.letters) == 1, "the letter that went out is not sent again"
    assert not await is_missing(ticking, id)


async def is_missing(work: Clockwork, id: UUID) -> bool:
    return id in await work.reconciliation.missing()


async def is_running(work: Clockwork, id: UUID) -> bool:
    description = await work.client.get_workflow_handle(workflow_id(id)).describe()
    return description.status == WorkflowExecutionStatus.RUNNING


async def test_the_nightly_comparison_is_scheduled_once(ticking: Clockwork) -> None:
    settings = Settings(temporal_task_queue=ticking.triggers.task_queue)

    await schedule_nightly(ticking.client, settings)
    await schedule_nightly(ticking.client, settings)

    description = await ticking.client.get_schedule_handle(SCHEDULE).describe()
    assert description.schedule.spec.time_zone_name == "Europe/Rome"


async def test_a_temporal_server_that_is_killed_loses_no_deadline(
    services: Services, runner: Runner, postbox: Postbox, tmp_path: Path
) -> None:
    server = TemporalServer(tmp_path / "temporal", pages=False)
    await server.start()
    client = await connect(Settings(temporal_address=server.address))
    async with clockwork(services, runner, client, datetime.now(UTC)) as work:
        await a_short_round(work.office, KENYA, seconds=6)
        await work.triggers.pull()
        await eventually(lambda: count_is(postbox, 1))

        server.process.kill()
        await asyncio.sleep(1)
        await server.start()

        await eventually(lambda: count_is(postbox, 3), seconds=60)
    await server.stop()
    assert len({str(letter["Message-ID"]) for letter in postbox.letters}) == 3


@pytest.mark.parametrize("kind", ["pull", "follow"])
async def test_a_follower_that_starts_again_tells_everything_once_more_without_harm(
    ticking: Clockwork, postbox: Postbox, kind: str
) -> None:
    await a_short_round(ticking.office, KENYA, seconds=3600)
    await ticking.triggers.pull()
    await eventually(lambda: count_is(postbox, 1))
    async with ticking.services.pool.connection() as connection:
        await connection.execute("UPDATE tracking.followers SET position = 0")

    if kind == "pull":
        await ticking.triggers.pull()
    else:
        follower = asyncio.create_task(ticking.triggers.follow())
        await asyncio.sleep(2)
        follower.cancel()
    await asyncio.sleep(0.5)

    assert len(postbox.letters) == 1
