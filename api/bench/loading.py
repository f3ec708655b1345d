"""Loading a record from its events: ours, and the library with its own transcoder and projector."""

import asyncio
import statistics
from uuid import UUID, uuid4

from eventsourcing.application import Application

from api.bench.ground import Arm, Figures, Ground, rate_of_tasks, rate_of_threads, ratio, take_turns
from api.bench.notebooks import ACTOR, NOTE, LibraryNotebook, Notebook, stamp
from services.commands import Recorded
from services.store import Request, Store, UnitOfWork
from services.wiring import open_services

DATABASE = "bench_loading"


async def measure(ground: Ground) -> Figures:
    """Measure how many records of each length can be loaded in a second, one after the other."""
    settings = await ground.database(DATABASE)
    await ground.make_schema(DATABASE, "library")
    figures: Figures = {}
    async with open_services(settings) as services:
        with Application[UUID](ground.library(DATABASE, "library", 1)) as application:
            for length in ground.sizes.loaded_lengths:
                ground.report(f"Loading records of {length:,} events.")
                arms = {
                    "ours": await _ours(ground, services.store, length),
                    "library": await asyncio.to_thread(_library, ground, application, length),
                }
                rates = await take_turns(arms, ground.sizes.turns)
                figures[f"load_{length}_of_library"] = ratio(rates, "ours", "library")
                for arm, measured in rates.items():
                    figures[f"load_{length}_{arm}_per_second"] = statistics.median(measured)
    return figures


async def _ours(ground: Ground, store: Store, length: int) -> Arm:
    id = uuid4()

    async def write(unit: UnitOfWork) -> Recorded:
        notebook = Notebook.open(id, "Loaded", unit.stamp)
        for _ in range(length - 1):
            notebook.take_note(NOTE, unit.stamp)
        unit.add(notebook)
        return Recorded(id=id, version=notebook.version)

    async def load(_: int) -> None:
        notebook = await store.load(id)
        assert notebook is not None and notebook.version == length

    await store.execute(Request(stamp()), write)
    return lambda: rate_of_tasks(load, 1, ground.sizes.loading_seconds)


def _library(ground: Ground, application: Application[UUID], length: int) -> Arm:
    notebook = LibraryNotebook("Loaded", ACTOR)
    for _ in range(length - 1):
        notebook.take_note(NOTE, ACTOR)
    application.save(notebook)

    def load(_: int) -> None:
        loaded: LibraryNotebook = application.repository.get(notebook.id)
        assert loaded.version == length

    return lambda: rate_of_threads(load, 1, ground.sizes.loading_seconds)
