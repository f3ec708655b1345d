"""Trust funds: money that is received, set aside for activities, promised, spent, and what is free of it.

Every movement takes money from one account of a fund to another, or in from outside, or out. So a fund always
adds up: what was received is spent, committed, reserved or free, for the fund, for each earmark and for each
contribution. Money keeps the name of the contribution that it came with, so that each donor can be told what
became of it. What was recorded in error is reversed, with a reason, and never changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Annotated, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from domain.accounts import COMPANIONS, Accounts, MovementKind, Part, effect, taken, takes_on
from domain.aggregates import Aggregate, Line, Stamp, identify
from domain.earmarks import Earmark, Purpose
from domain.money import Currency, Exchange, Money, Source, total
from domain.refusals import Fault, Invalid, NotAllowed, NotFound
from domain.resources import EarmarkAtHand, FundAtHand, not_free
from domain.rounds import Reason

FundCode = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{1,9}$")]


class FundParticulars(BaseModel):
    """What is recorded of a trust fund when it is established."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    code: FundCode
    """The short name of the fund, such as RVTF."""
    name: Line
    currency: Currency
    """The one currency in which its books are kept."""
    source: Source
    confidence: Source
    """How sure these facts are, in the words of the table that they were taken from."""


def fund_id(code: str) -> UUID:
    """Return the id of the trust fund with this short name."""
    return identify("trust-fund", code)


def companion_id(movement_id: UUID) -> UUID:
    """Return the id of the movement of support cost that comes with a receipt or a refund."""
    return identify("support cost", movement_id)


@dataclass(slots=True)
class Pot:
    """The money of one contribution in a fund."""

    earmark: Earmark
    accounts: Accounts


@dataclass(slots=True)
class Movement:
    """A movement, and what is left of it: what no later movement has taken on."""

    kind: MovementKind
    parts: tuple[Part, ...]
    of: UUID | None
    left: dict[UUID, Money]
    reversed: bool = False


class MovementEvent(Aggregate.Event):
    """Money moved from one account of a fund to another."""

    kind: ClassVar[MovementKind]

    movement_id: UUID
    parts: tuple[Part, ...]
    """Whose money it is."""

    def apply(self, fund: "TrustFund") -> None:
        fund.post(self.movement_id, self.kind, self.parts, getattr(self, "of", None))


class TrustFund(Aggregate):
    """A fund in one currency, into which donors pay and out of which activities are paid."""

    code: str
    name: str
    currency: str
    pots: dict[UUID, Pot]
    """By the contribution, in the order in which their first money came."""
    movements: dict[UUID, Movement]

    class Event(Aggregate.Event):
        """Something that happened to a trust fund."""

    class Established(Event, Aggregate.Created, FundParticulars):
        """The fund was established; nothing is in it yet."""

        def apply(self, fund: "TrustFund") -> None:
            fund.code, fund.name, fund.currency = self.code, self.name, self.currency
            fund.pots, fund.movements = {}, {}

    class MoneyReceived(MovementEvent):
        """Money of a contribution came in."""

        kind = MovementKind.RECEIPT
        contribution_id: UUID
        earmark: Earmark
        received_on: date

        def apply(self, fund: "TrustFund") -> None:
            empty = Accounts.empty(fund.currency)
            fund.pots.setdefault(self.contribution_id, Pot(self.earmark, empty))
            MovementEvent.apply(self, fund)

    class SupportCostTaken(MovementEvent):
        """The support cost was taken from what came in: it is spent on the support of the programme."""

        kind = MovementKind.SUPPORT_COST
        of: UUID
        """The receipt."""

    class ExchangeGained(MovementEvent):
        """A receipt in another currency turned out to be worth more than was booked."""

        kind = MovementKind.EXCHANGE_GAIN
        of: UUID
        exchange: Exchange

    class ExchangeLost(MovementEvent):
        """A receipt in another currency turned out to be worth less than was booked."""

        kind = MovementKind.EXCHANGE_LOSS
        of: UUID
        exchange: Exchange

    class MoneyReserved(MovementEvent):
        """Money was set aside for an activity."""

        kind = MovementKind.RESERVATION
        purpose: Purpose

    class MoneyCommitted(MovementEvent):
        """Money that was set aside was promised to somebody."""

        kind = MovementKind.COMMITMENT
        of: UUID
        """The reservation."""
        agreement: Source
        """By what it was promised, such as a contract by its number."""

    class MoneySpent(MovementEvent):
        """Money that was promised was paid."""

        kind = MovementKind.EXPENDITURE
        of: UUID
        """The commitment."""
        voucher: Source
        """What shows that it was paid, such as a document of the accounts by its number."""
        spent_on: date

    class ReservationReleased(MovementEvent):
        """Money that was set aside is not needed, and is free again."""

        kind = MovementKind.RESERVATION_RELEASE
        of: UUID
        reason: Reason

    class CommitmentReleased(MovementEvent):
        """Money that was promised will not be called for, and is free again."""

        kind = MovementKind.COMMITMENT_RELEASE
        of: UUID
        reason: Reason

    class SpendingReturned(MovementEvent):
        """Money that was paid came back, and is free again."""

        kind = MovementKind.RETURN
        of: UUID
        """The expenditure."""
        returned_on: date
        reason: Reason

    class SupportCostReturned(MovementEvent):
        """Support cost was given back, for the money that it was taken from goes back to the donor."""

        kind = MovementKind.SUPPORT_COST_RETURN
        of: UUID
        """The refund."""

    class MoneyRefunded(MovementEvent):
        """Money was given back to the donor."""

        kind = MovementKind.REFUND
        contribution_id: UUID
        refunded_on: date
        reason: Reason

    class MovementReversed(Event):
        """A movement was recorded in error: its money is back where it was before."""

        movement_id: UUID
        of: UUID
        """The movement that is reversed."""
        kind: MovementKind
        parts: tuple[Part, ...]
        reason: Reason

        def apply(self, fund: "TrustFund") -> None:
            fund.unpost(self.of)

    @classmethod
    def establish(cls, particulars: FundParticulars, stamp: Stamp) -> Self:
        """Establish a fund. One of the same code would be the same fund."""
        facts = {fact: getattr(particulars, fact) for fact in FundParticulars.model_fields}
        fund: Self = cls.begin(cls.Established, stamp, id=fund_id(particulars.code), **facts)
        return fund

    # What the events do to the books.

    def post(self, id: UUID, kind: MovementKind, parts: tuple[Part, ...], of: UUID | None) -> None:
        """Book a movement."""
        self.movements[id] = Movement(kind, parts, of, {part.contribution_id: part.amount for part in parts})
        self._book(kind, parts, back=False)
        self._build_on(of, kind, {part.contribution_id: -part.amount for part in parts})

    def unpost(self, id: UUID) -> None:
        """Book a movement backwards."""
        movement = self.movements[id]
        movement.reversed = True
        self._book(movement.kind, movement.parts, back=True)
        self._build_on(
            movement.of, movement.kind, {part.contribution_id: part.amount for part in movement.parts}
        )

    def _build_on(self, of: UUID | None, kind: MovementKind, changes: Mapping[UUID, Money]) -> None:
        """Change what is left of a movement that another one takes on, or takes on no longer."""
        if of is not None and takes_on(kind):
            for contribution_id, by in changes.items():
                self.movements[of].left[contribution_id] += by

    def _book(self, kind: MovementKind, parts: tuple[Part, ...], *, back: bool) -> None:
        for part in parts:
            pot = self.pots[part.contribution_id]
            pot.accounts = pot.accounts.after(effect(kind, part.amount, back=back))

    # How it stands.

    def accounts(self, earmark: Earmark | None = None) -> Accounts:
        """Return the accounts of the fund, or of one earmark in it."""
        found = Accounts.empty(self.currency)
        for pot in self.pots.values():
            if earmark is None or pot.earmark == earmark:
                found += pot.accounts
        return found

    def at_hand(self, purpose: Purpose) -> FundAtHand:
        """Return what the fund has for a purpose, by earmark: what is limited most comes first."""
        found = [
            EarmarkAtHand(earmark=earmark, free=max(self.accounts(earmark).free, Money.none(self.currency)))
            for earmark in dict.fromkeys(pot.earmark for pot in self.pots.values())
            if earmark.fits(purpose)
        ]
        found.sort(key=lambda each: -len(each.earmark.limits))
        # What one earmark owes, after a receipt that was reversed, is missing in the fund as a whole.
        free = min(total((each.free for each in found), self.currency), self.accounts().free)
        free = max(free, Money.none(self.currency))
        return FundAtHand(fund_id=self.id, code=self.code, free=free, earmarks=tuple(found))

    def movement(self, id: UUID) -> Movement:
        """Return a movement that stands. Raises NotFound, and NotAllowed when it was reversed."""
        found = self.movements.get(id)
        if found is None:
            raise NotFound("no-movement", f"{self.code} has no movement {id}. Nothing was stored.")
        if found.reversed:
            raise NotAllowed(
                "movement-reversed",
                f"This {found.kind} was reversed and moves no money. Nothing was stored.",
            )
        return found

    # What is decided.

    def receive(
        self,
        id: UUID,
        contribution_id: UUID,
        earmark: Earmark,
        amount: Money,
        support_cost: Money,
        received_on: date,
        stamp: Stamp,
    ) -> None:
        """Take in money of a contribution, and take the support cost from it."""
        self._must_be_new(id)
        must_be_in_currency(self, amount)
        must_have_happened(received_on, stamp)
        self.record(
            self.MoneyReceived,
            stamp,
            movement_id=id,
            parts=_of(contribution_id, amount),
            contribution_id=contribution_id,
            earmark=earmark,
            received_on=received_on,
        )
        if support_cost:
            parts = _of(contribution_id, support_cost)
            self.record(self.SupportCostTaken, stamp, movement_id=companion_id(id), parts=parts, of=id)

    def revalue(
        self, id: UUID, receipt_id: UUID, difference: Money, exchange: Exchange, stamp: Stamp
    ) -> None:
        """Book by how much a receipt in another currency is worth more or less than was booked."""
        self._must_be_new(id)
        receipt = self._of_kind(receipt_id, MovementKind.RECEIPT)
        event = self.ExchangeGained if difference.amount > 0 else self.ExchangeLost
        parts = _of(receipt.parts[0].contribution_id, max(difference, -difference))
        self.record(event, stamp, movement_id=id, parts=parts, of=receipt_id, exchange=exchange)

    def refund(
        self,
        id: UUID,
        contribution_id: UUID,
        amount: Money,
        support_cost: Money,
        refunded_on: date,
        reason: str,
        stamp: Stamp,
    ) -> None:
        """Give money back to the donor, with the support cost that was taken from it."""
        self._must_be_new(id)
        must_be_in_currency(self, amount)
        must_have_happened(refunded_on, stamp)
        pot = self.pots.get(contribution_id)
        if amount != support_cost:
            must_be_free(amount - support_cost, self._freest(pot) if pot else Money.none(self.currency), self)
        if support_cost:
            parts = _of(contribution_id, support_cost)
            self.record(self.SupportCostReturned, stamp, movement_id=companion_id(id), parts=parts, of=id)
        self.record(
            self.MoneyRefunded,
            stamp,
            movement_id=id,
            parts=_of(contribution_id, amount),
            contribution_id=contribution_id,
            refunded_on=refunded_on,
            reason=reason,
        )

    def _freest(self, pot: Pot) -> Money:
        """Return what is free of one contribution: no more than its earmark, and the fund, have free."""
        return min(pot.accounts.free, self.accounts(pot.earmark).free, self.accounts().free)

    def reserve(self, id: UUID, amount: Money, purpose: Purpose, stamp: Stamp) -> None:
        """Set money aside for a purpose. Refused when not so much is free for it.

        The money that is limited most goes first, and within an earmark the oldest, so that what can be used
        for anything lasts longest.
        """
        self._must_be_new(id)
        must_be_in_currency(self, amount)
        at_hand = self.at_hand(purpose)
        must_be_free(amount, at_hand.free, self)
        parts: list[Part] = []
        for each in at_hand.earmarks:
            limit = min(each.free, amount - _sum(parts, self.currency))
            free = {
                id: pot.accounts.free
                for id, pot in self.pots.items()
                if pot.earmark == each.earmark and pot.accounts.free.amount > 0
            }
            parts += taken(free, limit)
        self.record(self.MoneyReserved, stamp, movement_id=id, parts=tuple(parts), purpose=purpose)

    def commit(self, id: UUID, reservation_id: UUID, amount: Money, agreement: str, stamp: Stamp) -> None:
        """Promise money that is set aside to somebody."""
        parts = self._take(id, reservation_id, amount, MovementKind.RESERVATION)
        self.record(
            self.MoneyCommitted, stamp, movement_id=id, parts=parts, of=reservation_id, agreement=agreement
        )

    def spend(
        self, id: UUID, commitment_id: UUID, amount: Money, voucher: str, spent_on: date, stamp: Stamp
    ) -> None:
        """Record that money that was promised was paid."""
        must_have_happened(spent_on, stamp)
        parts = self._take(id, commitment_id, amount, MovementKind.COMMITMENT)
        facts = {"of": commitment_id, "voucher": voucher, "spent_on": spent_on}
        self.record(self.MoneySpent, stamp, movement_id=id, parts=parts, **facts)

    def take_back(
        self, id: UUID, expenditure_id: UUID, amount: Money, returned_on: date, reason: str, stamp: Stamp
    ) -> None:
        """Record that money that was paid came back."""
        must_have_happened(returned_on, stamp)
        parts = self._take(id, expenditure_id, amount, MovementKind.EXPENDITURE)
        facts = {"of": expenditure_id, "returned_on": returned_on, "reason": reason}
        self.record(self.SpendingReturned, stamp, movement_id=id, parts=parts, **facts)

    def release(self, id: UUID, of: UUID, amount: Money | None, reason: str, stamp: Stamp) -> None:
        """Make free again what is not needed: so much of a reservation or commitment, or all that is left."""
        kinds = (MovementKind.RESERVATION, MovementKind.COMMITMENT)
        movement = self._of_kind(of, *kinds)
        amount = amount or total(movement.left.values(), self.currency)
        parts = self._take(id, of, amount, *kinds)
        reservation = movement.kind is MovementKind.RESERVATION
        event = self.ReservationReleased if reservation else self.CommitmentReleased
        self.record(event, stamp, movement_id=id, parts=parts, of=of, reason=reason)

    def reverse(self, id: UUID, of: UUID, reason: str, stamp: Stamp) -> None:
        """Take back a movement that was recorded in error, and what came with it.

        What is known of money itself is booked whatever it leaves: when a receipt never was one, less than
        nothing can be free. What is ours to decide is not: money that was released, and has been reserved
        for something else since, stays there.
        """
        self._must_be_new(id)
        movement = self.movement(of)
        must_be_first(movement)
        must_bear_nothing(self, of)
        if movement.kind in (MovementKind.RESERVATION_RELEASE, MovementKind.COMMITMENT_RELEASE):
            self._must_be_free_again(movement)
        for each in (of, companion_id(of)):
            if each in self.movements:
                reversal = id if each == of else companion_id(id)
                undone = self.movements[each]
                self.record(
                    self.MovementReversed,
                    stamp,
                    movement_id=reversal,
                    of=each,
                    kind=undone.kind,
                    parts=undone.parts,
                    reason=reason,
                )

    def _must_be_free_again(self, movement: Movement) -> None:
        by_earmark = sorted(
            movement.parts, key=lambda part: self.pots[part.contribution_id].earmark.model_dump_json()
        )
        for _, parts in groupby(by_earmark, lambda part: self.pots[part.contribution_id].earmark):
            together = list(parts)
            earmark = self.pots[together[0].contribution_id].earmark
            must_be_free(_sum(together, self.currency), self.accounts(earmark).free, self)
        must_be_free(_sum(movement.parts, self.currency), self.accounts().free, self)

    def _must_be_new(self, id: UUID) -> None:
        if id in self.movements:
            raise NotAllowed(
                "movement-recorded-already",
                f"A {self.movements[id].kind} is recorded under this id already. Nothing was stored.",
            )

    def _of_kind(self, id: UUID, *kinds: MovementKind) -> Movement:
        found = self.movement(id)
        if found.kind not in kinds:
            wanted = " or ".join(kinds)
            raise NotAllowed(
                "other-kind-of-movement", f"This is a {found.kind}, not a {wanted}. Nothing was stored."
            )
        return found

    def _take(self, id: UUID, of: UUID, amount: Money, *kinds: MovementKind) -> tuple[Part, ...]:
        """Take an amount from what is left of a movement, and return whose money it is."""
        self._must_be_new(id)
        must_be_in_currency(self, amount)
        movement = self._of_kind(of, *kinds)
        must_be_left(amount, total(movement.left.values(), self.currency), movement)
        return tuple(taken(movement.left, amount))


def _of(contribution_id: UUID, amount: Money) -> tuple[Part, ...]:
    return (Part(contribution_id=contribution_id, amount=amount),)


def _sum(parts: Iterable[Part], currency: str) -> Money:
    return total((part.amount for part in parts), currency)


# The rules. Each is asked by a command, and never when a history is read again.


def must_be_free(asked: Money, free: Money, fund: TrustFund) -> None:
    """Nothing is taken from what is not free."""
    if free < asked:
        raise not_free(asked, free, fund.code)


def must_be_left(asked: Money, left: Money, movement: Movement) -> None:
    """Nothing is taken from a reservation, commitment or expenditure beyond what is left of it."""
    if left < asked or not asked:
        raise NotAllowed(
            "not-enough-left",
            f"{asked} was asked for, and {left} is left of this {movement.kind}. Nothing was stored.",
            asked=str(asked),
            left=str(left),
        )


def must_be_in_currency(fund: TrustFund, money: Money) -> None:
    """The books of a fund are kept in its one currency."""
    if money.currency != fund.currency:
        raise Invalid(
            "other-currency",
            f"{fund.code} is kept in {fund.currency}, and {money} is not. Nothing was stored. "
            f"Give the amount in {fund.currency}.",
        )


def must_have_happened(day: date, stamp: Stamp) -> None:
    """What is recorded of money has happened, on a day that has begun somewhere."""
    if day > (stamp.at + timedelta(hours=14)).date():
        raise Invalid("day-to-come", f"{day} is still to come. Nothing was stored. Give the day it happened.")


def must_be_first(movement: Movement) -> None:
    """Support cost is taken back with the receipt or the refund that it came with."""
    if movement.kind in COMPANIONS:
        raise NotAllowed(
            "reversed-with-another",
            f"A {movement.kind} is reversed with what it came with. Reverse that. Nothing was stored.",
        )


def must_bear_nothing(fund: TrustFund, id: UUID) -> None:
    """What other movements stand on is reversed after them."""
    later = [
        Fault(where=str(other), what=f"This {movement.kind} stands on it.")
        for other, movement in fund.movements.items()
        if movement.of == id and not movement.reversed and movement.kind not in COMPANIONS
    ]
    if later:
        raise NotAllowed(
            "movements-stand-on-it",
            "Later movements stand on this one. Reverse them first. Nothing was stored.",
            faults=tuple(later),
        )


def must_be_new(existing: TrustFund | None) -> None:
    """A fund is established once."""
    if existing:
        raise NotAllowed(
            "fund-already-established",
            f"{existing.code} is established already: {existing.name}. Nothing was stored.",
            fund_id=existing.id,
        )
