"""Opens rounds, issues questionnaires, takes in responses, and keeps the letters in step with them."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from pydantic import Field, JsonValue

from domain.letters import Letter, LetterKind, PlannedLetter
from domain.parties import ContactRole, Party
from domain.questionnaires import Questionnaire
from domain.refusals import Invalid
from domain.rounds import Audience, Due, Invitation, Reason, Round, Schedule, Title, must_be_new
from domain.rules import check, normalise
from services.commands import Command, Recorded, Unit


class OpenRound(Command):
    """Prepare a round: which questionnaire, for whom, until when. Nobody is written to yet."""

    creates = True
    id: UUID
    title: Title
    questionnaire_id: UUID
    form_version: str
    audience: Audience
    due: Due
    schedule: Schedule = Schedule()
    notice: str | None = None


class IssueRound(Command):
    """Issue the questionnaire to parties: each gets an invitation, a letter and planned reminders."""

    round_id: UUID
    party_ids: tuple[UUID, ...] = Field(max_length=300)


class ExtendRound(Command):
    """Move the due date of a round and of the invitations that are still open."""

    round_id: UUID
    due: Due
    reason: Reason
    invitation_ids: tuple[UUID, ...] = ()
    """The open invitations of the round, which the caller reads from the tables."""


class ExtendInvitation(Command):
    """Give one party more time."""

    invitation_id: UUID
    due: Due
    reason: Reason


class WithdrawInvitation(Command):
    """Take the questionnaire back from one party."""

    invitation_id: UUID
    reason: Reason


class SubmitResponse(Command):
    """Hand in a party's answers."""

    invitation_id: UUID
    answers: dict[str, JsonValue]
    """As they were typed; the form's rules say, question by question, what is wrong with them."""
    language: str | None = None
    """The language in which faults are named; the form's own when it is not given."""


class LapseInvitation(Command):
    """Record that the due date passed without a response."""

    invitation_id: UUID
    due_at: datetime


class EscalateInvitation(Command):
    """Record that a second contact is written to."""

    invitation_id: UUID
    letter_id: UUID


class Rounds:
    """The handlers of all commands about rounds and invitations."""

    async def open(self, unit: Unit, command: OpenRound) -> Recorded:
        must_be_new(await unit.find(Round, command.id))
        questionnaire = await unit.look(Questionnaire, command.questionnaire_id)
        questionnaire.form(command.form_version)
        round = Round.open(
            command.id,
            command.title,
            command.questionnaire_id,
            command.form_version,
            command.audience,
            command.due,
            command.schedule,
            unit.stamp,
            command.notice,
        )
        unit.add(round)
        return _recorded(round)

    async def issue(self, unit: Unit, command: IssueRound) -> Recorded:
        round = await unit.get(Round, command.round_id)
        parties = [await unit.look(Party, id) for id in command.party_ids]
        for invitation in round.issue(parties, unit.stamp):
            unit.add(invitation)
            _plan(unit, invitation, invitation.letters)
        return _recorded(round)

    async def extend(self, unit: Unit, command: ExtendRound) -> Recorded:
        round = await unit.get(Round, command.round_id)
        round.extend(command.due, command.reason, unit.stamp)
        for id in command.invitation_ids:
            invitation = await unit.get(Invitation, id)
            # One that was answered since the caller looked, or has more time already, stays as it is.
            if invitation.round_id == round.id and invitation.can_be_extended(command.due):
                await _extend(unit, invitation, command.due, command.reason)
        return _recorded(round)

    async def extend_invitation(self, unit: Unit, command: ExtendInvitation) -> Recorded:
        invitation = await unit.get(Invitation, command.invitation_id)
        await _extend(unit, invitation, command.due, command.reason)
        return _recorded(invitation)

    async def withdraw(self, unit: Unit, command: WithdrawInvitation) -> Recorded:
        invitation = await unit.get(Invitation, command.invitation_id)
        invitation.withdraw(command.reason, unit.stamp)
        await _cancel(unit, invitation.letters, "The questionnaire was withdrawn.")
        return _recorded(invitation)

    async def submit(self, unit: Unit, command: SubmitResponse) -> Recorded:
        invitation = await unit.get(Invitation, command.invitation_id)
        questionnaire = await unit.look(Questionnaire, invitation.questionnaire_id)
        form = questionnaire.form(invitation.form_version)
        # Whether an answer is wanted at all comes first: nobody should mend what is not taken.
        invitation.must_await_answers()
        answers = normalise(form, command.answers)
        faults = check(form, answers, today=unit.stamp.at.date(), language=command.language)
        if faults:
            raise Invalid(
                "answers",
                f"The response was not taken in: {len(faults)} of its answers need to be mended.",
                faults=faults,
            )
        invitation.receive(answers, unit.stamp)
        await _cancel(unit, invitation.letters, "The response was received.")
        return _recorded(invitation)

    async def lapse(self, unit: Unit, command: LapseInvitation) -> Recorded:
        invitation = await unit.get(Invitation, command.invitation_id)
        invitation.lapse(command.due_at, unit.stamp)
        return _recorded(invitation)

    async def escalate(self, unit: Unit, command: EscalateInvitation) -> Recorded:
        invitation = await unit.get(Invitation, command.invitation_id)
        invitation.escalate(command.letter_id, unit.stamp)
        return _recorded(invitation)


def _recorded(record: Round | Invitation) -> Recorded:
    return Recorded(id=record.id, version=record.version)


async def _extend(unit: Unit, invitation: Invitation, due: Due, reason: str) -> None:
    before = {letter.letter_id: letter for letter in invitation.letters}
    invitation.extend(due, reason, unit.stamp)
    after = {letter.letter_id: letter for letter in invitation.letters}
    await _cancel(unit, [before[id] for id in before.keys() - after.keys()], "The due date was moved.")
    _plan(unit, invitation, [after[id] for id in after.keys() - before.keys()])


def _plan(unit: Unit, invitation: Invitation, letters: Iterable[PlannedLetter]) -> None:
    for planned in sorted(letters, key=lambda letter: letter.at):
        escalation = planned.kind is LetterKind.ESCALATION
        to = ContactRole.DESIGNATED_NATIONAL_AUTHORITY if escalation else ContactRole.OFFICIAL_CONTACT_POINT
        unit.add(Letter.plan(planned, invitation.id, invitation.party_id, to, invitation.due_at, unit.stamp))


async def _cancel(unit: Unit, letters: Iterable[PlannedLetter], reason: str) -> None:
    for planned in letters:
        letter = await unit.get(Letter, planned.letter_id)
        letter.cancel(reason, unit.stamp)
