"""The accounts of a trust fund, and what each kind of movement does to them.

The books have two sides: whatever leaves one account goes to another, or out of the fund. So they always add
up, and the table ``FLOWS`` is the only place that says how money moves.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import BaseModel

from domain.money import Money, Sum, total


class Account(StrEnum):
    """Where money of a fund is."""

    FREE = "free"
    RESERVED = "reserved"
    """Set aside for an activity, and promised to nobody yet."""
    COMMITTED = "committed"
    """Promised to somebody, such as by a contract."""
    SPENT = "spent"
    SUPPORT_COST = "support cost"
    """Spent on the support of the programme: it left the fund when the money came in."""


class MovementKind(StrEnum):
    """What moved money."""

    RECEIPT = "receipt"
    SUPPORT_COST = "support cost"
    EXCHANGE_GAIN = "exchange gain"
    EXCHANGE_LOSS = "exchange loss"
    RESERVATION = "reservation"
    COMMITMENT = "commitment"
    EXPENDITURE = "expenditure"
    RESERVATION_RELEASE = "release of a reservation"
    COMMITMENT_RELEASE = "release of a commitment"
    RETURN = "return of money spent"
    SUPPORT_COST_RETURN = "return of support cost"
    REFUND = "refund to the donor"


Flow = tuple[Account | None, Account | None]
"""From which account to which; None is outside of the fund."""

FLOWS: Mapping[MovementKind, Flow] = {
    MovementKind.RECEIPT: (None, Account.FREE),
    MovementKind.SUPPORT_COST: (Account.FREE, Account.SUPPORT_COST),
    MovementKind.EXCHANGE_GAIN: (None, Account.FREE),
    MovementKind.EXCHANGE_LOSS: (Account.FREE, None),
    MovementKind.RESERVATION: (Account.FREE, Account.RESERVED),
    MovementKind.COMMITMENT: (Account.RESERVED, Account.COMMITTED),
    MovementKind.EXPENDITURE: (Account.COMMITTED, Account.SPENT),
    MovementKind.RESERVATION_RELEASE: (Account.RESERVED, Account.FREE),
    MovementKind.COMMITMENT_RELEASE: (Account.COMMITTED, Account.FREE),
    MovementKind.RETURN: (Account.SPENT, Account.FREE),
    MovementKind.SUPPORT_COST_RETURN: (Account.SUPPORT_COST, Account.FREE),
    MovementKind.REFUND: (Account.FREE, None),
}
"""What each kind of movement does."""

COMPANIONS = (MovementKind.SUPPORT_COST, MovementKind.SUPPORT_COST_RETURN)
"""Movements that come with another one, and are reversed with it."""


def takes_on(kind: MovementKind) -> bool:
    """Whether a movement goes on with money where another one left it, such as a reservation."""
    return FLOWS[kind][0] in (Account.RESERVED, Account.COMMITTED, Account.SPENT)


class Part(BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """So much of a movement is money of one contribution."""

    contribution_id: UUID
    amount: Sum


def effect(kind: MovementKind, amount: Money, *, back: bool = False) -> dict[str, Money]:
    """Return what a movement changes: accounts by their names, and ``received`` where money comes in or goes
    out. What is received always changes by as much as all accounts together."""
    source, target = FLOWS[kind]
    if back:
        source, target = target, source
    return {
        source.name.lower() if source else "received": -amount if source else amount,
        target.name.lower() if target else "received": amount if target else -amount,
    }


class Accounts(BaseModel, frozen=True, use_attribute_docstrings=True):
    """How money stands. Always: received = spent + support cost + committed + reserved + free."""

    received: Money
    """What came in, with gains and losses of exchange, less what was given back to donors."""
    spent: Money
    """What activities have cost."""
    support_cost: Money
    """What was spent on the support of the programme."""
    committed: Money
    reserved: Money
    free: Money
    """Less than nothing only when a receipt turned out to be wrong or lost value after it was reserved."""

    @classmethod
    def empty(cls, currency: str) -> Self:
        """Return accounts with nothing in them."""
        return cls(**dict.fromkeys(cls.model_fields, Money.none(currency)))

    def after(self, changes: Mapping[str, Money]) -> Self:
        """Return the accounts after changes."""
        return self.model_copy(update={name: getattr(self, name) + by for name, by in changes.items()})

    def __add__(self, other: "Accounts") -> Self:
        return self.after(dict(other))

    @property
    def add_up(self) -> bool:
        """Whether what was received is what is in all accounts."""
        accounts = (self.spent, self.support_cost, self.committed, self.reserved, self.free)
        return self.received == total(accounts, self.received.currency)


def taken(at_hand: Mapping[UUID, Money], amount: Money) -> list[Part]:
    """Take an amount from what is at hand, in its order."""
    parts = []
    for id, money in at_hand.items():
        if (part := min(money, amount)).amount > 0:
            parts.append(Part(contribution_id=id, amount=part))
            amount -= part
    return parts
