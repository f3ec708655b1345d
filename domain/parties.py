"""Parties to the Convention: who they are, where they stand, and who speaks for them.

A party is registered once, under an id that its ISO code makes. What decides whether it may be asked or
helped (region, category, eligibility for technical assistance) is a fact of its registration; the people
who speak for it are named and ended over time, by the id of a contact: names and addresses of people are
kept outside the log, where they can be erased.
"""

from dataclasses import field
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Annotated, NamedTuple, Self
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, StringConstraints

from domain.aggregates import Aggregate, Line, Stamp, identify
from domain.refusals import Fault, Invalid, NotAllowed

Iso3 = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""The three-letter code of ISO 3166-1; ``EUE``, as in travel documents, is the European Union."""


class Region(StrEnum):
    """The regional groups of the United Nations, by which needs are analysed."""

    AFRICA = "Africa"
    ASIA_PACIFIC = "Asia-Pacific"
    CEE = "CEE"
    GRULAC = "GRULAC"
    WEOG = "WEOG"


class Category(StrEnum):
    """How the United Nations class a party's economy."""

    DEVELOPING = "developing"
    IN_TRANSITION = "in transition"
    DEVELOPED = "developed"


class Language(StrEnum):
    """The official languages of the United Nations: those in which a party is written to."""

    ARABIC = "ar"
    CHINESE = "zh"
    ENGLISH = "en"
    FRENCH = "fr"
    RUSSIAN = "ru"
    SPANISH = "es"


class ContactRole(StrEnum):
    """In what role a person speaks for a party."""

    OFFICIAL_CONTACT_POINT = "official_contact_point"
    DESIGNATED_NATIONAL_AUTHORITY = "designated_national_authority"


class Particulars(BaseModel):
    """What is recorded of a party when it is registered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    iso3: Iso3
    iso2: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    m49: str | None
    """The code of the United Nations Statistics Division; the European Union has none."""
    name: Line
    region: Region
    category: Category
    eligible: bool
    """Whether the party may receive technical assistance, and so be asked what it needs."""
    ldc: bool
    """Whether it was a least developed country in 2015, when the Conference asked."""
    sids: bool
    """Whether it is a small island developing State."""
    party_since: date
    """When the Convention entered into force for it."""
    basel_party: bool
    stockholm_party: bool
    time_zone: str
    """The IANA name of the zone in which the party's deadlines end."""
    language: Language
    source: str
    confidence: str
    """How sure these facts are, in the words of the table that they were taken from."""


class Appointment(NamedTuple):
    """Who speaks for a party in one role, and since when."""

    contact_id: UUID
    effective_on: date


def party_id(iso3: str) -> UUID:
    """Return the id of the party with this ISO code: one party, one id, so it cannot be registered twice."""
    return identify("party", iso3)


class Party(Aggregate):
    """A State, or an organization of States, that is bound by the Convention."""

    iso3: str
    iso2: str
    m49: str | None
    name: str
    region: Region
    category: Category
    eligible: bool
    ldc: bool
    sids: bool
    party_since: date
    basel_party: bool
    stockholm_party: bool
    time_zone: str
    language: Language
    source: str
    confidence: str
    appointments: dict[ContactRole, Appointment] = field(init=False)
    """Who speaks for the party now, by role."""

    class Event(Aggregate.Event):
        """Something that happened to a party."""

    class Registered(Event, Aggregate.Created, Particulars):
        """The party was entered in the register, with its particulars."""

        def apply(self, party: "Party") -> None:
            for fact in Particulars.model_fields:
                setattr(party, fact, getattr(self, fact))
            party.appointments = {}

    class ContactNamed(Event):
        """The party named a person to speak for it in this role."""

        role: ContactRole
        contact_id: UUID
        effective_on: date

        def apply(self, party: "Party") -> None:
            party.appointments[self.role] = Appointment(self.contact_id, self.effective_on)

    class ContactEnded(Event):
        """The person ceased to speak for the party in this role."""

        role: ContactRole
        contact_id: UUID
        effective_on: date

        def apply(self, party: "Party") -> None:
            party.appointments.pop(self.role, None)

    @classmethod
    def register(cls, particulars: Particulars, stamp: Stamp) -> Self:
        """Enter a party in the register."""
        must_have_a_known_time_zone(particulars.time_zone)
        facts = {fact: getattr(particulars, fact) for fact in Particulars.model_fields}
        party: Self = cls.begin(cls.Registered, stamp, id=party_id(particulars.iso3), **facts)
        return party

    def name_contact(self, role: ContactRole, contact_id: UUID, effective_on: date, stamp: Stamp) -> None:
        """Name the person who speaks for the party in ``role``; a predecessor's time ends on that day."""
        must_not_lie_ahead(effective_on, stamp.at)
        predecessor = self.appointments.get(role)
        if predecessor:
            must_be_another_person(predecessor, contact_id, role)
            must_not_be_before_the_appointment(effective_on, predecessor)
            self.record(
                self.ContactEnded,
                stamp,
                role=role,
                contact_id=predecessor.contact_id,
                effective_on=effective_on,
            )
        self.record(self.ContactNamed, stamp, role=role, contact_id=contact_id, effective_on=effective_on)

    def end_contact(self, role: ContactRole, effective_on: date, stamp: Stamp) -> None:
        """End the time of the person who speaks for the party in ``role``, without a successor."""
        must_not_lie_ahead(effective_on, stamp.at)
        appointment = must_have_a_contact(self, role)
        must_not_be_before_the_appointment(effective_on, appointment)
        self.record(
            self.ContactEnded,
            stamp,
            role=role,
            contact_id=appointment.contact_id,
            effective_on=effective_on,
        )

    def contact(self, role: ContactRole) -> UUID | None:
        """Return the id of the contact who speaks for the party in ``role``, or None."""
        appointment = self.appointments.get(role)
        return appointment.contact_id if appointment else None


@cache
def known_time_zones() -> frozenset[str]:
    """Return the IANA names of all zones; spelling counts, also where file names do not tell case apart."""
    return frozenset(available_timezones())


# The rules. Each is asked by a command, and never when a history is read again.


def must_be_new(existing: Party | None) -> None:
    """A party is registered once."""
    if existing:
        raise NotAllowed(
            "party-already-registered",
            f"{existing.name} is registered already. Open its page to change what is recorded of it.",
            party_id=existing.id,
        )


def must_have_a_known_time_zone(name: str) -> None:
    """Deadlines need a zone whose clock is known."""
    if name not in known_time_zones():
        what = f"“{name}” is not a time zone. Give an IANA name such as Africa/Dakar."
        raise Invalid("unknown-time-zone", what, faults=(Fault(where="/time_zone", what=what),))


def must_not_lie_ahead(effective_on: date, now: datetime) -> None:
    """A contact is named or ended once it is so, since letters go out to whoever is named.

    Today is what it is anywhere on Earth: the calendar of the easternmost zone runs 14 hours before UTC.
    """
    if effective_on > (now + timedelta(hours=14)).date():
        raise NotAllowed(
            "effective-in-the-future",
            f"{effective_on} lies ahead. Record the change on or after the day on which it takes effect.",
        )


def must_be_another_person(predecessor: Appointment, contact_id: UUID, role: ContactRole) -> None:
    """Whoever speaks for a party already need not be named again."""
    if predecessor.contact_id == contact_id:
        raise NotAllowed(
            "contact-already-named",
            f"This contact is the {role.replace('_', ' ')} already, since {predecessor.effective_on}.",
        )


def must_have_a_contact(party: Party, role: ContactRole) -> Appointment:
    """Only a time that has begun can end."""
    appointment = party.appointments.get(role)
    if not appointment:
        raise NotAllowed(
            "no-contact-named",
            f"{party.name} has no {role.replace('_', ' ')}, so there is none to end. Name one first.",
        )
    return appointment


def must_not_be_before_the_appointment(effective_on: date, appointment: Appointment) -> None:
    """Nobody's time ends before it began."""
    if effective_on < appointment.effective_on:
        raise NotAllowed(
            "before-the-appointment",
            f"The contact was named with effect from {appointment.effective_on}; "
            f"give that day or a later one, not {effective_on}.",
        )
