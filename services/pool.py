"""Connections to the database that the tasks of one process share."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool

NOTICE_LOSS: dict[str, Any] = {
    "connect_timeout": 3,
    "keepalives_idle": 2,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8_000,
}
"""For every connection: a server that falls silent, such as a machine that loses its power, is given up after
some seconds. Otherwise it may take minutes or hours."""

LARGEST = 8
"""How many connections a pool has at the most."""
PATIENCE_SECONDS = 5
"""For how long a caller waits for a connection, and for how long one is looked for before the pool waits to
be asked again. The pauses between two tries double each time, so a long patience finds a database that is
back only minutes later."""


def make_pool(
    url: str,
    name: str,
    *,
    autocommit: bool = False,
    configure: Callable[[psycopg.AsyncConnection], Awaitable[None]] | None = None,
) -> AsyncConnectionPool:
    """Make a pool, not opened yet, whose connections are known to the database by ``name``.

    A connection is looked at before it is given out. When one is lost, mostly all are, because the
    database was started again: then all are replaced at once. Otherwise whoever comes first would have
    to find the lost ones one by one, with longer and longer pauses.
    """
    replaced_at = float("-inf")

    async def check(connection: psycopg.AsyncConnection) -> None:
        nonlocal replaced_at
        try:
            await AsyncConnectionPool.check_connection(connection)
        except psycopg.Error:
            # Those who find the other lost connections at the same moment need not do it again.
            if time.monotonic() > replaced_at + 1:
                replaced_at = time.monotonic()
                await pool.drain()
            raise

    pool = AsyncConnectionPool(
        url,
        min_size=1,
        max_size=LARGEST,
        open=False,
        kwargs={"application_name": name, "autocommit": autocommit, **NOTICE_LOSS},
        configure=configure,
        check=check,
        timeout=PATIENCE_SECONDS,
        reconnect_timeout=PATIENCE_SECONDS,
    )
    return pool
