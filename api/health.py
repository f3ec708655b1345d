"""Whether the site is alive, and whether what it depends on is there."""

from typing import Literal

import psycopg
from fastapi import APIRouter, Request, Response
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, Field

from api.access import OPEN
from projections.reading import Tables
from services.history import Checkpoints, open_alarms
from services.log import LogReader, Unavailable
from services.wiring import Services

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process runs."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """What the site depends on, and whether it is there."""

    ready: bool = Field(description="Whether requests can be served now.")
    postgresql: str = Field(description="“reached”, or why not.")
    log_position: int | None = Field(description="Position of the newest event.", examples=[4711])
    tables_position: int | None = Field(
        description="Position of the tables. Behind the log by a moment; for long, the projector is down.",
        examples=[4711],
    )
    proven_position: int | None = Field(
        None,
        description="Position that the newest checkpoint covers. Behind the log by seconds; for long, "
        "nothing is signed.",
        examples=[4711],
    )
    alarms: int = Field(
        0, description="How many findings stand that the history is not as it was published. None should."
    )


@router.get("/health", summary="Say that the process runs", dependencies=[OPEN])
async def health() -> Alive:
    """Answer as long as the process runs, whatever else is down: for whoever restarts it if not."""
    return Alive()


@router.get(
    "/ready",
    summary="Say whether requests can be served",
    responses={503: {"model": Ready, "description": "Something that is needed is out of reach."}},
    dependencies=[OPEN],
)
async def ready(request: Request, response: Response) -> Ready:
    """Look at everything that the site depends on: for whoever sends it requests."""
    services: Services = request.app.state.services
    tables: Tables = request.app.state.tables
    found = Ready(ready=False, postgresql="reached", log_position=None, tables_position=None)
    try:
        async with services.pool.connection(timeout=2) as connection:
            found.log_position = await LogReader(connection).position()
            newest = await Checkpoints(connection).newest()
            found.proven_position = newest.position if newest else None
            found.alarms = len(await open_alarms(connection))
        async with tables.picture() as picture:
            found.tables_position = picture.position
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout):
        found.postgresql = "out of reach"
    except (Unavailable, psycopg.errors.UndefinedTable):
        pass  # The tables have not been made yet: their position says so.
    found.ready = found.tables_position is not None
    if not found.ready:
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    return found
