"""Histories: what proves them is made here; what the ids in them mean, and when a position was reached.

The process that lets the tree grow also makes the checkpoints, since a tree that nobody signs proves
nothing: at most one every five seconds while there is news, and at once when somebody asks. When the
history is not what was published of it, an alarm is kept, nothing is signed, and it looks again later.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import psycopg
import structlog

from domain.history_notes import PublicKey
from projections.history_tree import Follower, TakenError, open_follower
from projections.reading import Picture, Record
from services.checkpoints import PublishedFolder, Publisher, published_keys
from services.history import ASK, MADE, Checkpoints, end_alarms, open_alarms, raise_alarm
from services.history_audit import Audit, Finding, audit
from services.history_tree import HistoryDiffers, Tree
from services.keys import Keys, KeysError, open_keys
from services.log import LogReader, notifications
from services.pool import NOTICE_LOSS
from services.settings import Settings
from services.witness import Cosigner

log = structlog.get_logger("history")

CHECKPOINT_SECONDS = 5.0
"""How far apart checkpoints are that nobody asked for."""
LOOK_SECONDS = 1.0
"""How long nothing may be heard before it looks by itself."""
BREATH_SECONDS = 0.25
"""How long the events that follow one closely are given to come along: each step writes the edge anew."""
AGAIN_SECONDS = 30.0
"""When to look again at a history that differs from what was published."""


def log_keys(settings: Settings) -> Keys:
    """Return the keys of the log, made now on the first start."""
    address = settings.public_url
    port = f":{address.port}" if address.port not in (80, 443) else ""
    default_name = f"{address.host}{port}{(address.path or '').rstrip('/')}/log"
    return open_keys(settings.keys_folder, settings.log_name, default_name)


@asynccontextmanager
async def opened(settings: Settings, *, wait: bool = True) -> AsyncIterator[tuple[Follower, Publisher]]:
    """Give a follower that has caught up, and a publisher that has found it to extend what was published.

    Raises HistoryDiffers when it does not. Only one process at a time has them: others wait, or are told so
    by TakenError.
    """
    follower = await open_follower(settings, wait=wait)
    async with follower.connection:
        await follower.catch_up()
        witness = PublicKey.parse(settings.witness_key).encoded if settings.witness_url else ""
        publisher = Publisher(follower.connection, settings.checkpoints_folder, log_keys(settings), witness)
        await publisher.open()
        await end_alarms(follower.connection, "follower")
        await follower.connection.commit()
        yield follower, publisher


async def publish(settings: Settings, follower: Follower, publisher: Publisher) -> None:
    """Make a checkpoint of the tree as it stands, where there is news."""
    await publisher.use(log_keys(settings))
    await follower.connection.execute("SET LOCAL synchronous_commit = on")
    await publisher.publish(follower.standing)
    await follower.connection.commit()


async def run(settings: Settings) -> None:
    """Let the tree grow, and make checkpoints, for ever.

    What cannot be reached is tried again. A history that differs from what was published is an alarm that
    stands until it does not.
    """
    parts = [_again_and_again(settings, _follow)]
    if settings.witness_url:
        parts.append(_again_and_again(settings, _cosign))
    await asyncio.gather(*parts)


async def check(settings: Settings) -> None:
    """Before anything is opened: raise HistoryDiffers when the history is not what was published of it.

    Where another process makes checkpoints already, that one looks, and keeps the alarm.
    """
    try:
        async with opened(settings, wait=False):
            return
    except TakenError:
        log.info("another process makes the checkpoints, and looks at the history")
    except HistoryDiffers as difference:
        await _keep_alarm(settings, str(difference))
        raise


async def watch(settings: Settings) -> Audit:
    """Hold the whole log against what was published; keep an alarm for what is found, or end the last one.

    It needs the folder of checkpoints, for reading alone, and no signing key. Raises KeysError when the
    published keys cannot be read.
    """
    folder = settings.checkpoints_folder
    keys = published_keys(folder, settings.log_name)
    # The checkpoints are read first, so that the log, which is read later, holds all that they are about.
    notes = list(PublishedFolder(folder, keys[0].name).all()) if keys else []
    connect = partial(psycopg.AsyncConnection.connect, settings.writer_url, **NOTICE_LOSS)
    async with await connect(application_name="mandate audit") as connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        if keys:
            result = await audit(connection, notes, keys)
        else:
            result = await _without_keys(connection, folder)
        await connection.rollback()
    async with await connect(autocommit=True) as connection:
        for finding in result.findings:
            log.error("the history differs from what was published", message=finding.message)
            await raise_alarm(connection, "audit", finding.message)
        if not result.findings:
            await end_alarms(connection, "audit")
    return result


async def _without_keys(connection: psycopg.AsyncConnection, folder: Path) -> Audit:
    """Say what it means that nothing was published: that nothing was signed, or that the folder is lost."""
    result = Audit()
    if (newest := await Checkpoints(connection).newest()) is not None:
        message = f"Checkpoints were published, up to {newest.size} events, and {folder} holds none of them."
        result.findings.append(Finding("checkpoint", message))
    return result


async def regrow(settings: Settings) -> int:
    """Let the tree grow anew from the log, and return its size.

    It may run beside the process that makes checkpoints, which then grows the tree itself. Raises
    HistoryDiffers when that shows that the log is not what was published of it; the tree is as the log then.
    """
    async with await _connect(settings) as connection, connection.transaction():
        # First the row that whoever grows the tree holds for each step: it finds all gone, or nothing.
        await connection.execute("UPDATE history.progress SET size = 0, position = 0")
        await connection.execute("DELETE FROM history.tiles")
        await connection.execute("DELETE FROM history.positions")
    try:
        async with opened(settings, wait=False) as (follower, _):
            return follower.standing.size
    except TakenError:
        return await _regrown_by_another(settings)


async def _regrown_by_another(settings: Settings) -> int:
    """Wait until the tree is whole again. An alarm that stands is given the time to end."""
    async with await _connect(settings) as connection, await _connect(settings) as listener:
        head, until = await LogReader(connection).position(), None
        async for _ in notifications(listener, MADE):
            standing = await Tree(connection).standing()
            if standing.position < head:
                continue
            alarms = [alarm for alarm in await open_alarms(connection) if alarm.kind == "follower"]
            if not alarms:
                return standing.size
            now = asyncio.get_running_loop().time()
            until = until or now + AGAIN_SECONDS + 5
            if now > until:
                raise HistoryDiffers(alarms[0].message)
    raise AssertionError("notifications do not end")


async def _again_and_again(settings: Settings, work: Callable[[Settings], Awaitable[None]]) -> None:
    while True:
        try:
            await work(settings)
        except (HistoryDiffers, KeysError) as difference:
            log.error("the history is not what was published of it", message=str(difference))
            await _keep_alarm(settings, str(difference))
            await asyncio.sleep(AGAIN_SECONDS)
        except (psycopg.OperationalError, psycopg.InterfaceError, OSError) as error:
            log.warning("the history cannot go on now; trying again", error=str(error))
            await asyncio.sleep(0.5)


async def _keep_alarm(settings: Settings, message: str) -> None:
    async with await _connect(settings) as connection:
        # What it says changes with each event that comes in; the first alarm stands for all.
        if all(alarm.kind != "follower" for alarm in await open_alarms(connection)):
            await raise_alarm(connection, "follower", message)


async def _connect(settings: Settings) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(settings.projector_url, autocommit=True, **NOTICE_LOSS)


async def _follow(settings: Settings) -> None:
    """Follow the log until something fails. The follower listens before it reads."""
    listener = await _connect(settings)
    async with listener, opened(settings) as (follower, publisher):
        await listener.execute("LISTEN log")
        await listener.execute(f"LISTEN {ASK}".encode())
        now = asyncio.get_running_loop().time
        due, asked = 0.0, False
        while True:
            await follower.catch_up()
            news = follower.standing.size > (publisher.newest.size if publisher.newest else 0)
            if news and (asked or now() >= due):
                await publish(settings, follower, publisher)
                due, news = now() + CHECKPOINT_SECONDS, False
            asked = await _wait(listener, max(0.0, due - now()) if news else LOOK_SECONDS)


async def _wait(listener: psycopg.AsyncConnection, seconds: float) -> bool:
    """Wait for news, and give what follows closely a moment to come along. Say whether somebody asks for a
    checkpoint: that is not kept waiting."""
    now = asyncio.get_running_loop().time
    until = now() + seconds
    while (left := until - now()) > 0:
        async for notification in listener.notifies(timeout=left, stop_after=1):
            if notification.channel == ASK:
                return True
            until = min(until, now() + BREATH_SECONDS)
    return False


async def _cosign(settings: Settings) -> None:
    """Ask the witness about each new checkpoint until something fails."""
    listener, connection = await _connect(settings), await _connect(settings)
    key = PublicKey.parse(settings.witness_key)
    cosigner = Cosigner(connection, settings.checkpoints_folder, settings.witness_url, key)
    async with listener, connection:
        async for _ in notifications(listener, MADE):
            while await cosigner.step():
                pass


# Questions.


async def names(picture: Picture, ids: Collection[UUID]) -> dict[UUID, Record]:
    """Return, for each of these ids that is a record, what kind it is and what people call it."""
    rows = await picture.all(
        """
        SELECT id, 'party' AS kind, name, iso3 AS code FROM parties WHERE id = ANY(%(ids)s)
        UNION ALL SELECT id, 'round', title, NULL FROM rounds WHERE id = ANY(%(ids)s)
        UNION ALL SELECT id, 'questionnaire', title ->> 'en', form_id FROM questionnaires
            WHERE id = ANY(%(ids)s)
        UNION ALL SELECT i.id, 'invitation', p.name || ', ' || r.title, NULL FROM invitations i
            JOIN rounds r ON r.id = i.round_id JOIN parties p ON p.id = i.party_id WHERE i.id = ANY(%(ids)s)
        UNION ALL SELECT d.id, 'draft', 'Draft of ' || p.name || ', ' || r.title, NULL FROM drafts d
            JOIN invitations i ON i.id = d.invitation_id JOIN rounds r ON r.id = i.round_id
            JOIN parties p ON p.id = d.party_id WHERE d.id = ANY(%(ids)s)
        UNION ALL SELECT l.id, 'letter', l.kind || ' to ' || p.name, NULL FROM letters l
            JOIN parties p ON p.id = l.party_id WHERE l.id = ANY(%(ids)s)
        UNION ALL SELECT id, 'chemical', name, annex_id FROM chemicals WHERE id = ANY(%(ids)s)
        UNION ALL SELECT id, 'delivery partner', name, centre_id FROM delivery_partners
            WHERE id = ANY(%(ids)s)
        UNION ALL SELECT id, 'trust fund', code, code FROM trust_funds WHERE id = ANY(%(ids)s)
        UNION ALL SELECT id, 'donor', name, code FROM donors WHERE id = ANY(%(ids)s)
        UNION ALL SELECT c.id, 'contribution', d.name || ', ' || f.code, NULL FROM contributions c
            JOIN donors d ON d.id = c.donor_id JOIN trust_funds f ON f.id = c.fund_id
            WHERE c.id = ANY(%(ids)s)
        """,
        ids=list(ids),
    )
    return {row["id"]: row for row in rows}


async def owner_of(picture: Picture, id: UUID) -> Record | None:
    """Return to which party a record belongs, and to which invitation if to one; None when to no party."""
    return await picture.one(
        """
        SELECT id AS party_id, NULL::uuid AS invitation_id FROM parties WHERE id = %(id)s
        UNION ALL SELECT party_id, id FROM invitations WHERE id = %(id)s
        UNION ALL SELECT party_id, invitation_id FROM drafts WHERE id = %(id)s
        UNION ALL SELECT party_id, about FROM letters WHERE id = %(id)s
        UNION ALL SELECT party_id, invitation_id FROM personal_links WHERE id = %(id)s
        UNION ALL SELECT donor_id, NULL FROM contributions WHERE id = %(id)s
        """,
        id=id,
    )


async def reached_at(picture: Picture) -> datetime | None:
    """Return the time of the newest event that the picture shows; None while the log is empty."""
    row = await picture.one(
        """
        SELECT (convert_from(state, 'UTF8')::jsonb ->> 'timestamp')::timestamptz AS moment
        FROM log.stored_events WHERE notification_id <= %(position)s
        ORDER BY notification_id DESC LIMIT 1
        """,
        position=picture.position,
    )
    return row["moment"] if row else None
