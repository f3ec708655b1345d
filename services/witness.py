"""Asks a witness to cosign the checkpoints, by the protocol C2SP tlog-witness.

A witness is somebody else: another machine, another key, best another institution. It signs only what grew
from what it signed before, so a log that was restored, or shown differently to different people, is found
out. Its absence holds up nothing. What it said of a checkpoint is kept once and never changed, so that a pack
made later holds the same.
"""

import asyncio
import base64
import contextlib
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import structlog

from domain.history_notes import Note, NoteError, PublicKey, Signature
from services.checkpoints import PublishedFolder, cosigned
from services.history import MADE, Published, raise_alarm
from services.history_tree import Tree

log = structlog.get_logger("history")

TIMEOUT_SECONDS = 3.0
EARLIEST_SECONDS, LATEST_SECONDS = 24 * 3600, 3600
"""How far the witness's clock may be behind ours, and before it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back over HTTP."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a witness said of a checkpoint."""

    outcome: str
    line: str = ""
    detail: str = ""
    alarm: str = ""
    """What it shows about the history, when it shows that it differs from what the witness saw."""


class Cosigner:
    """Asks one witness, over a connection in autocommit that it owns."""

    def __init__(self, connection: psycopg.AsyncConnection, folder: Path, url: str, key: PublicKey) -> None:
        self._connection = connection
        self._folder = folder
        self._url = url.rstrip("/") + "/add-checkpoint"
        self._key = key

    async def step(self) -> bool:
        """Ask about the newest checkpoint that the witness was not asked about; say whether there was one."""
        waiting = await self._unsettled()
        if not waiting:
            return False
        newest, *older = waiting
        verdict = await self._ask(newest)
        if verdict.alarm:
            log.error("the witness saw another history", message=verdict.alarm)
            await raise_alarm(self._connection, "witness", verdict.alarm)
        elif verdict.outcome != "cosigned":
            log.warning("the witness did not sign", outcome=verdict.outcome, detail=verdict.detail)
        if verdict.line:
            # Before the table: whoever reads there that the witness has signed finds the file.
            note = cosigned(newest.note, verdict.line)
            folder = PublishedFolder(self._folder, newest.log)
            await asyncio.to_thread(folder.add, newest.size, note, "cosigned")
        await self._settle(newest, older, verdict)
        return True

    async def _unsettled(self) -> list[Published]:
        """Return the checkpoints that came after the last one that was settled, newest first."""
        cursor = await self._connection.execute(
            "SELECT log, size, position, note, made_at, witness FROM history.checkpoints c "
            "WHERE witness = %s AND log = (SELECT log FROM history.keys ORDER BY known_at DESC, number DESC "
            "LIMIT 1) AND size > (SELECT coalesce(max(size), 0) FROM history.cosignatures s "
            "WHERE s.log = c.log AND s.witness = c.witness) ORDER BY size DESC",
            (self._key.encoded,),
        )
        return [Published(*row) for row in await cursor.fetchall()]

    async def _settle(self, newest: Published, older: Sequence[Published], verdict: Verdict) -> None:
        rows = [(newest, verdict)]
        passed_over = Verdict("passed over", detail=f"The checkpoint about {newest.size} events was newer.")
        rows += [(published, passed_over) for published in older]
        async with self._connection.transaction(), self._connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO history.cosignatures (log, size, witness, outcome, line, detail, asked_at) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [(p.log, p.size, p.witness, v.outcome, v.line, v.detail, datetime.now(UTC)) for p, v in rows],
            )
            await cursor.execute("SELECT pg_notify(%s, %s)", (MADE, str(newest.position)))

    async def _ask(self, published: Published) -> Verdict:
        """Ask, and once more with the size that the witness names when it remembers another than we do."""
        try:
            reply = await self._submit(published, await self._last_cosigned(published.log))
            if reply.status == 409 and (size := _size(reply)) is not None:
                if size > published.size:
                    return _differs(f"it has signed {size} events, and the log holds {published.size}")
                reply = await self._submit(published, size)
        except (OSError, ValueError) as error:
            return Verdict("absent", detail=str(error)[:500])
        if reply.status == 200:
            return self._signed(published, reply)
        if reply.status in (409, 422):
            return _differs(f"it refused {published.size} events as an extension of those that it has signed")
        return Verdict("refused", detail=f"It answered {reply.status}: {reply.body[:400]}")

    async def _last_cosigned(self, log: str) -> int:
        cursor = await self._connection.execute(
            "SELECT coalesce(max(size), 0) FROM history.cosignatures "
            "WHERE log = %s AND witness = %s AND outcome = 'cosigned'",
            (log, self._key.encoded),
        )
        row = await cursor.fetchone()
        return row[0] if row else 0

    async def _submit(self, published: Published, old: int) -> Reply:
        proof = await Tree(self._connection).consistency(old, published.size)
        lines = [f"old {old}", *(base64.b64encode(hash).decode() for hash in proof), "", ""]
        return await asyncio.to_thread(_post, self._url, "\n".join(lines).encode() + published.note)

    def _signed(self, published: Published, reply: Reply) -> Verdict:
        text, now = Note.parse(published.note).text, time.time()
        for line in reply.body.splitlines(keepends=True):
            with contextlib.suppress(NoteError):
                signature = Signature.parse(line)
                ours = (signature.name, signature.key_id) == (self._key.name, self._key.id)
                if ours and self._key.signed(signature, text):
                    if not -EARLIEST_SECONDS < signature.time_seconds - now < LATEST_SECONDS:
                        return Verdict("refused", detail=f"It signed at {signature.time_seconds}, not now.")
                    return Verdict("cosigned", line=signature.line)
        return Verdict("refused", detail="What it sent is not a signature of its key over this checkpoint.")


def _post(url: str, body: bytes) -> Reply:
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "text/plain; charset=utf-8"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return Reply(answer.status, answer.read(10_000).decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.read(10_000).decode("utf-8", "replace"))


def _size(reply: Reply) -> int | None:
    digits = reply.body.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None


def _differs(what: str) -> Verdict:
    alarm = (
        f"The witness saw another history: {what}. The database was restored to before that, or changed; or "
        "somebody else signs in the name of this log."
    )
    return Verdict("refused", detail=f"It saw another history: {what}.", alarm=alarm)
