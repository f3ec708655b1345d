"""Folds what a batch of events does to rows, in memory, before anything is written.

Rows that are true now stay at hand from batch to batch, so most batches read nothing. What must be written
in the end is: stored rows that end (their span is closed) and rows that begin, some of which have ended
again within the batch and are written already closed, for the memory has no holes.
"""

import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
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

    cells: list[str]
    """The value of each column as COPY takes it. Each is written down once, however often its row changes."""
    begun: int
    ended: int | None = None
    stored: bool = False
    """Whether it is in the table, or will be before anything that comes later is."""


class Held:
    """The rows of one table that are at hand, and how its values are written down."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.rows: dict[str, Row] = {}
        """By their keys as ``written_key`` gives them: texts are found much quicker than ids."""
        self._blank = [NULL] * len(table.columns)
        self._writers = {
            name: (place, _WRITERS.get(kind, _other))
            for place, (name, kind) in enumerate(table.columns.items())
        }
        self._key_writers = [self._writers[name][1] for name in table.key]

    def written_key(self, key: Key) -> str:
        """Write down the key of a row. Cells have no tabs in them, so no two keys are written alike."""
        if len(key) == 1:
            return self._key_writers[0](key[0])
        return "\t".join([write(part) for write, part in zip(self._key_writers, key, strict=True)])

    def write(self, values: Mapping[str, Any], before: Row | None = None) -> list[str]:
        """Write down values of a new row, or those that differ from the row before."""
        cells = before.cells.copy() if before else self._blank.copy()
        writers = self._writers
        for name, value in values.items():
            place, write = writers[name]
            cells[place] = NULL if value is None else write(value)
        return cells


Missing = dict[str, dict[str, Key]]
"""By table, the keys of rows: as they are written down, and as they are."""

Loader = Callable[[Table, Sequence[Key]], Awaitable[Iterable[tuple[int, Mapping[str, Any]]]]]
"""Fetches the rows that are true now by their keys: the position at which each began, and its values."""


class Fold:
    """The rows that are true now, as far as they are at hand."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        self._appliers: dict[type[Aggregate.Event], list[Apply]] = defaultdict(list)
        for projection in projections:
            for kind in projection.kinds:
                self._appliers[kind].append(projection.apply)
        self._held = {table.name: Held(table) for projection in projections for table in projection.tables}

    def batch(self) -> "Batch":
        """Begin a batch."""
        if sum(len(held.rows) for held in self._held.values()) > ROWS_AT_HAND:
            self.forget()
        return Batch(self._appliers, self._held)

    def forget(self) -> None:
        """Let all rows go: what is in memory may not be what is stored."""
        for held in self._held.values():
            held.rows.clear()


@dataclass(slots=True)
class Batch:
    """The changes of one batch of events."""

    appliers: dict[type[Aggregate.Event], list[Apply]]
    held: dict[str, Held]
    missing: Missing = field(default_factory=lambda: defaultdict(dict))
    """The keys of rows that changes touch and that are not at hand. They are to be read and loaded."""
    _waiting: list[tuple[int, Change, str]] = field(default_factory=list)
    """The changes that wait for them, in their order."""
    _opened: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    _closed: dict[str, list[tuple[Key, int]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, event: Aggregate.Event, position: int) -> None:
        """Take in what an event does. Raises FoldError when rows and changes disagree."""
        for apply in self.appliers.get(type(event), ()):
            for change in apply(event):
                self.take(change, position)

    def take(self, change: Change, position: int) -> None:
        """Take in a change, or let it wait for its row. Raises FoldError when it cannot be made."""
        held = self.held[change.table.name]
        key = held.written_key(change.key)
        row = held.rows.get(key)
        if row is None and (change.verb != "begin" or self._awaits(held, key)):
            self.missing[held.table.name][key] = change.key
            self._waiting.append((position, change, key))
        else:
            self._make(change, position, held, key, row)

    def _awaits(self, held: Held, key: str) -> bool:
        return held.table.name in self.missing and key in self.missing[held.table.name]

    async def load(self, loader: Loader) -> None:
        """Read the rows that are missing."""
        for name, keys in self.missing.items():
            held = self.held[name]
            for position, values in await loader(held.table, list(keys.values())):
                key = held.written_key(tuple(values[column] for column in held.table.key))
                held.rows[key] = Row(held.write(values), position, stored=True)

    def fold(self) -> None:
        """Make the changes that waited. Raises FoldError when rows and changes disagree."""
        for position, change, key in self._waiting:
            held = self.held[change.table.name]
            self._make(change, position, held, key, held.rows.get(key))

    def _make(self, change: Change, position: int, held: Held, key: str, old: Row | None) -> None:
        """Make a change: work out which row ends, and which one begins."""
        if change.verb == "begin":
            if old is not None:
                raise FoldError(f"{change.table.name} {change.key} begins at {position} and is there already")
            self._open(held, key, Row(held.write(change.values), position))
        elif old is None:
            raise FoldError(
                f"{change.table.name} {change.key} is to {change.verb} at {position} and is not there"
            )
        elif change.verb == "end":
            self._end(change, old, position)
            del held.rows[key]
        elif old.begun == position:
            old.cells = held.write(change.values, old)
        else:
            self._end(change, old, position)
            self._open(held, key, Row(held.write(change.values, old), position))

    def _open(self, held: Held, key: str, row: Row) -> None:
        held.rows[key] = row
        self._opened[held.table.name].append(row)

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
        """What began counts as stored from now on: should it not get so far, the fold must forget it all."""
        for rows in self._opened.values():
            for row in rows:
                row.stored = True


def copy_text(rows: Iterable[Row]) -> str:
    """Return rows in the text format of PostgreSQL's COPY, with their spans as the last column."""
    lines = []
    for row in rows:
        lines.append("\t".join(row.cells))
        lines.append(f"\t[{row.begun},{'' if row.ended is None else row.ended})\n")
    return "".join(lines)


NULL = "\\N"

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
    return value.int.to_bytes(16, "big").hex()  # What value.hex gives, in half of the time.


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
    "date": date.isoformat,
    "timestamptz": datetime.isoformat,
    "boolean": _boolean,
    "text[]": _array,
    "uuid[]": _array,
    "bigint[]": _array,
    "jsonb": _json,
    "bigint": str,
}
