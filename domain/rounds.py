"""Rounds: one questionnaire sent to many parties, and what comes back, in time or not.

Paragraphs 3 to 5 of decision RC-7/7: parties are invited to provide information, and the Secretariat
collects it through tailored electronic questionnaires. A round is opened for an audience with a due date;
each party to which it is issued has an invitation with a history of its own.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Protocol, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from annotated_types import Gt, Le, Lt
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from domain.aggregates import (
    Aggregate,
    Moment,
    Stamp,
    identify,
    on_one_line,
    without_control_characters,
)
from domain.deadlines import Deadline
from domain.forms import Answers
from domain.letters import LetterKind, PlannedLetter, plan, plan_forwarding
from domain.parties import Category, Party, Region
from domain.refusals import Fault, Invalid, NotAllowed

Title = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(on_one_line),
]
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000),
    AfterValidator(without_control_characters),
]
Distance = Annotated[timedelta, Gt(timedelta(0)), Le(timedelta(days=3_660))]

# Later dates have no next day in some time zone of the calendar that programs count with.
LAST_DAY = date(9000, 1, 1)
LAST_MOMENT = datetime(9000, 1, 1, tzinfo=UTC)


class Due(BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """When an answer is due: at the end of a day where the party is, or at one moment for all."""

    on: Annotated[date, Lt(LAST_DAY)] | None = None
    """The last day on which an answer is in time, by the party's own calendar and time zone."""
    at: Annotated[Moment, Lt(LAST_MOMENT)] | None = None
    """One moment for all parties, for short rounds."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.on is None) == (self.at is None):
            raise ValueError("Give either the day (on) or the moment (at).")
        return self

    def moment(self, time_zone: str) -> datetime:
        """Return the first moment that is too late for a party in ``time_zone`` (an IANA name)."""
        if self.at is not None:
            return self.at
        assert self.on is not None
        next_day = datetime.combine(self.on + timedelta(days=1), time(), ZoneInfo(time_zone))
        return next_day.astimezone(UTC)


class Schedule(BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """When letters go out, counted from the due date."""

    reminders: tuple[Distance, ...] = Field(
        default=(timedelta(14), timedelta(7), timedelta(1)), max_length=12
    )
    """How long before the due date a reminder is sent."""
    escalations: tuple[Distance, ...] = Field(default=(timedelta(7),), max_length=12)
    """How long after the due date a second contact is written to."""


class Candidate(Protocol):
    """What has to be known of a party to say whether a round is meant for it."""

    @property
    def name(self) -> str: ...
    @property
    def category(self) -> Category: ...


class Audience(BaseModel, frozen=True, extra="forbid"):
    """Which parties a round is meant for."""

    categories: tuple[Category, ...] = Field(min_length=1)

    def objection(self, party: Candidate) -> str | None:
        """Return why a party may not receive the round, None when it may (paragraphs 3 and 4)."""
        if party.category not in self.categories:
            wanted = " or ".join(self.categories)
            return f"{party.name} is a {party.category} party; this round is for {wanted} parties."
        return None


class Round(Aggregate):
    """One questionnaire, sent to many parties with one due date."""

    title: str
    questionnaire_id: UUID
    form_version: str
    audience: Audience
    due: Due
    schedule: Schedule
    parties: set[UUID]

    class Event(Aggregate.Event):
        """Something that happened to a round."""

    class Opened(Event, Aggregate.Created):
        """A round was prepared; nobody has been written to yet."""

        title: Title
        questionnaire_id: UUID
        form_version: str
        audience: Audience
        due: Due
        schedule: Schedule
        notice: str | None = None
        """A note that every page and export of the round must carry, such as where its data come from."""

        def apply(self, round: "Round") -> None:
            round.title = self.title
            round.questionnaire_id = self.questionnaire_id
            round.form_version = self.form_version
            round.audience = self.audience
            round.due = self.due
            round.schedule = self.schedule
            round.parties = set()

    class Issued(Event):
        """The questionnaire was issued to parties; each has an invitation from now on."""

        parties: tuple[UUID, ...]

        def apply(self, round: "Round") -> None:
            round.parties.update(self.parties)

    class Extended(Event):
        """The due date was moved to a later one, for all who have not answered."""

        due: Due
        reason: Reason

        def apply(self, round: "Round") -> None:
            round.due = self.due

    @classmethod
    def open(
        cls,
        id: UUID,
        title: str,
        questionnaire_id: UUID,
        form_version: str,
        audience: Audience,
        due: Due,
        schedule: Schedule,
        stamp: Stamp,
        notice: str | None = None,
    ) -> Self:
        """Prepare a round. Refused when the due date has passed everywhere."""
        _must_lie_ahead(due, stamp)
        round: Self = cls.begin(
            cls.Opened,
            stamp,
            id=id,
            title=title,
            questionnaire_id=questionnaire_id,
            form_version=form_version,
            audience=audience,
            due=due,
            schedule=schedule,
            notice=notice,
        )
        return round

    def issue(self, parties: Sequence[Party], stamp: Stamp) -> list["Invitation"]:
        """Issue the questionnaire to parties and return their invitations.

        Refused as a whole when one of them may not receive it or has it already, naming each.
        """
        _must_lie_ahead(self.due, stamp)
        if not parties:
            raise Invalid("no-parties", "No party was named. Name the parties to issue the questionnaire to.")
        faults = [fault for party in parties if (fault := self._objection(party))]
        if faults:
            raise NotAllowed(
                "may-not-receive",
                f"{len(faults)} of {len(parties)} parties may not receive this round. Nothing was issued. "
                "Leave them out and issue it again.",
                faults=tuple(faults),
            )
        self.record(self.Issued, stamp, parties=tuple(party.id for party in parties))
        return [Invitation.issue(self, party, stamp) for party in parties]

    def _objection(self, party: Party) -> Fault | None:
        objection = self.audience.objection(party)
        if party.id in self.parties:
            objection = f"{party.name} has been sent this round already."
        return Fault(where=party.iso3, what=objection) if objection else None

    def extend(self, due: Due, reason: str, stamp: Stamp) -> None:
        """Move the due date of the round to a later one."""
        _must_be_later(due, self.due, "UTC")
        _must_lie_ahead(due, stamp)
        self.record(self.Extended, stamp, due=due, reason=reason)


class InvitationState(StrEnum):
    """Where an invitation stands."""

    ISSUED = "issued"
    LAPSED = "lapsed"
    """The due date has passed without a response; a late one is still taken."""
    RECEIVED = "received"
    WITHDRAWN = "withdrawn"


class Invitation(Aggregate):
    """One questionnaire issued to one party: what is due, what was sent about it, what came back."""

    round_id: UUID
    questionnaire_id: UUID
    form_version: str
    party_id: UUID
    time_zone: str
    schedule: Schedule
    due: Due
    due_at: datetime
    state: InvitationState
    letters: tuple[PlannedLetter, ...]
    """The letters that belong to the due date that now holds, whatever became of them."""
    escalated: set[UUID]
    forwarded: set[UUID]
    """The links of colleagues who were asked to answer a section, whatever became of them."""

    class Event(Aggregate.Event):
        """Something that happened to an invitation."""

    class QuestionnaireIssued(Event, Aggregate.Created):
        """The questionnaire was issued to the party."""

        round_id: UUID
        questionnaire_id: UUID
        form_version: str
        party_id: UUID
        iso3: str
        region: Region
        category: Category
        """Region and category as they stood then: the report counts the party under these."""
        time_zone: str
        schedule: Schedule
        due: Due
        due_at: Moment
        """The first moment that is too late."""
        letters: tuple[PlannedLetter, ...]

        def apply(self, invitation: "Invitation") -> None:
            invitation.round_id = self.round_id
            invitation.questionnaire_id = self.questionnaire_id
            invitation.form_version = self.form_version
            invitation.party_id = self.party_id
            invitation.time_zone = self.time_zone
            invitation.schedule = self.schedule
            invitation.due = self.due
            invitation.due_at = self.due_at
            invitation.letters = self.letters
            invitation.state = InvitationState.ISSUED
            invitation.escalated = set()
            invitation.forwarded = set()

    class Extended(Event):
        """The party was given more time."""

        due: Due
        due_at: Moment
        reason: Reason
        letters: tuple[PlannedLetter, ...]

        def apply(self, invitation: "Invitation") -> None:
            invitation.due = self.due
            invitation.due_at = self.due_at
            invitation.letters = self.letters
            invitation.state = InvitationState.ISSUED

    class SectionForwarded(Event):
        """A contact of the party asked a colleague to answer a section; the colleague is written to."""

        link_id: UUID
        """The personal link of the colleague."""
        section: str
        letter: PlannedLetter

        def apply(self, invitation: "Invitation") -> None:
            invitation.forwarded.add(self.link_id)
            invitation.letters = (*invitation.letters, self.letter)

    class ResponseReceived(Event):
        """The party has answered."""

        form_version: str
        answers: Answers
        late: bool
        """Whether the due date had passed."""

        def apply(self, invitation: "Invitation") -> None:
            invitation.state = InvitationState.RECEIVED

    class Lapsed(Event):
        """The due date passed and no response had been received."""

        due_at: Moment

        def apply(self, invitation: "Invitation") -> None:
            invitation.state = InvitationState.LAPSED

    class Escalated(Event):
        """A second contact of the party is written to, since the first has not answered."""

        letter_id: UUID

        def apply(self, invitation: "Invitation") -> None:
            invitation.escalated.add(self.letter_id)

    class Withdrawn(Event):
        """The questionnaire was taken back; no answer is expected any more."""

        reason: Reason

        def apply(self, invitation: "Invitation") -> None:
            invitation.state = InvitationState.WITHDRAWN

    @classmethod
    def issue(cls, round: Round, party: Party, stamp: Stamp) -> Self:
        """Issue a round's questionnaire to a party. Sending it twice would be the same invitation."""
        id = invitation_id(round.id, party.id)
        due_at = round.due.moment(party.time_zone)
        invitation: Self = cls.begin(
            cls.QuestionnaireIssued,
            stamp,
            id=id,
            round_id=round.id,
            questionnaire_id=round.questionnaire_id,
            form_version=round.form_version,
            party_id=party.id,
            iso3=party.iso3,
            region=party.region,
            category=party.category,
            time_zone=party.time_zone,
            schedule=round.schedule,
            due=round.due,
            due_at=due_at,
            letters=(
                plan(id, LetterKind.INVITATION, timedelta(0), stamp.at, due_at),
                *_plan_letters(id, round.schedule, due_at, stamp.at),
            ),
        )
        return invitation

    def due_text(self) -> str:
        """Return the due date in words, as the party reads it on its own clock."""
        if self.due.on is not None:
            return f"the end of {self.due.on:%-d %B %Y} ({self.time_zone})"
        return f"{self.due_at.astimezone(ZoneInfo(self.time_zone)):%-d %B %Y, %H:%M} ({self.time_zone})"

    @property
    def closed(self) -> bool:
        """Whether nothing more is expected of the party."""
        return self.state in (InvitationState.RECEIVED, InvitationState.WITHDRAWN)

    def extend(self, due: Due, reason: str, stamp: Stamp) -> None:
        """Give the party more time; reminders are planned anew for the new due date."""
        self._must_be_open("give it more time")
        _must_be_later(due, self.due, self.time_zone)
        due_at = due.moment(self.time_zone)
        if due_at <= stamp.at:
            raise Invalid("due-in-the-past", "The new due date has passed already. Choose a later one.")
        lasting = (LetterKind.INVITATION, LetterKind.FORWARDING)
        first = [letter for letter in self.letters if letter.kind in lasting]
        letters = (*first, *_plan_letters(self.id, self.schedule, due_at, stamp.at))
        self.record(self.Extended, stamp, due=due, due_at=due_at, reason=reason, letters=letters)

    def can_be_extended(self, due: Due) -> bool:
        """Whether the invitation is open and ``due`` would give it more time."""
        return not self.closed and due.moment(self.time_zone) > self.due_at

    def must_await_answers(self) -> None:
        """Refuse when no answers can be taken in any more."""
        if self.state is InvitationState.RECEIVED:
            raise NotAllowed(
                "already-received",
                "A response to this questionnaire has been received already. It stands as it was; nothing "
                "was stored. Ask the Secretariat if it has to be corrected.",
            )
        self._must_be_open("answer it")

    def forward(self, link_id: UUID, section: str, stamp: Stamp) -> PlannedLetter:
        """Ask a colleague of the contact to answer a section, and return the letter that brings the link."""
        self.must_await_answers()
        letter = plan_forwarding(link_id, stamp.at)
        self.record(self.SectionForwarded, stamp, link_id=link_id, section=section, letter=letter)
        return letter

    def receive(self, answers: Answers, stamp: Stamp) -> None:
        """Take in the party's answers, which have been checked against the form."""
        self.must_await_answers()
        self.record(
            self.ResponseReceived,
            stamp,
            form_version=self.form_version,
            answers=answers,
            late=stamp.at >= self.due_at,
        )

    def withdraw(self, reason: str, stamp: Stamp) -> None:
        """Take the questionnaire back."""
        self._must_be_open("withdraw it")
        self.record(self.Withdrawn, stamp, reason=reason)

    def _must_be_open(self, purpose: str) -> None:
        if self.state is InvitationState.RECEIVED:
            raise NotAllowed(
                "already-received",
                f"The party has answered already, so one cannot {purpose}. Nothing was stored.",
            )
        if self.state is InvitationState.WITHDRAWN:
            raise NotAllowed(
                "withdrawn", f"The questionnaire was withdrawn, so one cannot {purpose}. Nothing was stored."
            )

    # The workflow calls these and may repeat them: what is done already, or no longer true, is skipped.

    def lapse(self, due_at: datetime, stamp: Stamp) -> None:
        """Record that the due date passed, if it is still the one that holds."""
        if self.state is InvitationState.ISSUED and due_at == self.due_at and stamp.at >= due_at:
            self.record(self.Lapsed, stamp, due_at=due_at)

    def escalate(self, letter_id: UUID, stamp: Stamp) -> None:
        """Record that a second contact is written to."""
        planned = {letter.letter_id for letter in self.letters}
        if self.state is InvitationState.LAPSED and letter_id in planned - self.escalated:
            self.record(self.Escalated, stamp, letter_id=letter_id)

    def deadline(self) -> "Deadline":
        """Return all that a clock has to know of the invitation."""
        return Deadline(
            invitation_id=self.id,
            version=self.version,
            closed=self.closed,
            lapsed=self.state is InvitationState.LAPSED,
            due_at=self.due_at,
            letters=() if self.closed else self.letters,
        )


def invitation_id(round_id: UUID, party_id: UUID) -> UUID:
    """Return the id of the invitation of a party to a round; there can be only one."""
    return identify("invitation", round_id, party_id)


def _plan_letters(
    about: UUID, schedule: Schedule, due_at: datetime, now: datetime
) -> tuple[PlannedLetter, ...]:
    """Plan reminders and escalations; a reminder whose time has passed already is not planned."""
    reminders = [
        plan(about, LetterKind.REMINDER, -distance, due_at - distance, due_at)
        for distance in sorted(schedule.reminders, reverse=True)
        if due_at - distance > now
    ]
    escalations = [
        plan(about, LetterKind.ESCALATION, distance, due_at + distance, due_at)
        for distance in sorted(schedule.escalations)
    ]
    # Distances that differ by less than a second, or not at all, make one letter.
    return tuple({letter.letter_id: letter for letter in (*reminders, *escalations)}.values())


def must_be_new(existing: Round | None) -> None:
    """A round is opened once."""
    if existing:
        raise NotAllowed(
            "round-already-open",
            f"“{existing.title}” is open already under the id {existing.id}. Give a new round a new id.",
            round_id=existing.id,
        )


def _must_lie_ahead(due: Due, stamp: Stamp) -> None:
    # The end of a day comes last where the day ends last, at twelve hours behind Greenwich.
    if due.moment("Etc/GMT+12") <= stamp.at:
        raise Invalid("due-in-the-past", "The due date has passed already. Choose a later one.")


def _must_be_later(due: Due, than: Due, time_zone: str) -> None:
    if due.moment(time_zone) <= than.moment(time_zone):
        raise Invalid(
            "not-later", "An extension must end later than the due date that holds. Nothing was changed."
        )
