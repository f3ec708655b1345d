"""A process that keeps the tables in step, for the tests that kill it.

Run as ``python -m tests.projections.following``. It takes its settings from the environment, and few events
at a time, so that it is killed amid its work.
"""

import asyncio
from functools import partial

from projections import runner
from services.settings import Settings

if __name__ == "__main__":
    runner.Runner = partial(runner.Runner, batch_events=25)  # type: ignore[misc, assignment]  # for small batches
    asyncio.run(runner.run(Settings()))
