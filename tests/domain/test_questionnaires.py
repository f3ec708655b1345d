"""A questionnaire keeps every version that was taken in, and none of them ever changes."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from domain.aggregates import Stamp
from domain.forms import Form, Question, Section, text
from domain.questionnaires import Questionnaire
from domain.refusals import Invalid, NotAllowed, NotFound

STAMP = Stamp(by="service:tests", at=datetime(2016, 3, 1, 9, tzinfo=UTC), because="request:first")
SPREADSHEET, XFORM = "a" * 64, "b" * 64


def a_form(version: str = "2016.1", **facts: Any) -> Form:
    """A form of one question, how many staff there are."""
    staff: dict[str, Any] = {"name": "staff", "kind": "integer", "label": {"en": "How many staff?"}}
    question = Question.model_validate(staff | facts)
    return Form(
        form_id="staffing",
        version=version,
        title={"en": "Staffing", "fr": "Effectifs"},
        default_language="en",
        languages=("en", "fr"),
        sections=(Section(name="people", questions=(question,)),),
    )


def a_questionnaire() -> Questionnaire:
    return Questionnaire.take_in(a_form(), SPREADSHEET, XFORM, STAMP)


def test_it_keeps_the_form_and_the_hashes_of_both_documents() -> None:
    questionnaire = a_questionnaire()

    (event,) = questionnaire.pending_events
    assert isinstance(event, Questionnaire.TakenIn)
    assert event.form == a_form()
    assert (event.spreadsheet_sha256, event.xform_sha256) == (SPREADSHEET, XFORM)
    assert questionnaire.id == Questionnaire.id_of("staffing")
    assert questionnaire.form_id == "staffing"


def test_a_further_version_leaves_the_first_as_it_was() -> None:
    questionnaire = a_questionnaire()

    questionnaire.take_in_version(a_form("2020.1", required=True), SPREADSHEET, XFORM, STAMP)

    assert questionnaire.versions == ("2016.1", "2020.1")
    assert questionnaire.form("2016.1") == a_form()
    assert questionnaire.latest == questionnaire.form("2020.1") == a_form("2020.1", required=True)


def test_it_refuses_the_same_version_with_other_content() -> None:
    questionnaire = a_questionnaire()

    with pytest.raises(NotAllowed, match="give the spreadsheet a new version") as refusal:
        questionnaire.take_in_version(a_form(required=True), SPREADSHEET, XFORM, STAMP)

    assert refusal.value.code == "version-differs"
    assert questionnaire.version == 1


def test_it_says_so_when_exactly_the_same_was_taken_in_already() -> None:
    questionnaire = a_questionnaire()

    with pytest.raises(NotAllowed, match="with exactly this content") as refusal:
        questionnaire.take_in_version(a_form(), "c" * 64, XFORM, STAMP)

    assert refusal.value.code == "already-taken-in"


def test_it_refuses_a_form_of_another_questionnaire() -> None:
    other = a_form("9").model_copy(update={"form_id": "other"})

    with pytest.raises(Invalid, match="not a version of the questionnaire staffing"):
        a_questionnaire().take_in_version(other, SPREADSHEET, XFORM, STAMP)


def test_it_refuses_a_form_whose_rules_cannot_run() -> None:
    with pytest.raises(Invalid) as refusal:
        Questionnaire.take_in(a_form(constraint=". > (1"), SPREADSHEET, XFORM, STAMP)

    assert [fault.where for fault in refusal.value.faults] == ["staff/constraint"]


def test_it_refuses_what_is_no_hash() -> None:
    with pytest.raises(ValidationError):
        Questionnaire.take_in(a_form(), "no hash", XFORM, STAMP)


def test_it_knows_no_version_that_was_not_taken_in() -> None:
    with pytest.raises(NotFound, match=r"has no version 1999; it has 2016\.1"):
        a_questionnaire().form("1999")


def test_its_state_follows_from_its_stored_events() -> None:
    questionnaire = a_questionnaire()
    questionnaire.take_in_version(a_form("2020.1"), SPREADSHEET, XFORM, STAMP)

    again: Any = None
    for event in questionnaire.pending_events:
        assert isinstance(event, Questionnaire.Event)
        again = type(event).model_validate_json(event.model_dump_json()).mutate(again)

    assert again.forms == questionnaire.forms
    assert again.version == 2


@pytest.mark.parametrize(("language", "shown"), [("fr", "Effectifs"), ("en", "Staffing"), ("ar", "Staffing")])
def test_a_text_falls_back_to_the_default_language(language: str, shown: str) -> None:
    assert text(a_form().title, language, "en") == shown


def test_a_text_in_other_languages_only_is_still_shown() -> None:
    assert text({"es": "Personal"}, "fr", "en") == "Personal"
    assert text({}, "fr", "en") == ""


@pytest.mark.parametrize(
    ("constraint", "most"),
    [
        ("count-selected(.) <= 4", 4),
        (" count-selected( . ) < 4 ", 3),
        ("count-selected(.) <= 4 or selected(., 'all')", None),
        ("count-selected(.) >= 4", None),
        (None, None),
    ],
)
def test_it_shows_how_many_may_be_chosen_where_the_rule_says_just_that(
    constraint: str | None, most: int | None
) -> None:
    question = Question(name="areas", kind="select_multiple", label={"en": "Areas"}, constraint=constraint)
    assert question.maximum_choices == most
