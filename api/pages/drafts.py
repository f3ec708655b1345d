"""The draft of a questionnaire, as a page shows it, and how what was changed on a page is saved."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

from starlette.datastructures import FormData

from api.http import newest_position
from api.pages.forms import give, read_uuid
from api.pages.frame import Page, Visit
from domain import drafts as domain
from domain.access import Action
from domain.drafts import Changes, unkeepable_answers
from domain.forms import Answers, AnswerValue, Form
from domain.refusals import Fault
from projections import drafts
from projections.reading import Record
from services.drafts import SaveDraft
from services.store import RefusalRecord

CHOOSE = "take"
"""How the name of a button begins that chooses among the answers that are kept: which, and to what."""


@dataclass(frozen=True)
class Shown:
    """The draft as a page shows it, or showed it when it was drawn."""

    record: Record | None = None
    kept: Mapping[str, list[Record]] = field(default_factory=dict)
    page: domain.Page = field(default_factory=lambda: domain.Page(uuid4(), 0))

    @cached_property
    def answers(self) -> Answers:
        """The answers that stand."""
        return drafts.answers(self.kept)

    @cached_property
    def choices(self) -> dict[str, list[Record]]:
        """The questions to which different answers are kept, with each of them."""
        return drafts.choices(self.kept)

    def since(self, page: domain.Page) -> frozenset[str]:
        """Return the questions to which others have written since a page was drawn."""
        return frozenset(
            name
            for name, rows in self.kept.items()
            if any(row["version"] > page.drawn_from and row["page_id"] != page.id for row in rows)
        )

    def unsent(self, given: Mapping[str, object], names: Iterable[str]) -> list[Record]:
        """Return what is kept of these questions and is not in the answer that was ``given``."""
        rows = [row for name in names for row in self.kept.get(name, ())]
        return [row for row in rows if row["value"] not in (None, given.get(row["question"]))]

    def chosen(self, action: str) -> Changes:
        """Return the answer that a button chooses, by its question; nothing for other buttons."""
        what, _, number_and_name = action.partition("-")
        number, _, name = number_and_name.partition("-")
        rows = self.choices.get(name, [])
        if what != CHOOSE or not number.isdecimal() or int(number) >= len(rows):
            return {}
        value: AnswerValue | None = rows[int(number)]["value"]
        return {name: value}


@dataclass(frozen=True)
class Saved:
    """How a saving ended."""

    position: int | None = None
    """How far the tables must have come to hold what is saved; None when it was refused."""
    faults: tuple[Fault, ...] = ()
    """The answers that cannot be kept; all others are saved."""
    refusal: RefusalRecord | None = None


async def newest(page: Page, invitation: Record) -> Shown:
    """Return the draft as it stands, for a page that is drawn now; empty for whoever may not see it."""
    record = await _record(page, invitation)
    if record is None:
        return Shown()
    kept = await drafts.kept(page.picture, record["id"])
    return Shown(record, kept, domain.Page(uuid4(), record["version"]))


async def as_drawn(page: Page, invitation: Record, sent: FormData) -> Shown:
    """Return the draft as the page showed it that was sent."""
    written = str(sent.get("drawn_from") or "0")
    version = int(written) if written.isdecimal() and len(written) < 10 else 0
    drawn = domain.Page(read_uuid(sent.get("page_id")) or uuid4(), version)
    record = await _record(page, invitation)
    kept = await drafts.kept(page.picture, record["id"], version) if record else {}
    return Shown(record, kept, drawn)


async def _record(page: Page, invitation: Record) -> Record | None:
    if not page.may(Action.SEE_DRAFTS, {invitation["party_id"]}, invitation["id"]):
        return None
    return await drafts.draft(page.picture, invitation["id"])


async def save(
    visit: Visit, invitation_id: UUID, form: Form, changed: Changes, page: domain.Page, language: str
) -> Saved:
    """Save what was changed on a page; what cannot be kept is left out and named."""
    section = visit.visitor.subject.section if visit.visitor else None
    faults = unkeepable_answers(form, changed, section)
    wrong = {fault.where for fault in faults}
    answers: dict[str, Any] = {name: value for name, value in changed.items() if name not in wrong}
    if not answers:
        return Saved(await newest_position(visit.request), faults)
    command = SaveDraft(
        invitation_id=invitation_id,
        answers=answers,
        page_id=page.id,
        drawn_from=page.drawn_from,
        language=language,
        section=section,
    )
    # Under a key of its own each time: saving again what is saved records nothing, and the same page may
    # well be saved with one answer, with another, and with the first again.
    answer = await give(visit, command, visit.actor, FormData())
    if answer.outcome == "refused":
        return Saved(refusal=RefusalRecord.model_validate_json(answer.reply))
    # Nothing is recorded when all of it was saved a moment ago, as by a page that saves while it is left. The
    # tables may be behind that, and what is shown or sent next must have it.
    return Saved(answer.position or await newest_position(visit.request), faults)
