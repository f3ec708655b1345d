"""Rounds and invitations over HTTP: open, issue, extend, withdraw, answer, and who owes us one."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, JsonValue

from api.access import Right, Rights, allowed
from api.http import (
    Calling,
    CallingOnVersion,
    CallingToAnswer,
    Cursor,
    InvitationId,
    Limit,
    Model,
    Page,
    Reading,
    RoundId,
    found,
    newest_picture,
    page,
    tag,
)
from api.openapi import problems, problems_of_command
from domain.access import Action
from domain.aggregates import identify
from domain.forms import Answers
from domain.parties import Category, Region
from domain.refusals import Fault, Invalid
from domain.rounds import Audience, Due, InvitationState, Reason, Schedule, Title
from projections import gaps, questionnaires
from projections import parties as party_questions
from projections import rounds as questions
from projections.reading import Picture, Record
from services.commands import Recorded
from services.rounds import (
    ExtendInvitation,
    ExtendRound,
    IssueRound,
    OpenRound,
    SubmitResponse,
    WithdrawInvitation,
)

router = APIRouter(prefix="/rounds", tags=["rounds"])
invitations_router = APIRouter(prefix="/invitations", tags=["invitations"])


class RoundRecord(Model):
    """A round as it stands."""

    id: UUID
    title: str
    questionnaire_id: UUID
    form_version: str
    categories: list[Category]
    """The categories of parties that the round is meant for."""
    due_on: date | None
    """The last day on which an answer is in time, by each party's own calendar."""
    due_at: datetime | None
    """Instead of a day: one moment for all parties."""
    reminders_seconds: list[int]
    """How long before the due date reminders are sent."""
    escalations_seconds: list[int]
    """How long after the due date a second contact is written to."""
    notice: str | None
    """A note that whoever shows data of the round must show too."""
    opened_at: datetime
    issued: int
    """How many parties it was issued to."""
    received: int
    """How many of them have answered."""
    version: int
    position: int
    """The event that made the record what it is."""


class RoundPage(Page[RoundRecord]):
    """Part of the list of rounds."""


class InvitationRecord(Model):
    """One questionnaire issued to one party."""

    id: UUID
    round_id: UUID
    party_id: UUID
    iso3: str
    name: str
    """The name of the party."""
    region: Region
    category: Category
    state: InvitationState
    due_on: date | None
    due_at: datetime
    """The first moment that is too late."""
    issued_at: datetime
    received_at: datetime | None
    late: bool
    """Whether the response came after the due date."""
    lapsed_at: datetime | None
    escalated_at: datetime | None
    withdrawn_at: datetime | None
    withdrawn_because: str | None
    version: int
    position: int
    """The event that made the record what it is."""


class InvitationPage(Page[InvitationRecord]):
    """Part of a list of invitations."""


class BoardRow(InvitationRecord):
    """Where one party stands in a round, with the letters so far."""

    ldc: bool
    sids: bool
    reminders_sent: int
    escalations_sent: int
    bounced: int
    """How many letters could not be delivered."""
    next_letter_at: datetime | None
    """When the next letter is planned to go out."""
    begun_at: datetime | None
    """When the party began to answer, where it has saved a draft."""
    saved_at: datetime | None
    """When the draft was last saved."""
    percent: int | None
    """How far the draft is: answers per hundred questions that apply, rounded down."""


class Board(Model):
    """Every party of a round, by region and name."""

    items: list[BoardRow]
    position: int
    """The position of the log that the board shows."""


class ResponseRate(Model):
    """How many parties of a region were asked, and how many have answered."""

    region: Region | None
    """Empty for all regions together."""
    issued: int
    received: int
    late: int
    """How many of the responses came after the due date."""
    lapsed: int
    """How many let the due date pass and have not answered yet."""
    withdrawn: int
    percent: float | None
    """Responses per hundred parties that the questionnaire was issued to and not withdrawn from."""


class ResponseRates(Model):
    """Response rates by region, and for all regions together at the end."""

    items: list[ResponseRate]
    position: int
    """The position of the log that the rates show."""


class NewRound(Model):
    """What it takes to open a round."""

    title: Title = Field(examples=["Needs 2026"])
    questionnaire_id: UUID
    form_version: str = Field(max_length=50)
    audience: Audience
    due: Due = Field(examples=[{"on": "2026-09-30"}])
    schedule: Schedule = Field(
        Schedule(), examples=[{"reminders": ["P14D", "P7D", "P1D"], "escalations": ["P7D"]}]
    )
    notice: str | None = Field(None, max_length=2_000)
    """A note that whoever shows data of the round must show too."""


class Issue(Model):
    """To whom a round is issued."""

    parties: Literal["eligible"] | Annotated[tuple[UUID, ...], Field(min_length=1, max_length=300)]
    """The ids of parties, or “eligible”: all whom the round is meant for and who have not got it yet."""


class Extension(Model):
    """A later due date."""

    due: Due = Field(examples=[{"on": "2026-10-31"}])
    reason: Reason = Field(examples=["Asked for by the regional group."])


class Withdrawal(Model):
    """Why a questionnaire is taken back."""

    reason: Reason = Field(examples=["Sent to the wrong party."])


class NewResponse(Model):
    """A party's answers."""

    answers: dict[str, JsonValue] = Field(examples=[{"areas": ["customs", "law"], "remark": "None."}])
    """By the name of the question: text, a number, or a list of options."""
    language: str | None = Field(None, max_length=35)
    """The language in which faults are named; the form's own without it."""


class ResponseRecord(Model):
    """What a party has answered."""

    invitation_id: UUID
    party_id: UUID
    iso3: str
    received_at: datetime
    late: bool
    questionnaire_id: UUID
    form_version: str
    answers: dict[str, Any]
    notice: str | None
    """A note that whoever shows the answers must show too."""
    position: int
    """The event by which they were received, or the latest event of the invitation."""


# Rounds.


@router.get("", summary="List the rounds", responses=problems(), dependencies=[allowed(Action.SEE_ROUNDS)])
async def list_rounds(
    request: Request, picture: Reading, cursor: Cursor = None, limit: Limit = 100
) -> RoundPage:
    """Return all rounds, by id, with the numbers of parties asked and of responses."""
    rows = await questions.rounds(picture, cursor, limit + 1)
    return RoundPage.model_validate(page(request, picture, rows, limit))


@router.post(
    "",
    summary="Open a round",
    status_code=201,
    response_model=Recorded,
    responses=problems_of_command("not-found"),
    dependencies=[allowed(Action.RUN_ROUNDS)],
)
async def open_round(caller: Calling, new: NewRound) -> Response:
    """Prepare a round: which questionnaire, for whom, until when. Nobody is written to yet.

    The id of the round follows from the Idempotency-Key, so that a repetition cannot make a second one.
    """
    command = OpenRound(id=identify("round", caller.key.id), **dict(new))
    return await caller.carry_out(command, "/api/v1/rounds/{id}")


@router.get(
    "/{round_id}",
    summary="Read a round",
    responses=problems("not-found"),
    response_model=RoundRecord,
    dependencies=[allowed(Action.SEE_ROUNDS)],
)
async def read_round(picture: Reading, response: Response, round_id: RoundId) -> Record:
    """Return one round, with the numbers of parties asked and of responses."""
    return tag(response, await round_named(picture, round_id))


async def round_named(picture: Picture, round_id: UUID) -> Record:
    """Return a round, or say that there is none."""
    return found(await questions.round_named(picture, round_id), "round", round_id, picture)


@router.post(
    "/{round_id}/issue",
    summary="Issue a round to parties",
    response_model=Recorded,
    responses=problems_of_command("not-found"),
    dependencies=[allowed(Action.RUN_ROUNDS)],
)
async def issue_round(request: Request, caller: Calling, round_id: RoundId, issue: Issue) -> Response:
    """Issue the questionnaire: each party gets an invitation, a letter now, and reminders to come.

    Refused as a whole, naming each, when one of the parties may not receive it or has it already.
    """
    party_ids = issue.parties
    if isinstance(party_ids, str):
        async with newest_picture(request) as picture:
            party_ids = await _eligible(picture, round_id)
    return await caller.carry_out(IssueRound(round_id=round_id, party_ids=party_ids), asked=issue)


async def _eligible(picture: Picture, round_id: UUID) -> tuple[UUID, ...]:
    round = await round_named(picture, round_id)
    parties = await party_questions.parties(picture)
    invitations = await questions.invitations(picture, round_id)
    invited = {invitation["party_id"] for invitation in invitations}
    return tuple(
        party["id"]
        for party in parties
        if party["category"] in round["categories"] and party["id"] not in invited
    )


@router.post(
    "/{round_id}/extend",
    summary="Extend a round",
    response_model=Recorded,
    responses=problems_of_command("not-found", "precondition-required"),
    dependencies=[allowed(Action.RUN_ROUNDS)],
)
async def extend_round(
    request: Request, caller: CallingOnVersion, round_id: RoundId, extension: Extension
) -> Response:
    """Move the due date to a later one, for the round and for all who have not answered.

    Their reminders are planned anew. A party that has more time already keeps it.
    """
    async with newest_picture(request) as picture:
        invitations = await questions.invitations(picture, round_id)
    still_open = tuple(
        invitation["id"]
        for invitation in invitations
        if invitation["state"] in (InvitationState.ISSUED, InvitationState.LAPSED)
    )
    command = ExtendRound(
        round_id=round_id, due=extension.due, reason=extension.reason, invitation_ids=still_open
    )
    return await caller.carry_out(command, asked=extension)


@router.get(
    "/{round_id}/board",
    summary="See who owes an answer",
    responses=problems("not-found"),
    dependencies=[allowed(Action.SEE_ROUNDS)],
)
async def read_board(picture: Reading, round_id: RoundId) -> Board:
    """Return every party of the round: where it stands, the letters so far, and the next one."""
    await round_named(picture, round_id)
    rows = await questions.board(picture, round_id)
    return Board.model_validate({"items": rows, "position": picture.position})


@router.get(
    "/{round_id}/response-rates",
    summary="See the response rates",
    responses=problems("not-found"),
    dependencies=[allowed(Action.SEE_ROUNDS)],
)
async def read_response_rates(picture: Reading, round_id: RoundId) -> ResponseRates:
    """Return how many parties were asked and how many have answered, by region and in all."""
    await round_named(picture, round_id)
    rows = [rate | {"percent": _percent(rate)} for rate in await questions.response_rates(picture, round_id)]
    return ResponseRates.model_validate({"items": rows, "position": picture.position})


def _percent(rate: Record) -> float | None:
    asked = rate["issued"] - rate["withdrawn"]
    return round(100 * rate["received"] / asked, 1) if asked else None


# Invitations.


@invitations_router.get(
    "", summary="List invitations", responses=problems(), dependencies=[allowed(Action.SEE_INVITATIONS)]
)
async def list_invitations(
    request: Request,
    right: Rights,
    picture: Reading,
    round_id: Annotated[UUID | None, Query(description="Only those of this round.")] = None,
    party_id: Annotated[UUID | None, Query(description="Only those to this party.")] = None,
    cursor: Cursor = None,
    limit: Limit = 200,
) -> InvitationPage:
    """Return invitations by id: all, those of a round or to a party; to contacts, those of their party."""
    rows = await questions.invitations(
        picture,
        round_id,
        party_id,
        cursor,
        limit + 1,
        of=right.owner_ids,
        only=right.extent.invitation_id,
    )
    return InvitationPage.model_validate(page(request, picture, rows, limit))


@invitations_router.get(
    "/{invitation_id}",
    summary="Read an invitation",
    responses=problems("not-found"),
    response_model=InvitationRecord,
    dependencies=[allowed(Action.SEE_INVITATIONS)],
)
async def read_invitation(
    right: Rights, picture: Reading, response: Response, invitation_id: InvitationId
) -> Record:
    """Return one invitation: the due date that holds, and what came back."""
    return tag(response, await _invitation(right, picture, invitation_id))


async def _invitation(right: Right, picture: Picture, invitation_id: UUID) -> Record:
    record = await questions.invitation(picture, invitation_id)
    if record is not None and not right.covers({record["party_id"]}, record["id"]):
        record = None
    return found(record, "invitation", invitation_id, picture)


@invitations_router.post(
    "/{invitation_id}/extend",
    summary="Give one party more time",
    response_model=Recorded,
    responses=problems_of_command("not-found", "precondition-required"),
    dependencies=[allowed(Action.RUN_ROUNDS)],
)
async def extend_invitation(
    caller: CallingOnVersion, invitation_id: InvitationId, extension: Extension
) -> Response:
    """Move the due date of one party to a later one; its reminders are planned anew."""
    return await caller.carry_out(
        ExtendInvitation(invitation_id=invitation_id, due=extension.due, reason=extension.reason)
    )


@invitations_router.post(
    "/{invitation_id}/withdraw",
    summary="Take a questionnaire back",
    response_model=Recorded,
    responses=problems_of_command("not-found", "precondition-required"),
    dependencies=[allowed(Action.RUN_ROUNDS)],
)
async def withdraw_invitation(
    caller: CallingOnVersion, invitation_id: InvitationId, withdrawal: Withdrawal
) -> Response:
    """Take the questionnaire back from one party: no answer is expected and no letter sent any more."""
    return await caller.carry_out(WithdrawInvitation(invitation_id=invitation_id, reason=withdrawal.reason))


@invitations_router.post(
    "/{invitation_id}/response",
    summary="Hand in a party's answers",
    response_model=Recorded,
    responses=problems_of_command("not-found"),
    dependencies=[allowed(Action.SUBMIT)],
)
async def submit_response(
    caller: CallingToAnswer, invitation_id: InvitationId, response: NewResponse
) -> Response:
    """Hand in the answers to a questionnaire, once. All rules of the form are checked.

    Only a contact of the party hands them in. Refused answers are told with every fault, by the name of its
    question.
    """
    command = SubmitResponse(
        invitation_id=invitation_id, answers=_answers(response.answers), language=response.language
    )
    return await caller.carry_out(command)


def _answers(given: dict[str, JsonValue]) -> Answers:
    """Bring JSON into the shape of answers; refuse what no question takes."""
    answers: Answers = {}
    faults = []
    for name, value in given.items():
        if isinstance(value, float):
            answers[name] = repr(value)
        elif isinstance(value, bool | dict) or (
            isinstance(value, list) and not all(isinstance(option, str) for option in value)
        ):
            faults.append(Fault(where=name, what="Give text, a number, or a list of the names of options."))
        elif isinstance(value, str | int):
            answers[name] = value
        elif isinstance(value, list):
            answers[name] = [str(option) for option in value]
    if faults:
        message = f"The response was not taken in: {len(faults)} of its answers need to be mended."
        raise Invalid("answers", message, faults=tuple(faults))
    return answers


@invitations_router.get(
    "/{invitation_id}/response",
    summary="Read a response",
    responses=problems("not-found"),
    dependencies=[allowed(Action.SEE_INVITATIONS)],
)
async def read_response(
    right: Rights, picture: Reading, response: Response, invitation_id: InvitationId
) -> ResponseRecord:
    """Return what a party has answered, by the names of the questions.

    A colleague to whom a section was forwarded reads that section.
    """
    invitation = tag(response, await _invitation(right, picture, invitation_id))
    if invitation["received_at"] is None:
        found(None, "response to the invitation", invitation_id, picture)
    answers = await gaps.answers(picture, invitation_id)
    section = right.visitor.subject.section
    if section is not None:
        asked = await questionnaires.form_of(picture, invitation)
        answers = {name: answers[name] for name in answers.keys() & asked.names_in(section)}
    return ResponseRecord.model_validate(invitation | {"invitation_id": invitation_id, "answers": answers})
