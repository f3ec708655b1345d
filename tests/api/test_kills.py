"""Processes are killed in the middle of a live round; afterwards nothing is lost and nothing is doubled."""

import asyncio
import email
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from api.stack.local import LocalStack
from api.stack.supervisor import Service
from domain.rounds import Due, Schedule, invitation_id
from services.log import Unavailable
from services.rounds import SubmitResponse
from services.store import Answer
from services.wiring import Services, open_services
from tests.cast import ALBANIA, FIJI, KENYA, PERU, Office

SECOND = timedelta(seconds=1)
DUE = 30 * SECOND
SCHEDULE = Schedule(reminders=(20 * SECOND, 10 * SECOND), escalations=(5 * SECOND,))


@pytest.mark.timeout(300)
async def test_a_live_round_survives_the_death_of_every_process(session_folder: Path) -> None:
    stack = LocalStack(session_folder / "killed", lambda _: None)
    await stack.start()
    try:
        async with open_services(stack.settings) as services:
            office = Office(services, datetime.now(UTC))
            round_id = await office.with_open_round(
                KENYA, PERU, FIJI, ALBANIA, due=Due(at=office.now + DUE), schedule=SCHEDULE
            )
            answering = asyncio.create_task(answer_after(services, invitation_id(round_id, PERU), 14))
            stack = await kill_one_after_the_other(stack)
            answer = await answering
            assert answer.outcome == "done"
        await everything_has_ended(stack)
        await look_at_what_is_left(stack)
    finally:
        await stack.stop()


async def kill_one_after_the_other(stack: LocalStack) -> LocalStack:
    """Kill -9 each process in turn, then two at once, then all of them; return the stack that came after."""
    await asyncio.sleep(2)
    work, project, serve, sink = (stack.programs[name] for name in ("work", "project", "serve", "sink"))
    turns: list[list[Service]] = [
        [work],
        [project],
        [stack.temporal],
        [sink],
        [stack.postgres],
        [serve],
        [work, stack.postgres],
    ]
    for victims in turns:
        for victim in victims:
            victim.kill()
        await asyncio.sleep(3)
    await stack.supervisor.stop([])
    stack.kill()
    again = LocalStack(stack.folder, lambda _: None)
    await again.start()
    return again


async def answer_after(services: Services, id: UUID, seconds: float) -> Answer:
    """Answer, and send the answer again under its key for as long as nobody can say how it ended."""
    await asyncio.sleep(seconds)
    office, key = Office(services, datetime.now(UTC)), uuid4()
    while True:
        try:
            return await office.ask(SubmitResponse(invitation_id=id, answers={"areas": ["law"]}), key=key)
        except Unavailable:
            await asyncio.sleep(0.5)


async def everything_has_ended(stack: LocalStack) -> None:
    """Wait until no letter is outstanding and the tables stand where the log does."""
    async with asyncio.timeout(120):
        while True:
            async with await psycopg.AsyncConnection.connect(stack.settings.reader_url) as connection:
                outstanding = await value(
                    connection, "SELECT count(*) FROM now.letters WHERE state = 'planned'"
                )
                behind = await value(
                    connection,
                    "SELECT max(notification_id) - (SELECT position FROM now.position) "
                    "FROM log.stored_events",
                )
            if outstanding == 0 and behind == 0:
                return
            await asyncio.sleep(0.5)


async def value(connection: psycopg.AsyncConnection, query: str) -> int:
    row = await (await connection.execute(query.encode())).fetchone()
    assert row is not None
    return int(row[0])


async def look_at_what_is_left(stack: LocalStack) -> None:
    async with await psycopg.AsyncConnection.connect(stack.settings.reader_url) as connection:
        cursor = await connection.execute(
            "SELECT originator_id, split_part(topic, '.', 3) FROM log.stored_events "
            "WHERE topic LIKE 'domain.letters:%' AND topic NOT LIKE '%Planned'"
        )
        endings = Counter(await cursor.fetchall())
        cursor = await connection.execute("SELECT state, count(*) FROM now.invitations GROUP BY state")
        states: dict[str, int] = dict(await cursor.fetchall())
        cursor = await connection.execute("SELECT message_id FROM now.letters WHERE state = 'sent'")
        sent = {row[0] for row in await cursor.fetchall()}
    assert states == {"received": 1, "lapsed": 3}
    assert max(endings.values()) == 1, "each letter has one ending of a kind"
    assert len({id for id, _ in endings}) == len(endings) == 4 * 4, "each letter has exactly one ending"
    assert arrived(stack) == sent, "what the log says was sent has arrived, and nothing else has"


def arrived(stack: LocalStack) -> set[str]:
    """Return the Message-IDs that the sink has kept; the same one may have come twice."""
    letters = (stack.folder / "letters-sink").glob("*.eml")
    return {str(email.message_from_bytes(path.read_bytes())["Message-ID"]) for path in letters}
