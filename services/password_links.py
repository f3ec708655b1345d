"""Links with which people set a password: one for a person, good once, kept hashed, for some hours.

An administrator makes one for a person who comes for the first time or has forgotten the password, and hands
it over. To look at its page changes nothing; the button there sets the password and uses the link up.
"""

from datetime import datetime
from uuid import UUID

from psycopg.errors import ForeignKeyViolation
from psycopg_pool import AsyncConnectionPool

from domain.refusals import NotFound
from services.hashing import hashed
from services.settings import Settings


class PasswordLinks:
    """The links that are good, in the directory."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def keep(self, person_id: UUID, id: UUID, secret_sha256: bytes, ends_at: datetime) -> None:
        """Keep a link for a person; any earlier one is good no more. Raises NotFound.

        A button that is pressed twice names the same link twice: the secret that was shown first stays good.
        """
        try:
            async with self._pool.connection() as connection:
                await connection.execute(
                    "INSERT INTO directory.password_links AS l VALUES (%s, %s, %s, %s) "
                    "ON CONFLICT (person_id) DO UPDATE SET id = excluded.id, "
                    "secret_sha256 = excluded.secret_sha256, ends_at = excluded.ends_at "
                    "WHERE l.id <> excluded.id",
                    (person_id, id, secret_sha256, ends_at),
                )
        except ForeignKeyViolation:
            raise NotFound("not-found", "The directory does not know the person.") from None

    async def find(self, secret: str, now: datetime) -> UUID | None:
        """Return for whom a link is; None when it is not good."""
        return await self._one(
            "SELECT person_id FROM directory.password_links WHERE secret_sha256 = %s AND ends_at > %s",
            secret,
            now,
        )

    async def take(self, secret: str, now: datetime) -> UUID | None:
        """Use a link up, and return for whom it was; None when it is not good any more."""
        return await self._one(
            "DELETE FROM directory.password_links WHERE secret_sha256 = %s AND ends_at > %s "
            "RETURNING person_id",
            secret,
            now,
        )

    async def remove(self, person_id: UUID) -> None:
        """Let a person's link go, if there is one."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "DELETE FROM directory.password_links WHERE person_id = %s", (person_id,)
            )

    async def _one(self, query: str, secret: str, now: datetime) -> UUID | None:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query.encode(), (hashed(secret), now))
            row = await cursor.fetchone()
        return row[0] if row else None


def password_link_address(settings: Settings, secret: str) -> str:
    """Return the address that is handed to the person. Like that of a letter's link it must be in no log."""
    return f"{str(settings.public_url).rstrip('/')}/password/{secret}"
