"""Drafts: what a party has written into a questionnaire and not yet handed in.

Half an answer and a wrong one are kept as they were typed; only what could not be shown again is refused.
Several people write in one draft, each from a page that was drawn from some version of it. What they wrote to
different questions comes together. Where two wrote to one question without having seen each other's answer,
both stand side by side until somebody who sees both chooses: nothing that was saved is lost.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Annotated, NamedTuple, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, NonNegativeInt, StringConstraints

from domain.aggregates import Aggregate, Stamp, identify
from domain.forms import Answers, AnswerValue, Form, Section
from domain.refusals import Fault, Invalid
from domain.rounds import Invitation
from domain.rules import relevant_questions, unkeepable

Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,35}$")]
"""The code of a language, such as ``fr``."""

Changes = dict[str, AnswerValue | None]
"""Answers by the name of their question; None where an answer was taken out."""


class Progress(BaseModel):
    """How far a questionnaire is filled in: of the questions that apply, given the answers so far."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: NonNegativeInt
    answered: NonNegativeInt
    required: NonNegativeInt
    """How many of those that are asked must be answered."""
    required_answered: NonNegativeInt

    @property
    def percent(self) -> int:
        """Answers per hundred questions, rounded down: only what is done whole is a hundred."""
        return 100 * self.answered // self.asked if self.asked else 100


class Page(NamedTuple):
    """The page on which somebody wrote: one sheet on one device, and the draft as it showed it."""

    id: UUID
    drawn_from: int
    """The version of the draft that the page shows; 0 when there was none yet."""


class Kept(NamedTuple):
    """One answer that is kept, and the page that it came from."""

    value: AnswerValue | None
    page_id: UUID
    version: int
    """The version of the draft in which it was saved."""


class Draft(Aggregate):
    """The unsent answers of one party to one questionnaire."""

    invitation_id: UUID
    kept: dict[str, tuple[Kept, ...]]
    """What was written to each question: the answer that stands, then those that stand beside it."""

    class Event(Aggregate.Event):
        """Something that happened to a draft."""

    class Begun(Event, Aggregate.Created):
        """Somebody of the party began to fill in the questionnaire."""

        invitation_id: UUID
        party_id: UUID
        questionnaire_id: UUID
        form_version: str

        def apply(self, draft: "Draft") -> None:
            draft.invitation_id = self.invitation_id
            draft.kept = {}

    class Saved(Event):
        """Answers were saved, to go on with later."""

        answers: Changes
        """What now stands, of those questions alone whose answers changed; null where one was taken out."""
        beside: Changes
        """What was written without having seen what stands already: it is kept beside it."""
        page_id: UUID
        """The page on which it was written. Whoever writes on goes on with their own answer."""
        drawn_from: NonNegativeInt
        """The version that the page showed. What is written replaces that, and stands beside the rest."""
        language: Language
        """The language in which the page asked."""
        progress: Progress

        def apply(self, draft: "Draft") -> None:
            page = Page(self.page_id, self.drawn_from)
            for name, value in self.answers.items():
                draft.kept[name] = (Kept(value, page.id, self.originator_version),)
            for name, value in self.beside.items():
                written = Kept(value, page.id, self.originator_version)
                draft.kept[name] = (*draft.unseen(name, page), written)

    @classmethod
    def begin_for(cls, invitation: Invitation, stamp: Stamp) -> Self:
        """Begin the draft of an invitation. There is one, whoever begins it."""
        draft: Self = cls.begin(
            cls.Begun,
            stamp,
            id=draft_id(invitation.id),
            invitation_id=invitation.id,
            party_id=invitation.party_id,
            questionnaire_id=invitation.questionnaire_id,
            form_version=invitation.form_version,
        )
        return draft

    @property
    def answers(self) -> Answers:
        """The answers that stand."""
        return {name: kept[0].value for name, kept in self.kept.items() if kept[0].value is not None}

    @property
    def open_choices(self) -> dict[str, tuple[AnswerValue | None, ...]]:
        """The questions to which different answers are kept, with each of these; None for no answer."""
        found = {name: _different(each.value for each in kept) for name, kept in self.kept.items()}
        return {name: values for name, values in found.items() if len(values) > 1}

    def save(self, form: Form, given: Changes, page: Page, language: str, stamp: Stamp) -> None:
        """Keep what was changed on a page. Nothing is recorded when all of it is kept already."""
        must_have_been_drawn(self, page)
        answers: Changes = {}
        beside: Changes = {}
        for name, value in given.items():
            if self.unseen(name, page):
                beside[name] = value
            elif ([each.value for each in self.kept.get(name, ())] or [None]) != [value]:
                answers[name] = value
        beside = {name: value for name, value in beside.items() if not self._holds(name, value, page)}
        if answers or beside:
            # Where something stands beside others, theirs is what now stands.
            standing = answers | {name: self.unseen(name, page)[0].value for name in beside}
            progress = progress_of(form, _applied(self.answers, standing), today=stamp.at.date())
            self.record(
                self.Saved,
                stamp,
                answers=answers,
                beside=beside,
                page_id=page.id,
                drawn_from=page.drawn_from,
                language=language,
                progress=progress,
            )

    def unseen(self, name: str, page: Page) -> tuple[Kept, ...]:
        """Return what others have written to a question since the page was drawn."""
        kept = self.kept.get(name, ())
        return tuple(each for each in kept if each.page_id != page.id and each.version > page.drawn_from)

    def _holds(self, name: str, value: AnswerValue | None, page: Page) -> bool:
        """Whether the page's own answer is kept already. That somebody else's is the same does not do: they
        may change theirs, and would change this one with it."""
        return any(each.page_id == page.id and each.value == value for each in self.kept[name])


def draft_id(invitation_id: UUID) -> UUID:
    """Return the id of the draft of an invitation; there can be only one."""
    return identify("draft", invitation_id)


def _different(values: Iterable[AnswerValue | None]) -> tuple[AnswerValue | None, ...]:
    found: list[AnswerValue | None] = []
    for value in values:
        if value not in found:
            found.append(value)
    return tuple(found)


def _applied(answers: Answers, changes: Changes) -> Answers:
    together = answers | changes
    return {name: value for name, value in together.items() if value is not None}


def progress_of(
    form: Form, answers: Mapping[str, object], *, today: date, section: Section | None = None
) -> Progress:
    """Say how far a form, or one section of it, is filled in with these (normalised) answers."""
    relevant = relevant_questions(form, answers, today=today)
    questions = form.questions if section is None else section.questions
    asked = [question for question in questions if question.kind != "note" and question.name in relevant]
    answered = {question.name for question in asked if question.name in answers}
    required = {question.name for question in asked if question.required}
    return Progress(
        asked=len(asked),
        answered=len(answered),
        required=len(required),
        required_answered=len(required & answered),
    )


# The rules. Each is asked by a command, and never when a history is read again.


def must_have_been_drawn(draft: Draft, page: Page) -> None:
    """A page shows a version that there is: what it claims to have seen, it may overwrite."""
    if page.drawn_from > draft.version:
        raise Invalid(
            "not-drawn",
            f"The page says that it shows version {page.drawn_from} of the draft, which is at version "
            f"{draft.version}. Nothing was saved. Open the questionnaire again.",
            version=draft.version,
        )


def must_be_keepable(form: Form, given: Changes, section: str | None) -> None:
    """What is saved answers questions that there are, in the section that one was asked to answer."""
    faults = unkeepable_answers(form, given, section)
    if faults:
        raise Invalid(
            "draft",
            f"Nothing was saved: {len(faults)} of the answers cannot be kept. What was saved before stands.",
            faults=faults,
        )


def unkeepable_answers(form: Form, given: Changes, section: str | None) -> tuple[Fault, ...]:
    """Name each answer that cannot be kept, and why."""
    return tuple(_faults(form, given, section))


def _faults(form: Form, given: Changes, section: str | None) -> Iterator[Fault]:
    asked = form.names_in(section)
    for name, value in given.items():
        question = form.question(name)
        if question is None:
            yield Fault(where=name, what="There is no such question in this questionnaire.")
        elif name not in asked:
            what = "You were asked to answer another section. Leave this question to those who were asked it."
            yield Fault(where=name, what=what)
        elif value is not None and (what := unkeepable(question, value) or ""):
            yield Fault(where=name, what=what)
