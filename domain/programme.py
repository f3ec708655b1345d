"""The programme of technical assistance: for now, who delivers it in the regions."""

from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.aggregates import Aggregate, Line, Stamp, identify
from domain.parties import Iso3
from domain.refusals import NotAllowed


class PartnerType(StrEnum):
    """What kind of centre or office a delivery partner is."""

    BASEL_REGIONAL_CENTRE = "Basel regional centre"
    BASEL_COORDINATING_CENTRE = "Basel coordinating centre"
    STOCKHOLM_CENTRE = "Stockholm regional/subregional centre"
    FAO_REGIONAL_OFFICE = "FAO regional office"
    FAO_SUBREGIONAL_OFFICE = "FAO subregional office"
    UNEP_REGIONAL_OFFICE = "UNEP regional office"
    UNEP_LIAISON_OR_COUNTRY_OFFICE = "UNEP liaison or country office"
    SECRETARIAT = "Secretariat"


class PartnerParticulars(BaseModel):
    """What is recorded of a delivery partner when it is registered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    centre_id: str
    """The short name under which the table of centres keeps it, such as ``BC-SEN``."""
    name: Line
    city: str
    host_country_iso3: Iso3
    type: PartnerType
    convention: str
    """Under which convention, or as part of which organization, it works."""
    region_served: str
    source: str
    confidence: str
    """How sure these facts are, in the words of the table that they were taken from."""


def delivery_partner_id(centre_id: str) -> UUID:
    """Return the id of the delivery partner with this short name."""
    return identify("delivery-partner", centre_id)


class DeliveryPartner(Aggregate):
    """A centre or an office that carries out activities of the programme."""

    centre_id: str
    name: str
    city: str
    host_country_iso3: str
    type: PartnerType
    convention: str
    region_served: str
    source: str
    confidence: str

    class Event(Aggregate.Event):
        """Something that happened to a delivery partner."""

    class Registered(Event, Aggregate.Created, PartnerParticulars):
        """The partner was entered in the register, with its particulars."""

        def apply(self, partner: "DeliveryPartner") -> None:
            for fact in PartnerParticulars.model_fields:
                setattr(partner, fact, getattr(self, fact))

    @classmethod
    def register(cls, particulars: PartnerParticulars, stamp: Stamp) -> Self:
        """Enter a delivery partner in the register."""
        facts = {fact: getattr(particulars, fact) for fact in PartnerParticulars.model_fields}
        id = delivery_partner_id(particulars.centre_id)
        partner: Self = cls.begin(cls.Registered, stamp, id=id, **facts)
        return partner


# The rules. Each is asked by a command, and never when a history is read again.


def must_be_new(existing: DeliveryPartner | None) -> None:
    """A delivery partner is registered once."""
    if existing:
        raise NotAllowed(
            "delivery-partner-already-registered",
            f"{existing.name} is registered already. Open its page to change what is recorded of it.",
            delivery_partner_id=existing.id,
        )
