"""Parties over HTTP: who they are, and who speaks for them."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.access import Asking, allowed
from api.http import Calling, CallingOnVersion, CodeCursor, Limit, Model, Page, Reading, found, page, tag
from api.openapi import problems, problems_of_command
from domain.access import Action, may
from domain.parties import Category, ContactRole, Language, Particulars, Region
from projections import parties as questions
from projections.reading import Record
from services.commands import Recorded
from services.entrance import Visitor
from services.parties import EndContact, NameContact, RegisterParty

router = APIRouter(prefix="/parties", tags=["parties"])

PartyId = Annotated[UUID, Path(description="The id of the party.")]
Role = Annotated[ContactRole, Path(description="The role in which a person speaks for the party.")]


class PartyRecord(Model):
    """A party as it stands."""

    id: UUID
    iso3: str
    """The code of ISO 3166-1; EUE is the European Union."""
    iso2: str
    m49: str | None
    """The code of the United Nations Statistics Division."""
    name: str
    region: Region
    """The regional group, by which needs are analysed."""
    category: Category
    eligible: bool
    """Whether the party may receive technical assistance."""
    ldc: bool
    """Whether it was a least developed country in 2015."""
    sids: bool
    """Whether it is a small island developing State."""
    party_since: date
    basel_party: bool
    stockholm_party: bool
    time_zone: str
    """The zone in which the party's deadlines end."""
    language: Language
    """The language in which it is written to."""
    official_contact_point: UUID | None
    """The id of the person who speaks for it, for those who may see contacts; empty for all others. Names are
    kept apart from the log."""
    designated_national_authority: UUID | None
    """The same for the other role."""
    source: str
    confidence: str
    """How sure these facts are."""
    version: int
    position: int
    """The event that made the record what it is."""


class PartyPage(Page[PartyRecord]):
    """Part of the register of parties."""


class NewContact(Model):
    """Who speaks for a party from a day on."""

    contact_id: UUID
    """The id of the person in the directory."""
    effective_on: date
    """The day on which the party made the change; not one to come."""


@router.get(
    "", summary="List the parties", responses=problems(), dependencies=[allowed(Action.SEE_REFERENCE)]
)
async def list_parties(
    request: Request,
    visitor: Asking,
    picture: Reading,
    region: Annotated[Region | None, Query(description="Only parties of this regional group.")] = None,
    category: Annotated[Category | None, Query(description="Only parties of this category.")] = None,
    cursor: CodeCursor = None,
    limit: Limit = 200,
) -> PartyPage:
    """Return the parties by their ISO code, all or those of a region or category."""
    rows = await questions.parties(picture, region, category, cursor, limit + 1)
    shown = [_shown_to(visitor, row) for row in rows]
    return PartyPage.model_validate(page(request, picture, shown, limit, "iso3"))


@router.get(
    "/{party}",
    summary="Read a party",
    responses=problems("not-found"),
    response_model=PartyRecord,
    dependencies=[allowed(Action.SEE_REFERENCE)],
)
async def read_party(
    visitor: Asking,
    picture: Reading,
    response: Response,
    party: Annotated[str, Path(max_length=36, description="The id of the party, or its ISO code: KEN.")],
) -> Record:
    """Return one party, with the ids of those who speak for it to those who may see contacts."""
    return tag(response, _shown_to(visitor, await _party(picture, party)))


def _shown_to(visitor: Visitor | None, record: Record) -> Record:
    """Return what somebody may see of a party."""
    if may(visitor.subject if visitor else None, Action.SEE_CONTACTS, {record["id"]}):
        return record
    return record | dict.fromkeys(ContactRole, None)


async def _party(picture: Reading, party: str) -> Record:
    try:
        record = await questions.party(picture, UUID(party))
    except ValueError:
        record = await questions.party_with_code(picture, party)
    return found(record, "party", party, picture)


@router.post(
    "",
    summary="Register a party",
    status_code=201,
    response_model=Recorded,
    responses=problems_of_command(),
    dependencies=[allowed(Action.REGISTER_PARTIES)],
)
async def register_party(caller: Calling, particulars: Particulars) -> Response:
    """Enter a party in the register. Its ISO code makes its id, so it cannot be registered twice."""
    command = RegisterParty.model_validate(particulars.model_dump())
    return await caller.carry_out(command, "/api/v1/parties/{id}")


@router.put(
    "/{party_id}/contacts/{role}",
    summary="Name who speaks for a party",
    response_model=Recorded,
    responses=problems_of_command("not-found", "precondition-required"),
    dependencies=[allowed(Action.NAME_CONTACTS)],
)
async def name_contact(
    caller: CallingOnVersion, party_id: PartyId, role: Role, contact: NewContact
) -> Response:
    """Name the person who speaks for the party in a role; the time of a predecessor ends on that day."""
    return await caller.carry_out(
        NameContact(
            party_id=party_id, role=role, contact_id=contact.contact_id, effective_on=contact.effective_on
        )
    )


@router.delete(
    "/{party_id}/contacts/{role}",
    summary="End the time of who speaks for a party",
    response_model=Recorded,
    responses=problems_of_command("not-found", "precondition-required"),
    dependencies=[allowed(Action.NAME_CONTACTS)],
)
async def end_contact(
    caller: CallingOnVersion,
    party_id: PartyId,
    role: Role,
    effective_on: Annotated[date, Query(description="The day on which it ended; not one to come.")],
) -> Response:
    """End the time of the person who speaks for the party in a role, without a successor."""
    return await caller.carry_out(EndContact(party_id=party_id, role=role, effective_on=effective_on))
