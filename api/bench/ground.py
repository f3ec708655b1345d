"""What all measurements stand on: one PostgreSQL, its databases, and how rates are taken.

A rate alone says more about the machine than about us. So each measurement has something beside it that is
not ours, does the same work on the same server, and takes turns with ours: whatever the machine does
meanwhile, it does to both. What counts is the ratio, taken within each turn; the median of the turns is told.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
from eventsourcing.postgres import PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from api.stack.postgres import PostgresServer
from services.schema import prepare
from services.settings import Settings

Arm = Callable[[], Awaitable[float]]
"""One of the things that are compared: runs for a while and returns how much it did in a second."""

Figures = dict[str, float | int]
"""What was measured, by key."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    turns: int = 5
    """How often the things that are compared take turns."""
    seconds: float = 1.0
    """How long each turn of writing lasts."""
    callers: tuple[int, ...] = (1, 8, 32)
    """How many callers write at once."""
    loaded_lengths: tuple[int, ...] = (10, 100, 1_000)
    """How many events the records have that are loaded."""
    loading_seconds: float = 0.5
    rebuilt_events: int = 50_000
    rebuilding_turns: int = 3
    library_events: int = 2_000
    """How many of them the library's runner takes in; it would need minutes for all."""
    commands_to_row: int = 400
    proven_events: int = 50_000
    proving_turns: int = 3
    proofs: int = 300
    """How many proofs are timed: of events anywhere in the log, and of some that were just recorded."""
    events_of_a_writer: int = 1_500


WHOLE = Sizes()
"""The sizes of an ordinary run, which takes some minutes."""


@dataclass(frozen=True, slots=True)
class Ground:
    """A running server and what a measurement needs of it."""

    server: PostgresServer
    sizes: Sizes
    report: Callable[[str], None]
    """Told what is being measured, for whoever waits."""

    async def database(self, name: str) -> Settings:
        """Make a database as an installation has it, and return the settings for it.

        What is kept beside it lies with the server, and goes with it: an installation that may be in the same
        folder keeps its own keys and checkpoints.
        """
        await prepare(self.server.url(), self.server.passwords, name)
        values = self.server.urls(name) | {"data_folder": str(self.server.folder / "data" / name)}
        return Settings.model_validate(values)

    def datastore(self, database: str, schema: str, connections: int) -> PostgresDatastore:
        """Return the library's own way to the database, as the owner of the tables."""
        parts = self.connection(database)
        return PostgresDatastore(
            dbname=parts["dbname"],
            host=parts["host"],
            port="5432",
            user=parts["user"],
            password=parts["password"],
            pool_size=connections,
            schema=schema,
        )

    def connection(self, database: str, user: str = "mandate_owner") -> dict[str, str]:
        """Return the parts of a connection string."""
        parts = conninfo_to_dict(self.server.url(user, database))
        return {name: str(value) for name, value in parts.items()}

    def library(
        self, database: str, schema: str, connections: int, user: str = "mandate_owner"
    ) -> dict[str, str]:
        """Return the environment that makes an application of the library use PostgreSQL."""
        parts = self.connection(database, user)
        return {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": parts["dbname"],
            "POSTGRES_HOST": parts["host"],
            "POSTGRES_PORT": "5432",
            "POSTGRES_USER": parts["user"],
            "POSTGRES_PASSWORD": parts["password"],
            "POSTGRES_SCHEMA": schema,
            "POSTGRES_POOL_SIZE": str(connections),
            "POSTGRES_MAX_OVERFLOW": "0",
        }

    async def make_schema(self, database: str, name: str) -> None:
        """Make a schema of the owner's, for tables that are not ours."""
        url = self.server.url("mandate_owner", database)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{name}"'.encode())


async def take_turns(arms: Mapping[str, Arm], turns: int) -> dict[str, list[float]]:
    """Let the arms run one after the other, again and again, each time beginning with another one."""
    rates: dict[str, list[float]] = {name: [] for name in arms}
    names = list(arms)
    for turn in range(turns):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            gc.collect()  # What one leaves behind is not paid for by the next.
            rates[name].append(await arms[name]())
    return rates


def ratio(rates: Mapping[str, list[float]], ours: str, other: str) -> float:
    """Return how many times as fast we are: the median of the ratios of the turns."""
    return statistics.median(a / b for a, b in zip(rates[ours], rates[other], strict=True))


async def rate_of_tasks(once: Callable[[int], Awaitable[object]], callers: int, seconds: float) -> float:
    """Return how often a second so many tasks together get through ``once``, given the caller's number."""
    begun = time.perf_counter()

    async def call(number: int) -> int:
        count = 0
        while time.perf_counter() - begun < seconds:
            await once(number)
            count += 1
        return count

    counts = await asyncio.gather(*(call(number) for number in range(callers)))
    return sum(counts) / (time.perf_counter() - begun)


async def rate_of_threads(once: Callable[[int], object], callers: int, seconds: float) -> float:
    """Return how often a second so many threads together get through ``once``, given the caller's number."""

    def call(number: int) -> int:
        count = 0
        while time.perf_counter() - begun < seconds:
            once(number)
            count += 1
        return count

    with ThreadPoolExecutor(callers, thread_name_prefix="bench") as threads:
        loop = asyncio.get_running_loop()
        begun = time.perf_counter()
        counts = await asyncio.gather(*(loop.run_in_executor(threads, call, n) for n in range(callers)))
        return sum(counts) / (time.perf_counter() - begun)
