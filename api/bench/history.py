"""A log like those of real years: parties, and one round after the other with its letters and responses.

The events come out of the domain's own methods, in the order in which an installation would record them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from random import Random

import psycopg

from domain.aggregates import Aggregate, Stamp, identify
from domain.forms import Answers
from domain.letters import Letter, LetterKind
from domain.parties import Category, ContactRole, Party
from domain.rounds import Audience, Due, Invitation, Round, Schedule
from services import reference
from services.mapper import EventMapper

BEGINNING = datetime(2016, 1, 11, 9, 0, tzinfo=UTC)
ANSWERING_TIME = timedelta(days=60)
BETWEEN_ROUNDS = timedelta(days=90)
SCHEDULE = Schedule()
AREAS = tuple(row.option for row in reference.survey_2016())
REMARK = "Training of customs officers should be held in the region, in English and in French."

NEVER = len(SCHEDULE.reminders) + 1
"""Stands for parties that do not answer. The others do before a reminder, by its number, or too late."""


def events(number: int) -> list[Aggregate.Event]:
    """Return so many events of a long history. The same number always gives the same events."""
    return list(islice(_history(), number))


def _history() -> Iterator[Aggregate.Event]:
    chance = Random(7)
    parties = []
    for row in reference.parties():
        party = Party.register(row.registration(), _secretariat(BEGINNING))
        for role in ContactRole:
            party.name_contact(role, identify(row.iso3, role), date(2016, 1, 1), _secretariat(BEGINNING))
        yield from _recorded(party)
        if party.eligible:
            parties.append(party)
    opened_at = BEGINNING
    while True:
        opened_at += BETWEEN_ROUNDS
        yield from _round(opened_at, parties, chance)


@dataclass(slots=True)
class _Case:
    """One invitation with its letters."""

    invitation: Invitation
    letters: list[Letter]
    when: int
    """Before which reminder the party answers; see NEVER."""

    def answer(self, chance: Random, at: datetime) -> Iterator[Aggregate.Event]:
        answers: Answers = {
            "areas": chance.sample(AREAS, chance.randint(2, 4)),
            "officers": 12,
            "remark": REMARK,
        }
        stamp = Stamp(by=f"person:{self.invitation.party_id}", at=at)
        self.invitation.receive(answers, stamp)
        for letter in self.letters:
            letter.cancel("The response was received.", stamp)
        yield from _recorded(self.invitation, *self.letters)

    def send(self, kind: LetterKind, number: int, at: datetime) -> Iterator[Aggregate.Event]:
        letter = [letter for letter in self.letters if letter.kind is kind][number]
        contact_id = identify(self.invitation.party_id, letter.to)
        letter.sent(contact_id, f"<{letter.id}@mandate>", _workflow(at))
        yield from _recorded(letter)

    def escalate(self, number: int, at: datetime) -> Iterator[Aggregate.Event]:
        letters = [letter for letter in self.letters if letter.kind is LetterKind.ESCALATION]
        self.invitation.escalate(letters[number].id, _workflow(at))
        yield from _recorded(self.invitation)
        yield from self.send(LetterKind.ESCALATION, number, at)


def _round(opened_at: datetime, parties: Sequence[Party], chance: Random) -> Iterator[Aggregate.Event]:
    """Tell one round, from its opening to the last escalation."""
    due_at = opened_at + ANSWERING_TIME
    round, cases = _issue(opened_at, due_at, parties, chance)
    yield from _recorded(round)
    for case in cases:
        yield from _recorded(case.invitation, *case.letters)
    for case in cases:
        yield from case.send(LetterKind.INVITATION, 0, opened_at)
    for number, distance in enumerate(sorted(SCHEDULE.reminders, reverse=True)):
        at = due_at - distance
        for case in cases:
            if case.when == number:
                yield from case.answer(chance, at - timedelta(days=1))
        for case in cases:
            if case.when > number:
                yield from case.send(LetterKind.REMINDER, number, at)
    cases = [case for case in cases if case.when >= NEVER - 1]
    for case in cases:
        case.invitation.lapse(due_at, _workflow(due_at))
        yield from _recorded(case.invitation)
    for case in cases:
        if case.when < NEVER:
            yield from case.answer(chance, due_at + timedelta(days=2))
    for number, distance in enumerate(SCHEDULE.escalations):
        for case in cases:
            if case.when == NEVER:
                yield from case.escalate(number, due_at + distance)


def _issue(
    opened_at: datetime, due_at: datetime, parties: Sequence[Party], chance: Random
) -> tuple[Round, list[_Case]]:
    stamp = _secretariat(opened_at)
    round = Round.open(
        identify("round", opened_at),
        f"Needs {opened_at:%B %Y}",
        identify("questionnaire", "needs"),
        "1",
        Audience(categories=(Category.DEVELOPING, Category.IN_TRANSITION)),
        Due(at=due_at),
        SCHEDULE,
        stamp,
    )
    cases = []
    for invitation in round.issue(parties, stamp):
        about = (invitation.id, invitation.party_id, ContactRole.OFFICIAL_CONTACT_POINT, due_at, stamp)
        letters = [Letter.plan(planned, *about) for planned in invitation.letters]
        [when] = chance.choices(range(NEVER + 1), weights=(12, 10, 8, 5, 65))
        cases.append(_Case(invitation, letters, when))
    return round, cases


def _secretariat(at: datetime) -> Stamp:
    return Stamp(by="person:8b7f7f0e-5a39-4a83-9e0c-0d6d7e1a2b01", at=at)


def _workflow(at: datetime) -> Stamp:
    return Stamp(by="workflow:deadline", at=at)


def _recorded(*aggregates: Aggregate) -> Iterator[Aggregate.Event]:
    for aggregate in aggregates:
        for event in aggregate.collect_events():
            assert isinstance(event, Aggregate.Event)
            yield event


async def write(url: str, events: Sequence[Aggregate.Event]) -> None:
    """Put events into the log of a new database, without the commands that they would have come from."""
    encode = EventMapper().to_stored_event
    async with (
        await psycopg.AsyncConnection.connect(url) as connection,
        connection.cursor() as cursor,
        cursor.copy(
            "COPY log.stored_events (originator_id, originator_version, topic, state) FROM STDIN"
        ) as copy,
    ):
        for event in events:
            stored = encode(event)
            await copy.write_row(
                (stored.originator_id, stored.originator_version, stored.topic, stored.state)
            )
