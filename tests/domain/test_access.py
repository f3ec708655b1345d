"""Who may do what: the table, what a way in leaves of it, and whose records are one's own."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.access import (
    ACCESS,
    OWNERS,
    PUBLIC,
    READING,
    WAYS,
    Action,
    Extent,
    Grant,
    Reach,
    Role,
    Subject,
    Way,
    may,
)

ANA, KENYA, PERU, INVITATION = (UUID(int=number) for number in range(1, 5))

actions = st.sampled_from(Action)
grants = st.sampled_from(Role).map(lambda role: Grant(role=role, owner_id=KENYA if role in OWNERS else None))
subjects = st.builds(
    Subject,
    person_id=st.just(ANA),
    grants=st.lists(grants, max_size=3).map(tuple),
    way=st.sampled_from((Way.SIGN_IN, Way.TOKEN, Way.READING_TOKEN)),
)


def somebody(role: Role, way: Way = Way.SIGN_IN) -> Subject:
    """Somebody with one role, held for Kenya where it is held for somebody."""
    return Subject(
        person_id=ANA, grants=(Grant(role=role, owner_id=KENYA if role in OWNERS else None),), way=way
    )


def by_link(section: str | None = None) -> Subject:
    """A contact of Kenya who came by the link of a letter, or a colleague to whom a section was forwarded."""
    return Subject(
        person_id=ANA,
        grants=(Grant(role=Role.PARTY_CONTACT, owner_id=KENYA),),
        way=Way.FORWARDED_LINK if section else Way.LINK,
        invitation_id=INVITATION,
        section=section,
    )


def test_the_table_knows_every_action_and_lets_somebody_do_it() -> None:
    assert set(ACCESS) == set(Action)
    assert all(ACCESS.values())


def test_an_auditor_changes_nothing_but_the_own_account() -> None:
    allowed = {action for action, roles in ACCESS.items() if Role.AUDITOR in roles}

    assert allowed - READING == {Action.OWN_ACCOUNT}


def test_an_auditor_reads_everything() -> None:
    auditor = somebody(Role.AUDITOR)

    assert all(auditor.may(action, {PERU}) for action in READING)


def test_a_role_that_is_held_for_somebody_reaches_no_changes_beyond_the_own_records() -> None:
    for action, roles in ACCESS.items():
        for role in OWNERS & roles.keys():
            assert roles[role] is Reach.OWN or action in READING, (role, action)


def test_only_a_party_answers_for_a_party() -> None:
    for action in (Action.ANSWER, Action.SUBMIT, Action.FORWARD):
        assert ACCESS[action] == {Role.PARTY_CONTACT: Reach.OWN}


def test_only_an_administrator_manages_people() -> None:
    assert set(ACCESS[Action.MANAGE_PEOPLE]) == {Role.ADMINISTRATOR}


def test_nobody_who_is_known_does_what_is_public_and_nothing_else() -> None:
    assert {action for action in Action if may(None, action, {KENYA})} == PUBLIC


@given(subject=subjects, action=actions)
def test_more_roles_never_take_a_right_away(subject: Subject, action: Action) -> None:
    alone = [subject.model_copy(update={"grants": (grant,)}) for grant in subject.grants]

    assert subject.may(action, {KENYA}) == any(one.may(action, {KENYA}) for one in alone)


@given(subject=subjects, action=actions, owner_ids=st.sets(st.sampled_from((KENYA, PERU, ANA))))
def test_no_way_in_gives_more_than_signing_in(subject: Subject, action: Action, owner_ids: set[UUID]) -> None:
    signed_in = subject.model_copy(update={"way": Way.SIGN_IN})

    assert signed_in.may(action, owner_ids) or not subject.may(action, owner_ids)


@given(subject=subjects, action=actions)
def test_who_holds_no_role_may_do_nothing(subject: Subject, action: Action) -> None:
    nobody = subject.model_copy(update={"grants": ()})

    assert not nobody.may(action, {KENYA, ANA})


def test_a_contact_reaches_the_records_of_the_own_party_and_of_no_other() -> None:
    contact = somebody(Role.PARTY_CONTACT)

    assert contact.may(Action.SEE_INVITATIONS, {KENYA})
    assert not contact.may(Action.SEE_INVITATIONS, {PERU})
    assert not contact.may(Action.SEE_INVITATIONS)
    assert contact.extent(Action.SEE_INVITATIONS) == Extent(person_id=ANA, owner_ids=frozenset({KENYA}))
    assert contact.extent(Action.SEE_ROUNDS) is None


def test_everybody_reaches_what_is_their_own() -> None:
    for role in Role:
        assert somebody(role).may(Action.SEE_COMMANDS, {ANA})
        assert somebody(role).may(Action.OWN_ACCOUNT, {ANA})
        assert not somebody(role).may(Action.OWN_ACCOUNT, {uuid4()})


def test_a_reading_token_changes_nothing() -> None:
    for role in Role:
        token = somebody(role, Way.READING_TOKEN)
        assert {action for action in Action if token.may(action, {KENYA, ANA})} <= READING


def test_a_token_makes_no_token() -> None:
    assert not any(somebody(role, Way.TOKEN).may(Action.OWN_ACCOUNT, {ANA}) for role in Role)


def test_every_way_in_is_in_the_table() -> None:
    assert set(WAYS) == set(Way)


def test_a_link_is_good_for_one_invitation() -> None:
    contact = by_link()

    for action in (Action.SEE_INVITATIONS, Action.ANSWER, Action.SUBMIT, Action.FORWARD):
        assert contact.may(action, {KENYA}, INVITATION)
        assert not contact.may(action, {KENYA}, uuid4())
        assert not contact.may(action, {KENYA})
        assert not contact.may(action, {PERU}, INVITATION)
    assert not contact.may(Action.SEE_HISTORY, {KENYA}, INVITATION)
    assert not contact.may(Action.OWN_ACCOUNT, {ANA})


def test_a_forwarded_link_is_good_for_one_section_and_hands_nothing_in() -> None:
    colleague = by_link(section="needs")

    assert colleague.may(Action.ANSWER, {KENYA}, INVITATION)
    assert colleague.may_answer("needs")
    assert not colleague.may_answer("remarks")
    assert not colleague.may(Action.SUBMIT, {KENYA}, INVITATION)
    assert not colleague.may(Action.FORWARD, {KENYA}, INVITATION)
    assert by_link().may_answer("remarks")


def test_a_role_is_held_for_somebody_just_where_it_must_be() -> None:
    for role in Role:
        with pytest.raises(ValueError, match="held for"):
            Grant(role=role, owner_id=None if role in OWNERS else KENYA)


def test_a_subject_is_narrowed_just_as_its_way_in_says() -> None:
    with pytest.raises(ValueError, match="came by a link"):
        Subject(person_id=ANA, way=Way.LINK)
    with pytest.raises(ValueError, match="came by a link"):
        Subject(person_id=ANA, invitation_id=INVITATION)
    with pytest.raises(ValueError, match="forwarded link"):
        Subject(person_id=ANA, way=Way.LINK, invitation_id=INVITATION, section="needs")
