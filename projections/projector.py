"""One projector process: keeps the tables at the head of the log, and lets the history grow beside them."""

import asyncio

from projections import history, runner
from services.settings import Settings


async def run(settings: Settings) -> None:
    """Work until cancelled. An event that the tables cannot take in ends both; what is lost is looked for
    again by each for itself."""
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run(settings), name="tables")
        group.create_task(history.run(settings), name="history")
