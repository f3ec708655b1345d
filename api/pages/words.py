"""Says states, moments and quantities in words that people read, in the language that is spoken now."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time, format_timedelta, get_timezone_location
from babel.lists import format_list
from babel.numbers import format_currency, format_decimal, format_percent

from api.pages.translations import SOURCE, _, language, later, locale, ngettext, speaking
from domain.forms import Question, text
from domain.money import DECIMALS

INVITATION_STATES = {
    "issued": later("Awaiting answer"),
    "lapsed": later("Overdue"),
    "received": later("Received"),
    "withdrawn": later("Withdrawn"),
}
"""What the board says for the state of an invitation, in the order in which it matters."""

LETTER_STATES = {
    "planned": later("Still to come"),
    "sent": later("Sent"),
    "bounced": later("Bounced"),
    "suppressed": later("Suppressed"),
    "cancelled": later("Cancelled"),
}

FORMER_CONTACT = later("a former contact")
"""What stands in the place of the name of somebody who is not in the directory any more."""
LETTER_KINDS = {"invitation": later("Invitation"), "forwarding": later("Forwarding")}

ROLES = {
    "official_contact_point": later("Official contact point"),
    "designated_national_authority": later("Designated national authority"),
}

REGIONS = {
    "Africa": later("African States"),
    "Asia-Pacific": later("Asia-Pacific States"),
    "CEE": later("Central and Eastern European States"),
    "GRULAC": later("Latin American and Caribbean States"),
    "WEOG": later("Western European and other States"),
}
"""The regional groups by the short names that the tables use, in the order in which they are shown."""

_AUDIENCES = {
    "developing": later("developing countries"),
    "in transition": later("countries with economies in transition"),
    "developed": later("developed countries"),
}

LANGUAGES = {
    "ar": "العربية",
    "en": "English",
    "es": "Español",
    "fr": "Français",
    "ru": "Русский",
    "zh": "中文",
}
"""Languages in their own words."""

RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})

Unit = Literal["day", "hour", "minute", "second"]
_UNITS: tuple[tuple[Unit, int], ...] = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def direction(language: str) -> str:
    """Return the direction in which a language is written, as HTML names it."""
    return "rtl" if language.partition("-")[0] in RIGHT_TO_LEFT else "ltr"


def language_name(code: str) -> str:
    """Return a language in its own words, or its code when we have no word for it."""
    return LANGUAGES.get(code, code)


def number(value: int) -> str:
    """Return a number as the language writes it: ``12,345``."""
    return format_decimal(value, locale=locale())


def money(amount: Decimal, currency: str) -> str:
    """Return an amount with the code of its currency, in full: ``USD 1,234.50``."""
    pattern = str(locale().currency_formats["standard"].pattern.partition(";")[0])
    decimals = DECIMALS[currency]
    pattern = re.sub(r"0\.0+", f"0.{'0' * decimals}" if decimals else "0", pattern)
    pattern = re.sub(r"¤(?=[#0])", "¤\u00a0", pattern).replace("¤", "¤¤")
    return format_currency(amount, currency, pattern, locale(), currency_digits=False)


def percent(part: int, whole: int, places: int = 0) -> str:
    """Return a share in per cent, or a dash when there is nothing to have a share of."""
    if not whole:
        return "–"
    pattern = locale().percent_formats[None].pattern
    if places:
        pattern = pattern.replace("0", f"0.{'0' * places}")
    return format_percent(part / whole, pattern, locale=locale())


def list_of(parts: Iterable[object]) -> str:
    """Return what belongs together as one phrase: ``14 days, 7 days and 1 day``."""
    return format_list([str(part) for part in parts], locale=locale())


@cache
def _city(zone: str, spoken: Locale) -> str:
    return get_timezone_location(zone, locale=spoken, return_city=True).rpartition("/")[2]


def city(zone: str) -> str:
    """Return the city by which a time zone is known."""
    if zone in ("UTC", "Etc/UTC"):
        return "UTC"
    return zone.removeprefix("Etc/") if zone.startswith("Etc/") else _city(zone, locale())


def zone_name(zone: str) -> str:
    """Return a time zone as people call it: ``Nairobi time``."""
    return city(zone) if zone == "UTC" or zone.startswith("Etc/") else _("%(city)s time", city=city(zone))


def day(value: date) -> str:
    """Return a day: ``2 March 2026``."""
    return format_date(value, "long", locale=locale())


def _joined(day: str, value: datetime, seconds: bool) -> str:
    time = format_time(value.time(), "medium" if seconds else "short", locale=locale())
    return str(locale().datetime_formats["medium"]).format(time, day)


def moment(value: datetime, zone: str, *, seconds: bool = False) -> str:
    """Return a moment on the clock of a zone, without the zone's name: ``2 March 2026, 10:00``."""
    local = value.astimezone(ZoneInfo(zone))
    return _joined(day(local), local, seconds)


def machine(value: datetime | date) -> str:
    """Return a moment or a day as the attribute ``datetime`` of HTML wants it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return value.isoformat()


def due(on: date | None, at: datetime, zone: str) -> str:
    """Return when an answer is due, on the party's own clock, without the zone's name."""
    return _("the end of %(day)s", day=day(on)) if on is not None else moment(at, zone)


def short_day(value: date) -> str:
    """Return a day as it stands in tables: ``2 Mar 2026``."""
    return format_date(value, "medium", locale=locale())


def short(value: datetime, zone: str, *, seconds: bool = False) -> str:
    """Return a moment as it stands in tables, by the clock that the table names: ``2 Mar 2026, 10:00``."""
    local = value.astimezone(ZoneInfo(zone))
    return _joined(short_day(local), local, seconds)


def short_due(on: date | None, at: datetime, zone: str) -> str:
    """Return when an answer is due as it stands in tables: ``2 Mar 2026, end of day``."""
    return _("%(day)s, end of day", day=short_day(on)) if on is not None else short(at, zone)


def _length(number: int, unit: Unit, **options: Any) -> str:
    # The threshold is the number itself, so that no larger unit is taken: 14 days, and not 2 weeks.
    size = dict(_UNITS)[unit]
    threshold = abs(number) or 1
    return format_timedelta(
        timedelta(seconds=number * size), unit, threshold=threshold, locale=locale(), **options
    )


def duration(seconds: float) -> str:
    """Return a length of time in its largest whole unit: ``14 days``, ``90 seconds``."""
    whole = round(seconds)
    for name, size in _UNITS:
        if whole >= size and whole % size == 0:
            return _length(whole // size, name)
    return _length(whole, "second")


def moment_there(value: datetime, zone: str) -> str:
    """Return a moment with the city on whose clock it is: ``2 March 2026, 10:00 (Nairobi)``."""
    return f"{moment(value, zone)} ({city(zone)})"


def due_there(on: date | None, at: datetime, zone: str) -> str:
    """Return when an answer is due, with the city on whose clock it is."""
    return f"{due(on, at, zone)} ({city(zone)})"


def relative(value: datetime, now: datetime) -> str:
    """Return roughly how far a moment lies ahead or back: ``in 40 seconds``, ``3 days ago``."""
    seconds = (value - now).total_seconds()
    for name, size in _UNITS:
        if abs(seconds) >= size:
            return _length(int(seconds / size), name, add_direction=True)
    return _("now")


def letter_name(kind: str, offset_seconds: float) -> str:
    """Return what a letter is: ``Reminder, 7 days before the due date``."""
    if kind == "reminder":
        return _("Reminder, %(time)s before the due date", time=duration(-offset_seconds))
    if kind == "escalation":
        return _("Escalation, %(time)s after the due date", time=duration(offset_seconds))
    return _(LETTER_KINDS.get(kind, kind.capitalize()))


label = text
"""Return a text in a language, else in the default one, else in any."""


def answer(question: Question, value: object, language: str, default: str) -> list[str]:
    """Return what was answered as lines: the words of each option that was chosen, else what was written."""
    lines = value if isinstance(value, list | tuple) else [value]
    found = [(str(each), question.option(str(each))) for each in lines]
    return [text(option.label, language, default) if option else written for written, option in found]


def title(labels: Mapping[str, str]) -> str:
    """Return a title in the language that is spoken now, else in English, or in any when there is neither."""
    return text(labels, language(), "en")


def audience(categories: Iterable[str]) -> str:
    """Return for whom a round is meant: ``developing countries and countries in transition``."""
    return list_of(_(_AUDIENCES.get(each, each)) for each in categories)


def so_far(row: Mapping[str, int]) -> str:
    """Return which letters of the board have gone out: ``2 reminders, escalation``."""
    reminders, bounced = row["reminders_sent"], row["bounced"]
    parts = [
        ngettext("%(num)s reminder", "%(num)s reminders", reminders) if reminders else "",
        _("escalation") if row["escalations_sent"] else "",
        ngettext("%(num)s bounced", "%(num)s bounced", bounced) if bounced else "",
    ]
    return ", ".join(filter(None, parts)) or "–"


def schedule(seconds: Iterable[int]) -> str:
    """Return the distances of reminders or escalations: ``14 days, 7 days and 1 day``."""
    return list_of(duration(each) for each in seconds)


def capital(text: str) -> str:
    """Return a text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def distances(values: Iterable[timedelta]) -> str:
    """Return lengths of time as they are written into a form."""
    return ", ".join(duration(value.total_seconds()) for value in values)


def parse_distances(written: str) -> tuple[timedelta, ...]:
    """Read distances such as ``14, 7, 1`` (days) or ``90 seconds, 2 hours``. Raises ValueError."""
    parts = [part.strip() for part in re.split(r"[,;\n]", written) if part.strip()]
    return tuple(_parse_distance(part) for part in parts)


def _parse_distance(written: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,6})\s*([^\W\d_]*)", written)
    unit = found[2].casefold() if found else ""
    for name, size in _UNITS:
        names = _names_of(name, SOURCE) | _names_of(name, language())
        if found and (unit in names or unit in {each[0] for each in names} or (not unit and name == "day")):
            return timedelta(seconds=int(found[1]) * size)
    raise ValueError(
        _("“%(text)s” is not a length of time. Write it like 14 days, 3 hours or 90 seconds.", text=written)
    )


@cache
def _names_of(unit: Unit, spoken: str) -> frozenset[str]:
    """Return the names of a unit of time in a language: ``hour`` and ``hours``."""
    with speaking(spoken):
        lengths = [_length(number, unit) for number in (1, 2, 5)]
    return frozenset(re.sub(r"[\d\s]", "", each).casefold() for each in lengths)
