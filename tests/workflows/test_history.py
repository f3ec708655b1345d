"""The history is watched over: what is found by night is told by letter, and checkpoints go out by day."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from api.stack.postgres import PostgresServer
from domain.access import Grant, Role
from domain.aggregates import identify
from domain.history_notes import open_checkpoint
from services.checkpoints import published_keys
from services.directory import Person
from services.history import open_alarms
from services.settings import Settings
from tests.cast import KENYA, Postbox, hired
from tests.services.ledgers import on_database, publish, reading
from tests.workflows.conftest import Clockwork
from tests.workflows.test_on_the_real_server import eventually
from workflows.history import SEND, WATCH, HistorySteps, schedule_watch

AUDITOR = Person(identify("person", "Aisha"), "Aisha Rahmani", "aisha@example.org", "en", "auditor")
MANAGER = Person(identify("person", "Ines"), "Ines Duarte", "ines@example.org", "en", "manager")


@pytest.fixture
async def superuser(postgres: PostgresServer, settings: Settings) -> AsyncIterator[psycopg.AsyncConnection]:
    """Somebody whom no right holds back."""
    url = on_database(postgres.url(), settings)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


@asynccontextmanager
async def telling(work: Clockwork) -> AsyncIterator[None]:
    """Let alarms be told, as in the worker's process."""
    task = asyncio.create_task(HistorySteps(work.services, work.tables).tell_alarms())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def with_people(work: Clockwork) -> None:
    """Employ an auditor and a programme manager, and register a party."""
    await hired(work.services, AUDITOR, Grant(role=Role.AUDITOR))
    await hired(work.services, MANAGER, Grant(role=Role.PROGRAMME_MANAGER))
    await work.office.with_parties()
    await work.runner.catch_up()


async def tonight(work: Clockwork, id: str) -> None:
    """Let what is scheduled happen now."""
    settings = Settings(temporal_task_queue=work.triggers.task_queue)
    with contextlib.suppress(Exception):
        await work.client.get_schedule_handle(id).delete()  # another test's, with another task queue
    await schedule_watch(work.client, settings)
    await work.client.get_schedule_handle(id).trigger()


async def test_a_row_that_was_tampered_with_is_found_by_night_and_told_by_letter(
    ticking: Clockwork, settings: Settings, superuser: psycopg.AsyncConnection, postbox: Postbox
) -> None:
    await with_people(ticking)
    await publish(settings)
    await superuser.execute(
        "UPDATE log.stored_events SET state = convert_to(replace(convert_from(state, 'UTF8'), 'Kenya', "
        "'Utopia'), 'UTF8') WHERE originator_id = %s AND originator_version = 1",
        (KENYA,),
    )

    async with telling(ticking), reading(settings) as connection:
        await tonight(ticking, WATCH)

        async def alarm_stands() -> bool:
            return bool(await open_alarms(connection))

        await eventually(alarm_stands, seconds=60)
        [alarm] = await open_alarms(connection)
        assert alarm.message.endswith("is not as it was published.")
        await eventually(lambda: letters_are(postbox, 1))
        await asyncio.sleep(1.5)

    [letter] = postbox.letters
    assert "aisha@example.org" in str(letter["To"])
    assert alarm.message in letter.get_content()


async def letters_are(postbox: Postbox, count: int) -> bool:
    return len(postbox.letters) == count


async def test_an_alarm_waits_for_a_mail_server_that_is_away(
    ticking: Clockwork, settings: Settings, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.history.AGAIN_SECONDS", 0.1)
    await with_people(ticking)
    postbox.down = True
    async with ticking.services.pool.connection() as connection:
        await connection.execute("INSERT INTO history.alarms (kind, message) VALUES ('audit', 'It differs.')")

    async with telling(ticking):
        await asyncio.sleep(1)
        assert postbox.letters == []
        postbox.down = False
        await eventually(lambda: letters_are(postbox, 1))


async def test_who_wants_the_checkpoint_gets_it_by_letter_and_it_verifies(
    ticking: Clockwork, settings: Settings, postbox: Postbox
) -> None:
    await with_people(ticking)
    published = await publish(settings)
    await ticking.services.directory.want_checkpoints(AUDITOR.id, wanted=True)

    await tonight(ticking, SEND)
    await eventually(lambda: letters_are(postbox, 1), seconds=60)

    [attached] = list(postbox.letters[0].iter_attachments())
    note = attached.get_content()
    keys = published_keys(settings.checkpoints_folder, "")
    assert open_checkpoint(note, keys).size == published.size

    await ticking.services.directory.want_checkpoints(AUDITOR.id, wanted=False)
    assert await ticking.services.directory.who_want_checkpoints() == []
