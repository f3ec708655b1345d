"""Says what events and their fields are called: in English where they are defined, and translated here."""

import inspect
import re
from collections.abc import Mapping

from api.pages import words
from api.pages.translations import known
from domain.aggregates import Aggregate

_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def event_name(kind: type[Aggregate.Event]) -> str:
    """Return what happened, in words: ``Invitation: response received``."""
    return known(event_source(kind))


def event_source(kind: type[Aggregate.Event]) -> str:
    """Return the same in English, as the catalogues have it."""
    record, event = kind.__qualname__.rsplit(".", 1)
    return f"{words.capital(apart(record))}: {apart(event)}"


def event_summary(kind: type[Aggregate.Event]) -> str:
    """Return the sentence by which the event is described where it is defined."""
    return known(summary_source(kind))


def summary_source(kind: type[Aggregate.Event]) -> str:
    """Return the same in English, as the catalogues have it."""
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def apart(name: str) -> str:
    """Write a name of code as words: ``ResponseReceived``, ``due_at``."""
    return " ".join(part.lower() for part in _CAPITAL.sub("_", name).split("_") if part)


def field_name(name: str) -> str:
    """Return the name of an event's field as a label."""
    return known(field_source(name))


def field_source(name: str) -> str:
    """Return the same in English, as the catalogues have it."""
    return words.capital(FIELD_NAMES.get(name) or apart(name))


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
    "fund_id": "fund",
    "donor_id": "donor",
    "contribution_id": "contribution",
    "activity_id": "activity",
    "receipt_id": "receipt",
    "movement_id": "movement",
    "difference_id": "movement",
    "refund_id": "movement",
    "entry_id": "movement",
    "of": "stands on",
    "rate_percent": "rate in per cent",
    "on": "day",
    "paid": "paid by the donor",
    "booked": "booked in the fund",
    "counted": "counted for the pledge",
    "parts": "whose money it is",
}
