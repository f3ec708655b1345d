"""What the page of a questionnaire says besides the questionnaire itself, in the languages that we have."""

import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_date

from api.pages import words
from domain.refusals import Fault

_FILE = tomllib.loads((Path(__file__).parent / "phrases.toml").read_text(encoding="utf-8"))

PHRASES: Mapping[str, Mapping[str, str]] = {
    language: phrases for language, phrases in _FILE.items() if language != "faults"
}


def spoken(language: str) -> str:
    """Return the language in which the page itself speaks to readers of a language."""
    return language if language in PHRASES else "en"


def day(value: date, language: str) -> str:
    """Return a day in a language."""
    return words.day(value) if language == "en" else format_date(value, "long", locale=language)


def moment(value: datetime, zone: str, language: str) -> str:
    """Return a moment on the clock of a zone, with the city by which the zone is known."""
    local = value.astimezone(ZoneInfo(zone))
    return f"{day(local.date(), language)}, {local:%H:%M} ({city(zone)})"


def due(on: date | None, at: datetime, zone: str, language: str) -> str:
    """Return when an answer is due, in words, on the party's own clock."""
    if on is None:
        return moment(at, zone, language)
    end = PHRASES[spoken(language)]["end_of_day"].format(day=day(on, spoken(language)))
    return f"{end} ({city(zone)})"


def city(zone: str) -> str:
    """Return the city by which a time zone is known."""
    return words.zone_name(zone).removesuffix(" time")


def translated(fault: Fault, language: str) -> Fault:
    """Return a fault in a language, where we have the words."""
    what = _FILE["faults"].get(language, {}).get(fault.what, fault.what)
    return Fault(where=fault.where, what=what)
