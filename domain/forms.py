"""A form: what a questionnaire asks, in which languages, and by which rules.

The models hold the rules as their author wrote them, in the expression language of XLSForm. What the
rules mean is the business of ``domain.rules``.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

Labels = dict[str, str]
"""One text in several languages: language code to text."""

Kind = Literal["select_one", "select_multiple", "text", "integer", "decimal", "date", "note"]
"""What a question takes. A note is shown and takes no answer."""

AnswerValue = StrictStr | StrictInt | list[StrictStr]
"""One answer: an integer is a number, chosen options are a list of their names, all else is text.

A decimal is written as ``12.5`` and a date as ``2016-09-30``.
"""
Answers = dict[str, AnswerValue]
"""Answers by the name of their question. A question without an answer is left out."""

_AT_MOST = re.compile(r"\s*count-selected\(\s*\.\s*\)\s*(?P<sign><=?)\s*(?P<number>\d{1,4})\s*")


def text(labels: Mapping[str, str], language: str, default: str) -> str:
    """Return the text in ``language``, else in the language ``default``, else in any, else nothing."""
    return labels.get(language) or labels.get(default) or next(iter(labels.values()), "")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Option(_Part):
    """One thing that can be chosen in a select question."""

    name: str
    label: Labels


class Question(_Part):
    """One question of a form, with its options and its rules."""

    name: str
    kind: Kind
    label: Labels
    hint: Labels = Field(default_factory=dict)
    options: tuple[Option, ...] = ()
    required: bool = False
    required_message: Labels = Field(default_factory=dict)
    relevant: str | None = None
    """When the question applies. Without it, always."""
    constraint: str | None = None
    """What an answer must fulfil; ``.`` stands for the answer."""
    constraint_message: Labels = Field(default_factory=dict)
    appearance: str = ""
    """A wish about the drawing, such as ``multiline``; it never changes what may be answered."""

    @cached_property
    def option_names(self) -> tuple[str, ...]:
        """The names of the options, in the order of the form."""
        return tuple(option.name for option in self.options)

    @cached_property
    def maximum_choices(self) -> int | None:
        """How many options may be chosen at most, where the constraint says just that."""
        found = _AT_MOST.fullmatch(self.constraint or "")
        if found is None or self.kind != "select_multiple":
            return None
        return int(found["number"]) - (found["sign"] == "<")

    def option(self, name: str) -> Option | None:
        """Return the option of this name, or None."""
        return next((option for option in self.options if option.name == name), None)


class Section(_Part):
    """Questions that stand together under one heading.

    Questions that their author put into no group stand in sections without name and label.
    """

    name: str
    label: Labels = Field(default_factory=dict)
    relevant: str | None = None
    questions: tuple[Question, ...]


class Form(_Part):
    """One version of a questionnaire, as it is shown and as answers to it are checked."""

    form_id: str
    version: str
    title: Labels
    default_language: str
    languages: tuple[str, ...]
    """The codes of all languages of the form, the default language first."""
    sections: tuple[Section, ...]

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        """All questions in the order of the form."""
        return tuple(question for section in self.sections for question in section.questions)

    @cached_property
    def _by_name(self) -> dict[str, Question]:
        return {question.name: question for question in self.questions}

    def question(self, name: str) -> Question | None:
        """Return the question of this name, or None."""
        return self._by_name.get(name)

    def names_in(self, section: str | None) -> frozenset[str]:
        """Return the names of the questions of one section; of all, where none is named."""
        return frozenset(
            question.name
            for each in self.sections
            if section is None or each.name == section
            for question in each.questions
        )

    def rules(self) -> Iterator[tuple[str, str, str]]:
        """Yield every rule as the name of its section or question, its column, and its expression."""
        for section in self.sections:
            if section.relevant:
                yield section.name, "relevant", section.relevant
            for question in section.questions:
                if question.relevant:
                    yield question.name, "relevant", question.relevant
                if question.constraint:
                    yield question.name, "constraint", question.constraint
