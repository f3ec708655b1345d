"""Sessions: by what a browser is known from one request to the next.

A session is a random secret in a cookie and, as a digest, a row of the directory. It can be listed and
ended by the person whose it is, and ends by itself.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from psycopg.errors import ForeignKeyViolation
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

from services.hashing import hashed, new_secret
from services.kept_links import Link

AGE = timedelta(hours=12)
"""How long a session of somebody who signed in lasts."""
IDLE = timedelta(hours=2)
"""After how long without a request such a session ends."""
AGE_BY_LINK = timedelta(hours=24)
"""How long a session by a personal link lasts, requests or none: on a slow line, a long questionnaire is
answered in pieces, and the link can be opened again."""
SEEN_EVERY = timedelta(minutes=1)
"""How exactly it is kept when a session was last seen."""
BROWSER_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is good."""

    id: UUID
    person_id: UUID
    browser: str
    """What the browser says of itself."""
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    link_id: UUID | None = None
    """The personal link that it was exchanged for; then the rest says for what the link is good."""
    invitation_id: UUID | None = None
    party_id: UUID | None = None
    section: str | None = None


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session and its secret, which is known here and to the browser and nowhere else."""

    id: UUID
    person_id: UUID
    secret: str
    ends_at: datetime


_GOOD = (
    "SELECT s.id, s.person_id, s.browser, s.created_at, s.seen_at, s.ends_at, s.link_id, "
    "l.invitation_id, l.party_id, l.section "
    "FROM directory.sessions s LEFT JOIN directory.links l ON l.id = s.link_id "
    "WHERE s.ends_at > %(now)s AND (s.link_id IS NOT NULL OR s.seen_at > %(idle_since)s)"
)


class Sessions:
    """The sessions of all people."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def open(
        self,
        person_id: UUID,
        browser: str,
        now: datetime,
        *,
        link: Link | None = None,
        id: UUID | None = None,
        instead_of: str | None = None,
    ) -> OpenedSession | None:
        """Open a session, always a new one; None when the person or the link is not there any more.

        ``instead_of`` is the secret that the browser had before, whose session ends.
        """
        secret = new_secret()
        ends_at = min(link.ends_at, now + AGE_BY_LINK) if link else now + AGE
        opened = OpenedSession(id or uuid4(), person_id, secret, ends_at)
        async with self._pool.connection() as connection:
            await connection.execute(
                "DELETE FROM directory.sessions WHERE ends_at <= %s OR secret_sha256 = %s",
                (now, hashed(instead_of or "")),
            )
            try:
                await connection.execute(
                    "INSERT INTO directory.sessions VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                    (
                        opened.id,
                        hashed(secret),
                        person_id,
                        link.id if link else None,
                        browser.replace("\0", "")[:BROWSER_LENGTH],
                        now,
                        now,
                        opened.ends_at,
                    ),
                )
            except ForeignKeyViolation:
                return None
        return opened

    async def find(self, secret: str, now: datetime) -> Session | None:
        """Return the session with this secret, and note that it was seen; None when none is good."""
        found = await self._select("AND s.secret_sha256 = %(secret)s", now, secret=hashed(secret))
        if not found:
            return None
        session = found[0]
        if session.seen_at < now - SEEN_EVERY:
            async with self._pool.connection() as connection:
                await connection.execute(
                    "UPDATE directory.sessions SET seen_at = %s WHERE id = %s", (now, session.id)
                )
        return session

    async def of(self, person_id: UUID, now: datetime) -> list[Session]:
        """Return a person's sessions, the newest first."""
        return await self._select(
            "AND s.person_id = %(person_id)s ORDER BY s.created_at DESC", now, person_id=person_id
        )

    async def end(self, person_id: UUID, id: UUID) -> bool:
        """End one session of a person, and say whether there was one."""
        return await self._delete("person_id = %s AND id = %s", person_id, id) > 0

    async def end_by_secret(self, secret: str) -> None:
        """End the session of a browser that signs out."""
        await self._delete("secret_sha256 = %s", hashed(secret))

    async def end_all(self, person_id: UUID, but: UUID | None = None) -> int:
        """End all sessions of a person, ``but`` for one, and return how many these were."""
        return await self._delete("person_id = %s AND id IS DISTINCT FROM %s", person_id, but)

    async def _select(self, rest: str, now: datetime, **parameters: object) -> list[Session]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Session)) as cursor,
        ):
            await cursor.execute(
                f"{_GOOD} {rest}".encode(), {"now": now, "idle_since": now - IDLE, **parameters}
            )
            return await cursor.fetchall()

    async def _delete(self, where: str, *parameters: object) -> int:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                f"DELETE FROM directory.sessions WHERE {where}".encode(),  # noqa: S608 - constants
                parameters,
            )
            return cursor.rowcount
