"""Runs the sink: a mail server and its pages in one process, on this machine only."""

import asyncio
from pathlib import Path

import uvicorn

from api.sink.letters import Letters, mail_server
from api.sink.pages import create

HOST = "127.0.0.1"


async def run(folder: Path, smtp_port: int, port: int, host: str = HOST) -> None:
    """Take letters on one port and show them on another until cancelled."""
    letters = Letters(folder)
    loop = asyncio.get_running_loop()
    mail = await loop.create_server(lambda: mail_server(letters), host, smtp_port)
    pages = uvicorn.Server(
        uvicorn.Config(create(letters), host=host, port=port, log_level="warning", lifespan="off")
    )
    async with mail:
        await pages.serve()
