"""Letters over HTTP: what was planned, and what became of it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from api.access import allowed
from api.http import Cursor, Limit, Model, Page, Reading, RoundId, page
from api.openapi import problems
from api.rounds import round_named
from domain.access import Action
from domain.letters import LetterKind, LetterState
from domain.parties import ContactRole
from projections import letters as questions

router = APIRouter(tags=["letters"])


class LetterRecord(Model):
    """A letter as it stands. Its words and addresses are not kept: they are written when it goes out."""

    id: UUID
    about: UUID
    """The invitation that it is about."""
    party_id: UUID
    iso3: str
    name: str
    """The name of the party."""
    kind: LetterKind
    recipient: ContactRole | None
    """To whom it goes: whoever holds this role on the day. Empty for a letter to a colleague of a contact."""
    link_id: UUID | None
    """The personal link that a letter to a colleague brings."""
    offset_seconds: int
    """Distance from the due date; negative before it."""
    planned_at: datetime
    due_at: datetime
    """The due date that it speaks of."""
    state: LetterState
    ended_at: datetime | None
    """When it was sent, bounced, or decided not to be sent."""
    contact_id: UUID | None
    """The id of the person whom it was sent to."""
    message_id: str | None
    reason: str | None
    """Why it bounced, was suppressed or cancelled."""
    version: int
    position: int
    """The event that made the record what it is."""


class LetterPage(Page[LetterRecord]):
    """Part of a list of letters."""


class Account(Model):
    """What became of all letters of a round: the parts add up to those planned."""

    planned: int
    """All that were ever planned."""
    sent: int
    bounced: int
    suppressed: int
    cancelled: int
    still_to_come: int
    position: int
    """The position of the log that the account shows."""


@router.get(
    "/letters", summary="List letters", responses=problems(), dependencies=[allowed(Action.SEE_LETTERS)]
)
async def list_letters(
    request: Request,
    picture: Reading,
    about: Annotated[UUID | None, Query(description="Only those about this invitation.")] = None,
    round_id: Annotated[UUID | None, Query(description="Only those of this round.")] = None,
    party_id: Annotated[UUID | None, Query(description="Only those to this party.")] = None,
    cursor: Cursor = None,
    limit: Limit = 200,
) -> LetterPage:
    """Return letters by id: planned, sent, bounced, suppressed or cancelled, each with its reason."""
    rows = await questions.letters(picture, about, round_id, party_id, cursor, limit + 1)
    return LetterPage.model_validate(page(request, picture, rows, limit))


@router.get(
    "/rounds/{round_id}/letters",
    summary="Account for the letters of a round",
    responses=problems("not-found"),
    dependencies=[allowed(Action.SEE_LETTERS)],
)
async def account_for_letters(picture: Reading, round_id: RoundId) -> Account:
    """Return how many letters of a round were planned, and what became of them."""
    await round_named(picture, round_id)
    account = await questions.account(picture, round_id)
    return Account.model_validate(account | {"position": picture.position})
