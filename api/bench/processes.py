"""Further processes of a measurement, started afresh and never forked: they share nothing with this one."""

import asyncio
import multiprocessing
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import uvloop

_fresh = multiprocessing.get_context("spawn")

Work = Callable[..., Awaitable[object]]
"""What a process does: a function on the top level of a module, with arguments that can be sent over."""


@asynccontextmanager
async def running(work: Work, *arguments: Any) -> AsyncIterator[None]:
    """Run something in a process of its own that ends when the block does."""
    process = _fresh.Process(target=_run, args=(work, arguments), daemon=True)
    process.start()
    try:
        yield
        if process.exitcode is not None:
            raise RuntimeError(f"{work.__name__} ended by itself, with status {process.exitcode}")
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)


async def finished(work: Work, arguments: Sequence[tuple[Any, ...]]) -> None:
    """Run something in as many processes as there are sets of arguments, until all have come to their end."""
    processes = [_fresh.Process(target=_run, args=(work, each), daemon=True) for each in arguments]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join)
        if process.exitcode:
            raise RuntimeError(f"{work.__name__} failed with status {process.exitcode}")


def _run(work: Work, arguments: tuple[Any, ...]) -> None:
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # What we print is for programs; what they tell is not.

    async def main() -> None:
        await work(*arguments)

    uvloop.run(main())
