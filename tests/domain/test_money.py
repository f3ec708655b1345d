"""Money: exact, in the decimals of its currency, and never a float."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.money import DECIMALS, Exchange, Money, SupportCost

CENTS = st.integers(0, 10**11)


def an_exchange(rate: str) -> Exchange:
    """A rate of exchange of some day."""
    return Exchange.model_validate({"rate": rate, "on": date(2026, 2, 27), "source": "invented"})


@pytest.mark.parametrize(
    ("currency", "amount", "written"),
    [
        ("USD", "1250.5", "1250.50"),
        ("JPY", "1250", "1250"),
        ("KWD", "1250.5", "1250.500"),
        ("EUR", "-3", "-3.00"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(currency: str, amount: str, written: str) -> None:
    assert str(Money.of(amount, currency).amount) == written


@pytest.mark.parametrize(
    "written", ["1250.5", "1250", "true", "null", '"1e3"', '"NaN"', '"1,250.00"', '" 1"', '""']
)
def test_what_is_no_exact_amount_is_refused(written: str) -> None:
    """A number of JSON too: the program that wrote it may have had 0.1 + 0.2 in mind."""
    with pytest.raises(ValidationError, match="Write the amount as text"):
        Money.model_validate_json(f'{{"currency": "USD", "amount": {written}}}')


@pytest.mark.parametrize(
    ("currency", "amount", "said"),
    [
        ("USD", "0.001", "USD has 2 decimals, and 0.001 has more"),
        ("JPY", "0.5", "JPY has 0 decimals"),
        ("usd", "1", "three capital letters of ISO 4217"),
        ("XXX", "1", "three capital letters of ISO 4217"),
        ("USD", "1000000000000", "too large"),
    ],
)
def test_what_the_currency_does_not_have_is_refused(currency: str, amount: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Money.of(amount, currency)


def test_currencies_are_not_counted_together() -> None:
    with pytest.raises(ValueError, match="cannot be counted together"):
        Money.of("1", "USD") + Money.of("1", "EUR")
    with pytest.raises(ValueError, match="cannot be counted together"):
        assert Money.of("1", "USD") < Money.of("2", "EUR")


@given(cents=CENTS, currency=st.sampled_from(sorted(DECIMALS)))
def test_an_amount_comes_back_from_its_json_as_it_was(cents: int, currency: str) -> None:
    money = Money.of(Decimal(cents).scaleb(-DECIMALS[currency]), currency)
    written = money.model_dump_json()
    assert Money.model_validate_json(written) == money
    assert f'"{money.amount}"' in written, "it is written as text"


def test_money_of_another_currency_is_rounded_to_the_unit_half_to_even() -> None:
    assert an_exchange("1.085").of(Money.of("0.50", "EUR"), "USD") == Money.of("0.54", "USD")
    assert an_exchange("0.005").of(Money.of("1", "EUR"), "USD") == Money.of("0.00", "USD")
    assert an_exchange("0.015").of(Money.of("1", "EUR"), "USD") == Money.of("0.02", "USD")
    assert an_exchange("0.006712").of(Money.of("15000000", "JPY"), "USD") == Money.of("100680", "USD")


def test_support_cost_is_in_per_cent_of_what_is_left_for_activities() -> None:
    assert SupportCost().of(Money.of("113000", "USD")) == Money.of("13000", "USD")
    agreed = SupportCost.model_validate({"rate_percent": "7", "source": "Agreement 4, article 6"})
    assert agreed.of(Money.of("100000", "EUR")) == Money.of("6542.06", "EUR")


def test_the_standing_rate_says_how_sure_it_is() -> None:
    assert SupportCost().rate_percent == 13
    assert "general knowledge" in SupportCost().source


@given(cents=CENTS, percent=st.decimals(0, 100, places=2))
def test_what_is_taken_and_what_is_left_are_the_whole(cents: int, percent: Decimal) -> None:
    received = Money.of(Decimal(cents).scaleb(-2), "USD")
    taken = SupportCost(rate_percent=percent, source="any").of(received)
    assert Money.none("USD") <= taken <= received
    assert taken + (received - taken) == received
