"""Personal links: by which the contact of a party answers one questionnaire without a password.

A link goes out in a letter, is good for one contact and one questionnaire, and ends by itself. The contact
can forward a section to a colleague, who gets a link for that section alone. The secret of a link is in the
letter and, hashed, in the directory; never in an event.
"""

from collections.abc import Iterable
from dataclasses import field
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.access import Grant, Role
from domain.aggregates import Aggregate, Moment, Stamp, identify
from domain.parties import Party
from domain.people import Account, Reason
from domain.refusals import NotAllowed, NotFound

LASTS = timedelta(days=30)
"""How long a link is good after the due date has passed, or after the letter was sent if that is later:
a late answer is still welcome."""

MOST_FORWARDED = 20
"""How many links that were forwarded can be good at the same time for one questionnaire: enough for every
ministry, and too few to have the Secretariat write to the world."""


class LinkFacts(BaseModel):
    """For what a link is good, for whom, and how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    invitation_id: UUID
    party_id: UUID
    contact_id: UUID
    """The contact of the party by whose right the link is good."""
    holder_id: UUID
    """Who answers by the link: the contact, or the colleague to whom a section was forwarded."""
    section: str | None = None
    """The one section that a colleague was asked to answer; none for the whole questionnaire."""
    ends_at: Moment


class PersonalLink(Aggregate):
    """A link for one person and one questionnaire, or one section of it."""

    facts: LinkFacts = field(init=False)
    revoked: bool = field(init=False)

    class Event(Aggregate.Event):
        """Something that happened to a personal link."""

    class Made(Event, Aggregate.Created, LinkFacts):
        """The link was made, for a letter to a contact of the party."""

        def apply(self, link: "PersonalLink") -> None:
            link.facts = _facts(self)
            link.revoked = False

    class Forwarded(Event, Aggregate.Created, LinkFacts):
        """The link was made for a colleague, to whom the contact forwarded a section."""

        def apply(self, link: "PersonalLink") -> None:
            link.facts = _facts(self)
            link.revoked = False

    class Exchanged(Event):
        """The link was exchanged for a session, in one browser."""

        session_id: UUID

        def apply(self, link: "PersonalLink") -> None:
            """A link may be exchanged again, on another device, until it ends."""

    class Revoked(Event):
        """The link is good for nothing any more."""

        reason: Reason

        def apply(self, link: "PersonalLink") -> None:
            link.revoked = True

    @classmethod
    def make(cls, id: UUID, facts: LinkFacts, stamp: Stamp) -> Self:
        """Make a link. One that names a section is a forwarded one."""
        event = cls.Forwarded if facts.section else cls.Made
        link: Self = cls.begin(event, stamp, id=id, **facts.model_dump())
        return link

    def exchange(self, session_id: UUID, stamp: Stamp) -> None:
        """Exchange the link for a session."""
        must_be_good(self, stamp.at)
        self.record(self.Exchanged, stamp, session_id=session_id)

    def revoke(self, reason: str, stamp: Stamp) -> None:
        """Make the link good for nothing. Once is enough: contacts change and are erased in any order."""
        if not self.revoked:
            self.record(self.Revoked, stamp, reason=reason)


def _facts(event: LinkFacts) -> LinkFacts:
    return LinkFacts(**{name: getattr(event, name) for name in LinkFacts.model_fields})


def forwarded_link_id(by: UUID, key: UUID) -> UUID:
    """Return the id of the link that a contact forwards by a command: sent twice under one key, it is one."""
    return identify("forwarded link", by, key)


def ends_at(due_at: datetime, now: datetime) -> datetime:
    """Return until when a link is good that is made now."""
    return max(due_at, now) + LASTS


def speaks_for(party: Party, person_id: UUID, account: Account | None) -> bool:
    """Whether a person speaks for a party: it has named them, or they hold the role of its contact."""
    named = any(appointment.contact_id == person_id for appointment in party.appointments.values())
    role = Grant(role=Role.PARTY_CONTACT, owner_id=party.id)
    return named or (account is not None and role in account.grants)


# The rules. Each is asked by a command, and never when a history is read again.


def must_be_new(existing: PersonalLink | None) -> None:
    """A link is made once."""
    if existing:
        raise NotAllowed("link-made-already", "This link was made already. Nothing was changed.")


def must_be_good(link: PersonalLink, now: datetime) -> None:
    """A link ends by its time, or when it is revoked."""
    if link.revoked or now >= link.facts.ends_at:
        raise _ended()


def must_speak_for(party: Party, contact_id: UUID, account: Account | None) -> None:
    """A link is good by the right of somebody who speaks for the party."""
    if not speaks_for(party, contact_id, account):
        raise _ended()


def must_be_a_section(section: str, names: Iterable[str]) -> None:
    """What is forwarded is a section of the questionnaire."""
    if section not in names:
        raise NotFound("no-such-section", f"The questionnaire has no section “{section}”.")


def must_leave_room(good: int) -> None:
    """Only so many colleagues are asked at the same time about one questionnaire."""
    if good >= MOST_FORWARDED:
        raise NotAllowed(
            "too-many-colleagues",
            f"{good} colleagues have a link to this questionnaire, and there can be no more at a time. "
            "Nobody was written to. Withdraw a link that is not needed any more, then ask again.",
        )


def _ended() -> NotAllowed:
    return NotAllowed(
        "link-ended",
        "This link is not good any more. Nothing was changed. Ask the Secretariat for a new letter, "
        "or the colleague who forwarded it for a new link.",
    )
