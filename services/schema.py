"""Makes the database: roles, the event log with its functions, and the tables beside it.

Run once, by one command, before the processes start: two first starts at once would race. Running it
again changes nothing.
"""

import asyncio
from collections.abc import Mapping
from importlib.resources import files

import psycopg
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

DATABASE = "mandate"
OWNER = "mandate_owner"
WRITER = "mandate_writer"
PROJECTOR = "mandate_projector"
READER = "mandate_reader"
ROLES = (OWNER, WRITER, PROJECTOR, READER)


async def prepare(superuser_url: str, passwords: Mapping[str, str], database: str = DATABASE) -> None:
    """Make the roles, the database and its tables where they are missing.

    ``superuser_url`` is a connection string of a role that may create roles and databases;
    ``passwords`` gives each of the four roles its password.
    """
    async with await psycopg.AsyncConnection.connect(superuser_url, autocommit=True) as connection:
        await _make_roles(connection, passwords)
        await _make_database(connection, database)
    owner_url = make_conninfo(superuser_url, dbname=database, user=OWNER, password=passwords[OWNER])
    await asyncio.to_thread(_make_events_table, owner_url)
    script = files("services").joinpath("schema.sql").read_text()
    in_database = make_conninfo(superuser_url, dbname=database)
    async with await psycopg.AsyncConnection.connect(in_database) as connection:
        # The script works under the owner's name, so that no role of a running process owns the log.
        await connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(OWNER)))
        await connection.execute(script.replace("DATABASE mandate ", f'DATABASE "{database}" ').encode())


async def _make_roles(connection: psycopg.AsyncConnection, passwords: Mapping[str, str]) -> None:
    for role in ROLES:
        found = await connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))
        verb = "CREATE" if await found.fetchone() is None else "ALTER"
        await connection.execute(
            sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
                sql.SQL(verb), sql.Identifier(role), sql.Literal(passwords[role])
            )
        )


async def _make_database(connection: psycopg.AsyncConnection, database: str) -> None:
    found = await connection.execute("SELECT FROM pg_database WHERE datname = %s", (database,))
    if await found.fetchone() is None:
        await connection.execute(
            sql.SQL(
                "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8' "
                "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'"
            ).format(sql.Identifier(database), sql.Identifier(OWNER))
        )


def _make_events_table(owner_url: str) -> None:
    """Let the eventsourcing library make its own table, with its own columns and indexes."""
    with psycopg.connect(owner_url) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS log")
    parts = conninfo_to_dict(owner_url)
    with PostgresDatastore(
        dbname=str(parts["dbname"]),
        host=str(parts.get("host", "")),
        port=str(parts.get("port", "5432")),
        user=str(parts["user"]),
        password=str(parts.get("password", "")),
        schema="log",
    ) as datastore:
        PostgresApplicationRecorder(datastore, events_table_name="stored_events").create_table()
