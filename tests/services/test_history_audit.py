"""Whoever may change everything in the database is found out, and told at which event."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent

from api.stack.postgres import PostgresServer
from domain.history import leaf_hashes
from domain.history_notes import Checkpoint, SigningKey
from domain.history_tiles import TILE_WIDTH, RightEdge
from projections import history
from services.checkpoints import PublishedFolder
from services.history_audit import Audit, audit
from services.history_tree import pack_positions
from services.keys import open_keys
from services.log import Log, LogReader
from services.settings import Settings
from tests.conftest import settings_for
from tests.services.ledgers import LOG, on_database, with_folders
from tests.services.logbook import an_entry

EVENTS = 300
BETWEEN = 7
"""How many events there are from one checkpoint to the next."""
RUNS = 25
"""How often each kind of edit is tried, each time with another seed."""

Superuser = psycopg.AsyncConnection


def an_event(record: UUID, version: int, number: int) -> StoredEvent:
    state = b'{"timestamp":"2026-03-%02dT09:00:00Z","by":"person:marta","number":%d}'
    return StoredEvent(record, version, "tests:Happened", state % (number % 28 + 1, number))


@dataclass
class Evidence:
    """A log with its checkpoints, as they were published, and where its events stand."""

    settings: Settings
    notes: list[bytes]
    positions: list[int]

    @property
    def covered(self) -> int:
        return EVENTS // BETWEEN * BETWEEN

    async def audit(self, connection: Superuser) -> Audit:
        keys = open_keys(self.settings.keys_folder, "", LOG)
        return await audit(connection, self.notes, keys.chain)


@pytest.fixture(scope="module")
async def evidence(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Evidence]:
    """A log of which seven events in turn were published about."""
    async with await psycopg.AsyncConnection.connect(postgres.url(), autocommit=True) as connection:
        await connection.execute("CREATE DATABASE tampered TEMPLATE mandate_template")
    settings = with_folders(settings_for(postgres, "tampered"), tmp_path_factory.mktemp("evidence"))
    async with Log(settings.writer_url) as log, history.opened(settings) as (follower, publisher):
        records = [uuid4() for _ in range(9)]
        for number in range(EVENTS):
            event = an_event(records[number % 9], number // 9 + 1, number)
            await log.append(an_entry(event))
            await follower.catch_up()
            if (number + 1) % BETWEEN == 0:
                await history.publish(settings, follower, publisher)
        events = await LogReader(follower.connection).after(0, EVENTS)
    notes = list(PublishedFolder(settings.checkpoints_folder, LOG).all())
    assert len(notes) == EVENTS // BETWEEN
    yield Evidence(settings, notes, [event.position for event in events])


@pytest.fixture(scope="module")
async def superuser(postgres: PostgresServer, evidence: Evidence) -> AsyncIterator[Superuser]:
    """Somebody whom no right and no trigger holds back."""
    url = on_database(postgres.url(), evidence.settings)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        yield connection


# ---- the edits: each returns the first position that is wrong, and how far from it the finding may be -----

Edit = Callable[[Superuser, Evidence, random.Random], Awaitable[tuple[int, int]]]


async def flip(superuser: Superuser, evidence: Evidence, chance: random.Random) -> tuple[int, int]:
    """One bit of one event."""
    position = evidence.positions[chance.randrange(evidence.covered)]
    await superuser.execute(
        "UPDATE log.stored_events SET state = set_bit(state, %s, 1 - get_bit(state, %s)) "
        "WHERE notification_id = %s",
        (*[chance.randrange(400)] * 2, position),
    )
    return position, 0


async def delete(superuser: Superuser, evidence: Evidence, chance: random.Random) -> tuple[int, int]:
    """One event goes."""
    position = evidence.positions[chance.randrange(evidence.covered)]
    await superuser.execute("DELETE FROM log.stored_events WHERE notification_id = %s", (position,))
    return position, 0


async def insert(superuser: Superuser, evidence: Evidence, chance: random.Random) -> tuple[int, int]:
    """One event comes between two others, or before all of them."""
    index = chance.randrange(evidence.covered)
    position = evidence.positions[index]
    if chance.random() < 0.2:
        position = chance.choice([0, -5])
    else:
        await superuser.execute(
            "UPDATE log.stored_events SET notification_id = -notification_id - 100 "
            "WHERE notification_id >= %s",
            (position,),
        )
        await superuser.execute(
            "UPDATE log.stored_events SET notification_id = -notification_id - 99 WHERE notification_id < -99"
        )
    event = an_event(uuid4(), 1, 12345)
    await superuser.execute(
        "INSERT INTO log.stored_events (notification_id, originator_id, originator_version, topic, state) "
        "VALUES (%s, %s, %s, %s, %s)",
        (position, event.originator_id, event.originator_version, event.topic, event.state),
    )
    return position, 0


async def reorder(superuser: Superuser, evidence: Evidence, chance: random.Random) -> tuple[int, int]:
    """Two events change places."""
    first, second = sorted(chance.sample(evidence.positions[: evidence.covered], 2))
    for old, new in ((first, -1), (second, first), (-1, second)):
        await superuser.execute(
            "UPDATE log.stored_events SET notification_id = %s WHERE notification_id = %s", (new, old)
        )
    return first, 0


async def cut(superuser: Superuser, evidence: Evidence, chance: random.Random) -> tuple[int, int]:
    """The last events go."""
    position = evidence.positions[chance.randrange(evidence.covered)]
    await superuser.execute("DELETE FROM log.stored_events WHERE notification_id >= %s", (position,))
    return position, 0


async def change_time(superuser: Superuser, evidence: Evidence, chance: random.Random) -> tuple[int, int]:
    """An event happened a year earlier."""
    position = evidence.positions[chance.randrange(evidence.covered)]
    await superuser.execute(
        "UPDATE log.stored_events SET state = "
        "convert_to(replace(convert_from(state, 'UTF8'), '2026', '2025'), 'UTF8') WHERE notification_id = %s",
        (position,),
    )
    return position, 0


async def rewrite(superuser: Superuser, evidence: Evidence, chance: random.Random) -> tuple[int, int]:
    """An event is changed, the whole tree with it, and the checkpoints are signed anew by another key."""
    position, _ = await chance.choice([flip, delete, change_time])(superuser, evidence, chance)
    await _grow_anew(superuser)
    forger = SigningKey.make(LOG)
    for note in evidence.notes:
        checkpoint = Checkpoint(LOG, int(note.split(b"\n")[1]), bytes(32)).sign(forger)
        await superuser.execute(
            "UPDATE history.checkpoints SET note = %s WHERE size = %s",
            (checkpoint.encoded, int(note.split(b"\n")[1])),
        )
    return position, BETWEEN


async def roll_back(superuser: Superuser, evidence: Evidence, chance: random.Random) -> tuple[int, int]:
    """All is as it was at an earlier time."""
    size = chance.randrange(evidence.covered)
    position = evidence.positions[size]
    await superuser.execute("DELETE FROM log.stored_events WHERE notification_id >= %s", (position,))
    await superuser.execute("DELETE FROM history.checkpoints WHERE size > %s", (size,))
    await _grow_anew(superuser)
    return position, BETWEEN


async def _grow_anew(superuser: Superuser) -> None:
    events = await LogReader(superuser).after(-1_000_000, EVENTS + 1)
    tiles, positions = RightEdge().add(leaf_hashes(events)), [event.position for event in events]
    await superuser.execute("DELETE FROM history.tiles")
    await superuser.execute("DELETE FROM history.positions")
    for (level, number), hashes in tiles.items():
        await superuser.execute("INSERT INTO history.tiles VALUES (%s, %s, %s)", (level, number, hashes))
    for start in range(0, len(positions), TILE_WIDTH):
        part = positions[start : start + TILE_WIDTH]
        await superuser.execute(
            "INSERT INTO history.positions VALUES (%s, %s, %s)",
            (start // TILE_WIDTH, part[0], pack_positions(part)),
        )
    await superuser.execute(
        "UPDATE history.progress SET size = %s, position = %s", (len(events), max(positions, default=0))
    )


EDITS: dict[Edit, set[str]] = {
    flip: {"changed"},
    delete: {"removed"},
    insert: {"added"},
    reorder: {"moved"},
    cut: {"cut"},
    change_time: {"changed"},
    rewrite: {"rewritten", "cut"},
    roll_back: {"cut"},
}


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
async def test_every_edit_is_found_and_its_first_event_named(
    superuser: Superuser, evidence: Evidence, edit: Edit
) -> None:
    for seed in range(RUNS):
        position, distance = await edit(superuser, evidence, random.Random(f"{edit.__name__} {seed}"))

        found = (await evidence.audit(superuser)).findings

        assert found, f"seed {seed}"
        assert found[0].what in EDITS[edit], (seed, found)
        assert found[0].position is not None
        assert 0 <= position - found[0].position <= distance, (seed, position, found)
        if found[0].upto is not None:
            assert position <= found[0].upto
        await superuser.rollback()
    assert (await evidence.audit(superuser)).findings == []
    await superuser.rollback()


async def test_an_edit_of_the_tree_alone_is_not_blamed_on_the_log(
    superuser: Superuser, evidence: Evidence
) -> None:
    for statement in (
        "UPDATE history.tiles SET hashes = set_byte(hashes, 33, get_byte(hashes, 33) # 1) WHERE level = 0",
        "UPDATE history.tiles SET hashes = set_byte(hashes, 3, get_byte(hashes, 3) # 1) WHERE level = 1",
        "DELETE FROM history.tiles WHERE number = 0",
        "UPDATE history.positions SET positions = set_byte(positions, 7, 200)",
    ):
        await superuser.execute(statement.encode())

        [finding] = (await evidence.audit(superuser)).findings

        assert finding.what == "tree", (statement, finding)
        await superuser.rollback()


async def test_a_checkpoint_that_is_missing_from_the_table_is_named(
    superuser: Superuser, evidence: Evidence
) -> None:
    await superuser.execute("DELETE FROM history.checkpoints WHERE size = 14")

    [finding] = (await evidence.audit(superuser)).findings

    assert finding.what == "checkpoint"
    assert "about 14 events" in finding.message
    await superuser.rollback()


async def test_a_checkpoint_of_another_history_is_named(superuser: Superuser, evidence: Evidence) -> None:
    forged = Checkpoint(LOG, 14, bytes(32)).sign(SigningKey.make(LOG)).encoded
    tampered = Evidence(evidence.settings, [*evidence.notes, forged], evidence.positions)

    [finding] = (await tampered.audit(superuser)).findings

    assert finding.what == "checkpoint"
    assert "Nobody whose key is known" in finding.message
    await superuser.rollback()


async def test_what_no_checkpoint_covers_is_not_said_to_be_proven(
    superuser: Superuser, evidence: Evidence
) -> None:
    position = evidence.positions[-1]
    await superuser.execute(
        "UPDATE log.stored_events SET topic = 'tests:Other' WHERE notification_id = %s", (position,)
    )

    result = await evidence.audit(superuser)

    assert [(finding.what, finding.position) for finding in result.findings] == [("uncovered", position)]
    assert (result.covered, result.size) == (evidence.covered, EVENTS)
    await superuser.rollback()


async def test_it_raises_no_alarm_for_what_happens_every_day(
    settings: Settings, postgres: PostgresServer, tmp_path: Path
) -> None:
    settings, chance = with_folders(settings, tmp_path), random.Random(7)
    url = on_database(postgres.url(), settings)
    async with (
        Log(settings.writer_url) as log,
        history.opened(settings) as (follower, publisher),
        await psycopg.AsyncConnection.connect(url) as connection,
    ):
        for run in range(200):
            for _ in range(chance.randrange(6)):
                record = uuid4()
                await log.append(
                    an_entry(*(an_event(record, n + 1, n) for n in range(chance.randrange(1, 9))))
                )
            if chance.random() < 0.7:
                await follower.catch_up()
            if chance.random() < 0.5 and follower.standing.size:
                await history.publish(settings, follower, publisher)
            notes = PublishedFolder(settings.checkpoints_folder, LOG).all()
            keys = open_keys(settings.keys_folder, "", LOG)

            result = await audit(connection, notes, keys.chain)

            assert result.findings == [], run
            await connection.rollback()
    assert result.size > 1_000
