"""The history as it was published: its checkpoints, its keys, and the alarms about it.

Everything here works over a connection that the caller owns.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from domain.history_notes import Checkpoint, Note, PublicKey, follow_keys
from services.log import Unavailable

ASK = "checkpoint_wanted"
"""The channel on which somebody asks for a checkpoint now."""
MADE = "checkpoints"
"""The channel on which a new checkpoint, or an answer of a witness, is announced."""

ALARMS = "history_alarms"
"""The channel on which an alarm is announced."""


# ---- Checkpoints ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that was signed and published, and what its witness said."""

    log: str
    size: int
    position: int
    """The position of the last event that it covers."""
    note: bytes
    made_at: datetime
    witness: str
    """The public key of who was to be asked to cosign; empty for nobody."""
    outcome: str | None = None
    """What came of that: cosigned, refused, absent or passed over; None while it is open."""
    cosignature: str | None = None
    detail: str | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """What the note says."""
        return Checkpoint.parse(Note.parse(self.note).text)

    @property
    def settled(self) -> bool:
        """Whether nothing more will be added to it."""
        return not self.witness or self.outcome is not None

    @property
    def encoded(self) -> bytes:
        """The note with all its signatures, as it is given out at ``/checkpoint``."""
        return self.note + (self.cosignature or "").encode()


_LOG = "(SELECT log FROM history.keys ORDER BY known_at DESC, number DESC LIMIT 1)"
_PUBLISHED = (
    "SELECT c.log, c.size, c.position, c.note, c.made_at, c.witness, s.outcome, s.line, s.detail "  # noqa: S608
    "FROM history.checkpoints c LEFT JOIN history.cosignatures s USING (log, size, witness) "
    f"WHERE c.log = {_LOG} "
)


class Checkpoints:
    """The checkpoints of the log, and its keys."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection

    async def newest(self) -> Published | None:
        """Return the newest checkpoint."""
        return await self._one("ORDER BY c.size DESC LIMIT 1")

    async def of_size(self, size: int) -> Published | None:
        """Return the checkpoint of a tree of ``size`` leaves."""
        return await self._one("AND c.size = %s", size)

    async def first_covering(self, position: int) -> Published | None:
        """Return the first checkpoint that covers a position; the same for ever, once there is one."""
        return await self._one("AND c.position >= %s ORDER BY c.position LIMIT 1", position)

    async def each_first_covering(self, positions: Sequence[int]) -> list[Published]:
        """Return, for each position that is covered, the first checkpoint that covers it; each one once."""
        cursor = await self._connection.execute(
            "SELECT DISTINCT c.size FROM unnest(%s::bigint[]) AS wanted(position), LATERAL ("  # noqa: S608
            "SELECT size FROM history.checkpoints "
            f"WHERE log = {_LOG} AND position >= wanted.position ORDER BY position LIMIT 1) AS c",
            (list(positions),),
        )
        sizes = [row[0] for row in await cursor.fetchall()]
        cursor = await self._connection.execute(
            f"{_PUBLISHED} AND c.size = ANY(%s) ORDER BY c.size".encode(), (sizes,), binary=True
        )
        return [Published(*row) for row in await cursor.fetchall()]

    async def covering(
        self, position: int, patience_seconds: float = 5, *, settled: bool = False
    ) -> Published:
        """Return the first checkpoint that covers a position, asking for one where there is none.

        ``settled`` waits for the witness too. Raises Unavailable when it does not come in time. The
        connection must be in autocommit, or the new checkpoint would not be seen.
        """
        until = asyncio.get_running_loop().time() + patience_seconds
        asked = False
        while True:
            found = await self.first_covering(position)
            if found and (found.settled or not settled):
                return found
            if asyncio.get_running_loop().time() > until:
                raise Unavailable(await no_checkpoint_yet(self._connection, position))
            if not asked and not found:
                await self.ask(position)
                asked = True
            await asyncio.sleep(0.03)

    async def ask(self, position: int) -> None:
        """Ask for a checkpoint now. It is made once for all who ask at the same time."""
        await self._connection.execute("SELECT pg_notify(%s, %s)", (ASK, str(position)))

    async def keys(self) -> tuple[list[PublicKey], list[bytes]]:
        """Return the public keys of the log, oldest first, and the notes by which one named the next."""
        cursor = await self._connection.execute(
            f"SELECT public, rotation FROM history.keys WHERE log = {_LOG} ORDER BY number".encode()  # noqa: S608
        )
        rows = await cursor.fetchall()
        if not rows:
            return [], []
        rotations = [rotation for _, rotation in rows[1:]]
        return follow_keys(PublicKey.parse(rows[0][0]), rotations), rotations

    async def _one(self, rest: str, *arguments: object) -> Published | None:
        cursor = await self._connection.execute((_PUBLISHED + rest).encode(), arguments, binary=True)
        row = await cursor.fetchone()
        return Published(*row) if row else None


# ---- Alarms -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that shows that the history is not what was published of it."""

    number: int
    kind: str
    """Who found it: follower, audit or witness."""
    message: str
    raised_at: datetime


async def no_checkpoint_yet(connection: psycopg.AsyncConnection, position: int) -> str:
    """Say why no checkpoint covers a position, as far as it is known."""
    alarms = await open_alarms(connection)
    if alarms:
        return f"No checkpoint is made while this stands: {alarms[0].message}"
    return f"No checkpoint covers position {position} yet. Is the process running that makes them?"


async def open_alarms(connection: psycopg.AsyncConnection) -> list[Alarm]:
    """Return the alarms that stand, newest first. While one does, pages say so."""
    cursor = await connection.execute(
        "SELECT number, kind, message, raised_at FROM history.alarms WHERE ended_at IS NULL "
        "ORDER BY number DESC"
    )
    return [Alarm(*row) for row in await cursor.fetchall()]


async def untold_alarms(connection: psycopg.AsyncConnection) -> list[Alarm]:
    """Return the alarms that stand and that nobody was written to about, oldest first."""
    cursor = await connection.execute(
        "SELECT number, kind, message, raised_at FROM history.alarms "
        "WHERE ended_at IS NULL AND told_at IS NULL ORDER BY number"
    )
    return [Alarm(*row) for row in await cursor.fetchall()]


async def keep_as_told(connection: psycopg.AsyncConnection, alarm: Alarm) -> None:
    """Note that the letters about an alarm have gone out."""
    await connection.execute(
        "UPDATE history.alarms SET told_at = clock_timestamp() WHERE number = %s", (alarm.number,)
    )


async def raise_alarm(connection: psycopg.AsyncConnection, kind: str, message: str) -> None:
    """Keep an alarm; one that stands already is not repeated."""
    await connection.execute(
        "INSERT INTO history.alarms (kind, message) SELECT %(kind)s, %(message)s WHERE NOT EXISTS "
        "(SELECT FROM history.alarms WHERE kind = %(kind)s AND message = %(message)s AND ended_at IS NULL)",
        {"kind": kind, "message": message},
    )
    await connection.execute("SELECT pg_notify(%s, '')", (ALARMS,))


async def end_alarms(connection: psycopg.AsyncConnection, kind: str) -> None:
    """Say that what was found is over: whoever found it has looked again."""
    await connection.execute(
        "UPDATE history.alarms SET ended_at = clock_timestamp() WHERE kind = %s AND ended_at IS NULL", (kind,)
    )
