"""Serves the site: the web server, and how it ends."""

import contextlib
import socket
import sys

import uvicorn
from fastapi import FastAPI

from api.app import create
from projections.reading import Tables
from services.settings import Settings

PATIENCE_SECONDS = 5
"""How long requests may go on after the server was asked to end."""

NEVER_STARTED = 3
"""The exit status of a server that could not start, the same as that of uvicorn's own command."""


class Server(uvicorn.Server):
    """A server that lets go of the pages that are kept fresh before it waits for all others to be done."""

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End in order. The lifespan of the application ends too late for this: after its last request."""
        tables: Tables | None = getattr(self._app.state, "tables", None)
        if tables is not None:
            await tables.end_changes()
        await super().shutdown(sockets)


def serve(settings: Settings) -> None:
    """Serve the site until the process is asked to end."""
    app = create(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        server_header=False,
        access_log=False,
        timeout_graceful_shutdown=PATIENCE_SECONDS,
    )
    server = Server(app, config)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(NEVER_STARTED)
