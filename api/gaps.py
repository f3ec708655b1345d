"""The gap table over HTTP: what parties say they need, each figure open to the answers behind it."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query

from api.access import allowed
from api.http import Model, Reading, RoundId, found
from api.openapi import problems
from api.problems import Problem
from api.rounds import round_named
from domain.access import Action
from domain.forms import Form, Question, text
from domain.parties import Region
from domain.refusals import Fault
from projections import gaps as questions
from projections import questionnaires, rounds
from projections.reading import Picture, Record

router = APIRouter(prefix="/rounds/{round_id}/gaps", tags=["gaps"])

QuestionName = Annotated[
    str, Query(max_length=200, description="The name of a question that takes several options.")
]


class GapRow(Model):
    """How many parties chose one option."""

    option: str
    label: str
    by_region: dict[Region, int]
    total: int
    percent: float | None
    """Per hundred responses to the round; empty while there is none."""
    behind: str
    """Where the responses behind the total are; with `&region=`, those behind one of its parts."""


class GapTable(Model):
    """What the parties of a round chose: options by region."""

    round_id: UUID
    question: str
    label: str
    regions: list[Region]
    """The regions of the parties that were asked, in the order of the columns."""
    rows: list[GapRow]
    """All options of the question, in the order of the form."""
    responses_by_region: dict[Region, int]
    responses: int
    notice: str | None
    """A note that whoever shows the table must show too."""
    position: int
    """The position of the log that the table shows."""


class CountedResponse(Model):
    """One response that a figure counts."""

    invitation_id: UUID
    iso3: str
    name: str
    """The name of the party."""
    region: Region
    received_at: datetime
    position: int
    """The event by which the answer was received."""
    response: str
    """Where the response is."""
    event: str
    """Where the event is."""


class CountedResponses(Model):
    """The responses behind one figure, by region and party."""

    items: list[CountedResponse]
    notice: str | None
    """A note that whoever shows the responses must show too."""
    position: int
    """The position of the log that the list shows."""


@router.get(
    "",
    summary="Read the gap table",
    responses=problems("not-found"),
    dependencies=[allowed(Action.SEE_NEEDS)],
)
async def read_gap_table(
    picture: Reading,
    round_id: RoundId,
    question: QuestionName,
    language: Annotated[
        str | None, Query(max_length=35, description="The language of labels; the form's own without it.")
    ] = None,
) -> GapTable:
    """Return how many parties chose each option of a question, by region, with totals and per cent."""
    round = await round_named(picture, round_id)
    form, asked = await _question(picture, round, question)
    language = language or form.default_language
    rates = [rate for rate in await rounds.response_rates(picture, round_id) if rate["region"]]
    responses = sum(rate["received"] for rate in rates)
    counts: dict[str, dict[Region, int]] = {
        name: {rate["region"]: 0 for rate in rates} for name in asked.option_names
    }
    for cell in await questions.needs_by_region(picture, round_id, question):
        counts[cell["option"]][cell["region"]] = cell["parties"]
    return GapTable(
        round_id=round_id,
        question=question,
        label=text(asked.label, language, form.default_language),
        regions=[rate["region"] for rate in rates],
        rows=[
            _row(
                option.name,
                text(option.label, language, form.default_language),
                counts[option.name],
                responses,
                _behind(picture, round_id, question, option.name),
            )
            for option in asked.options
        ],
        responses_by_region={rate["region"]: rate["received"] for rate in rates},
        responses=responses,
        notice=round["notice"],
        position=picture.position,
    )


def _row(option: str, label: str, by_region: dict[Region, int], responses: int, behind: str) -> GapRow:
    total = sum(by_region.values())
    percent = round(100 * total / responses, 1) if responses else None
    return GapRow(
        option=option, label=label, by_region=by_region, total=total, percent=percent, behind=behind
    )


def _behind(picture: Picture, round_id: UUID, question: str, option: str) -> str:
    query: dict[str, Any] = {"question": question, "option": option, "as_of": picture.position}
    return f"/api/v1/rounds/{round_id}/gaps/behind?{urlencode(query)}"


async def _question(picture: Picture, round: Record, name: str) -> tuple[Form, Question]:
    """Return the form of a round and the question that is asked about."""
    version = await questionnaires.form(picture, round["questionnaire_id"], round["form_version"])
    form = Form.model_validate(found(version, "form of the round", round["id"], picture)["form"])
    question = form.question(name)
    if question is None or question.kind != "select_multiple":
        names = [each.name for each in form.questions if each.kind == "select_multiple"]
        known = f"It has {', '.join(names)}." if names else "It has none."
        what = f"“{name}” is no question of the form that takes several options. {known}"
        raise Problem(
            "invalid",
            "There is no such table.",
            code="unknown-question",
            faults=[Fault(where="query/question", what=what)],
        )
    return form, question


@router.get(
    "/behind",
    summary="Open a figure of the gap table",
    responses=problems("not-found"),
    dependencies=[allowed(Action.SEE_NEEDS)],
)
async def read_behind(
    picture: Reading,
    round_id: RoundId,
    question: QuestionName,
    option: Annotated[str, Query(max_length=200, description="The name of the option.")],
    region: Annotated[Region | None, Query(description="Only parties of this region.")] = None,
) -> CountedResponses:
    """Return the responses that a figure counts, each with the event that brought it."""
    round = await round_named(picture, round_id)
    rows = await questions.behind(picture, round_id, question, option, region)
    items = [
        row
        | {
            "response": f"/api/v1/invitations/{row['invitation_id']}/response",
            "event": f"/api/v1/events/{row['position']}",
        }
        for row in rows
    ]
    return CountedResponses.model_validate(
        {"items": items, "notice": round["notice"], "position": picture.position}
    )
