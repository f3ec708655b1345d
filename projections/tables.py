"""Tables with a memory: what a projection file declares, and how events become rows.

A projection file holds one read model: its tables, an ``apply`` that says which rows an event begins,
changes and ends, and the questions that are asked of it. ``apply`` is pure: it touches no database.

Every row knows the span of the log in which it was true: ``valid``, an int8range from the position of the
event that began it to the position of the event that ended it. A change ends a row and begins the next.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from domain.aggregates import Aggregate

Key = tuple[Any, ...]
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its name, its columns with their PostgreSQL types, and which of them are its key."""

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    indexes: Sequence[tuple[str, ...]] = ()
    """Further columns that questions look rows up by."""

    def begin(self, **values: Any) -> "Change":
        """A row begins; columns that are not named are null."""
        return Change(self, "begin", tuple([values[name] for name in self.key]), values)

    def change(self, *key: Any, **values: Any) -> "Change":
        """Some columns of a row change; the row must be there."""
        return Change(self, "change", key, values)

    def end(self, *key: Any) -> "Change":
        """A row is no longer true; it must be there."""
        return Change(self, "end", key, {})


class Change(NamedTuple):
    """What one event does to one row."""

    table: Table
    verb: Literal["begin", "change", "end"]
    key: Key
    values: Values


Apply = Callable[[Any], Iterable[Change]]


class Projection:
    """One read model: its tables, and what each kind of event does to them."""

    def __init__(self, *tables: Table) -> None:
        self.tables = tables
        self._appliers: dict[type[Aggregate.Event], Apply] = {}

    def on(self, kind: type[Aggregate.Event]) -> Callable[[Apply], Apply]:
        """Register a function as what ``kind`` of event does to the tables."""

        def register(apply: Apply) -> Apply:
            assert kind not in self._appliers, f"{kind} is applied once"
            self._appliers[kind] = apply
            return apply

        return register

    @property
    def kinds(self) -> Iterable[type[Aggregate.Event]]:
        """The kinds of event that the tables follow."""
        return self._appliers.keys()

    def apply(self, event: Aggregate.Event) -> Iterable[Change]:
        """Return which rows begin, change and end with this event; none when it does not matter here."""
        applier = self._appliers.get(type(event))
        return applier(event) if applier else ()
