"""Trust funds: whatever happens to their money, it adds up."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain.accounts import COMPANIONS, Account, Accounts, MovementKind
from domain.contributions import Contribution
from domain.earmarks import Earmark, Purpose
from domain.funding import FundParticulars, TrustFund
from domain.money import Money, SupportCost, total
from domain.parties import Region
from domain.refusals import Invalid, NotAllowed, NotFound
from domain.resources import Outcome, check_resources
from tests.cast import stamp
from tests.domain.test_money import an_exchange
from tests.projections.histories import DEEDS, EVERYTHING, Plan, World, lived

ON = date(2026, 2, 1)
AFRICA = Earmark(region=Region.AFRICA)
CUSTOMS = Earmark(theme="customs", region=Region.AFRICA)
IN_AFRICA = Purpose(theme="customs", region=Region.AFRICA)
MONEY = tuple(
    name
    for name in sorted(DEEDS)
    if name.endswith(("_money", "_fund", "_donor", "_movement", "_cost", "_kind")) or "pledge" in name
)
PLANS = st.lists(st.tuples(st.sampled_from(MONEY), st.integers(0, 999), st.integers(0, 99)), max_size=30)
OPENING = [
    ("establish_fund", 0, 0),
    ("establish_fund", 1, 0),
    ("register_donor", 0, 0),
    ("register_donor", 1, 0),
]
OPENING += [("pledge", number, number) for number in range(6)]
OPENING += [("receive_money", number, 60) for number in range(6)]

histories = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def usd(amount: str) -> Money:
    """So many dollars."""
    return Money.of(amount, "USD")


def a_fund(code: str = "RVTF", currency: str = "USD") -> TrustFund:
    """A fund with nothing in it."""
    particulars = FundParticulars(
        code=code, name="A fund", currency=currency, source="tests", confidence="invented"
    )
    return TrustFund.establish(particulars, stamp())


def pay(fund: TrustFund, amount: str, earmark: Earmark | None = None, support_cost: str = "0") -> UUID:
    """Let money of a contribution of its own come in; return the receipt."""
    receipt_id = uuid4()
    earmark = earmark or Earmark()
    fund.receive(receipt_id, uuid4(), earmark, usd(amount), usd(support_cost), ON, stamp())
    return receipt_id


def reserve(fund: TrustFund, amount: str, purpose: Purpose = IN_AFRICA) -> UUID:
    """Set money aside; return the reservation."""
    id = uuid4()
    fund.reserve(id, usd(amount), purpose, stamp())
    return id


def must_add_up(fund: TrustFund) -> None:
    """Hold a fund to what always holds of it."""
    by_earmark = [fund.accounts(earmark) for earmark in {pot.earmark for pot in fund.pots.values()}]
    by_contribution = [pot.accounts for pot in fund.pots.values()]
    for accounts in (fund.accounts(), *by_earmark, *by_contribution):
        assert accounts.add_up
        assert min(accounts.spent, accounts.support_cost, accounts.committed, accounts.reserved) >= usd("0")
    for parts in (by_earmark, by_contribution):
        summed = Accounts.empty(fund.currency)
        for part in parts:
            summed += part
        assert summed == fund.accounts()


# ---- stories -------------------------------------------------------------------------------------------


def test_money_that_comes_in_is_free_less_its_support_cost() -> None:
    fund = a_fund()
    pay(fund, "113000", support_cost="13000")
    accounts = fund.accounts()
    assert (accounts.received, accounts.free) == (usd("113000"), usd("100000"))
    assert accounts.support_cost == usd("13000")
    must_add_up(fund)


def test_money_goes_from_free_to_reserved_to_committed_to_spent() -> None:
    fund, commitment_id = a_fund(), uuid4()
    pay(fund, "1000")
    reservation_id = reserve(fund, "600")
    fund.commit(commitment_id, reservation_id, usd("500"), "Contract 7", stamp())
    fund.spend(uuid4(), commitment_id, usd("450"), "Payment 9", ON, stamp())
    fund.release(uuid4(), commitment_id, None, "It cost less.", stamp())
    accounts = fund.accounts()
    assert [accounts.spent, accounts.committed, accounts.reserved, accounts.free] == [
        usd("450"),
        usd("0"),
        usd("100"),
        usd("450"),
    ]
    must_add_up(fund)


def test_a_reservation_beyond_what_is_free_is_refused_and_says_how_much_is() -> None:
    fund = a_fund()
    pay(fund, "1000")
    reserve(fund, "400")
    with pytest.raises(NotAllowed, match=r"USD 600\.01 was asked for, and USD 600\.00 is free for this"):
        reserve(fund, "600.01")
    assert fund.accounts().reserved == usd("400")


def test_money_that_is_earmarked_for_something_else_is_not_free_for_this() -> None:
    fund = a_fund()
    pay(fund, "700", Earmark(region=Region.GRULAC))
    pay(fund, "300", AFRICA)
    with pytest.raises(NotAllowed, match=r"USD 300\.00 is free"):
        reserve(fund, "301")


def test_the_money_that_is_limited_most_goes_first_and_then_the_oldest() -> None:
    fund = a_fund()
    for amount, earmark in (("100", Earmark()), ("100", AFRICA), ("50", CUSTOMS), ("100", Earmark())):
        pay(fund, amount, earmark)
    reservation = fund.movements[reserve(fund, "200")]
    used = [(fund.pots[part.contribution_id].earmark, part.amount) for part in reservation.parts]
    assert used == [(CUSTOMS, usd("50")), (AFRICA, usd("100")), (Earmark(), usd("50"))]
    assert reservation.parts[-1].contribution_id == next(iter(fund.pots)), "the oldest without an earmark"


def test_no_more_is_committed_than_is_reserved_nor_spent_than_is_committed() -> None:
    fund, commitment_id = a_fund(), uuid4()
    pay(fund, "1000")
    reservation_id = reserve(fund, "600")
    with pytest.raises(
        NotAllowed, match=r"601\.00 was asked for, and USD 600\.00 is left of this reservation"
    ):
        fund.commit(commitment_id, reservation_id, usd("601"), "Contract 7", stamp())
    fund.commit(commitment_id, reservation_id, usd("600"), "Contract 7", stamp())
    with pytest.raises(NotAllowed, match="left of this commitment"):
        fund.spend(uuid4(), commitment_id, usd("600.01"), "Payment 9", ON, stamp())
    with pytest.raises(NotAllowed, match="This is a reservation, not a commitment"):
        fund.spend(uuid4(), reservation_id, usd("1"), "Payment 9", ON, stamp())


def test_a_receipt_that_never_was_one_is_reversed_although_its_money_is_reserved() -> None:
    """The bank says so: then less than nothing is free, and nothing more can be reserved."""
    fund = a_fund()
    receipt_id = pay(fund, "1000", support_cost="100")
    reserve(fund, "900")
    fund.reverse(uuid4(), receipt_id, "The bank took it back.", stamp())
    accounts = fund.accounts()
    assert (accounts.received, accounts.support_cost, accounts.free) == (usd("0"), usd("0"), usd("-900"))
    must_add_up(fund)
    pay(fund, "950", CUSTOMS)
    with pytest.raises(NotAllowed, match=r"USD 50\.00 is free"):
        reserve(fund, "51")
    reserve(fund, "50")


def test_what_others_stand_on_is_reversed_after_them_and_only_once() -> None:
    fund, commitment_id = a_fund(), uuid4()
    pay(fund, "1000")
    reservation_id = reserve(fund, "600")
    fund.commit(commitment_id, reservation_id, usd("500"), "Contract 7", stamp())
    before = fund.accounts()
    with pytest.raises(NotAllowed, match="Later movements stand on this one"):
        fund.reverse(uuid4(), reservation_id, "Typed twice.", stamp())
    assert fund.accounts() == before
    fund.reverse(uuid4(), commitment_id, "Typed twice.", stamp())
    fund.reverse(uuid4(), reservation_id, "Typed twice.", stamp())
    assert fund.accounts().free == usd("1000")
    with pytest.raises(NotAllowed, match="was reversed and moves no money"):
        fund.reverse(uuid4(), reservation_id, "Typed twice.", stamp())
    with pytest.raises(NotFound):
        fund.reverse(uuid4(), uuid4(), "Typed twice.", stamp())


def test_a_release_is_not_taken_back_once_its_money_is_reserved_for_something_else() -> None:
    fund, release_id = a_fund(), uuid4()
    pay(fund, "1000")
    fund.release(release_id, reserve(fund, "1000"), None, "Not needed.", stamp())
    reserve(fund, "800")
    with pytest.raises(NotAllowed, match=r"USD 1,000\.00 was asked for, and USD 200\.00 is free"):
        fund.reverse(uuid4(), release_id, "It is needed after all.", stamp())


def test_other_currencies_and_days_to_come_are_refused() -> None:
    fund = a_fund()
    with pytest.raises(Invalid, match="RVTF is kept in USD, and EUR"):
        fund.reserve(uuid4(), Money.of("5", "EUR"), Purpose(), stamp())
    with pytest.raises(Invalid, match="is still to come"):
        fund.receive(uuid4(), uuid4(), Earmark(), usd("5"), usd("0"), date(2026, 3, 5), stamp())


# ---- contributions -------------------------------------------------------------------------------------


def a_pledge(amount: str = "1000", currency: str = "USD", fund_currency: str = "USD") -> Contribution:
    """Money that was promised."""
    return Contribution.pledge(
        uuid4(),
        uuid4(),
        uuid4(),
        Money.of(amount, currency),
        fund_currency,
        Earmark(),
        SupportCost(),
        ON,
        None,
        None,
        stamp(),
    )


def test_no_more_comes_in_than_was_promised() -> None:
    contribution = a_pledge("1000")
    contribution.receive(uuid4(), usd("400"), None, ON, stamp())
    assert contribution.outstanding == usd("600")
    with pytest.raises(NotAllowed, match=r"USD 600\.00 of the pledge is outstanding"):
        contribution.receive(uuid4(), usd("600.01"), None, ON, stamp())
    contribution.reduce(usd("600"), "Parliament cut it.", stamp())
    assert not contribution.outstanding


def test_a_receipt_in_another_currency_needs_its_rate_and_gains_or_loses_by_a_later_one() -> None:
    contribution, receipt_id = a_pledge("100000", "EUR"), uuid4()
    with pytest.raises(Invalid, match="Give the rate"):
        contribution.receive(receipt_id, Money.of("100000", "EUR"), None, ON, stamp())
    contribution.receive(receipt_id, Money.of("100000", "EUR"), an_exchange("1.0856"), ON, stamp())
    assert contribution.held == usd("108560")
    assert contribution.outstanding == Money.of("0", "EUR")
    loss = contribution.revalue(uuid4(), receipt_id, an_exchange("1.08"), stamp())
    assert (loss, contribution.held) == (usd("-560"), usd("108000"))
    assert contribution.revalue(uuid4(), receipt_id, an_exchange("1.09"), stamp()) == usd("1000")
    with pytest.raises(NotAllowed, match="worth what is booked"):
        contribution.revalue(uuid4(), receipt_id, an_exchange("1.09"), stamp())


def test_a_pledge_in_dollars_can_be_paid_in_euros_at_a_rate() -> None:
    contribution = a_pledge("1000")
    contribution.receive(uuid4(), Money.of("500", "EUR"), an_exchange("1.1"), ON, stamp())
    assert contribution.outstanding == usd("450")
    with pytest.raises(Invalid, match="Leave out the rate"):
        contribution.receive(uuid4(), usd("5"), an_exchange("1"), ON, stamp())


def test_a_refund_gives_back_its_share_of_the_support_cost_and_all_of_it_in_the_end() -> None:
    contribution = a_pledge("1130")
    contribution.receive(uuid4(), usd("1130"), None, ON, stamp())
    assert contribution.refund(uuid4(), usd("113"), "Left over.", stamp()) == usd("13")
    assert contribution.refund(uuid4(), usd("1017"), "Left over.", stamp()) == usd("117")
    assert not contribution.support_cost_held
    with pytest.raises(NotAllowed, match=r"USD 0\.00 of this contribution came in"):
        contribution.refund(uuid4(), usd("0.01"), "Left over.", stamp())


def test_another_rate_of_support_cost_holds_for_what_comes_in_later() -> None:
    contribution = a_pledge("2260")
    first = contribution.receive(uuid4(), usd("1130"), None, ON, stamp())
    terms = SupportCost.model_validate({"rate_percent": "0", "source": "Letter of the donor"})
    contribution.agree_support_cost(terms, stamp())
    second = contribution.receive(uuid4(), usd("1130"), None, ON, stamp())
    assert (first.support_cost, second.support_cost) == (usd("130"), usd("0"))


# ---- the resource check --------------------------------------------------------------------------------


def test_the_check_says_what_was_asked_what_is_free_and_where_it_would_come_from() -> None:
    first, second, other = a_fund("RVTF"), a_fund("BDTF"), a_fund("SVTF", "EUR")
    pay(first, "100", AFRICA)
    pay(second, "100")
    funds = [fund.at_hand(IN_AFRICA) for fund in (first, second, other)]

    check = check_resources(usd("150"), IN_AFRICA, funds)
    assert (check.outcome, check.free, check.missing) == (Outcome.AVAILABLE, usd("200"), usd("0"))
    assert [(share.fund_id, share.amount) for share in check.shares] == [
        (first.id, usd("100")),
        (second.id, usd("50")),
    ]
    assert [each.earmark for each in check.funds[0].earmarks] == [AFRICA]

    short = check_resources(usd("200.01"), IN_AFRICA, funds)
    assert (short.outcome, short.missing, short.shares) == (Outcome.NOT_ENOUGH, usd("0.01"), ())
    nothing = check_resources(Money.of("1", "EUR"), IN_AFRICA, funds)
    assert nothing.outcome is Outcome.NOTHING_FITS
    assert type(check).model_validate_json(check.model_dump_json()) == check


# ---- whatever happens ----------------------------------------------------------------------------------


def expected(fund: TrustFund) -> dict[str, Money]:
    """Count the accounts from the movements that stand, without the table of flows."""
    kinds = MovementKind

    def moved(*wanted: MovementKind) -> Money:
        parts = (
            part.amount
            for movement in fund.movements.values()
            if movement.kind in wanted and not movement.reversed
            for part in movement.parts
        )
        return total(parts, fund.currency)

    released = moved(kinds.RESERVATION_RELEASE)
    support_cost = moved(kinds.SUPPORT_COST) - moved(kinds.SUPPORT_COST_RETURN)
    received = moved(kinds.RECEIPT, kinds.EXCHANGE_GAIN) - moved(kinds.EXCHANGE_LOSS) - moved(kinds.REFUND)
    spent = moved(kinds.EXPENDITURE) - moved(kinds.RETURN)
    reserved = moved(kinds.RESERVATION) - moved(kinds.COMMITMENT) - released
    committed = moved(kinds.COMMITMENT) - moved(kinds.EXPENDITURE) - moved(kinds.COMMITMENT_RELEASE)
    return {
        "received": received,
        "spent": spent,
        "support_cost": support_cost,
        "committed": committed,
        "reserved": reserved,
        "free": received - spent - support_cost - committed - reserved,
    }


@dataclass
class Books:
    """The funds of a world, looked at after each step in which something happened to them."""

    world: World
    funds: dict[UUID, TrustFund] = field(default_factory=dict)

    def look(self, began: int) -> None:
        """Hold what the events since ``began`` have done to what always holds."""
        events = self.world.log[began:]
        for event in events:
            assert not list(numbers(json.loads(event.state))), f"{event.topic} holds a float"
        for id in {UUID(str(event.originator_id)) for event in events if ":TrustFund." in event.topic}:
            fund = self.world.load(id)
            assert isinstance(fund, TrustFund)
            must_add_up(fund)
            assert dict(fund.accounts()) == expected(fund)
            if (before := self.funds.get(id)) is not None:
                self._compare(fund, before)
            self.funds[id] = fund

    def _compare(self, fund: TrustFund, before: TrustFund) -> None:
        new = [id for id in fund.movements if id not in before.movements]
        moved = [id for id in new if fund.movements[id].kind not in COMPANIONS]
        kinds = {fund.movements[id].kind for id in moved}
        if kinds & {MovementKind.RESERVATION, MovementKind.COMMITMENT}:
            must_not_be_overdrawn(fund, before)
        for id in moved:
            again = self.world.load(fund.id)
            assert isinstance(again, TrustFund)
            again.reverse(uuid4(), id, "Typed twice.", stamp(self.world.now))
            for earmark in (None, *{pot.earmark for pot in again.pots.values()}):
                assert again.accounts(earmark) == before.accounts(earmark), "a reversal restores exactly"

    def must_agree(self) -> None:
        """Hold each contribution to what its fund says of it."""
        for contribution in self.world.all(Contribution):
            fund = self.world.load(contribution.fund_id)
            assert isinstance(fund, TrustFund)
            pot = fund.pots.get(contribution.id)
            accounts = pot.accounts if pot else Accounts.empty(fund.currency)
            if not contribution.in_kind:
                assert contribution.held == accounts.received
                assert contribution.support_cost_held == accounts.support_cost


async def live(plan: Plan) -> None:
    """Live through a plan with money in it, and look at the books after each step."""
    world = World()
    books = Books(world)
    for name, a, b in [*OPENING, *plan]:
        began = len(world.log)
        await DEEDS[name](world, a, b)
        books.look(began)
    books.must_agree()


def must_not_be_overdrawn(fund: TrustFund, before: TrustFund) -> None:
    """Hold a reservation to taking no more than was free, of the fund and of each earmark."""
    nothing = usd("0")
    for earmark in (None, *{pot.earmark for pot in fund.pots.values()}):
        free, was_free = fund.accounts(earmark).free, before.accounts(earmark).free
        assert free >= min(nothing, was_free)


def numbers(value: Any) -> Iterator[float]:
    """Find every number of JSON that is not whole."""
    if isinstance(value, dict):
        for part in value.values():
            yield from numbers(part)
    elif isinstance(value, list):
        for part in value:
            yield from numbers(part)
    elif isinstance(value, float):
        yield value


@given(plan=PLANS)
@example(plan=EVERYTHING)
@histories
def test_whatever_happens_accounts_add_up_and_reversals_restore(plan: Plan) -> None:
    """After each step of any history: fund, earmarks and contributions add up; a reservation or commitment
    overdraws nothing; the reversal of what was done last restores what was before it; no event has a float.
    In the end contributions and their funds agree."""
    asyncio.run(live(plan))


def test_every_kind_of_movement_happens_in_the_plan_for_everything() -> None:
    world = asyncio.run(lived(EVERYTHING))
    kinds = {movement.kind for fund in world.all(TrustFund) for movement in fund.movements.values()}
    assert kinds == set(MovementKind)
    assert {Account.FREE, Account.SUPPORT_COST} < set(Account)
