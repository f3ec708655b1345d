"""The questionnaire as a party fills it in, the receipt, and what is said when it is too late."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from api.access import Rights, allowed, must_cover_invitation, right_to
from api.pages import drafts
from api.pages.forms import give, new_key
from api.pages.frame import Page, Visit, Visiting
from api.pages.recorded import translated
from api.pages.sheets import Sheet, today
from api.pages.translations import speak
from api.problems import of_refusal
from domain.access import Action
from domain.forms import Form
from domain.rules import applicable
from projections import gaps, questionnaires, rounds
from projections.reading import Record
from services.rounds import SubmitResponse
from services.store import RefusalRecord

router = APIRouter()

ADDRESS = "/invitations/{invitation_id:uuid}/answer"
OPEN = ("issued", "lapsed")
"""The states of an invitation in which an answer is awaited."""
CLOSED = ("already-received", "withdrawn")
"""Why nothing is taken in any more."""
SWITCH = "language-"
"""How the name of a button begins that shows the same page in another language."""
FORWARD = "forward-"
"""How the name of a button begins that leads to forwarding a section."""


@router.get(ADDRESS, dependencies=[allowed(Action.SEE_INVITATIONS)])
async def read(
    visit: Visiting, right: Rights, invitation_id: UUID, lang: str = "", saved: bool = False
) -> Response:
    """Show the questionnaire with what is saved of it, or what became of it."""
    await must_cover_invitation(right, invitation_id)
    async with visit.look() as page:
        invitation = await _invitation(page, invitation_id)
        form = await questionnaires.form_of(page.picture, invitation)
        draft = await drafts.newest(page, invitation)
        language = _language(form, lang or (draft.record or {}).get("language") or "", invitation["language"])
        sheet = Sheet(form, language, draft.answers, section=_section(visit), draft=draft)
        return await _show(page, invitation, sheet, saved=saved)


@router.post(ADDRESS, dependencies=[allowed(Action.ANSWER)])
async def send(visit: Visiting, right: Rights, invitation_id: UUID, lang: str = "") -> Response:
    """Save what was typed; then hand it in, or show it again: in another language, or with its faults."""
    await must_cover_invitation(right, invitation_id)
    sent = await visit.form()
    action = str(sent.get("action") or "update")
    if action == "send":
        await right_to(visit.request, Action.SUBMIT)  # before anything is said of the answers of others
    asked = action.removeprefix(SWITCH) if action.startswith(SWITCH) else lang
    sheet, saved = await _save(visit, invitation_id, asked, action)
    async with visit.look(after=saved.position) as page:
        invitation = await _invitation(page, invitation_id)
        if invitation["state"] not in OPEN:
            return await _show(page, invitation, sheet)
        sheet = sheet.with_draft(await drafts.newest(page, invitation), saved.faults)
        if action == "send":
            sheet.examine()
        if sheet.faults or (action == "send" and (sheet.opened or sheet.news)):
            return await _show(page, invitation, sheet, 422, sending=action == "send")
        forwarding = action.removeprefix(FORWARD) if action.startswith(FORWARD) else ""
        if forwarding in {section.name for section in sheet.sections if section.name}:
            path = f"/invitations/{invitation_id}/sections/{forwarding}/forward"
            return visit.go(path, saved.position, lang=sheet.language)
        if action not in ("send", "save") or sheet.news or sheet.draft.choices:
            return await _show(page, invitation, sheet)
    path = f"/invitations/{invitation_id}/answer"
    if action == "save":
        return visit.go(path, saved.position, lang=sheet.language, saved=1)
    answers = applicable(sheet.form, sheet.answers, today=today())
    command = SubmitResponse(invitation_id=invitation_id, answers=dict(answers), language=sheet.language)
    answer = await give(visit, command, visit.actor, sent)
    if answer.outcome == "done":
        return visit.go(path, answer.position, lang=sheet.language)
    refusal = RefusalRecord.model_validate_json(answer.reply)
    if refusal.kind != "invalid" and refusal.code not in CLOSED:
        raise of_refusal(refusal)
    # Somebody else was quicker, or the day has changed a rule: show how it stands, and what was typed.
    sheet.faults = translated(refusal.faults, sheet.language)
    async with visit.look() as page:
        return await _show(page, await _invitation(page, invitation_id), sheet, 422, sending=True)


@router.post(f"{ADDRESS}/draft", dependencies=[allowed(Action.ANSWER)])
async def save_as_typed(visit: Visiting, right: Rights, invitation_id: UUID, lang: str = "") -> Response:
    """Save what is being typed, and answer with those parts of the page that speak of the draft."""
    await must_cover_invitation(right, invitation_id)
    typed, saved = await _save(visit, invitation_id, lang)
    async with visit.look(after=saved.position) as page:
        invitation = await _invitation(page, invitation_id)
        sheet = typed.with_draft(await drafts.newest(page, invitation), saved.faults)
        status = 409 if invitation["state"] not in OPEN else 422 if saved.faults else 200
        common = _common(page, invitation, sheet) | {"path": f"/invitations/{invitation_id}/answer"}
        return page.show("answering/draft.html", status, **common)


async def _save(visit: Visit, invitation_id: UUID, lang: str, action: str = "") -> tuple[Sheet, drafts.Saved]:
    """Save what was changed on the page that was sent, and what a button of it chooses."""
    sent = await visit.form()
    async with visit.look() as page:
        invitation = await _invitation(page, invitation_id)
        form = await questionnaires.form_of(page.picture, invitation)
        drawn = await drafts.as_drawn(page, invitation, sent)
        language = _language(form, lang, invitation["language"])
        sheet = Sheet.sent(form, language, sent, _section(visit), drawn)
    if invitation["state"] not in OPEN:
        return sheet, drafts.Saved()
    changed = sheet.changed | drawn.chosen(action)
    saved = await drafts.save(visit, invitation_id, form, changed, drawn.page, sheet.language)
    if saved.refusal and saved.refusal.code not in CLOSED:
        raise of_refusal(saved.refusal)
    return sheet, saved


def _section(visit: Visit) -> str | None:
    return visit.visitor.subject.section if visit.visitor else None


async def _invitation(page: Page, id: UUID) -> Record:
    record: Record = page.found(await rounds.invitation(page.picture, id))
    return record


def _language(form: Form, asked: str, of_party: str) -> str:
    """Return the language to show: the one asked for, else the party's, else the form's own."""
    return next((each for each in (asked, of_party) if each in form.languages), form.default_language)


def _common(page: Page, invitation: Record, sheet: Sheet) -> dict[str, Any]:
    """Return what all parts of the page are drawn from."""
    speak(sheet.language)
    owner = {invitation["party_id"]}
    return {
        "invitation": invitation,
        "form": sheet.form,
        "sheet": sheet,
        "language": sheet.language,
        "zone": invitation["time_zone"],
        "may_save": page.may(Action.ANSWER, owner, invitation["id"]),
        "may_send": page.may(Action.SUBMIT, owner, invitation["id"]),
        "may_forward": page.may(Action.FORWARD, owner, invitation["id"]),
        "may_see_history": page.may(Action.SEE_HISTORY, owner, invitation["id"]),
        "key": new_key(),
        "closed": invitation["state"] not in OPEN,
        "path": "",
    }


async def _show(
    page: Page,
    invitation: Record,
    sheet: Sheet,
    status: int = 200,
    *,
    saved: bool = False,
    sending: bool = False,
) -> Response:
    """Draw the sheet while an answer is awaited, and else how the questionnaire ended."""
    common = _common(page, invitation, sheet)
    if invitation["state"] in OPEN:
        people = await _people(page, [row for rows in sheet.draft.choices.values() for row in rows])
        return page.show(
            "answering/sheet.html", status, saved=saved, sending=sending, people=people, **common
        )
    refused = page.request.method == "POST"
    asked = sheet.form.names_in(sheet.section)
    given = await gaps.answers(page.picture, invitation["id"])
    given = {name: value for name, value in given.items() if name in asked}
    draft = await drafts.newest(page, invitation)
    in_order = [question.name for question in sheet.form.questions if question.name in asked]
    unsent = draft.unsent(given, in_order) if invitation["state"] == "received" else []
    return page.show(
        "answering/ended.html",
        409 if refused else 200,
        refused=refused,
        given=given,
        unsent=unsent,
        people=await _people(page, unsent),
        **common,
    )


async def _people(page: Page, rows: Iterable[Record]) -> dict[str, str]:
    """Return the names of those who saved answers, by how events call them."""
    actors = {row["saved_by"] for row in rows}
    ids = {UUID(each.removeprefix("person:")): each for each in actors if each.startswith("person:")}
    names = await page.services.directory.names(list(ids)) if ids else {}
    return {ids[id]: name for id, name in names.items()}
