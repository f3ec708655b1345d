"""Questionnaires: taking one in from a spreadsheet, and looking at its versions."""

import asyncio
import re
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Response
from starlette.datastructures import UploadFile

from api.access import allowed
from api.pages import translations
from api.pages.forms import Filled, give, new_key
from api.pages.frame import Page, Visiting
from api.pages.translations import _
from api.questionnaires import SPREADSHEET, XFORM, one_at_a_time
from domain.access import Action
from domain.forms import Form
from domain.refusals import Fault, Invalid
from projections import questionnaires
from services.questionnaires import FormTakenIn, TakeIn
from services.xlsforms import read

router = APIRouter()

_CELL = re.compile(r"(?P<sheet>.+)!(?P<column>[A-Z]+)(?P<row>\d+)")


@dataclass(frozen=True)
class CellFault:
    """A fault of a spreadsheet, by its place."""

    sheet: str
    row: str
    column: str
    reason: str


@router.get("/questionnaires", dependencies=[allowed(Action.SEE_QUESTIONNAIRES)])
async def every_questionnaire(visit: Visiting) -> Response:
    """List the questionnaires, and offer to take one in."""
    async with visit.look() as page:
        return await _show_list(page, Filled({}), [])


@router.post("/questionnaires", dependencies=[allowed(Action.TAKE_IN_QUESTIONNAIRES)])
async def take_in(visit: Visiting) -> Response:
    """Take in a questionnaire from a spreadsheet, or show every fault of it by its cell."""
    sent = await visit.form()
    upload, filled = sent.get("spreadsheet"), Filled.of(sent)
    faults: list[CellFault] = []
    content = await upload.read() if isinstance(upload, UploadFile) else b""
    if not content:
        filled.fault("spreadsheet", _("Choose a spreadsheet (.xlsx)."))
    else:
        try:
            async with one_at_a_time:
                taken = await asyncio.to_thread(read, content)
        except Invalid as refusal:
            filled.fault("", refusal.message)
            faults = [_placed(fault) for fault in refusal.faults]
        else:
            documents = visit.services.documents
            command = TakeIn(
                form=taken.form,
                spreadsheet_sha256=await documents.keep(SPREADSHEET, content),
                xform_sha256=await documents.keep(XFORM, taken.xform),
            )
            answer = await give(visit, command, visit.actor, sent)
            if answer.outcome == "done":
                made = FormTakenIn.model_validate_json(answer.reply)
                return visit.go(f"/questionnaires/{made.id}", answer.position, version=made.form_version)
            filled.refuse(answer)
    async with visit.look() as page:
        return await _show_list(page, filled, faults)


def _placed(fault: Fault) -> CellFault:
    """Split the place of a fault, such as ``survey!B7``, as far as it names a cell."""
    found = _CELL.fullmatch(fault.where)
    if found is None:
        return CellFault(fault.where, "", "", fault.what)
    return CellFault(found["sheet"], found["row"], found["column"], fault.what)


async def _show_list(page: Page, filled: Filled, faults: list[CellFault]) -> Response:
    rows = await questionnaires.questionnaires(page.picture)
    versions = {row["id"]: await questionnaires.form_versions(page.picture, row["id"]) for row in rows}
    return page.show(
        "questionnaires/list.html",
        filled.status,
        rows=rows,
        versions=versions,
        filled=filled,
        faults=faults,
        key=new_key(),
    )


@router.get("/questionnaires/{id:uuid}", dependencies=[allowed(Action.SEE_QUESTIONNAIRES)])
async def one(visit: Visiting, id: UUID, version: str = "", lang: str = "") -> Response:
    """Show a version of a questionnaire as parties see it, in one of its languages."""
    async with visit.look() as page:
        questionnaire = page.found(await questionnaires.questionnaire(page.picture, id))
        versions = await questionnaires.form_versions(page.picture, id)
        version = version or questionnaire["latest_version"]
        stored = page.found(await questionnaires.form(page.picture, id, version))
        form = Form.model_validate(stored["form"])
        wishes = (lang, translations.language())
        language = next((each for each in wishes if each in form.languages), form.default_language)
        with translations.speaking(language):
            preview = page.draw("questionnaires/preview.html", form=form, language=language)
        return page.show(
            "questionnaires/one.html",
            questionnaire=questionnaire,
            versions=versions,
            stored=stored,
            form=form,
            language=language,
            preview=preview,
        )
