"""The first administrator, made by whoever runs the installation: nobody else can open an account yet."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from domain.access import Grant, Role
from domain.aggregates import Stamp
from services.commands import Command
from services.directory import Entry
from services.entrance import Entrance
from services.hashing import hashed, new_secret
from services.password_links import password_link_address
from services.people import GrantRole, MakePasswordLink, OpenAccount
from services.settings import Settings
from services.store import RefusalRecord, Request
from services.wiring import Services, open_services

ADMINISTRATOR = Grant(role=Role.ADMINISTRATOR)
BY = "service:command-line"


class NotMade(Exception):
    """No administrator was made. The text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Made:
    """An administrator, and the address at which they set a password: it is shown once."""

    person_id: UUID
    address: str


async def make_administrator(settings: Settings, entry: Entry, *, another: bool = False) -> Made:
    """Let somebody be an administrator, through the ordinary commands, and make a link to set a password.

    Whoever has the address already keeps name and account: so one goes on where a try was broken off, and an
    administrator who has lost the password comes back in. Raises NotMade.
    """
    async with open_services(settings) as services:
        entrance = Entrance(services)
        if not another and await _administrators(entrance):
            raise NotMade(
                "There is an administrator already, who opens accounts on the page “People”. Nothing was "
                "changed. If that person is out of reach, say --another."
            )
        person_id = await _person(services, entry.email)
        grants = await entrance.grants_of(person_id) if person_id else ()
        if person_id is None or not await entrance.has_account(person_id):
            known = person_id is not None
            person_id = person_id or uuid4()
            await _give(services, OpenAccount(person_id=person_id, entry=None if known else entry))
        if ADMINISTRATOR not in grants:
            await _give(services, GrantRole(person_id=person_id, grant=ADMINISTRATOR))
        secret = new_secret()
        link = MakePasswordLink(person_id=person_id, link_id=uuid4(), secret_sha256=hashed(secret).hex())
        await _give(services, link)
        return Made(person_id, password_link_address(settings, secret))


async def _administrators(entrance: Entrance) -> list[UUID]:
    """Return who is an administrator, by the log: the tables may not have been made yet."""
    people = await entrance.services.directory.everybody()
    return [person.id for person in people if ADMINISTRATOR in await entrance.grants_of(person.id)]


async def _person(services: Services, email: str) -> UUID | None:
    """Return who has a mail address, None when nobody has."""
    found = [
        person.id
        for person in await services.directory.everybody()
        if person.email.casefold() == email.casefold()
    ]
    if len(found) > 1:
        raise NotMade(f"{len(found)} people have this address. Nothing was changed. Choose another one.")
    return found[0] if found else None


async def _give(services: Services, command: Command) -> None:
    answer = await services.execute(command, Request(Stamp(by=BY, at=datetime.now(UTC))))
    if answer.outcome == "refused":
        raise NotMade(RefusalRecord.model_validate_json(answer.reply).message)
