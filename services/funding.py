"""Keeps the books of trust funds: what donors promise and pay, and what is set aside, promised and spent.

What a contribution and its fund must agree on is saved together: both change, or neither.
"""

from datetime import date
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from domain import contributions, funding
from domain.accounts import MovementKind
from domain.aggregates import Line
from domain.contributions import Contribution, Donor, Valuation, donor_id, must_be_new_donor
from domain.earmarks import Earmark, Name, Purpose
from domain.funding import FundParticulars, TrustFund, fund_id
from domain.money import Exchange, Source, Sum, SupportCost
from domain.resources import check_resources, must_be_available
from domain.rounds import Reason
from services.commands import Command, Recorded, Unit


class EstablishFund(Command, FundParticulars):
    """Establish a trust fund."""

    creates: ClassVar[bool] = True


class RegisterDonor(Command):
    """Enter a State or an organization that gives in the register."""

    creates: ClassVar[bool] = True
    code: Name
    name: Name
    party_id: UUID | None = None


class RecordPledge(Command):
    """Record that a donor promised money."""

    creates: ClassVar[bool] = True
    id: UUID
    fund_id: UUID
    donor_id: UUID
    amount: Sum
    earmark: Earmark = Earmark()
    support_cost: SupportCost = SupportCost()
    pledged_on: date
    expected_on: date | None = None
    notice: Line | None = None


class RecordOfferInKind(Command):
    """Record that a donor promised something other than money."""

    creates: ClassVar[bool] = True
    id: UUID
    fund_id: UUID
    donor_id: UUID
    what: Source
    valuation: Valuation
    earmark: Earmark = Earmark()
    offered_on: date
    notice: Line | None = None


class RecordDeliveryInKind(Command):
    """Record that what was promised in kind was delivered."""

    contribution_id: UUID
    delivered_on: date


class AgreeSupportCost(Command):
    """Record another rate of support cost, for what comes in from now on."""

    contribution_id: UUID
    support_cost: SupportCost


class ReducePledge(Command):
    """Record that part of what was promised will not come."""

    contribution_id: UUID
    amount: Sum
    reason: Reason


class RecordReceipt(Command):
    """Record that money of a contribution came in."""

    creates: ClassVar[bool] = True
    id: UUID
    contribution_id: UUID
    paid: Sum
    exchange: Exchange | None = None
    received_on: date


class RecordExchange(Command):
    """Record at which rate a receipt in another currency was exchanged in the end."""

    creates: ClassVar[bool] = True
    id: UUID
    contribution_id: UUID
    receipt_id: UUID
    exchange: Exchange


class RefundDonor(Command):
    """Record that money was given back to a donor."""

    creates: ClassVar[bool] = True
    id: UUID
    contribution_id: UUID
    amount: Sum
    refunded_on: date
    reason: Reason


class ReserveMoney(Command):
    """Set money aside for a purpose, from one or several funds of one currency."""

    creates: ClassVar[bool] = True
    id: UUID
    fund_ids: tuple[UUID, ...] = Field(min_length=1, max_length=20)
    """In the order in which they are asked."""
    amount: Sum
    purpose: Purpose


class CommitMoney(Command):
    """Promise money that is set aside to somebody."""

    creates: ClassVar[bool] = True
    id: UUID
    fund_id: UUID
    reservation_id: UUID
    amount: Sum
    agreement: Source


class RecordExpenditure(Command):
    """Record that money that was promised was paid."""

    creates: ClassVar[bool] = True
    id: UUID
    fund_id: UUID
    commitment_id: UUID
    amount: Sum
    voucher: Source
    spent_on: date


class ReleaseMoney(Command):
    """Make free again what is not needed of a reservation or a commitment."""

    creates: ClassVar[bool] = True
    id: UUID
    fund_id: UUID
    movement_id: UUID
    amount: Sum | None = None
    """All that is left when it is not given."""
    reason: Reason


class RecordReturn(Command):
    """Record that money that was paid came back."""

    creates: ClassVar[bool] = True
    id: UUID
    fund_id: UUID
    expenditure_id: UUID
    amount: Sum
    returned_on: date
    reason: Reason


class ReverseMovement(Command):
    """Take back a movement that was recorded in error."""

    creates: ClassVar[bool] = True
    id: UUID
    fund_id: UUID
    movement_id: UUID
    reason: Reason


class Funding:
    """The handlers of all commands about trust funds and contributions."""

    async def establish(self, unit: Unit, command: EstablishFund) -> Recorded:
        funding.must_be_new(await unit.find(TrustFund, fund_id(command.code)))
        fund = TrustFund.establish(command, unit.stamp)
        unit.add(fund)
        return Recorded(id=fund.id, version=fund.version)

    async def register_donor(self, unit: Unit, command: RegisterDonor) -> Recorded:
        must_be_new_donor(await unit.find(Donor, donor_id(command.code)))
        donor = Donor.register(command.code, command.name, command.party_id, unit.stamp)
        unit.add(donor)
        return Recorded(id=donor.id, version=donor.version)

    async def pledge(self, unit: Unit, command: RecordPledge) -> Recorded:
        contributions.must_be_new(await unit.find(Contribution, command.id))
        fund, _ = await unit.look(TrustFund, command.fund_id), await unit.look(Donor, command.donor_id)
        funding.must_have_happened(command.pledged_on, unit.stamp)
        contribution = Contribution.pledge(
            command.id,
            command.fund_id,
            command.donor_id,
            command.amount,
            fund.currency,
            command.earmark,
            command.support_cost,
            command.pledged_on,
            command.expected_on,
            command.notice,
            unit.stamp,
        )
        unit.add(contribution)
        return Recorded(id=contribution.id, version=contribution.version)

    async def offer_in_kind(self, unit: Unit, command: RecordOfferInKind) -> Recorded:
        contributions.must_be_new(await unit.find(Contribution, command.id))
        _, _ = await unit.look(TrustFund, command.fund_id), await unit.look(Donor, command.donor_id)
        funding.must_have_happened(command.offered_on, unit.stamp)
        contribution = Contribution.offer_in_kind(
            command.id,
            command.fund_id,
            command.donor_id,
            command.what,
            command.valuation,
            command.earmark,
            command.offered_on,
            command.notice,
            unit.stamp,
        )
        unit.add(contribution)
        return Recorded(id=contribution.id, version=contribution.version)

    async def deliver_in_kind(self, unit: Unit, command: RecordDeliveryInKind) -> Recorded:
        contribution = await unit.get(Contribution, command.contribution_id)
        funding.must_have_happened(command.delivered_on, unit.stamp)
        contribution.deliver(command.delivered_on, unit.stamp)
        return Recorded(id=contribution.id, version=contribution.version)

    async def agree_support_cost(self, unit: Unit, command: AgreeSupportCost) -> Recorded:
        contribution = await unit.get(Contribution, command.contribution_id)
        contribution.agree_support_cost(command.support_cost, unit.stamp)
        return Recorded(id=contribution.id, version=contribution.version)

    async def reduce(self, unit: Unit, command: ReducePledge) -> Recorded:
        contribution = await unit.get(Contribution, command.contribution_id)
        contribution.reduce(command.amount, command.reason, unit.stamp)
        return Recorded(id=contribution.id, version=contribution.version)

    async def receive(self, unit: Unit, command: RecordReceipt) -> Recorded:
        contribution = await unit.get(Contribution, command.contribution_id)
        fund = await unit.get(TrustFund, contribution.fund_id)
        on = command.received_on
        receipt = contribution.receive(command.id, command.paid, command.exchange, on, unit.stamp)
        fund.receive(
            command.id,
            contribution.id,
            contribution.earmark,
            receipt.booked,
            receipt.support_cost,
            on,
            unit.stamp,
        )
        return Recorded(id=command.id, version=contribution.version)

    async def revalue(self, unit: Unit, command: RecordExchange) -> Recorded:
        contribution = await unit.get(Contribution, command.contribution_id)
        fund = await unit.get(TrustFund, contribution.fund_id)
        difference = contribution.revalue(command.id, command.receipt_id, command.exchange, unit.stamp)
        fund.revalue(command.id, command.receipt_id, difference, command.exchange, unit.stamp)
        return Recorded(id=command.id, version=contribution.version)

    async def refund(self, unit: Unit, command: RefundDonor) -> Recorded:
        contribution = await unit.get(Contribution, command.contribution_id)
        fund = await unit.get(TrustFund, contribution.fund_id)
        support_cost = contribution.refund(command.id, command.amount, command.reason, unit.stamp)
        facts = (command.amount, support_cost, command.refunded_on, command.reason)
        fund.refund(command.id, contribution.id, *facts, unit.stamp)
        return Recorded(id=command.id, version=contribution.version)

    async def reserve(self, unit: Unit, command: ReserveMoney) -> Recorded:
        """Set money aside in every fund that has to give some: in all of them, or in none."""
        funds = {id: await unit.get(TrustFund, id) for id in command.fund_ids}
        at_hand = [fund.at_hand(command.purpose) for fund in funds.values()]
        check = check_resources(command.amount, command.purpose, at_hand)
        must_be_available(check)
        for share in check.shares:
            funds[share.fund_id].reserve(command.id, share.amount, command.purpose, unit.stamp)
        return Recorded(id=command.id, version=funds[check.shares[0].fund_id].version)

    async def commit(self, unit: Unit, command: CommitMoney) -> Recorded:
        fund = await unit.get(TrustFund, command.fund_id)
        fund.commit(command.id, command.reservation_id, command.amount, command.agreement, unit.stamp)
        return Recorded(id=command.id, version=fund.version)

    async def spend(self, unit: Unit, command: RecordExpenditure) -> Recorded:
        fund = await unit.get(TrustFund, command.fund_id)
        facts = (command.amount, command.voucher, command.spent_on)
        fund.spend(command.id, command.commitment_id, *facts, unit.stamp)
        return Recorded(id=command.id, version=fund.version)

    async def release(self, unit: Unit, command: ReleaseMoney) -> Recorded:
        fund = await unit.get(TrustFund, command.fund_id)
        fund.release(command.id, command.movement_id, command.amount, command.reason, unit.stamp)
        return Recorded(id=command.id, version=fund.version)

    async def take_back(self, unit: Unit, command: RecordReturn) -> Recorded:
        fund = await unit.get(TrustFund, command.fund_id)
        facts = (command.amount, command.returned_on, command.reason)
        fund.take_back(command.id, command.expenditure_id, *facts, unit.stamp)
        return Recorded(id=command.id, version=fund.version)

    async def reverse(self, unit: Unit, command: ReverseMovement) -> Recorded:
        fund = await unit.get(TrustFund, command.fund_id)
        movement = fund.movement(command.movement_id)
        fund.reverse(command.id, command.movement_id, command.reason, unit.stamp)
        if movement.kind in _ENTERED_TWICE:
            contribution = await unit.get(Contribution, movement.parts[0].contribution_id)
            contribution.reverse(command.movement_id, movement.kind, command.reason, unit.stamp)
        return Recorded(id=command.id, version=fund.version)


_ENTERED_TWICE = (
    MovementKind.RECEIPT,
    MovementKind.EXCHANGE_GAIN,
    MovementKind.EXCHANGE_LOSS,
    MovementKind.REFUND,
)
"""Movements that the contribution and its fund both keep."""
