"""Who people are to a provider of OpenID Connect: issuer and subject, and the person in the directory."""

from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from services.passwords import tidy_address


class Identities:
    """The identities of all people."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def person_of(self, issuer: str, subject: str) -> UUID | None:
        """Return the person who is known to a provider under this name, None when nobody is."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT person_id FROM directory.identities WHERE issuer = %s AND subject = %s",
                (issuer, subject),
            )
            row = await cursor.fetchone()
        return row[0] if row else None

    async def unclaimed(self, issuer: str, address: str) -> list[UUID]:
        """Return those who have a mail address and whom nobody at the provider has claimed to be yet."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT p.id FROM directory.people p WHERE lower(p.email) = lower(%s) AND NOT EXISTS "
                "(SELECT FROM directory.identities i WHERE i.person_id = p.id AND i.issuer = %s)",
                (tidy_address(address), issuer),
            )
            return [row[0] for row in await cursor.fetchall()]

    async def claim(self, issuer: str, subject: str, person_id: UUID) -> None:
        """Note who somebody at the provider is; whoever was noted first stays."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO directory.identities SELECT %s, %s, id FROM directory.people WHERE id = %s "
                "ON CONFLICT DO NOTHING",
                (issuer, subject, person_id),
            )

    async def release(self, person_id: UUID) -> None:
        """Forget who a person is to all providers, so that they can be claimed anew."""
        async with self._pool.connection() as connection:
            await connection.execute("DELETE FROM directory.identities WHERE person_id = %s", (person_id,))
