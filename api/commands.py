"""How a command ended, by its key: for a caller whose connection broke before the answer."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from api.access import Right, Rights, allowed, no_right
from api.history import told
from api.http import Model, services_of
from api.keys import read_key
from api.openapi import problems
from api.problems import Problem, of_refusal
from domain.access import Action, Role, Way, never_may
from domain.people import actor, refusal_id
from services.log import LogReader
from services.store import RefusalRecord

router = APIRouter(prefix="/commands", tags=["commands"])


class CommandRecord(Model):
    """How a command ended."""

    key: UUID
    outcome: Literal["done", "refused"]
    recorded_at: datetime
    position: int | None
    """The position of its last event, or of the one that says that it was refused for want of rights; empty
    when it was refused by a rule."""
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
    the Secretariat finds the commands that they gave themselves.
    """
    id = read_key(key)
    record = await _record(request, right, id)
    if record is None:
        raise Problem("not-found", f"No command with the key {id} has reached the log.", code="unknown-key")
    if record.position is not None:
        response.headers["Event-Position"] = str(record.position)
    return record


async def _record(request: Request, right: Right, id: UUID) -> CommandRecord | None:
    known = await services_of(request).store.command(id)
    if known is None:
        return await _refused_for_want_of_rights(request, right, id)
    if not _is_within(right, known.actor):
        return None
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


async def _refused_for_want_of_rights(request: Request, right: Right, id: UUID) -> CommandRecord | None:
    """Return the record of a command that never came to be one. Whoever gave it learns no more than they
    were told then: of one that was answered as if there were no such record, nothing."""
    async with services_of(request).pool.connection() as connection:
        events = [told(event) for event in await LogReader(connection).stream(refusal_id(id))]
    for event in events:
        roles, way = [Role(role) for role in event.facts["roles"]], Way(event.facts["way"])
        was_told = any(never_may(roles, way, action) for action in Action if action == event.facts["action"])
        if right.extent.everything or (was_told and _is_within(right, event.by)):
            return CommandRecord(
                key=id,
                outcome="refused",
                recorded_at=event.at,
                position=event.position,
                answer=None,
                problem=no_right().document(request.url.path),
            )
    return None


def _is_within(right: Right, by: str) -> bool:
    """Whether the commands of somebody are among those that may be seen."""
    return right.extent.everything or by == actor(right.visitor.person.id)
