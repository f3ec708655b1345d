"""What may be asked about the programme: for now, to register who delivers it."""

from typing import ClassVar

from domain.programme import DeliveryPartner, PartnerParticulars, delivery_partner_id, must_be_new
from services.commands import Command, Recorded, Unit


class RegisterDeliveryPartner(Command, PartnerParticulars):
    """Enter a regional centre or an office in the register of delivery partners."""

    creates: ClassVar[bool] = True


class Programme:
    """Carries out the commands about the programme."""

    async def register_delivery_partner(self, unit: Unit, command: RegisterDeliveryPartner) -> Recorded:
        must_be_new(await unit.find(DeliveryPartner, delivery_partner_id(command.centre_id)))
        partner = DeliveryPartner.register(command, unit.stamp)
        unit.add(partner)
        return Recorded(id=partner.id, version=partner.version)
