"""Lays out the fields of an event for people: ids become names, lengths of time become words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from api.pages import event_names, words
from api.pages.countries import party_name
from api.pages.recorded import reason
from api.pages.translations import _, known, language, ngettext
from domain.aggregates import Aggregate
from domain.forms import Form
from domain.letters import PlannedLetter
from domain.money import Money
from domain.parties import Language
from domain.rounds import Due
from projections.reading import Record

OF_EVERY_EVENT = frozenset({*Aggregate.Event.model_fields, *Aggregate.Created.model_fields})

_OF_ANSWERS = frozenset({"answers", "beside"})
"""Fields that hold answers by the name of their question."""

_PATHS: Mapping[str, str] = {
    "party": "/parties/{code}",
    "round": "/rounds/{id}",
    "invitation": "/invitations/{id}",
    "questionnaire": "/questionnaires/{id}",
    "draft": "/history/{id}",
    "letter": "/history/{id}",
    "chemical": "/history/{id}",
    "delivery partner": "/history/{id}",
    "trust fund": "/funds/{id}",
    "contribution": "/contributions/{id}",
    "donor": "/history/{id}",
}


@dataclass(frozen=True)
class Shown:
    """A value as it is shown."""

    kind: str
    """``text``, ``code``, ``link``, ``list`` or ``facts``."""
    text: str = ""
    path: str = ""
    parts: tuple["Shown", ...] = ()
    facts: tuple[tuple[str, "Shown"], ...] = ()


def record_path(record: Record) -> str:
    """Return where a record is shown."""
    return _PATHS[record["kind"]].format(id=record["id"], code=record["code"])


def name_of(record: Record) -> str:
    """Return the name of a record in the language that is spoken now."""
    if record["kind"] == "party":
        return party_name(record["name"], record["code"])
    return str(record["name"] or record["id"])


def ids_in(value: Any) -> Iterator[UUID]:
    """Find all ids in an event, at any depth."""
    if isinstance(value, UUID):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from ids_in(getattr(value, name))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from ids_in(each)


class Shower:
    """Shows values, with what is known about the ids and the questions in them."""

    def __init__(
        self, zone: str, records: Mapping[UUID, Record], people: Mapping[UUID, str], form: Form | None
    ) -> None:
        self._zone = zone
        self._records = records
        self._people = people
        self._form = form

    def facts(self, event: Aggregate.Event) -> list[tuple[str, Shown]]:
        """Return the fields that an event has of its own."""
        return [
            (event_names.field_name(name), self._answers(value) if name in _OF_ANSWERS else self.show(value))
            for name in type(event).model_fields
            if name not in OF_EVERY_EVENT and (value := getattr(event, name)) not in (None, (), [], {})
        ]

    def show(self, value: Any) -> Shown:
        """Show a value by its type."""
        match value:
            case bool():
                return Shown("text", _("yes") if value else _("no"))
            case UUID():
                return self._id(value)
            case Language():
                return Shown("text", words.language_name(value))
            case StrEnum():
                return Shown("text", known(value))
            case datetime():
                return Shown("text", f"{words.moment(value, self._zone, seconds=True)} {self._zone_name}")
            case date():
                return Shown("text", words.day(value))
            case timedelta():
                return Shown("text", words.duration(value.total_seconds()))
            case Money():
                return Shown("text", words.money(value.amount, value.currency))
            case Due():
                return self._due(value)
            case PlannedLetter():
                return self._letter(value)
            case Form():
                version = _("version %(version)s", version=value.version)
                count = ngettext("%(num)s question", "%(num)s questions", len(value.questions))
                return Shown("text", f"{words.title(value.title)}, {version}, {count}")
            case BaseModel():
                fields = type(value).model_fields
                return Shown(
                    "facts",
                    facts=tuple(
                        (event_names.field_name(name), self.show(getattr(value, name))) for name in fields
                    ),
                )
            case list() | tuple():
                return Shown("list", parts=tuple(self.show(each) for each in value))
        return Shown("code" if _is_hash(str(value)) else "text", reason(str(value)))

    @property
    def _zone_name(self) -> str:
        return words.zone_name(self._zone)

    def _id(self, id: UUID) -> Shown:
        if record := self._records.get(id):
            return Shown("link", name_of(record), record_path(record))
        if name := self._people.get(id):
            return Shown("text", name)
        return Shown("code", str(id))

    def _due(self, due: Due) -> Shown:
        if due.on is not None:
            return Shown("text", _("end of %(day)s, by the party’s own calendar", day=words.day(due.on)))
        assert due.at is not None
        return self.show(due.at)

    def _letter(self, letter: PlannedLetter) -> Shown:
        name = words.letter_name(letter.kind, letter.offset.total_seconds())
        at = words.moment(letter.at, self._zone, seconds=True)
        return Shown("link", f"{name}: {at} {self._zone_name}", f"/history/{letter.letter_id}")

    def _answers(self, answers: Mapping[str, Any]) -> Shown:
        facts = []
        for name, value in answers.items():
            question = self._form.question(name) if self._form else None
            if question is None or value is None:
                asked = words.title(question.label) if question else name
                facts.append((asked, Shown("text", _("No answer")) if value is None else self.show(value)))
                continue
            lines = words.answer(
                question, value, language(), self._form.default_language if self._form else "en"
            )
            parts = tuple(Shown("text", line) for line in lines)
            facts.append(
                (words.title(question.label), parts[0] if len(parts) == 1 else Shown("list", parts=parts))
            )
        return Shown("facts", facts=tuple(facts))


def _is_hash(written: str) -> bool:
    return len(written) == 64 and all(digit in "0123456789abcdef" for digit in written)
