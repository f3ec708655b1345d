"""One worker process: runs workflows and their steps, and follows the log for them."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.worker import Worker

from projections.reading import Tables
from services.settings import Settings
from services.wiring import Services, open_services
from workflows.history import HistorySteps, SendCheckpoint, WatchHistory, schedule_watch
from workflows.reconciliation import Reconciliation, schedule_nightly
from workflows.rounds import DeadlineSteps, QuestionnaireDeadline, ReconcileDeadlines
from workflows.triggers import Triggers

log = structlog.get_logger("worker")

WORKFLOWS = [QuestionnaireDeadline, ReconcileDeadlines, WatchHistory, SendCheckpoint]
"""All workflows; the stored histories of each are replayed in the tests."""


async def run(settings: Settings) -> None:
    """Work until cancelled."""
    client = await connect(settings)
    async with open_services(settings) as services, Tables(settings.reader_url) as tables:
        triggers = Triggers(services, client, settings.temporal_task_queue)
        async with make_worker(client, services, tables, triggers):
            await _schedule(client, settings)
            log.info("working", task_queue=settings.temporal_task_queue)
            async with asyncio.TaskGroup() as group:
                group.create_task(triggers.follow(), name="deadlines")
                group.create_task(HistorySteps(services, tables).tell_alarms(), name="alarms")


def make_worker(client: Client, services: Services, tables: Tables, triggers: Triggers) -> Worker:
    """Return a worker for all workflows and their steps."""
    steps, history = DeadlineSteps(services), HistorySteps(services, tables)
    return Worker(
        client,
        task_queue=triggers.task_queue,
        workflows=WORKFLOWS,
        activities=[
            steps.send,
            steps.suppress,
            steps.lapse,
            steps.escalate,
            Reconciliation(triggers, tables).reconcile,
            history.watch,
            history.send_checkpoint,
        ],
        graceful_shutdown_timeout=timedelta(seconds=10),
    )


async def connect(settings: Settings) -> Client:
    """Connect to the Temporal service, waiting for it as long as it takes."""
    while True:
        try:
            return await Client.connect(
                settings.temporal_address,
                namespace=settings.temporal_namespace,
                data_converter=pydantic_data_converter,
            )
        except (RuntimeError, RPCError) as error:
            log.warning("Temporal is out of reach; trying again", error=str(error))
            await asyncio.sleep(1)


async def _schedule(client: Client, settings: Settings) -> None:
    # The comparison can wait for another start; the deadlines cannot wait for the comparison.
    with suppress(RPCError):
        await schedule_nightly(client, settings)
        await schedule_watch(client, settings)
