"""The one evaluator of a form's rules: which questions apply, and what is wrong with the answers.

Pages ask it while a person types, and the same rules run once more when answers are submitted. Nothing
here looks at a clock: ``today`` is given, so that the same answers always check the same.

A question that does not apply reads as empty for all other rules, and its own rules are skipped.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from lxml import etree

from domain.expression_functions import day_from, days
from domain.expressions import NAME, Expression, holds, read
from domain.forms import Answers, AnswerValue, Form, Labels, Question, text
from domain.refusals import Fault

QUESTION_LIMIT = 300
"""Most questions in one form."""
TEXT_LIMIT = 10_000
"""Longest answer in words, in characters; what is longer is refused in the same words each time, which pages
translate."""
NUMBER_LIMIT = 10**15
"""Numbers from here on are not exact in every program that may read them."""

_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,15}(\.[0-9]{0,10})?|\.[0-9]{1,10})")
_UNKEEPABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


# ---- the shape of answers ----------------------------------------------------------------------------


def normalise(form: Form, given: Mapping[str, object]) -> Answers:
    """Bring what was typed into the shape in which answers are kept; leave out what is empty.

    What cannot be understood stays as it was written, so that ``check`` can name it and a page can show
    it again. Normalising twice changes nothing more.
    """
    answers: Answers = {}
    for name, value in given.items():
        shaped = _shaped(form.question(name), value)
        if shaped != "" and shaped != []:
            answers[name] = shaped
    return answers


def _shaped(question: Question | None, value: object) -> AnswerValue:
    if isinstance(value, list | tuple | set | frozenset):
        names = list(dict.fromkeys(filter(None, (_written(part) for part in value))))
        if question is not None and question.kind != "select_multiple" and len(names) == 1:
            return _shaped(question, names[0])
        return _in_order(question, names)
    if question is not None and question.kind == "select_multiple":
        return _in_order(question, list(dict.fromkeys(_written(value).split())))
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and (question is None or question.kind == "integer")
    ):
        return value
    written = _written(value)
    if question is not None and question.kind == "integer" and _WHOLE.fullmatch(written):
        return int(written)
    if question is not None and question.kind == "decimal" and _DECIMAL.fullmatch(written):
        number = format(Decimal(written).normalize(), "f")
        return "0" if number == "-0" else number
    return written


def _written(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < NUMBER_LIMIT:
        value = int(value)
    try:
        return str(value).replace("\r\n", "\n").replace("\r", "\n").strip()
    except ValueError:  # An integer of thousands of digits cannot be written.
        return "?"


def _in_order(question: Question | None, names: list[str]) -> list[str]:
    """Options in the order of the form, then names that are no options."""
    if question is None:
        return names
    known = [name for name in question.option_names if name in names]
    return known + [name for name in names if name not in known]


def _unfit(question: Question, value: object) -> str | None:
    """Say why the answer does not fit the kind of its question, or None when it fits."""
    match question.kind:
        case "note":
            return "This is a note and takes no answer."
        case "integer":
            whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < NUMBER_LIMIT
            return None if whole else "Write a whole number, such as 12, of at most 15 digits."
        case "select_multiple":
            return _unfit_choices(question, value)
        case _ if not isinstance(value, str):
            return (
                "Choose one option." if question.kind == "select_one" else "Give one answer, written as text."
            )
        case "select_one":
            return None if value in question.option_names else f"{_quoted(value)} is not one of the options."
        case "decimal":
            return None if _DECIMAL.fullmatch(value) else "Write a number with a point, such as 12.5."
        case "date":
            return None if day_from(value) else "Write a date as year-month-day, such as 2016-09-30."
        case _:
            return _unfit_text(value)


def unkeepable(question: Question, value: object) -> str | None:
    """Say why a (normalised) answer cannot be kept to go on with later, or None when it can.

    A number or a date that is half written or wrong is kept as it was typed. What no page could show again is
    not: an option that is not among those of the question, or a text that is too long.
    """
    if isinstance(value, str) and question.kind in ("integer", "decimal", "date"):
        return _unfit_text(value)
    return _unfit(question, value)


def _unfit_choices(question: Question, value: object) -> str | None:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return "Give a list of options."
    if len(set(value)) < len(value):
        return "An option was given twice."
    unknown = [_quoted(name) for name in value if name not in question.option_names]
    if not unknown:
        return None
    return f"{', '.join(unknown[:5])} {'is' if len(unknown) == 1 else 'are'} not among the options."


def _unfit_text(value: str) -> str | None:
    if len(value) > TEXT_LIMIT:
        return "The answer is too long: at most 10000 characters fit."
    if _UNKEEPABLE.search(value):
        return "The answer holds characters that cannot be kept, such as control characters: take them out."
    return None


def _quoted(value: str) -> str:
    shown = _UNKEEPABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    return f"“{shown if len(shown) <= 60 else shown[:59] + '…'}”"


# ---- checking ----------------------------------------------------------------------------------------


class _Instance:
    """The answers that fit their questions, as the small tree on which the rules run."""

    def __init__(self, form: Form, answers: Mapping[str, object], today: date) -> None:
        self.form = form
        self.today = days(today)
        self.texts: dict[str, str] = {}
        self.nodes: dict[str, etree._Element] = {}
        root = etree.Element("data")
        for question in form.questions:
            self.nodes[question.name] = etree.SubElement(root, question.name)
            value = answers.get(question.name)
            if value is not None and _unfit(question, value) is None:
                self.texts[question.name] = _as_read(question, value)
        self.root = root
        self.relevant = self._settle()

    def holds(self, source: str, name: str) -> bool:
        return holds(source, self.nodes[name], self.today)

    def _settle(self) -> frozenset[str]:
        """Find the questions that apply, again and again until nothing changes any more.

        Whether a question applies may depend on an answer that itself does not apply. Each round settles
        at least one more question of a chain, so there are at most as many rounds as questions; a circle
        is refused when a form is taken in, and here it merely ends.
        """
        relevant = frozenset(self.nodes)
        for _ in range(len(self.nodes) + 1):
            for name, node in self.nodes.items():
                node.text = self.texts.get(name) if name in relevant else None
            before, relevant = relevant, frozenset(self._applying())
            if relevant == before:
                break
        return relevant

    def _applying(self) -> Iterator[str]:
        for section in self.form.sections:
            if section.relevant is None or holds(section.relevant, self.root, self.today):
                for question in section.questions:
                    if question.relevant is None or self.holds(question.relevant, question.name):
                        yield question.name


def _as_read(question: Question, value: object) -> str:
    if isinstance(value, list):
        return " ".join(value)
    day = day_from(value) if question.kind == "date" and isinstance(value, str) else None
    return str(value) if day is None else str(days(day))


def relevant_questions(form: Form, answers: Mapping[str, object], *, today: date) -> frozenset[str]:
    """Return the names of the questions that apply, given these (normalised) answers."""
    return _Instance(form, answers, today).relevant


def applicable(form: Form, answers: Answers, *, today: date) -> Answers:
    """Leave out the answers to questions that do not apply, as a page does before it submits."""
    relevant = relevant_questions(form, answers, today=today)
    return {name: value for name, value in answers.items() if name in relevant or form.question(name) is None}


def check(
    form: Form, answers: Mapping[str, object], *, today: date, language: str | None = None
) -> tuple[Fault, ...]:
    """Name every fault of these (normalised) answers, in the order of the form; none when all is well.

    Where the author of the form wrote a message, it is given in ``language``.
    """
    instance = _Instance(form, answers, today)
    faults = []
    for question in form.questions:
        what = _fault(form, question, answers.get(question.name), instance, language or form.default_language)
        if what is not None:
            faults.append(Fault(where=question.name, what=what))
    for name in answers:
        if form.question(name) is None:
            faults.append(Fault(where=name, what="There is no such question in this questionnaire."))
    return tuple(faults)


def _fault(form: Form, question: Question, value: object, instance: _Instance, language: str) -> str | None:
    def said(message: Labels, otherwise: str) -> str:
        return text(message, language, form.default_language) or otherwise

    answered = value is not None and value != "" and value != []
    if question.name not in instance.relevant:
        return (
            "This question does not apply, given the other answers: remove its answer." if answered else None
        )
    if not answered:
        missing = question.required and question.kind != "note"
        return said(question.required_message, "Please answer this question.") if missing else None
    unfit = _unfit(question, value)
    if unfit is not None:
        return unfit
    if question.constraint is None or instance.holds(question.constraint, question.name):
        return None
    return said(question.constraint_message, "The answer does not fulfil the rule of this question.")


# ---- examining a form --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rule:
    """One rule of a form, read, and where it stands."""

    name: str
    column: str
    expression: Expression


def examine(form: Form) -> tuple[Fault, ...]:
    """Name every fault of the form's rules; ``where`` is ``name/column``, such as ``areas/constraint``."""
    rules = [_Rule(name, column, read(source)) for name, column, source in form.rules()]
    faults = [fault for rule in rules for fault in _faults_of(form, rule)]
    faults += _circles(form, rules)
    if len(form.questions) > QUESTION_LIMIT:
        what = f"The form has {len(form.questions)} questions; at most {QUESTION_LIMIT} are supported."
        faults.append(Fault(where="", what=what))
    names = [question.name for question in form.questions]
    names += [section.name for section in form.sections if section.name]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1 or not NAME.fullmatch(name)):
        faults.append(
            Fault(where=f"{name}/name", what=f"The name {_quoted(name)} is not free, or is no name.")
        )
    return tuple(faults)


def _faults_of(form: Form, rule: _Rule) -> Iterator[Fault]:
    where = f"{rule.name}/{rule.column}"
    for what in rule.expression.faults:
        yield Fault(where=where, what=what)
    for name in rule.expression.references:
        if NAME.fullmatch(name) and form.question(name) is None:
            yield Fault(where=where, what=f"There is no question named {_quoted(name)}.")
    if rule.column == "relevant" and rule.expression.uses_answer:
        yield Fault(where=where, what="Whether a question applies cannot depend on its own answer.")
    for name, option in rule.expression.comparisons:
        question = form.question(rule.name if name == "." else name)
        if question is not None and question.kind.startswith("select") and question.option(option) is None:
            yield Fault(
                where=where, what=f"{_quoted(option)} is not an option of the question “{question.name}”."
            )


def _circles(form: Form, rules: list[_Rule]) -> Iterator[Fault]:
    """Find rules by which a question applies only if, by way of others, it applies itself."""
    needs = {rule.name: set(rule.expression.references) for rule in rules if rule.column == "relevant"}
    for section in form.sections:
        for question in section.questions:
            if section.relevant:
                needs.setdefault(question.name, set()).add(section.name)
    for start in (rule.name for rule in rules if rule.column == "relevant"):
        reached: set[str] = set()
        waiting = set(needs[start])
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting |= needs.get(name, set())
        if start in reached:
            what = "This rule depends on itself, by way of the questions that it refers to."
            yield Fault(where=f"{start}/relevant", what=what)
