"""What the figures mean, what each is compared to, and what we want of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table

from api.bench.ground import Figures


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that a figure should keep."""

    figure: str
    bound: float
    at_least: bool = True

    def met(self, value: float) -> bool:
        """Whether a value keeps the bound."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.bound:g}"


GOALS = {
    goal.figure: goal
    for goal in (
        Goal("append_32_of_pgbench", 0.9),
        Goal("command_32_of_pgbench", 0.5),
        Goal("command_32_of_library", 20),
        Goal("rebuild_of_copy", 0.3),
        Goal("rebuild_of_library", 30),
        Goal("command_to_row_p50_ms", 5, at_least=False),
        Goal("prove_leaves_of_hashing", 0.15),
        Goal("prove_event_p99_ms", 10, at_least=False),
        Goal("prove_after_acknowledgement_p99_ms", 250, at_least=False),
        Goal("missed_events", 0, at_least=False),
        Goal("misordered_events", 0, at_least=False),
    )
}


@dataclass(frozen=True, slots=True)
class Subject:
    """Figures that belong together: which they are, and what they say."""

    beginning: str
    title: str
    meaning: str


SUBJECTS = (
    Subject(
        "append_",
        "Appends",
        "Events recorded, one to a transaction of its caller, from 1, 8 and 32 callers at once. Beside it: "
        "the eventsourcing library's own recorder, in as many threads with as many connections; and pgbench, "
        "with as many clients, inserting one row of the same size into a table of the same columns and "
        "indexes, by a prepared statement and with nothing else to do.",
    ),
    Subject(
        "command_",
        "Commands",
        "Whole commands: load the record, let it decide, record the event. Beside it: the library's "
        "application with the settings by which it is fastest (library: cached, not copied, not asked for "
        "news) and as it comes (library_default), in threads as above; and the same run of pgbench.",
    ),
    Subject(
        "load_",
        "Loading",
        "Records loaded from 10, 100 and 1,000 events each, one after the other. Beside it: the library "
        "with dataclass events, its own transcoder and projector.",
    ),
    Subject(
        "rebuild_",
        "Rebuilding the tables",
        "All tables, with their memory, filled from the log of some years. Beside it: COPY of the finished "
        "rows into the same tables with the same indexes; and the library's ProjectionRunner, which keeps "
        "the same rows with one transaction for each event, over the first part of the same log.",
    ),
    Subject(
        "command_to_row_",
        "From a command to the row that shows it",
        "Milliseconds from giving a command to this process until the projector in another has committed the "
        "row and this one knows of it.",
    ),
    Subject(
        "prove_",
        "Proving the history",
        "The tree of the log grown from nothing: events read, hashed, and the tiles written. Beside it: "
        "hashlib alone, handed the same leaves. Then a proof of any event, in milliseconds; a pack of a "
        "thousand; and the time from the acknowledgement of a command until a signed checkpoint proves it.",
    ),
    Subject(
        "missed_events misordered_events order_",
        "Order",
        "16 writers in 4 processes write at once while a subscriber follows the log: how many of the events "
        "it never saw, and how many it saw out of order.",
    ),
)


def drawn(figures: Figures) -> Iterator[Table]:
    """Draw the figures for people, a table for each subject."""
    for subject in SUBJECTS:
        table = Table(title=subject.title, caption=subject.meaning, box=SIMPLE_HEAD)
        table.title_justify = table.caption_justify = "left"
        table.add_column("figure", no_wrap=True)
        table.add_column("measured", justify="right", no_wrap=True)
        table.add_column("goal", justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        for name, value in figures.items():
            if _subject_of(name) is subject:
                table.add_row(name, _number(name, value), *_verdict(name, value))
        yield table


def rounded(figures: Figures) -> Figures:
    """Return the figures with no more digits than they deserve."""
    return {
        name: value if isinstance(value, int) else round(value, 3) if value < 1_000 else round(value)
        for name, value in figures.items()
    }


def _subject_of(name: str) -> Subject:
    def length(subject: Subject) -> int:
        return max((len(part) for part in subject.beginning.split() if name.startswith(part)), default=0)

    return max(SUBJECTS, key=length)


def _number(name: str, value: float) -> str:
    if "_of_" in name:
        return f"{value:.2f} times"
    if name.endswith("_ms"):
        return f"{value:.2f} ms"
    if name.endswith("_per_second"):
        return f"{value:,.0f} a second"
    return f"{value:,}"


def _verdict(name: str, value: float) -> tuple[str, str]:
    goal = GOALS.get(name)
    if goal is None:
        return "", ""
    return str(goal), "[green]met[/green]" if goal.met(value) else "[red]missed[/red]"
