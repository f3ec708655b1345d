"""Makes the schemas in which tables live, and the views through which they are read."""

import asyncio
from collections.abc import Sequence

import psycopg
from psycopg import sql

from projections.tables import Table


async def make(connection: psycopg.AsyncConnection, schema: str, tables: Sequence[Table]) -> None:
    """Make a schema with empty tables, at position 0, where it is missing."""
    name = sql.Identifier(schema)
    await connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
    await connection.execute(
        sql.SQL("CREATE TABLE IF NOT EXISTS {}.position (position bigint NOT NULL)").format(name)
    )
    await connection.execute(
        sql.SQL("INSERT INTO {0}.position SELECT 0 WHERE NOT EXISTS (SELECT FROM {0}.position)").format(name)
    )
    for table in tables:
        await _make_table(connection, schema, table)
    await connection.execute(
        sql.SQL("GRANT USAGE ON SCHEMA {} TO mandate_reader, mandate_writer").format(name)
    )
    await connection.execute(
        sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO mandate_reader, mandate_writer").format(name)
    )


async def _make_table(connection: psycopg.AsyncConnection, schema: str, table: Table) -> None:
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in table.columns.items()
    ]
    await connection.execute(
        sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}, valid int8range NOT NULL)").format(
            sql.Identifier(schema, table.name), sql.SQL(", ").join(columns)
        )
    )
    # One row of a key is true at a time; this index finds it and lets there be no second one.
    await _make_index(connection, schema, table, table.key, unique=True)
    for columns_of_index in table.indexes:
        await _make_index(connection, schema, table, columns_of_index, unique=False)


async def _make_index(
    connection: psycopg.AsyncConnection, schema: str, table: Table, columns: Sequence[str], *, unique: bool
) -> None:
    await connection.execute(
        sql.SQL("CREATE {} INDEX IF NOT EXISTS {} ON {} ({}) {}").format(
            sql.SQL("UNIQUE" if unique else ""),
            sql.Identifier(f"{table.name}_{'_'.join(columns)}_{'now' if unique else 'ever'}"),
            sql.Identifier(schema, table.name),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL("WHERE upper_inf(valid)" if unique else ""),
        )
    )


async def hold(connection: psycopg.AsyncConnection, schema: str) -> bool:
    """Take a schema for as long as the connection lasts; False when another connection has it."""
    async with connection.transaction():
        cursor = await connection.execute("SELECT pg_try_advisory_lock(hashtext(%s))", (schema,))
        row = await cursor.fetchone()
    return bool(row and row[0])


async def queue_for_views(connection: psycopg.AsyncConnection) -> None:
    """Wait until nobody else changes the views: two that did so at once would meet in the catalogue."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('mandate views'))")


async def hold_readers(connection: psycopg.AsyncConnection) -> None:
    """Let readers finish and no new ones begin, until the end of the transaction.

    Every reader asks for the position first. Whoever holds that view meets no reader half-way, who would
    hold one view and wait for the next. While a long reader is at work, the others are let pass.
    """
    cursor = await connection.execute("SELECT to_regclass('now.position') IS NOT NULL")
    if await cursor.fetchone() != (True,):
        return
    while True:
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '1s'")
                await connection.execute("LOCK TABLE now.position IN ACCESS EXCLUSIVE MODE")
                await connection.execute("SET LOCAL lock_timeout TO DEFAULT")
                return
        except psycopg.errors.LockNotAvailable:
            await asyncio.sleep(0.5)


async def take_over(connection: psycopg.AsyncConnection, schema: str, tables: Sequence[Table]) -> None:
    """Point all views at this schema, in the transaction that is open or a new one."""
    async with connection.transaction():
        await queue_for_views(connection)
        if await _serves(connection, schema):
            return
        await hold_readers(connection)
        for views, condition in (
            ("now", "upper_inf(valid)"),
            ("as_of", "valid @> current_setting('mandate.position')::bigint"),
        ):
            await _drop_views(connection, views)
            for table in tables:
                await _make_view(connection, views, schema, table, condition)
        await connection.execute(
            sql.SQL("CREATE VIEW now.position AS SELECT position FROM {}.position").format(
                sql.Identifier(schema)
            )
        )
        await connection.execute(
            "GRANT SELECT ON ALL TABLES IN SCHEMA now, as_of TO mandate_reader, mandate_writer"
        )
        await connection.execute("SELECT pg_notify('tables', '')")


async def _serves(connection: psycopg.AsyncConnection, schema: str) -> bool:
    cursor = await connection.execute(
        "SELECT FROM information_schema.view_table_usage "
        "WHERE view_schema = 'now' AND view_name = 'position' AND table_schema = %s",
        (schema,),
    )
    return await cursor.fetchone() is not None


async def _drop_views(connection: psycopg.AsyncConnection, views: str) -> None:
    cursor = await connection.execute("SELECT viewname FROM pg_views WHERE schemaname = %s", (views,))
    for (name,) in await cursor.fetchall():
        await connection.execute(sql.SQL("DROP VIEW {}").format(sql.Identifier(views, name)))


async def _make_view(
    connection: psycopg.AsyncConnection, views: str, schema: str, table: Table, condition: str
) -> None:
    await connection.execute(
        sql.SQL("CREATE VIEW {} AS SELECT {}, lower(valid) AS position FROM {} WHERE {}").format(
            sql.Identifier(views, table.name),
            sql.SQL(", ").join(map(sql.Identifier, table.columns)),
            sql.Identifier(schema, table.name),
            sql.SQL(condition),
        )
    )


async def drop_others(connection: psycopg.AsyncConnection, schema: str) -> None:
    """Drop the schemas of other versions of the code, but for those that somebody is still filling."""
    cursor = await connection.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tables\\_%%' AND nspname <> %s", (schema,)
    )
    names = [name for (name,) in await cursor.fetchall()]
    await connection.commit()
    for name in names:
        if await hold(connection, name):
            await connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
            await connection.execute("SELECT pg_advisory_unlock(hashtext(%s))", (name,))
            await connection.commit()
