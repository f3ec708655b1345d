"""A questionnaire as it stands on the page of whoever fills it in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

from starlette.datastructures import FormData

from api.pages import drafts
from api.pages.recorded import translated
from api.pages.translations import _, speaking
from domain.drafts import Changes, Progress, progress_of
from domain.forms import Answers, Form, Question, Section
from domain.refusals import Fault
from domain.rules import applicable, check, normalise, relevant_questions


@dataclass
class Sheet:
    """A questionnaire as it is being filled in."""

    form: Form
    language: str
    typed: Mapping[str, Any] = field(default_factory=dict)
    shown: frozenset[str] | None = None
    """The questions that stood on the page that was sent; None when it is opened for the first time."""
    section: str | None = None
    """The one section that whoever looks was asked to answer; None for all."""
    draft: drafts.Shown = field(default_factory=drafts.Shown)
    faults: tuple[Fault, ...] = ()
    news: frozenset[str] = frozenset()
    """Questions that somebody else has answered since the page was drawn."""

    @classmethod
    def sent(
        cls, form: Form, language: str, sent: FormData, section: str | None, drawn: drafts.Shown
    ) -> "Sheet":
        """Take what was typed: everything under the name of a question, as it is."""
        typed = {
            question.name: _typed(question, sent)
            for question in form.questions
            if question.kind != "note" and question.name in sent
        }
        shown = frozenset(str(sent.get("shown") or "").split())
        return cls(form, language, typed, shown, section, drawn)

    def with_draft(self, draft: drafts.Shown, faults: tuple[Fault, ...] = ()) -> "Sheet":
        """Return the sheet as it is drawn anew: with what is saved, and what cannot be as it was typed."""
        unsaved = {each.where: self.typed[each.where] for each in faults if each.where in self.typed}
        sheet = Sheet(
            self.form, self.language, draft.answers | unsaved, self.shown, self.section, draft, faults
        )
        by_others = draft.since(self.draft.page) & sheet.visible
        sheet.news = frozenset(
            name
            for name in by_others
            if name in draft.choices or sheet.answers.get(name) != self.answers.get(name)
        )
        return sheet

    @cached_property
    def answers(self) -> Answers:
        """What was typed, in the shape in which answers are kept."""
        return normalise(self.form, self.typed)

    @cached_property
    def relevant(self) -> frozenset[str]:
        """The names of the questions that apply."""
        return relevant_questions(self.form, self.answers, today=today())

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The sections that are shown."""
        return tuple(each for each in self.form.sections if self.section in (None, each.name))

    @cached_property
    def visible(self) -> frozenset[str]:
        """The questions of the sections that are shown, whether they apply or not."""
        return self.form.names_in(self.section)

    @property
    def on_page(self) -> frozenset[str]:
        """The questions that are shown and can be answered: an answer that is not sent back was taken out."""
        return self.relevant & self.visible - self.draft.choices.keys()

    @property
    def opened(self) -> frozenset[str]:
        """The questions that apply now and did not stand on the page that was sent."""
        return self.on_page - self.shown if self.shown is not None else frozenset()

    @property
    def left_out(self) -> Answers:
        """What was typed for questions that do not apply."""
        return {
            name: value
            for name, value in self.answers.items()
            if name in self.visible and name not in self.relevant
        }

    @property
    def changed(self) -> Changes:
        """What was changed on the page since it was drawn; None where an answer was taken out."""
        sent_back = (self.shown or frozenset()) | self.typed.keys()
        return {
            question.name: self.answers.get(question.name)
            for question in self.form.questions
            if question.kind != "note"
            and question.name in sent_back
            and self.answers.get(question.name) != self.draft.answers.get(question.name)
        }

    def examine(self) -> None:
        """Find what is wrong with the answers."""
        answers = applicable(self.form, self.answers, today=today())
        found = check(self.form, answers, today=today(), language=self.language)
        with speaking(self.language):
            to_choose = _("Choose one of the answers that were saved.")
        self.faults = (
            *(Fault(where=name, what=to_choose) for name in self.draft.choices),
            *translated((each for each in found if each.where not in self.draft.choices), self.language),
        )

    def progress(self, section: Section | None = None) -> Progress:
        """Say how far the questionnaire, or one section of it, is filled in."""
        only = section or (self.sections[0] if self.section and self.sections else None)
        return progress_of(self.form, self.answers, today=today(), section=only)

    def governs(self, question: Question) -> bool:
        """Whether it depends on the answer to a question which others apply."""
        name = f"${{{question.name}}}"
        return any(name in source for _, column, source in self.form.rules() if column == "relevant")


def _typed(question: Question, sent: FormData) -> list[str] | str:
    values = [value for value in sent.getlist(question.name) if isinstance(value, str)]
    return values if question.kind == "select_multiple" else (values[-1] if values else "")


def today() -> date:
    """Return the day that rules which ask for it are given."""
    return datetime.now(UTC).date()
