"""Passwords of local accounts, for installations without a provider of OpenID Connect.

They are kept as Argon2id. Computing it takes a good part of a second and 64 megabytes, by design: it is done
in a thread, and only a few at a time.
"""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from datetime import datetime
from typing import ParamSpec, TypeVar
from uuid import UUID

from psycopg.errors import ForeignKeyViolation
from psycopg_pool import AsyncConnectionPool
from pwdlib import PasswordHash

from domain.refusals import Fault, Invalid, NotAllowed, NotFound

P = ParamSpec("P")
R = TypeVar("R")

SHORTEST = 15
"""What NIST SP 800-63B asks for where a password stands alone."""
LONGEST = 200
AT_ONCE = 4
"""How many passwords one process works on at the same time."""


class Passwords:
    """Sets passwords and checks them."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool
        self._hashing = PasswordHash.recommended()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._of_nobody: str | None = None
        """The hash of a password that nobody knows."""

    async def set(self, person_id: UUID, password: str, now: datetime) -> None:
        """Give a person a password in the place of any earlier one. Raises a Refusal when it is a bad one."""
        await self.must_be_settable(person_id, password)
        hash = await self._in_thread(self._hashing.hash, _prepared(password))
        try:
            async with self._pool.connection() as connection:
                await connection.execute(
                    "INSERT INTO directory.passwords VALUES (%s, %s, %s) ON CONFLICT (person_id) "
                    "DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at",
                    (person_id, hash, now),
                )
        except ForeignKeyViolation:  # erased in this very moment
            raise _unknown() from None

    async def has(self, person_id: UUID) -> bool:
        """Whether a person has a password."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT FROM directory.passwords WHERE person_id = %s", (person_id,)
            )
            return await cursor.fetchone() is not None

    async def must_be_settable(self, person_id: UUID, password: str) -> None:
        """Refuse a password that cannot be set: a bad one, or for an address with which another signs in."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT p.email, EXISTS (SELECT FROM directory.people q JOIN directory.passwords w "
                "ON w.person_id = q.id WHERE lower(q.email) = lower(p.email) AND q.id <> p.id) "
                "FROM directory.people p WHERE p.id = %s",
                (person_id,),
            )
            found = await cursor.fetchone()
        if found is None:
            raise _unknown()
        must_be_good(password, found[0])
        if found[1]:
            raise NotAllowed(
                "address-in-use",
                "Somebody else signs in with this address. Give the person an address of their own.",
            )

    async def check(self, address: str, password: str) -> UUID | None:
        """Return whose address and password these are; None when they do not belong together.

        It takes the same time for an address that nobody has: else one could find out who has an account.
        """
        if self._of_nobody is None:
            self._of_nobody = await self._in_thread(self._hashing.hash, secrets.token_bytes())
        person_id, hash = await self._find(address) or (None, self._of_nobody)
        right, renewed = await self._in_thread(self._hashing.verify_and_update, _prepared(password), hash)
        if not right or person_id is None:
            return None
        if renewed is not None:
            # The recommended parameters have changed since; now is when the password is at hand.
            await self._renew(person_id, hash, renewed)
        return person_id

    async def _find(self, address: str) -> tuple[UUID, str] | None:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT p.id, w.hash FROM directory.people p "
                "JOIN directory.passwords w ON w.person_id = p.id WHERE lower(p.email) = lower(%s) "
                "ORDER BY w.changed_at DESC LIMIT 1",
                (tidy_address(address),),
            )
            return await cursor.fetchone()

    async def _renew(self, person_id: UUID, old: str, renewed: str) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(
                "UPDATE directory.passwords SET hash = %s WHERE person_id = %s AND hash = %s",
                (renewed, person_id, old),
            )

    async def _in_thread(self, work: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> R:
        async with self._turns:
            return await asyncio.to_thread(work, *arguments, **keywords)


def tidy_address(address: str) -> str:
    """Return an address as it is compared and counted, whatever was typed around it."""
    return unicodedata.normalize("NFKC", address).replace("\0", "").strip().casefold()[:320]


def must_be_good(password: str, address: str) -> None:
    """A password is long, and not the address; what it is made of is everybody's own affair."""
    what = None
    if len(password) < SHORTEST:
        what = f"Choose at least {SHORTEST} characters: some words that do not belong together are good."
    elif len(password) > LONGEST:
        what = f"Choose at most {LONGEST} characters."
    elif len(set(password)) < 5 or tidy_address(password) == tidy_address(address):
        what = "This password is easy to guess. Choose another one."
    if what:
        raise Invalid(
            "bad-password", "The password was not set.", faults=(Fault(where="/password", what=what),)
        )


def _prepared(password: str) -> bytes:
    # One and the same character can be typed as different code points.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _unknown() -> NotFound:
    return NotFound("not-found", "There is nobody with this id in the directory.")
