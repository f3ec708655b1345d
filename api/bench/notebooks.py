"""A small record to measure with, twice: written as we write ours, and as the library's users write theirs.

Both hold the same facts. The library's has dataclass events and the library's own transcoder and projector.
"""

from datetime import UTC, datetime
from typing import Self
from uuid import UUID

from eventsourcing.domain import Aggregate as LibraryAggregate
from eventsourcing.domain import event

from domain.aggregates import Aggregate, Stamp

ACTOR = "person:8b7f7f0e-5a39-4a83-9e0c-0d6d7e1a2b01"
NOTE = "The ministry asked for more time to consult the provinces."


def stamp() -> Stamp:
    """Somebody acts now."""
    return Stamp(by=ACTOR, at=datetime.now(UTC))


class Notebook(Aggregate):
    """A notebook, as we write records."""

    title: str
    notes: int

    class Event(Aggregate.Event):
        """Something that happened to a notebook."""

    class Opened(Event, Aggregate.Created):
        """The notebook was begun."""

        title: str

        def apply(self, notebook: "Notebook") -> None:
            notebook.title = self.title
            notebook.notes = 0

    class NoteTaken(Event):
        """A note was written into it."""

        text: str

        def apply(self, notebook: "Notebook") -> None:
            notebook.notes += 1

    @classmethod
    def open(cls, id: UUID, title: str, stamp: Stamp) -> Self:
        """Begin a notebook."""
        notebook: Self = cls.begin(cls.Opened, stamp, id=id, title=title)
        return notebook

    def take_note(self, text: str, stamp: Stamp) -> None:
        """Write a note into it."""
        self.record(self.NoteTaken, stamp, text=text)


class LibraryNotebook(LibraryAggregate):
    """The same notebook, in the library's own terms."""

    class Opened(LibraryAggregate.Created):
        """The notebook was begun."""

        title: str
        by: str
        because: str | None

    class NoteTaken(LibraryAggregate.Event):
        """A note was written into it."""

        text: str
        by: str
        because: str | None

        def apply(self, notebook: "LibraryNotebook") -> None:
            notebook.notes += 1

    @event(Opened)
    def __init__(self, title: str, by: str, because: str | None = None) -> None:
        self.title = title
        self.notes = 0

    def take_note(self, text: str, by: str, because: str | None = None) -> None:
        """Write a note into it."""
        self.trigger_event(self.NoteTaken, text=text, by=by, because=because)
