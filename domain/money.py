"""Money: decimals with their currency, never floats, and what is worked out of them.

An amount has as many decimals as ISO 4217 gives its currency, no more and no fewer. It is read from text or
from a decimal: a number of JSON, or of a program, may have been rounded before it gets here, and is refused.
"""

import re
from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from domain.aggregates import on_one_line

_TWO_DECIMALS = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP
CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR
IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN
NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP
STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG
"""
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"

DECIMALS: dict[str, int] = {
    **dict.fromkeys(_TWO_DECIMALS.split(), 2),
    **dict.fromkeys(_NO_DECIMALS.split(), 0),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
}
"""The currencies that can be used, with the number of their decimals by ISO 4217 (general knowledge: the
list of the standard's maintenance agency was not at hand)."""

LARGEST = Decimal(10) ** 12
"""An amount is smaller than this, so that what is worked out of it is exact."""
STANDING_RATE = Decimal(13)
"""The rate of support cost in per cent unless another is agreed."""


def _known(currency: str) -> str:
    if currency not in DECIMALS:
        raise ValueError("Give the currency by its three capital letters of ISO 4217, such as USD.")
    return currency


def _exact(value: object) -> object:
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,13}(\.\d{1,12})?", value, re.ASCII):
        return value
    raise ValueError("Write the amount as text, in figures with a point, such as “1250.00”.")


Currency = Annotated[
    str, AfterValidator(_known), WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$", "example": "USD"})
]
"""A currency by its code of ISO 4217."""
Exact = Annotated[
    Decimal,
    BeforeValidator(_exact),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d{1,12}(\.\d{1,12})?$", "example": "1250.00"}),
]
"""A decimal that came as one: as text, and never as a number of a program."""
Source = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    AfterValidator(on_one_line),
]
"""Where a fact is from, such as the paragraph of an agreement."""


class Money(BaseModel, frozen=True, extra="forbid"):
    """An amount in a currency. A negative one is a difference."""

    currency: Currency
    amount: Exact

    @field_validator("amount")
    @classmethod
    def _in_units_of_the_currency(cls, amount: Decimal, info: ValidationInfo) -> Decimal:
        if "currency" not in info.data:
            return amount  # The currency is at fault, and named.
        if abs(amount) >= LARGEST:
            raise ValueError("The amount is too large: give less than a million millions.")
        written = amount.quantize(_unit(info.data["currency"]))
        if written != amount:
            decimals = DECIMALS[info.data["currency"]]
            raise ValueError(f"{info.data['currency']} has {decimals} decimals, and {amount} has more.")
        return written

    @classmethod
    def of(cls, amount: str | Decimal, currency: str) -> Self:
        """Return an amount in a currency. Raises ValidationError when there is no such amount."""
        return cls.model_validate({"currency": currency, "amount": amount})

    @classmethod
    def none(cls, currency: str) -> Self:
        """Return no money at all."""
        return cls.of(Decimal(0), currency)

    def __str__(self) -> str:
        return f"{self.currency} {self.amount:,}"

    def __neg__(self) -> "Money":
        return Money.of(-self.amount, self.currency)

    def __add__(self, other: "Money") -> "Money":
        _must_be_alike(self, other)
        return Money.of(self.amount + other.amount, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return self + -other

    def __lt__(self, other: "Money") -> bool:
        _must_be_alike(self, other)
        return self.amount < other.amount

    def __le__(self, other: "Money") -> bool:
        return not other < self

    def __bool__(self) -> bool:
        """Whether it is any money: nothing is false."""
        return bool(self.amount)

    def share(self, part: Decimal, whole: Decimal) -> "Money":
        """Return so large a share of the amount, rounded to the unit of the currency, half to even."""
        return _worked_out(self.amount, part, whole, self.currency)


def _unit(currency: str) -> Decimal:
    return Decimal(1).scaleb(-DECIMALS[currency])


def _must_be_alike(one: Money, other: Money) -> None:
    # Commands ask before they count; adding two currencies is a fault of the program.
    if one.currency != other.currency:
        raise ValueError(f"{one} and {other} cannot be counted together.")


def _worked_out(amount: Decimal, part: Decimal, whole: Decimal, currency: str) -> Money:
    with localcontext(prec=60):
        worked_out = (amount * part / whole).quantize(_unit(currency), ROUND_HALF_EVEN)
    return Money.of(worked_out, currency)


def total(amounts: Iterable[Money], currency: str) -> Money:
    """Return the sum of amounts, which is nothing where there are none."""
    found = Money.none(currency)
    for amount in amounts:
        found += amount
    return found


def _more_than_nothing(money: Money) -> Money:
    if money.amount <= 0:
        raise ValueError("Give an amount that is more than nothing.")
    return money


Sum = Annotated[Money, AfterValidator(_more_than_nothing)]
"""An amount that is more than nothing."""


class Exchange(BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """At which rate money became money of another currency."""

    rate: Annotated[Exact, Field(gt=0, lt=10**7)]
    """How much of the other currency one of the first gives."""
    on: date
    """The day whose rate it is."""
    source: Source
    """Whose rate it is, such as the operational rate of exchange of the United Nations."""

    def of(self, paid: Money, currency: str) -> Money:
        """Return what money is worth in a currency, rounded to its unit, half to even."""
        return _worked_out(paid.amount, self.rate, Decimal(1), currency)


class SupportCost(BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """What is taken from each receipt to support the programme, and where that is agreed."""

    rate_percent: Annotated[Exact, Field(ge=0, le=100)] = STANDING_RATE
    """In per cent of the direct cost: at 13 per cent, of 113 received 13 are for support."""
    source: Source = "Standing rate of the United Nations (general knowledge)"

    def of(self, received: Money) -> Money:
        """Return how much of a receipt is support cost, rounded to the unit of the currency, half to even."""
        return received.share(self.rate_percent, Decimal(100) + self.rate_percent)
