"""Makes the schemas in which tables live, and the views through which they are read."""

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


async def take_over(connection: psycopg.AsyncConnection, schema: str, tables: Sequence[Table]) -> None:
    """Point all views at this schema, in the transaction that is open or a new one."""
    async with connection.transaction():
        # Two that take over at once would meet in the catalogue.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('mandate views'))")
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
    """Drop the schemas of other versions of the code, which no view points at any more."""
    cursor = await connection.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tables\\_%%' AND nspname <> %s", (schema,)
    )
    for (name,) in await cursor.fetchall():
        await connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
    await connection.commit()
