"""What the tests of the history share: settings with folders, events to prove, and a history that grows."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from projections import history
from services.history import Checkpoints, Published
from services.log import Log
from services.settings import Settings
from tests.services.logbook import an_entry, an_event

LOG = "mandate.example.org/log"
PATIENCE = 30.0
"""How many seconds a test waits for a checkpoint: the machine may be busy."""


def with_folders(settings: Settings, folder: Path) -> Settings:
    """Settings whose keys and checkpoints are kept in a folder of the test's own."""
    return settings.model_copy(
        update={
            "keys_folder": folder / "keys",
            "checkpoints_folder": folder / "checkpoints",
            "log_name": LOG,
        }
    )


async def write(settings: Settings, events: int, record: UUID | None = None, first: int = 1) -> UUID:
    """Write events of one record, and return the record's id."""
    record = record or uuid4()
    async with Log(settings.writer_url) as log:
        await log.append(an_entry(*(an_event(record, first + number) for number in range(events))))
    return record


async def write_records(settings: Settings, sizes: Sequence[int]) -> list[UUID]:
    """Write a record of each size."""
    return [await write(settings, size) for size in sizes]


async def publish(settings: Settings) -> Published:
    """Let the tree catch up and publish a checkpoint."""
    async with history.opened(settings) as (follower, publisher):
        await history.publish(settings, follower, publisher)
        newest = await Checkpoints(follower.connection).newest()
        assert newest is not None
        return newest


@asynccontextmanager
async def following(settings: Settings) -> AsyncIterator[None]:
    """Let the history run beside the test."""
    task = asyncio.create_task(history.run(settings))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection of the role that reads."""
    connection = await psycopg.AsyncConnection.connect(settings.reader_url, autocommit=True)
    async with connection:
        yield connection


def on_database(url: str, settings: Settings) -> str:
    """Return a connection string of another role for the database of the settings."""
    return make_conninfo(url, dbname=str(conninfo_to_dict(settings.reader_url)["dbname"]))
