"""How fast Mandate is, beside things that are not ours and do the same work on the same server.

The figures that count are ratios, measured in turns within one run (see api.bench.ground). Rates a second
are told as well, for whoever wants to know what the machine was like.
"""

import json as json_format
import sys
from dataclasses import replace

import uvloop
from rich.console import Console

from api.bench import loading, order, proving, rebuilding, rows, writing
from api.bench.figures import drawn, rounded
from api.bench.ground import WHOLE, Figures, Ground, Sizes
from api.stack.account import temporary_folder
from api.stack.postgres import PostgresServer

SUBJECTS = (writing, loading, rebuilding, rows, proving, order)


def main(json: bool, proven_events: int = WHOLE.proven_events) -> None:
    """Measure all on a server of its own, and print what was found: as tables, or as one JSON object."""
    figures = uvloop.run(_measure_on_own_server(replace(WHOLE, proven_events=proven_events)))
    if json:
        sys.stdout.write(json_format.dumps(rounded(figures)) + "\n")
        return
    console = Console(highlight=False)
    for table in drawn(figures):
        console.print(table)
        console.print()


async def measure(ground: Ground) -> Figures:
    """Measure all subjects, one after the other."""
    figures: Figures = {}
    for subject in SUBJECTS:
        figures |= await subject.measure(ground)
    return figures


async def _measure_on_own_server(sizes: Sizes) -> Figures:
    # With the settings of the local stack: nothing is made quicker by promising less.
    progress = Console(stderr=True, highlight=False)
    with temporary_folder() as folder:
        progress.print(
            "Starting a PostgreSQL of its own. All takes some minutes; the machine should be idle."
        )
        async with PostgresServer(folder) as server:
            return await measure(Ground(server, sizes, progress.print))
