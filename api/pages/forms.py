"""Reads what people sent in a form of ours, and gives it as a command."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from starlette.datastructures import FormData

from api.access import must_be_allowed
from api.keys import read_key
from api.pages import recorded, words
from api.pages.frame import Visit
from api.pages.translations import _, known
from api.problems import KINDS, of_refusal
from domain.aggregates import Stamp
from domain.refusals import Fault
from services.commands import Command
from services.directory import Entry
from services.store import Answer, RefusalRecord, Request, digest


@dataclass
class Filled:
    """A form as it was filled in, and what is wrong with it."""

    given: Mapping[str, str]
    faults: list[Fault] = field(default_factory=list)
    status: int = 200

    @classmethod
    def of(cls, form: FormData) -> "Filled":
        """Take the texts of a form; of several under one name the last."""
        return cls({name: value.strip() for name, value in form.items() if isinstance(value, str)})

    def __getitem__(self, name: str) -> str:
        return self.given.get(name, "")

    def fault(self, where: str, what: str) -> None:
        """Note what is wrong with a field; an empty ``where`` means the whole."""
        self.faults.append(Fault(where=where, what=what))
        self.status = 422

    def words(self, name: str, wanted: str) -> str:
        """Read a text that must not be empty."""
        if not self[name]:
            self.fault(name, wanted)
        return self[name]

    def day(self, name: str) -> date | None:
        """Read a day, None when there is none or none that can be read."""
        try:
            return date.fromisoformat(self[name]) if self[name] else None
        except ValueError:
            self.fault(
                name,
                _(
                    "“%(text)s” is not a day. Write it as year-month-day, like 2027-03-31.",
                    text=self[name][:40],
                ),
            )
            return None

    def moment(self, name: str, zone: str) -> datetime | None:
        """Read a moment on the clock of a zone, None when there is none or none that can be read."""
        try:
            return datetime.fromisoformat(self[name]).replace(tzinfo=ZoneInfo(zone)) if self[name] else None
        except ValueError:
            what = _("“%(text)s” is not a moment. Write it like 2027-03-31T17:00.", text=self[name][:40])
            self.fault(name, what)
            return None

    def distances(self, name: str) -> tuple[timedelta, ...]:
        """Read lengths of time, in days unless a unit is given."""
        try:
            return words.parse_distances(self[name])
        except ValueError as error:
            self.fault(name, str(error))
            return ()

    def entry(self, name_wanted: str, email_wanted: str) -> Entry | None:
        """Read name, address and language of somebody who is new to the directory; None when it cannot be
        read, which is noted in the words given."""
        try:
            return Entry(name=self["name"], email=self["email"], language=self["language"] or "en")
        except ValidationError as error:
            for where in dict.fromkeys(str(found["loc"][0]) for found in error.errors()):
                self.fault(where, email_wanted if where == "email" else name_wanted)
            return None

    def refuse(self, answer: Answer) -> None:
        """Note why a command was refused."""
        refusal = RefusalRecord.model_validate_json(answer.reply)
        self.faults.append(Fault(where="", what=recorded.refusal(refusal.code, refusal.message)))
        self.faults.extend(Fault(where=fault.where, what=known(fault.what)) for fault in refusal.faults)
        self.status = KINDS[refusal.kind].status if refusal.kind in KINDS else 422

    def refuse_invalid(self, error: ValidationError, fields: Mapping[str, str]) -> None:
        """Note which fields a command could not be made of; ``fields`` maps its facts to ours."""
        for found in error.errors():
            name = str(found["loc"][0]) if found["loc"] else ""
            self.fault(fields.get(name, name), found["msg"].removeprefix("Value error, "))


def new_key() -> UUID:
    """Return a key for a form that is shown: sent twice, it is carried out once."""
    return uuid4()


def read_uuid(written: Any) -> UUID | None:
    """Read an id, None when it is none."""
    try:
        return UUID(str(written))
    except ValueError:
        return None


def key_of(form: FormData) -> UUID:
    """Return the key under which a form was shown, from which the ids of what it makes can be computed."""
    return read_key(str(form.get("key") or new_key()))


async def give(visit: Visit, command: Command, actor: UUID, form: FormData) -> Answer:
    """Give a command in the name of ``actor``, under the key of the form and based on its version."""
    await must_be_allowed(visit.request, command)
    key = key_of(form)
    visit.request.state.key = key
    stamp = Stamp(by=f"person:{actor}", at=datetime.now(UTC), because=f"request:{key}")
    version = str(form.get("version") or "")
    # What was sent counts, not what was filled in from the tables: pressed twice, it is the same command.
    sent = urlencode([(name, value) for name, value in form.multi_items() if isinstance(value, str)])
    asked = (type(command).__name__, visit.request.url.path, sent, stamp.by)
    request = Request(
        stamp,
        key=key,
        keyed=True,
        digest=digest(*(part.encode() for part in asked)),
        expected_version=int(version) if version.isdecimal() and len(version) < 19 else None,
    )
    return await visit.services.execute(command, request)


def must_be_done(answer: Answer) -> None:
    """Raise the refusal of a command, for which there is no form to show again."""
    if answer.outcome == "refused":
        raise of_refusal(RefusalRecord.model_validate_json(answer.reply))
