"""The base of all aggregates and of their events.

An aggregate decides; an event says what was decided. Public methods check the rules and then trigger
one event; the event's own ``apply`` changes the state and never refuses, because it runs again whenever
the history is read. Events are frozen pydantic models: what is stored is their JSON, whole.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID, uuid5

from eventsourcing.domain import BaseAggregate, CanInitAggregate, CanMutateAggregate
from eventsourcing.utils import resolve_topic
from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, core_schema

NAMESPACE = UUID("6d616e64-6174-5e00-8000-000000000000")
"""The root of every computed id. Changing it would orphan every record."""


def identify(*parts: object) -> UUID:
    """Return the id of the thing that ``parts`` make unique; the same parts always give the same id."""
    return uuid5(NAMESPACE, "/".join(str(part) for part in parts))


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("The moment lies outside the years that can be counted.") from None


class _KeptInUtc:
    """Lets a moment in UTC pass as it is, and turns any other into one.

    Nearly every moment comes out of the log and is in UTC already. That is found out without calling Python,
    which would take a third of the time in which an event is read.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        in_utc = core_schema.datetime_schema(tz_constraint=0)
        elsewhere = core_schema.datetime_schema(tz_constraint="aware")
        return core_schema.union_schema(
            [in_utc, core_schema.no_info_after_validator_function(_in_utc, elsewhere)],
            mode="left_to_right",
            custom_error_type="moment",
            custom_error_message="Give a day and a time with its zone, such as 2026-03-02T09:00:00Z.",
        )


Moment = Annotated[datetime, _KeptInUtc()]
"""A point in time, kept in UTC."""

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f]")
_LINE_BREAKS = "\t\n\r"


def on_one_line(text: str) -> str:
    """Refuse line breaks and control characters."""
    if _UNPRINTABLE.search(text):
        raise ValueError("Take out the line breaks and control characters.")
    return text


def without_control_characters(text: str) -> str:
    """Refuse control characters other than line breaks."""
    if any(sign not in _LINE_BREAKS for sign in _UNPRINTABLE.findall(text)):
        raise ValueError("Take out the control characters.")
    return text


Line = Annotated[str, AfterValidator(on_one_line)]
"""Text on one line, fit for the subject of a letter and for every table."""

Text = Annotated[str, AfterValidator(without_control_characters)]
"""Text that may have several lines."""

Actor = Annotated[str, StringConstraints(pattern=r"^(person|workflow|service):[a-z0-9-]+$")]
"""Who acted: ``person:<uuid>``, ``workflow:<name>`` or ``service:<name>``. Never a name or an address."""


class Stamp(BaseModel, frozen=True):
    """Who acts, when, and because of what: the part of an event that the caller brings along."""

    by: Actor
    at: Moment
    because: str | None = None
    """What caused it: ``event:<position>``, ``request:<key>`` or ``workflow:<id>``."""


class Aggregate(BaseAggregate[UUID]):
    """Something with a history of its own: its state follows from its events and from nothing else."""

    class Event(BaseModel, CanMutateAggregate[UUID]):
        """Something that happened to the aggregate."""

        model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

        class_version: ClassVar[int] = 1

        originator_id: UUID
        originator_version: int
        timestamp: Moment
        by: Actor
        because: str | None = None

    class Created(CanInitAggregate[UUID], Event):
        """Something that began the aggregate."""

        originator_topic: str

        def mutate(self, aggregate: Any) -> Any:
            """Make the aggregate. The library's way by ``__init__`` is not taken: ``apply`` says all."""
            assert aggregate is None
            kind = resolve_topic(self.originator_topic)
            made: Aggregate = kind.__new__(kind)
            made.__base_init__(self.originator_id, self.originator_version, self.timestamp)
            self.apply(made)
            return made

    def record(self, event: type[Event], stamp: Stamp, **facts: Any) -> None:
        """Trigger ``event`` with these ``facts``; pydantic validates them against the event's fields."""
        made = event(
            originator_id=self._id,
            originator_version=self._version + 1,
            timestamp=stamp.at,
            by=stamp.by,
            because=stamp.because,
            **facts,
        )
        made.mutate(self)
        self._pending_events.append(made)

    @classmethod
    def begin(cls, event: type[Created], stamp: Stamp, id: UUID, **facts: Any) -> Any:
        """Create the aggregate under ``id`` by its first event."""
        return cls._create(event, id=id, timestamp=stamp.at, by=stamp.by, because=stamp.because, **facts)
