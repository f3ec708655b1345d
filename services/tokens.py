"""Tokens for programs that act for a person: with one of the person's roles, to read or to write as well.

A token is shown once, when it is made, and kept as a digest. It ends on a day that must be named, or when
the person does not hold the role any more.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

from domain.access import Grant, Role
from domain.refusals import Fault, Invalid, NotAllowed
from services.hashing import hashed, new_secret

LONGEST = timedelta(days=366)
"""How long a token lasts at the most."""
MOST = 50
"""How many tokens a person has at the most."""
PREFIX = "mandate_"
"""How every token begins, so that programs that look for secrets in published files find it."""
SEEN_EVERY = timedelta(minutes=1)

Scope = Literal["read", "write"]


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as its person sees it after it was made: all but the secret."""

    id: UUID
    person_id: UUID
    name: str
    """What the person calls it."""
    role: str
    owner_id: UUID | None
    scope: Scope
    created_at: datetime
    seen_at: datetime | None
    ends_at: datetime

    @property
    def grant(self) -> Grant:
        """The role that the token carries."""
        return Grant(role=Role(self.role), owner_id=self.owner_id)


_GOOD = (
    "SELECT id, person_id, name, role, owner_id, scope, created_at, seen_at, ends_at "
    "FROM directory.tokens WHERE ends_at > %(now)s"
)


class ApiTokens:
    """The tokens of all people."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def make(
        self,
        person_id: UUID,
        held: tuple[Grant, ...],
        name: str,
        grant: Grant,
        scope: Scope,
        ends_at: datetime,
        now: datetime,
    ) -> tuple[UUID, str]:
        """Make a token with one of the roles that are ``held``, and return its id and its secret.

        Raises a Refusal when the role is not held or the end is not within reach.
        """
        if grant not in held:
            raise NotAllowed("role-not-held", "A token carries a role that you hold. None was made.")
        if not now < ends_at <= now + LONGEST:
            fault = Fault(where="/ends_at", what=f"Choose a moment within {LONGEST.days} days from now.")
            raise Invalid("bad-end", "No token was made.", faults=(fault,))
        if len(await self.of(person_id, now)) >= MOST:
            raise NotAllowed("too-many-tokens", f"Nobody has more than {MOST} tokens. End one first.")
        id, secret = uuid4(), new_secret(PREFIX)
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO directory.tokens VALUES (%s, %s, %s, %s, %s, %s, %s, %s, NULL, %s)",
                (
                    id,
                    hashed(secret),
                    person_id,
                    name.replace("\0", "").strip()[:200],
                    grant.role,
                    grant.owner_id,
                    scope,
                    now,
                    ends_at,
                ),
            )
        return id, secret

    async def find(self, secret: str, now: datetime) -> ApiToken | None:
        """Return the token with this secret, and note that it was seen; None when none is good."""
        found = await self._select("secret_sha256 = %(secret)s", now, secret=hashed(secret))
        if not found:
            return None
        token = found[0]
        if token.seen_at is None or token.seen_at < now - SEEN_EVERY:
            async with self._pool.connection() as connection:
                await connection.execute(
                    "UPDATE directory.tokens SET seen_at = %s WHERE id = %s", (now, token.id)
                )
        return token

    async def of(self, person_id: UUID, now: datetime) -> list[ApiToken]:
        """Return a person's tokens, the newest first."""
        return await self._select("person_id = %(person_id)s", now, person_id=person_id)

    async def end(self, person_id: UUID, id: UUID) -> bool:
        """End one token of a person, and say whether there was one."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "DELETE FROM directory.tokens WHERE person_id = %s AND id = %s", (person_id, id)
            )
            return cursor.rowcount > 0

    async def _select(self, where: str, now: datetime, **parameters: object) -> list[ApiToken]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(ApiToken)) as cursor,
        ):
            await cursor.execute(
                f"{_GOOD} AND {where} ORDER BY created_at DESC, id".encode(), {"now": now, **parameters}
            )
            return await cursor.fetchall()
