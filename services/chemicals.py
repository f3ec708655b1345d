"""What may be asked about chemicals: record that the Conference listed one, or deleted one."""

from typing import ClassVar
from uuid import UUID

from domain.chemicals import Chemical, Listing, chemical_id, must_be_new
from services.commands import Command, Recorded, Unit


class ListChemical(Command, Listing):
    """Record that a chemical was listed in Annex III."""

    creates: ClassVar[bool] = True


class DelistChemical(Command):
    """Record that an entry was deleted from Annex III."""

    chemical_id: UUID
    delisted_at: str
    decision: str | None = None


class Chemicals:
    """Carries out the commands about chemicals."""

    async def list_chemical(self, unit: Unit, command: ListChemical) -> Recorded:
        must_be_new(await unit.find(Chemical, chemical_id(command.annex_id)))
        chemical = Chemical.list_in_annex(command, unit.stamp)
        unit.add(chemical)
        return Recorded(id=chemical.id, version=chemical.version)

    async def delist_chemical(self, unit: Unit, command: DelistChemical) -> Recorded:
        chemical = await unit.get(Chemical, command.chemical_id)
        chemical.delist(command.delisted_at, command.decision, unit.stamp)
        return Recorded(id=chemical.id, version=chemical.version)
