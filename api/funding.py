"""Trust funds over HTTP: accounts, movements, what donors promised and paid, and what is done with it."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.access import Rights, allowed
from api.http import (
    Cursor,
    Limit,
    Model,
    Page,
    Reading,
    found,
    page,
    services_of,
    tag,
)
from api.openapi import problems
from domain.access import Action
from domain.accounts import Accounts, MovementKind
from domain.contributions import Valuation
from domain.earmarks import Earmark, Purpose
from domain.funding import TrustFund
from domain.money import Exchange, Money, SupportCost
from domain.parties import Region
from domain.resources import ResourceCheck, check_resources
from projections import funding as questions
from projections.reading import Picture, Record

router = APIRouter(prefix="/funds", tags=["funding"])
donors_router = APIRouter(prefix="/donors", tags=["funding"])
contributions_router = APIRouter(prefix="/contributions", tags=["funding"])

FundId = Annotated[UUID, Path(description="The id of the trust fund.")]
ContributionId = Annotated[UUID, Path(description="The id of the contribution.")]
Before = Annotated[int | None, Query(alias="cursor", ge=1, description="Where to go on: taken from `next`.")]


class FundRecord(Model):
    """A trust fund as it stands."""

    id: UUID
    code: str
    name: str
    currency: str
    accounts: Accounts
    outstanding: Money
    """What is promised in the currency of the fund and has not come in."""
    source: str
    confidence: str
    """How sure the facts about the fund are."""
    version: int
    position: int
    """The event that made the record what it is."""


class EarmarkRecord(Model):
    """The money of one earmark in a fund."""

    earmark: Earmark
    accounts: Accounts


class OneFund(FundRecord):
    """A trust fund with the accounts of each earmark."""

    earmarks: list[EarmarkRecord]


class FundList(Model):
    """All trust funds."""

    items: list[FundRecord]
    position: int
    """The position of the log that the list shows."""


class DonorRecord(Model):
    """A State or an organization that gives."""

    id: UUID
    code: str
    name: str
    party_id: UUID | None
    """The party that it is, if it is one."""
    version: int
    position: int
    """The event that made the record what it is."""


class DonorList(Model):
    """All donors."""

    items: list[DonorRecord]
    position: int
    """The position of the log that the list shows."""


class ContributionRecord(Model):
    """What one donor gives to one fund, as it stands."""

    id: UUID
    fund_id: UUID
    fund: str
    """The short name of the fund."""
    donor_id: UUID
    donor: str
    in_kind: bool
    what: str | None
    """Of something in kind, what it is."""
    valuation: Valuation | None
    """Of something in kind, what it is worth and who says so."""
    pledged: Money
    """What was promised, less what will not come."""
    outstanding: Money
    """What was promised and has not come in."""
    earmark: Earmark
    support_cost: SupportCost | None
    """By which terms support cost is taken from what comes in now; none of something in kind."""
    accounts: Accounts
    """What became of the money that came in."""
    pledged_on: date
    expected_on: date | None
    delivered_on: date | None
    """Of something in kind, when it was delivered."""
    notice: str | None
    """A note that whoever shows the contribution must show too."""
    version: int
    position: int
    """The event that made the record what it is."""


class ContributionPage(Page[ContributionRecord]):
    """Part of the list of contributions."""


class MovementRecord(Model):
    """Money that moved from one account to another."""

    id: UUID
    fund_id: UUID
    number: int
    """Its number in the history of the fund."""
    kind: MovementKind
    """What moved the money; of a reversal, what is reversed."""
    amount: Money
    part: Money
    """How much of it is money of the contribution that was asked for; else the same."""
    left: Money
    """What no later movement has taken on."""
    of: UUID | None
    """The movement that it stands on."""
    day: date | None
    """The day on which it happened, where that is known apart from when it was recorded."""
    recorded_at: datetime
    note: str | None
    """The agreement, the voucher or the reason."""
    purpose: Purpose
    """What it was reserved for."""
    exchange: Exchange | None
    reverses: UUID | None
    """The movement that it takes back."""
    reversed_by: UUID | None
    """The movement that took it back."""
    position: int
    """The event that recorded it."""


class MovementPage(Page[MovementRecord]):
    """Part of the movements of a fund, newest first."""


def _accounts(row: Record, currency: str) -> Accounts:
    return Accounts(**{name: Money.of(row[name], currency) for name in Accounts.model_fields})


def _named(row: Record, model: type[Purpose]) -> Purpose:
    return model.model_validate({name: row[name] for name in Purpose.model_fields})


def _fund(row: Record) -> dict[str, Any]:
    currency = row["currency"]
    return row | {
        "accounts": _accounts(row, currency),
        "outstanding": Money.of(row["outstanding"], currency),
    }


def _contribution(row: Record) -> dict[str, Any]:
    pledged = Money.of(row["pledged"], row["currency"])
    facts: dict[str, Any] = {"valuation": None, "support_cost": None}
    if row["in_kind"]:
        facts["valuation"] = {
            "amount": pledged,
            "valued_by": row["valued_by"],
            "basis": row["valuation_basis"],
            "valued_on": row["valued_on"],
        }
    else:
        facts["support_cost"] = {"rate_percent": row["rate_percent"], "source": row["rate_source"]}
    return row | {
        "pledged": pledged,
        "outstanding": Money.of(row["outstanding"], row["currency"]),
        "earmark": _named(row, Earmark),
        "accounts": _accounts(row, row["fund_currency"]),
        **facts,
    }


def _movement(row: Record) -> dict[str, Any]:
    exchange = None
    if row["rate"] is not None:
        exchange = {"rate": row["rate"], "on": row["rate_on"], "source": row["rate_source"]}
    amounts = {name: Money.of(row[name], row["currency"]) for name in ("amount", "part", "left")}
    return row | amounts | {"exchange": exchange, "purpose": _named(row, Purpose)}


# Reading.


@router.get(
    "", summary="List the trust funds", responses=problems(), dependencies=[allowed(Action.SEE_FUNDS)]
)
async def list_funds(picture: Reading) -> FundList:
    """Return the trust funds with their accounts, by their short name."""
    rows = [_fund(row) for row in await questions.funds(picture)]
    return FundList.model_validate({"items": rows, "position": picture.position})


@router.get(
    "/{fund_id}",
    summary="Read a trust fund",
    responses=problems("not-found"),
    response_model=OneFund,
    dependencies=[allowed(Action.SEE_FUNDS)],
)
async def read_fund(picture: Reading, response: Response, fund_id: FundId) -> dict[str, Any]:
    """Return one trust fund with its accounts, and those of each earmark."""
    row = tag(response, found(await questions.fund(picture, fund_id), "trust fund", fund_id, picture))
    earmarks = [
        {"earmark": _named(part, Earmark), "accounts": _accounts(part, row["currency"])}
        for part in await questions.by_earmark(picture, fund_id)
    ]
    return _fund(row) | {"earmarks": earmarks}


@router.get(
    "/{fund_id}/movements",
    summary="List the movements of a trust fund",
    responses=problems("not-found"),
    dependencies=[allowed(Action.SEE_FUNDS)],
)
async def list_movements(
    request: Request, picture: Reading, fund_id: FundId, before: Before = None, limit: Limit = 200
) -> MovementPage:
    """Return what moved in a fund, newest first: each opens to its event."""
    found(await questions.fund(picture, fund_id), "trust fund", fund_id, picture)
    rows = await questions.movements(picture, fund_id=fund_id, before=before, limit=limit + 1)
    shown = [_movement(row) for row in rows]
    return MovementPage.model_validate(page(request, picture, shown, limit, "number"))


@router.get(
    "/{fund_id}/check",
    summary="Check whether there is money for a purpose",
    responses=problems("not-found"),
    dependencies=[allowed(Action.SEE_FUNDS)],
)
async def check(
    request: Request,
    fund_id: FundId,
    amount: Annotated[
        str, Query(pattern=r"^\d{1,12}(\.\d{1,3})?$", description="How much is asked for, such as 1250.00.")
    ],
    programme: Annotated[str | None, Query(max_length=200, description="For which programme.")] = None,
    theme: Annotated[str | None, Query(max_length=200, description="For which theme.")] = None,
    region: Annotated[Region | None, Query(description="For which region.")] = None,
    activity_id: Annotated[UUID | None, Query(description="For which activity.")] = None,
) -> ResourceCheck:
    """Say what a fund has free for a purpose, and whether it is enough. Nothing is recorded."""
    fund = await services_of(request).store.read(TrustFund, fund_id)
    purpose = Purpose(programme=programme, theme=theme, region=region, activity_id=activity_id)
    return check_resources(Money.of(amount, fund.currency), purpose, [fund.at_hand(purpose)])


@donors_router.get(
    "", summary="List the donors", responses=problems(), dependencies=[allowed(Action.SEE_FUNDS)]
)
async def list_donors(picture: Reading) -> DonorList:
    """Return the donors by their names."""
    rows = await questions.donors(picture)
    return DonorList.model_validate({"items": rows, "position": picture.position})


@contributions_router.get(
    "",
    summary="List contributions",
    responses=problems(),
    dependencies=[allowed(Action.SEE_CONTRIBUTIONS)],
)
async def list_contributions(
    request: Request,
    right: Rights,
    picture: Reading,
    fund_id: Annotated[UUID | None, Query(description="Only contributions to this fund.")] = None,
    cursor: Cursor = None,
    limit: Limit = 200,
) -> ContributionPage:
    """Return contributions: all, or those of the donor for whom one speaks."""
    rows = await questions.contributions(
        picture, right.owner_ids, fund_id=fund_id, after=cursor, limit=limit + 1
    )
    shown = [_contribution(row) for row in rows]
    return ContributionPage.model_validate(page(request, picture, shown, limit))


@contributions_router.get(
    "/{contribution_id}",
    summary="Read a contribution",
    responses=problems("not-found"),
    response_model=ContributionRecord,
    dependencies=[allowed(Action.SEE_CONTRIBUTIONS)],
)
async def read_contribution(
    right: Rights, picture: Reading, response: Response, contribution_id: ContributionId
) -> dict[str, Any]:
    """Return one contribution, and what became of its money."""
    return _contribution(tag(response, await _within_reach(right, picture, contribution_id)))


@contributions_router.get(
    "/{contribution_id}/movements",
    summary="List the movements of a contribution",
    responses=problems("not-found"),
    dependencies=[allowed(Action.SEE_CONTRIBUTIONS)],
)
async def list_movements_of_contribution(
    request: Request,
    right: Rights,
    picture: Reading,
    contribution_id: ContributionId,
    before: Before = None,
    limit: Limit = 200,
) -> MovementPage:
    """Return what became of the money of a contribution, newest first."""
    await _within_reach(right, picture, contribution_id)
    rows = await questions.movements(picture, contribution_id=contribution_id, before=before, limit=limit + 1)
    shown = [_movement(row) for row in rows]
    return MovementPage.model_validate(page(request, picture, shown, limit, "number"))


async def _within_reach(right: Rights, picture: Picture, id: UUID) -> Record:
    row = await questions.contribution(picture, id)
    if row is not None and not right.covers({row["donor_id"]}):
        row = None
    return found(row, "contribution", id, picture)
