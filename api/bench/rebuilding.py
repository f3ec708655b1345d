"""Filling the tables from the log: ours, the library's runner, and COPY of the finished rows.

COPY is the floor: it is handed the very rows that the tables hold in the end, as text, and writes them into
tables with the same indexes. It reads no events and works nothing out.
"""

import asyncio
import time
from dataclasses import dataclass

import psycopg
from eventsourcing.projection import ProjectionRunner

from api.bench import history
from api.bench.ground import Figures, Ground, ratio, take_turns
from api.bench.library_view import RecordedEvents, TablesOfTheLibrary, View
from projections.registry import TABLES
from projections.runner import open_runner
from projections.schema import make
from services.settings import Settings

DATABASE = "bench_rebuilding"
OURS = "bench_ours"


async def measure(ground: Ground) -> Figures:
    """Measure how many events a second go into the tables."""
    settings = await ground.database(DATABASE)
    number = ground.sizes.rebuilt_events
    ground.report(f"Rebuilding the tables from {number:,} events.")
    await history.write(settings.writer_url, history.events(number))
    bench = _Bench(ground, settings, number)
    await bench.rebuild()
    rows = await bench.finished_rows()
    rates = await take_turns(
        {"ours": bench.rebuild, "copy": lambda: bench.copy(rows), "library": bench.rebuild_by_library},
        ground.sizes.rebuilding_turns,
    )
    return {
        "rebuild_of_copy": ratio(rates, "ours", "copy"),
        "rebuild_of_library": ratio(rates, "ours", "library"),
        "rebuild_events": number,
        "rebuild_rows": sum(text.count(b"\n") for text in rows.values()),
        **{f"rebuild_{name}_events_per_second": sorted(r)[len(r) // 2] for name, r in rates.items()},
    }


@dataclass(frozen=True, slots=True)
class _Bench:
    ground: Ground
    settings: Settings
    number: int

    async def rebuild(self) -> float:
        """Fill new tables as a new version of the code would."""
        await self._drop(OURS)
        runner = await open_runner(self.settings, OURS)
        async with runner.connection:
            begun = time.perf_counter()
            await runner.catch_up()
            return self.number / (time.perf_counter() - begun)

    async def finished_rows(self) -> dict[str, bytes]:
        """Return what is in the tables now, as COPY takes it."""
        rows = {}
        async with await self._connect() as connection, connection.cursor() as cursor:
            for table in TABLES:
                async with cursor.copy(f"COPY {OURS}.{table.name} TO STDOUT".encode()) as copy:
                    rows[table.name] = b"".join([bytes(block) async for block in copy])
        return rows

    async def copy(self, rows: dict[str, bytes]) -> float:
        """Copy finished rows into new tables, in one transaction."""
        await self._drop("bench_copied")
        async with await self._connect() as connection, connection.cursor() as cursor:
            await make(connection, "bench_copied", TABLES)
            await connection.commit()
            begun = time.perf_counter()
            for name, text in rows.items():
                async with cursor.copy(f"COPY bench_copied.{name} FROM STDIN".encode()) as copy:
                    await copy.write(text)
            await connection.commit()
            return self.number / (time.perf_counter() - begun)

    async def rebuild_by_library(self) -> float:
        """Let the library's runner fill the same tables from the first part of the log."""
        schema, number = "bench_library", min(self.ground.sizes.library_events, self.number)
        await self._drop(schema)
        async with await self._connect() as connection:
            await make(connection, schema, TABLES)
        return await asyncio.to_thread(self._run_library, schema, number)

    def _run_library(self, schema: str, number: int) -> float:
        environment = self.ground.library(DATABASE, "log", 4, user="mandate_projector")
        environment |= {"STORED_CREATE_TABLE": "no", "TABLES_POSTGRES_SCHEMA": schema}
        TablesOfTheLibrary.until = number
        TablesOfTheLibrary.arrived.clear()
        begun = time.perf_counter()
        with ProjectionRunner(
            application_class=RecordedEvents,
            projection_class=TablesOfTheLibrary,
            view_class=View,
            env=environment,
        ) as runner:
            while not TablesOfTheLibrary.arrived.wait(0.5):
                runner.run_forever(0)  # Raises what has gone wrong.
            return number / (time.perf_counter() - begun)

    async def _connect(self) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(self.settings.projector_url)

    async def _drop(self, schema: str) -> None:
        async with await self._connect() as connection:
            await connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())
