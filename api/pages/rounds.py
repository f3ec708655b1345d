"""The pages of a round: the list of all, and the board that says who owes an answer."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, Response

from api.access import allowed
from api.pages import words
from api.pages.forms import Filled, give, new_key
from api.pages.frame import Page, Visiting
from api.pages.home import is_live
from api.pages.translations import _, later
from domain.access import Action
from domain.rounds import Due
from projections import letters, questionnaires, rounds
from projections.reading import Record
from services.rounds import ExtendRound

router = APIRouter()

OPEN = ("issued", "lapsed")
"""The states in which a party owes an answer."""

WAITING = {
    "awaited": later("Answers awaited"),
    "soon": later("Due within a week"),
    "overdue": later("Answers overdue"),
    "escalated": later("Overdue and escalated"),
    "bounced": later("Owing an answer, with a letter that bounced"),
    "nobody": later("Owing an answer, with no official contact point to write to"),
}
"""Why questionnaires wait, in words. The reasons are those of projections.rounds."""

_ORDER = {"lapsed": 0, "issued": 1, "received": 2, "withdrawn": 3}


@router.get("/rounds", dependencies=[allowed(Action.SEE_ROUNDS)])
async def every_round(visit: Visiting) -> Response:
    """List the rounds, those with something to watch first."""
    async with visit.look() as page:
        found = await rounds.overview(page.picture)
        live = [round for round in found if is_live(page, round)]
        return page.show("rounds/list.html", live=live, others=[each for each in found if each not in live])


@router.get("/rounds/waiting", dependencies=[allowed(Action.SEE_ROUNDS)])
async def waiting(visit: Visiting, why: str = "overdue") -> Response:
    """List the questionnaires of all rounds that wait for one reason."""
    async with visit.look() as page:
        why = page.found(why if why in WAITING else None)
        return page.show(
            "rounds/waiting.html",
            why=why,
            reasons=WAITING,
            numbers=await rounds.waiting_numbers(page.picture, page.now),
            rows=await rounds.waiting(page.picture, page.now, why),
        )


@router.get("/rounds/{id:uuid}", dependencies=[allowed(Action.SEE_ROUNDS)])
async def board(visit: Visiting, id: UUID, region: str = "", state: str = "") -> Response:
    """Show who owes an answer, what was sent and what comes next."""
    async with visit.look() as page:
        return await show_board(page, id, region=region, state=state)


async def show_board(
    page: Page, id: UUID, region: str = "", state: str = "", filled: Filled | None = None
) -> Response:
    """Draw the board of a round, with the form for an extension as it was filled in."""
    found = [round for round in await rounds.overview(page.picture) if round["id"] == id]
    round = page.found(found[0] if found else None)
    rows = await rounds.board(page.picture, id)
    filled = filled or Filled({})
    return page.show(
        "rounds/board.html",
        filled.status,
        round=round,
        live=is_live(page, round),
        questionnaire=await questionnaires.questionnaire(page.picture, round["questionnaire_id"]),
        rates=await rounds.response_rates(page.picture, id),
        account=await letters.account(page.picture, id),
        latest=[
            letter
            for letter in await letters.newest_first(page.picture, round_id=id, limit=6)
            if letter["ended_at"]
        ],
        states=Counter(row["state"] for row in rows),
        begun=sum(1 for row in rows if row["begun_at"] and row["state"] in OPEN),
        regions=[name for name in words.REGIONS if any(row["region"] == name for row in rows)],
        asked=len(rows),
        rows=_chosen(rows, region, state),
        region=region,
        state=state,
        filled=filled,
        key=new_key(),
    )


def _chosen(rows: Sequence[Record], region: str, state: str) -> list[Record]:
    """Pick the rows that the reader asked for: those that owe an answer first."""
    states = OPEN if state == "owing" else (state,)
    chosen = [
        row
        for row in rows
        if (not region or row["region"] == region) and (not state or row["state"] in states)
    ]
    return sorted(chosen, key=lambda row: _ORDER.get(row["state"], 9))


@router.get("/rounds/{id:uuid}/extend", dependencies=[allowed(Action.SEE_ROUNDS)])
async def back_to_board(visit: Visiting, id: UUID) -> Response:
    """Go to the board: whoever loads the answer to a form again gets here."""
    return visit.go(f"/rounds/{id}")


@router.post("/rounds/{id:uuid}/extend", dependencies=[allowed(Action.RUN_ROUNDS)])
async def extend(visit: Visiting, id: UUID) -> Response:
    """Move the due date of the round and of every invitation that is still open."""
    form = await visit.form()
    filled = Filled.of(form)
    on, at = filled.day("due_on"), filled.moment("due_at", visit.settings.secretariat_time_zone)
    reason = filled.words("reason", _("Say why the round is extended."))
    if not on and not at and not filled.faults:
        filled.fault("due", _("Choose the new due date."))
    if not filled.faults:
        async with visit.look() as page:
            rows = await rounds.board(page.picture, id)
        command = ExtendRound(
            round_id=id,
            due=Due(on=on, at=None if on else at),
            reason=reason[:2_000],
            invitation_ids=tuple(row["id"] for row in rows if row["state"] in OPEN),
        )
        answer = await give(visit, command, visit.actor, form)
        if answer.outcome == "done":
            return visit.go(f"/rounds/{id}", answer.position)
        filled.refuse(answer)
    async with visit.look() as page:
        return await show_board(page, id, filled=filled)
