"""Trust funds as people see them: how each stands, what moved in it, and what donors gave."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from fastapi import APIRouter, Response

from api.access import Right, Rights, allowed
from api.pages import words
from api.pages.forms import Filled, give, key_of, new_key
from api.pages.frame import Page, Visit, Visiting
from api.pages.funding_deeds import OF_CONTRIBUTIONS, OF_FUNDS, OF_MOVEMENTS, OF_THE_LIST, Deed, Deeds
from api.pages.translations import _, known, later
from domain.access import Action
from domain.aggregates import identify
from domain.money import DECIMALS
from projections import funding
from projections.reading import Record

router = APIRouter()

ACCOUNTS = {
    "spent": later("Spent on activities"),
    "support_cost": later("Spent as support cost"),
    "committed": later("Committed"),
    "reserved": later("Reserved"),
    "free": later("Free"),
}
"""The accounts that make up what was received, in the order in which they are shown."""
MOVEMENTS_ON_A_PAGE = 100


class Segment(NamedTuple):
    """One part of a bar, in per cent of the whole."""

    account: str
    start: Decimal
    width: Decimal


def bar(row: Record) -> list[Segment]:
    """Return the parts of what was received, as a bar shows them; none where nothing was or more is spent."""
    if row["received"] <= 0 or row["free"] < 0:
        return []
    parts, start = [], Decimal(0)
    for account in ACCOUNTS:
        width = 100 * row[account] / row["received"]
        if width:
            parts.append(Segment(account, start.quantize(Decimal("0.01")), width.quantize(Decimal("0.01"))))
        start += width
    return parts


def earmark(row: Record) -> str:
    """Say what money may be spent on, or what it is wanted for."""
    region = known(words.REGIONS[row["region"]]) if row["region"] else None
    activity = str(row["activity_id"]) if row["activity_id"] else None
    return words.list_of(filter(None, (row["programme"], row["theme"], region, activity)))


# Looking.


@router.get("/funds", dependencies=[allowed(Action.SEE_FUNDS)])
async def every_fund(visit: Visiting) -> Response:
    """List the funds, each with what became of what it received."""
    async with visit.look() as page:
        return await _show_list(page)


async def _show_list(page: Page, deeds: Deeds | None = None) -> Response:
    return page.show(
        "funding/list.html",
        deeds.status if deeds else 200,
        funds=await funding.funds(page.picture),
        notices=await funding.notices(page.picture),
        donors=await funding.donors(page.picture),
        **_drawing(deeds or Deeds(OF_THE_LIST)),
    )


@router.get("/funds/{id:uuid}", dependencies=[allowed(Action.SEE_FUNDS)])
async def one_fund(visit: Visiting, id: UUID, before: int | None = None) -> Response:
    """Show the accounts of a fund, by earmark and by contribution, and its movements."""
    async with visit.look() as page:
        return await _show_fund(page, id, before)


async def _show_fund(page: Page, id: UUID, before: int | None = None, deeds: Deeds | None = None) -> Response:
    fund = page.found(await funding.fund(page.picture, id))
    found = await funding.movements(page.picture, fund_id=id, before=before, limit=MOVEMENTS_ON_A_PAGE + 1)
    return page.show(
        "funding/fund.html",
        deeds.status if deeds else 200,
        fund=fund,
        notices=await funding.notices(page.picture),
        earmarks=await funding.by_earmark(page.picture, id),
        contributions=await funding.contributions(page.picture, fund_id=id),
        donors=await funding.donors(page.picture),
        **_moved(found),
        **_drawing(deeds or Deeds(OF_FUNDS, fund)),
    )


@router.get("/funds/{id:uuid}/movements/{movement:uuid}", dependencies=[allowed(Action.SEE_FUNDS)])
async def one_movement(visit: Visiting, id: UUID, movement: UUID) -> Response:
    """Show one movement, what stands on it, and what can be done with it."""
    async with visit.look() as page:
        return await _show_movement(page, id, movement)


async def _show_movement(page: Page, id: UUID, movement_id: UUID, deeds: Deeds | None = None) -> Response:
    movement = page.found(await funding.movement(page.picture, id, movement_id))
    return page.show(
        "funding/movement.html",
        deeds.status if deeds else 200,
        movement=movement,
        parts=await funding.parts(page.picture, id, movement_id),
        **_moved(await funding.movements_on(page.picture, id, movement_id)),
        **_drawing(deeds or Deeds(OF_MOVEMENTS, movement)),
    )


@router.get("/contributions", dependencies=[allowed(Action.SEE_CONTRIBUTIONS)])
async def every_contribution(visit: Visiting, right: Rights) -> Response:
    """List contributions: all, or those of the donor for whom one speaks."""
    async with visit.look() as page:
        rows = await funding.contributions(page.picture, right.owner_ids)
        notices = await funding.notices(page.picture, right.owner_ids)
        return page.show("funding/contributions.html", contributions=rows, notices=notices, earmark=earmark)


@router.get("/contributions/{id:uuid}", dependencies=[allowed(Action.SEE_CONTRIBUTIONS)])
async def one_contribution(visit: Visiting, right: Rights, id: UUID) -> Response:
    """Show what a donor promised and paid, and what became of it."""
    async with visit.look() as page:
        return await _show_contribution(page, right, id)


async def _show_contribution(page: Page, right: Right, id: UUID, deeds: Deeds | None = None) -> Response:
    row = page.found(await funding.contribution(page.picture, id))
    page.found(row if right.covers({row["donor_id"]}) else None)
    return page.show(
        "funding/contribution.html",
        deeds.status if deeds else 200,
        contribution=row,
        receipts=await funding.receipts(page.picture, id),
        donors=(),
        **_moved(await funding.movements(page.picture, contribution_id=id)),
        **_drawing(deeds or Deeds(OF_CONTRIBUTIONS, row)),
    )


def _moved(found: Sequence[Record]) -> dict[str, object]:
    shown = found[:MOVEMENTS_ON_A_PAGE]
    more = shown[-1]["number"] if len(found) > len(shown) else None
    return {"movements": shown, "more": more}


def _drawing(deeds: Deeds) -> dict[str, object]:
    return {
        "deeds": deeds,
        "accounts": ACCOUNTS,
        "bar": bar,
        "earmark": earmark,
        "currencies": sorted(DECIMALS),
        "new_key": new_key,
    }


# Doing. A form that is refused comes back as it was filled in, on the page from which it was sent.


@router.get("/funds/{deed}", dependencies=[allowed(Action.SEE_FUNDS)])
async def back_to_list(visit: Visiting, deed: str) -> Response:
    """Go to the list: whoever loads the answer to a form again gets here."""
    return visit.go("/funds")


@router.get("/funds/{id:uuid}/{deed}", dependencies=[allowed(Action.SEE_FUNDS)])
async def back_to_fund(visit: Visiting, id: UUID, deed: str) -> Response:
    """Go to the fund."""
    return visit.go(f"/funds/{id}")


@router.get("/funds/{id:uuid}/movements/{movement:uuid}/{deed}", dependencies=[allowed(Action.SEE_FUNDS)])
async def back_to_movement(visit: Visiting, id: UUID, movement: UUID, deed: str) -> Response:
    """Go to the movement."""
    return visit.go(f"/funds/{id}/movements/{movement}")


@router.get("/contributions/{id:uuid}/{deed}", dependencies=[allowed(Action.SEE_CONTRIBUTIONS)])
async def back_to_contribution(visit: Visiting, id: UUID, deed: str) -> Response:
    """Go to the contribution."""
    return visit.go(f"/contributions/{id}")


@router.post("/funds/{deed}", dependencies=[allowed(Action.MANAGE_FUNDS)])
async def do_in_list(visit: Visiting, deed: str) -> Response:
    """Establish a fund, or register a donor."""
    deeds = Deeds(OF_THE_LIST)
    if (position := await _do(visit, deeds, deed)) is not None:
        return visit.go("/funds", position)
    async with visit.look() as page:
        return await _show_list(page, deeds)


@router.post("/funds/{id:uuid}/{deed}", dependencies=[allowed(Action.MANAGE_FUNDS)])
async def do_with_fund(visit: Visiting, id: UUID, deed: str) -> Response:
    """Record a promise to a fund, or reserve money of it."""
    async with visit.look() as page:
        deeds = Deeds(OF_FUNDS, page.found(await funding.fund(page.picture, id)))
    if (position := await _do(visit, deeds, deed)) is not None:
        return visit.go(f"/funds/{id}", position)
    async with visit.look() as page:
        return await _show_fund(page, id, deeds=deeds)


@router.post("/funds/{id:uuid}/movements/{movement:uuid}/{deed}", dependencies=[allowed(Action.MANAGE_FUNDS)])
async def do_with_movement(visit: Visiting, id: UUID, movement: UUID, deed: str) -> Response:
    """Commit, spend, release, take back, exchange or reverse."""
    async with visit.look() as page:
        deeds = Deeds(OF_MOVEMENTS, page.found(await funding.movement(page.picture, id, movement)))
    if (position := await _do(visit, deeds, deed)) is not None:
        return visit.go(f"/funds/{id}", position)
    async with visit.look() as page:
        return await _show_movement(page, id, movement, deeds)


@router.post("/contributions/{id:uuid}/{deed}", dependencies=[allowed(Action.MANAGE_FUNDS)])
async def do_with_contribution(visit: Visiting, right: Rights, id: UUID, deed: str) -> Response:
    """Record a receipt, a refund, other terms, a reduction or a delivery."""
    async with visit.look() as page:
        deeds = Deeds(OF_CONTRIBUTIONS, page.found(await funding.contribution(page.picture, id)))
    if (position := await _do(visit, deeds, deed)) is not None:
        return visit.go(f"/contributions/{id}", position)
    async with visit.look() as page:
        return await _show_contribution(page, right, id, deeds)


async def _do(visit: Visit, deeds: Deeds, name: str) -> int | None:
    """Carry out what a form asks for and return its position, or None when it is to be shown again."""
    form = await visit.form()
    deeds.filled, deeds.posted = Filled.of(form), name
    deed: Deed | None = deeds.all.get(name)
    if deed is None:
        deeds.filled.fault("", _("There is no such form."))
        return None
    command = deed.command(deeds.record, identify(f"form {name}", key_of(form)), deeds.filled)
    if command is None:
        return None
    answer = await give(visit, command, visit.actor, form)
    if answer.outcome == "done":
        return answer.position
    deeds.filled.refuse(answer)
    return None
