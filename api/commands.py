"""How a command ended, by its key: for a caller whose connection broke before the answer."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from api.access import Right, Rights, allowed
from api.history import told
from api.http import Model, services_of
from api.keys import read_key
from api.openapi import problems
from api.problems import Problem, of_refusal
from domain.access import Action
from domain.people import actor
from services.log import LogReader
from services.store import RefusalRecord

router = APIRouter(prefix="/commands", tags=["commands"])


class CommandRecord(Model):
    """How a command ended."""

    key: UUID
    outcome: Literal["done", "refused"]
    recorded_at: datetime
    position: int | None
    """The position of its last event; empty when it was refused."""
    answer: dict[str, Any] | None
    """What it answered, when it was done."""
    problem: dict[str, Any] | None
    """Why it was refused, as problem details."""


@router.get(
    "/{key}",
    summary="Ask how a command ended",
    responses=problems("not-found"),
    dependencies=[allowed(Action.SEE_COMMANDS)],
)
async def read_command(
    request: Request,
    right: Rights,
    response: Response,
    key: Annotated[
        str, Path(min_length=1, max_length=255, description="The Idempotency-Key of the command.")
    ],
) -> CommandRecord:
    """Return how the command with this key ended.

    404 says that it has not reached the log: it can be sent again with the same key, also if it should be on
    its way still. Refusals are remembered only of commands that came with a key. Whoever does not work for
    the Secretariat finds the commands that they gave themselves, of those that were carried out.
    """
    id = read_key(key)
    known = await services_of(request).store.command(id)
    if known is None or not await _is_within(right, request, known.last_position):
        raise Problem("not-found", f"No command with the key {id} has reached the log.", code="unknown-key")
    if known.last_position is not None:
        response.headers["Event-Position"] = str(known.last_position)
    reply = json.loads(known.reply)
    refused = known.outcome == "refused"
    problem = of_refusal(RefusalRecord.model_validate(reply)) if refused else None
    return CommandRecord(
        key=id,
        outcome=known.outcome,
        recorded_at=known.recorded_at,
        position=known.last_position,
        answer=None if refused else reply,
        problem=problem.document(request.url.path) if problem else None,
    )


async def _is_within(right: Right, request: Request, position: int | None) -> bool:
    """Whether the command is one of those that may be seen: by its last event it is known who gave it."""
    if right.extent.everything:
        return True
    if position is None:
        return False
    async with services_of(request).pool.connection() as connection:
        events = await LogReader(connection).after(position - 1, 1)
    return bool(events) and told(events[0]).by == actor(right.visitor.person.id)
