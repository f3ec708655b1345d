"""Money through the services: what two records must agree on, and many who want the same dollar."""

import asyncio
from datetime import date
from uuid import UUID, uuid4

from domain.contributions import Contribution
from domain.earmarks import Earmark, Purpose
from domain.funding import TrustFund, fund_id
from domain.money import Exchange, Money, SupportCost
from domain.parties import Region
from projections import funding
from projections.reading import Tables
from projections.runner import Runner
from services.funding import (
    CommitMoney,
    RecordExchange,
    RecordExpenditure,
    RecordReceipt,
    RefundDonor,
    ReserveMoney,
    ReverseMovement,
)
from services.settings import Settings
from services.store import Answer
from services.wiring import Services, open_services
from tests.cast import Office

RVTF, BDTF = fund_id("RVTF"), fund_id("BDTF")
IN_AFRICA = Purpose(region=Region.AFRICA)


def usd(amount: str) -> Money:
    """So many dollars."""
    return Money.of(amount, "USD")


def reservation(amount: str, *funds: UUID, purpose: Purpose = IN_AFRICA) -> ReserveMoney:
    """The command that sets money aside."""
    return ReserveMoney(id=uuid4(), fund_ids=funds or (RVTF,), amount=usd(amount), purpose=purpose)


async def test_fifty_who_want_the_same_money_get_no_more_than_there_is(
    services: Services, settings: Settings
) -> None:
    """Two processes, fifty commands at once, and money for thirty of them."""
    await Office(services).with_money("339000")  # 300,000 after support cost
    async with open_services(settings) as elsewhere:
        offices = (Office(services), Office(elsewhere))

        async def ask(number: int) -> Answer:
            return await offices[number % 2].ask(reservation("10000"))

        answers = await asyncio.gather(*map(ask, range(50)))

    done = [answer for answer in answers if answer.outcome == "done"]
    refused = [answer for answer in answers if answer.outcome == "refused"]
    assert (len(done), len(refused)) == (30, 20)
    assert all(b"USD 10,000.00 was asked for, and USD 0.00 is free" in answer.reply for answer in refused)
    accounts = (await services.store.read(TrustFund, RVTF)).accounts()
    assert (accounts.reserved, accounts.free) == (usd("300000"), usd("0"))
    assert accounts.add_up


async def test_the_same_key_reserves_once(services: Services) -> None:
    office, key = Office(services), uuid4()
    await office.with_money("1130")
    command = reservation("600")
    first, second = [await office.ask(command, key=key) for _ in range(2)]
    assert (first.reply, second.repeated) == (second.reply, True)
    assert (await services.store.read(TrustFund, RVTF)).accounts().reserved == usd("600")


async def test_a_reservation_from_two_funds_changes_both_or_neither(services: Services) -> None:
    office = Office(services)
    await office.with_money("1130")
    await office.with_receipt(await office.with_contribution(pledged="1130", fund="BDTF"), "1130")
    refused = await office.ask(reservation("2000.01", RVTF, BDTF))
    assert b"USD 2,000.00 is free for this in RVTF and BDTF" in refused.reply
    for fund in (RVTF, BDTF):
        assert not (await services.store.read(TrustFund, fund)).accounts().reserved

    await office.do(reservation("1500", RVTF, BDTF))
    reserved = [(await services.store.read(TrustFund, fund)).accounts().reserved for fund in (RVTF, BDTF)]
    assert reserved == [usd("1000"), usd("500")]


async def test_a_receipt_that_is_reversed_is_outstanding_again(services: Services) -> None:
    office, receipt_id = Office(services), uuid4()
    id = await office.with_contribution(pledged="1130")
    await office.with_receipt(id, "1130", receipt_id)
    reversal = ReverseMovement(id=uuid4(), fund_id=RVTF, movement_id=receipt_id, reason="Typed twice.")
    await office.do(reversal)
    contribution = await services.store.read(Contribution, id)
    assert contribution.outstanding == usd("1130")
    accounts = (await services.store.read(TrustFund, RVTF)).accounts()
    assert not accounts.received
    assert not accounts.support_cost


async def test_a_refund_of_what_is_reserved_is_refused_and_nothing_is_stored(services: Services) -> None:
    office = Office(services)
    id = await office.with_money("1130")
    await office.do(reservation("900"))
    refund = RefundDonor(
        id=uuid4(), contribution_id=id, amount=usd("226"), refunded_on=date(2026, 2, 2), reason="Left over."
    )
    refused = await office.ask(refund)
    assert b"USD 200.00 was asked for, and USD 100.00 is free" in refused.reply
    assert (await services.store.read(Contribution, id)).held == usd("1130")


async def test_every_account_is_the_sum_of_movements_that_open_to_their_events(
    services: Services, runner: Runner, settings: Settings
) -> None:
    office, receipt_id, commitment_id = Office(services), uuid4(), uuid4()
    agreed = SupportCost.model_validate({"rate_percent": "7", "source": "Agreement 4, article 6"})
    id = await office.with_contribution(
        pledged="100000", currency="EUR", earmark=Earmark(region=Region.AFRICA), support_cost=agreed
    )
    await office.with_money("1130")
    rate = {"rate": "1.0856", "on": "2026-02-01", "source": "Operational rate, invented"}
    paid = RecordReceipt(
        id=receipt_id,
        contribution_id=id,
        paid=Money.of("100000", "EUR"),
        exchange=Exchange.model_validate(rate),
        received_on=date(2026, 2, 1),
    )
    await office.do(paid)
    await office.do(
        RecordExchange(
            id=uuid4(),
            contribution_id=id,
            receipt_id=receipt_id,
            exchange=Exchange.model_validate(rate | {"rate": "1.08"}),
        )
    )
    reserve = reservation("50000")
    await office.do(reserve)
    await office.do(
        CommitMoney(
            id=commitment_id,
            fund_id=RVTF,
            reservation_id=reserve.id,
            amount=usd("40000"),
            agreement="Contract 7",
        )
    )
    await office.do(
        RecordExpenditure(
            id=uuid4(),
            fund_id=RVTF,
            commitment_id=commitment_id,
            amount=usd("12345.67"),
            voucher="Payment 9",
            spent_on=date(2026, 2, 20),
        )
    )
    await runner.catch_up()
    fund = await services.store.read(TrustFund, RVTF)
    async with Tables(settings.reader_url) as tables, tables.picture() as picture:
        row = await funding.fund(picture, RVTF)
        movements = await funding.movements(picture, fund_id=RVTF)
        earmarks = await funding.by_earmark(picture, RVTF)
        contribution = await funding.contribution(picture, id)
    assert row is not None
    assert contribution is not None
    for name, money in dict(fund.accounts()).items():
        assert row[name] == money.amount
        assert sum(part[name] for part in earmarks) == money.amount
    assert (contribution["received"], contribution["outstanding"]) == (usd("108000").amount, 0)
    assert [movement["kind"] for movement in movements][:3] == ["expenditure", "commitment", "reservation"]
    assert movements[1]["left"] == usd("27654.33").amount
    assert len({movement["position"] for movement in movements}) == len(movements)
