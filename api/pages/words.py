"""Says states, moments and quantities in words that people read."""

import inspect
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from domain.aggregates import Aggregate
from domain.forms import Question, text

INVITATION_STATES = {
    "issued": "Awaiting answer",
    "lapsed": "Overdue",
    "received": "Received",
    "withdrawn": "Withdrawn",
}
"""What the board says for the state of an invitation, in the order in which it matters."""

LETTER_STATES = {
    "planned": "Still to come",
    "sent": "Sent",
    "bounced": "Bounced",
    "suppressed": "Suppressed",
    "cancelled": "Cancelled",
}

FORMER_CONTACT = "a former contact"
"""What stands in the place of the name of somebody who is not in the directory any more."""

ROLES = {
    "official_contact_point": "Official contact point",
    "designated_national_authority": "Designated national authority",
}

REGIONS = {
    "Africa": "African States",
    "Asia-Pacific": "Asia-Pacific States",
    "CEE": "Central and Eastern European States",
    "GRULAC": "Latin American and Caribbean States",
    "WEOG": "Western European and other States",
}
"""The regional groups by the short names that the tables use, in the order in which they are shown."""

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

_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def direction(language: str) -> str:
    """Return the direction in which a language is written, as HTML names it."""
    return "rtl" if language.partition("-")[0] in RIGHT_TO_LEFT else "ltr"


def language_name(code: str) -> str:
    """Return a language in its own words, or its code when we have no word for it."""
    return LANGUAGES.get(code, code)


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: ``1 party``, ``40 parties``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(part: int, whole: int, places: int = 0) -> str:
    """Return a share in per cent, or a dash when there is nothing to have a share of."""
    return f"{100 * part / whole:.{places}f}%" if whole else "–"


def zone_name(zone: str) -> str:
    """Return a time zone as people call it: ``Nairobi time``."""
    if zone in ("UTC", "Etc/UTC"):
        return "UTC"
    if zone.startswith("Etc/"):
        return zone.removeprefix("Etc/")
    return f"{zone.rpartition('/')[2].replace('_', ' ')} time"


def day(value: date) -> str:
    """Return a day: ``2 March 2026``."""
    return f"{value.day} {value:%B %Y}"


def moment(value: datetime, zone: str, *, seconds: bool = False) -> str:
    """Return a moment on the clock of a zone, without the zone's name: ``2 March 2026, 10:00``."""
    local = value.astimezone(ZoneInfo(zone))
    return f"{day(local)}, {local:%H:%M:%S}" if seconds else f"{day(local)}, {local:%H:%M}"


def machine(value: datetime | date) -> str:
    """Return a moment or a day as the attribute ``datetime`` of HTML wants it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return value.isoformat()


def due(on: date | None, at: datetime, zone: str) -> str:
    """Return when an answer is due, on the party's own clock, without the zone's name."""
    return f"the end of {day(on)}" if on is not None else moment(at, zone)


def short_day(value: date) -> str:
    """Return a day as it stands in tables: ``2 Mar 2026``."""
    return f"{value.day} {value:%b %Y}"


def short(value: datetime, zone: str, *, seconds: bool = False) -> str:
    """Return a moment as it stands in tables, by the clock that the table names: ``2 Mar 2026, 10:00``."""
    local = value.astimezone(ZoneInfo(zone))
    return f"{short_day(local)}, {local:%H:%M:%S}" if seconds else f"{short_day(local)}, {local:%H:%M}"


def short_due(on: date | None, at: datetime, zone: str) -> str:
    """Return when an answer is due as it stands in tables: ``2 Mar 2026, end of day``."""
    return f"{short_day(on)}, end of day" if on is not None else short(at, zone)


def duration(seconds: float) -> str:
    """Return a length of time in its largest whole unit: ``14 days``, ``90 seconds``."""
    whole = round(seconds)
    for name, size in _UNITS:
        if whole >= size and whole % size == 0:
            return count(whole // size, name)
    return count(whole, "second")


def about(seconds: float) -> str:
    """Return a length of time roughly: ``3 days``, ``5 minutes``."""
    for name, size in _UNITS:
        if seconds >= size:
            return count(int(seconds // size), name)
    return "a moment"


def relative(value: datetime, now: datetime) -> str:
    """Return how far a moment lies ahead or back: ``in 40 seconds``, ``3 days ago``."""
    seconds = (value - now).total_seconds()
    return f"in {about(seconds)}" if seconds >= 0 else f"{about(-seconds)} ago"


def letter_name(kind: str, offset_seconds: float) -> str:
    """Return what a letter is: ``Reminder, 7 days before the due date``."""
    if kind == "reminder":
        return f"Reminder, {duration(-offset_seconds)} before the due date"
    if kind == "escalation":
        return f"Escalation, {duration(offset_seconds)} after the due date"
    if kind == "forwarding":
        return "Section forwarded"
    return "Invitation" if kind == "invitation" else kind.capitalize()


label = text
"""Return a text in a language, else in the default one, else in any."""


def answer(question: Question, value: object, language: str, default: str) -> list[str]:
    """Return what was answered as lines: the words of each option that was chosen, else what was written."""
    lines = value if isinstance(value, list | tuple) else [value]
    found = [(str(each), question.option(str(each))) for each in lines]
    return [text(option.label, language, default) if option else written for written, option in found]


def title(labels: Mapping[str, str], language: str = "en") -> str:
    """Return a title in a language, or in any when there is none in this one."""
    return labels.get(language) or next(iter(labels.values()), "")


def audience(categories: list[str]) -> str:
    """Return for whom a round is meant: ``developing countries and countries in transition``."""
    names = {
        "developing": "developing countries",
        "in transition": "countries with economies in transition",
        "developed": "developed countries",
    }
    return " and ".join(names.get(each, each) for each in categories)


def so_far(row: Mapping[str, int]) -> str:
    """Return which letters of the board have gone out: ``2 reminders, escalation``."""
    parts = [
        count(row["reminders_sent"], "reminder") if row["reminders_sent"] else "",
        "escalation" if row["escalations_sent"] else "",
        f"{row['bounced']} bounced" if row["bounced"] else "",
    ]
    return ", ".join(filter(None, parts)) or "–"


def schedule(seconds: list[int]) -> str:
    """Return the distances of reminders or escalations: ``14 days, 7 days and 1 day``."""
    words = [duration(each) for each in seconds]
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def event_name(kind: type[Aggregate.Event]) -> str:
    """Return what happened, in words: ``Invitation: response received``."""
    record, _, event = kind.__qualname__.rpartition(".")
    return f"{apart(record).capitalize()}: {apart(event).lower()}"


def event_summary(kind: type[Aggregate.Event]) -> str:
    """Return the sentence by which the event is described where it is defined."""
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def apart(name: str) -> str:
    """Write a name of code as words: ``ResponseReceived``, ``due_at``."""
    return " ".join(part.lower() for part in _CAPITAL.sub("_", name).split("_") if part)


def field_name(name: str) -> str:
    """Return the name of an event's field as a label."""
    words = FIELD_NAMES.get(name) or apart(name)
    return words[:1].upper() + words[1:]


FIELD_NAMES: Mapping[str, str] = {
    "iso2": "ISO code (two letters)",
    "iso3": "ISO code (three letters)",
    "m49": "M49 code",
    "ldc": "least developed country",
    "sids": "small island developing State",
    "party_id": "party",
    "round_id": "round",
    "questionnaire_id": "questionnaire",
    "contact_id": "contact",
    "letter_id": "letter",
    "form_id": "form",
    "message_id": "Message-ID",
    "cas_numbers": "CAS numbers",
    "annex_id": "number in Annex III",
    "due_at": "due before",
    "at": "at",
    "to": "to",
    "spreadsheet_sha256": "spreadsheet (SHA-256)",
    "xform_sha256": "XForm (SHA-256)",
    "host_country_iso3": "host country (ISO code)",
    "centre_id": "short name",
}


def parse_distances(written: str) -> tuple[timedelta, ...]:
    """Read distances such as ``14, 7, 1`` (days) or ``90 seconds, 2 hours``. Raises ValueError."""
    parts = [part.strip() for part in re.split(r"[,;\n]", written) if part.strip()]
    return tuple(_parse_distance(part) for part in parts)


def _parse_distance(written: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,6})\s*([a-zA-Z]*)", written)
    unit = found[2].lower() if found else ""
    wanted = unit if len(unit) == 1 else unit.removesuffix("s") or "day"
    for name, size in _UNITS:
        if found and name.startswith(wanted):
            return timedelta(seconds=int(found[1]) * size)
    raise ValueError(f"“{written}” is not a length of time. Write it like 14 days, 3 hours or 90 seconds.")
