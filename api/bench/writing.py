"""Appends, and whole commands: load, let the record decide, append.

All write to the same server, each into its own table of the same columns and indexes, one event at a time
and from so many callers at once. pgbench writes a row of the same size and does nothing else: it is what the
server can do when asked as directly as possible. An append of ours also writes the command's own row and
announces the position; the library takes its lock on the table and announces too.
"""

import asyncio
import os
import re
import statistics
from asyncio.subprocess import PIPE
from collections.abc import Iterator, Mapping
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder

from api.bench.ground import Arm, Figures, Ground, rate_of_tasks, rate_of_threads, ratio, take_turns
from api.bench.notebooks import ACTOR, NOTE, LibraryNotebook, Notebook, stamp
from api.stack.postgres import programs_folder
from services.commands import Recorded
from services.log import Entry, Log
from services.mapper import EventMapper
from services.store import Request, Store, UnitOfWork
from services.wiring import open_services

NOTEBOOKS_OF_A_CALLER = 16
"""How many records each caller writes to in turn; nobody else writes to them. They are new in each turn, so
that none grows long, and have been loaded once before the clock starts."""

CACHED = {
    "AGGREGATE_CACHE_MAXSIZE": "10000",
    "AGGREGATE_CACHE_FASTFORWARD": "n",
    "DEEPCOPY_FROM_AGGREGATE_CACHE": "n",
}
"""The library's settings with which it loads fastest: from memory, uncopied, without asking for news."""

DATABASE = "bench_writing"


async def measure(ground: Ground) -> Figures:
    """Measure appends and commands from each number of callers."""
    settings = await ground.database(DATABASE)
    figures: Figures = {}
    async with Log(settings.writer_url) as log, open_services(settings) as services:
        for callers in ground.sizes.callers:
            ground.report(f"Appends and commands, {callers} at once.")
            arms = await _arms(ground, log, services.store, callers)
            figures |= _figures(await take_turns(arms, ground.sizes.turns), callers)
    return figures


def _figures(rates: Mapping[str, list[float]], callers: int) -> Figures:
    figures: Figures = {}
    for kind, others in (
        ("append", ("pgbench", "library")),
        ("command", ("pgbench", "library", "library_default")),
    ):
        for other in others:
            against = other if other == "pgbench" else f"{kind}_{other}"
            figures[f"{kind}_{callers}_of_{other}"] = ratio(rates, f"{kind}_ours", against)
    for arm, measured in rates.items():
        figures[f"{arm}_{callers}_per_second"] = statistics.median(measured)
    return figures


async def _arms(ground: Ground, log: Log, store: Store, callers: int) -> dict[str, Arm]:
    schema, seconds = f"library_{callers}", ground.sizes.seconds
    await ground.make_schema(DATABASE, schema)
    environment = ground.library(DATABASE, schema, callers)
    _make_table(ground, schema, "appended")
    _make_table(ground, schema, "bare")
    return {
        "append_ours": lambda: _append(log, callers, seconds),
        "append_library": lambda: _append_by_library(ground, schema, callers, seconds),
        "command_ours": lambda: _command(store, callers, seconds),
        "command_library": lambda: _command_of_library(environment | CACHED, callers, seconds),
        "command_library_default": lambda: _command_of_library(environment, callers, seconds),
        "pgbench": lambda: run_pgbench(ground, schema, callers, seconds),
    }


def _make_table(ground: Ground, schema: str, name: str) -> None:
    """Make a table for events, with the columns and indexes that ours has."""
    with ground.datastore(DATABASE, schema, 1) as datastore:
        PostgresApplicationRecorder(datastore, events_table_name=name).create_table()


# Ours.


async def _append(log: Log, callers: int, seconds: float) -> float:
    reply = Recorded(id=uuid4(), version=1).model_dump_json().encode()
    events = _prepared_events(round(seconds * min(callers * 8_000, 100_000)))
    entries = [Entry(uuid4(), b"", ACTOR, "done", reply, (event,)) for event in events]

    async def append(_: int) -> None:
        await log.append(entries.pop())

    return await rate_of_tasks(append, callers, seconds)


def _prepared_events(number: int) -> list[StoredEvent]:
    """Return events, each the first of a record of its own."""
    notebook = Notebook.open(uuid4(), "Prepared", stamp())
    notebook.take_note(NOTE, stamp())
    stored = EventMapper().to_stored_event(notebook.pending_events[-1])
    return [StoredEvent(uuid4(), 1, stored.topic, stored.state) for _ in range(number)]


async def _command(store: Store, callers: int, seconds: float) -> float:
    notebooks = [[uuid4() for _ in range(NOTEBOOKS_OF_A_CALLER)] for _ in range(callers)]
    for own in notebooks:
        await asyncio.gather(*(_open(store, id) for id in own))
        await asyncio.gather(*(_take_note(store, id) for id in own))
    turns = [cycle(own) for own in notebooks]
    return await rate_of_tasks(lambda caller: _take_note(store, next(turns[caller])), callers, seconds)


async def _open(store: Store, id: UUID) -> None:
    async def open(unit: UnitOfWork) -> Recorded:
        unit.add(Notebook.open(id, "Measured", unit.stamp))
        return Recorded(id=id, version=1)

    await store.execute(Request(stamp()), open)


async def _take_note(store: Store, id: UUID) -> None:
    async def take_note(unit: UnitOfWork) -> Recorded:
        notebook = await unit.get(Notebook, id)
        notebook.take_note(NOTE, unit.stamp)
        return Recorded(id=id, version=notebook.version)

    answer = await store.execute(Request(stamp()), take_note)
    assert answer.position is not None, "the note is recorded"


# The library's.


async def _append_by_library(ground: Ground, schema: str, callers: int, seconds: float) -> float:
    events = _prepared_events(round(seconds * 10_000))
    with ground.datastore(DATABASE, schema, callers) as datastore:
        recorder = PostgresApplicationRecorder(datastore, events_table_name="appended")
        datastore.pool.wait()
        return await rate_of_threads(lambda _: recorder.insert_events([events.pop()]), callers, seconds)


async def _command_of_library(environment: Mapping[str, str], callers: int, seconds: float) -> float:
    with Application[UUID](dict(environment)) as application:
        turns: list[Iterator[UUID]] = []
        for _ in range(callers):
            own = [LibraryNotebook("Measured", ACTOR) for _ in range(NOTEBOOKS_OF_A_CALLER)]
            application.save(*own)
            turns.append(cycle([application.repository.get(notebook.id).id for notebook in own]))

        def command(caller: int) -> None:
            notebook: LibraryNotebook = application.repository.get(next(turns[caller]))
            notebook.take_note(NOTE, ACTOR)
            application.save(notebook)

        return await rate_of_threads(command, callers, seconds)


# pgbench.


async def run_pgbench(ground: Ground, schema: str, clients: int, seconds: float) -> float:
    """Let pgbench insert rows like ours, one in each transaction, and return how many in a second."""
    event = _prepared_events(1)[0]
    topic = event.topic.replace(":", ".")  # A colon would begin the name of a variable.
    parts = ground.connection(DATABASE)
    with TemporaryDirectory(prefix="mandate-") as folder:
        script = Path(folder) / "insert.sql"
        script.write_text(
            f"INSERT INTO {schema}.bare (originator_id, originator_version, topic, state) "  # noqa: S608 - ours
            f"VALUES (gen_random_uuid(), 1, '{topic}', '\\x{event.state.hex()}');\n"
        )
        process = await asyncio.create_subprocess_exec(
            programs_folder() / "pgbench",
            *("--no-vacuum", "--protocol=prepared", f"--file={script}", f"--time={max(1, round(seconds))}"),
            *(f"--client={clients}", f"--jobs={min(clients, 2)}"),
            *(f"--host={parts['host']}", f"--username={parts['user']}", parts["dbname"]),
            stdout=PIPE,
            stderr=PIPE,
            env=os.environ | {"PGPASSWORD": parts["password"]},
        )
        output, errors = await process.communicate()
    found = re.search(rb"tps = ([0-9.]+)", output)
    if process.returncode or not found:
        raise RuntimeError(f"pgbench failed: {errors.decode()}")
    return float(found[1])
