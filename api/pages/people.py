"""People and their roles: who may act, since when, and what was refused to them."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import ValidationError

from api.access import allowed
from api.pages.forms import Filled, give, key_of, must_be_done, new_key
from api.pages.frame import Page, Visit, Visiting, nothing_here
from api.pages.translations import _, known
from domain.access import OWNERS, Action, Grant, Role
from domain.people import new_person_id
from projections import access, parties, programme
from services.commands import Command
from services.directory import Person
from services.people import ChangeRole, EndRole, ErasePerson, GrantRole, OpenAccount

router = APIRouter()

ON_A_PAGE = 200
MOST = 10_000
"""How many people are put in order by their names, which only the directory knows."""


@dataclass(frozen=True)
class Held:
    """A role that somebody holds, as it is chosen and shown."""

    value: str
    says: str


@dataclass(frozen=True)
class Owner:
    """A party or a delivery partner, and the role that is held for it."""

    role: Role
    name: str


@router.get("/people", dependencies=[allowed(Action.SEE_PEOPLE)])
async def everybody(
    visit: Visiting, role: str = "", before: Annotated[int, Query(ge=0, lt=10**6)] = 0
) -> Response:
    """List the people who have an account, or those who hold a role, after ``before`` others."""
    async with visit.look() as page:
        return await _list(page, Filled({}), role if role in set(Role) else "", before)


@router.post("/people", dependencies=[allowed(Action.MANAGE_PEOPLE)])
async def open_account(visit: Visiting) -> Response:
    """Write somebody into the directory, and open their account."""
    form = await visit.form()
    filled = Filled.of(form)
    entry = filled.entry(_("Give the person’s name."), _("Give a mail address, such as ana@example.org."))
    if entry is not None:
        person_id = new_person_id(visit.actor, key_of(form))
        answer = await give(visit, OpenAccount(person_id=person_id, entry=entry), visit.actor, form)
        must_be_done(answer)
        return visit.go(f"/people/{person_id}", answer.position)
    async with visit.look() as page:
        return await _list(page, filled)


async def _list(page: Page, filled: Filled, role: str = "", before: int = 0) -> Response:
    rows = await access.accounts(page.picture, role=role or None, limit=MOST)
    names = await page.services.directory.names([row["person_id"] for row in rows])
    return page.show(
        "people/list.html",
        filled.status,
        rows=sorted(rows, key=lambda row: names.get(row["person_id"], "\uffff"))[before:][:ON_A_PAGE],
        total=len(rows),
        role=role,
        roles=list(Role),
        before=before,
        step=ON_A_PAGE,
        names=names,
        owners=await _owners(page),
        numbers=await access.numbers(page.picture),
        filled=filled,
        key=new_key(),
    )


@router.get("/people/{id:uuid}", dependencies=[allowed(Action.SEE_PEOPLE)])
async def one(visit: Visiting, id: UUID) -> Response:
    """Show a person's roles, and what was refused to them."""
    async with visit.look() as page:
        return await show(page, id, Filled({}))


async def show(page: Page, id: UUID, filled: Filled, made: str | None = None) -> Response:
    """Draw the page of a person, with the address of a link that was just ``made``."""
    person = await page.services.directory.find(id)
    account = page.found(await access.account(page.picture, id) or _without_account(page, person))
    roles, owners = await access.roles_of(page.picture, id), await _owners(page)
    return page.show(
        "people/one.html",
        filled.status,
        account=account,
        person=person,
        roles=roles,
        held=[Held(_value(role), _says(role, owners)) for role in roles],
        choices=_choices(owners),
        owners=owners,
        refusals=await access.refusals(page.picture, id),
        filled=filled,
        made=made,
        key=new_key(),
    )


@router.post("/people/{id:uuid}/{doing}", dependencies=[allowed(Action.MANAGE_PEOPLE)])
async def change(visit: Visiting, id: UUID, doing: str) -> Response:
    """Open an account for somebody in the directory, grant, change or end a role, or erase the person."""
    form = await visit.form()
    filled = Filled.of(form)
    command = _command(visit, filled, id, doing)
    if command is not None and not filled.faults:
        answer = await give(visit, command, visit.actor, form)
        if answer.outcome == "done":
            return visit.go(f"/people/{id}", answer.position)
        filled.refuse(answer)
    async with visit.look() as page:
        return await show(page, id, filled)


def _command(visit: Visit, filled: Filled, id: UUID, doing: str) -> Command | None:
    """Read what is to be done; None when something is wrong with it, which is noted."""
    if doing not in ("open", "grant", "change", "end", "erase"):
        raise nothing_here(visit.request)
    if doing == "open":
        return OpenAccount(person_id=id)
    reason = "" if doing == "grant" else filled.words("reason", _("Say why."))[:2_000]
    before = _grant(filled, "before") if doing in ("change", "end") else None
    after = _grant(filled, "after") if doing in ("grant", "change") else None
    if filled.faults:
        return None
    if doing == "erase":
        return ErasePerson(person_id=id, reason=reason)
    if after is None:
        return EndRole(person_id=id, grant=before, reason=reason) if before else None
    if before is None:
        return GrantRole(person_id=id, grant=after)
    return ChangeRole(person_id=id, before=before, after=after, reason=reason)


def _grant(filled: Filled, name: str) -> Grant | None:
    role, _, owner_id = filled[name].partition("/")
    try:
        return Grant.model_validate({"role": role, "owner_id": owner_id or None})
    except ValidationError:
        filled.fault(name, "Choose a role.")
        return None


def _without_account(page: Page, person: Person | None) -> dict[str, Any] | None:
    """Return what is shown of somebody who is in the directory and has no account, such as a contact."""
    if person is None or page.as_of:
        return None
    return {"person_id": person.id, "state": "none", "opened_at": None, "version": ""}


async def _owners(page: Page) -> dict[str, Owner]:
    """Return the names of those for whom roles are held, by id."""
    registers = (
        (Role.PARTY_CONTACT, await parties.parties(page.picture)),
        (Role.DELIVERY_PARTNER, await programme.delivery_partners(page.picture)),
    )
    return {str(row["id"]): Owner(role, row["name"]) for role, rows in registers for row in rows}


def _choices(owners: dict[str, Owner]) -> list[Held]:
    return [Held(role.value, known(role.value)) for role in Role if role not in OWNERS] + [
        Held(f"{owner.role}/{id}", f"{known(owner.role)}: {owner.name}") for id, owner in owners.items()
    ]


def _value(role: dict[str, Any]) -> str:
    return f"{role['role']}/{role['owner_id']}" if role["owner_id"] else str(role["role"])


def _says(role: dict[str, Any], owners: dict[str, Owner]) -> str:
    if not role["owner_id"]:
        return known(role["role"])
    owner = owners.get(str(role["owner_id"]))
    return f"{known(role['role'])}: {owner.name if owner else role['owner_id']}"
