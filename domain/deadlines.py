"""Deadlines: all that a clock has to know of something that is due, and what it has to do about it when.

A deadline is pure: given a moment and what is done already, it says which steps are due and when the next
one is. A workflow waits for that moment and takes the steps; it knows nothing else.
"""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel

from domain.aggregates import Moment
from domain.letters import LetterKind, PlannedLetter


class StepKind(StrEnum):
    """What a clock may have to do about an invitation."""

    SEND = "send"
    SUPPRESS = "suppress"
    LAPSE = "lapse"
    ESCALATE = "escalate"


class Step(BaseModel, frozen=True):
    """One thing that has to be done now."""

    kind: StepKind
    name: str
    """What the step is known by among those that are done."""
    letter_id: UUID | None = None
    reason: str = ""


class Deadline(BaseModel, frozen=True):
    """The whole state of a deadline, with the version of the invitation that it was taken from.

    One signal carries all of it, so that a signal that comes twice or out of order changes nothing.
    """

    invitation_id: UUID
    version: int
    closed: bool
    lapsed: bool
    due_at: Moment
    letters: tuple[PlannedLetter, ...]

    def steps(self, now: datetime, done: Collection[str]) -> list[Step]:
        """Return what has to be done at ``now``, in order, without what is ``done`` already.

        When several reminders are due because the clock was behind, only the newest goes out, and none
        once the due date has passed. Escalations are never skipped.
        """
        if self.closed:
            return []
        steps = self._letters_due(LetterKind.INVITATION, now) + self._letters_due(LetterKind.FORWARDING, now)
        steps += self._reminders_due(now)
        if now >= self.due_at and not self.lapsed:
            steps.append(Step(kind=StepKind.LAPSE, name=f"lapse/{self.due_at.isoformat()}"))
        steps += self._letters_due(LetterKind.ESCALATION, now)
        return [step for step in steps if step.name not in done]

    def next_moment(self, now: datetime) -> datetime | None:
        """Return when there is something to do next, None when only a change can bring it."""
        moments = [letter.at for letter in self.letters] + [self.due_at]
        return min((moment for moment in moments if moment > now), default=None)

    def _due(self, kind: LetterKind, now: datetime) -> list[PlannedLetter]:
        due = [letter for letter in self.letters if letter.kind is kind and letter.at <= now]
        return sorted(due, key=lambda letter: letter.at)

    def _letters_due(self, kind: LetterKind, now: datetime) -> list[Step]:
        step = StepKind.ESCALATE if kind is LetterKind.ESCALATION else StepKind.SEND
        return [_step(step, letter) for letter in self._due(kind, now)]

    def _reminders_due(self, now: datetime) -> list[Step]:
        due = self._due(LetterKind.REMINDER, now)
        if now >= self.due_at:
            return [_step(StepKind.SUPPRESS, letter, "The due date has passed.") for letter in due]
        overtaken = "A later reminder was due at the same time."
        return [
            *(_step(StepKind.SUPPRESS, letter, overtaken) for letter in due[:-1]),
            *(_step(StepKind.SEND, letter) for letter in due[-1:]),
        ]


def _step(kind: StepKind, letter: PlannedLetter, reason: str = "") -> Step:
    return Step(kind=kind, name=str(letter.letter_id), letter_id=letter.letter_id, reason=reason)
