"""News: how far each person has read what is new to them.

A visit lasts as long as somebody looks at the news again within half an hour. All that time they are told
what came after the end of their visit before, so that loading the page again takes nothing away.

Looking therefore changes something, and a GET should change as little as may be: one row of the reader's own,
once a minute at the most, and nothing that others see. The other way would be to ask everybody to press a
button when they leave, which nobody does. There is a button too, for those who have read everything.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

ABSENCE = timedelta(minutes=30)
"""After how long without a look a visit has ended."""
NOTED_EVERY = timedelta(minutes=1)
"""How exactly it is kept when somebody looked last, and at what."""


@dataclass(frozen=True, slots=True)
class ReadUpTo:
    """Up to where somebody has read."""

    since: int = 0
    """A position of the log: what came after it is new."""
    since_at: datetime | None = None
    """When they had read so far; None for somebody who is here for the first time."""


_LOOK = """
INSERT INTO directory.news AS n VALUES (%(person_id)s, 0, NULL, %(position)s, %(now)s)
ON CONFLICT (person_id) DO UPDATE SET
    since = CASE WHEN n.looked_at < %(absent_since)s THEN n.shown ELSE n.since END,
    since_at = CASE WHEN n.looked_at < %(absent_since)s THEN n.looked_at ELSE n.since_at END,
    shown = excluded.shown,
    looked_at = excluded.looked_at
RETURNING since, since_at
"""
_READ = """
INSERT INTO directory.news AS n VALUES (%(person_id)s, %(position)s, %(now)s, %(position)s, %(now)s)
ON CONFLICT (person_id) DO UPDATE SET
    since = greatest(n.since, excluded.since), since_at = excluded.since_at,
    shown = greatest(n.shown, excluded.shown), looked_at = excluded.looked_at
"""


class News:
    """Up to where all people have read."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def read_up_to(self, person_id: UUID) -> ReadUpTo:
        """Return up to where somebody has read, without noting that they look."""
        return (
            await self._one(
                "SELECT since, since_at FROM directory.news WHERE person_id = %(person_id)s",
                person_id=person_id,
            )
            or ReadUpTo()
        )

    async def look(self, person_id: UUID, position: int, now: datetime) -> ReadUpTo:
        """Note that somebody is shown the news up to a position, and return what they had read before."""
        return await self._one(
            "SELECT since, since_at FROM directory.news "
            "WHERE person_id = %(person_id)s AND looked_at > %(noted_since)s",
            person_id=person_id,
            noted_since=now - NOTED_EVERY,
        ) or await self._must(
            _LOOK, person_id=person_id, position=position, now=now, absent_since=now - ABSENCE
        )

    async def read(self, person_id: UUID, position: int, now: datetime) -> None:
        """Note that somebody has read everything up to a position. What was read stays read."""
        async with self._pool.connection() as connection:
            await connection.execute(_READ, {"person_id": person_id, "position": position, "now": now})

    async def _must(self, query: str, **parameters: object) -> ReadUpTo:
        found = await self._one(query, **parameters)
        assert found is not None, "an insert that returns has a row"
        return found

    async def _one(self, query: str, **parameters: object) -> ReadUpTo | None:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(ReadUpTo)) as cursor,
        ):
            await cursor.execute(query.encode(), parameters)
            return await cursor.fetchone()
