"""Tells open pages that the tables have moved on, by server-sent events, so that they need not ask.

What is told is a position and nothing else. Whoever hears of it loads the page again, under the rights that
they have then. A stream ends after some minutes and the browser opens the next one, which asks who it is.

A browser keeps few connections to one site, so pages open a stream only while they are looked at.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from api.access import allowed
from api.problems import Problem
from domain.access import Action
from projections.reading import Tables

router = APIRouter()

MOST_STREAMS = 200
"""How many streams one process keeps. Whoever comes then is told so, and looks from time to time instead."""
LIFE_SECONDS = 300.0
"""How long a stream lasts: for so long may somebody learn positions whose session has ended."""
HEARTBEAT_SECONDS = 15.0
"""How long a stream is silent at the most: proxies close silent ones, and a lost browser is noticed."""
BREATH_SECONDS = 0.5
"""How far apart two positions are told. A log that is busy would have every page loaded all the time."""
AGAIN_MILLISECONDS = 2_000
"""How long a browser waits before it opens a stream again."""


class Streams:
    """The streams of one process."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.open = 0

    async def follow(self, after: int) -> AsyncIterator[bytes]:
        """Yield the position of the tables whenever it has moved beyond ``after``, as events of a stream."""
        now = asyncio.get_running_loop().time
        until = now() + LIFE_SECONDS
        self.open += 1
        try:
            yield f"retry: {AGAIN_MILLISECONDS}\n\n".encode()
            async with aclosing(self._tables.changes(after, HEARTBEAT_SECONDS)) as changes:
                async for position in changes:
                    yield f"data: {position}\n\n".encode() if position > after else b": still here\n\n"
                    after = position
                    if now() > until:
                        return
                    await asyncio.sleep(BREATH_SECONDS)
        finally:
            self.open -= 1


@router.get("/live", dependencies=[allowed(Action.SEE_HOME)])
async def live(request: Request, after: Annotated[int, Query(ge=0, lt=2**62)] = 0) -> Response:
    """Say each position that the tables reach beyond ``after``, as soon as they do."""
    streams: Streams = request.app.state.streams
    if streams.open >= MOST_STREAMS:
        raise Problem(
            "unavailable",
            f"{MOST_STREAMS} pages are kept fresh already, and no more can be. Load the page again to see "
            "what is new.",
            headers={"Retry-After": "60"},
        )
    return StreamingResponse(
        streams.follow(after),
        media_type="text/event-stream",
        # A proxy that gathers an answer before it passes it on would make news late.
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
