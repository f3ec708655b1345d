"""The clock of an invitation: reminds, lets lapse and escalates when the time comes.

One workflow runs for each questionnaire issued, until an answer is received or the questionnaire is
withdrawn. It knows one thing, the invitation's Deadline, and learns of changes by one signal that carries
all of it. Whatever it does is one idempotent command; the domain is asked again each time and has the last
word, so a step that comes twice, late or out of order changes nothing.
"""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel

    from domain.aggregates import Stamp, identify
    from domain.deadlines import Deadline, Step, StepKind
    from services.commands import Command
    from services.letters import SendLetter, SuppressLetter
    from services.log import Unavailable
    from services.rounds import EscalateInvitation, LapseInvitation
    from services.store import RefusalRecord, Request
    from services.wiring import Services

WORKFLOW = "workflow:deadline"
"""The actor under whose name the steps are recorded."""

TRY_WITHOUT_END = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(seconds=15)
)
"""A server that is away comes back; only a refusal of the domain ends the tries."""


class StepInput(BaseModel, frozen=True):
    """One step of one invitation's deadline."""

    invitation_id: UUID
    due_at: datetime
    step: Step


@workflow.defn(name="QuestionnaireDeadline")
class QuestionnaireDeadline:
    """Waits for what is due next about one invitation, and sees to it."""

    def __init__(self) -> None:
        self._deadline: Deadline | None = None
        self._done: set[str] = set()

    @workflow.signal(name="deadline_changed")
    def deadline_changed(self, deadline: Deadline) -> None:
        """Learn how the deadline stands. An older state than the one that is known changes nothing."""
        if self._deadline is None or deadline.version > self._deadline.version:
            self._deadline = deadline

    @workflow.run
    async def run(self, invitation_id: UUID) -> str:
        """Run until the invitation is closed."""
        await workflow.wait_condition(lambda: self._deadline is not None)
        while True:
            deadline = self._current()
            if deadline.closed:
                return "closed"
            if due := deadline.steps(workflow.now(), self._done):
                await self._take(invitation_id, deadline, due[0])
                continue
            await self._wait(deadline)

    def _current(self) -> Deadline:
        assert self._deadline is not None, "waited for at the start"
        return self._deadline

    async def _wait(self, deadline: Deadline) -> None:
        """Wait for the next moment or for a change, whichever comes first."""
        moment = deadline.next_moment(workflow.now())
        timeout = moment - workflow.now() if moment else None
        try:
            await workflow.wait_condition(
                lambda: self._current().version != deadline.version, timeout=timeout
            )
        except asyncio.TimeoutError:  # noqa: UP041 - the one that the workflow's loop raises
            return

    async def _take(self, invitation_id: UUID, deadline: Deadline, step: Step) -> None:
        try:
            await workflow.execute_activity(
                f"deadline_{step.kind}",
                StepInput(invitation_id=invitation_id, due_at=deadline.due_at, step=step),
                start_to_close_timeout=timedelta(seconds=60),
                retry_policy=TRY_WITHOUT_END,
            )
        except ActivityError as error:
            # The domain has refused: what the step wanted is no longer right, and a signal says why.
            workflow.logger.warning("a step was refused: %s", error.cause)
        self._done.add(step.name)


class DeadlineSteps:
    """What the clock does, each a command that may be repeated."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @activity.defn(name="deadline_send")
    async def send(self, input: StepInput) -> None:
        """Send a letter that is due."""
        assert input.step.letter_id is not None
        await self._carry_out(SendLetter(letter_id=input.step.letter_id), "send", input.step.letter_id)

    @activity.defn(name="deadline_suppress")
    async def suppress(self, input: StepInput) -> None:
        """Record why a letter that was due is not sent."""
        assert input.step.letter_id is not None
        command = SuppressLetter(letter_id=input.step.letter_id, reason=input.step.reason)
        await self._carry_out(command, "suppress", input.step.letter_id)

    @activity.defn(name="deadline_lapse")
    async def lapse(self, input: StepInput) -> None:
        """Record that the due date passed without an answer."""
        if activity.info().started_time < input.due_at:
            raise ApplicationError("The due date has not come yet by this clock.", type="Early")
        command = LapseInvitation(invitation_id=input.invitation_id, due_at=input.due_at)
        await self._carry_out(command, "lapse", input.invitation_id, input.due_at.isoformat())

    @activity.defn(name="deadline_escalate")
    async def escalate(self, input: StepInput) -> None:
        """Record that a second contact is written to, and write."""
        assert input.step.letter_id is not None
        letter_id = input.step.letter_id
        command = EscalateInvitation(invitation_id=input.invitation_id, letter_id=letter_id)
        await self._carry_out(command, "escalate", letter_id)
        await self._carry_out(SendLetter(letter_id=letter_id), "send", letter_id)

    async def _carry_out(self, command: Command, *subject: object) -> None:
        """Give a command under a key that its subject makes, so that it is carried out once.

        Time is the Temporal service's, which all workers share.
        """
        info = activity.info()
        request = Request(
            stamp=Stamp(by=WORKFLOW, at=info.started_time, because=f"workflow:{info.workflow_id}"),
            key=identify("step", *subject),
            keyed=True,
            fresh=True,
        )
        try:
            answer = await self._services.execute(command, request)
        except Unavailable as error:
            raise ApplicationError(
                str(error), next_retry_delay=timedelta(seconds=error.retry_after_seconds)
            ) from error
        if answer.outcome == "refused":
            refusal = RefusalRecord.model_validate_json(answer.reply)
            raise ApplicationError(refusal.message, type=refusal.code, non_retryable=True)


@workflow.defn(name="ReconcileDeadlines")
class ReconcileDeadlines:
    """Compares open deadlines with the clocks that run, and starts those that are missing."""

    @workflow.run
    async def run(self) -> int:
        """Return how many clocks had to be started."""
        started: int = await workflow.execute_activity(
            "reconcile_deadlines",
            start_to_close_timeout=timedelta(hours=1),
            heartbeat_timeout=timedelta(minutes=2),
            retry_policy=TRY_WITHOUT_END,
            result_type=int,
        )
        return started


assert {f"deadline_{kind}" for kind in StepKind} == {
    "deadline_send",
    "deadline_suppress",
    "deadline_lapse",
    "deadline_escalate",
}
