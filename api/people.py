"""People over HTTP: accounts and the roles that they hold, and erasing somebody."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from api.access import allowed
from api.http import (
    Calling,
    CallingOnVersion,
    Cursor,
    Limit,
    Model,
    Page,
    Reading,
    found,
    page,
    services_of,
    tag,
)
from api.openapi import problems, problems_of_command
from domain.access import Action, Grant, Role
from domain.people import Reason, new_person_id
from projections import access as questions
from projections.reading import Record
from services.commands import Recorded
from services.directory import Entry, Person
from services.people import ChangeRole, EndRole, ErasePerson, GrantRole, OpenAccount

router = APIRouter(prefix="/people", tags=["people"])

PersonId = Annotated[UUID, Path(description="The id of the person.")]


class RoleHeld(Model):
    """A role that somebody holds."""

    role: Role
    owner_id: UUID | None
    """The party, delivery partner or donor for whom it is held; empty for a role of the Secretariat."""
    since: datetime


class PersonRecord(Model):
    """Somebody with an account, and the roles that they hold."""

    id: UUID
    name: str | None
    """As the directory has it today, also in an answer as of an earlier moment; empty once erased."""
    email: str | None
    """The mail address, as the name."""
    state: Literal["open", "erased"]
    opened_at: datetime
    roles: list[RoleHeld]
    version: int
    position: int
    """The event that made the record what it is."""


class PersonPage(Page[PersonRecord]):
    """Part of the list of people."""


class RoleGiven(Grant):
    """A role to give, and for whom it is held."""


class RoleChange(Model):
    """Another role in the place of one."""

    before: Grant
    after: Grant
    reason: Reason = Field(examples=["A new post."])


class RoleEnd(Model):
    """A role to end, and why."""

    grant: Grant
    reason: Reason = Field(examples=["Left the Secretariat."])


class Erasure(Model):
    """Why somebody is erased."""

    reason: Reason = Field(examples=["Asked to be forgotten."])
    """It stands in the history for good: write no name and no address into it."""


@router.get("", summary="List the people", responses=problems(), dependencies=[allowed(Action.SEE_PEOPLE)])
async def list_people(
    request: Request,
    picture: Reading,
    role: Annotated[Role | None, Query(description="Only those who hold this role.")] = None,
    owner_id: Annotated[
        UUID | None, Query(description="Only those who hold a role for this party, partner or donor.")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 200,
) -> PersonPage:
    """Return the people who have an account, by id, with the roles that they hold."""
    rows = await questions.accounts(picture, role, owner_id, cursor, limit + 1)
    known = await services_of(request).directory.people([row["person_id"] for row in rows])
    people = [_told(row, known.get(row["person_id"])) for row in rows]
    return PersonPage.model_validate(page(request, picture, people, limit))


@router.get(
    "/{person_id}",
    summary="Read a person",
    responses=problems("not-found"),
    response_model=PersonRecord,
    dependencies=[allowed(Action.SEE_PEOPLE)],
)
async def read_person(request: Request, picture: Reading, response: Response, person_id: PersonId) -> Record:
    """Return one person with the roles that they hold."""
    account = found(await questions.account(picture, person_id), "person", person_id, picture)
    roles = await questions.roles_of(picture, person_id)
    person = await services_of(request).directory.find(person_id)
    return tag(response, _told(account | {"roles": roles}, person))


def _told(account: Record, person: Person | None) -> Record:
    """Return an account with what the directory knows of the person."""
    return account | {
        "id": account["person_id"],
        "name": person.name if person else None,
        "email": person.email if person else None,
    }


@router.post(
    "",
    summary="Open an account",
    status_code=201,
    response_model=Recorded,
    responses=problems_of_command("not-found"),
    dependencies=[allowed(Action.MANAGE_PEOPLE)],
)
async def open_account(caller: Calling, entry: Entry) -> Response:
    """Write somebody into the directory and open their account. It holds no role yet.

    The id of the person follows from the Idempotency-Key, so that a repetition cannot enter them twice.
    """
    person_id = new_person_id(caller.by, caller.key.id)
    return await caller.carry_out(OpenAccount(person_id=person_id, entry=entry), "/api/v1/people/{id}")


@router.post(
    "/{person_id}/roles",
    summary="Give a role",
    response_model=Recorded,
    responses=problems_of_command("not-found", "precondition-required"),
    dependencies=[allowed(Action.MANAGE_PEOPLE)],
)
async def grant_role(caller: CallingOnVersion, person_id: PersonId, grant: RoleGiven) -> Response:
    """Give a person a role. Nobody gives one to themselves.

    A role that is held for a party, a delivery partner or a donor names it.
    """
    given = Grant.model_validate(grant.model_dump())
    return await caller.carry_out(GrantRole(person_id=person_id, grant=given))


@router.post(
    "/{person_id}/roles/change",
    summary="Change a role",
    response_model=Recorded,
    responses=problems_of_command("not-found", "precondition-required"),
    dependencies=[allowed(Action.MANAGE_PEOPLE)],
)
async def change_role(caller: CallingOnVersion, person_id: PersonId, change: RoleChange) -> Response:
    """Give a person another role in the place of one that they hold."""
    return await caller.carry_out(ChangeRole(person_id=person_id, **dict(change)))


@router.post(
    "/{person_id}/roles/end",
    summary="End a role",
    response_model=Recorded,
    responses=problems_of_command("not-found", "precondition-required"),
    dependencies=[allowed(Action.MANAGE_PEOPLE)],
)
async def end_role(caller: CallingOnVersion, person_id: PersonId, end: RoleEnd) -> Response:
    """Take a role from a person. It is good for nothing from that moment on, in every session and token."""
    return await caller.carry_out(EndRole(person_id=person_id, **dict(end)))


@router.post(
    "/{person_id}/erase",
    summary="Erase a person",
    response_model=Recorded,
    responses=problems_of_command("not-found", "precondition-required"),
    dependencies=[allowed(Action.MANAGE_PEOPLE)],
)
async def erase_person(caller: CallingOnVersion, person_id: PersonId, erasure: Erasure) -> Response:
    """Remove name, address and every way in, and end all roles. This cannot be undone.

    Histories keep the id and still verify. The contact of a party, or a colleague whom one asked, may have no
    account and so no ETag: send `*` as If-Match.
    """
    return await caller.carry_out(ErasePerson(person_id=person_id, reason=erasure.reason))
