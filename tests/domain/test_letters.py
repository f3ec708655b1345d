"""A letter is planned once, and ends once: sent, bounced, suppressed or cancelled, with its reason."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.letters import Letter, LetterKind, LetterState, PlannedLetter, plan
from domain.parties import ContactRole, party_id
from tests.cast import NOW, stamp

INVITATION = UUID("00000000-0000-4000-8000-000000000111")
CONTACT = UUID("00000000-0000-4000-8000-000000000222")
DUE = NOW + timedelta(days=30)
WEEK = timedelta(days=7)


def a_reminder() -> PlannedLetter:
    return plan(INVITATION, LetterKind.REMINDER, -WEEK, DUE - WEEK, DUE)


def a_planned_letter() -> Letter:
    return Letter.plan(
        a_reminder(), INVITATION, party_id("KEN"), ContactRole.OFFICIAL_CONTACT_POINT, DUE, stamp()
    )


def send(letter: Letter) -> None:
    letter.sent(CONTACT, "<1@example.org>", stamp())


def bounce(letter: Letter) -> None:
    letter.bounced(CONTACT, "<1@example.org>", "550 no such mailbox", stamp())


def suppress(letter: Letter) -> None:
    letter.suppress("The due date has passed.", stamp())


def cancel(letter: Letter) -> None:
    letter.cancel("The response was received.", stamp())


def told(letter: Letter) -> list[str]:
    """What happened to a letter, in order."""
    return [type(event).__name__ for event in letter.pending_events]


# ---- what makes a letter the same one ------------------------------------------------------------------


def test_the_same_letter_planned_twice_is_one_letter() -> None:
    assert a_reminder() == a_reminder()
    assert a_planned_letter().id == a_planned_letter().id == a_reminder().letter_id


@pytest.mark.parametrize(
    "other",
    [
        plan(UUID(int=1), LetterKind.REMINDER, -WEEK, DUE - WEEK, DUE),
        plan(INVITATION, LetterKind.ESCALATION, -WEEK, DUE - WEEK, DUE),
        plan(INVITATION, LetterKind.REMINDER, -2 * WEEK, DUE - 2 * WEEK, DUE),
        plan(INVITATION, LetterKind.REMINDER, -WEEK, DUE - WEEK, DUE + timedelta(seconds=1)),
    ],
    ids=["subject", "kind", "distance", "due date"],
)
def test_another_subject_kind_distance_or_due_date_makes_another_letter(other: PlannedLetter) -> None:
    assert other.letter_id != a_reminder().letter_id


def test_the_zone_in_which_a_due_date_is_written_makes_no_other_letter() -> None:
    nairobi = datetime.fromisoformat("2026-04-01T12:00:00+03:00").astimezone(UTC)
    assert plan(INVITATION, LetterKind.REMINDER, -WEEK, nairobi - WEEK, nairobi) == a_reminder()


# ---- how a letter ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (send, LetterState.SENT),
        (bounce, LetterState.BOUNCED),
        (suppress, LetterState.SUPPRESSED),
        (cancel, LetterState.CANCELLED),
    ],
)
def test_a_planned_letter_can_end_in_four_ways(end: object, state: LetterState) -> None:
    letter = a_planned_letter()
    assert letter.outstanding
    assert callable(end)
    end(letter)
    assert letter.state is state
    assert not letter.outstanding


ORDERS = [
    ([send, send], ["Sent"]),
    ([send, cancel, suppress], ["Sent"]),
    ([send, bounce, bounce, send], ["Sent", "Bounced"]),
    ([bounce, send, cancel], ["Bounced"]),
    ([suppress, send, bounce, cancel], ["Suppressed"]),
    ([cancel, cancel, suppress], ["Cancelled"]),
    ([cancel, send, send], ["Cancelled", "Sent"]),
    ([cancel, bounce, send], ["Cancelled", "Bounced"]),
]


@pytest.mark.parametrize(("deeds", "events"), ORDERS, ids=[" then ".join(events) for _, events in ORDERS])
def test_what_is_done_already_or_no_longer_possible_is_skipped(
    deeds: list[object], events: list[str]
) -> None:
    """A bounce may come long after the sending, and a cancellation may cross with a letter under way."""
    letter = a_planned_letter()
    for deed in deeds:
        assert callable(deed)
        deed(letter)
    assert told(letter) == ["Planned", *events]


def test_a_letter_remembers_for_whom_it_is_and_not_who_that_is() -> None:
    [planned] = a_planned_letter().pending_events
    assert isinstance(planned, Letter.Planned)
    assert planned.to is ContactRole.OFFICIAL_CONTACT_POINT
    assert planned.at == DUE - WEEK
    assert "@" not in planned.model_dump_json()
