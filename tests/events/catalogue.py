"""Finds the kinds of events that the domain has, and compares them with what is noted of them."""

import json
import pkgutil
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, TypedDict, get_args

from eventsourcing.utils import get_topic
from pydantic import BaseModel

import domain
from domain.aggregates import Aggregate

FOLDER = Path(__file__).parent
TOPICS = FOLDER / "topics.json"
EXAMPLES = FOLDER / "examples"
MADE_BY_THE_LIBRARY = ("Event", "Created")
"""Names of event classes that stand for a family, not for anything that happens."""


class Shape(TypedDict):
    """What is noted of an event."""

    class_version: int
    fields: list[str]


class Listing(TypedDict):
    """What is noted of all events, and of the parts that their fields are made of."""

    events: dict[str, Shape]
    parts: dict[str, list[str]]
    """Fields of models, and values of enumerations."""


def kinds() -> dict[str, type[Aggregate.Event]]:
    """Every kind of event that any aggregate of the domain has, by topic."""
    for module in pkgutil.walk_packages(domain.__path__, "domain."):
        import_module(module.name)
    found = {
        get_topic(event): event
        for aggregate in _below(Aggregate)
        if aggregate.__module__.startswith("domain.")
        for name, event in vars(aggregate).items()
        if isinstance(event, type) and issubclass(event, Aggregate.Event) and name not in MADE_BY_THE_LIBRARY
    }
    return dict(sorted(found.items()))


def listing() -> Listing:
    """What has to be noted of the domain as it is now."""
    parts: dict[str, list[str]] = {}
    for event in kinds().values():
        for part in _parts(event):
            parts[get_topic(part)] = (
                sorted(part.model_fields)
                if issubclass(part, BaseModel)
                else sorted(str(member.value) for member in part)
            )
    return {
        "events": {
            topic: {"class_version": event.class_version, "fields": sorted(event.model_fields)}
            for topic, event in kinds().items()
        },
        "parts": dict(sorted(parts.items())),
    }


def noted() -> Listing:
    """What was noted."""
    found: Listing = json.loads(TOPICS.read_text(encoding="utf-8"))
    return found


def examples() -> Iterator[tuple[str, int, bytes]]:
    """Each stored example: its topic, its class version and its bytes."""
    for path in sorted(EXAMPLES.glob("*.json")):
        module, name, version = path.stem.split("~")
        yield f"{module}:{name}", int(version.removeprefix("v")), path.read_bytes().rstrip(b"\n")


def example_path(topic: str, class_version: int) -> Path:
    """Where the example of an event is kept."""
    return EXAMPLES / f"{topic.replace(':', '~')}~v{class_version}.json"


def _below(kind: type[Aggregate]) -> Iterator[type[Aggregate]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def _parts(model: type[BaseModel]) -> Iterator[type[BaseModel] | type[Enum]]:
    for field in model.model_fields.values():
        yield from _parts_of(field.annotation)


def _parts_of(annotation: Any) -> Iterator[type[BaseModel] | type[Enum]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        yield from _parts(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        yield annotation
    else:
        for argument in get_args(annotation):
            yield from _parts_of(argument)
