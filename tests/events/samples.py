"""Makes an example of an event: out of a history that was lived, or else out of the event's JSON schema."""

import asyncio
from typing import Any

from eventsourcing.utils import get_topic, resolve_topic
from hypothesis import find
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.aggregates import Aggregate
from services.mapper import EventMapper
from tests.projections.histories import EVERYTHING, lived

FORMATS = {
    "uuid": "8b7f7f0e-5a39-4a83-9e0c-0d6d7e1a2b01",
    "date": "2026-03-02",
    "date-time": "2026-03-02T09:00:00Z",
    "duration": "P7D",
}


def example_of(topic: str) -> bytes:
    """Return the bytes of an event of this topic, as the log would hold them."""
    for stored in asyncio.run(lived(EVERYTHING)).log:
        if stored.topic == topic:
            return stored.state
    kind: type[Aggregate.Event] = resolve_topic(topic)
    try:
        event = _made_up(kind, full=True)
    except ValidationError:
        event = _made_up(kind, full=False)
    return EventMapper().to_stored_event(event).state


def _made_up(kind: type[Aggregate.Event], *, full: bool) -> Aggregate.Event:
    """Make up an event; a full one leaves out nothing that can be left out."""
    schema = kind.model_json_schema()
    facts = _sample(schema, schema.get("$defs", {}), full)
    facts |= {"originator_version": 2, "by": "service:examples", "because": f"request:{FORMATS['uuid']}"}
    if issubclass(kind, Aggregate.Created):
        facts |= {"originator_version": 1, "originator_topic": get_topic(kind).rpartition(".")[0]}
    return kind.model_validate(facts)


def _sample(schema: dict[str, Any], parts: dict[str, Any], full: bool) -> Any:
    if "$ref" in schema:
        return _sample(parts[schema["$ref"].rpartition("/")[2]], parts, full)
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            ways = sorted(schema[choice], key=lambda one: (one.get("type") == "null") is full)
            return _sample(ways[0], parts, full)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            if "properties" in schema:
                return {name: _sample(part, parts, full) for name, part in schema["properties"].items()}
            return {"en": _sample(schema.get("additionalProperties") or {"type": "string"}, parts, full)}
        case "array":
            return [_sample(schema.get("items") or {"type": "string"}, parts, full)]
        case "integer":
            return schema.get("minimum", 1)
        case "number":
            return 1.5
        case "boolean":
            return True
        case "null":
            return None
    if "pattern" in schema:
        return find(st.from_regex(schema["pattern"], fullmatch=True), lambda text: bool(text))
    return FORMATS.get(schema.get("format", ""), "some text")
