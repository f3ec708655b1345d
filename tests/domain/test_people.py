"""Accounts: roles are given, changed and ended over time, and never by oneself."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.access import Action, Grant, Role, Way
from domain.aggregates import Stamp
from domain.people import Account, Refusal, actor, must_be_new, refusal_id
from domain.refusals import NotAllowed
from services.mapper import EventMapper
from services.store import replay

ANA, LI, KENYA = (UUID(int=number) for number in range(1, 4))
STAMP = Stamp(by=actor(LI), at=datetime(2026, 3, 2, 9, tzinfo=UTC))
MANAGER = Grant(role=Role.PROGRAMME_MANAGER)
FINANCE = Grant(role=Role.FINANCE_OFFICER)
AUDITOR = Grant(role=Role.AUDITOR)
ADMINISTRATOR = Grant(role=Role.ADMINISTRATOR)
CONTACT = Grant(role=Role.PARTY_CONTACT, owner_id=KENYA)


def account_with(*grants: Grant) -> Account:
    account = Account.open(ANA, STAMP)
    for grant in grants:
        account.grant(grant, STAMP)
    return account


def by_ana() -> Stamp:
    return STAMP.model_copy(update={"by": actor(ANA)})


def test_a_person_has_one_account_under_the_own_id() -> None:
    account = account_with()

    assert account.id == ANA
    assert account.grants == []
    must_be_new(None)
    with pytest.raises(NotAllowed, match="has an account already"):
        must_be_new(account)


def test_roles_are_granted_changed_and_ended() -> None:
    account = account_with(MANAGER, CONTACT)

    account.change(MANAGER, FINANCE, "Moved to another unit.", STAMP)
    account.end(CONTACT, "The ministry named somebody else.", STAMP)

    assert account.grants == [FINANCE]


def test_it_refuses_a_role_that_is_held_already_and_to_end_one_that_is_not() -> None:
    account = account_with(MANAGER, FINANCE)

    with pytest.raises(NotAllowed, match="already"):
        account.grant(MANAGER, STAMP)
    with pytest.raises(NotAllowed, match="already"):
        account.change(MANAGER, FINANCE, "For tidiness.", STAMP)
    with pytest.raises(NotAllowed, match="is not administrator"):
        account.end(ADMINISTRATOR, "Left.", STAMP)
    with pytest.raises(NotAllowed, match="is not party contact"):
        account.change(CONTACT, ADMINISTRATOR, "Promoted.", STAMP)
    assert account.grants == [MANAGER, FINANCE]


def test_nobody_gives_a_role_to_themselves() -> None:
    account = account_with(ADMINISTRATOR)

    with pytest.raises(NotAllowed, match="gives a role to themselves"):
        account.grant(MANAGER, by_ana())
    with pytest.raises(NotAllowed, match="gives a role to themselves"):
        account.change(ADMINISTRATOR, MANAGER, "Bored.", by_ana())


def test_the_last_administrator_cannot_leave_alone() -> None:
    account = account_with(ADMINISTRATOR)

    with pytest.raises(NotAllowed, match="there always is one"):
        account.end(ADMINISTRATOR, "Enough.", by_ana())
    with pytest.raises(NotAllowed, match="there always is one"):
        account.erase("Forget me.", by_ana())


def test_an_auditor_holds_no_other_role() -> None:
    with pytest.raises(NotAllowed, match="holds no other role"):
        account_with(AUDITOR, MANAGER)
    with pytest.raises(NotAllowed, match="holds no other role"):
        account_with(MANAGER, FINANCE).change(MANAGER, AUDITOR, "Moved.", STAMP)

    account = account_with(MANAGER)
    account.change(MANAGER, AUDITOR, "Moved to the auditors.", STAMP)
    assert account.grants == [AUDITOR]


def test_erasing_ends_all_roles_and_nothing_is_granted_after_it() -> None:
    account = account_with(MANAGER, CONTACT)

    account.erase("Asked to be forgotten.", STAMP)

    assert account.erased
    assert account.grants == []
    kinds = [type(event) for event in account.pending_events][-3:]
    assert kinds == [Account.RoleEnded, Account.RoleEnded, Account.Erased]
    with pytest.raises(NotAllowed, match="was erased"):
        account.grant(MANAGER, STAMP)
    with pytest.raises(NotAllowed, match="was erased"):
        account.erase("Again.", STAMP)


def test_a_refusal_is_known_by_the_key_of_the_command() -> None:
    key = UUID(int=9)

    refusal = Refusal.of(key, Action.RUN_ROUNDS, None, (Role.AUDITOR,), Way.SIGN_IN, by_ana())

    assert refusal.id == refusal_id(key)
    [event] = refusal.pending_events
    assert isinstance(event, Refusal.CommandRefused)
    assert (event.by, event.action, event.roles) == (actor(ANA), Action.RUN_ROUNDS, (Role.AUDITOR,))


def test_the_history_read_again_gives_the_same_account() -> None:
    account = account_with(MANAGER, CONTACT)
    account.change(MANAGER, FINANCE, "Moved.", STAMP)
    mapper = EventMapper()
    stored = [mapper.to_stored_event(event) for event in account.pending_events]

    copy = replay(None, [(event.topic, event.state) for event in stored])

    assert isinstance(copy, Account)
    assert copy.grants == [FINANCE, CONTACT]
