"""Personal links: good for a while, until they are revoked, and by the right of somebody who speaks."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from domain.access import Grant, Role
from domain.aggregates import Stamp
from domain.links import (
    LASTS,
    LinkFacts,
    PersonalLink,
    ends_at,
    must_be_a_section,
    must_be_new,
    must_speak_for,
)
from domain.parties import ContactRole, Party
from domain.people import Account
from domain.refusals import NotAllowed, NotFound
from tests.cast import KENYA, register

ID, INVITATION, CONTACT, COLLEAGUE, SESSION = (UUID(int=number) for number in range(1, 6))
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
STAMP = Stamp(by="service:tests", at=NOW)


def a_link(section: str | None = None) -> PersonalLink:
    facts = LinkFacts(
        invitation_id=INVITATION,
        party_id=KENYA,
        contact_id=CONTACT,
        holder_id=COLLEAGUE if section else CONTACT,
        section=section,
        ends_at=NOW + timedelta(days=1),
    )
    return PersonalLink.make(ID, facts, STAMP)


def at(moment: datetime) -> Stamp:
    return STAMP.model_copy(update={"at": moment})


def kenya() -> Party:
    party = Party.register(register("KEN"), STAMP)
    party.name_contact(ContactRole.OFFICIAL_CONTACT_POINT, CONTACT, date(2020, 1, 1), STAMP)
    return party


def test_a_link_is_exchanged_on_as_many_devices_as_its_holder_has() -> None:
    link = a_link()

    link.exchange(SESSION, STAMP)
    link.exchange(UUID(int=99), STAMP)

    assert [type(event).__name__ for event in link.pending_events] == ["Made", "Exchanged", "Exchanged"]


def test_a_link_ends_by_its_time() -> None:
    with pytest.raises(NotAllowed, match="not good any more"):
        a_link().exchange(SESSION, at(NOW + timedelta(days=1)))


def test_a_link_that_was_revoked_is_good_for_nothing() -> None:
    link = a_link()

    link.revoke("The contact changed.", STAMP)
    link.revoke("The contact was erased.", STAMP)

    assert len(link.pending_events) == 2, "once is enough"
    with pytest.raises(NotAllowed, match="not good any more"):
        link.exchange(SESSION, STAMP)


def test_a_link_for_a_section_is_a_forwarded_one() -> None:
    [event] = a_link("needs").pending_events

    assert isinstance(event, PersonalLink.Forwarded)
    assert (event.contact_id, event.holder_id, event.section) == (CONTACT, COLLEAGUE, "needs")


def test_a_link_outlasts_the_due_date_since_a_late_answer_is_welcome() -> None:
    due = NOW + timedelta(days=30)

    assert ends_at(due, NOW) == due + LASTS
    assert ends_at(due, due + timedelta(days=7)) == due + timedelta(days=7) + LASTS


def test_a_link_is_made_once() -> None:
    must_be_new(None)
    with pytest.raises(NotAllowed, match="made already"):
        must_be_new(a_link())


def test_who_was_named_by_the_party_speaks_for_it_and_so_does_who_holds_the_role() -> None:
    account = Account.open(COLLEAGUE, STAMP)

    must_speak_for(kenya(), CONTACT, None)
    with pytest.raises(NotAllowed):
        must_speak_for(kenya(), COLLEAGUE, account)
    account.grant(Grant(role=Role.PARTY_CONTACT, owner_id=KENYA), STAMP)
    must_speak_for(kenya(), COLLEAGUE, account)


def test_what_is_forwarded_is_a_section_of_the_questionnaire() -> None:
    must_be_a_section("needs", ["", "needs"])
    with pytest.raises(NotFound, match="no section “law”"):
        must_be_a_section("law", ["", "needs"])
