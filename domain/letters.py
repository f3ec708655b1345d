"""Letters: everything that is sent to a person, from the plan to its end.

A letter is planned when the reason for it arises (a questionnaire is issued, a due date is set), long
before it goes out. It ends as sent, bounced, suppressed or cancelled, with the reason, in the log.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import BaseModel

from domain.aggregates import Aggregate, Moment, Stamp, identify
from domain.parties import ContactRole


class LetterKind(StrEnum):
    """Why a letter is written."""

    INVITATION = "invitation"
    """A questionnaire has been issued to the party."""
    REMINDER = "reminder"
    """The due date comes near and no response has been received."""
    ESCALATION = "escalation"
    """The due date has passed without a response: the letter goes to a second contact."""
    FORWARDING = "forwarding"
    """A contact has asked a colleague to answer a section: the letter brings the colleague the link."""


class LetterState(StrEnum):
    """What has become of a letter."""

    PLANNED = "planned"
    SENT = "sent"
    BOUNCED = "bounced"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"


class PlannedLetter(BaseModel, frozen=True):
    """A letter that is to go out at a moment, unless things change before."""

    letter_id: UUID
    kind: LetterKind
    offset: timedelta
    """Distance from the due date; negative before it."""
    at: Moment
    """When it is to go out."""


def plan(about: UUID, kind: LetterKind, offset: timedelta, at: datetime, due_at: datetime) -> PlannedLetter:
    """Plan a letter. Its id follows from subject, kind, offset and due date: it cannot be planned twice."""
    id = identify("letter", about, kind, int(offset.total_seconds()), due_at.isoformat())
    return PlannedLetter(letter_id=id, kind=kind, offset=offset, at=at)


def plan_forwarding(link_id: UUID, at: datetime) -> PlannedLetter:
    """Plan the letter that brings a colleague their link, at once. A link has one such letter."""
    id = identify("letter", link_id)
    return PlannedLetter(letter_id=id, kind=LetterKind.FORWARDING, offset=timedelta(0), at=at)


class Letter(Aggregate):
    """One letter to one contact of a party, or to a colleague whom a contact has asked."""

    kind: LetterKind
    about: UUID
    party_id: UUID
    to: ContactRole | None
    """The role to which it goes; none for a letter to a colleague."""
    link_id: UUID | None
    """The personal link that it brings to a colleague; letters to a role each make a link of their own."""
    state: LetterState

    class Event(Aggregate.Event):
        """Something that happened to a letter."""

    class Planned(Event, Aggregate.Created):
        """The letter is to go out at a moment to come."""

        kind: LetterKind
        about: UUID
        """The record that the letter is about: an invitation."""
        party_id: UUID
        to: ContactRole
        """The role, not the person: whoever holds it when the letter goes out receives it."""
        offset: timedelta
        at: Moment
        due_at: Moment

        def apply(self, letter: "Letter") -> None:
            letter.kind = self.kind
            letter.about = self.about
            letter.party_id = self.party_id
            letter.to = self.to
            letter.link_id = None
            letter.state = LetterState.PLANNED

    class PlannedForColleague(Event, Aggregate.Created):
        """The letter is to bring a colleague of a contact the link to the section that was forwarded."""

        kind: LetterKind
        about: UUID
        """The record that the letter is about: an invitation."""
        party_id: UUID
        link_id: UUID
        """The personal link, which knows who the colleague is."""
        at: Moment
        due_at: Moment

        def apply(self, letter: "Letter") -> None:
            letter.kind = self.kind
            letter.about = self.about
            letter.party_id = self.party_id
            letter.to = None
            letter.link_id = self.link_id
            letter.state = LetterState.PLANNED

    class Sent(Event):
        """The mail server has accepted the letter."""

        contact_id: UUID
        message_id: str
        """The Message-ID header; the same for every attempt at the same letter."""

        def apply(self, letter: "Letter") -> None:
            letter.state = LetterState.SENT

    class Bounced(Event):
        """The letter could not be delivered to the contact's address."""

        contact_id: UUID
        message_id: str
        reason: str

        def apply(self, letter: "Letter") -> None:
            letter.state = LetterState.BOUNCED

    class Suppressed(Event):
        """The letter was due and was deliberately not sent."""

        reason: str

        def apply(self, letter: "Letter") -> None:
            letter.state = LetterState.SUPPRESSED

    class Cancelled(Event):
        """The reason for the letter went away before it was due."""

        reason: str

        def apply(self, letter: "Letter") -> None:
            letter.state = LetterState.CANCELLED

    @classmethod
    def plan(
        cls,
        planned: PlannedLetter,
        about: UUID,
        party_id: UUID,
        to: ContactRole,
        due_at: datetime,
        stamp: Stamp,
    ) -> Self:
        """Plan a letter about a record, to whoever holds a role at a party."""
        letter: Self = cls.begin(
            cls.Planned,
            stamp,
            id=planned.letter_id,
            kind=planned.kind,
            about=about,
            party_id=party_id,
            to=to,
            offset=planned.offset,
            at=planned.at,
            due_at=due_at,
        )
        return letter

    @classmethod
    def plan_for_colleague(
        cls,
        planned: PlannedLetter,
        about: UUID,
        party_id: UUID,
        link_id: UUID,
        due_at: datetime,
        stamp: Stamp,
    ) -> Self:
        """Plan the letter that brings a colleague the link to the section that was forwarded."""
        letter: Self = cls.begin(
            cls.PlannedForColleague,
            stamp,
            id=planned.letter_id,
            kind=planned.kind,
            about=about,
            party_id=party_id,
            link_id=link_id,
            at=planned.at,
            due_at=due_at,
        )
        return letter

    @property
    def outstanding(self) -> bool:
        """Whether the letter is still to go out."""
        return self.state is LetterState.PLANNED

    # These commands come from workflows and services, which may repeat them: what is done is skipped.

    def sent(self, contact_id: UUID, message_id: str, stamp: Stamp) -> None:
        """Record that the mail server took the letter, also when its cancellation crossed with it."""
        if self.state in (LetterState.PLANNED, LetterState.CANCELLED):
            self.record(self.Sent, stamp, contact_id=contact_id, message_id=message_id)

    def bounced(self, contact_id: UUID, message_id: str, reason: str, stamp: Stamp) -> None:
        """Record that the letter did not reach its addressee; a bounce may come long after the sending."""
        if self.state in (LetterState.PLANNED, LetterState.CANCELLED, LetterState.SENT):
            self.record(self.Bounced, stamp, contact_id=contact_id, message_id=message_id, reason=reason)

    def suppress(self, reason: str, stamp: Stamp) -> None:
        """Decide not to send a letter that is due."""
        if self.outstanding:
            self.record(self.Suppressed, stamp, reason=reason)

    def cancel(self, reason: str, stamp: Stamp) -> None:
        """Call off a letter whose reason went away."""
        if self.outstanding:
            self.record(self.Cancelled, stamp, reason=reason)
