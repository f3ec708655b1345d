"""What the routes share: as of when they answer, under which key a command comes, and how it is answered."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from fastapi import Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from api.access import Acting, Answering, must_be_allowed
from api.keys import read_key
from api.problems import Problem, answer, of_refusal
from domain.aggregates import Stamp
from domain.refusals import Fault
from projections.reading import Picture, Record, Tables
from services import store
from services.commands import Command, Recorded
from services.log import LogReader, Unavailable
from services.settings import Settings
from services.store import RefusalRecord
from services.wiring import Services

HIGHEST_POSITION = 2**63 - 1

# Reading.


def moment(written: str, zone: str) -> int | datetime:
    """Read a position of the log, a moment, or a day: its end, by the clock of the Secretariat."""
    try:
        if written.isdecimal():
            return min(int(written[:20]), HIGHEST_POSITION)
        if len(written) == len("2026-03-02"):
            day = date.fromisoformat(written)
            return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC)
        found = datetime.fromisoformat(written.replace(" ", "+"))
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    what = "Give a position such as 4711, a day such as 2026-03-02, or a moment such as 2026-03-02T10:00:00Z."
    raise Problem(
        "invalid", "It is not clear as of when to answer.", faults=[Fault(where="query/as_of", what=what)]
    )


def as_of(
    request: Request,
    as_of: Annotated[
        str | None,
        Query(
            max_length=60,
            description="Answer as things stood at a position of the log, at a moment (RFC 3339), or at the "
            "end of a day on the calendar of the Secretariat. Without it, as they stand.",
            examples=["4711", "2026-03-02", "2026-03-02T10:00:00Z"],
        ),
    ] = None,
) -> int | datetime | None:
    """Return as of when to answer, None for now."""
    settings: Settings = request.app.state.settings
    return None if as_of is None else moment(as_of, settings.secretariat_time_zone)


AsOf = Annotated[int | datetime | None, Depends(as_of)]


def wait_for(
    wait_for: Annotated[
        int | None,
        Query(
            ge=0,
            le=HIGHEST_POSITION,
            description="Wait until the tables have reached this position: the Event-Position of one's own "
            "last command, so as to see what it did. After five seconds the answer is 503.",
        ),
    ] = None,
    wait_for_position: Annotated[
        int | None, Header(ge=0, le=HIGHEST_POSITION, description="The same as `wait_for`.")
    ] = None,
) -> int | None:
    """Return the position that the tables must have reached."""
    return max((position for position in (wait_for, wait_for_position) if position is not None), default=None)


WaitFor = Annotated[int | None, Depends(wait_for)]


async def picture(
    request: Request, response: Response, as_of: AsOf, wait_for: WaitFor
) -> AsyncIterator[Picture]:
    """Give one consistent picture of the tables, and say at which position it was taken."""
    tables: Tables = request.app.state.tables
    try:
        async with tables.picture(at=as_of, after=wait_for) as picture:
            request.state.position = picture.position
            response.headers["Event-Position"] = str(picture.position)
            yield picture
    except Unavailable:
        if isinstance(as_of, int):
            await _must_have_been(request, as_of)
        raise


async def _must_have_been(request: Request, as_of: int) -> None:
    """Refuse a position that the log has not reached either: waiting for it would be for nothing."""
    newest = await newest_position(request)
    if as_of > newest:
        fault = Fault(where="query/as_of", what=f"The log reaches to {newest}.")
        raise Problem("invalid", f"Nothing stands at position {as_of} yet.", faults=[fault])


Reading = Annotated[Picture, Depends(picture, scope="function")]
"""One consistent picture of the tables. It is let go before the answer is sent."""


def services_of(request: Request) -> Services:
    """Return the services of this process."""
    services: Services = request.app.state.services
    return services


@asynccontextmanager
async def newest_picture(request: Request) -> AsyncIterator[Picture]:
    """Give a picture of the tables that lies behind nothing in the log, for filling in a command."""
    tables: Tables = request.app.state.tables
    async with tables.picture(after=await newest_position(request)) as picture:
        yield picture


async def newest_position(request: Request) -> int:
    """Return how far the log reaches."""
    async with services_of(request).pool.connection() as connection:
        return await LogReader(connection).position()


def found(record: Record | None, what: str, id: object, picture: Picture) -> Record:
    """Return a record, or say that there is none."""
    if record is None:
        at = f" as of position {picture.position}" if picture.is_past else ""
        raise Problem("not-found", f"There is no {what} {id}{at}.")
    return record


def tag(response: Response, record: Record) -> Record:
    """Give an answer with one record the ETag that commands on it want as If-Match."""
    response.headers["ETag"] = f'"{record["version"]}"'
    return record


# Pages of lists.

Row = TypeVar("Row", bound=BaseModel)


class Model(BaseModel):
    """The base of what is sent and received: what stands below a field is its description."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="ignore")


class Page(Model, Generic[Row]):
    """Part of a list."""

    items: list[Row]
    position: int
    """The position of the log that the list shows."""
    next: str | None
    """The path of the next part, as of the same position; empty after the last."""


Limit = Annotated[int, Query(ge=1, le=500, description="How many items to return at the most.")]
Cursor = Annotated[UUID | None, Query(description="Where to go on: taken from `next`.")]
CodeCursor = Annotated[str | None, Query(max_length=100, description="Where to go on: taken from `next`.")]


def page(
    request: Request, picture: Picture, rows: Sequence[Record], limit: int, cursor: str = "id"
) -> dict[str, Any]:
    """Return ``limit`` rows and where to go on. One row more must have been asked for."""
    following = None
    if len(rows) > limit:
        following = next_part(request, picture.position, rows[limit - 1][cursor])
    return {"items": rows[:limit], "position": picture.position, "next": following}


def next_part(request: Request, position: int, cursor: object) -> str:
    """Return the path of the next part of a list, which shows the same moment as this part."""
    query = {name: value for name, value in request.query_params.items() if name != "wait_for"}
    return f"{request.url.path}?{urlencode(query | {'as_of': position, 'cursor': cursor})}"


# Commands.

GivenKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        description="A key of the caller's choosing, best a UUID. The command is carried out once under it: "
        "whoever sends the same again, because the answer was lost, gets the same answer. Without one "
        "a key is made and returned.",
    ),
]


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a command."""

    id: UUID
    given: bool


def key(request: Request, idempotency_key: GivenKey = None) -> Key:
    """Return the key of the command, and let every answer repeat it."""
    found = Key(read_key(idempotency_key) if idempotency_key else uuid4(), idempotency_key is not None)
    request.state.key = found.id
    request.state.key_as_given = idempotency_key or str(found.id)
    return found


def version_seen(
    if_match: Annotated[
        str | None,
        Header(
            description='The ETag of the record that the command is based on, such as `"5"`; `*` for any.'
        ),
    ] = None,
) -> int | None:
    """Return the version that the caller has seen, None when he did not say."""
    if if_match is None or if_match.strip() == "*":
        return None
    written = if_match.strip().removeprefix('"').removesuffix('"')
    if not written.isdecimal() or len(written) > 18:
        raise Problem("stale", f"If-Match says {if_match[:60]}, which is no ETag of a record.")
    return int(written)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who gives a command, under which key, and based on which version of the record."""

    request: Request
    by: UUID
    key: Key
    expected_version: int | None

    async def carry_out(
        self, command: Command, location: str | None = None, asked: BaseModel | None = None
    ) -> Response:
        """Carry out a command and answer how it ended: the same bytes each time for the same key.

        ``asked`` is what the caller sent, where the command was filled in from the tables: the same
        request counts as the same command, whatever the tables say meanwhile.
        """
        await must_be_allowed(self.request, command)
        services = services_of(self.request)
        by = f"person:{self.by}"
        request = store.Request(
            Stamp(by=by, at=datetime.now(UTC), because=f"request:{self.key.id}"),
            key=self.key.id,
            keyed=self.key.given,
            digest=self._digest(command, asked, by) if asked else b"",
            expected_version=self.expected_version,
        )
        ended = await services.execute(command, request)
        if ended.position is not None:
            self.request.state.position = ended.position
        if ended.outcome == "refused":
            return answer(self.request, of_refusal(RefusalRecord.model_validate_json(ended.reply)))
        return self._done(command, ended, location)

    def _digest(self, command: Command, asked: BaseModel, by: str) -> bytes:
        parts = (type(command).__name__, self.request.url.path, asked.model_dump_json(), by)
        return store.digest(*(part.encode() for part in parts))

    def _done(self, command: Command, ended: store.Answer, location: str | None) -> Response:
        recorded = Recorded.model_validate_json(ended.reply)
        headers = {
            "ETag": f'"{recorded.version}"',
            "Idempotency-Key": self.request.state.key_as_given,
        }
        if ended.position is not None:
            headers["Event-Position"] = str(ended.position)
        if location and command.creates:
            headers["Location"] = location.format(id=recorded.id)
        return Response(ended.reply, 201 if command.creates else 200, headers, "application/json")


VersionSeen = Annotated[int | None, Depends(version_seen)]


def caller(request: Request, by: Acting, key: Annotated[Key, Depends(key)], version: VersionSeen) -> Caller:
    """Return who gives a command."""
    return Caller(request, by, key, version)


def careful_caller(request: Request, caller: Annotated[Caller, Depends(caller)]) -> Caller:
    """Return who gives a command that changes a record, and refuse when he does not say which version."""
    if "if-match" not in request.headers:
        raise Problem(
            "precondition-required",
            "Read the record first, and send its ETag as If-Match. Nothing was stored.",
        )
    return caller


def answering_caller(
    request: Request, by: Answering, key: Annotated[Key, Depends(key)], version: VersionSeen
) -> Caller:
    """Return who hands in answers: a party's contact, or somebody for it."""
    return Caller(request, by, key, version)


Calling = Annotated[Caller, Depends(caller)]
CallingOnVersion = Annotated[Caller, Depends(careful_caller)]
CallingToAnswer = Annotated[Caller, Depends(answering_caller)]

RoundId = Annotated[UUID, Path(description="The id of the round.")]
InvitationId = Annotated[UUID, Path(description="The id of the invitation: one questionnaire, one party.")]
