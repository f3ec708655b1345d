"""The access log: one line of JSON for each request, on the standard output of the process that serves it.

It holds nothing that opens a door and nothing that names a person: the route is a template and never the
path that was asked for, of the query there is nothing, and who asked is an id of the directory.
"""

import sys
import time
from datetime import UTC, datetime

from pydantic_core import to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.openapi import ROOT
from services.entrance import Visitor
from services.wiring import POSITIONS

QUIET = frozenset({"/health", "/ready"})
"""What machines ask every few seconds: it is told only when it did not go well."""


class AccessLog:
    """Writes down each request once it is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        at, begun, status = datetime.now(UTC), time.perf_counter(), 0
        positions: list[int] = []
        POSITIONS.set(positions)

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, note)
        finally:
            route = _route(scope)
            if route not in QUIET or status != 200:
                _write(scope, at, route, status, time.perf_counter() - begun, positions)


def _route(scope: Scope) -> str | None:
    """Return the template of the route, such as ``/l/{secret}``; None where no route was found."""
    path: str | None = getattr(scope.get("route"), "path", None)
    if path is not None and scope["path"].startswith(f"{ROOT}/") and not path.startswith(f"{ROOT}/"):
        return f"{ROOT}{path}"  # A route knows its path in its router, and not where that was hung in.
    return path


def _write(
    scope: Scope, at: datetime, route: str | None, status: int, seconds: float, positions: list[int]
) -> None:
    visitor: Visitor | None = scope.get("state", {}).get("visitor")
    line = {
        "time": at,
        "method": scope["method"],
        "route": route,
        "status": status or None,  # None: the connection was gone before there was an answer.
        "milliseconds": round(seconds * 1000, 1),
        "person": visitor.person.id if visitor else scope.get("state", {}).get("came_in"),
        "position": positions[-1] if positions else None,
    }
    sys.stdout.write(f"{to_json(line).decode()}\n")
    sys.stdout.flush()
