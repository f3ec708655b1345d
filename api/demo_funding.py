"""The money of the demonstration: the voluntary trust funds, and contributions of plausible size.

The funds are facts with their sources. Which donor promised and paid what, and everything that was done with
it, is invented, and each contribution says so.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.aggregates import identify
from domain.contributions import Valuation, donor_id
from domain.earmarks import Earmark, Purpose
from domain.funding import fund_id
from domain.money import Exchange, Money, SupportCost
from domain.parties import Region, party_id
from services import reference
from services.commands import Command
from services.funding import (
    CommitMoney,
    RecordExchange,
    RecordExpenditure,
    RecordOfferInKind,
    RecordPledge,
    RecordReceipt,
    RegisterDonor,
    ReserveMoney,
    ReverseMovement,
)

NOTICE = "Invented for the demonstration: the donor promised and paid nothing of this."
RATES = "A rate of the demonstration, invented"

CUSTOMS = Earmark(theme="customs")
AFRICA = Earmark(region=Region.AFRICA)
CUSTOMS_IN_AFRICA = Purpose(programme="2016-2017", theme="customs", region=Region.AFRICA)

DONORS = ("NOR", "SWE", "CHE", "JPN", "EUE")

PLEDGES: tuple[tuple[str, str, str, str, str, Earmark, str], ...] = (
    ("norway", "RVTF", "NOR", "339000.00", "USD", AFRICA, ""),
    ("sweden", "RVTF", "SWE", "226000.00", "USD", Earmark(), ""),
    ("switzerland", "BDTF", "CHE", "113000.00", "USD", Earmark(programme="2016-2017"), ""),
    ("japan", "SVTF", "JPN", "15000000", "JPY", Earmark(region=Region.ASIA_PACIFIC), ""),
    ("union", "RVTF", "EUE", "500000.00", "EUR", CUSTOMS, "7"),
)
"""By a short name: fund, donor, amount, currency, earmark, and what is agreed as support cost."""

RECEIPTS: tuple[tuple[str, str, str, str], ...] = (
    ("norway", "339000.00", "USD", ""),
    ("sweden", "113000.00", "USD", ""),
    ("switzerland", "113000.00", "USD", ""),
    ("japan", "15000000", "JPY", "0.009"),
    ("union", "250000.00", "EUR", "1.12"),
)
"""By the same name: what was paid, and the rate of exchange where there is one."""


def id_of(*parts: str) -> UUID:
    """Return the id of something of the demonstration's money."""
    return identify("demo money", *parts)


def _usd(amount: str) -> Money:
    return Money.of(amount, "USD")


def _days_ago(days: int) -> date:
    return (datetime.now(UTC) - timedelta(days=days)).date()


def stages() -> Iterator[list[Command]]:
    """Yield the commands of the demonstration's money: those of one stage do not depend on each other."""
    names = {row.iso3: row.name_en for row in reference.parties()}
    yield [row.establishment() for row in reference.trust_funds() if row.kind == "voluntary"]
    yield [RegisterDonor(code=code, name=names[code], party_id=party_id(code)) for code in DONORS]
    yield [*_pledges(), _in_kind()]
    yield [*_receipts()]
    yield [_exchange(), *_reservations()]
    yield [*_commitments()]
    yield [*_expenditures()]
    yield [_reversal()]


def _pledges() -> Iterator[Command]:
    for name, fund, donor, amount, currency, earmark, rate in PLEDGES:
        agreed: dict[str, Any] = {"rate_percent": rate, "source": "Agreement with the donor, invented"}
        yield RecordPledge(
            id=id_of("pledge", name),
            fund_id=fund_id(fund),
            donor_id=donor_id(donor),
            amount=Money.of(amount, currency),
            earmark=earmark,
            support_cost=SupportCost.model_validate(agreed) if rate else SupportCost(),
            pledged_on=_days_ago(200),
            expected_on=_days_ago(-90),
            notice=NOTICE,
        )


def _in_kind() -> Command:
    return RecordOfferInKind(
        id=id_of("in kind"),
        fund_id=fund_id("RVTF"),
        donor_id=donor_id("CHE"),
        what="A venue and interpretation for a workshop of three days",
        valuation=Valuation(
            amount=Money.of("18500.00", "CHF"),
            valued_by="The donor",
            basis="Its price list, invented",
            valued_on=_days_ago(190),
        ),
        offered_on=_days_ago(190),
        notice=NOTICE,
    )


def _receipts() -> Iterator[Command]:
    for name, amount, currency, rate in RECEIPTS:
        yield RecordReceipt(
            id=id_of("receipt", name),
            contribution_id=id_of("pledge", name),
            paid=Money.of(amount, currency),
            exchange=_rate(rate, 150) if rate else None,
            received_on=_days_ago(150),
        )


def _rate(rate: str, days: int) -> Exchange:
    return Exchange.model_validate({"rate": rate, "on": _days_ago(days), "source": RATES})


def _exchange() -> Command:
    return RecordExchange(
        id=id_of("exchange"),
        contribution_id=id_of("pledge", "union"),
        receipt_id=id_of("receipt", "union"),
        exchange=_rate("1.115", 140),
    )


def _reservations() -> Iterator[Command]:
    for name, fund, amount, purpose in (
        ("customs", "RVTF", "180000.00", CUSTOMS_IN_AFRICA),
        ("error", "RVTF", "18000.00", CUSTOMS_IN_AFRICA),
        ("basel", "BDTF", "60000.00", Purpose(programme="2016-2017")),
    ):
        id = id_of("reservation", name)
        yield ReserveMoney(id=id, fund_ids=(fund_id(fund),), amount=_usd(amount), purpose=purpose)


def _commitments() -> Iterator[Command]:
    for name, fund, amount in (("customs", "RVTF", "120000.00"), ("basel", "BDTF", "45000.00")):
        yield CommitMoney(
            id=id_of("commitment", name),
            fund_id=fund_id(fund),
            reservation_id=id_of("reservation", name),
            amount=_usd(amount),
            agreement="Agreement with a regional centre, invented",
        )


def _expenditures() -> Iterator[Command]:
    for name, fund, amount in (("customs", "RVTF", "72500.50"), ("basel", "BDTF", "31200.00")):
        yield RecordExpenditure(
            id=id_of("expenditure", name),
            fund_id=fund_id(fund),
            commitment_id=id_of("commitment", name),
            amount=_usd(amount),
            voucher="Payment of the demonstration",
            spent_on=_days_ago(30),
        )


def _reversal() -> Command:
    return ReverseMovement(
        id=id_of("reversal"),
        fund_id=fund_id("RVTF"),
        movement_id=id_of("reservation", "error"),
        reason="A zero was missing: the reservation of USD 180,000 is the right one.",
    )
