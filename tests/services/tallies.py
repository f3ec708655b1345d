"""A record for the tests of the store: a tally that counts up and down between nothing and its limit."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self
from uuid import UUID

from domain.aggregates import Aggregate, Stamp, identify
from domain.refusals import NotAllowed
from services.commands import Recorded
from services.log import Log
from services.pool import make_pool
from services.store import Store, UnitOfWork

LIMIT = 1_000


class Tally(Aggregate):
    """A number with a history."""

    total: int

    class Event(Aggregate.Event):
        """Something that happened to a tally."""

    class Started(Event, Aggregate.Created):
        """The tally was set to a number."""

        total: int

        def apply(self, tally: "Tally") -> None:
            tally.total = self.total

    class Counted(Event):
        """The number went up or down."""

        number: int

        def apply(self, tally: "Tally") -> None:
            tally.total += self.number

    @classmethod
    def start(cls, name: str, total: int, stamp: Stamp) -> Self:
        """Begin a tally."""
        tally: Self = cls.begin(cls.Started, stamp, id=tally_id(name), total=total)
        return tally

    def count(self, number: int, stamp: Stamp) -> None:
        """Count up or down. Refused below nothing and above the limit."""
        if not 0 <= self.total + number <= LIMIT:
            raise NotAllowed("out-of-bounds", f"{self.total} and {number} make {self.total + number}.")
        self.record(self.Counted, stamp, number=number)

    def reach(self, total: int, stamp: Stamp) -> None:
        """Count up to a number; skipped when it is reached, as workflows need it."""
        if self.total < total:
            self.count(total - self.total, stamp)


def tally_id(name: str) -> UUID:
    """The id of the tally of this name."""
    return identify("tally", name)


Decision = Callable[[UnitOfWork], Awaitable[Recorded]]


def starting(name: str, total: int = 0) -> Decision:
    """Begin a tally."""

    async def decide(unit: UnitOfWork) -> Recorded:
        tally = Tally.start(name, total, unit.stamp)
        unit.add(tally)
        return Recorded(id=tally.id, version=tally.version)

    return decide


def counting(name: str, number: int = 1) -> Decision:
    """Count on one tally."""

    async def decide(unit: UnitOfWork) -> Recorded:
        tally = await unit.get(Tally, tally_id(name))
        tally.count(number, unit.stamp)
        return Recorded(id=tally.id, version=tally.version)

    return decide


def reaching(name: str, total: int) -> Decision:
    """Count one tally up to a number."""

    async def decide(unit: UnitOfWork) -> Recorded:
        tally = await unit.get(Tally, tally_id(name))
        tally.reach(total, unit.stamp)
        return Recorded(id=tally.id, version=tally.version)

    return decide


def moving(source: str, target: str, number: int = 1) -> Decision:
    """Count down on one tally and up on another, both or neither."""

    async def decide(unit: UnitOfWork) -> Recorded:
        first = await unit.get(Tally, tally_id(source))
        first.count(-number, unit.stamp)
        second = await unit.get(Tally, tally_id(target))
        second.count(number, unit.stamp)
        return Recorded(id=first.id, version=first.version)

    return decide


def counting_while_empty(name: str, other: str, *, looking: bool = False) -> Decision:
    """Count on one tally while another one, which stays as it is, stands at nothing."""

    async def decide(unit: UnitOfWork) -> Recorded:
        tally = await unit.get(Tally, tally_id(name))
        ask = unit.look if looking else unit.get
        if (await ask(Tally, tally_id(other))).total:
            raise NotAllowed("not-empty", "The other tally is not empty.")
        tally.count(1, unit.stamp)
        return Recorded(id=tally.id, version=tally.version)

    return decide


@asynccontextmanager
async def a_store(url: str, patience_seconds: float = 8) -> AsyncIterator[Store]:
    """A store as one process has it."""
    async with (
        make_pool(url, "tests", autocommit=True) as pool,
        Log(url, patience_seconds=patience_seconds) as log,
    ):
        yield Store(log, pool)
