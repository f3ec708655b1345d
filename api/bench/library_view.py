"""The same tables as the library's users would keep them: one event, one transaction, with its tracking.

The rows, with the spans in which they were true, are those that our own projections ask for. Each change is
one prepared statement. The library decodes the events with our mapper, which is quicker than its own.
"""

import threading
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import Mapper, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection
from psycopg.types.json import Json

from domain.aggregates import Aggregate
from projections import registry
from projections.tables import Change, Table
from services.mapper import EventMapper


class RecordedEvents(Application[UUID]):
    """The events that are in our log, as an application of the library."""

    name = "stored"  # The library takes the name of the table from it: stored_events.

    def construct_mapper(self) -> Mapper[UUID]:
        return EventMapper()


class View(PostgresTrackingRecorder):
    """The tables, and how far they have come."""

    def change(self, changes: Iterable[Change], tracking: Tracking) -> None:
        """Make the changes of one event, in one transaction with the position."""
        with self.datastore.transaction(commit=True) as cursor:
            for change in changes:
                statement, values = _statement(self.datastore.schema, change, tracking.notification_id)
                cursor.execute(statement.encode(), values, prepare=True)
            self._insert_tracking(cursor, tracking)


class TablesOfTheLibrary(Projection[View]):
    """Follows the events and keeps the tables; tells when it has come to ``until``."""

    name = "tables"
    until = 0
    arrived = threading.Event()

    def process_event(self, domain_event: Aggregate.Event, tracking: Tracking) -> None:
        changes = [change for projection in registry.PROJECTIONS for change in projection.apply(domain_event)]
        self.view.change(changes, tracking)
        if tracking.notification_id >= self.until:
            self.arrived.set()


def _statement(schema: str, change: Change, position: int) -> tuple[str, dict[str, Any]]:
    table, columns = change.table, list(change.table.columns)
    values = {name: _value(table, name, value) for name, value in change.values.items()}
    keys = {f"key_{name}": value for name, value in zip(table.key, change.key, strict=True)}
    into = f'INSERT INTO "{schema}".{table.name} ({", ".join(columns)}, valid)'
    if change.verb == "begin":
        names = ", ".join(f"%({name})s" if name in values else "NULL" for name in columns)
        return f"{into} VALUES ({names}, int8range(%(position)s, NULL))", values | {"position": position}
    same_key = " AND ".join(f"{name} = %(key_{name})s" for name in table.key)
    end = (
        # The names are those of our own tables.
        f'UPDATE "{schema}".{table.name} SET valid = int8range(lower(valid), %(position)s) '  # noqa: S608
        f"WHERE {same_key} AND upper_inf(valid)"
    )
    if change.verb == "end":
        return end, keys | {"position": position}
    names = ", ".join(
        f"%({name})s::{table.columns[name]}" if name in values else f"old.{name}" for name in columns
    )
    statement = (
        f"WITH old AS ({end} RETURNING *) {into} SELECT {names}, int8range(%(position)s, NULL) FROM old"  # noqa: S608
    )
    return statement, values | keys | {"position": position}


def _value(table: Table, name: str, value: Any) -> Any:
    return Json(value) if table.columns[name] == "jsonb" and value is not None else value
