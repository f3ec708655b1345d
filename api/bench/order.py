"""Order under load: many writers in several processes, and a subscriber that must see all, in order.

Positions are given out before they are committed. Without care a later position becomes visible before an
earlier one, and whoever follows the log passes over the earlier one for ever. This counts how often it
happened, and whether any record's own events came out of order.
"""

import asyncio
import time
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import psycopg

from api.bench.ground import Figures, Ground
from api.bench.notebooks import ACTOR, NOTE, Notebook, stamp
from api.bench.processes import finished
from services.log import Entry, Log, LoggedEvent, LogReader, notifications
from services.mapper import EventMapper

DATABASE = "bench_order"
PROCESSES = 4
WRITERS_OF_A_PROCESS = 4
CALLERS_OF_A_WRITER = 4
"""Each writer has a connection of its own, and several records to write events of."""


@dataclass(slots=True)
class _Subscriber:
    """Follows the log, as projections and triggers do, and notes what it saw."""

    url: str
    seen: set[int] = field(default_factory=set)
    misordered: int = 0
    stopping: bool = False
    _position: int = 0
    _versions: dict[UUID, int] = field(default_factory=dict)

    async def follow(self, listening: asyncio.Event) -> None:
        async with (
            await psycopg.AsyncConnection.connect(self.url, autocommit=True) as listener,
            await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection,
        ):
            async for _ in notifications(listener, "log"):
                listening.set()
                while events := await LogReader(connection).after(self._position, 500):
                    for event in events:
                        self._note(event)
                if self.stopping:
                    return

    def _note(self, event: LoggedEvent) -> None:
        before = self._versions.get(event.originator_id, 0)
        if event.position <= self._position or event.originator_version != before + 1:
            self.misordered += 1
        self.seen.add(event.position)
        self._position = event.position
        self._versions[event.originator_id] = event.originator_version


async def measure(ground: Ground) -> Figures:
    """Let all write at once while one follows, and count what was missed or came out of order."""
    settings = await ground.database(DATABASE)
    number = ground.sizes.events_of_a_writer
    ground.report(f"Order: {PROCESSES * WRITERS_OF_A_PROCESS} writers of {number:,} events each.")
    subscriber, listening = _Subscriber(settings.reader_url), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(subscriber.follow(listening))
        await listening.wait()
        begun = time.perf_counter()
        await finished(write, [(settings.writer_url, number)] * PROCESSES)
        seconds = time.perf_counter() - begun
        subscriber.stopping = True
    async with await psycopg.AsyncConnection.connect(settings.reader_url) as connection:
        cursor = await connection.execute("SELECT notification_id FROM log.stored_events")
        written = {position for (position,) in await cursor.fetchall()}
    assert len(written) == PROCESSES * WRITERS_OF_A_PROCESS * _share(number) * CALLERS_OF_A_WRITER
    return {
        "missed_events": len(written - subscriber.seen),
        "misordered_events": subscriber.misordered,
        "order_events": len(written),
        "order_events_per_second": len(written) / seconds,
    }


def _share(number: int) -> int:
    return max(1, number // CALLERS_OF_A_WRITER)


async def write(url: str, number: int) -> None:
    """Write so many events through each of this process's writers."""
    async with asyncio.TaskGroup() as tasks:
        for _ in range(WRITERS_OF_A_PROCESS):
            tasks.create_task(_write_by_one(url, number))


async def _write_by_one(url: str, number: int) -> None:
    async with Log(url) as log, asyncio.TaskGroup() as tasks:
        for _ in range(CALLERS_OF_A_WRITER):
            tasks.create_task(_write_a_notebook(log, _share(number)))


async def _write_a_notebook(log: Log, number: int) -> None:
    notebook, encode = Notebook.open(uuid4(), "Ordered", stamp()), EventMapper().to_stored_event
    for _ in range(number - 1):
        notebook.take_note(NOTE, stamp())
    for event in notebook.collect_events():
        await log.append(Entry(uuid4(), b"", ACTOR, "done", b"{}", (encode(event),)))
