"""The questionnaire as a party fills it in, the receipt, and what is said when it is too late."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from starlette.datastructures import FormData

from api.access import Rights, allowed, must_cover_invitation
from api.pages import phrases
from api.pages.forms import give, new_key
from api.pages.frame import Page, Visiting
from api.problems import of_refusal
from domain.access import Action
from domain.forms import Answers, Form, Question
from domain.refusals import Fault
from domain.rules import applicable, check, normalise, relevant_questions
from projections import gaps, questionnaires, rounds
from projections.reading import Record
from services.rounds import SubmitResponse
from services.store import RefusalRecord

router = APIRouter()

SWITCH = "language-"
"""How the name of a button begins that shows the same page in another language."""


@dataclass
class Sheet:
    """A questionnaire as it is being filled in."""

    form: Form
    language: str
    typed: Mapping[str, Any] = field(default_factory=dict)
    shown: frozenset[str] | None = None
    """The questions that stood on the page that was sent; None when it is opened for the first time."""
    faults: tuple[Fault, ...] = ()

    @classmethod
    def sent(cls, form: Form, language: str, sent: FormData) -> "Sheet":
        """Take what was typed: everything under the name of a question, as it is."""
        typed = {
            question.name: _typed(question, sent)
            for question in form.questions
            if question.kind != "note" and question.name in sent
        }
        return cls(form, language, typed, frozenset(str(sent.get("shown") or "").split()))

    @property
    def answers(self) -> Answers:
        """What was typed, in the shape in which answers are kept."""
        return normalise(self.form, self.typed)

    @property
    def relevant(self) -> frozenset[str]:
        """The names of the questions that apply."""
        return relevant_questions(self.form, self.answers, today=_today())

    @property
    def opened(self) -> frozenset[str]:
        """The questions that apply now and did not stand on the page that was sent."""
        return self.relevant - self.shown if self.shown is not None else frozenset()

    @property
    def left_out(self) -> Answers:
        """What was typed for questions that do not apply."""
        return {name: value for name, value in self.answers.items() if name not in self.relevant}

    def examine(self) -> None:
        """Find what is wrong with the answers."""
        answers = applicable(self.form, self.answers, today=_today())
        found = check(self.form, answers, today=_today(), language=self.language)
        self.faults = tuple(phrases.translated(fault, self.language) for fault in found)

    def governs(self, question: Question) -> bool:
        """Whether it depends on the answer to a question which others apply."""
        name = f"${{{question.name}}}"
        return any(name in source for _, column, source in self.form.rules() if column == "relevant")


def _typed(question: Question, sent: FormData) -> list[str] | str:
    values = [value for value in sent.getlist(question.name) if isinstance(value, str)]
    return values if question.kind == "select_multiple" else (values[-1] if values else "")


def _today() -> date:
    return datetime.now(UTC).date()


@router.get("/invitations/{invitation_id:uuid}/answer", dependencies=[allowed(Action.SEE_INVITATIONS)])
async def read(visit: Visiting, right: Rights, invitation_id: UUID, lang: str = "") -> Response:
    """Show the questionnaire, or what became of it."""
    await must_cover_invitation(right, invitation_id)
    async with visit.look() as page:
        invitation = await _invitation(page, invitation_id)
        form = await _form(page, invitation)
        sheet = Sheet(form, _language(form, lang, invitation["language"]))
        return await _show(page, invitation, sheet)


@router.post("/invitations/{invitation_id:uuid}/answer", dependencies=[allowed(Action.ANSWER)])
async def send(visit: Visiting, right: Rights, invitation_id: UUID, lang: str = "") -> Response:
    """Take in the answers, or show again what was typed: redrawn, in another language, or with its faults."""
    await must_cover_invitation(right, invitation_id)
    sent = await visit.form()
    action = str(sent.get("action") or "send")
    async with visit.look() as page:
        invitation = await _invitation(page, invitation_id)
        form = await _form(page, invitation)
        asked = action.removeprefix(SWITCH) if action.startswith(SWITCH) else lang
        sheet = Sheet.sent(form, _language(form, asked, invitation["language"]), sent)
        if action != "send" or invitation["state"] not in ("issued", "lapsed"):
            return await _show(page, invitation, sheet)
        sheet.examine()
        if sheet.faults or sheet.opened:
            return await _show(page, invitation, sheet, 422)
    answers = applicable(sheet.form, sheet.answers, today=_today())
    command = SubmitResponse(invitation_id=invitation_id, answers=dict(answers), language=sheet.language)
    answer = await give(visit, command, visit.actor, sent)
    if answer.outcome == "done":
        path = f"/invitations/{invitation_id}/answer"
        return visit.go(path, answer.position, lang=sheet.language)
    refusal = RefusalRecord.model_validate_json(answer.reply)
    if refusal.kind != "invalid" and refusal.code not in ("already-received", "withdrawn"):
        raise of_refusal(refusal)
    # Somebody else was quicker, or the day has changed a rule: show how it stands, and what was typed.
    sheet.faults = tuple(phrases.translated(fault, sheet.language) for fault in refusal.faults)
    async with visit.look() as page:
        return await _show(page, await _invitation(page, invitation_id), sheet, 422)


async def _invitation(page: Page, id: UUID) -> Record:
    record: Record = page.found(await rounds.invitation(page.picture, id))
    return record


async def _form(page: Page, invitation: Record) -> Form:
    found = await questionnaires.form(
        page.picture, invitation["questionnaire_id"], invitation["form_version"]
    )
    return Form.model_validate(page.found(found)["form"])


def _language(form: Form, asked: str, of_party: str) -> str:
    """Return the language to show: the one asked for, else the party's, else the form's own."""
    return next((each for each in (asked, of_party) if each in form.languages), form.default_language)


async def _show(page: Page, invitation: Record, sheet: Sheet, status: int = 200) -> Response:
    """Draw the sheet while an answer is awaited, and else how the questionnaire ended."""
    spoken = phrases.spoken(sheet.language)
    said = phrases.PHRASES[spoken]
    zone = invitation["time_zone"]
    common = {
        "invitation": invitation,
        "form": sheet.form,
        "sheet": sheet,
        "language": sheet.language,
        "spoken": spoken,
        "say": said,
        "phrases": phrases,
        "zone": zone,
        "may_send": page.may(Action.SUBMIT, {invitation["party_id"]}, invitation["id"]),
        "may_forward": page.may(Action.FORWARD, {invitation["party_id"]}, invitation["id"]),
        "asked_section": page.visitor.subject.section if page.visitor else None,
        "key": new_key(),
    }
    if invitation["state"] in ("issued", "lapsed"):
        return page.show("answering/sheet.html", status, **common)
    refused = page.request.method == "POST"
    asked = sheet.form.names_in(common["asked_section"])
    given = await gaps.answers(page.picture, invitation["id"])
    given = {name: value for name, value in given.items() if name in asked}
    return page.show("answering/ended.html", 409 if refused else 200, refused=refused, given=given, **common)
