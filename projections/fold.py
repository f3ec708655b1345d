"""Folds what a batch of events does to rows, in memory, before anything is written.

Rows that are true now stay at hand from batch to batch, so most batches read nothing. What must be written
in the end is: stored rows that end (their span is closed) and rows that begin, some of which have ended
again within the batch and are written already closed, for the memory has no holes.
"""

import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from domain.aggregates import Aggregate
from projections.tables import Apply, Change, Key, Projection, Table

ROWS_AT_HAND = 300_000
"""How many rows are kept in memory before they are let go and read again when needed."""


class FoldError(Exception):
    """An event begins a row that is there, or changes one that is not: projection and log disagree."""


@dataclass(slots=True)
class Row:
    """A row and the span of the log in which it is true."""

    values: dict[str, Any]
    begun: int
    ended: int | None = None
    stored: bool = False


Loader = Callable[[Table, Sequence[Key]], Awaitable[Iterable[Row]]]


class Fold:
    """The rows that are true now, as far as they are at hand."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        self._appliers: dict[type[Aggregate.Event], list[Apply]] = defaultdict(list)
        for projection in projections:
            for kind in projection.kinds:
                self._appliers[kind].append(projection.apply)
        self._rows: dict[str, dict[Key, Row]] = defaultdict(dict)

    def batch(self) -> "Batch":
        """Begin a batch."""
        if sum(map(len, self._rows.values())) > ROWS_AT_HAND:
            self.forget()
        return Batch(self._appliers, self._rows)

    def forget(self) -> None:
        """Let all rows go: what is in memory may not be what is stored."""
        self._rows.clear()


@dataclass(slots=True)
class Batch:
    """The changes of one batch of events."""

    appliers: dict[type[Aggregate.Event], list[Apply]]
    rows: dict[str, dict[Key, Row]]
    _changes: list[tuple[int, Change]] = field(default_factory=list)
    _opened: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    _closed: dict[str, list[tuple[Key, int]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, event: Aggregate.Event, position: int) -> None:
        """Take in what an event does."""
        for apply in self.appliers.get(type(event), ()):
            self._changes.extend((position, change) for change in apply(event))

    async def load(self, loader: Loader) -> None:
        """Read the rows that the changes touch and that are not at hand."""
        wanted: dict[str, dict[Key, None]] = defaultdict(dict)
        begun: set[tuple[str, Key]] = set()
        tables: dict[str, Table] = {}
        for _, change in self._changes:
            name = change.table.name
            if change.verb == "begin":
                begun.add((name, change.key))
            elif change.key not in self.rows[name] and (name, change.key) not in begun:
                wanted[name][change.key] = None
                tables[name] = change.table
        for name, keys in wanted.items():
            table = tables[name]
            for row in await loader(table, list(keys)):
                self.rows[name][tuple(row.values[column] for column in table.key)] = row

    def fold(self) -> None:
        """Work out which rows are to be written. Raises FoldError when rows and changes disagree."""
        for position, change in self._changes:
            rows = self.rows[change.table.name]
            old = rows.get(change.key)
            if change.verb == "begin":
                if old is not None:
                    raise FoldError(
                        f"{change.table.name} {change.key} begins at {position} and is there already"
                    )
                self._open(change, position, {**dict.fromkeys(change.table.columns), **change.values})
            elif old is None:
                raise FoldError(
                    f"{change.table.name} {change.key} is to {change.verb} at {position} and is not there"
                )
            elif change.verb == "end":
                self._end(change, old, position)
                del rows[change.key]
            elif old.begun == position:
                old.values.update(change.values)
            else:
                self._end(change, old, position)
                self._open(change, position, {**old.values, **change.values})

    def _open(self, change: Change, position: int, values: dict[str, Any]) -> None:
        row = Row(values, position)
        self.rows[change.table.name][change.key] = row
        self._opened[change.table.name].append(row)

    def _end(self, change: Change, row: Row, position: int) -> None:
        row.ended = position
        if row.stored:
            self._closed[change.table.name].append((change.key, position))

    def closed(self, table: Table) -> list[tuple[Key, int]]:
        """Return the keys of stored rows that end, and the positions at which they do."""
        return self._closed.get(table.name, [])

    def opened(self, table: Table) -> list[Row]:
        """Return the rows that begin; one that began and ended at one position was never true."""
        return [row for row in self._opened.get(table.name, ()) if row.begun != row.ended]

    def stored(self) -> None:
        """After the commit: what began is stored now."""
        for rows in self._opened.values():
            for row in rows:
                row.stored = True


def copy_text(table: Table, rows: Iterable[Row]) -> str:
    """Return rows in the text format of PostgreSQL's COPY, with their spans as the last column."""
    names = list(table.columns)
    writers = [_WRITERS.get(kind, _other) for kind in table.columns.values()]
    columns = list(zip(names, writers, strict=True))
    lines = []
    for row in rows:
        values = row.values
        cells = ["\\N" if (value := values[name]) is None else write(value) for name, write in columns]
        cells.append(f"[{row.begun},{'' if row.ended is None else row.ended})\n")
        lines.append("\t".join(cells))
    return "".join(lines)


# PostgreSQL keeps every character but the first of all: one event must not stop all tables for its sake.
_KEPT_FOR_NUL = "\N{REPLACEMENT CHARACTER}"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": _KEPT_FOR_NUL})
_ARRAY_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"'})


def _text(value: str) -> str:
    # Nearly all texts are plain; asking first is quicker than translating each.
    if value.isprintable() and "\\" not in value:
        return value
    return value.translate(_ESCAPES)


def _uuid(value: UUID) -> str:
    return value.hex


def _moment(value: datetime | date) -> str:
    return value.isoformat()


def _boolean(value: bool) -> str:
    return "t" if value else "f"


def _array(values: Iterable[Any]) -> str:
    return _text("{" + ",".join(f'"{str(value).translate(_ARRAY_ESCAPES)}"' for value in values) + "}")


def _json(value: Any) -> str:
    written = json.dumps(value, ensure_ascii=False, default=str)
    if "\\u0000" in written:
        written = json.dumps(_without_nul(value), ensure_ascii=False, default=str)
    return _text(written)


def _without_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\0", _KEPT_FOR_NUL)
        case dict():
            return {_without_nul(name): _without_nul(part) for name, part in value.items()}
        case list() | tuple():
            return [_without_nul(part) for part in value]
    return value


def _other(value: Any) -> str:
    return _text(str(value))


_WRITERS: dict[str, Callable[[Any], str]] = {
    "text": _text,
    "uuid": _uuid,
    "date": _moment,
    "timestamptz": _moment,
    "boolean": _boolean,
    "text[]": _array,
    "uuid[]": _array,
    "bigint[]": _array,
    "jsonb": _json,
}
