"""Contributions of donors: what was promised, what has come in, and what was agreed about it.

A contribution of money is pledged in one currency and booked in the currency of its fund. One in kind has a
stated value, never enters the accounts of a fund, and is shown beside them.
"""

from dataclasses import dataclass
from datetime import date
from typing import Self
from uuid import UUID

from pydantic import BaseModel

from domain.accounts import MovementKind
from domain.aggregates import Aggregate, Line, Stamp, identify
from domain.earmarks import Earmark, Name
from domain.money import Exchange, Money, Source, Sum, SupportCost, total
from domain.refusals import Invalid, NotAllowed, NotFound
from domain.rounds import Reason


def donor_id(code: str) -> UUID:
    """Return the id of the donor with this short name."""
    return identify("donor", code)


class Donor(Aggregate):
    """A State or an organization that gives. People who speak for it are in the directory."""

    code: str
    name: str

    class Event(Aggregate.Event):
        """Something that happened to a donor."""

    class Registered(Event, Aggregate.Created):
        """The donor was entered in the register."""

        code: Name
        """Its short name: of a State its ISO code."""
        name: Name
        party_id: UUID | None = None
        """The party that it is, if it is one."""

        def apply(self, donor: "Donor") -> None:
            donor.code, donor.name = self.code, self.name

    @classmethod
    def register(cls, code: str, name: str, party_id: UUID | None, stamp: Stamp) -> Self:
        """Enter a donor in the register."""
        facts = {"code": code, "name": name, "party_id": party_id}
        donor: Self = cls.begin(cls.Registered, stamp, id=donor_id(code), **facts)
        return donor


class Valuation(BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """What something in kind is worth, and who says so."""

    amount: Sum
    valued_by: Source
    """The body that valued it, such as the donor or an appraiser. People are not named."""
    basis: Source
    """What the value rests on, such as a price list."""
    valued_on: date


@dataclass(slots=True)
class Receipt:
    """Money that came in, as it is booked."""

    paid: Money
    """As the donor paid it."""
    counted: Money
    """As it counts for the pledge."""
    booked: Money
    """In the currency of the fund."""
    support_cost: Money


class Contribution(Aggregate):
    """What one donor gives to one fund: money, or something in kind."""

    fund_id: UUID
    donor_id: UUID
    earmark: Earmark
    currency: str
    """The currency of the fund."""
    pledged: Money
    """What was promised, less what will not come; of something in kind its value."""
    in_kind: bool
    delivered: bool
    support_cost: SupportCost
    receipts: dict[UUID, Receipt]
    refunds: dict[UUID, tuple[Money, Money]]
    """What was given back, and the support cost in it."""
    differences: dict[UUID, tuple[UUID, Money]]
    """By which receipts are worth more or less than was booked."""

    class Event(Aggregate.Event):
        """Something that happened to a contribution."""

    class Pledged(Event, Aggregate.Created):
        """A donor promised money to a fund."""

        fund_id: UUID
        donor_id: UUID
        amount: Sum
        currency: str
        """The currency of the fund."""
        earmark: Earmark
        support_cost: SupportCost
        pledged_on: date
        expected_on: date | None = None
        """The day by which the donor means to pay."""
        notice: Line | None = None
        """A note that every page of the contribution must carry, such as that it is invented."""

        def apply(self, contribution: "Contribution") -> None:
            contribution.fund_id, contribution.donor_id = self.fund_id, self.donor_id
            contribution.earmark, contribution.currency = self.earmark, self.currency
            contribution.pledged, contribution.in_kind, contribution.delivered = self.amount, False, False
            contribution.support_cost = self.support_cost
            contribution.receipts, contribution.refunds, contribution.differences = {}, {}, {}

    class OfferedInKind(Event, Aggregate.Created):
        """A donor promised something other than money."""

        fund_id: UUID
        donor_id: UUID
        what: Source
        valuation: Valuation
        earmark: Earmark
        offered_on: date
        notice: Line | None = None

        def apply(self, contribution: "Contribution") -> None:
            contribution.fund_id, contribution.donor_id = self.fund_id, self.donor_id
            contribution.earmark, contribution.currency = self.earmark, self.valuation.amount.currency
            contribution.pledged, contribution.in_kind = self.valuation.amount, True
            contribution.delivered = False
            contribution.support_cost = SupportCost()
            contribution.receipts, contribution.refunds, contribution.differences = {}, {}, {}

    class DeliveredInKind(Event):
        """What was promised in kind was delivered."""

        delivered_on: date

        def apply(self, contribution: "Contribution") -> None:
            contribution.delivered = True

    class SupportCostAgreed(Event):
        """Another rate of support cost was agreed, for what comes in from now on."""

        support_cost: SupportCost

        def apply(self, contribution: "Contribution") -> None:
            contribution.support_cost = self.support_cost

    class PledgeReduced(Event):
        """Part of what was promised will not come."""

        amount: Sum
        pledged: Money
        """What is promised from now on."""
        reason: Reason

        def apply(self, contribution: "Contribution") -> None:
            contribution.pledged = self.pledged

    class MoneyReceived(Event):
        """Money came in for the pledge."""

        receipt_id: UUID
        paid: Sum
        """As the donor paid it."""
        exchange: Exchange | None = None
        """How it became money of the fund's currency, where it was not."""
        booked: Sum
        """In the currency of the fund."""
        counted: Sum
        """In the currency of the pledge."""
        support_cost: Money
        terms: SupportCost
        """By which terms the support cost was worked out."""
        received_on: date

        def apply(self, contribution: "Contribution") -> None:
            receipt = Receipt(self.paid, self.counted, self.booked, self.support_cost)
            contribution.receipts[self.receipt_id] = receipt

    class ExchangeDifferenceFound(Event):
        """A receipt in another currency turned out to be worth more or less than was booked."""

        difference_id: UUID
        receipt_id: UUID
        exchange: Exchange
        """The rate at which it was exchanged in the end."""
        difference: Money
        """A loss is less than nothing."""

        def apply(self, contribution: "Contribution") -> None:
            contribution.receipts[self.receipt_id].booked += self.difference
            contribution.differences[self.difference_id] = (self.receipt_id, self.difference)

    class MoneyRefunded(Event):
        """Money was given back to the donor."""

        refund_id: UUID
        amount: Sum
        support_cost: Money
        """How much of it is support cost."""
        reason: Reason

        def apply(self, contribution: "Contribution") -> None:
            contribution.refunds[self.refund_id] = (self.amount, self.support_cost)

    class EntryReversed(Event):
        """A receipt, a difference of exchange or a refund was recorded in error, and counts no more."""

        entry_id: UUID
        kind: MovementKind
        reason: Reason

        def apply(self, contribution: "Contribution") -> None:
            contribution.receipts.pop(self.entry_id, None)
            contribution.refunds.pop(self.entry_id, None)
            if (found := contribution.differences.pop(self.entry_id, None)) is not None:
                receipt_id, difference = found
                contribution.receipts[receipt_id].booked -= difference

    @classmethod
    def pledge(
        cls,
        id: UUID,
        fund_id: UUID,
        donor_id: UUID,
        amount: Money,
        currency: str,
        earmark: Earmark,
        support_cost: SupportCost,
        pledged_on: date,
        expected_on: date | None,
        notice: str | None,
        stamp: Stamp,
    ) -> Self:
        """Record that a donor promised money to a fund that is kept in ``currency``."""
        contribution: Self = cls.begin(
            cls.Pledged,
            stamp,
            id=id,
            fund_id=fund_id,
            donor_id=donor_id,
            amount=amount,
            currency=currency,
            earmark=earmark,
            support_cost=support_cost,
            pledged_on=pledged_on,
            expected_on=expected_on,
            notice=notice,
        )
        return contribution

    @classmethod
    def offer_in_kind(
        cls,
        id: UUID,
        fund_id: UUID,
        donor_id: UUID,
        what: str,
        valuation: Valuation,
        earmark: Earmark,
        offered_on: date,
        notice: str | None,
        stamp: Stamp,
    ) -> Self:
        """Record that a donor promised something in kind."""
        contribution: Self = cls.begin(
            cls.OfferedInKind,
            stamp,
            id=id,
            fund_id=fund_id,
            donor_id=donor_id,
            what=what,
            valuation=valuation,
            earmark=earmark,
            offered_on=offered_on,
            notice=notice,
        )
        return contribution

    # How it stands.

    @property
    def outstanding(self) -> Money:
        """What was promised and has not come in, in the currency of the pledge."""
        counted = (receipt.counted for receipt in self.receipts.values())
        return self.pledged - total(counted, self.pledged.currency)

    @property
    def held(self) -> Money:
        """What has come in and was not given back, in the currency of the fund."""
        booked = total((receipt.booked for receipt in self.receipts.values()), self.currency)
        return booked - total((amount for amount, _ in self.refunds.values()), self.currency)

    @property
    def support_cost_held(self) -> Money:
        """What was taken from that as support cost."""
        taken = total((receipt.support_cost for receipt in self.receipts.values()), self.currency)
        return taken - total((back for _, back in self.refunds.values()), self.currency)

    # What is decided.

    def receive(
        self, id: UUID, paid: Money, exchange: Exchange | None, received_on: date, stamp: Stamp
    ) -> Receipt:
        """Record money that came in, and return how it is booked."""
        self._must_be_money()
        must_be_exchanged(paid, exchange, self.currency)
        booked = exchange.of(paid, self.currency) if exchange else paid
        counted = booked if self.pledged.currency == self.currency else paid
        must_count(counted, self)
        must_be_within_pledge(counted, self)
        receipt = Receipt(paid, counted, booked, self.support_cost.of(booked))
        self.record(
            self.MoneyReceived,
            stamp,
            receipt_id=id,
            paid=paid,
            exchange=exchange,
            booked=booked,
            counted=counted,
            support_cost=receipt.support_cost,
            terms=self.support_cost,
            received_on=received_on,
        )
        return receipt

    def revalue(self, id: UUID, receipt_id: UUID, exchange: Exchange, stamp: Stamp) -> Money:
        """Record at which rate a receipt was exchanged in the end, and return the gain or, negative, loss."""
        receipt = self.receipts.get(receipt_id)
        if receipt is None:
            raise NotFound(
                "no-receipt", f"This contribution has no receipt {receipt_id}. Nothing was stored."
            )
        must_be_in_another_currency(receipt, self.currency)
        difference = exchange.of(receipt.paid, self.currency) - receipt.booked
        must_differ(difference)
        facts = {"difference_id": id, "receipt_id": receipt_id, "exchange": exchange}
        self.record(self.ExchangeDifferenceFound, stamp, difference=difference, **facts)
        return difference

    def refund(self, id: UUID, amount: Money, reason: str, stamp: Stamp) -> Money:
        """Record that money was given back, and return how much of it is support cost: as much of what was
        taken as is given back of what came in."""
        must_be_held(amount, self)
        support_cost = self.support_cost_held.share(amount.amount, self.held.amount)
        self.record(
            self.MoneyRefunded, stamp, refund_id=id, amount=amount, support_cost=support_cost, reason=reason
        )
        return support_cost

    def reverse(self, entry_id: UUID, kind: MovementKind, reason: str, stamp: Stamp) -> None:
        """Let a receipt, a difference of exchange or a refund count no more."""
        if entry_id in self.receipts:
            must_have_no_refunds(self)
        self.record(self.EntryReversed, stamp, entry_id=entry_id, kind=kind, reason=reason)

    def agree_support_cost(self, support_cost: SupportCost, stamp: Stamp) -> None:
        """Record another rate, for what comes in from now on."""
        self._must_be_money()
        self.record(self.SupportCostAgreed, stamp, support_cost=support_cost)

    def reduce(self, amount: Money, reason: str, stamp: Stamp) -> None:
        """Record that part of what was promised will not come."""
        self._must_be_money()
        must_be_within_pledge(amount, self)
        left = self.pledged - amount
        self.record(self.PledgeReduced, stamp, amount=amount, pledged=left, reason=reason)

    def deliver(self, delivered_on: date, stamp: Stamp) -> None:
        """Record that what was promised in kind was delivered."""
        if not self.in_kind:
            raise NotAllowed(
                "not-in-kind", "This contribution is money. Record a receipt. Nothing was stored."
            )
        if self.delivered:
            raise NotAllowed("delivered-already", "This was delivered already. Nothing was stored.")
        self.record(self.DeliveredInKind, stamp, delivered_on=delivered_on)

    def _must_be_money(self) -> None:
        if self.in_kind:
            raise NotAllowed(
                "in-kind", "This contribution is in kind, and no money moves for it. Nothing was stored."
            )


# The rules. Each is asked by a command, and never when a history is read again.


def must_be_new_donor(existing: Donor | None) -> None:
    """A donor is registered once."""
    if existing:
        raise NotAllowed(
            "donor-already-registered",
            f"{existing.name} is registered already as {existing.code}. Nothing was stored.",
            donor_id=existing.id,
        )


def must_be_new(existing: Contribution | None) -> None:
    """A contribution is recorded once."""
    if existing:
        raise NotAllowed(
            "contribution-already-recorded",
            f"A contribution is recorded under the id {existing.id} already. Nothing was stored.",
            contribution_id=existing.id,
        )


def must_be_exchanged(paid: Money, exchange: Exchange | None, currency: str) -> None:
    """Money in another currency has a rate, and money in the currency of the fund has none."""
    if paid.currency != currency and exchange is None:
        raise Invalid(
            "rate-missing",
            f"{paid} was paid, and the fund is kept in {currency}. Nothing was stored. Give the "
            "rate, its day, and whose rate it is.",
        )
    if paid.currency == currency and exchange is not None:
        raise Invalid(
            "rate-without-use",
            f"{paid} is in the currency of the fund. Nothing was stored. Leave out the rate.",
        )


def must_count(counted: Money, contribution: Contribution) -> None:
    """A pledge in another currency than the fund's is paid in its own."""
    if counted.currency != contribution.pledged.currency:
        raise Invalid(
            "other-currency-than-pledged",
            f"{contribution.pledged.currency} was promised, and {counted} came in. Nothing was stored. "
            "Reduce the pledge, and record what came in as a contribution of its own.",
        )


def must_be_within_pledge(amount: Money, contribution: Contribution) -> None:
    """No more comes in, and no more is let go, than is outstanding."""
    if amount.currency != contribution.pledged.currency or contribution.outstanding < amount:
        raise NotAllowed(
            "more-than-outstanding",
            f"{contribution.outstanding} of the pledge is outstanding, and {amount} was given. Nothing was "
            "stored. Record what goes beyond it as a contribution of its own.",
            outstanding=str(contribution.outstanding),
        )


def must_be_in_another_currency(receipt: Receipt, currency: str) -> None:
    """Only money that was paid in another currency gains or loses by exchange."""
    if receipt.paid.currency == currency:
        raise NotAllowed(
            "nothing-exchanged",
            f"{receipt.paid} came in the currency of the fund: nothing was exchanged. Nothing was stored.",
        )


def must_differ(difference: Money) -> None:
    """A difference of nothing is none."""
    if not difference:
        raise NotAllowed(
            "no-difference", "At this rate the receipt is worth what is booked. Nothing was stored."
        )


def must_be_held(amount: Money, contribution: Contribution) -> None:
    """No more is given back than came in."""
    if amount.currency != contribution.currency or contribution.held < amount:
        raise NotAllowed(
            "more-than-received",
            f"{contribution.held} of this contribution came in and was not given back, and {amount} was "
            "asked for. Nothing was stored.",
        )


def must_have_no_refunds(contribution: Contribution) -> None:
    """What was given back was worked out of what came in, and is reversed before it."""
    if contribution.refunds:
        raise NotAllowed(
            "refunds-stand-on-it",
            "Money of this contribution was given back to the donor. Reverse the refund first. Nothing "
            "was stored.",
        )
