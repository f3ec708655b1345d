"""Evidence packs: one file with events, and all that it takes to show that they are in the history.

The same question at the same position gives the same bytes, whenever it is asked: the proofs lead to the
first checkpoint that covers the position, and what its witness said of it does not change any more. Files
are stored as they are, since another library for compression would give other bytes.

What is in a pack, its README says (services/verify/README.txt); the program beside it verifies it.
"""

import asyncio
import hashlib
import io
import json
import re
import zipfile
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any
from uuid import UUID

import psycopg
from psycopg_pool import AsyncConnectionPool

from domain.history import leaf
from domain.refusals import Invalid, NotFound
from services.history import Checkpoints, Published
from services.history_tree import Tree
from services.log import LoggedEvent
from services.pack_page import page

FORMAT = "mandate evidence pack 1"
EVENTS_LIMIT = 20_000
DOCUMENTS_LIMIT_BYTES = 200_000_000
CHECKPOINTS_LIMIT = 100
"""How many earlier checkpoints a pack holds at the most, beside the one that its proofs lead to."""
PATIENCE_SECONDS = 10.0
AT_ONCE = 2
"""How many packs one process makes at the same time: each is held in memory."""

Names = Callable[[set[UUID]], Awaitable[Mapping[UUID, str]]]
"""Says what people call the things behind ids, as it was at the position of the pack."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a pack is about: some records, or all events of a span of positions."""

    title: str
    records: tuple[UUID, ...] = ()
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack, and what it is about."""

    content: bytes
    position: int
    """The position as of which it was asked for."""
    events: int
    checkpoint: Published

    @property
    def file_name(self) -> str:
        """The name under which it is given out."""
        return f"mandate-evidence-{hashlib.sha256(self.content).hexdigest()[:12]}-at-{self.position}.zip"


class Packs:
    """Makes packs, over connections in autocommit."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def make(self, question: Question, at: int, names: Names | None = None) -> Pack:
        """Make the pack that answers a question as of a position.

        Raises NotFound when there is no such event, Invalid when there are too many for one file, and
        services.log.Unavailable when no checkpoint covers the position in time.
        """
        async with self._turns:
            return await self._make(question, at, names)

    async def _make(self, question: Question, at: int, names: Names | None) -> Pack:
        async with self._pool.connection() as connection:
            events = await _events(connection, question, at)
            checkpoints = Checkpoints(connection)
            position = await _last_position(connection, at)
            newest = await checkpoints.covering(position, PATIENCE_SECONDS, settled=True)
            contents = await _Contents.gather(connection, events, newest)
        known = await names(_ids(events)) if names else {}
        content = await asyncio.to_thread(contents.zipped, question, position, known)
        return Pack(content, position, len(events), newest)


async def _events(connection: psycopg.AsyncConnection, question: Question, at: int) -> list[LoggedEvent]:
    first, last = question.first or 1, min(question.last or at, at)
    of_records = b"AND originator_id = ANY(%(records)s) " if question.records else b""
    cursor = await connection.execute(
        b"SELECT notification_id, originator_id, originator_version, topic, state FROM log.stored_events "
        b"WHERE notification_id BETWEEN %(first)s AND %(last)s " + of_records + b"ORDER BY notification_id "
        b"LIMIT %(limit)s",
        {"first": first, "last": last, "records": list(question.records), "limit": EVENTS_LIMIT + 1},
        binary=True,
    )
    events = [LoggedEvent(*row) for row in await cursor.fetchall()]
    missing = set(question.records) - {event.originator_id for event in events}
    if missing or not events:
        what = f"of the record {min(missing)}" if missing else f"from position {first} to {last}"
        raise NotFound("no-events", f"There is no event {what}.")
    if len(events) > EVENTS_LIMIT:
        raise Invalid(
            "too-many-events",
            f"A pack holds up to {EVENTS_LIMIT:,} events. Ask for fewer records, or for several spans.",
        )
    return events


async def _last_position(connection: psycopg.AsyncConnection, at: int) -> int:
    cursor = await connection.execute(
        "SELECT max(notification_id) FROM log.stored_events WHERE notification_id <= %s", (at,)
    )
    row = await cursor.fetchone()
    assert row is not None, "an aggregate has one row"
    return int(row[0])


@dataclass(slots=True)
class _Contents:
    """What goes into a pack, as it was read."""

    events: Sequence[LoggedEvent]
    indexes: Mapping[int, int]
    inclusion: Sequence[Sequence[bytes]]
    newest: Published
    earlier: Sequence[Published]
    consistency: Sequence[Sequence[bytes]]
    keys: Sequence[str]
    rotations: Sequence[bytes]
    documents: Mapping[str, tuple[str, bytes]]

    @classmethod
    async def gather(
        cls,
        connection: psycopg.AsyncConnection,
        events: Sequence[LoggedEvent],
        newest: Published,
    ) -> "_Contents":
        tree, checkpoints = Tree(connection), Checkpoints(connection)
        positions = [event.position for event in events]
        indexes = await tree.indexes_of(positions)
        covering = await checkpoints.each_first_covering(positions)
        earlier = _thinned([published for published in covering if published.size < newest.size])
        public, rotations = await checkpoints.keys()
        return cls(
            events=events,
            indexes=indexes,
            inclusion=await tree.inclusions([indexes[position] for position in positions], newest.size),
            newest=newest,
            earlier=earlier,
            consistency=[await tree.consistency(each.size, newest.size) for each in earlier],
            keys=[key.encoded for key in public],
            rotations=rotations,
            documents=await _documents(connection, events),
        )

    def zipped(self, question: Question, position: int, names: Mapping[UUID, str]) -> bytes:
        """Return the pack's bytes."""
        contents = self._files(question, position, names)
        manifest = {
            "format": FORMAT,
            "question": asdict(question) | {"records": [str(id) for id in question.records], "at": position},
            "log": self.newest.log,
            "checkpoint": self.newest.size,
            "checkpoints": [_account(published) for published in (*self.earlier, self.newest)],
            "events": len(self.events),
            "code": code_version(),
            "files": {
                name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
                for name, content in sorted(contents.items())
            },
        }
        contents["manifest.json"] = json.dumps(manifest, indent=1, ensure_ascii=False).encode() + b"\n"
        return _zip(contents)

    def _files(self, question: Question, position: int, names: Mapping[UUID, str]) -> dict[str, bytes]:
        ours = files("services").joinpath("verify")
        contents = {
            "README.txt": ours.joinpath("README.txt").read_bytes(),
            "mandate_verify.py": ours.joinpath("mandate_verify.py").read_bytes(),
            "events.jsonl": b"".join(self._line(event) for event in self.events),
            "proofs/inclusion.jsonl": self._inclusion_lines(),
            "proofs/consistency.jsonl": self._consistency_lines(),
            "keys/0001.public": f"{self.keys[0]}\n".encode(),
        }
        for event in self.events:
            contents[f"leaves/{self.indexes[event.position]:012d}.leaf"] = leaf(event)
        for published in (*self.earlier, self.newest):
            contents[f"checkpoints/{published.size:012d}.checkpoint"] = published.encoded
        for number, rotation in enumerate(self.rotations, start=2):
            contents[f"keys/{number:04d}.rotation"] = rotation
            contents[f"keys/{number:04d}.public"] = f"{self.keys[number - 1]}\n".encode()
        if self.newest.cosignature:
            contents["keys/witness.public"] = f"{self.newest.witness}\n".encode()
        for sha256, (_, content) in self.documents.items():
            contents[f"documents/{sha256}"] = content
        contents["documents.jsonl"] = b"".join(
            _json({"sha256": sha256, "media_type": media_type, "bytes": len(content)})
            for sha256, (media_type, content) in sorted(self.documents.items())
        )
        contents["index.html"] = page(
            question.title, position, self.events, self.newest, self.documents.keys(), names
        ).encode()
        return contents

    def _line(self, event: LoggedEvent) -> bytes:
        """Return an event as a line for programs; its state is the stored JSON, byte for byte."""
        head = {
            "index": self.indexes[event.position],
            "position": event.position,
            "record": str(event.originator_id),
            "version": event.originator_version,
            "topic": event.topic,
        }
        if _is_object(event.state):
            return _json(head)[:-2] + b', "state": ' + event.state + b"}\n"
        return _json(head | {"state_base64": b64encode(event.state).decode()})

    def _inclusion_lines(self) -> bytes:
        return b"".join(
            _json({"index": self.indexes[event.position], "size": self.newest.size, "proof": _encoded(proof)})
            for event, proof in zip(self.events, self.inclusion, strict=True)
        )

    def _consistency_lines(self) -> bytes:
        return b"".join(
            _json({"old": published.size, "new": self.newest.size, "proof": _encoded(proof)})
            for published, proof in zip(self.earlier, self.consistency, strict=True)
        )


async def _documents(
    connection: psycopg.AsyncConnection, events: Iterable[LoggedEvent]
) -> dict[str, tuple[str, bytes]]:
    """Return the documents that events name by their hash, as far as they are kept here."""
    named = sorted({hash for event in events for hash in _hashes(_read(event.state))})
    cursor = await connection.execute(
        "SELECT sum(octet_length(content)) FROM documents.files WHERE sha256 = ANY(%s)",
        ([bytes.fromhex(hash) for hash in named],),
    )
    row = await cursor.fetchone()
    if row and (row[0] or 0) > DOCUMENTS_LIMIT_BYTES:
        raise Invalid("too-large", "The documents of these events are too large for one file. Ask for fewer.")
    cursor = await connection.execute(
        "SELECT sha256, media_type, content FROM documents.files WHERE sha256 = ANY(%s)",
        ([bytes.fromhex(hash) for hash in named],),
        binary=True,
    )
    return {sha256.hex(): (media_type, content) for sha256, media_type, content in await cursor.fetchall()}


def _hashes(value: Any) -> Iterable[str]:
    """Find what stands under a name that ends in ``sha256``."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name.endswith("sha256") and isinstance(part, str) and re.fullmatch("[0-9a-f]{64}", part):
                yield part
            yield from _hashes(part)
    elif isinstance(value, list):
        for part in value:
            yield from _hashes(part)


def _ids(events: Iterable[LoggedEvent]) -> set[UUID]:
    """Return every id in events."""
    texts = b"\n".join(event.state for event in events)
    found = {UUID(match.decode()) for match in re.findall(_UUID, texts)}
    return found | {event.originator_id for event in events}


_UUID = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def _read(state: bytes) -> Any:
    try:
        return json.loads(state)
    except ValueError:
        return None


def _is_object(state: bytes) -> bool:
    return b"\n" not in state and isinstance(_read(state), dict)


def _thinned(published: list[Published]) -> list[Published]:
    """Return so many as a pack holds, evenly: the last of each group."""
    step = -(-len(published) // CHECKPOINTS_LIMIT)
    return published[::-step][::-1] if step else []


def _account(published: Published) -> dict[str, Any]:
    return {
        "size": published.size,
        "made_at": published.made_at.isoformat(),
        "witness": published.outcome,
    }


def _encoded(hashes: Iterable[bytes]) -> list[str]:
    return [b64encode(hash).decode() for hash in hashes]


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _zip(contents: Mapping[str, bytes]) -> bytes:
    """Return a ZIP that depends on nothing but its contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(contents.items()):
            item = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            item.create_system = 3
            item.external_attr = 0o644 << 16
            archive.writestr(item, content)
    return buffer.getvalue()


@cache
def code_version() -> dict[str, str]:
    """Return the version of the program, and the hash of the sources that decide and keep."""
    summary = hashlib.sha256()
    for package in ("domain", "services"):
        for source in sorted(files(package).iterdir(), key=lambda item: item.name):
            if source.name.endswith((".py", ".sql")):
                summary.update(source.name.encode() + b"\n" + source.read_bytes())
    try:
        number = version("mandate")
    except PackageNotFoundError:
        number = "from its sources"
    return {"version": number, "sources_sha256": summary.hexdigest()}
