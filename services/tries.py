"""A limit on how often a way in is tried, held in the database so that it holds for all processes together.

There are three limits, asked in this order, and a try that one of them stops is not counted by the next:

1. all tries from one network, since a network may try many accounts;
2. tries at one account from one network;
3. all tries at one account. It is the widest for an account, so that nobody can shut somebody else out from
   a single network.
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg_pool import AsyncConnectionPool

WINDOW = timedelta(minutes=15)
"""For how long tries are counted together."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tries are let through within the window."""

    by_network: int = 100
    by_account_and_network: int = 10
    by_account: int = 50


class Tries:
    """Counts tries."""

    def __init__(self, pool: AsyncConnectionPool, limits: Limits | None = None) -> None:
        self._pool = pool
        self._limits = limits or Limits()

    async def let_in(self, account: str, address: str, now: datetime) -> bool:
        """Count a try at an account from a network address, and say whether it may be made."""
        network, limits = network_of(address), self._limits
        for most, *key in (
            (limits.by_network, "network", network),
            (limits.by_account_and_network, "account and network", account, network),
            (limits.by_account, "account", account),
        ):
            if await self._count(_digest(*key), now) > most:
                return False
        return True

    async def forget(self, account: str, address: str) -> None:
        """After a try that succeeded: count anew for the account, and one less for the network, behind which
        a whole office may come in within a quarter of an hour."""
        network = network_of(address)
        keys = [_digest("account and network", account, network), _digest("account", account)]
        async with self._pool.connection() as connection:
            await connection.execute("DELETE FROM directory.tries WHERE key = ANY(%s)", (keys,))
            await connection.execute(
                "UPDATE directory.tries SET tries = tries - 1 WHERE key = %s", (_digest("network", network),)
            )

    async def _count(self, key: bytes, now: datetime) -> int:
        async with self._pool.connection() as connection:
            await connection.execute("DELETE FROM directory.tries WHERE since <= %s", (now - WINDOW,))
            cursor = await connection.execute(
                "INSERT INTO directory.tries AS t VALUES (%s, 1, %s) "
                "ON CONFLICT (key) DO UPDATE SET tries = t.tries + 1 RETURNING tries",
                (key, now),
            )
            row = await cursor.fetchone()
        assert row is not None, "an insert that returns has a row"
        return int(row[0])


def network_of(address: str) -> str:
    """Return the network that somebody with this address commands: with IPv6 it is a /64 at the least."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return str(ipaddress.ip_network((found, 64), strict=False))
        return str(found.ipv4_mapped)
    return str(found)


def _digest(*parts: str) -> bytes:
    # People type passwords into the field for the name: what was tried is kept nowhere.
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).digest()
