"""Questionnaires over HTTP: taken in as spreadsheets, read as forms."""

import asyncio
import re
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from starlette.datastructures import UploadFile

from api.access import allowed
from api.http import Calling, Cursor, Limit, Model, Page, Reading, found, page, services_of, tag
from api.openapi import problems, problems_of_command
from api.problems import Problem
from domain.access import Action
from domain.forms import Form
from projections import questionnaires as questions
from projections.reading import Record
from services.questionnaires import FormTakenIn, TakeIn
from services.xlsforms import read

router = APIRouter(prefix="/questionnaires", tags=["questionnaires"])

SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XFORM = "application/xml"

one_at_a_time = asyncio.Semaphore(1)
"""Reading a spreadsheet takes the processor for up to a few seconds: others wait, and requests go on."""

QuestionnaireId = Annotated[UUID, Path(description="The id of the questionnaire.")]
FormVersion = Annotated[
    str, Path(max_length=50, description="The version of the form, as its author named it.")
]


class QuestionnaireRecord(Model):
    """A questionnaire as it stands."""

    id: UUID
    form_id: str
    """The id that its author gave the form; the same for all versions."""
    title: dict[str, str]
    """The title by language."""
    latest_version: str
    version: int
    position: int
    """The event that made the record what it is."""


class QuestionnairePage(Page[QuestionnaireRecord]):
    """Part of the list of questionnaires."""


class FormVersionRecord(Model):
    """One version of a questionnaire."""

    form_version: str
    taken_in_at: datetime
    spreadsheet_sha256: str
    xform_sha256: str
    position: int
    """The event by which it was taken in."""


class FormVersions(Model):
    """All versions of a questionnaire, the oldest first."""

    items: list[FormVersionRecord]
    position: int
    """The position of the log that the list shows."""


class FormRecord(FormVersionRecord):
    """One version of a questionnaire, with its questions and rules."""

    form: Form


@router.get(
    "",
    summary="List the questionnaires",
    responses=problems(),
    dependencies=[allowed(Action.SEE_QUESTIONNAIRES)],
)
async def list_questionnaires(
    request: Request, picture: Reading, cursor: Cursor = None, limit: Limit = 100
) -> QuestionnairePage:
    """Return all questionnaires, by id."""
    rows = await questions.questionnaires(picture, cursor, limit + 1)
    return QuestionnairePage.model_validate(page(request, picture, rows, limit))


_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The spreadsheet (.xlsx), by itself or as a file in a form.",
        "content": {
            SPREADSHEET: {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["spreadsheet"],
                    "properties": {"spreadsheet": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


@router.post(
    "",
    summary="Take in a questionnaire",
    status_code=201,
    response_model=FormTakenIn,
    responses=problems_of_command(),
    openapi_extra=_UPLOAD,
    dependencies=[allowed(Action.TAKE_IN_QUESTIONNAIRES)],
)
async def take_in(request: Request, caller: Calling) -> Response:
    """Take in a questionnaire, or a further version of one, from a spreadsheet in the format XLSForm.

    What is not supported is refused with sheet, row and column, and nothing is stored.
    """
    spreadsheet = await uploaded(request)
    async with one_at_a_time:
        taken = await asyncio.to_thread(read, spreadsheet)
    documents = services_of(request).documents
    command = TakeIn(
        form=taken.form,
        spreadsheet_sha256=await documents.keep(SPREADSHEET, spreadsheet),
        xform_sha256=await documents.keep(XFORM, taken.xform),
    )
    return await caller.carry_out(command, "/api/v1/questionnaires/{id}")


async def uploaded(request: Request) -> bytes:
    """Return the spreadsheet that came as the body, or as the first file of a form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in (SPREADSHEET, "application/octet-stream"):
        return await request.body()
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=20) as form:
            for value in form.values():
                if isinstance(value, UploadFile):
                    return await value.read()
        raise Problem("malformed", "The form holds no file. Put the spreadsheet in a field “spreadsheet”.")
    raise Problem(
        "unsupported-media-type",
        f"Send the spreadsheet as {SPREADSHEET} or in multipart/form-data. Nothing was stored.",
    )


@router.get(
    "/{questionnaire_id}",
    summary="Read a questionnaire",
    responses=problems("not-found"),
    response_model=QuestionnaireRecord,
    dependencies=[allowed(Action.SEE_QUESTIONNAIRES)],
)
async def read_questionnaire(
    picture: Reading, response: Response, questionnaire_id: QuestionnaireId
) -> Record:
    """Return one questionnaire, without its questions: they belong to a version."""
    return tag(response, await _questionnaire(picture, questionnaire_id))


@router.get(
    "/{questionnaire_id}/versions",
    summary="List the versions of a questionnaire",
    responses=problems("not-found"),
    dependencies=[allowed(Action.SEE_QUESTIONNAIRES)],
)
async def list_versions(picture: Reading, questionnaire_id: QuestionnaireId) -> FormVersions:
    """Return all versions of a questionnaire, the oldest first."""
    await _questionnaire(picture, questionnaire_id)
    rows = await questions.form_versions(picture, questionnaire_id)
    return FormVersions.model_validate({"items": rows, "position": picture.position})


@router.get(
    "/{questionnaire_id}/versions/{form_version}",
    summary="Read a version with its questions",
    responses=problems("not-found"),
    response_model=FormRecord,
    dependencies=[allowed(Action.SEE_QUESTIONNAIRES)],
)
async def read_form(picture: Reading, questionnaire_id: QuestionnaireId, form_version: FormVersion) -> Record:
    """Return the form: sections, questions, options and rules, with all translations."""
    return await _form(picture, questionnaire_id, form_version)


@router.get(
    "/{questionnaire_id}/versions/{form_version}/spreadsheet",
    summary="Download the spreadsheet of a version",
    response_class=Response,
    responses=problems("not-found") | {200: {"content": {SPREADSHEET: {}}}},
    dependencies=[allowed(Action.SEE_QUESTIONNAIRES)],
)
async def download_spreadsheet(
    request: Request, picture: Reading, questionnaire_id: QuestionnaireId, form_version: FormVersion
) -> Response:
    """Return the spreadsheet as its author sent it, byte by byte."""
    record = await _form(picture, questionnaire_id, form_version)
    return await _document(request, picture, record, record["spreadsheet_sha256"], "xlsx")


@router.get(
    "/{questionnaire_id}/versions/{form_version}/xform",
    summary="Download the XForm of a version",
    response_class=Response,
    responses=problems("not-found") | {200: {"content": {XFORM: {}}}},
    dependencies=[allowed(Action.SEE_QUESTIONNAIRES)],
)
async def download_xform(
    request: Request, picture: Reading, questionnaire_id: QuestionnaireId, form_version: FormVersion
) -> Response:
    """Return the form as XML, for programs that fill in XForms."""
    record = await _form(picture, questionnaire_id, form_version)
    return await _document(request, picture, record, record["xform_sha256"], "xml")


async def _questionnaire(picture: Reading, id: UUID) -> Record:
    return found(await questions.questionnaire(picture, id), "questionnaire", id, picture)


async def _form(picture: Reading, questionnaire_id: UUID, form_version: str) -> Record:
    record = await questions.form(picture, questionnaire_id, form_version)
    return found(record, f"version {form_version} of the questionnaire", questionnaire_id, picture)


async def _document(request: Request, picture: Reading, record: Record, sha256: str, ending: str) -> Response:
    document = await services_of(request).documents.get(sha256)
    if document is None:
        raise Problem("not-found", f"The document {sha256} is not among those that are kept here.")
    name = re.sub(r"[^A-Za-z0-9._-]", "-", f"{record['form']['form_id']}-{record['form_version']}")
    headers = {
        "ETag": f'"{sha256}"',
        "Event-Position": str(picture.position),
        # Never shown in place: it is somebody's file.
        "Content-Disposition": f'attachment; filename="{name}.{ending}"',
    }
    return Response(document.content, headers=headers, media_type=document.media_type)
