"""What may be asked about parties: register one, name who speaks for it, end that."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from domain.parties import ContactRole, Particulars, Party, must_be_new, party_id
from services.commands import Command, Recorded, Unit


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

    async def register_party(self, unit: Unit, command: RegisterParty) -> Recorded:
        must_be_new(await unit.find(Party, party_id(command.iso3)))
        party = Party.register(command, unit.stamp)
        unit.add(party)
        return Recorded(id=party.id, version=party.version)

    async def name_contact(self, unit: Unit, command: NameContact) -> Recorded:
        party = await unit.get(Party, command.party_id)
        party.name_contact(command.role, command.contact_id, command.effective_on, unit.stamp)
        return Recorded(id=party.id, version=party.version)

    async def end_contact(self, unit: Unit, command: EndContact) -> Recorded:
        party = await unit.get(Party, command.party_id)
        party.end_contact(command.role, command.effective_on, unit.stamp)
        return Recorded(id=party.id, version=party.version)
