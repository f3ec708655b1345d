"""The gap table: what parties say they need, by region, each figure open to the answers behind it."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Response

from api.access import allowed
from api.pages import words
from api.pages.frame import Page, Visit, Visiting
from api.problems import Problem
from domain.access import Action
from domain.forms import Form, Question
from projections import gaps, questionnaires, rounds
from projections.reading import Record

router = APIRouter()


@dataclass(frozen=True)
class Area:
    """One row of the table: an option, and how many parties of each region chose it."""

    option: str
    label: str
    by_region: dict[str, int]
    total: int


@dataclass(frozen=True)
class Needs:
    """What the answers to one question of a round add up to."""

    question: Question
    areas: list[Area]
    regions: list[str]
    answered: dict[str, int]
    """How many parties of each region have answered the round."""

    @property
    def responses(self) -> int:
        """How many parties have answered the round: what the shares are shares of."""
        return sum(self.answered.values())

    @property
    def most(self) -> int:
        """The highest total, by which the bars of the chart are drawn."""
        return max((area.total for area in self.areas), default=0)


@router.get("/gaps/{round_id:uuid}", dependencies=[allowed(Action.SEE_NEEDS)])
async def table(visit: Visiting, round_id: UUID, question: str = "") -> Response:
    """Show the table and its chart."""
    async with visit.look() as page:
        round, form = await _round_and_form(page, round_id)
        choices = _choices(form)
        needs = await _needs(page, round_id, _chosen(choices, question)) if choices else None
        return page.show("gaps/table.html", round=round, form=form, needs=needs, choices=choices)


@router.get("/gaps/{round_id:uuid}/then-and-now", dependencies=[allowed(Action.SEE_NEEDS)])
async def then_and_now(visit: Visiting, round_id: UUID, question: str = "") -> Response:
    """Show the table as it was beside the table as it is."""
    async with Visit(visit.request, visit.visitor).look() as page:
        now, position = await _asked_needs(page, round_id, question), page.picture.position
    async with visit.look() as page:
        then = await _asked_needs(page, round_id, question)
        before = {area.option: area for area in then.areas}
        return page.show(
            "gaps/then-and-now.html",
            round=await rounds.round_named(page.picture, round_id),
            question=question,
            then=then,
            now=now,
            position=position,
            rows=[(area, before.get(area.option)) for area in now.areas],
        )


async def _asked_needs(page: Page, round_id: UUID, asked: str) -> Needs:
    _, form = await _round_and_form(page, round_id)
    return await _needs(page, round_id, _chosen(_choices(form), asked))


@router.get("/gaps/{round_id:uuid}/{option}", dependencies=[allowed(Action.SEE_NEEDS)])
async def behind(visit: Visiting, round_id: UUID, option: str, question: str = "") -> Response:
    """Show the answers that named an area."""
    return await _behind(visit, round_id, option, None, question)


@router.get("/gaps/{round_id:uuid}/{option}/{region}", dependencies=[allowed(Action.SEE_NEEDS)])
async def behind_in_region(
    visit: Visiting, round_id: UUID, option: str, region: str, question: str = ""
) -> Response:
    """Show the answers of one region that named an area."""
    return await _behind(visit, round_id, option, region, question)


async def _behind(visit: Visiting, round_id: UUID, option: str, region: str | None, asked: str) -> Response:
    async with visit.look() as page:
        round, form = await _round_and_form(page, round_id)
        question = _chosen(_choices(form), asked)
        area = question.option(option)
        if area is None or (region is not None and region not in words.REGIONS):
            raise Problem("not-found", "The gap table of this round has no such figure.")
        return page.show(
            "gaps/behind.html",
            round=round,
            question=question,
            option=option,
            label=words.title(area.label),
            region=region,
            rows=await gaps.behind(page.picture, round_id, question.name, option, region),
        )


async def _round_and_form(page: Page, round_id: UUID) -> tuple[Record, Form]:
    round: Record = page.found(await rounds.round_named(page.picture, round_id))
    found = await questionnaires.form(page.picture, round["questionnaire_id"], round["form_version"])
    return round, Form.model_validate(page.found(found)["form"])


def _chosen(choices: list[Question], asked: str) -> Question:
    """Return the question that is meant: the one that was asked for, else the first with a limit."""
    if asked:
        named = [each for each in choices if each.name == asked]
    else:
        named = [each for each in choices if each.maximum_choices] or choices
    if not named:
        raise Problem("not-found", "The questionnaire has no such question with a list to choose from.")
    return named[0]


async def needs_of(page: Page, round_id: UUID) -> Needs | None:
    """Return what parties say they need in a round; None when its questionnaire does not ask."""
    _, form = await _round_and_form(page, round_id)
    choices = _choices(form)
    return await _needs(page, round_id, _chosen(choices, "")) if choices else None


def _choices(form: Form) -> list[Question]:
    return [question for question in form.questions if question.kind == "select_multiple"]


async def _needs(page: Page, round_id: UUID, question: Question) -> Needs:
    """Count the answers to a question; the most wanted area comes first."""
    counts: dict[str, dict[str, int]] = {option.name: {} for option in question.options}
    for row in await gaps.needs_by_region(page.picture, round_id, question.name):
        counts.setdefault(row["option"], {})[row["region"]] = row["parties"]
    rates = await rounds.response_rates(page.picture, round_id)
    answered = {rate["region"]: rate["received"] for rate in rates if rate["region"]}
    areas = []
    for name, by_region in counts.items():
        option = question.option(name)
        label = words.title(option.label) if option else name
        areas.append(Area(name, label, by_region, sum(by_region.values())))
    # The order of the form settles ties, as in the published table.
    areas.sort(key=lambda area: -area.total)
    return Needs(question, areas, [each for each in words.REGIONS if each in answered], answered)
