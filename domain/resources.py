"""The resource check: whether there is money for a purpose, with all that was looked at."""

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel

from domain.accounts import taken
from domain.earmarks import Earmark, Purpose
from domain.money import Money, Sum, total
from domain.refusals import NotAllowed


class EarmarkAtHand(BaseModel, frozen=True, extra="forbid"):
    """What is free of the money of one earmark."""

    earmark: Earmark
    free: Money


class FundAtHand(BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """What one fund has for a purpose."""

    fund_id: UUID
    code: str
    free: Money
    """What can be reserved: what is free of all earmarks that fit, but no more than the fund has free."""
    earmarks: tuple[EarmarkAtHand, ...]
    """Those that fit, in the order in which they are drawn on."""


class Outcome(StrEnum):
    """How a resource check ended."""

    AVAILABLE = "available"
    NOT_ENOUGH = "not enough is free"
    NOTHING_FITS = "no money fits"


class Share(BaseModel, frozen=True, extra="forbid"):
    """What one fund would give."""

    fund_id: UUID
    amount: Sum


class ResourceCheck(BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """Whether there is money for a purpose, with all that was looked at."""

    asked: Sum
    purpose: Purpose
    funds: tuple[FundAtHand, ...]
    """What the funds had, in the order in which they were asked."""
    free: Money
    """What was free for the purpose in the currency that was asked for."""
    missing: Money
    outcome: Outcome
    shares: tuple[Share, ...]
    """What each fund would give; empty unless there is enough."""


def check_resources(asked: Money, purpose: Purpose, funds: Sequence[FundAtHand]) -> ResourceCheck:
    """Say whether so much is free for a purpose, and which funds would give it: the first first.

    Funds in other currencies are shown, and count for nothing: no rate is guessed here.
    """
    usable = [fund for fund in funds if fund.free.currency == asked.currency]
    free = total((fund.free for fund in usable), asked.currency)
    missing = max(asked - free, Money.none(asked.currency))
    shares = []
    if not missing:
        parts = taken({fund.fund_id: fund.free for fund in usable}, asked)
        shares = [Share(fund_id=part.contribution_id, amount=part.amount) for part in parts]
    outcome = Outcome.AVAILABLE if shares else Outcome.NOT_ENOUGH if free else Outcome.NOTHING_FITS
    return ResourceCheck(
        asked=asked,
        purpose=purpose,
        funds=tuple(funds),
        free=free,
        missing=missing,
        outcome=outcome,
        shares=tuple(shares),
    )


# The rules.


def must_be_available(check: ResourceCheck) -> None:
    """What is reserved must be free."""
    if check.outcome is not Outcome.AVAILABLE:
        raise not_free(check.asked, check.free, " and ".join(fund.code for fund in check.funds))


def not_free(asked: Money, free: Money, where: str) -> NotAllowed:
    """Return the refusal of what is not free: it says what is, and what was asked for."""
    return NotAllowed(
        "not-enough-free",
        f"{asked} was asked for, and {free} is free for this in {where}. Nothing was stored. Ask for less, "
        "or wait for a contribution that may be spent on it.",
        asked=str(asked),
        free=str(free),
    )
