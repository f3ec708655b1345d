"""Carries out commands: load, let the domain decide, append, answer.

Aggregates are kept in a checkout cache. A command takes them out, changes them, and they are put back
only after their events are committed; after a conflict or a refusal they are forgotten. What is in the
cache can be older than the log, because other processes write too. That is harmless when the command
appends, since the log refuses a version that is taken. It is not harmless when the command is refused or
finds nothing to do, nor when it asked an aggregate that it leaves as it is, and that has moved on since:
then the decision is made once more on what the log says now.
"""

import asyncio
import hashlib
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar
from uuid import UUID, uuid4

import psycopg
from eventsourcing.persistence import StoredEvent
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from pydantic import BaseModel

from domain.aggregates import Aggregate, Stamp
from domain.refusals import Fault, NotFound, Refusal, Stale
from services.commands import Recorded
from services.log import Conflict, Entry, KnownCommand, Log, LogReader, Outcome, Unavailable, Written
from services.mapper import EventMapper, decode

A = TypeVar("A", bound=Aggregate)

ATTEMPTS = 20
"""How often a command is tried again when others keep writing the same aggregate first."""


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for a command, and how it is known again."""

    stamp: Stamp
    key: UUID = field(default_factory=uuid4)
    """The same key is carried out once; a caller that was cut off sends it again."""
    keyed: bool = False
    """Whether the caller chose the key. Refusals are remembered only then."""
    digest: bytes = b""
    """SHA-256 of what is asked. The same key with another digest is refused."""
    expected_version: int | None = None
    """The version of the first aggregate taken out that the caller has seen (``If-Match``)."""
    fresh: bool = False
    """Read the log even for what is cached: for commands that act on the outside world."""


class RefusalRecord(BaseModel, frozen=True):
    """A refusal as it is stored under its key, so that it can be given again word by word."""

    kind: str
    code: str
    message: str
    faults: tuple[Fault, ...] = ()
    facts: dict[str, object] = {}


class Answer(NamedTuple):
    """How a command ended."""

    key: UUID
    outcome: Outcome
    reply: bytes
    """JSON: of the handler's ``Recorded`` when done, of a RefusalRecord when refused."""
    position: int | None
    """The position of the last event, None when none was recorded."""
    repeated: bool = False


class KeyReused(Refusal):
    """The key was used before for another command."""

    kind = "key-reused"


@dataclass(slots=True)
class _Held:
    """What a unit of work has under one id."""

    aggregate: Aggregate | None = None
    """None when the log has nothing under the id."""
    owned: bool = False
    """Whether the id is reserved for this unit, so that the aggregate may come from the cache and go back."""
    remembered: int | None = None
    """The version that it had in the cache; None when it comes from the log or is new."""


class UnitOfWork:
    """The aggregates that one command takes out. See services.commands.Unit for the public part."""

    def __init__(self, store: "Store", request: Request, *, fresh: bool) -> None:
        self._store = store
        self._request = request
        self._fresh = fresh
        self._held: dict[UUID, _Held] = {}
        self._reserved: set[UUID] = set()
        """What is reserved and not taken out yet."""
        self._seen: dict[UUID, int] = {}
        """What was looked at as it was some time ago, with its version then."""

    @property
    def used_cache(self) -> bool:
        """Whether the decision rests on anything that may be older than the log."""
        return bool(self._seen) or any(held.remembered is not None for held in self._held.values())

    @property
    def taken(self) -> set[UUID]:
        """What was taken out, or tried to be."""
        return set(self._held)

    async def reserve(self, ids: Iterable[UUID]) -> None:
        """Reserve at once what an earlier try took out, which lost because others held some of it."""
        # All take them in the same order, and whoever comes without this waits for its first one only,
        # while it holds none: so nobody waits for somebody who waits for him.
        for id in sorted(ids):
            await self._store.reserve(id, wait=True)
            self._reserved.add(id)

    @property
    def stamp(self) -> Stamp:
        return self._request.stamp

    async def get(self, kind: type[A], id: UUID) -> A:
        found = await self.find(kind, id)
        if found is None:
            raise _nothing_there(kind, id)
        return found

    async def find(self, kind: type[A], id: UUID) -> A | None:
        found = (self._held.get(id) or await self._take_out(id)).aggregate
        if found is None or isinstance(found, kind):
            return found
        raise _nothing_there(kind, id)

    async def _take_out(self, id: UUID) -> _Held:
        held = _Held()
        if id in self._reserved:
            self._reserved.remove(id)
            held.owned = True
        else:
            # Only the first aggregate is waited for: two commands that wait for each other's second
            # one would wait for ever. Without waiting the worst is a conflict, and another try.
            alone = not self._held and not self._reserved
            held.owned = await self._store.reserve(id, wait=alone)
        first = self._request.expected_version is not None and not self._has_any()
        self._held[id] = held
        cached = self._store.take_out(id) if held.owned else None
        if cached is None:
            held.aggregate = await self._store.load(id)
        elif self._fresh:
            held.aggregate = await self._store.catch_up(cached)
        else:
            held.aggregate, held.remembered = cached, cached.version
        if first and held.aggregate is not None:
            self._check_version(held.aggregate)
        return held

    def _has_any(self) -> bool:
        return any(held.aggregate is not None for held in self._held.values())

    async def look(self, kind: type[A], id: UUID) -> A:
        held = self._held.get(id)
        seen = held.aggregate if held else None
        if seen is None and not self._fresh and (seen := self._store.seen(id)):
            self._seen[id] = seen.version
        if seen is None and (seen := await self._store.load(id)):
            self._store.remember(seen)
        if not isinstance(seen, kind):
            raise _nothing_there(kind, id)
        return seen

    def add(self, aggregate: Aggregate) -> None:
        self._held.setdefault(aggregate.id, _Held()).aggregate = aggregate

    def collect(self) -> list[StoredEvent]:
        """Return the events of all aggregates, encoded, in the order of their taking out."""
        encode = self._store.mapper.to_stored_event
        return [
            encode(event)
            for held in self._held.values()
            if held.aggregate is not None
            for event in held.aggregate.pending_events
        ]

    def relied_on(self) -> dict[UUID, int]:
        """Return what came from the cache and was left as it is, with the versions that it had."""
        relied = dict(self._seen)
        for id, held in self._held.items():
            if held.aggregate is not None and held.aggregate.pending_events:
                relied.pop(id, None)  # That it is still at this version, the log itself looks at.
            elif held.remembered is not None:
                relied.setdefault(id, held.remembered)
        return relied

    def put_back(self) -> None:
        """After the commit: what was changed is now what the log says."""
        for held in self._held.values():
            if held.aggregate is not None:
                held.aggregate.pending_events.clear()
                if held.owned:
                    self._store.put_back(held.aggregate)
        self.drop()

    def drop(self) -> None:
        """Let others have what was taken out. After a conflict or a refusal it is forgotten, for it may be
        changed halfway."""
        for id, held in self._held.items():
            if held.owned:
                held.owned = False
                self._store.release(id)
        for id in self._reserved:
            self._store.release(id)
        self._reserved.clear()

    def _check_version(self, aggregate: Aggregate) -> None:
        expected = self._request.expected_version
        if expected is not None and aggregate.version != expected:
            raise Stale(
                "stale",
                f"This was changed in the meantime: it is at version {aggregate.version}, and the change "
                f"is based on version {expected}. Nothing was stored. Read it again, then decide again.",
                version=aggregate.version,
            )


class Store:
    """Carries out commands against the log, for one process."""

    def __init__(self, log: Log, pool: AsyncConnectionPool, *, cache_size: int = 10_000) -> None:
        self.mapper = EventMapper()
        self._log = log
        self._pool = pool
        self._cache: OrderedDict[UUID, Aggregate] = OrderedDict()
        self._seen: OrderedDict[UUID, Aggregate] = OrderedDict()
        self._cache_size = cache_size
        self._out: dict[UUID, asyncio.Event | None] = {}
        """What is taken out; with an event where somebody waits for it."""

    async def execute(self, request: Request, decide: Callable[[UnitOfWork], Awaitable[Recorded]]) -> Answer:
        """Let ``decide`` act on a unit of work, and record what it decided, once and under one key.

        Raises KeyReused when the key belongs to another command, and Unavailable when the log is out of
        reach. A refusal of the domain is not raised but answered, the same each time it is asked for.
        """
        fresh = request.fresh
        taken: set[UUID] = set()
        for attempt in range(ATTEMPTS):
            unit = UnitOfWork(self, request, fresh=fresh)
            try:
                await unit.reserve(taken)
                answer = await self._try(unit, request, decide)
            except Conflict:
                unit.drop()
                fresh, taken = True, unit.taken
                await asyncio.sleep(random.uniform(0, 0.002 * attempt))
                continue
            except BaseException:
                unit.drop()
                raise
            if answer is not None:
                return answer
            fresh = True
        raise Unavailable(f"Others kept changing the same record; {ATTEMPTS} tries did not get through.")

    async def _try(
        self, unit: UnitOfWork, request: Request, decide: Callable[[UnitOfWork], Awaitable[Recorded]]
    ) -> Answer | None:
        """Return the answer, or None when the decision must be made again on what the log says now."""
        try:
            recorded = await decide(unit)
        except Refusal as refusal:
            unit.drop()
            return None if unit.used_cache else await self._refuse(request, refusal)
        events = unit.collect()
        outdated = await self._have_moved(unit.relied_on()) if events else unit.used_cache
        if outdated:
            unit.drop()
            return None
        reply = recorded.__pydantic_serializer__.to_json(recorded)
        entry = Entry(request.key, request.digest, request.stamp.by, "done", reply, events)
        written = await self._log.append(entry)
        if written.repeated:
            unit.drop()
            return await self._repeated(request, written)
        unit.put_back()
        return Answer(request.key, "done", reply, written.last_position)

    async def _refuse(self, request: Request, refusal: Refusal) -> Answer:
        record = RefusalRecord(
            kind=refusal.kind,
            code=refusal.code,
            message=refusal.message,
            faults=refusal.faults,
            facts=refusal.facts,
        )
        reply = record.model_dump_json().encode()
        if request.keyed:
            # The key may be one whose first reply was lost: then what it recorded is the answer.
            entry = Entry(request.key, request.digest, request.stamp.by, "refused", reply, ())
            written = await self._log.append(entry)
            if written.repeated:
                return await self._repeated(request, written)
        return Answer(request.key, "refused", reply, None)

    async def _repeated(self, request: Request, written: Written) -> Answer:
        try:
            known = await self.command(request.key)
        except Unavailable as error:
            raise Unavailable(
                "The command is in the log, but how it ended cannot be read now. Ask for its key.",
                in_doubt=True,
            ) from error
        assert known is not None, "a repeated key is in the log"
        if known.digest != request.digest:
            raise KeyReused(
                "key-reused",
                f"The key {request.key} was used before for another command. Nothing was stored. "
                "Use a new key for a new command.",
            )
        return Answer(known.key, known.outcome, known.reply, known.last_position, repeated=True)

    async def command(self, key: UUID) -> KnownCommand | None:
        """Return how the command with this key ended, or None when it never reached the log."""
        async with self._connection() as connection:
            return await LogReader(connection).command(key)

    async def read(self, kind: type[A], id: UUID) -> A:
        """Return an aggregate as the log has it now, for looking at. Raises NotFound."""
        aggregate = await self.load(id)
        if not isinstance(aggregate, kind):
            raise _nothing_there(kind, id)
        return aggregate

    # The rest is for units of work.

    async def load(self, id: UUID) -> Aggregate | None:
        """Replay a record from the log."""
        async with self._connection() as connection:
            events = await LogReader(connection).stream(id)
        return replay(None, [(event.topic, event.state) for event in events])

    async def catch_up(self, aggregate: Aggregate) -> Aggregate | None:
        """Apply what others have recorded since the aggregate was cached."""
        async with self._connection() as connection:
            events = await LogReader(connection).stream(aggregate.id, aggregate.version)
        return replay(aggregate, [(event.topic, event.state) for event in events])

    async def _have_moved(self, versions: Mapping[UUID, int]) -> bool:
        """Whether others have recorded more of any of these records."""
        if not versions:
            return False
        async with self._connection() as connection:
            return await LogReader(connection).any_after(versions)

    async def reserve(self, id: UUID, *, wait: bool) -> bool:
        """Reserve an id for one unit of work; False when another has it and ``wait`` is off."""
        while id in self._out:
            if not wait:
                return False
            released = self._out[id] = self._out[id] or asyncio.Event()
            await released.wait()
        self._out[id] = None
        return True

    def take_out(self, id: UUID) -> Aggregate | None:
        """Take an aggregate out of the cache; None when it is not there and must be loaded."""
        return self._cache.pop(id, None)

    def put_back(self, aggregate: Aggregate) -> None:
        """Cache an aggregate that stands as the log has it."""
        _keep(self._cache, aggregate, self._cache_size)

    def seen(self, id: UUID) -> Aggregate | None:
        """Return an aggregate for looking at, as it was some time ago."""
        return self._seen.get(id)

    def remember(self, aggregate: Aggregate) -> None:
        """Keep an aggregate for looking at; never one that commands change."""
        _keep(self._seen, aggregate, self._cache_size)

    def release(self, id: UUID) -> None:
        """Let the next unit of work have the id."""
        if released := self._out.pop(id):
            released.set()

    def _connection(self) -> "_Connection":
        return _Connection(self._pool)


class _Connection:
    """A pooled connection whose absence is an Unavailable."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._context = pool.connection(timeout=5)

    async def __aenter__(self) -> psycopg.AsyncConnection:
        try:
            return await self._context.__aenter__()
        except PoolTimeout as error:
            raise Unavailable("The database cannot be reached. Nothing was recorded.") from error

    async def __aexit__(self, *details: object) -> None:
        await self._context.__aexit__(*details)  # type: ignore[arg-type]  # passed on as they came
        if isinstance(details[1], psycopg.OperationalError | psycopg.InterfaceError):
            raise Unavailable("The connection to the database broke. Nothing was recorded.") from details[1]


def _keep(cache: OrderedDict[UUID, Aggregate], aggregate: Aggregate, size: int) -> None:
    cache[aggregate.id] = aggregate
    if len(cache) > size:
        cache.popitem(last=False)


def replay(aggregate: Aggregate | None, events: Sequence[tuple[str, bytes]]) -> Aggregate | None:
    """Apply stored events to an aggregate, or to nothing when they are its first."""
    for topic, state in events:
        aggregate = decode(topic, state).mutate(aggregate)
    return aggregate


def digest(*parts: bytes) -> bytes:
    """Return the digest by which a repeated request is known from another one under the same key."""
    summary = hashlib.sha256()
    for part in parts:
        summary.update(len(part).to_bytes(8, "big"))
        summary.update(part)
    return summary.digest()


def _nothing_there(kind: type[Aggregate], id: UUID) -> NotFound:
    return NotFound("not-found", f"There is no {_name(kind)} with the id {id}.")


def _name(kind: type[Aggregate]) -> str:
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind.__name__)
    return words.strip()
