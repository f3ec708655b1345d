"""What the finance officer does with trust funds over HTTP.

What a command makes has an id that follows from its key: sent twice, it is the same.
"""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import Field

from api.access import allowed
from api.funding import ContributionId, FundId
from api.http import Calling, CallingOnVersion, Model
from api.openapi import problems_of_command
from domain.access import Action
from domain.aggregates import Line, identify
from domain.contributions import Valuation
from domain.earmarks import Earmark, Name, Purpose
from domain.funding import FundParticulars
from domain.money import Exchange, Source, Sum, SupportCost
from domain.rounds import Reason
from services.commands import Recorded
from services.funding import (
    AgreeSupportCost,
    CommitMoney,
    EstablishFund,
    RecordDeliveryInKind,
    RecordExchange,
    RecordExpenditure,
    RecordOfferInKind,
    RecordPledge,
    RecordReceipt,
    RecordReturn,
    ReducePledge,
    RefundDonor,
    RegisterDonor,
    ReleaseMoney,
    ReserveMoney,
    ReverseMovement,
)

router = APIRouter(prefix="/funds", tags=["funding"])
donors_router = APIRouter(prefix="/donors", tags=["funding"])
contributions_router = APIRouter(prefix="/contributions", tags=["funding"])

MovementId = Annotated[UUID, Path(description="The id of the movement.")]


class NewDonor(Model):
    """A donor to register."""

    code: Name
    """Its short name: of a State its ISO code."""
    name: Name
    party_id: UUID | None = None


class NewPledge(Model):
    """Money that a donor promised."""

    fund_id: UUID
    donor_id: UUID
    amount: Sum
    earmark: Earmark = Earmark()
    support_cost: SupportCost = SupportCost()
    pledged_on: date
    expected_on: date | None = None
    notice: Line | None = None


class NewOfferInKind(Model):
    """Something other than money that a donor promised."""

    fund_id: UUID
    donor_id: UUID
    what: Source
    valuation: Valuation
    earmark: Earmark = Earmark()
    offered_on: date
    notice: Line | None = None


class NewReceipt(Model):
    """Money that came in."""

    paid: Sum
    exchange: Exchange | None = None
    """The rate, where it was not paid in the currency of the fund."""
    received_on: date


class NewExchange(Model):
    """The rate at which a receipt was exchanged in the end."""

    exchange: Exchange


class NewRefund(Model):
    """Money that was given back."""

    amount: Sum
    refunded_on: date
    reason: Reason


class NewTerms(Model):
    """Another rate of support cost."""

    support_cost: SupportCost


class NewReduction(Model):
    """What will not come of a pledge."""

    amount: Sum
    reason: Reason


class NewDelivery(Model):
    """When something in kind was delivered."""

    delivered_on: date


class NewReservation(Model):
    """Money to set aside."""

    amount: Sum
    purpose: Purpose
    other_fund_ids: tuple[UUID, ...] = Field(default=(), max_length=19)
    """Funds of the same currency that are asked, in this order, when the first has not enough."""


class NewCommitment(Model):
    """Money to promise to somebody, out of a reservation."""

    amount: Sum
    agreement: Source
    """By what it is promised, such as a contract by its number."""


class NewExpenditure(Model):
    """Money that was paid, out of a commitment."""

    amount: Sum
    voucher: Source
    """What shows that it was paid, such as a document of the accounts by its number."""
    spent_on: date


class NewRelease(Model):
    """Money that is not needed."""

    amount: Sum | None = None
    """All that is left when it is not given."""
    reason: Reason


class NewReturn(Model):
    """Money that was paid and came back."""

    amount: Sum
    returned_on: date
    reason: Reason


class NewReversal(Model):
    """Why a movement is taken back."""

    reason: Reason


MANAGING: dict[str, Any] = {
    "response_model": Recorded,
    "dependencies": [allowed(Action.MANAGE_FUNDS)],
}
NEW: dict[str, Any] = MANAGING | {
    "status_code": 201,
    "responses": problems_of_command("not-found"),
}
CHANGE: dict[str, Any] = MANAGING | {
    "responses": problems_of_command("not-found", "precondition-required"),
}


def _new(caller: Calling, what: str) -> UUID:
    return identify(what, caller.key.id)


@router.post("", summary="Establish a trust fund", **NEW)
async def establish_fund(caller: Calling, particulars: FundParticulars) -> Response:
    """Establish a trust fund in one currency. Its short name makes its id."""
    command = EstablishFund.model_validate(particulars.model_dump())
    return await caller.carry_out(command, "/api/v1/funds/{id}")


@donors_router.post("", summary="Register a donor", **NEW)
async def register_donor(caller: Calling, donor: NewDonor) -> Response:
    """Enter a State or an organization in the register of donors. Its short name makes its id."""
    return await caller.carry_out(RegisterDonor(**dict(donor)))


@contributions_router.post("", summary="Record a pledge", **NEW)
async def record_pledge(caller: Calling, pledge: NewPledge) -> Response:
    """Record that a donor promised money to a fund. Nothing moves until it comes in."""
    command = RecordPledge(id=_new(caller, "contribution"), **dict(pledge))
    return await caller.carry_out(command, "/api/v1/contributions/{id}")


@contributions_router.post("/in-kind", summary="Record an offer in kind", **NEW)
async def record_offer_in_kind(caller: Calling, offer: NewOfferInKind) -> Response:
    """Record that a donor promised something other than money, with its value and who valued it."""
    command = RecordOfferInKind(id=_new(caller, "contribution"), **dict(offer))
    return await caller.carry_out(command, "/api/v1/contributions/{id}")


@contributions_router.post("/{contribution_id}/delivery", summary="Record a delivery in kind", **CHANGE)
async def record_delivery(
    caller: CallingOnVersion, contribution_id: ContributionId, delivery: NewDelivery
) -> Response:
    """Record that what was promised in kind was delivered."""
    return await caller.carry_out(
        RecordDeliveryInKind(contribution_id=contribution_id, delivered_on=delivery.delivered_on)
    )


@contributions_router.post("/{contribution_id}/support-cost", summary="Agree on support cost", **CHANGE)
async def agree_support_cost(
    caller: CallingOnVersion, contribution_id: ContributionId, terms: NewTerms
) -> Response:
    """Record another rate of support cost and where it is agreed, for what comes in from now on."""
    return await caller.carry_out(
        AgreeSupportCost(contribution_id=contribution_id, support_cost=terms.support_cost)
    )


@contributions_router.post("/{contribution_id}/reductions", summary="Reduce a pledge", **CHANGE)
async def reduce_pledge(
    caller: CallingOnVersion, contribution_id: ContributionId, reduction: NewReduction
) -> Response:
    """Record that part of what was promised will not come."""
    return await caller.carry_out(ReducePledge(contribution_id=contribution_id, **dict(reduction)))


@contributions_router.post("/{contribution_id}/receipts", summary="Record a receipt", **NEW)
async def record_receipt(caller: Calling, contribution_id: ContributionId, receipt: NewReceipt) -> Response:
    """Record that money came in: it is free in the fund at once, less the support cost."""
    id = _new(caller, "receipt")
    return await caller.carry_out(RecordReceipt(id=id, contribution_id=contribution_id, **dict(receipt)))


@contributions_router.post(
    "/{contribution_id}/receipts/{movement_id}/exchange", summary="Record a rate of exchange", **NEW
)
async def record_exchange(
    caller: Calling, contribution_id: ContributionId, movement_id: MovementId, exchange: NewExchange
) -> Response:
    """Record at which rate a receipt was exchanged in the end: the fund gains or loses the difference."""
    command = RecordExchange(
        id=_new(caller, "exchange"),
        contribution_id=contribution_id,
        receipt_id=movement_id,
        exchange=exchange.exchange,
    )
    return await caller.carry_out(command)


@contributions_router.post("/{contribution_id}/refunds", summary="Record a refund to the donor", **NEW)
async def refund_donor(caller: Calling, contribution_id: ContributionId, refund: NewRefund) -> Response:
    """Record that money was given back to the donor, with its share of the support cost."""
    id = _new(caller, "refund")
    return await caller.carry_out(RefundDonor(id=id, contribution_id=contribution_id, **dict(refund)))


@router.post("/{fund_id}/reservations", summary="Reserve money", **NEW)
async def reserve(caller: Calling, fund_id: FundId, reservation: NewReservation) -> Response:
    """Set money aside for a purpose: all of it, or nothing. The refusal says what is free."""
    command = ReserveMoney(
        id=_new(caller, "reservation"),
        fund_ids=(fund_id, *reservation.other_fund_ids),
        amount=reservation.amount,
        purpose=reservation.purpose,
    )
    return await caller.carry_out(command)


@router.post("/{fund_id}/movements/{movement_id}/commitments", summary="Commit money", **NEW)
async def commit(
    caller: Calling, fund_id: FundId, movement_id: MovementId, commitment: NewCommitment
) -> Response:
    """Promise money of a reservation to somebody."""
    id = _new(caller, "commitment")
    facts = {"fund_id": fund_id, "reservation_id": movement_id, **dict(commitment)}
    return await caller.carry_out(CommitMoney(id=id, **facts))


@router.post("/{fund_id}/movements/{movement_id}/expenditures", summary="Record an expenditure", **NEW)
async def record_expenditure(
    caller: Calling, fund_id: FundId, movement_id: MovementId, expenditure: NewExpenditure
) -> Response:
    """Record that money of a commitment was paid."""
    id = _new(caller, "expenditure")
    facts = {"fund_id": fund_id, "commitment_id": movement_id, **dict(expenditure)}
    return await caller.carry_out(RecordExpenditure(id=id, **facts))


@router.post("/{fund_id}/movements/{movement_id}/releases", summary="Release money", **NEW)
async def release(caller: Calling, fund_id: FundId, movement_id: MovementId, release: NewRelease) -> Response:
    """Make free again what is not needed of a reservation or a commitment."""
    id = _new(caller, "release")
    facts = {"fund_id": fund_id, "movement_id": movement_id, **dict(release)}
    return await caller.carry_out(ReleaseMoney(id=id, **facts))


@router.post("/{fund_id}/movements/{movement_id}/returns", summary="Record money that came back", **NEW)
async def record_return(
    caller: Calling, fund_id: FundId, movement_id: MovementId, returned: NewReturn
) -> Response:
    """Record that money of an expenditure came back."""
    id = _new(caller, "return")
    facts = {"fund_id": fund_id, "expenditure_id": movement_id, **dict(returned)}
    return await caller.carry_out(RecordReturn(id=id, **facts))


@router.post("/{fund_id}/movements/{movement_id}/reversal", summary="Reverse a movement", **NEW)
async def reverse(
    caller: Calling, fund_id: FundId, movement_id: MovementId, reversal: NewReversal
) -> Response:
    """Take back a movement that was recorded in error, and what came with it."""
    id = _new(caller, "reversal")
    command = ReverseMovement(id=id, fund_id=fund_id, movement_id=movement_id, reason=reversal.reason)
    return await caller.carry_out(command)
