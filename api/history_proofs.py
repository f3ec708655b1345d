"""The proofs of the history over HTTP, by which anybody holds the log to what it has signed.

Checkpoints and tiles lie where C2SP tlog-tiles has them, so that the tools of others can follow the log. All
of this is open to everybody: hashes and signatures say nothing of what happened. The events themselves, which
do, are given out by other routes, to those who may read them.
"""

import asyncio
import time
from base64 import b64encode
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from psycopg_pool import AsyncConnectionPool

from api.access import OPEN
from api.history import PositionInPath
from api.http import HIGHEST_POSITION, Model
from api.openapi import problems
from api.problems import Problem
from domain.history import Span
from domain.history_tiles import parse_tile_path
from domain.refusals import Fault
from services.history import Checkpoints, Published, no_checkpoint_yet
from services.history_tree import HistoryDiffers, Tree
from services.log import LogReader, Unavailable

log_router = APIRouter(tags=["history"])
"""What lies where the specification has it."""
router = APIRouter(tags=["history"])

PATIENCE_SECONDS = 5.0
LOOK_SECONDS = 0.03

NOTE = "text/plain; charset=utf-8"
FOR_EVER = "public, max-age=31536000, immutable"

_PLAIN: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
_HASHES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}
}

Size = Annotated[int, Query(ge=0, le=HIGHEST_POSITION)]


class LogKeys(Model):
    """Whose signature stands under the checkpoints."""

    log: str
    """The name of the log."""
    keys: list[str]
    """Every public key that the log ever had, oldest first, each as `name+id+base64`."""
    rotations: list[str]
    """The notes by which each key named the next, signed by both."""
    witness: str | None
    """The public key of the witness that is asked to sign as well; empty where there is none."""


class InclusionProof(Model):
    """That an event is in the log, at its place."""

    position: int
    """The position of the event."""
    index: int
    """Its index in the tree, counted from 0 without gaps."""
    size: int
    """How many events the tree has that the proof leads to."""
    leaf_hash: str
    """The hash of the event's leaf, in base64."""
    proof: list[str]
    """The hashes that lead from it to the root (RFC 6962, section 2.1.1), in base64."""
    checkpoint: str | None
    """The signed checkpoint about this size; empty where none was made."""


class ConsistencyProof(Model):
    """That a later log begins with an earlier one."""

    old: int
    new: int
    proof: list[str]
    """The hashes that show it (RFC 6962, section 2.1.2), in base64."""


def history_pool(request: Request) -> AsyncConnectionPool:
    """Return the connections for reading the history, apart from those that commands need."""
    pool: AsyncConnectionPool = request.app.state.history_pool
    return pool


@log_router.get(
    "/checkpoint",
    summary="Read the newest checkpoint",
    response_class=Response,
    responses=problems("not-found") | _PLAIN,
    dependencies=[OPEN],
)
async def read_checkpoint(request: Request) -> Response:
    """Return what the log is, signed (C2SP tlog-checkpoint), and by the witness too where it has."""
    async with history_pool(request).connection() as connection:
        newest = await Checkpoints(connection).newest()
    if newest is None:
        raise Problem("not-found", "No checkpoint has been made yet. The first follows the first event.")
    return Response(newest.encoded, headers={"Event-Position": str(newest.position)}, media_type=NOTE)


@log_router.get(
    "/tile/{path:path}",
    summary="Read a tile of the tree",
    response_class=Response,
    responses=problems("not-found") | _HASHES,
    dependencies=[OPEN],
)
async def read_tile(
    request: Request,
    path: Annotated[str, Path(description="Level and number, such as `0/x001/234` or `1/000.p/5`.")],
) -> Response:
    """Return up to 256 hashes of the tree, at their path in C2SP tlog-tiles. A tile never changes."""
    tile = parse_tile_path(path)
    async with history_pool(request).connection() as connection:
        hashes = await Tree(connection).tile(tile) if tile else None
    if hashes is None:
        raise Problem("not-found", f"The tree has no tile {path[:100]}.")
    return Response(hashes, headers={"Cache-Control": FOR_EVER}, media_type="application/octet-stream")


@router.get("/history/keys", summary="Read the keys of the log", responses=problems(), dependencies=[OPEN])
async def read_keys(request: Request) -> LogKeys:
    """Return the public keys that check the checkpoints.

    Compare the first one with what you were told by another way: whoever can answer here in our place can
    put other keys here.
    """
    async with history_pool(request).connection() as connection:
        keys, rotations = await Checkpoints(connection).keys()
    return LogKeys(
        log=keys[0].name if keys else "",
        keys=[key.encoded for key in keys],
        rotations=[rotation.decode() for rotation in rotations],
        witness=request.app.state.settings.witness_key or None,
    )


@router.get(
    "/events/{position}/proof",
    summary="Prove that an event is in the log",
    responses=problems("not-found"),
    dependencies=[OPEN],
)
async def prove_event(
    request: Request,
    response: Response,
    position: PositionInPath,
    size: Annotated[
        Size | None, Query(description="Lead to the tree of so many events: that of a checkpoint you hold.")
    ] = None,
) -> InclusionProof:
    """Return the proof that the event at a position is in the log.

    Without a size it leads to the first checkpoint that covers the event, and is the same for ever. Where
    there is none yet, one is made at once, and waited for.
    """
    pool = history_pool(request)
    async with pool.connection() as connection:
        events = await LogReader(connection).after(position - 1, 1)
    if not events or events[0].position != position:
        raise Problem("not-found", f"There is no event at position {position}.")
    covering = await covered(pool, position)
    async with pool.connection() as connection:
        tree, checkpoints = Tree(connection), Checkpoints(connection)
        index = await tree.index_of(position)
        if index is None:
            raise HistoryDiffers("The tree is growing anew.")
        wanted = covering.size if size is None else size
        await _must_have(tree, wanted, index + 1, "query/size")
        [hash] = await tree.hashes([Span(index, index + 1)])
        proof = await tree.inclusion(index, wanted)
        about = covering if size is None else await checkpoints.of_size(wanted)
    response.headers["Event-Position"] = str(position)
    return InclusionProof(
        position=position,
        index=index,
        size=wanted,
        leaf_hash=b64encode(hash).decode(),
        proof=[b64encode(each).decode() for each in proof],
        checkpoint=about.encoded.decode() if about else None,
    )


@router.get(
    "/history/consistency",
    summary="Prove that the log has only grown",
    responses=problems("not-found"),
    dependencies=[OPEN],
)
async def prove_consistency(
    request: Request,
    old: Annotated[Size, Query(description="The size that the earlier checkpoint is about.")],
    new: Annotated[
        Size | None, Query(description="The size that the later one is about; without it, the newest.")
    ] = None,
) -> ConsistencyProof:
    """Return the proof that the log of one checkpoint begins with the log of an earlier one."""
    async with history_pool(request).connection() as connection:
        tree, newest = Tree(connection), await Checkpoints(connection).newest()
        wanted = (newest.size if newest else 0) if new is None else new
        await _must_have(tree, wanted, old, "query/new" if new is not None else "query/old")
        proof = await tree.consistency(old, wanted)
    return ConsistencyProof(old=old, new=wanted, proof=[b64encode(each).decode() for each in proof])


async def _must_have(tree: Tree, size: int, least: int, where: str) -> None:
    """Refuse a size that the tree does not have, or that does not reach what is to be proven."""
    largest = (await tree.standing()).size
    if not least <= size <= largest:
        fault = Fault(where=where, what=f"It lies between {least} and {largest}.")
        raise Problem("invalid", "There is no such tree to lead to.", faults=[fault])


async def covered(pool: AsyncConnectionPool, position: int, seconds: float = PATIENCE_SECONDS) -> Published:
    """Return the first checkpoint that covers a position, asking for one where there is none.

    No connection is held meanwhile. Raises Unavailable when it does not come in time.
    """
    until, asked = time.monotonic() + seconds, False
    while True:
        async with pool.connection() as connection:
            checkpoints = Checkpoints(connection)
            if found := await checkpoints.first_covering(position):
                return found
            if not asked:
                await checkpoints.ask(position)
                asked = True
            if time.monotonic() > until:
                raise Unavailable(await no_checkpoint_yet(connection, position))
        await asyncio.sleep(LOOK_SECONDS)
