"""Compares open deadlines with running workflows every night, and repairs what is missing.

Nothing should ever be missing. This finds out when something is: a workflow that somebody terminated, or a
Temporal service that has lost its state.
"""

from datetime import timedelta
from uuid import UUID

import structlog
from temporalio import activity
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
from temporalio.common import WorkflowIDReusePolicy

from projections import rounds
from projections.reading import Tables
from services.settings import Settings
from workflows.rounds import ReconcileDeadlines
from workflows.triggers import Triggers, workflow_id

log = structlog.get_logger("reconciliation")

SCHEDULE = "reconcile-deadlines"


class Reconciliation:
    """The step of the nightly comparison."""

    def __init__(self, triggers: Triggers, tables: Tables) -> None:
        self._triggers = triggers
        self._tables = tables

    @activity.defn(name="reconcile_deadlines")
    async def reconcile(self) -> int:
        """Start a clock for each open deadline that has none, and return how many that were."""
        missing = await self.missing()
        for id in missing:
            activity.heartbeat()
            await self._triggers.tell([id], WorkflowIDReusePolicy.ALLOW_DUPLICATE)
        if missing:
            log.warning("deadlines had no clock; started anew", count=len(missing))
        return len(missing)

    async def missing(self) -> list[UUID]:
        """Return the open invitations for which no workflow is running."""
        async with self._tables.picture() as picture:
            open_ones = await rounds.open_deadlines(picture)
        running = {
            execution.id
            async for execution in self._triggers.client.list_workflows(
                "WorkflowType = 'QuestionnaireDeadline' AND ExecutionStatus = 'Running'"
            )
        }
        return [id for id in open_ones if workflow_id(id) not in running]


async def schedule_nightly(client: Client, settings: Settings) -> None:
    """Have the comparison made every night at two o'clock where the Secretariat is."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            ReconcileDeadlines.run, id=SCHEDULE, task_queue=settings.temporal_task_queue
        ),
        spec=ScheduleSpec(
            calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(2)])],
            time_zone_name=settings.secretariat_time_zone,
        ),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(days=1)),
    )
    try:
        await client.create_schedule(SCHEDULE, schedule)
    except ScheduleAlreadyRunningError:
        log.debug("the nightly comparison is scheduled already")
