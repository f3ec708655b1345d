"""Drafts: whatever was saved is kept, whoever saves beside whom."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.drafts import Changes, Draft, Kept, Page, draft_id, must_be_keepable, progress_of
from domain.forms import AnswerValue, Form, Question, Section
from domain.refusals import Invalid
from domain.rounds import Invitation, invitation_id
from tests.cast import NOW, stamp

LAPTOP, TELEPHONE = UUID(int=1), UUID(int=2)
TODAY = NOW.date()
NOTHING = Kept(None, UUID(int=0), 0)


def a_form() -> Form:
    """Two sections with a question that follows from another one."""
    first = Section(
        name="first",
        questions=(
            Question(name="who", kind="text", label={}, required=True),
            Question(name="number", kind="integer", label={}),
            Question(name="why", kind="text", label={}, relevant="${number} > 3", required=True),
            Question(name="said", kind="note", label={}),
        ),
    )
    second = Section(name="second", questions=(Question(name="when", kind="date", label={}),))
    return Form(
        form_id="f",
        version="1",
        title={},
        default_language="en",
        languages=("en",),
        sections=(first, second),
    )


FORM = a_form()


def a_draft() -> Draft:
    """A draft that has just been begun."""
    invitation = Invitation.__new__(Invitation)
    invitation.__base_init__(invitation_id(uuid4(), uuid4()), 1, NOW)
    invitation.party_id, invitation.questionnaire_id, invitation.form_version = uuid4(), uuid4(), "1"
    return Draft.begin_for(invitation, stamp())


def save(draft: Draft, page: UUID, drawn_from: int, **given: AnswerValue | None) -> int:
    """Save on a page, and return the version that the draft has since."""
    draft.save(FORM, dict(given), Page(page, drawn_from), "en", stamp())
    return draft.version


def saved(draft: Draft) -> list[Draft.Saved]:
    return [event for event in draft.pending_events if isinstance(event, Draft.Saved)]


def test_there_is_one_draft_of_an_invitation_whoever_begins_it() -> None:
    draft = a_draft()
    assert draft.id == draft_id(draft.invitation_id)


def test_an_event_carries_only_the_answers_that_changed() -> None:
    draft = a_draft()
    version = save(draft, LAPTOP, 0, who="Ana", number=2)

    save(draft, TELEPHONE, version, who="Ana", number=3, when=None)

    assert [event.answers for event in saved(draft)] == [{"who": "Ana", "number": 2}, {"number": 3}]


def test_saving_the_same_again_records_nothing() -> None:
    draft = a_draft()
    version = save(draft, LAPTOP, 0, who="Ana")

    assert save(draft, LAPTOP, 0, who="Ana") == version
    assert save(draft, TELEPHONE, version, who="Ana", when=None) == version


def test_an_answer_that_is_taken_out_is_gone_and_its_event_says_so() -> None:
    draft = a_draft()
    version = save(draft, LAPTOP, 0, who="Ana", number=2)

    save(draft, LAPTOP, version, number=None)

    assert draft.answers == {"who": "Ana"}
    assert saved(draft)[-1].answers == {"number": None}


def test_a_zero_is_an_answer() -> None:
    draft = a_draft()
    save(draft, LAPTOP, 0, number=0)

    assert draft.answers == {"number": 0}
    assert saved(draft)[-1].progress.answered == 1


def test_answers_to_different_questions_come_together() -> None:
    draft = a_draft()
    save(draft, LAPTOP, 0, who="Ana")
    save(draft, TELEPHONE, 0, number=2)

    assert draft.answers == {"who": "Ana", "number": 2}
    assert draft.open_choices == {}


def test_one_question_that_two_wrote_to_keeps_both_until_somebody_who_sees_both_chooses() -> None:
    draft = a_draft()
    save(draft, LAPTOP, 0, who="Ana")
    version = save(draft, TELEPHONE, 0, who="Bo")
    assert draft.answers == {"who": "Ana"}
    assert draft.open_choices == {"who": ("Ana", "Bo")}

    save(draft, uuid4(), version, who="Ana")

    assert draft.answers == {"who": "Ana"}
    assert draft.open_choices == {}


def test_whoever_goes_on_writing_beside_somebody_changes_their_own_answer_alone() -> None:
    draft = a_draft()
    save(draft, LAPTOP, 0, who="Ana")
    save(draft, TELEPHONE, 0, who="B")
    save(draft, TELEPHONE, 0, who="Bo")
    save(draft, LAPTOP, 0, who="Anna")

    assert set(draft.open_choices["who"]) == {"Anna", "Bo"}


def test_what_was_replaced_by_somebody_who_saw_it_is_not_there_to_choose() -> None:
    draft = a_draft()
    version = save(draft, LAPTOP, 0, who="A")
    save(draft, TELEPHONE, 0, who="Bo")
    save(draft, uuid4(), version, who="Ana")

    assert draft.open_choices == {"who": ("Bo", "Ana")}


def test_two_who_come_to_the_same_answer_have_nothing_to_choose() -> None:
    draft = a_draft()
    save(draft, LAPTOP, 0, who="Ana")
    save(draft, TELEPHONE, 0, who="An")
    save(draft, TELEPHONE, 0, who="Ana")

    assert draft.open_choices == {}


def test_whoever_wrote_the_same_keeps_it_when_the_other_changes_theirs() -> None:
    draft = a_draft()
    save(draft, LAPTOP, 0, who="Ana")
    save(draft, TELEPHONE, 0, who="Ana")
    save(draft, LAPTOP, 0, who="Bo")

    assert set(draft.open_choices["who"]) == {"Ana", "Bo"}


def test_an_answer_that_was_taken_out_meanwhile_stands_beside_the_one_that_was_changed() -> None:
    draft = a_draft()
    version = save(draft, LAPTOP, 0, who="Ana")
    save(draft, LAPTOP, version, who=None)
    save(draft, TELEPHONE, version, who="Anna")

    assert draft.answers == {}
    assert draft.open_choices == {"who": (None, "Anna")}


def test_a_page_cannot_claim_to_have_seen_what_is_not_there_yet() -> None:
    draft = a_draft()
    with pytest.raises(Invalid, match="Open the questionnaire again"):
        save(draft, LAPTOP, 9, who="Ana")
    assert not saved(draft)


@pytest.mark.parametrize(
    ("given", "section", "what"),
    [
        ({"colour": "red"}, None, "no such question"),
        ({"when": "2026-03-02"}, "first", "another section"),
        ({"said": "yes"}, None, "takes no answer"),
        ({"who": "x" * 10_001}, None, "at most 10000 characters fit"),
        ({"number": "9" * 10_001}, None, "at most 10000 characters fit"),
        ({"who": "bell \x07"}, None, "cannot be kept"),
        ({"who": ["a", "b"]}, None, "written as text"),
        ({"number": 10**15}, None, "at most 15 digits"),
    ],
)
def test_what_cannot_be_kept_is_named(given: Changes, section: str | None, what: str) -> None:
    with pytest.raises(Invalid) as refused:
        must_be_keepable(FORM, given, section)
    [fault] = refused.value.faults
    assert fault.where == next(iter(given))
    assert what in fault.what


def test_what_is_half_written_or_wrong_is_kept() -> None:
    must_be_keepable(FORM, {"number": "some", "when": "next week", "why": "does not apply"}, None)
    must_be_keepable(FORM, {"when": "2026-0", "who": None}, None)


def test_progress_counts_the_questions_that_apply() -> None:
    nothing = progress_of(FORM, {}, today=TODAY)
    assert (nothing.asked, nothing.answered, nothing.required, nothing.percent) == (3, 0, 1, 0)
    some = progress_of(FORM, {"number": 4, "who": "Ana"}, today=TODAY)
    assert (some.asked, some.answered, some.required, some.required_answered) == (4, 2, 2, 1)
    section = progress_of(FORM, {"when": "2026-03-02"}, today=TODAY, section=FORM.sections[1])
    assert section.percent == 100


@dataclass
class Device:
    """A device with the page as it was drawn on it, and what was written there since."""

    drawn_from: int = 0
    page_id: UUID = field(default_factory=uuid4)
    shows: dict[str, AnswerValue | None] = field(default_factory=dict)
    wrote: dict[str, int] = field(default_factory=dict)
    """By question, in which version of the draft what was written there is kept."""

    def draw(self, draft: Draft) -> None:
        self.drawn_from, self.page_id, self.shows, self.wrote = draft.version, uuid4(), {**draft.answers}, {}

    def write(self, draft: Draft, given: Mapping[str, str | None]) -> list[str]:
        """Save what differs from what the page shows, as pages do, and return the names of that."""
        changed = {name: value for name, value in given.items() if self.shows.get(name) != value}
        version = save(draft, self.page_id, self.drawn_from, **changed)
        self.shows |= changed
        self.wrote |= dict.fromkeys(changed, version)
        return list(changed)


savings = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.booleans(),
        st.dictionaries(
            st.sampled_from(("who", "number", "when")),
            st.none() | st.sampled_from(("a", "b", "c")),
            min_size=1,
        ),
    ),
    max_size=12,
)


@given(plan=savings)
def test_nothing_that_was_acknowledged_is_lost_whatever_two_devices_do(
    plan: Iterable[tuple[int, bool, dict[str, str | None]]],
) -> None:
    """What was written on a page is kept, unless somebody whose page was drawn later, and so showed it,
    wrote something else; or until the page itself is drawn anew, and shows all."""
    draft = a_draft()
    devices = Device(), Device()
    for number, draws_anew, written in plan:
        device, other = devices[number], devices[1 - number]
        if draws_anew:
            device.draw(draft)
        for name in device.write(draft, written):
            if other.wrote.get(name, device.drawn_from + 1) <= device.drawn_from:
                del other.wrote[name]
        for each in devices:
            for name in each.wrote:
                assert each.shows[name] in [kept.value for kept in draft.kept.get(name, (NOTHING,))]


def test_a_draft_that_is_read_again_is_the_same() -> None:
    draft = a_draft()
    save(draft, LAPTOP, 0, who="Ana", number=2)
    save(draft, TELEPHONE, 0, who="Bo")
    again: Any = None
    for event in draft.collect_events():
        again = event.mutate(again)
    assert again.kept == draft.kept
