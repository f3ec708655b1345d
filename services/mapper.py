"""Turns domain events into stored bytes and back, in a single pass of pydantic each way.

The stored state is the event's whole JSON, ids included, so that a line of the log explains itself.
An event class that has changed its fields raises its ``class_version`` and gives an
``upcast_vN_vM(state: dict)`` for each step; only such events are read by way of a dictionary.
"""

import json
from typing import Any
from uuid import UUID

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent
from eventsourcing.utils import get_topic, resolve_topic

from domain.aggregates import Aggregate


class EventMapper(Mapper[UUID]):
    """The library's mapper, with pydantic in the place of its transcoder."""

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        """Encode an event."""
        kind = type(domain_event)
        assert isinstance(domain_event, Aggregate.Event)
        state = domain_event.__pydantic_serializer__.to_json(domain_event)
        if domain_event.class_version > 1:
            state = b'{"class_version":%d,' % domain_event.class_version + state[1:]
        return StoredEvent(
            domain_event.originator_id, domain_event.originator_version, get_topic(kind), state
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Aggregate.Event:
        """Decode an event. Raises pydantic's ValidationError when the bytes are not such an event."""
        return decode(stored_event.topic, stored_event.state)


def decode(topic: str, state: bytes) -> Aggregate.Event:
    """Return the event that is stored under ``topic`` as ``state``."""
    kind: type[Aggregate.Event] = resolve_topic(topic)
    if kind.class_version == 1:
        event: Aggregate.Event = kind.__pydantic_validator__.validate_json(state)
        return event
    return kind.model_validate(_upcast(kind, json.loads(state)))


def _upcast(kind: type[Aggregate.Event], state: dict[str, Any]) -> dict[str, Any]:
    for version in range(state.pop("class_version", 1), kind.class_version):
        getattr(kind, f"upcast_v{version}_v{version + 1}")(state)
    return state
