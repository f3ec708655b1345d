"""Answers are checked by the rules of their form: every fault is named, and nothing is taken on trust."""

import timeit
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from domain import rules
from domain.expression_functions import FUNCTIONS
from domain.expressions import DEPTH_LIMIT, LENGTH_LIMIT, read
from domain.forms import Answers, Form, Kind, Option, Question, Section
from domain.refusals import Fault

TODAY = date(2016, 9, 30)
unhurried = settings(deadline=None)  # A busy machine is no reason to fail.


def ask(name: str, kind: Kind = "text", **facts: Any) -> Question:
    """A question; only what matters to the test is said."""
    return Question(name=name, kind=kind, label={"en": name}, **facts)


def options(*names: str) -> tuple[Option, ...]:
    return tuple(Option(name=name, label={"en": name}) for name in names)


def form_of(*sections: Section) -> Form:
    return Form(
        form_id="form",
        version="1",
        title={"en": "Form"},
        default_language="en",
        languages=("en", "fr"),
        sections=sections,
    )


def form_with(*questions: Question) -> Form:
    return form_of(Section(name="only", questions=questions))


AREAS = ask(
    "areas",
    "select_multiple",
    options=options("customs", "law", "alternatives", "other"),
    required=True,
    required_message={"en": "Choose at least one area.", "fr": "Choisissez au moins un domaine."},
    constraint="count-selected(.) <= 2",
    constraint_message={"en": "Choose at most 2 areas.", "fr": "Choisissez au plus 2 domaines."},
)
NEEDS = form_of(
    Section(name="needs", questions=(AREAS, ask("other_area", relevant="selected(${areas}, 'other')"))),
    Section(
        name="customs_section",
        relevant="selected(${areas}, 'customs')",
        questions=(
            ask("posts", "integer", required=True, constraint=". >= 1 and . <= 500"),
            ask("share", "decimal", constraint=". <= 100"),
            ask("trained", "select_one", options=options("yes", "no")),
            ask("last_training", "date", relevant="${trained} = 'yes'", constraint=". <= today()"),
            ask("thanks", "note"),
        ),
    ),
)
COMPLETE = {"areas": ["customs"], "posts": 12, "trained": "yes", "last_training": "2015-05-04"}


def faults(form: Form, answers: dict[str, Any], language: str | None = None) -> dict[str, str]:
    """The faults by the question that they are about."""
    return {fault.where: fault.what for fault in rules.check(form, answers, today=TODAY, language=language)}


def verdict(constraint: str, answer: Any, kind: Kind = "text") -> bool:
    """Whether an answer fulfils a constraint."""
    form = form_with(ask("asked", kind, constraint=constraint))
    return not faults(form, rules.normalise(form, {"asked": answer}))


# ---- checking ----------------------------------------------------------------------------------------


def test_good_answers_have_no_faults() -> None:
    assert faults(NEEDS, COMPLETE) == {}


def test_it_names_every_fault_at_once_in_the_order_of_the_form() -> None:
    answers = {"colour": "red", "posts": "many", "areas": ["customs", "law", "other"], "trained": "perhaps"}

    found = rules.check(NEEDS, answers, today=TODAY)

    assert found == (
        Fault(where="areas", what="Choose at most 2 areas."),
        Fault(where="posts", what="Write a whole number, such as 12, of at most 15 digits."),
        Fault(where="trained", what="“perhaps” is not one of the options."),
        Fault(where="colour", what="There is no such question in this questionnaire."),
    )


def test_the_author_speaks_in_the_language_of_the_reader() -> None:
    assert faults(NEEDS, {"areas": ["law", "other", "alternatives"]}, "fr") == {
        "areas": "Choisissez au plus 2 domaines."
    }
    assert faults(NEEDS, {}, "fr") == {"areas": "Choisissez au moins un domaine."}
    assert faults(NEEDS, {}, "ar") == {"areas": "Choose at least one area."}


def test_a_rule_without_a_message_of_its_author_still_speaks() -> None:
    assert faults(NEEDS, COMPLETE | {"posts": 501}) == {
        "posts": "The answer does not fulfil the rule of this question."
    }
    without = {name: value for name, value in COMPLETE.items() if name != "posts"}
    assert faults(NEEDS, without) == {"posts": "Please answer this question."}


@pytest.mark.parametrize(
    ("name", "answer", "what"),
    [
        ("areas", "customs", "Give a list of options."),
        ("areas", ["customs", "customs"], "An option was given twice."),
        ("areas", ["customs", "cars"], "“cars” is not among the options."),
        ("areas", ["customs", "cars", "boats"], "“cars”, “boats” are not among the options."),
        ("posts", "12", "Write a whole number, such as 12, of at most 15 digits."),
        ("posts", True, "Write a whole number, such as 12, of at most 15 digits."),
        ("posts", 10**15, "Write a whole number, such as 12, of at most 15 digits."),
        ("share", "12,5", "Write a number with a point, such as 12.5."),
        ("share", "NaN", "Write a number with a point, such as 12.5."),
        ("share", 12.5, "Give one answer, written as text."),
        ("trained", ["yes", "no"], "Choose one option."),
        ("last_training", "2015-02-30", "Write a date as year-month-day, such as 2016-09-30."),
        ("last_training", "4 May 2015", "Write a date as year-month-day, such as 2016-09-30."),
        ("thanks", "You are welcome", "This is a note and takes no answer."),
    ],
)
def test_it_refuses_an_answer_that_does_not_fit_its_question(name: str, answer: Any, what: str) -> None:
    assert faults(NEEDS, COMPLETE | {name: answer})[name] == what


@pytest.mark.parametrize("unkeepable", ["nul \x00", "escape \x1b", "half a pair \ud83d", "no sign \uffff"])
def test_it_refuses_text_that_cannot_be_kept(unkeepable: str) -> None:
    form = form_with(ask("remark"))
    assert "cannot be kept" in faults(form, {"remark": unkeepable})["remark"]
    assert faults(form, {"remark": "Größe, 𝒙, مرحبا\nand a second line"}) == {}


def test_it_refuses_a_text_that_is_too_long() -> None:
    form = form_with(ask("remark"))
    assert faults(form, {"remark": "x" * rules.TEXT_LIMIT}) == {}
    assert "at most 10000 characters fit" in faults(form, {"remark": "x" * (rules.TEXT_LIMIT + 1)})["remark"]


def test_it_refuses_an_answer_to_a_question_that_does_not_apply() -> None:
    assert faults(NEEDS, {"areas": ["law"], "other_area": "cars", "posts": 12}) == {
        "other_area": "This question does not apply, given the other answers: remove its answer.",
        "posts": "This question does not apply, given the other answers: remove its answer.",
    }


def test_a_question_that_does_not_apply_is_not_required_and_reads_as_empty() -> None:
    answers = {"areas": ["law"], "trained": "yes", "last_training": "2015-05-04"}

    assert rules.relevant_questions(NEEDS, answers, today=TODAY) == {"areas"}
    assert "posts" not in faults(NEEDS, answers)


def test_a_chain_of_questions_falls_when_its_first_falls() -> None:
    chain = [ask("q0")] + [ask(f"q{number}", relevant=f"${{q{number - 1}}} != ''") for number in range(1, 30)]
    form = form_with(*reversed(chain))
    answers = {question.name: "x" for question in chain[1:]}

    assert rules.relevant_questions(form, answers, today=TODAY) == {"q0"}
    assert len(rules.relevant_questions(form, answers | {"q0": "x"}, today=TODAY)) == 30


def test_answers_that_do_not_apply_can_be_left_out() -> None:
    answers: Answers = {"areas": ["law"], "posts": 12, "colour": "red"}

    assert rules.applicable(NEEDS, answers, today=TODAY) == {"areas": ["law"], "colour": "red"}


def test_the_day_comes_from_outside() -> None:
    answers = COMPLETE | {"last_training": "2016-10-01"}

    assert faults(NEEDS, answers).keys() == {"last_training"}
    assert rules.check(NEEDS, answers, today=date(2016, 10, 1)) == ()


def test_it_is_quick() -> None:
    """A page is checked at every key stroke. The limit is wide, for slow and busy machines."""
    rules.check(NEEDS, COMPLETE, today=TODAY)
    seconds = min(timeit.repeat(lambda: rules.check(NEEDS, COMPLETE, today=TODAY), number=20, repeat=5)) / 20
    assert seconds < 0.001


# ---- the shape of answers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "typed", "kept"),
    [
        ("areas", "customs", ["customs"]),
        ("areas", ["law", "customs", "law"], ["customs", "law"]),
        ("areas", "law customs", ["customs", "law"]),
        ("areas", ["law", "cars", "customs"], ["customs", "law", "cars"]),
        ("posts", " 12 ", 12),
        ("posts", "+12", 12),
        ("posts", 12.0, 12),
        ("posts", "twelve", "twelve"),
        ("posts", True, "True"),
        ("share", "012.50", "12.5"),
        ("share", Decimal("12.50"), "12.5"),
        ("share", 100, "100"),
        ("share", "-0", "0"),
        ("share", "1e3", "1e3"),
        ("trained", ["yes"], "yes"),
        ("last_training", date(2015, 5, 4), "2015-05-04"),
        ("other_area", " two\r\nlines ", "two\nlines"),
        ("colour", 3, 3),
    ],
)
def test_it_keeps_what_was_typed_in_one_shape(name: str, typed: object, kept: object) -> None:
    assert rules.normalise(NEEDS, {name: typed}) == {name: kept}


@pytest.mark.parametrize("nothing", ["", "  ", None, [], ["", " "], ()])
def test_it_leaves_out_what_is_empty(nothing: object) -> None:
    assert rules.normalise(NEEDS, {"areas": nothing, "posts": nothing, "other_area": nothing}) == {}


anything = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text() | some.dates(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=5,
)
likely = some.one_of(
    some.lists(some.sampled_from(["customs", "law", "other", "cars"])),
    some.sampled_from(["yes", "no", "12", "12.5", "2015-05-04", "2017-01-01", 12, 600, "\x00"]),
    anything,
)
names = some.sampled_from([question.name for question in NEEDS.questions]) | some.text(max_size=3)


@unhurried
@given(some.dictionaries(names, likely))
def test_whatever_is_typed_gets_an_answer_and_no_error(typed: dict[str, object]) -> None:
    rules.check(NEEDS, typed, today=TODAY)
    answers = rules.normalise(NEEDS, typed)
    found = rules.check(NEEDS, answers, today=TODAY)
    assert {fault.where for fault in found} <= answers.keys() | {"areas", "posts"}


@unhurried
@given(some.dictionaries(names, likely))
def test_what_was_kept_once_is_kept_the_same_again(typed: dict[str, object]) -> None:
    answers = rules.normalise(NEEDS, typed)
    assert rules.normalise(NEEDS, answers) == answers


@unhurried
@given(some.dictionaries(names, likely))
def test_what_remains_of_applicable_answers_applies(typed: dict[str, object]) -> None:
    answers = rules.applicable(NEEDS, rules.normalise(NEEDS, typed), today=TODAY)
    assert rules.applicable(NEEDS, answers, today=TODAY) == answers
    assert "does not apply" not in str(rules.check(NEEDS, answers, today=TODAY))


# ---- expressions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("constraint", "answer", "holds"),
    [
        ("string-length(.) <= 3", "four", False),
        ("regex(., '[A-Z]{3}')", "FJI", True),
        ("regex(., '[A-Z]{3}')", "FJI!", False),
        ("regex(., '.*')", "x" * 1001, False),
        ("starts-with(., 'RC-') and ends-with(., '/7')", "RC-7/7", True),
        ("contains(., '@') = false()", "office", True),
        ("not(. = 'none')", "none", False),
        ("coalesce(substring-after(., ':'), 'nothing') = 'nothing'", "no colon", True),
        ("substr(., 0, 2) = 'RC' and substr(., -1) = '7'", "RC-7", True),
        ("translate(., 'abc', 'ABC') = 'CAB'", "cab", True),
        ("if(string-length(.) > 2, . = 'long', true())", "long", True),
        ("if(string-length(.) > 2, . = 'long', true())", "short", False),
        ("boolean(number(.))", "not a number", False),
        ("number(.) = number(.)", "not a number", False),
        ("int(.) = ''", "not a number", True),
        ("selected-at(., 1) = 'b' and selected-at(., 7) = ''", "a b c", True),
        ("count-selected(concat(., ' d')) = 4", "a b c", True),
    ],
)
def test_rules_on_text(constraint: str, answer: str, holds: bool) -> None:
    assert verdict(constraint, answer) is holds


@pytest.mark.parametrize(
    ("constraint", "answer", "holds"),
    [
        (". mod 2 = 0 and . div 4 = 2.5", 10, True),
        ("-. + 3 * 2 = -4", 10, True),
        ("round(. div 3, 2) = 3.33 and round(2.5) = 3", 10, True),
        ("int(. div 3) = 3 and floor(. div 3) = 3 and ceiling(. div 3) = 4", 10, True),
        ("min(., 20) = 10 and max(., 20, '') = 20 and abs(-.) = .", 10, True),
        ("pow(., 2) = 100 and pow(., 999) = ''", 10, True),
        (". > 9", 10, True),
        (". != 10", 10, False),
    ],
)
def test_rules_on_numbers(constraint: str, answer: int, holds: bool) -> None:
    assert verdict(constraint, answer, "integer") is holds


@pytest.mark.parametrize(
    ("constraint", "holds"),
    [
        (". <= today()", True),
        (". > today() - 30", True),
        (". > today() - 29", False),
        (". >= date('2016-09-01') and . < date('2016-10-01')", True),
        ("date(.) - date('1970-01-01') = .", True),
    ],
)
def test_rules_on_dates_count_days(constraint: str, holds: bool) -> None:
    assert verdict(constraint, "2016-09-01", "date") is holds


@pytest.mark.parametrize("relevant", ["${other} > 0", "${other} = 0", "${other}", "int(${other}) > -1"])
def test_an_answer_that_was_not_given_is_false_and_no_number(relevant: str) -> None:
    form = form_with(ask("other", "integer"), ask("asked", relevant=relevant))
    assert rules.relevant_questions(form, {}, today=TODAY) == {"other"}


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        (". > (1", "A bracket is opened and not closed."),
        (". > 1)", "A bracket is closed that was not opened."),
        (". >", "not complete"),
        (". . 3", "not complete"),
        ("   ", "The expression is empty."),
        ("* 3", "nothing before the sign *"),
        ("instance('x') = 1", "The function instance() is not known or not supported."),
        ("count(.) = 1", "The function count() is not known or not supported."),
        ("jr:choice-name(., 'x')", "The function jr:choice-name() is not known or not supported."),
        ("selected(.)", "selected() takes 2 values and was given 1"),
        ("round(., 1, 2) = 1", "round() takes 1 to 2 values and was given 3"),
        ("today(1) = 1", "today() takes 0 values and was given 1"),
        ("../b = 1", "refer to a question as ${name}"),
        ("/data/b = 1", "refer to a question as ${name}"),
        (".[1] = 1", "The sign [ is not supported"),
        ("$b = 1", "The sign $ is not supported"),
        ("b = 1", "write ${b} for the answer"),
        (". = ${a b}", "${a b} is not the name of a question."),
        (". = ${gone}", "There is no question named “gone”."),
        (". = 'so ${b}'", "take the reference out"),
        (". = 'open", "close every quote"),
        (". < '2016-01-01'", "write date('2016-01-01')"),
        (". < date('2016-02-30')", "'2016-02-30' is no date"),
        ("regex(., 'a(')", "cannot be read"),
        ("regex(., ${b})", "must be a pattern between quotes"),
        ("selected(${areas}, 'cars')", "“cars” is not an option of the question “areas”."),
        ("(" * (DEPTH_LIMIT + 1) + "1" + ")" * (DEPTH_LIMIT + 1), "more than 20 deep"),
        ("1" * (LENGTH_LIMIT + 1), "at most 1000 are supported"),
    ],
)
def test_a_rule_that_cannot_run_is_named_when_the_form_is_examined(expression: str, what: str) -> None:
    form = form_with(ask("asked", constraint=expression), ask("b"), AREAS)

    found = rules.examine(form)

    assert {fault.where for fault in found} == {"asked/constraint"}
    assert what in " ".join(fault.what for fault in found)


def test_curly_quotes_of_a_word_processor_are_quotes() -> None:
    assert verdict(". = ‘yes’", "yes")


def test_a_rule_must_not_go_in_a_circle() -> None:
    form = form_of(
        Section(name="s", relevant="${a} = 1", questions=(ask("b"),)),
        Section(name="t", questions=(ask("a", relevant="${b} = 1"), ask("c", relevant="${a} = 1"), ask("d"))),
    )
    assert {fault.where for fault in rules.examine(form)} == {"s/relevant", "a/relevant"}
    rules.check(form, {"a": "1", "b": "1"}, today=TODAY)


def test_whether_a_question_applies_cannot_depend_on_its_own_answer() -> None:
    (fault,) = rules.examine(form_with(ask("asked", relevant=". = 1")))
    assert fault.where == "asked/relevant"


def test_a_form_has_bounds_and_its_names_are_unique() -> None:
    form = form_with(*[ask(f"q{number}") for number in range(rules.QUESTION_LIMIT)], ask("q0"))
    assert {fault.where for fault in rules.examine(form)} == {"", "q0/name"}


operand = some.sampled_from([".", "${other}", "'a b'", "3", "today()", "''", "-1.5", "true()"])
calls: some.SearchStrategy[str] = some.deferred(
    lambda: some.one_of(
        operand,
        some.tuples(
            calls, some.sampled_from(["+", "-", "*", "div", "mod", "=", "<", "and", "or"]), calls
        ).map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"),
        some.sampled_from([name for name, function in FUNCTIONS.items() if name != "regex"]).flatmap(
            lambda name: some.lists(
                calls, min_size=FUNCTIONS[name].fewest, max_size=min(3, FUNCTIONS[name].most)
            ).map(lambda values: f"{name}({', '.join(values)})")
        ),
    )
)


@unhurried
@given(calls, some.text(max_size=5), some.integers())
def test_whatever_is_found_in_order_also_runs(expression: str, text: str, number: int) -> None:
    form = form_with(ask("asked", constraint=expression), ask("other", "integer", relevant="${asked} != 'a'"))
    if not rules.examine(form):
        rules.check(form, {"asked": text, "other": number}, today=TODAY)


@unhurried
@given(some.text(alphabet="${}().,'\"+-*/=<> 1axyz:|@[]ö", max_size=25))
def test_nonsense_is_read_without_an_error(source: str) -> None:
    expression = read(source)
    if not expression.faults and not expression.references:
        rules.check(form_with(ask("asked", constraint=source)), {"asked": "x"}, today=TODAY)
