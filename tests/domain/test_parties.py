"""A party is registered once; the people who speak for it come and go."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from domain.aggregates import Stamp
from domain.parties import (
    Appointment,
    Category,
    ContactRole,
    Language,
    Particulars,
    Party,
    Region,
    must_be_new,
    party_id,
)
from domain.refusals import Invalid, NotAllowed

AMINATA = UUID("00000000-0000-4000-8000-00000000a111")
OUSMANE = UUID("00000000-0000-4000-8000-0000000005a7")
STAMP = Stamp(by="service:tests", at=datetime(2016, 3, 1, 9, tzinfo=UTC), because="request:first")
CONTACT_POINT = ContactRole.OFFICIAL_CONTACT_POINT
AUTHORITY = ContactRole.DESIGNATED_NATIONAL_AUTHORITY

SENEGAL = Particulars(
    iso3="SEN",
    iso2="SN",
    m49="686",
    name="Senegal",
    region=Region.AFRICA,
    category=Category.DEVELOPING,
    eligible=True,
    ldc=True,
    sids=False,
    party_since=date(2004, 2, 24),
    basel_party=True,
    stockholm_party=True,
    time_zone="Africa/Dakar",
    language=Language.FRENCH,
    source="the register of treaties",
    confidence="seen in source",
)


def registered_party() -> Party:
    return Party.register(SENEGAL, STAMP)


def party_with_a_contact_point() -> Party:
    party = registered_party()
    party.name_contact(CONTACT_POINT, AMINATA, date(2015, 6, 1), STAMP)
    return party


def stored(party: Party) -> list[tuple[type[Party.Event], str]]:
    """What the log would hold of the party: for each event its class and its JSON."""
    events = [event for event in party.pending_events if isinstance(event, Party.Event)]
    return [(type(event), event.model_dump_json()) for event in events]


def read_again(history: list[tuple[type[Party.Event], str]]) -> Party:
    """The party as its stored history tells it."""
    party: Any = None
    for event_class, text in history:
        party = event_class.model_validate_json(text).mutate(party)
    assert isinstance(party, Party)
    return party


def test_a_registered_party_knows_what_decides_whether_it_may_be_asked() -> None:
    party = registered_party()

    assert (party.region, party.category, party.eligible) == (Region.AFRICA, Category.DEVELOPING, True)
    assert (party.time_zone, party.language) == ("Africa/Dakar", Language.FRENCH)
    assert party.contact(CONTACT_POINT) is None


def test_the_registration_says_who_recorded_it_and_why() -> None:
    (event,) = registered_party().pending_events

    assert isinstance(event, Party.Registered)
    assert (event.by, event.timestamp, event.because) == (STAMP.by, STAMP.at, STAMP.because)


def test_one_code_makes_one_party() -> None:
    assert registered_party().id == party_id("SEN") != party_id("SLE")


def test_it_refuses_to_register_a_party_twice() -> None:
    must_be_new(None)
    with pytest.raises(NotAllowed, match="Senegal is registered already"):
        must_be_new(registered_party())


@pytest.mark.parametrize("name", ["", "Dakar", "africa/dakar", "../etc/passwd", "Africa", "GMT+5 or so"])
def test_it_refuses_a_time_zone_that_nobody_knows(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        Party.register(SENEGAL.model_copy(update={"time_zone": name}), STAMP)

    assert refused.value.code == "unknown-time-zone"
    assert [fault.where for fault in refused.value.faults] == ["/time_zone"]


def test_a_zone_that_was_renamed_since_does_not_make_history_unreadable() -> None:
    [(event_class, text)] = stored(registered_party())

    again = read_again([(event_class, text.replace("Africa/Dakar", "Africa/Renamed_Since"))])

    assert again.time_zone == "Africa/Renamed_Since"


def test_a_code_of_two_letters_is_not_taken_for_one_of_three() -> None:
    with pytest.raises(ValidationError):
        Particulars(**(SENEGAL.model_dump() | {"iso3": "SN"}))


def test_a_contact_speaks_for_the_party_in_the_role_it_was_named_for() -> None:
    party = party_with_a_contact_point()

    assert party.contact(CONTACT_POINT) == AMINATA
    assert party.contact(AUTHORITY) is None


def test_one_person_can_speak_in_both_roles() -> None:
    party = party_with_a_contact_point()
    party.name_contact(AUTHORITY, AMINATA, date(2015, 6, 1), STAMP)

    assert party.contact(CONTACT_POINT) == party.contact(AUTHORITY) == AMINATA


def test_naming_a_successor_ends_the_time_of_the_predecessor_on_the_same_day() -> None:
    party = party_with_a_contact_point()
    party.name_contact(CONTACT_POINT, OUSMANE, date(2016, 1, 15), STAMP)

    ended, named = party.pending_events[-2:]
    assert isinstance(ended, Party.ContactEnded)
    assert isinstance(named, Party.ContactNamed)
    assert (ended.contact_id, ended.effective_on) == (AMINATA, date(2016, 1, 15))
    assert (named.contact_id, named.effective_on) == (OUSMANE, date(2016, 1, 15))
    assert party.contact(CONTACT_POINT) == OUSMANE


def test_a_contact_can_end_without_a_successor() -> None:
    party = party_with_a_contact_point()
    party.end_contact(CONTACT_POINT, date(2016, 2, 29), STAMP)

    assert party.contact(CONTACT_POINT) is None


def test_it_refuses_to_name_the_contact_it_has() -> None:
    with pytest.raises(NotAllowed, match="official contact point already, since 2015-06-01"):
        party_with_a_contact_point().name_contact(CONTACT_POINT, AMINATA, date(2016, 1, 15), STAMP)


def test_it_refuses_to_end_what_has_not_begun() -> None:
    with pytest.raises(NotAllowed, match="Senegal has no designated national authority"):
        registered_party().end_contact(AUTHORITY, date(2016, 1, 15), STAMP)


def test_it_refuses_an_end_before_the_beginning() -> None:
    party = party_with_a_contact_point()

    with pytest.raises(NotAllowed, match="with effect from 2015-06-01"):
        party.end_contact(CONTACT_POINT, date(2015, 5, 31), STAMP)
    with pytest.raises(NotAllowed, match="with effect from 2015-06-01"):
        party.name_contact(CONTACT_POINT, OUSMANE, date(2015, 5, 31), STAMP)


def test_a_contact_may_take_effect_on_a_day_that_has_begun_somewhere() -> None:
    in_the_afternoon = STAMP.model_copy(update={"at": datetime(2016, 3, 1, 15, tzinfo=UTC)})

    party = registered_party()
    party.name_contact(CONTACT_POINT, AMINATA, date(2016, 3, 2), in_the_afternoon)

    assert party.contact(CONTACT_POINT) == AMINATA


def test_it_refuses_a_contact_who_is_yet_to_come() -> None:
    with pytest.raises(NotAllowed) as refused:
        registered_party().name_contact(CONTACT_POINT, AMINATA, date(2016, 3, 2), STAMP)

    assert refused.value.code == "effective-in-the-future"


def test_a_refusal_records_nothing() -> None:
    party = party_with_a_contact_point()
    before = len(party.pending_events)

    with pytest.raises(NotAllowed):
        party.name_contact(CONTACT_POINT, OUSMANE, date(2015, 5, 31), STAMP)

    assert len(party.pending_events) == before


def test_the_history_read_again_gives_the_same_party() -> None:
    party = party_with_a_contact_point()
    party.name_contact(CONTACT_POINT, OUSMANE, date(2016, 1, 15), STAMP)
    party.name_contact(AUTHORITY, AMINATA, date(2016, 2, 1), STAMP)
    party.end_contact(CONTACT_POINT, date(2016, 2, 29), STAMP)

    again = read_again(stored(party))

    assert again.version == party.version == 6
    assert again.appointments == {AUTHORITY: Appointment(AMINATA, date(2016, 2, 1))}
    assert all(getattr(again, field) == value for field, value in SENEGAL)


def test_events_name_people_by_id_alone() -> None:
    kept = set(Party.ContactNamed.model_fields) | set(Party.ContactEnded.model_fields)

    assert kept - set(Party.Event.model_fields) == {"role", "contact_id", "effective_on"}
