"""The functions that the rules of a form may call, beside those that XPath itself has.

XPath hands over text, numbers and truth values. What is no number becomes empty text on the way back, so
that "not a number" reads as empty everywhere. None of them ever raises: a rule gets whatever was typed.
"""

import math
import re
from collections.abc import Callable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

MATCH_LIMIT = 1_000
"""Longest text that ``regex`` looks at; a longer one does not match."""

EPOCH = date(1970, 1, 1)


def days(day: date) -> int:
    """Return the number of days from 1970-01-01 to ``day``: how rules read a date."""
    return (day - EPOCH).days


def day_from(written: str) -> date | None:
    """Return the day that ``written`` names as year-month-day, or None."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", written):
        return None
    try:
        return date.fromisoformat(written)
    except ValueError:
        return None


Value = str | float | bool


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def _number(value: Value) -> float:
    if isinstance(value, str):
        return (
            float(value) if re.fullmatch(r"\s*-?(\d{1,300}(\.\d*)?|\.\d+)\s*", value, re.ASCII) else math.nan
        )
    return float(value)


def _or_empty(number: float) -> Value:
    return number if math.isfinite(number) else ""


def _selected(_: Any, chosen: Value, option: Value) -> bool:
    return _text(option) in _text(chosen).split()


def _selected_at(_: Any, chosen: Value, index: Value) -> str:
    position, names = _number(index), _text(chosen).split()
    return names[int(position)] if 0 <= position < len(names) else ""


def _count_selected(_: Any, chosen: Value) -> float:
    return float(len(_text(chosen).split()))


def _if(_: Any, condition: Value, then: Value, otherwise: Value) -> Value:
    holds = condition and not (isinstance(condition, float) and math.isnan(condition))
    return then if holds else otherwise


def _coalesce(_: Any, *values: Value) -> Value:
    return next((value for value in values if _text(value) != ""), "")


def _regex(_: Any, value: Value, pattern: Value) -> bool:
    text = _text(value)
    return len(text) <= MATCH_LIMIT and re.fullmatch(_text(pattern), text) is not None


def _ends_with(_: Any, value: Value, end: Value) -> bool:
    return _text(value).endswith(_text(end))


def _substr(_: Any, value: Value, start: Value, end: Value = math.inf) -> str:
    text, first, last = _text(value), _number(start), _number(end)
    if math.isnan(first) or math.isnan(last):
        return ""
    limits = [int(max(-len(text), min(len(text), limit))) for limit in (first, last)]
    return text[limits[0] : limits[1]]


def _int(_: Any, value: Value) -> Value:
    number = _number(value)
    return float(int(number)) if math.isfinite(number) else ""


def _round(_: Any, value: Value, places: Value = 0.0) -> Value:
    number, digits = _number(value), _number(places)
    if not math.isfinite(number) or not -15 <= digits <= 15 or abs(number) >= 1e15:
        return _or_empty(number)
    return float(Decimal(repr(number)).quantize(Decimal(1).scaleb(-int(digits)), rounding=ROUND_HALF_UP))


def _abs(_: Any, value: Value) -> Value:
    return _or_empty(abs(_number(value)))


def _pow(_: Any, base: Value, exponent: Value) -> Value:
    try:
        return _or_empty(math.pow(_number(base), _number(exponent)))
    except (OverflowError, ValueError):
        return ""


def _min(_: Any, *values: Value) -> Value:
    numbers = [_number(value) for value in values if _text(value) != ""]
    return _or_empty(min(numbers)) if numbers else ""


def _max(_: Any, *values: Value) -> Value:
    numbers = [_number(value) for value in values if _text(value) != ""]
    return _or_empty(max(numbers)) if numbers else ""


def _date(_: Any, value: Value) -> Value:
    day = day_from(_text(value).strip())
    return float(days(day)) if day is not None else _or_empty(_number(value))


class Function(NamedTuple):
    """A function that rules may call: how many arguments it takes, and what computes it."""

    fewest: int
    most: int
    compute: Callable[..., Value] | None = None
    """None where XPath itself has it."""


MANY = 100

FUNCTIONS: dict[str, Function] = {
    "true": Function(0, 0),
    "false": Function(0, 0),
    "not": Function(1, 1),
    "boolean": Function(1, 1),
    "number": Function(1, 1),
    "string": Function(1, 1),
    "floor": Function(1, 1),
    "ceiling": Function(1, 1),
    "string-length": Function(1, 1),
    "normalize-space": Function(1, 1),
    "concat": Function(2, MANY),
    "contains": Function(2, 2),
    "starts-with": Function(2, 2),
    "substring": Function(2, 3),
    "substring-before": Function(2, 2),
    "substring-after": Function(2, 2),
    "translate": Function(3, 3),
    "today": Function(0, 0),
    "date": Function(1, 1, _date),
    "selected": Function(2, 2, _selected),
    "selected-at": Function(2, 2, _selected_at),
    "count-selected": Function(1, 1, _count_selected),
    "if": Function(3, 3, _if),
    "coalesce": Function(1, MANY, _coalesce),
    "regex": Function(2, 2, _regex),
    "ends-with": Function(2, 2, _ends_with),
    "substr": Function(2, 3, _substr),
    "int": Function(1, 1, _int),
    "round": Function(1, 2, _round),
    "abs": Function(1, 1, _abs),
    "pow": Function(2, 2, _pow),
    "min": Function(1, MANY, _min),
    "max": Function(1, MANY, _max),
}

# XPath's own round takes one argument and cannot be replaced under its name.
RENAMED = {"round": "round-to"}
EXTENSIONS = {
    (None, RENAMED.get(name, name)): function.compute
    for name, function in FUNCTIONS.items()
    if function.compute is not None
}
