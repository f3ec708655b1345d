"""The personal links that are good, as the directory keeps them: by the digest of their secrets.

Removing the row of a link ends it, and the sessions that it was exchanged for.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.errors import ForeignKeyViolation
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

from domain.links import LinkFacts
from domain.refusals import NotFound
from services.hashing import hashed


@dataclass(frozen=True, slots=True)
class Link:
    """A link that is good, as the directory knows it."""

    id: UUID
    invitation_id: UUID
    party_id: UUID
    contact_id: UUID
    holder_id: UUID
    section: str | None
    ends_at: datetime

    @property
    def facts(self) -> LinkFacts:
        """For what the link is good, as events say it."""
        return LinkFacts(
            invitation_id=self.invitation_id,
            party_id=self.party_id,
            contact_id=self.contact_id,
            holder_id=self.holder_id,
            section=self.section,
            ends_at=self.ends_at,
        )


_SELECT = (
    "SELECT id, invitation_id, party_id, contact_id, holder_id, section, ends_at FROM directory.links WHERE"
)


class LinkBook:
    """The links that are good, in the directory."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def keep(self, id: UUID, facts: LinkFacts, secret_sha256: bytes | None, now: datetime) -> None:
        """Keep a link; once is enough. Without a secret it opens nothing. Links that have ended are let go.

        Raises NotFound when the contact or the holder is not in the directory.
        """
        async with self._pool.connection() as connection:
            await connection.execute("DELETE FROM directory.links WHERE ends_at <= %s", (now,))
            try:
                await connection.execute(
                    "INSERT INTO directory.links VALUES (%s, %s, %s, %s, %s, %s, %s, %s) "
                    "ON CONFLICT (id) DO NOTHING",
                    (
                        id,
                        secret_sha256,
                        facts.invitation_id,
                        facts.party_id,
                        facts.contact_id,
                        facts.holder_id,
                        facts.section,
                        facts.ends_at,
                    ),
                )
            except ForeignKeyViolation:
                raise NotFound(
                    "not-found", "The directory does not know the person for whom the link is."
                ) from None

    async def give_secret(self, id: UUID, secret_sha256: bytes) -> bool:
        """Give a link the secret of the letter that goes out now; False when the link is not good any more.

        A letter that is tried again brings another secret, and the one before opens nothing any more.
        """
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "UPDATE directory.links SET secret_sha256 = %s WHERE id = %s", (secret_sha256, id)
            )
            return cursor.rowcount == 1

    async def find(self, secret: str, now: datetime) -> Link | None:
        """Return the link with this secret; None when none is good."""
        found = await self._select(
            "secret_sha256 = %(secret)s AND ends_at > %(now)s", secret=hashed(secret), now=now
        )
        return found[0] if found else None

    async def named(self, id: UUID) -> Link | None:
        """Return a link by its id; None when none is good."""
        found = await self._select("id = %(id)s", id=id)
        return found[0] if found else None

    async def by_right_of(self, contact_id: UUID, party_id: UUID | None = None) -> list[Link]:
        """Return the links that are good by a contact's right, and those made out to the same person."""
        return await self._select(
            "(contact_id = %(contact_id)s OR holder_id = %(contact_id)s) "
            "AND (%(party_id)s::uuid IS NULL OR party_id = %(party_id)s) ORDER BY id",
            contact_id=contact_id,
            party_id=party_id,
        )

    async def forwarded(self, invitation_id: UUID, now: datetime) -> set[UUID]:
        """Return the links that are good among those that were forwarded for a questionnaire."""
        found = await self._select(
            "invitation_id = %(id)s AND section IS NOT NULL AND ends_at > %(now)s", id=invitation_id, now=now
        )
        return {link.id for link in found}

    async def remove(self, id: UUID) -> None:
        """Let a link go, and with it the sessions that it was exchanged for."""
        async with self._pool.connection() as connection:
            await connection.execute("DELETE FROM directory.links WHERE id = %s", (id,))

    async def _select(self, where: str, **parameters: object) -> list[Link]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Link)) as cursor,
        ):
            await cursor.execute(f"{_SELECT} {where}".encode(), parameters)
            return await cursor.fetchall()
