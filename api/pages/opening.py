"""Opening a round and issuing it: who gets the questionnaire, who does not, and why."""

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import ValidationError
from starlette.datastructures import FormData

from api.access import allowed
from api.keys import read_key
from api.pages import words
from api.pages.countries import by_name, party_name
from api.pages.forms import Filled, give, new_key, read_uuid
from api.pages.frame import Page, Visit, Visiting
from api.pages.translations import _
from domain.access import Action
from domain.aggregates import identify
from domain.parties import Category
from domain.rounds import Audience, Due, Schedule
from projections import parties, questionnaires, rounds
from projections.reading import Record
from services.rounds import IssueRound, OpenRound

router = APIRouter()

_CATEGORIES = "developing,in transition"
_REMINDERS = (timedelta(days=14), timedelta(days=7), timedelta(days=1))
_ESCALATIONS = (timedelta(days=7),)

_FIELDS = {"questionnaire_id": "form", "form_version": "form", "audience": "categories", "due": "due_on"}
"""Under which field of the page a fact of the command is shown."""


@router.get("/rounds/new", dependencies=[allowed(Action.RUN_ROUNDS)])
async def prepare(visit: Visiting) -> Response:
    """Show the form by which a round is opened."""
    async with visit.look() as page:
        return await _show_form(page, Filled(_proposed()))


@router.post("/rounds/new", dependencies=[allowed(Action.RUN_ROUNDS)])
async def open_round(visit: Visiting) -> Response:
    """Open a round, and go on to whom it is issued."""
    form = await visit.form()
    filled = Filled.of(form)
    filled.given = {**filled.given, "categories": ",".join(map(str, form.getlist("category")))}
    command = _command(filled, visit, form)
    if command is not None:
        answer = await give(visit, command, visit.actor, form)
        if answer.outcome == "done":
            return visit.go(f"/rounds/{command.id}/issue", answer.position)
        filled.refuse(answer)
    async with visit.look() as page:
        return await _show_form(page, filled)


def _command(filled: Filled, visit: Visit, form: FormData) -> OpenRound | None:
    """Read the form; None when something is wrong with it, which is noted."""
    questionnaire, version = (*filled["form"].split(" ", 1), "")[:2]
    questionnaire_id = read_uuid(questionnaire)
    if questionnaire_id is None:
        filled.fault("form", _("Choose the questionnaire to send."))
    filled.words("title", _("Give the round a title."))
    categories = tuple(Category(each) for each in filled["categories"].split(",") if each in set(Category))
    if not categories:
        filled.fault("categories", _("Choose for whom the round is meant."))
    due = _due(filled, visit.settings.secretariat_time_zone)
    reminders, escalations = filled.distances("reminders"), filled.distances("escalations")
    if filled.faults or due is None or questionnaire_id is None:
        return None
    try:
        return OpenRound(
            # The same form sent twice opens one round.
            id=identify("round", read_key(str(form.get("key") or new_key()))),
            title=filled["title"],
            questionnaire_id=questionnaire_id,
            form_version=version,
            audience=Audience(categories=categories),
            due=due,
            schedule=Schedule(reminders=reminders, escalations=escalations),
            notice=filled["notice"][:2_000] or None,
        )
    except ValidationError as error:
        filled.refuse_invalid(error, _FIELDS)
        return None


def _due(filled: Filled, zone: str) -> Due | None:
    on, at = filled.day("due_on"), filled.moment("due_at", zone)
    if (on is None) == (at is None):
        if not any(fault.where in ("due_on", "due_at") for fault in filled.faults):
            filled.fault("due_on", _("Give either the last day or the moment, and not both."))
        return None
    return Due(on=on, at=at)


def _proposed() -> dict[str, str]:
    """Return what stands in the form before anybody has written into it."""
    return {
        "categories": _CATEGORIES,
        "reminders": words.distances(_REMINDERS),
        "escalations": words.distances(_ESCALATIONS),
    }


async def _show_form(page: Page, filled: Filled) -> Response:
    versions = []
    for questionnaire in await questionnaires.questionnaires(page.picture):
        for version in await questionnaires.form_versions(page.picture, questionnaire["id"]):
            value = f"{questionnaire['id']} {version['form_version']}"
            title = words.title(questionnaire["title"])
            name = _("%(title)s, version %(version)s", title=title, version=version["form_version"])
            versions.append((value, name))
    return page.show(
        "rounds/new.html",
        filled.status,
        filled=filled,
        versions=versions,
        categories=list(Category),
        chosen=filled["categories"].split(","),
        key=new_key(),
    )


@dataclass(frozen=True)
class Candidate:
    """A party that might receive the round."""

    id: UUID
    iso3: str
    name: str
    region: str
    category: Category
    objection: str | None
    """Why it may not receive the round, None when it may."""


@router.get("/rounds/{id:uuid}/issue", dependencies=[allowed(Action.RUN_ROUNDS)])
async def preview(visit: Visiting, id: UUID) -> Response:
    """Show who would receive the questionnaire, and who would not and why."""
    async with visit.look() as page:
        return await _show_preview(page, id, Filled({}), None)


@router.post("/rounds/{id:uuid}/issue", dependencies=[allowed(Action.RUN_ROUNDS)])
async def issue(visit: Visiting, id: UUID) -> Response:
    """Issue the questionnaire to the parties that were chosen."""
    form = await visit.form()
    filled = Filled.of(form)
    chosen = [party for each in form.getlist("party") if (party := read_uuid(each))]
    if not chosen:
        filled.fault("party", _("Choose at least one party."))
    elif len(chosen) > 300:
        filled.fault("party", _("Choose at most 300 parties at once."))
    else:
        answer = await give(visit, IssueRound(round_id=id, party_ids=tuple(chosen)), visit.actor, form)
        if answer.outcome == "done":
            return visit.go(f"/rounds/{id}", answer.position)
        filled.refuse(answer)
    async with visit.look() as page:
        return await _show_preview(page, id, filled, set(chosen))


async def _show_preview(page: Page, id: UUID, filled: Filled, chosen: set[UUID] | None) -> Response:
    round = page.found(await rounds.round_named(page.picture, id))
    asked = {row["party_id"] for row in await rounds.invitations(page.picture, round_id=id)}
    audience = Audience(categories=tuple(Category(each) for each in round["categories"]))
    rows = by_name(await parties.parties(page.picture))
    candidates = [_candidate(row, audience) for row in rows if row["id"] not in asked]
    eligible = [each for each in candidates if each.objection is None]
    return page.show(
        "rounds/issue.html",
        filled.status,
        round=round,
        filled=filled,
        asked=len(asked),
        eligible={name: [each for each in eligible if each.region == name] for name in words.REGIONS},
        number=len(eligible),
        passed=Due(on=round["due_on"], at=round["due_at"]).moment("Etc/GMT+12") <= page.now,
        others=[each for each in candidates if each.objection],
        chosen=chosen,
        key=new_key(),
    )


def _candidate(row: Record, audience: Audience) -> Candidate:
    party = Candidate(
        row["id"],
        row["iso3"],
        party_name(row["name"], row["iso3"]),
        row["region"],
        Category(row["category"]),
        objection=None,
    )
    if audience.objection(party) is None:
        return party
    return replace(
        party, objection=_("The round is not for %(parties)s.", parties=words.audience([party.category]))
    )
