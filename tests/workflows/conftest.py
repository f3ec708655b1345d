"""Time for the tests of workflows: a server that skips it, and a real one."""

import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from api.stack.temporal import TemporalServer
from projections.reading import Tables
from projections.runner import Runner
from services.settings import Settings
from services.wiring import Services
from tests.cast import Office
from workflows.reconciliation import Reconciliation
from workflows.triggers import Triggers
from workflows.worker import connect, make_worker


@dataclass
class Clockwork:
    """The services, with a worker that keeps their deadlines."""

    services: Services
    triggers: Triggers
    runner: Runner
    tables: Tables
    reconciliation: Reconciliation
    office: Office
    client: Client


@asynccontextmanager
async def clockwork(
    services: Services, runner: Runner, client: Client, now: datetime
) -> AsyncIterator[Clockwork]:
    """Run a worker on a task queue of its own."""
    triggers = Triggers(services, client, f"tests-{uuid4()}")
    async with (
        Tables(services.settings.reader_url) as tables,
        make_worker(client, services, tables, triggers),
    ):
        yield Clockwork(
            services,
            triggers,
            runner,
            tables,
            Reconciliation(triggers, tables),
            Office(services, now),
            client,
        )


@dataclass
class SkippingClockwork(Clockwork):
    """A clockwork whose time passes when it is told to."""

    environment: WorkflowEnvironment

    async def until(self, moment: datetime) -> None:
        """Let time pass until a moment, and tell the workflows what has happened before."""
        await self.triggers.pull()
        await self.environment.sleep(moment - await self.environment.get_current_time())
        self.office.now = await self.environment.get_current_time()
        await self.runner.catch_up()


@pytest.fixture
async def skipping(services: Services, runner: Runner) -> AsyncIterator[SkippingClockwork]:
    """A worker on the time-skipping server: days pass in an instant."""
    server = Path(sysconfig.get_path("scripts")) / "temporal-test-server"
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter, test_server_existing_path=str(server)
    ) as environment:
        now = await environment.get_current_time()
        async with clockwork(services, runner, environment.client, now) as work:
            yield SkippingClockwork(**vars(work), environment=environment)


@pytest.fixture(scope="session")
async def temporal(session_folder: Path) -> AsyncIterator[TemporalServer]:
    """A real Temporal server."""
    async with TemporalServer(session_folder / "temporal", pages=False) as server:
        yield server


@pytest.fixture
async def ticking(services: Services, runner: Runner, temporal: TemporalServer) -> AsyncIterator[Clockwork]:
    """A worker on the real server: time passes as it does."""
    settings = Settings(temporal_address=temporal.address)
    client = await connect(settings)
    async with clockwork(services, runner, client, datetime.now().astimezone()) as work:
        yield work
