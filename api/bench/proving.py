"""Proving the history: growing the tree, making proofs and packs, and how soon an event can be proven.

The floor is hashlib alone: handed the leaves as bytes, it hashes each and makes all nodes above them. It
reads no log and keeps nothing.
"""

import time
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from random import Random
from uuid import uuid4

import psycopg
from psycopg_pool import AsyncConnectionPool

from api.bench import history as log
from api.bench.ground import Figures, Ground, ratio, take_turns
from api.bench.notebooks import stamp
from api.bench.processes import running
from api.history_proofs import covered
from domain.history import leaf
from domain.parties import ContactRole, party_id
from projections import history
from projections.history_tree import open_follower
from services import reference
from services.history_tree import Tree
from services.log import LogReader
from services.packs import Packs, Question
from services.parties import NameContact
from services.pool import make_pool
from services.settings import Settings
from services.store import Request
from services.wiring import open_services

ROLE = ContactRole.OFFICIAL_CONTACT_POINT
DATABASE = "bench_proving"
PACKED_EVENTS = 1_000


async def measure(ground: Ground) -> Figures:
    """Measure how many events a second go into the tree, and how long it takes to prove one."""
    number = ground.sizes.proven_events
    ground.report(f"Proving {number:,} events.")
    settings = await ground.database(DATABASE)
    await log.write(settings.writer_url, log.events(number))
    bench = _Bench(settings, number, await _leaves(settings))
    rates = await take_turns({"leaves": bench.grow, "hashing": bench.hash_alone}, ground.sizes.proving_turns)
    figures: Figures = {
        "prove_leaves_of_hashing": ratio(rates, "leaves", "hashing"),
        "prove_events": number,
        **{f"prove_{name}_per_second": sorted(rate)[len(rate) // 2] for name, rate in rates.items()},
    }
    async with (
        running(history.run, settings),
        make_pool(settings.reader_url, "bench", autocommit=True) as pool,
    ):
        await covered(pool, await bench.head(), 60)
        return (
            figures
            | await bench.proofs(pool, ground.sizes.proofs)
            | await bench.pack(pool)
            | await bench.delays(pool, ground.sizes.proofs)
        )


async def _leaves(settings: Settings) -> list[bytes]:
    async with await psycopg.AsyncConnection.connect(settings.reader_url) as connection:
        return [leaf(event) for event in await LogReader(connection).after(0, 10_000)]


@dataclass(frozen=True, slots=True)
class _Bench:
    settings: Settings
    number: int
    leaves: list[bytes]
    """The first leaves of the log, which stand for all in what hashlib is given."""

    async def grow(self) -> float:
        """Let the tree grow from nothing to the end of the log."""
        follower = await open_follower(self.settings)
        async with follower.connection as connection:
            await connection.execute("DELETE FROM history.tiles")
            await connection.execute("DELETE FROM history.positions")
            await connection.execute("UPDATE history.progress SET size = 0, position = 0")
            await connection.commit()
            begun = time.perf_counter()
            await follower.catch_up()
            return self.number / (time.perf_counter() - begun)

    async def hash_alone(self) -> float:
        """Hash as many leaves, and the nodes above them, with nothing around it."""
        begun, hashes = time.perf_counter(), []
        for start in range(0, self.number, len(self.leaves)):
            part = self.leaves[: self.number - start]
            hashes += [sha256(b"\x00" + each).digest() for each in part]
        while len(hashes) > 1:
            pairs = zip(hashes[::2], hashes[1::2], strict=False)
            hashes = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        return self.number / (time.perf_counter() - begun)

    async def head(self) -> int:
        """Return how far the log reaches."""
        async with await psycopg.AsyncConnection.connect(self.settings.reader_url) as connection:
            return await LogReader(connection).position()

    async def proofs(self, pool: AsyncConnectionPool, number: int) -> Figures:
        """Prove events anywhere in the log, one after the other."""
        chance, times = Random(7), []
        async with pool.connection() as connection:
            tree = Tree(connection)
            size = (await tree.standing()).size
            for _ in range(number):
                position = await tree.position_of(chance.randrange(size))
                assert position is not None
                begun = time.perf_counter()
                index = await tree.index_of(position)
                assert index is not None
                await tree.inclusion(index, size)
                times.append(time.perf_counter() - begun)
        return _percentiles("prove_event", times)

    async def pack(self, pool: AsyncConnectionPool) -> Figures:
        """Make the pack of a span in the middle of the log."""
        async with pool.connection() as connection:
            tree = Tree(connection)
            middle = max(0, self.number // 2 - PACKED_EVENTS)
            first, last = await tree.position_of(middle), await tree.position_of(middle + PACKED_EVENTS - 1)
        begun = time.perf_counter()
        pack = await Packs(pool).make(Question("Bench", first=first, last=last), await self.head())
        return {
            "prove_pack_ms": 1_000 * (time.perf_counter() - begun),
            "prove_pack_events": pack.events,
            "prove_pack_bytes": len(pack.content),
        }

    async def delays(self, pool: AsyncConnectionPool, number: int) -> Figures:
        """Give commands one after the other, and ask each time for the proof of what was just recorded."""
        times, party = [], party_id(reference.parties()[0].iso3)
        async with open_services(self.settings) as services:
            for _ in range(number):
                command = NameContact(
                    party_id=party, role=ROLE, contact_id=uuid4(), effective_on=date(2020, 1, 1)
                )
                answer = await services.execute(command, Request(stamp()))
                assert answer.position is not None, "a contact is named"
                begun = time.perf_counter()
                found = await covered(pool, answer.position, 60)
                async with pool.connection() as connection:
                    index = await Tree(connection).index_of(answer.position)
                    assert index is not None, "a checkpoint covers it"
                    await Tree(connection).inclusion(index, found.size)
                times.append(time.perf_counter() - begun)
        return _percentiles("prove_after_acknowledgement", times)


def _percentiles(name: str, times: list[float]) -> Figures:
    ordered = sorted(times)
    return {
        f"{name}_p50_ms": 1_000 * ordered[len(ordered) // 2],
        f"{name}_p99_ms": 1_000 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
    }
