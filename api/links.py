"""Personal links over HTTP: who may answer a questionnaire by one, sections forwarded, links revoked."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import Field

from api.access import Rights, allowed, must_cover_invitation, must_cover_link
from api.http import Calling, InvitationId, Model, Reading, found, tag
from api.openapi import problems, problems_of_command
from domain.access import Action
from domain.letters import LetterState
from domain.links import forwarded_link_id
from domain.people import Reason, new_person_id
from projections import access as questions
from projections.reading import Record
from services.commands import Recorded
from services.directory import Entry
from services.links import ForwardSection, RevokeLink, SectionName

router = APIRouter(tags=["links"])

LinkId = Annotated[UUID, Path(description="The id of the personal link.")]


class PersonalLinkRecord(Model):
    """A personal link as it stands. Its secret is in the letter that brought it, and in no answer."""

    id: UUID
    invitation_id: UUID
    party_id: UUID
    contact_id: UUID
    """The contact of the party by whose right it is good."""
    holder_id: UUID
    """Who answers by it: the contact, or the colleague to whom a section was forwarded."""
    section: str | None
    """The one section that a colleague was asked to answer; empty for the whole questionnaire."""
    state: Literal["good", "revoked"]
    """A link that is good ends by itself, at `ends_at`."""
    made_at: datetime
    ends_at: datetime
    exchanged_at: datetime | None
    """When it was last opened in a browser."""
    reason: str | None
    """Why it was revoked."""
    letter_state: LetterState | None
    """What became of the letter that brings a colleague the link."""
    letter_reason: str | None
    """Why that letter bounced, was suppressed or cancelled."""
    version: int
    position: int
    """The event that made the record what it is."""


class PersonalLinks(Model):
    """The personal links to a questionnaire, the newest first."""

    items: list[PersonalLinkRecord]
    position: int
    """The position of the log that the list shows."""


class Forwarding(Entry):
    """Which section a colleague is asked to answer, and how the colleague is reached."""

    section: SectionName = Field(examples=["priorities"])
    """The name of the section in the form."""


class Revocation(Model):
    """Why a link is good for nothing any more."""

    reason: Reason = Field(examples=["The colleague has moved to another ministry."])
    """It stands in the history for good: write no name and no address into it."""


@router.get(
    "/invitations/{invitation_id}/links",
    summary="List the personal links to a questionnaire",
    responses=problems("not-found"),
    dependencies=[allowed(Action.SEE_LINKS)],
)
async def list_links(right: Rights, picture: Reading, invitation_id: InvitationId) -> PersonalLinks:
    """Return the links that were made for letters and those that were forwarded, at most the newest 500."""
    await must_cover_invitation(right, invitation_id)
    rows = await questions.links(picture, invitation_id)
    return PersonalLinks.model_validate({"items": rows, "position": picture.position})


@router.post(
    "/invitations/{invitation_id}/links",
    summary="Forward a section to a colleague",
    status_code=201,
    response_model=Recorded,
    responses=problems_of_command("not-found"),
    dependencies=[allowed(Action.FORWARD)],
)
async def forward_section(
    right: Rights, caller: Calling, invitation_id: InvitationId, forwarding: Forwarding
) -> Response:
    """Ask a colleague to answer one section of the questionnaire.

    The colleague is written to, with a link that is good for that section alone. What they save stands in the
    questionnaire of the contact, who hands it in. Name and address are kept in the directory, where they can
    be erased. The ids follow from the Idempotency-Key, so that a repetition cannot ask twice.
    """
    await must_cover_invitation(right, invitation_id)
    command = ForwardSection(
        id=forwarded_link_id(caller.by, caller.key.id),
        invitation_id=invitation_id,
        colleague_id=new_person_id(caller.by, caller.key.id),
        colleague=Entry.model_validate(forwarding.model_dump(exclude={"section"})),
        section=forwarding.section,
    )
    return await caller.carry_out(command, "/api/v1/links/{id}")


@router.get(
    "/links/{link_id}",
    summary="Read a personal link",
    responses=problems("not-found"),
    response_model=PersonalLinkRecord,
    dependencies=[allowed(Action.SEE_LINKS)],
)
async def read_link(right: Rights, picture: Reading, response: Response, link_id: LinkId) -> Record:
    """Return one personal link: for whom and for what it is good, and what became of its letter."""
    await must_cover_link(right, link_id)
    return tag(response, found(await questions.link(picture, link_id), "personal link", link_id, picture))


@router.post(
    "/links/{link_id}/revoke",
    summary="Revoke a personal link",
    response_model=Recorded,
    responses=problems_of_command("not-found"),
    dependencies=[allowed(Action.REVOKE_LINKS)],
)
async def revoke_link(right: Rights, caller: Calling, link_id: LinkId, revocation: Revocation) -> Response:
    """Make a link good for nothing, and end the sessions that it was exchanged for.

    If-Match may be left out: a link is revoked whether or not somebody has just opened it. Revoked again, it
    stays as it is.
    """
    await must_cover_link(right, link_id)
    return await caller.carry_out(RevokeLink(link_id=link_id, reason=revocation.reason))
