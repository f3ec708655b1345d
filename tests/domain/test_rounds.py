"""Rounds: who may be asked, until when, and which letters are planned for it."""

import os
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.letters import LetterKind
from domain.parties import Category, Party
from domain.refusals import Invalid, NotAllowed
from domain.rounds import (
    Audience,
    Due,
    Invitation,
    InvitationState,
    Round,
    Schedule,
    invitation_id,
    must_be_new,
)
from tests.cast import KENYA, NOW, register, stamp

ROUND = UUID("00000000-0000-4000-8000-000000000001")
FORM = UUID("00000000-0000-4000-8000-000000000002")
EVERYBODY = Audience(categories=(Category.DEVELOPING, Category.IN_TRANSITION))
DUE = NOW + timedelta(days=30)

checked = settings(max_examples=300, deadline=None, derandomize="CI" in os.environ)


def days(*numbers: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(days=number) for number in numbers)


def a_party(code: str = "KEN") -> Party:
    return Party.register(register(code), stamp())


def an_open_round(
    due: Due | None = None, schedule: Schedule | None = None, audience: Audience = EVERYBODY
) -> Round:
    return Round.open(
        ROUND, "Needs", FORM, "1", audience, due or Due(at=DUE), schedule or Schedule(), stamp()
    )


def an_invitation(
    code: str = "KEN", due: Due | None = None, schedule: Schedule | None = None, at: datetime = NOW
) -> Invitation:
    [invitation] = an_open_round(due, schedule).issue([a_party(code)], stamp(at))
    return invitation


def an_answered_invitation() -> Invitation:
    invitation = an_invitation()
    invitation.receive({"areas": ["law"]}, stamp())
    return invitation


def a_withdrawn_invitation() -> Invitation:
    invitation = an_invitation()
    invitation.withdraw("Sent in error.", stamp())
    return invitation


def a_lapsed_invitation() -> Invitation:
    invitation = an_invitation()
    invitation.lapse(DUE, stamp(DUE))
    return invitation


def told(record: Round | Invitation) -> list[str]:
    """What happened to a record, in order."""
    return [type(event).__name__ for event in record.pending_events]


# ---- when a day ends -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "zone", "end"),
    [
        ("2026-03-31", "Pacific/Fiji", "2026-03-31T12:00:00Z"),
        ("2026-03-31", "America/Lima", "2026-04-01T05:00:00Z"),
        ("2026-03-31", "Africa/Nairobi", "2026-03-31T21:00:00Z"),
        ("2026-03-31", "Asia/Kathmandu", "2026-03-31T18:15:00Z"),
        ("2026-02-28", "UTC", "2026-03-01T00:00:00Z"),
        # Summer time begins in Albania on 29 March 2026, at two in the night, and ends on 25 October.
        ("2026-03-28", "Europe/Tirane", "2026-03-28T23:00:00Z"),
        ("2026-03-29", "Europe/Tirane", "2026-03-29T22:00:00Z"),
        ("2026-10-24", "Europe/Tirane", "2026-10-24T22:00:00Z"),
        ("2026-10-25", "Europe/Tirane", "2026-10-25T23:00:00Z"),
        # In Egypt, 24 April 2026 begins at one o'clock: there is no midnight.
        ("2026-04-23", "Africa/Cairo", "2026-04-23T22:00:00Z"),
        # And 29 October 2026 has two hours from eleven to midnight, both of which are in time.
        ("2026-10-29", "Africa/Cairo", "2026-10-29T22:00:00Z"),
        # Samoa went over the date line and had no 30 December 2011 at all.
        ("2011-12-29", "Pacific/Apia", "2011-12-30T10:00:00Z"),
        # Brazil's summer time ended at midnight, which then came twice; the day ended at the second.
        ("2018-02-17", "America/Sao_Paulo", "2018-02-18T03:00:00Z"),
    ],
)
def test_a_day_ends_where_the_party_is(day: str, zone: str, end: str) -> None:
    due = Due(on=date.fromisoformat(day))
    assert due.moment(zone) == datetime.fromisoformat(end)
    assert due.moment(zone).tzinfo is UTC


@given(
    day=st.dates(date(1990, 1, 1), date(2100, 1, 1)),
    zone=st.sampled_from(["Pacific/Fiji", "America/Lima", "Europe/Tirane", "Africa/Cairo", "Asia/Tehran"]),
)
@checked
def test_the_last_moment_of_a_day_is_in_time_and_the_next_one_is_not(day: date, zone: str) -> None:
    end = Due(on=day).moment(zone)
    assert (end - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).date() == day
    assert end.astimezone(ZoneInfo(zone)).date() > day


def test_a_moment_is_the_same_for_everybody() -> None:
    due = Due(at=DUE)
    assert due.moment("Pacific/Fiji") == due.moment("America/Lima") == DUE


@pytest.mark.parametrize("facts", [{}, {"on": date(2026, 4, 1), "at": DUE}, {"at": datetime(2026, 4, 1)}])  # noqa: DTZ001 - a moment without a zone is the fault
def test_a_due_date_is_either_a_day_or_a_moment_with_its_zone(facts: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Due.model_validate(facts)


def test_each_party_has_the_whole_day_on_its_own_calendar() -> None:
    due = Due(on=date(2026, 4, 1))
    fiji, peru = (an_invitation(code, due) for code in ("FJI", "PER"))
    assert peru.due_at - fiji.due_at == timedelta(hours=17)
    assert fiji.due_text() == "the end of 1 April 2026 (Pacific/Fiji)"
    late_in_fiji = fiji.due_at + timedelta(hours=1)
    for invitation, late in ((fiji, True), (peru, False)):
        invitation.receive({}, stamp(late_in_fiji))
        received = invitation.pending_events[-1]
        assert isinstance(received, Invitation.ResponseReceived)
        assert received.late is late


# ---- opening, issuing, extending -----------------------------------------------------------------------


@pytest.mark.parametrize("due", [Due(at=NOW), Due(on=NOW.date() - timedelta(days=2))], ids=["moment", "day"])
def test_a_round_whose_due_date_has_passed_everywhere_is_refused(due: Due) -> None:
    with pytest.raises(Invalid, match="passed already"):
        an_open_round(due)


def test_a_day_that_goes_on_anywhere_has_not_passed() -> None:
    yesterday = NOW.date() - timedelta(days=1)
    an_open_round(Due(on=yesterday))  # At nine in the morning in Greenwich it is still going on in the west.


def test_a_round_is_opened_once() -> None:
    must_be_new(None)
    with pytest.raises(NotAllowed, match="open already"):
        must_be_new(an_open_round())


def test_those_who_may_not_receive_a_round_are_all_named_and_nobody_receives_it() -> None:
    round = an_open_round(audience=Audience(categories=(Category.DEVELOPING,)))
    round.issue([a_party("FJI")], stamp())
    with pytest.raises(NotAllowed) as caught:
        round.issue([a_party(code) for code in ("KEN", "NOR", "ALB", "FJI")], stamp())
    assert [fault.where for fault in caught.value.faults] == ["NOR", "ALB", "FJI"]
    assert "has been sent this round already" in caught.value.faults[-1].what
    assert round.parties == {a_party("FJI").id}


def test_a_round_is_not_issued_to_nobody_or_after_its_due_date() -> None:
    with pytest.raises(Invalid, match="No party"):
        an_open_round().issue([], stamp())
    with pytest.raises(Invalid, match="passed already"):
        an_open_round().issue([a_party()], stamp(DUE))


def test_the_invitation_of_a_party_to_a_round_has_one_id() -> None:
    assert an_invitation().id == an_invitation().id == invitation_id(ROUND, KENYA)
    assert an_invitation("PER").id != an_invitation().id


def test_an_extension_must_end_later() -> None:
    round, invitation = an_open_round(), an_invitation()
    for due in (Due(at=DUE), Due(at=DUE - timedelta(days=1)), Due(on=NOW.date())):
        for record in (round, invitation):
            with pytest.raises(Invalid, match="later"):
                record.extend(due, "More time.", stamp())
    assert not invitation.can_be_extended(Due(at=DUE))
    assert invitation.can_be_extended(Due(at=DUE + timedelta(seconds=1)))


def test_an_extension_into_the_past_is_refused() -> None:
    long_after = DUE + timedelta(days=9)
    for record in (an_open_round(), an_invitation()):
        with pytest.raises(Invalid, match="passed already"):
            record.extend(Due(at=DUE + timedelta(days=1)), "More time.", stamp(long_after))


@pytest.mark.parametrize("closed", [an_answered_invitation, a_withdrawn_invitation])
def test_what_is_closed_is_neither_extended_nor_withdrawn_nor_answered(closed: object) -> None:
    assert callable(closed)
    invitation: Invitation = closed()
    before = told(invitation)
    later = Due(at=DUE + timedelta(days=9))
    assert not invitation.can_be_extended(later)
    with pytest.raises(NotAllowed):
        invitation.extend(later, "More time.", stamp())
    with pytest.raises(NotAllowed):
        invitation.withdraw("Again.", stamp())
    with pytest.raises(NotAllowed):
        invitation.receive({}, stamp())
    assert told(invitation) == before


def test_an_extension_reopens_what_had_lapsed() -> None:
    invitation = a_lapsed_invitation()
    later = DUE + timedelta(days=9)
    invitation.extend(Due(at=later), "More time.", stamp(DUE + timedelta(days=2)))
    assert invitation.state is InvitationState.ISSUED
    assert not invitation.deadline().lapsed
    invitation.lapse(later, stamp(later))
    assert told(invitation) == ["QuestionnaireIssued", "Lapsed", "Extended", "Lapsed"]


# ---- letting lapse and escalating ----------------------------------------------------------------------


def test_it_lapses_once_at_the_due_date_that_holds() -> None:
    invitation = an_invitation()
    invitation.lapse(DUE, stamp(DUE - timedelta(seconds=1)))
    invitation.lapse(DUE - timedelta(days=1), stamp(DUE))
    assert invitation.state is InvitationState.ISSUED
    invitation.lapse(DUE, stamp(DUE))
    invitation.lapse(DUE, stamp(DUE))
    assert told(invitation) == ["QuestionnaireIssued", "Lapsed"]


def test_an_answer_that_comes_late_is_taken_and_called_late() -> None:
    invitation = a_lapsed_invitation()
    invitation.receive({}, stamp(DUE + timedelta(days=1)))
    received = invitation.pending_events[-1]
    assert isinstance(received, Invitation.ResponseReceived)
    assert received.late


def test_only_what_has_lapsed_is_escalated_and_each_letter_once() -> None:
    invitation = an_invitation(schedule=Schedule(escalations=days(1, 5)))
    first, second = [
        letter.letter_id for letter in invitation.letters if letter.kind is LetterKind.ESCALATION
    ]
    invitation.escalate(first, stamp(DUE))
    assert told(invitation) == ["QuestionnaireIssued"]
    invitation.lapse(DUE, stamp(DUE))
    for letter_id in (first, first, second, UUID(int=7), second):
        invitation.escalate(letter_id, stamp(DUE + timedelta(days=5)))
    assert told(invitation) == ["QuestionnaireIssued", "Lapsed", "Escalated", "Escalated"]


# ---- planning letters ----------------------------------------------------------------------------------


def planned(invitation: Invitation) -> list[tuple[str, timedelta]]:
    return [(letter.kind.value, letter.at - invitation.due_at) for letter in invitation.letters]


def test_letters_are_planned_in_the_order_in_which_they_go_out() -> None:
    invitation = an_invitation(schedule=Schedule(reminders=days(1, 14, 7), escalations=days(9, 2)))
    assert planned(invitation) == [
        ("invitation", timedelta(days=-30)),
        ("reminder", timedelta(days=-14)),
        ("reminder", timedelta(days=-7)),
        ("reminder", timedelta(days=-1)),
        ("escalation", timedelta(days=2)),
        ("escalation", timedelta(days=9)),
    ]


def test_a_reminder_whose_time_has_passed_already_is_not_planned() -> None:
    invitation = an_invitation(at=DUE - timedelta(days=7))
    assert [distance for kind, distance in planned(invitation) if kind == "reminder"] == [timedelta(days=-1)]


@pytest.mark.parametrize("twice", [days(7, 7), (timedelta(days=7), timedelta(days=7, milliseconds=300))])
def test_the_same_distance_twice_makes_one_letter(twice: tuple[timedelta, ...]) -> None:
    invitation = an_invitation(schedule=Schedule(reminders=twice, escalations=twice))
    assert [kind for kind, _ in planned(invitation)] == ["invitation", "reminder", "escalation"]


def test_an_extension_plans_reminders_for_the_new_due_date_and_keeps_the_first_letter() -> None:
    invitation = an_invitation()
    before = invitation.letters
    invitation.extend(Due(at=DUE + timedelta(days=30)), "More time.", stamp(DUE))
    assert invitation.letters[0] == before[0]
    assert not set(invitation.letters[1:]) & set(before)
    assert [letter.at - letter.offset for letter in invitation.letters[1:]] == [DUE + timedelta(days=30)] * 4
