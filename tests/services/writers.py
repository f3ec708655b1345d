"""A process that writes to the log from many callers, for the tests that want several such processes.

Run as ``python -m tests.services.writers <url> <callers> <commands>``. Each caller writes one record of its
own, one command after the other, each with one to three events.
"""

import asyncio
import sys
from uuid import uuid4

from services.log import Log
from tests.services.logbook import an_entry, an_event


async def write(url: str, callers: int, commands: int) -> None:
    """Let every caller write all its commands."""
    async with Log(url) as log:
        await asyncio.gather(*(_write_record(log, commands) for _ in range(callers)))


async def _write_record(log: Log, commands: int) -> None:
    record, version = uuid4(), 0
    for number in range(commands):
        events = [an_event(record, version + step) for step in range(1, number % 3 + 2)]
        version += len(events)
        await log.append(an_entry(*events))


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
