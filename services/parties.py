"""What may be asked about parties: register one, name who speaks for it, end that."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from domain.parties import ContactRole, Particulars, Party, must_be_new, party_id
from services.commands import Command, Recorded, Unit
from services.links import NO_LONGER_CONTACT, Links


class RegisterParty(Command, Particulars):
    """Enter a party in the register."""

    creates: ClassVar[bool] = True


class NameContact(Command):
    """Name the person who speaks for a party in one role."""

    party_id: UUID
    role: ContactRole
    contact_id: UUID
    effective_on: date


class EndContact(Command):
    """End the time of the person who speaks for a party in one role."""

    party_id: UUID
    role: ContactRole
    effective_on: date


class Parties:
    """Carries out the commands about parties."""

    def __init__(self, links: Links) -> None:
        self._links = links

    async def register_party(self, unit: Unit, command: RegisterParty) -> Recorded:
        must_be_new(await unit.find(Party, party_id(command.iso3)))
        party = Party.register(command, unit.stamp)
        unit.add(party)
        return Recorded(id=party.id, version=party.version)

    async def name_contact(self, unit: Unit, command: NameContact) -> Recorded:
        party = await unit.get(Party, command.party_id)
        predecessor = party.contact(command.role)
        party.name_contact(command.role, command.contact_id, command.effective_on, unit.stamp)
        await self._revoke_links(unit, party, predecessor)
        return Recorded(id=party.id, version=party.version)

    async def end_contact(self, unit: Unit, command: EndContact) -> Recorded:
        party = await unit.get(Party, command.party_id)
        predecessor = party.contact(command.role)
        party.end_contact(command.role, command.effective_on, unit.stamp)
        await self._revoke_links(unit, party, predecessor)
        return Recorded(id=party.id, version=party.version)

    async def _revoke_links(self, unit: Unit, party: Party, person_id: UUID | None) -> None:
        if person_id is not None:
            await self._links.revoke_unless_speaking(unit, party, person_id, NO_LONGER_CONTACT)
