"""How states, moments and quantities are said in words."""

from datetime import UTC, date, datetime, timedelta

import pytest

from api.pages import event_names, words
from api.pages.frame import own_path
from domain.letters import Letter
from domain.rounds import Invitation

MOMENT = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)


def test_a_moment_is_said_on_the_clock_of_a_zone() -> None:
    assert words.moment(MOMENT, "Africa/Nairobi") == "3 March 2026, 01:30"
    assert words.zone_name("America/Argentina/Buenos_Aires") == "Buenos Aires time"
    assert words.machine(MOMENT) == "2026-03-02T22:30:00Z"


def test_a_due_day_ends_where_the_party_is() -> None:
    assert words.due(date(2026, 9, 30), MOMENT, "Pacific/Fiji") == "the end of 30 September 2026"
    assert words.short_due(None, MOMENT, "Pacific/Fiji") == "3 Mar 2026, 10:30"
    assert words.due_there(date(2026, 9, 30), MOMENT, "Africa/Dakar") == (
        "the end of 30 September 2026 (Dakar)"
    )


@pytest.mark.parametrize(
    ("seconds", "said"), [(1_209_600, "14 days"), (90, "90 seconds"), (3_600, "1 hour"), (0, "0 seconds")]
)
def test_a_length_of_time_is_said_in_its_largest_whole_unit(seconds: int, said: str) -> None:
    assert words.duration(seconds) == said


def test_what_is_near_is_said_relative_to_now() -> None:
    assert words.relative(MOMENT + timedelta(seconds=40), MOMENT) == "in 40 seconds"
    assert words.relative(MOMENT - timedelta(hours=50), MOMENT) == "2 days ago"


def test_distances_are_read_in_days_unless_a_unit_is_given() -> None:
    assert words.parse_distances("14, 7 days; 36 h, 90 s") == (
        timedelta(14),
        timedelta(7),
        timedelta(hours=36),
        timedelta(seconds=90),
    )
    with pytest.raises(ValueError, match="“a while” is not a length of time"):
        words.parse_distances("7, a while")


def test_an_event_is_named_in_words() -> None:
    assert event_names.event_name(Invitation.ResponseReceived) == "Invitation: response received"
    assert (
        event_names.event_summary(Letter.Bounced)
        == "The letter could not be delivered to the contact's address."
    )


def test_letters_are_named_by_their_distance_from_the_due_date() -> None:
    assert words.letter_name("reminder", -604_800) == "Reminder, 7 days before the due date"
    assert words.letter_name("escalation", 20) == "Escalation, 20 seconds after the due date"


def test_nobody_is_sent_to_another_site_after_signing_in() -> None:
    assert own_path("/rounds/new?a=1") == "/rounds/new?a=1"
    for elsewhere in ("https://example.org/", "//example.org/x", "javascript:alert(1)", "rounds", "", None):
        assert own_path(elsewhere) == "/"
    assert own_path("/\\example.org") == "/"
