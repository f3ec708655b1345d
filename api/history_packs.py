"""Evidence packs over HTTP: the history of a thing in one file, with what it takes to verify it offline."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import StreamingResponse

from api.access import Right, Rights, allowed
from api.history import may_be_read
from api.http import HIGHEST_POSITION, AsOf, WaitFor, newest_position, services_of
from api.openapi import problems
from api.problems import Problem
from domain.access import Action
from projections import history
from projections.history_subjects import SUBJECTS, Subject
from projections.reading import Tables
from services.log import LogReader
from services.packs import Pack, Packs, Question

router = APIRouter(prefix="/history/packs", tags=["history"])

ZIP = "application/zip"
PART_BYTES = 262_144
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A ZIP. `README.txt` in it says what it holds, and how to verify it.",
        "content": {ZIP: {"schema": {"type": "string"}}},
    }
}


class Kind(StrEnum):
    """What a pack can be about."""

    RECORD = "record"
    PARTY = "party"
    ROUND = "round"
    NEEDS = "needs"


PackKind = Annotated[
    Kind,
    Path(
        description="`record` for one record alone; `party` for all that a party was asked and sent; `round` "
        "for a round with its invitations, answers and letters; `needs` for the answers behind the table of "
        "needs of a round."
    ),
]
First = Annotated[int, Query(ge=1, le=HIGHEST_POSITION, description="The first position.")]
Last = Annotated[int, Query(ge=1, le=HIGHEST_POSITION, description="The last position.")]


@router.get(
    "/{kind}/{id}",
    summary="Take the evidence of a thing along",
    response_class=StreamingResponse,
    responses=problems("not-found") | _FILE,
    dependencies=[allowed(Action.SEE_HISTORY)],
)
async def take_along(
    request: Request,
    right: Rights,
    kind: PackKind,
    id: Annotated[UUID, Path(description="The id of the record, the party or the round.")],
    as_of: AsOf,
    wait_for: WaitFor,
) -> StreamingResponse:
    """Return the events, their documents, and the proofs that they are in the log.

    The same question at the same position gives the same bytes. The position is in `Event-Position`.
    """
    return sent(await pack_of(request, right, kind, id, as_of, wait_for))


@router.get(
    "",
    summary="Take the evidence of a span along",
    response_class=StreamingResponse,
    responses=problems("not-found") | _FILE,
    dependencies=[allowed(Action.EXPORT_LOG)],
)
async def take_span_along(request: Request, first: First, last: Last) -> StreamingResponse:
    """Return all events between two positions, with proofs that they are in the log and none is missing."""
    return sent(await pack_of_span(request, first, last))


async def pack_of(
    request: Request, right: Right, kind: Kind, id: UUID, at: int | datetime | None, after: int | None
) -> Pack:
    """Make the pack about a thing, or answer that there is no such thing within reach."""
    tables: Tables = request.app.state.tables
    async with tables.picture(at, after) as picture:
        subject = await SUBJECTS[kind](picture, id)
        position = picture.position
    if subject is None or not await _reaches(request, right, kind, id, subject):
        raise Problem("not-found", f"There is no {kind} {id} as of position {position}.")
    return await _made(request, Question(subject.title, subject.records), position)


async def _reaches(request: Request, right: Right, kind: Kind, id: UUID, subject: Subject) -> bool:
    if kind is Kind.RECORD:
        async with services_of(request).pool.connection() as connection:
            stream = await LogReader(connection).stream(id)
        # Some records are not for everybody who reads histories, such as drafts.
        return bool(stream) and await may_be_read(right, request, stream[0])
    if right.extent.everything:
        return True
    return bool(subject.owner_ids) and right.covers(subject.owner_ids, subject.invitation_id)


async def pack_of_span(request: Request, first: int, last: int) -> Pack:
    """Make the pack about all events between two positions."""
    last = min(last, await newest_position(request))
    question = Question(f"Positions {first} to {last} of the log", first=first, last=last)
    return await _made(request, question, last)


async def _made(request: Request, question: Question, position: int) -> Pack:
    packs: Packs = request.app.state.packs
    tables: Tables = request.app.state.tables

    async def names(ids: set[UUID]) -> Mapping[UUID, str]:
        # As of the position, even where it is the newest: the same question has the same bytes.
        async with tables.picture(position) as picture:
            known = await history.names(picture, ids)
        return {id: str(record["name"]) for id, record in known.items()}

    return await packs.make(question, position, names)


def sent(pack: Pack) -> StreamingResponse:
    """Return a pack as the answer, in parts."""
    headers = {
        "Content-Disposition": f'attachment; filename="{pack.file_name}"',
        "Content-Length": str(len(pack.content)),
        "Event-Position": str(pack.position),
    }
    return StreamingResponse(_parts(pack.content), headers=headers, media_type=ZIP)


def _parts(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), PART_BYTES):
        yield content[start : start + PART_BYTES]


assert set(Kind) == set(SUBJECTS)
