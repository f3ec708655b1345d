"""From a command to the row that shows it: how long somebody waits who acts and then looks.

Commands are given one after the other, as by one person, through the services of this process. The tables
are kept by the projector in another process, which follows the log as it does in an installation.
"""

import statistics
import time
from datetime import date
from uuid import uuid4

from api.bench.ground import Figures, Ground
from api.bench.notebooks import stamp
from api.bench.processes import running
from domain.parties import ContactRole, party_id
from projections.reading import Tables
from projections.runner import run
from services import reference
from services.commands import Command
from services.log import Unavailable
from services.parties import NameContact
from services.settings import Settings
from services.store import Answer, Request
from services.wiring import Services, open_services

DATABASE = "bench_rows"
ROLE = ContactRole.OFFICIAL_CONTACT_POINT
WARM_UP = 20


async def measure(ground: Ground) -> Figures:
    """Measure from the giving of a command until its row can be seen."""
    settings = await ground.database(DATABASE)
    ground.report("From a command to the row that shows it.")
    async with running(_keep_tables, settings), open_services(settings) as services:
        party = reference.parties()[0].registration()
        registered = await _do(services, party)
        async with Tables(settings.reader_url) as tables:
            await _until_served(tables, registered.position)
            milliseconds = [
                await _command_to_row(services, tables, party.iso3)
                for _ in range(ground.sizes.commands_to_row + WARM_UP)
            ][WARM_UP:]
    percentiles = statistics.quantiles(milliseconds, n=100, method="inclusive")
    return {
        "command_to_row_p50_ms": percentiles[49],
        "command_to_row_p99_ms": percentiles[98],
        "command_to_row_commands": len(milliseconds),
    }


async def _keep_tables(settings: Settings) -> None:
    await run(settings)


async def _until_served(tables: Tables, position: int | None) -> None:
    """Wait until the tables, which are made for the first time, have come to a position."""
    until = time.monotonic() + 60
    while True:
        try:
            return await tables.wait_for(position or 0)
        except Unavailable:
            if time.monotonic() > until:
                raise


async def _command_to_row(services: Services, tables: Tables, iso3: str) -> float:
    id, contact_id = party_id(iso3), uuid4()
    command = NameContact(party_id=id, role=ROLE, contact_id=contact_id, effective_on=date(2020, 1, 1))
    begun = time.perf_counter()
    answer = await _do(services, command)
    assert answer.position is not None, "a contact is named"
    await tables.wait_for(answer.position)
    milliseconds = (time.perf_counter() - begun) * 1_000
    async with tables.picture() as picture:
        row = await picture.one("SELECT official_contact_point FROM parties WHERE id = %(id)s", id=id)
    assert row == {"official_contact_point": contact_id}, "the row shows what the command did"
    return milliseconds


async def _do(services: Services, command: Command) -> Answer:
    answer = await services.execute(command, Request(stamp()))
    assert answer.outcome == "done", answer.reply
    return answer
