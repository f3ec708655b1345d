"""The history that grows: every event once and in order, proofs for all, and checkpoints that last."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from api.stack.postgres import PostgresServer
from domain.history import extends, includes, leaf_hashes
from domain.history_notes import open_checkpoint
from domain.history_tiles import RightEdge, Tile
from projections import history
from projections.history_tree import open_follower
from services.checkpoints import PublishedFolder, published_checkpoints
from services.history import Checkpoints, open_alarms
from services.history_tree import HistoryDiffers, Standing, Tree
from services.keys import open_keys, rotate
from services.log import LoggedEvent, Unavailable
from services.settings import Settings
from tests.services.ledgers import (
    LOG,
    PATIENCE,
    following,
    on_database,
    publish,
    reading,
    with_folders,
    write,
)
from tests.services.logbook import ask, whole_log


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with folders of the test's own."""
    return with_folders(settings, tmp_path)


@pytest.fixture
async def superuser(postgres: PostgresServer, settings: Settings) -> AsyncIterator[psycopg.AsyncConnection]:
    """Somebody whom no right holds back."""
    url = on_database(postgres.url(), settings)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


def root_of(events: list[LoggedEvent]) -> bytes:
    edge = RightEdge()
    edge.add(leaf_hashes(events))
    return edge.root()


async def grown(settings: Settings, batch_events: int = 5_000) -> Standing:
    """Let the tree take in all that is in the log."""
    follower = await open_follower(settings)
    follower.batch_events = batch_events
    async with follower.connection:
        await follower.catch_up()
        return follower.standing


# ---- the tree ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_events", [1, 7, 256, 5_000])
async def test_the_tree_is_that_of_the_log_whatever_the_batches(
    settings: Settings, batch_events: int
) -> None:
    for events in (300, 1, 2, 237):
        await write(settings, events)
        await grown(settings, batch_events)
    logged = await whole_log(settings.reader_url)

    async with reading(settings) as connection:
        tree = Tree(connection)
        assert await tree.standing() == Standing(540, logged[-1].position)
        for size in (1, 255, 256, 257, 300, 540):
            assert await tree.root(size) == root_of(logged[:size])
        for index in (0, 299, 300, 539):
            assert await tree.index_of(logged[index].position) == index
            assert await tree.position_of(index) == logged[index].position
        assert await tree.position_of(540) is None


async def test_positions_have_gaps_and_the_index_has_none(settings: Settings) -> None:
    await write(settings, 3)
    await ask(settings.writer_url, "SELECT nextval('log.stored_events_notification_id_seq')")
    await write(settings, 2)
    await grown(settings)
    positions = [event.position for event in await whole_log(settings.reader_url)]
    missing = next(p for p in range(positions[0], positions[-1]) if p not in positions)

    async with reading(settings) as connection:
        tree = Tree(connection)
        assert [await tree.index_of(position) for position in positions] == [0, 1, 2, 3, 4]
        assert await tree.index_of(missing) is None
        assert await tree.size_at(missing) == 3
        assert await tree.size_at(0) == 0
        assert await tree.size_at(positions[-1] + 1_000) == 5


async def test_every_event_is_proven_in_every_later_tree(settings: Settings) -> None:
    await write(settings, 300)
    await grown(settings)
    logged = await whole_log(settings.reader_url)
    hashes = leaf_hashes(logged)

    async with reading(settings) as connection:
        tree = Tree(connection)
        for size in (1, 2, 200, 257, 300):
            root, indexes = await tree.root(size), range(0, size, 17)
            proofs = await tree.inclusions(indexes, size)
            assert all(
                includes(root, size, index, hashes[index], proof)
                for index, proof in zip(indexes, proofs, strict=True)
            )
            for old in (0, 1, 100, 256):
                if old <= size:
                    proof = await tree.consistency(old, size)
                    assert extends(await tree.root(old), old, root, size, proof)
        with pytest.raises(ValueError, match="has 300 leaves"):
            await tree.inclusion(5, 301)


async def test_a_proof_takes_two_queries_whatever_the_size(settings: Settings) -> None:
    await write(settings, 600)
    await grown(settings)

    async with reading(settings) as connection:
        asked: list[object] = []
        execute = connection.execute

        async def counting(*arguments: Any, **more: Any) -> Any:
            asked.append(arguments)
            return await execute(*arguments, **more)

        connection.execute = counting  # type: ignore[method-assign]  # to count what is asked
        await Tree(connection).inclusions(range(0, 600, 3), 600)

    assert len(asked) == 2


async def test_tiles_are_given_as_the_specification_has_them(settings: Settings) -> None:
    await write(settings, 300)
    await grown(settings)
    hashes = leaf_hashes(await whole_log(settings.reader_url))

    async with reading(settings) as connection:
        tree = Tree(connection)
        assert await tree.tile(Tile(0, 0)) == b"".join(hashes[:256])
        assert await tree.tile(Tile(0, 1, 44)) == b"".join(hashes[256:])
        assert await tree.tile(Tile(0, 1, 10)) == b"".join(hashes[256:266])
        assert await tree.tile(Tile(1, 0, 1)) == await tree.root(256)
        assert await tree.tile(Tile(0, 1)) is None
        assert await tree.tile(Tile(0, 1, 45)) is None
        assert await tree.tile(Tile(5, 0, 1)) is None


async def test_it_grows_anew_to_the_same_tree(settings: Settings, superuser: psycopg.AsyncConnection) -> None:
    await write(settings, 300)
    before = await publish(settings)
    await superuser.execute("UPDATE history.tiles SET hashes = substr(hashes, 1, 32)")
    with pytest.raises(HistoryDiffers, match="grow anew"):
        await publish(settings)

    assert await history.regrow(settings) == 300

    assert (await publish(settings)).note == before.note


# ---- checkpoints ---------------------------------------------------------------------------------------


async def test_a_checkpoint_says_what_the_log_is(settings: Settings) -> None:
    await write(settings, 5)

    published = await publish(settings)

    logged = await whole_log(settings.reader_url)
    keys = open_keys(settings.keys_folder, "", LOG)
    checkpoint = open_checkpoint(published.encoded, [keys.signing.public])
    assert (checkpoint.origin, checkpoint.size) == (LOG, 5)
    assert checkpoint.root == root_of(logged)
    assert published.position == logged[-1].position
    assert PublishedFolder(settings.checkpoints_folder, LOG).newest() == published.note


async def test_without_news_there_is_no_second_checkpoint(settings: Settings) -> None:
    await write(settings, 5)

    first, again = await publish(settings), await publish(settings)

    assert first == again
    assert len(list(settings.checkpoints_folder.rglob("*.checkpoint"))) == 1


async def test_it_makes_one_at_once_when_asked_and_few_when_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "CHECKPOINT_SECONDS", 60.0)
    async with following(settings), reading(settings) as connection:
        checkpoints = Checkpoints(connection)
        await write(settings, 1)
        first = await checkpoints.covering(1, PATIENCE)
        for _ in range(10):
            await write(settings, 2)
            await asyncio.sleep(0.05)
        assert len(list(settings.checkpoints_folder.rglob("*.checkpoint"))) == 1, (
            "five seconds have not passed"
        )

        begun = time.monotonic()
        covering = await checkpoints.covering((await whole_log(settings.reader_url))[-1].position)

        assert time.monotonic() - begun < 10
        assert (first.size, covering.size) == (1, 21)
        assert await checkpoints.newest() == covering
        assert await checkpoints.of_size(21) == covering


async def test_after_five_seconds_it_makes_one_unasked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "CHECKPOINT_SECONDS", 0.5)
    async with following(settings), reading(settings) as connection:
        await write(settings, 1)
        await Checkpoints(connection).covering(1, PATIENCE)
        await write(settings, 1)
        position = (await whole_log(settings.reader_url))[-1].position
        async with asyncio.timeout(20):
            while await Checkpoints(connection).first_covering(position) is None:
                await asyncio.sleep(0.05)


async def test_the_first_checkpoint_that_covers_an_event_stays_the_first(settings: Settings) -> None:
    await write(settings, 3)
    first = await publish(settings)
    await write(settings, 3)
    await publish(settings)

    async with reading(settings) as connection:
        checkpoints = Checkpoints(connection)
        assert await checkpoints.first_covering(first.position) == first
        assert (await checkpoints.covering(first.position + 1, PATIENCE)).size == 6


async def test_who_asks_in_vain_is_told(settings: Settings) -> None:
    await write(settings, 1)

    async with reading(settings) as connection:
        with pytest.raises(Unavailable, match="Is the process running that makes them"):
            await Checkpoints(connection).covering(1, patience_seconds=0.1)


async def test_a_new_key_signs_after_the_old_one_has_named_it(settings: Settings) -> None:
    async with following(settings), reading(settings) as connection:
        checkpoints = Checkpoints(connection)
        await write(settings, 1)
        before = await checkpoints.covering(1, PATIENCE)
        keys = rotate(settings.keys_folder, open_keys(settings.keys_folder, "", LOG))
        await write(settings, 1)
        after = await checkpoints.covering(2, PATIENCE)

        public, rotations = await checkpoints.keys()
        assert public == list(keys.chain)
        assert rotations == list(keys.rotations)
        open_checkpoint(before.note, [keys.chain[0]])
        open_checkpoint(after.note, [keys.chain[1]])
    published = published_checkpoints(settings.checkpoints_folder, keys.chain)
    assert [checkpoint.size for checkpoint in published] == [1, 2]
    assert {path.name for path in settings.checkpoints_folder.rglob("keys/*")} == {
        "0001.public",
        "0002.public",
        "0002.rotation",
    }


async def test_only_one_follower_works_at_a_time(settings: Settings) -> None:
    async with following(settings), following(settings), reading(settings) as connection:
        for number in range(1, 4):
            await write(settings, 1)
            assert (await Checkpoints(connection).covering(number, PATIENCE)).size == number
        assert await open_alarms(connection) == []


async def test_the_role_that_publishes_cannot_change_what_it_published(settings: Settings) -> None:
    await write(settings, 2)
    await publish(settings)

    for statement in (
        "UPDATE history.checkpoints SET size = 1",
        "DELETE FROM history.checkpoints",
        "DELETE FROM history.keys",
        "UPDATE history.cosignatures SET outcome = 'cosigned'",
        "DELETE FROM history.alarms",
        "TRUNCATE history.checkpoints",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await ask(settings.projector_url, statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await ask(settings.writer_url, "UPDATE history.tiles SET hashes = ''")


# ---- killed half-way -----------------------------------------------------------------------------------


async def test_a_checkpoint_that_only_the_folder_has_comes_into_the_table(
    settings: Settings, superuser: psycopg.AsyncConnection
) -> None:
    await write(settings, 2)
    await publish(settings)
    await write(settings, 2)
    second = await publish(settings)
    await superuser.execute("DELETE FROM history.checkpoints WHERE size = 4")

    again = await publish(settings)

    assert replace(again, made_at=second.made_at) == second


async def test_a_checkpoint_that_only_the_table_has_comes_into_the_folder(settings: Settings) -> None:
    await write(settings, 2)
    published = await publish(settings)
    shutil.rmtree(settings.checkpoints_folder)

    await publish(settings)

    assert PublishedFolder(settings.checkpoints_folder, LOG).newest() == published.note


# ---- another history -----------------------------------------------------------------------------------


async def copied(postgres: PostgresServer, settings: Settings, name: str) -> Settings:
    """Make a copy of the database, as a backup is, and return settings for it."""
    source = str(conninfo_to_dict(settings.reader_url)["dbname"])
    async with await psycopg.AsyncConnection.connect(postgres.url(), autocommit=True) as connection:
        await connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(source))
        )
    return settings.model_copy(update=postgres.urls(name))


async def test_a_database_from_before_the_last_checkpoint_says_so(
    settings: Settings, postgres: PostgresServer
) -> None:
    await write(settings, 3)
    await publish(settings)
    backup = await copied(postgres, settings, f"backup_{uuid4().hex}")
    await write(settings, 2)
    await publish(settings)

    with pytest.raises(HistoryDiffers, match="about 5 events was published, and the log holds 3"):
        await history.check(backup)

    async with following(backup), reading(backup) as connection:
        with pytest.raises(Unavailable, match="restored to before that checkpoint"):
            await write(backup, 1)
            await Checkpoints(connection).covering(4, patience_seconds=1)
        [alarm] = await open_alarms(connection)
        assert alarm.kind == "follower"
    assert len(list(settings.checkpoints_folder.rglob("*.checkpoint"))) == 2


async def test_a_restored_database_that_was_used_since_is_found_out(
    settings: Settings, postgres: PostgresServer
) -> None:
    await write(settings, 3)
    await publish(settings)
    backup = await copied(postgres, settings, f"backup_{uuid4().hex}")
    await write(settings, 2)
    await publish(settings)
    await write(backup, 9)

    with pytest.raises(HistoryDiffers, match="first 5 events are not those"):
        await publish(backup)


async def test_what_was_lost_before_any_checkpoint_is_no_alarm(
    settings: Settings, postgres: PostgresServer
) -> None:
    await write(settings, 3)
    await publish(settings)
    backup = await copied(postgres, settings, f"backup_{uuid4().hex}")
    await write(settings, 2)

    await history.check(backup)

    assert (await publish(backup)).size == 3


async def test_the_alarm_ends_when_the_right_database_is_back(
    settings: Settings, superuser: psycopg.AsyncConnection
) -> None:
    await write(settings, 3)
    await publish(settings)
    await superuser.execute("UPDATE log.stored_events SET notification_id = notification_id + 900")
    await superuser.execute("UPDATE history.progress SET position = position + 9000")
    with pytest.raises(HistoryDiffers, match="last events were removed"):
        await history.check(settings)
    async with reading(settings) as connection:
        assert len(await open_alarms(connection)) == 1
        await superuser.execute("UPDATE log.stored_events SET notification_id = notification_id - 900")
        await superuser.execute("UPDATE history.progress SET position = position - 9000")

        await history.check(settings)

        assert await open_alarms(connection) == []


async def test_the_watch_keeps_an_alarm_until_what_it_found_is_over(
    settings: Settings, superuser: psycopg.AsyncConnection
) -> None:
    await write(settings, 3)
    await publish(settings)
    change = "UPDATE log.stored_events SET topic = replace(topic, %s, %s) WHERE notification_id = 2"
    assert (await history.watch(settings)).findings == []

    await superuser.execute(change, ("Happened", "Forged"))
    found = await history.watch(settings)

    assert [(finding.what, finding.position) for finding in found.findings] == [("changed", 2)]
    async with reading(settings) as connection:
        assert [alarm.kind for alarm in await open_alarms(connection)] == ["audit"]
        await superuser.execute(change, ("Forged", "Happened"))
        assert (await history.watch(settings)).covered == 3
        assert await open_alarms(connection) == []


async def test_a_restored_log_goes_on_under_another_name(
    settings: Settings, postgres: PostgresServer
) -> None:
    await write(settings, 3)
    await publish(settings)
    backup = await copied(postgres, settings, f"backup_{uuid4().hex}")
    await write(settings, 2)
    await publish(settings)

    renamed = backup.model_copy(update={"log_name": f"{LOG}/2"})
    published = await publish(renamed)

    assert (published.log, published.size) == (f"{LOG}/2", 3)
    assert len(list(settings.checkpoints_folder.rglob("*.checkpoint"))) == 3


async def test_a_checkpoint_that_a_stranger_put_into_the_folder_is_not_believed(settings: Settings) -> None:
    await write(settings, 3)
    published = await publish(settings)
    PublishedFolder(settings.checkpoints_folder, LOG).add(9, published.note.replace(b"\n3\n", b"\n9\n"))

    with pytest.raises(HistoryDiffers, match="was not signed by a key of this log"):
        await publish(settings)
