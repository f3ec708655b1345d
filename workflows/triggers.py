"""Turns events into clocks: follows the log and tells workflows how their deadlines stand.

The follower's position is written down after the workflows have been told, so after a crash some are told
twice. That is harmless: a signal carries the whole deadline with its version, and a workflow that has ended
is not started again by a signal that is late.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import psycopg
import structlog
from eventsourcing.utils import get_topic
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from domain.deadlines import Deadline
from domain.rounds import Invitation
from services.log import LogReader, Unavailable, notifications
from services.wiring import Services
from workflows.rounds import QuestionnaireDeadline

log = structlog.get_logger("triggers")

FOLLOWER = "deadlines"
BATCH_EVENTS = 1_000
AT_ONCE = 16
"""How many workflows are told at the same time."""

_TOPICS = frozenset(
    get_topic(kind)
    for kind in (
        Invitation.QuestionnaireIssued,
        Invitation.Extended,
        Invitation.SectionForwarded,
        Invitation.ResponseReceived,
        Invitation.Lapsed,
        Invitation.Withdrawn,
    )
)


def workflow_id(invitation_id: UUID) -> str:
    """Return the id of the workflow that keeps an invitation's deadline: there is one, ever."""
    return f"deadline-{invitation_id}"


@dataclass(frozen=True, slots=True)
class Triggers:
    """Tells the deadline workflows what the log says."""

    services: Services
    client: Client
    task_queue: str

    async def follow(self) -> None:
        """Follow the log for ever; a database or a Temporal service that is away is waited for."""
        while True:
            try:
                async with self._turn() as connection:
                    async for _ in notifications(connection, "log"):
                        await self.pull()
            except (
                psycopg.OperationalError,
                psycopg.InterfaceError,
                OSError,
                RPCError,
                Unavailable,
            ) as error:
                log.warning("cannot follow the log; trying again", error=str(error))
                await asyncio.sleep(1)

    async def pull(self) -> int:
        """Tell the workflows of everything new, and return how many events that was."""
        position, seen = await self._position(), 0
        while True:
            async with self.services.pool.connection() as connection:
                events = await LogReader(connection).after(position, BATCH_EVENTS)
            if not events:
                return seen
            await self.tell({event.originator_id for event in events if event.topic in _TOPICS})
            position, seen = events[-1].position, seen + len(events)
            await self._move_to(position)

    async def tell(
        self,
        invitation_ids: Iterable[UUID],
        reuse: WorkflowIDReusePolicy = WorkflowIDReusePolicy.REJECT_DUPLICATE,
    ) -> None:
        """Tell the workflows of these invitations how their deadlines stand, starting those that are not
        there yet. ``reuse`` says whether one that has ended may be started anew."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def tell_one(id: UUID) -> None:
            async with turns:
                invitation = await self.services.store.read(Invitation, id)
                await self._signal_with_start(invitation.deadline(), reuse)

        async with asyncio.TaskGroup() as group:
            for id in invitation_ids:
                group.create_task(tell_one(id))

    async def _signal_with_start(self, deadline: Deadline, reuse: WorkflowIDReusePolicy) -> None:
        try:
            await self.client.start_workflow(
                QuestionnaireDeadline.run,
                deadline.invitation_id,
                id=workflow_id(deadline.invitation_id),
                task_queue=self.task_queue,
                start_signal="deadline_changed",
                start_signal_args=[deadline],
                id_reuse_policy=reuse,
            )
        except WorkflowAlreadyStartedError:
            # It has ended, since the invitation is closed: nothing is due about it any more.
            log.debug("a deadline that has ended was told again", invitation=str(deadline.invitation_id))

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """One follower at a time; the others wait here until its connection ends."""
        async with await psycopg.AsyncConnection.connect(
            self.services.settings.writer_url, autocommit=True, application_name="mandate triggers"
        ) as connection:
            await connection.execute("SELECT pg_advisory_lock(hashtext(%s))", (f"follower {FOLLOWER}",))
            yield connection

    async def _position(self) -> int:
        async with self.services.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT position FROM tracking.followers WHERE name = %s", (FOLLOWER,)
            )
            row = await cursor.fetchone()
        return row[0] if row else 0

    async def _move_to(self, position: int) -> None:
        async with self.services.pool.connection() as connection:
            await connection.execute(
                "INSERT INTO tracking.followers VALUES (%s, %s) "
                "ON CONFLICT (name) DO UPDATE SET position = excluded.position",
                (FOLLOWER, position),
            )
