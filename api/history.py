"""The event log over HTTP: the events of a record, one event, the whole log, and how far it reaches."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from eventsourcing.utils import resolve_topic
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from psycopg import AsyncConnection
from pydantic_core import to_json

from api.access import Right, Rights, allowed
from api.http import (
    HIGHEST_POSITION,
    AsOf,
    Limit,
    Model,
    Page,
    Reading,
    newest_picture,
    newest_position,
    next_part,
    services_of,
)
from api.openapi import problems
from api.problems import Problem
from domain.access import Action
from domain.aggregates import Aggregate
from projections import history
from projections.reading import content_hashes
from projections.registry import TABLES
from services.log import LoggedEvent, LogReader
from services.rights import action_to_read

router = APIRouter(tags=["history"])

BATCH_EVENTS = 1_000
"""How many events of an export are held in memory at once."""

JSON_LINES = "application/jsonl"

PositionInPath = Annotated[int, Path(ge=1, le=HIGHEST_POSITION, description="The position of the event.")]


class RecordedEvent(Model):
    """Something that happened."""

    position: int
    """Where it stands in the log. Positions grow, and are not dense."""
    record_id: UUID
    """What it happened to."""
    version: int
    """The version that the record has since."""
    event: str
    """The kind of event."""
    meaning: str
    """The kind of event, in a sentence."""
    at: datetime
    by: str
    """Who acted: `person:` and an id, or the workflow or service that acted."""
    because: str | None
    """What caused it: a request, a workflow or another event."""
    facts: dict[str, Any]
    """All else that the event says."""


class EventPage(Page[RecordedEvent]):
    """Part of the history of a record."""


class Positions(Model):
    """How far the log and the tables reach."""

    log: int
    """The position of the newest event; 0 while there is none."""
    tables: int
    """The position that the tables show."""


class TableHashes(Model):
    """What the tables hold, as hashes: two installations at one position can be compared by them."""

    position: int
    """The position of the log that the tables show."""
    sha256: dict[str, str]
    """SHA-256 of the rows of each table, whatever order they are stored in."""


@router.get(
    "/position",
    summary="See how far the log and the tables reach",
    responses=problems(),
    dependencies=[allowed(Action.SEE_HISTORY)],
)
async def read_position(request: Request, picture: Reading) -> Positions:
    """Return the position of the newest event, and the one that the tables show."""
    return Positions(log=await newest_position(request), tables=picture.position)


@router.get(
    "/tables", summary="Hash the tables", responses=problems(), dependencies=[allowed(Action.EXPORT_LOG)]
)
async def hash_tables(picture: Reading) -> TableHashes:
    """Return a hash of the content of each table. It reads them whole."""
    hashes = await content_hashes(picture, [table.name for table in TABLES])
    return TableHashes(position=picture.position, sha256=hashes)


@router.get(
    "/records/{record_id}/events",
    summary="Read the history of a record",
    responses=problems("not-found"),
    dependencies=[allowed(Action.SEE_HISTORY)],
)
async def read_history(
    request: Request,
    right: Rights,
    response: Response,
    as_of: AsOf,
    record_id: Annotated[UUID, Path(description="The id of any record: a party, a round, a letter.")],
    cursor: Annotated[
        int, Query(ge=0, le=HIGHEST_POSITION, description="Where to go on: taken from `next`.")
    ] = 0,
    limit: Limit = 200,
) -> EventPage:
    """Return all events of a record, the oldest first."""
    async with services_of(request).pool.connection() as connection:
        position = await _position(connection, as_of)
        stream = await LogReader(connection).stream(record_id)
    response.headers["Event-Position"] = str(position)
    events = [event for event in stream if event.position <= position]
    if not events or not await may_be_read(right, request, events[0]):
        raise Problem("not-found", f"There is no record {record_id} as of position {position}.")
    rest = [event for event in events if event.originator_version > cursor]
    more = len(rest) > limit
    return EventPage(
        items=[told(event) for event in rest[:limit]],
        position=position,
        next=next_part(request, position, rest[limit - 1].originator_version) if more else None,
    )


async def may_be_read(right: Right, request: Request, event: LoggedEvent) -> bool:
    """Whether the event happened to a record whose history may be seen."""
    record: type[Aggregate] = resolve_topic(event.topic.rpartition(".")[0])
    extent = right.visitor.subject.extent(action_to_read(record))
    if extent is None or extent.everything:
        return extent is not None
    async with newest_picture(request) as picture:
        owner = await history.owner_of(picture, event.originator_id)
    return owner is not None and extent.covers({owner["party_id"]}, owner["invitation_id"])


async def _position(connection: AsyncConnection, as_of: int | datetime | None) -> int:
    log = LogReader(connection)
    newest = await log.position()
    if isinstance(as_of, datetime):
        return await log.position_at(as_of)
    return newest if as_of is None else min(as_of, newest)


def told(event: LoggedEvent) -> RecordedEvent:
    """Return an event as it is shown."""
    facts: dict[str, Any] = json.loads(event.state)
    kind: type[Aggregate.Event] = resolve_topic(event.topic)
    for name in ("originator_id", "originator_version", "originator_topic", "class_version"):
        facts.pop(name, None)
    return RecordedEvent(
        position=event.position,
        record_id=event.originator_id,
        version=event.originator_version,
        event=kind.__qualname__,
        meaning=_first_line(kind),
        at=facts.pop("timestamp"),
        by=facts.pop("by"),
        because=facts.pop("because", None),
        facts=facts,
    )


def _first_line(kind: type[Aggregate.Event]) -> str:
    return (kind.__doc__ or kind.__name__).strip().splitlines()[0]


@router.get(
    "/events/{position}",
    summary="Read one event",
    responses=problems("not-found"),
    dependencies=[allowed(Action.SEE_HISTORY)],
)
async def read_event(
    request: Request, response: Response, right: Rights, position: PositionInPath
) -> RecordedEvent:
    """Return the event at a position of the log."""
    async with services_of(request).pool.connection() as connection:
        log = LogReader(connection)
        newest, events = await log.position(), await log.after(position - 1, 1)
    response.headers["Event-Position"] = str(newest)
    event = events[0] if events and events[0].position == position else None
    if event is None or not await may_be_read(right, request, event):
        raise Problem("not-found", f"There is no event at position {position}.")
    return told(event)


@router.get(
    "/events",
    summary="Export the log",
    response_class=StreamingResponse,
    responses=problems()
    | {
        200: {
            "description": "One JSON object on each line: `position`, `key` (record and version), `topic` "
            "(the kind of event) and `stored` (the bytes in the log, in base64).",
            "content": {
                JSON_LINES: {
                    "schema": {"type": "string"},
                    "example": '{"position":1,"key":"0a6f…/1","topic":"domain.parties:Party.Registered",'
                    '"stored":"eyJvcmln…"}\n',
                }
            },
        }
    },
    dependencies=[allowed(Action.EXPORT_LOG)],
)
async def export_log(
    request: Request,
    as_of: AsOf,
    after: Annotated[
        int,
        Query(ge=0, le=HIGHEST_POSITION, description="Begin behind this position: the last one received."),
    ] = 0,
    limit: Annotated[int | None, Query(ge=1, description="Stop after so many events.")] = None,
) -> StreamingResponse:
    """Return all events in order as JSON Lines, up to where the log reaches now.

    An export that breaks off goes on with `after`. Nothing is ever added before a position that was seen.
    """
    async with services_of(request).pool.connection() as connection:
        upto = await _position(connection, as_of)
    lines = _lines(request, after, upto, limit)
    return StreamingResponse(lines, headers={"Event-Position": str(upto)}, media_type=JSON_LINES)


async def _lines(request: Request, after: int, upto: int, limit: int | None) -> AsyncIterator[bytes]:
    """Yield the events in batches; no connection is held while a slow reader takes one."""
    left = limit
    while left is None or left > 0:
        wanted = min(BATCH_EVENTS, left) if left is not None else BATCH_EVENTS
        async with services_of(request).pool.connection() as connection:
            found = await LogReader(connection).after(after, wanted)
        events = [event for event in found if event.position <= upto]
        if not events:
            return
        yield b"".join(_line(event) for event in events)
        after = events[-1].position
        left = None if left is None else left - len(events)


def _line(event: LoggedEvent) -> bytes:
    line = {
        "position": event.position,
        "key": f"{event.originator_id}/{event.originator_version}",
        "topic": event.topic,
        "stored": base64.b64encode(event.state).decode(),
    }
    return to_json(line) + b"\n"
