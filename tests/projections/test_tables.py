"""Tables with a memory: however they were filled, they are the same, now and at every earlier position."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from projections import (
    chemicals,
    drafts,
    fold,
    funding,
    gaps,
    letters,
    parties,
    programme,
    questionnaires,
    rounds,
)
from projections.fold import NULL, Batch, Fold, FoldError, Held, Row, copy_text
from projections.reading import Picture, content_hashes
from projections.registry import TABLES
from projections.runner import Runner, open_runner
from projections.schema import take_over
from projections.tables import Projection, Table
from services.log import Log
from services.settings import Settings
from tests.projections.histories import DEEDS, EVERYTHING, Plan, World, lived
from tests.services.logbook import an_entry

SUBJECTS = (parties, chemicals, programme, funding, questionnaires, rounds, drafts, letters, gaps)
NAMES = [table.name for table in TABLES]
Lines = list[tuple[str, str]]

PLANS = st.lists(
    st.tuples(st.sampled_from(sorted(DEEDS)), st.integers(0, 999), st.integers(0, 99)), max_size=25
)

histories = settings(
    max_examples=15,
    deadline=None,
    # The same plans each time where nobody is there to look into a rare one, new ones at a desk.
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass
class Workshop:
    """A log that can be emptied, and runners that fill tables from it in batches of different sizes."""

    settings: Settings
    log: Log
    owner: psycopg.AsyncConnection
    reader: psycopg.AsyncConnection
    runners: dict[int, Runner] = field(default_factory=dict)

    async def empty(self) -> None:
        """Begin again with nothing."""
        await self.owner.execute("TRUNCATE log.stored_events, log.commands RESTART IDENTITY")
        for runner in self.runners.values():
            names = sql.SQL(", ").join(sql.Identifier(runner.schema, name) for name in NAMES)
            await runner.connection.execute(sql.SQL("TRUNCATE {}").format(names))
            await runner.connection.execute(
                sql.SQL("UPDATE {}.position SET position = 0").format(sql.Identifier(runner.schema))
            )
            await runner.connection.commit()
            await runner.step()  # There is nothing to apply, but it learns where it stands.

    async def write(self, world: World) -> None:
        """Write a history into the log."""
        await self.log.append(an_entry(*world.log))

    async def now(self) -> Lines:
        """Every row that is true now."""
        return await self._lines("now", 0)

    async def as_of(self, position: int) -> Lines:
        """Every row that was true at a position."""
        return await self._lines("as_of", position)

    async def rows(self, runner: Runner) -> Lines:
        """Every row that there ever was, with the span in which it was true."""
        return await self._ask(_everything(runner.schema))

    async def _lines(self, views: str, position: int) -> Lines:
        await self.reader.execute("SELECT set_config('mandate.position', %s, false)", (str(position),))
        return await self._ask(_everything(views))

    async def _ask(self, query: sql.Composed) -> Lines:
        cursor = await self.reader.execute(query, prepare=True)
        return await cursor.fetchall()


def _everything(schema: str) -> sql.Composed:
    parts = [
        sql.SQL("SELECT {} AS name, t::text AS line FROM {} t").format(
            sql.Literal(name), sql.Identifier(schema, name)
        )
        for name in NAMES
    ]
    return sql.SQL("{} ORDER BY name, line").format(sql.SQL(" UNION ALL ").join(parts))


@pytest.fixture
async def workshop(settings: Settings) -> AsyncIterator[Workshop]:
    """Runners in batches of 1, 7 and 1,000; the views show what the first one fills."""
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(Log(settings.writer_url))
        owner, reader = [
            await stack.enter_async_context(await psycopg.AsyncConnection.connect(url, autocommit=True))
            for url in (settings.owner_url, settings.reader_url)
        ]
        workshop = Workshop(settings, log, owner, reader)
        for size in (1, 7, 1_000):
            runner = await open_runner(settings, f"tables_by_{size}")
            runner.batch_events = size
            workshop.runners[size] = runner
            await stack.enter_async_context(runner.connection)
        await take_over(workshop.runners[1].connection, "tables_by_1", TABLES)
        yield workshop


async def test_the_plan_for_everything_leaves_no_kind_of_event_out() -> None:
    world = await lived(EVERYTHING)
    assert {kind for subject in SUBJECTS for kind in subject.projection.kinds} - world.kinds == set()


@pytest.mark.parametrize("rows_at_hand", [0, fold.ROWS_AT_HAND])
@given(plan=PLANS)
@example(plan=EVERYTHING)
@histories
async def test_rebuilt_tables_equal_those_that_grew_and_the_past_stays_as_it_was(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, rows_at_hand: int, plan: Plan
) -> None:
    """However many rows are kept in memory from one batch to the next:

    1. The tables grow event by event, and what they show at each position is noted.
    2. Tables that are filled in larger batches come out the same, row by row, spans included.
    3. At the end, each earlier position still shows what it showed when it was the present.
    """
    monkeypatch.setattr(fold, "ROWS_AT_HAND", rows_at_hand)
    await workshop.empty()
    await workshop.write(await lived(plan))
    grown = workshop.runners[1]

    shown: dict[int, Lines] = {0: await workshop.now()}
    while await grown.step():
        shown[grown.position] = await workshop.now()

    rows = await workshop.rows(grown)
    for runner in workshop.runners.values():
        await runner.catch_up()
        assert runner.position == grown.position
        assert await workshop.rows(runner) == rows
    for position, lines in shown.items():
        assert await workshop.as_of(position) == lines, f"the past has changed at {position}"


async def test_what_tables_hold_has_one_hash_however_they_were_filled(workshop: Workshop) -> None:
    world = await lived(EVERYTHING)
    half = len(world.log) // 2
    await workshop.log.append(an_entry(*world.log[:half]))
    hashes: dict[str, list[dict[str, str]]] = {"then": [], "now": []}
    for runner in workshop.runners.values():
        await runner.catch_up()
    await workshop.log.append(an_entry(*world.log[half:]))
    async with await psycopg.AsyncConnection.connect(workshop.settings.reader_url) as connection:
        for runner in workshop.runners.values():
            await runner.catch_up()
            await take_over(runner.connection, runner.schema, TABLES)
            for name, views in (("then", "as_of"), ("now", "now")):
                await connection.execute(
                    "SELECT set_config('search_path', %s, true), set_config('mandate.position', %s, true)",
                    (views, str(half)),
                )
                hashes[name].append(await content_hashes(Picture(connection, 0), NAMES))
                await connection.commit()

    for found in hashes.values():
        assert found == [found[0]] * 3
    assert hashes["then"][0] != hashes["now"][0]


async def test_rows_that_begin_and_end_within_one_batch_are_remembered(workshop: Workshop) -> None:
    await workshop.write(await lived(EVERYTHING))
    for runner in workshop.runners.values():
        await runner.catch_up()

    cursor = await workshop.reader.execute(
        "SELECT count(*) FROM tables_by_1000.letters WHERE upper(valid) - lower(valid) < 1000"
    )
    assert await cursor.fetchone() != (0,)
    assert await workshop.rows(workshop.runners[1_000]) == await workshop.rows(workshop.runners[1])


# ---- values, as they are written and as they come back -------------------------------------------------

THINGS = Table(
    "things",
    {
        "id": "uuid",
        "words": "text",
        "day": "date",
        "moment": "timestamptz",
        "yes": "boolean",
        "number": "bigint",
        "list": "text[]",
        "ids": "uuid[]",
        "numbers": "bigint[]",
        "document": "jsonb",
    },
    key=("id",),
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
VALUES = st.fixed_dictionaries(
    {
        "words": st.none() | TEXTS,
        "day": st.none() | st.dates(),
        "moment": st.none() | st.datetimes(timezones=st.just(UTC)),
        "yes": st.none() | st.booleans(),
        "number": st.none() | st.integers(-(2**63), 2**63 - 1),
        "list": st.none() | st.lists(TEXTS, max_size=4),
        "ids": st.none() | st.lists(st.uuids(), max_size=3),
        "numbers": st.none() | st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
        "document": st.none()
        | st.recursive(
            st.none() | st.booleans() | st.integers() | TEXTS,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
            max_leaves=6,
        ),
    }
)


def _as_kept(value: Any) -> Any:
    """A value as the tables keep it: one character is beyond what PostgreSQL can hold."""
    match value:
        case str():
            return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
        case dict():
            return {_as_kept(name): _as_kept(part) for name, part in value.items()}
        case list():
            return [_as_kept(part) for part in value]
    return value


@given(rows=st.lists(VALUES, min_size=1, max_size=30))
@settings(
    max_examples=40,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_every_value_comes_back_as_it_was_written(
    settings: Settings, rows: list[dict[str, Any]]
) -> None:
    given = [{"id": uuid4(), **row} for row in rows]
    async with await psycopg.AsyncConnection.connect(settings.owner_url) as connection:
        columns = ", ".join(f"{name} {kind}" for name, kind in THINGS.columns.items())
        await connection.execute(f"CREATE TEMP TABLE things ({columns}, valid int8range)".encode())
        async with connection.cursor() as cursor, cursor.copy("COPY things FROM STDIN") as copy:
            await copy.write(copy_text([Row(Held(THINGS).write(row), 5, 9) for row in given]))
        found = await (await connection.execute("SELECT * FROM things")).fetchall()
        await connection.rollback()
    assert [dict(zip(THINGS.columns, row, strict=False)) for row in found] == [_as_kept(row) for row in given]
    assert {(row[-1].lower, row[-1].upper) for row in found} == {(5, 9)}


# ---- the fold by itself --------------------------------------------------------------------------------

LAMPS = Table("lamps", {"name": "text", "colour": "text", "lit": "boolean"}, key=("name",))


class Story:
    """Changes to lamps, batch by batch, and the rows that were written, as a database would keep them."""

    def __init__(self) -> None:
        self.fold = Fold([Projection(LAMPS)])
        self.stored: list[Row] = []

    async def tell(self, *changes: tuple[int, Any]) -> Batch:
        """Fold one batch of changes, each at its position."""
        batch = self.fold.batch()
        for position, change in changes:
            batch.take(change, position)
        await batch.load(self._load)
        batch.fold()
        for (name,), ended in batch.closed(LAMPS):
            [row] = [row for row in self.stored if row.cells[0] == name and row.ended is None]
            row.ended = ended
        self.stored += [Row(row.cells, row.begun, row.ended) for row in batch.opened(LAMPS)]
        batch.stored()
        return batch

    async def _load(self, table: Table, keys: Sequence[tuple[Any, ...]]) -> list[tuple[int, dict[str, Any]]]:
        meant = [row for row in self.stored if row.ended is None and (row.cells[0],) in keys]
        return [(row.begun, {"name": row.cells[0], "colour": _colour(row), "lit": None}) for row in meant]

    def spans(self) -> list[tuple[str, str | None, int, int | None]]:
        return [(row.cells[0], _colour(row), row.begun, row.ended) for row in self.stored]


def _colour(row: Row) -> str | None:
    return None if row.cells[1] == NULL else row.cells[1]


@pytest.mark.parametrize("forgetting", [False, True])
async def test_a_change_ends_a_row_and_begins_the_next(forgetting: bool) -> None:
    story = Story()
    await story.tell((1, LAMPS.begin(name="a", colour="red")))
    if forgetting:
        story.fold.forget()
    await story.tell((4, LAMPS.change("a", colour="green")), (6, LAMPS.change("a", lit=True)))
    assert story.spans() == [("a", "red", 1, 4), ("a", "green", 4, 6), ("a", "green", 6, None)]


async def test_two_changes_by_one_event_make_one_row() -> None:
    story = Story()
    await story.tell((1, LAMPS.begin(name="a")), (1, LAMPS.change("a", colour="red")))
    await story.tell((2, LAMPS.change("a", colour="green")), (2, LAMPS.change("a", lit=True)))
    assert story.spans() == [("a", "red", 1, 2), ("a", "green", 2, None)]


async def test_a_row_that_began_and_ended_by_one_event_was_never_true() -> None:
    story = Story()
    await story.tell((1, LAMPS.begin(name="a", colour="red")), (1, LAMPS.end("a")))
    await story.tell((2, LAMPS.begin(name="a", colour="green")))
    await story.tell((3, LAMPS.change("a", colour="blue")), (3, LAMPS.end("a")))
    assert story.spans() == [("a", "green", 2, 3)]


@pytest.mark.parametrize("forgetting", [False, True])
async def test_a_row_can_end_and_begin_again(forgetting: bool) -> None:
    story = Story()
    await story.tell((1, LAMPS.begin(name="a", colour="red")))
    if forgetting:
        story.fold.forget()
    await story.tell((2, LAMPS.end("a")), (3, LAMPS.begin(name="a")), (3, LAMPS.change("a", colour="blue")))
    await story.tell((5, LAMPS.end("a")), (5, LAMPS.begin(name="a", colour="white")))
    assert story.spans() == [("a", "red", 1, 2), ("a", "blue", 3, 5), ("a", "white", 5, None)]


@pytest.mark.parametrize(
    "change",
    [LAMPS.begin(name="a"), LAMPS.change("b", lit=True), LAMPS.end("b")],
    ids=["begin", "change", "end"],
)
async def test_a_change_that_does_not_fit_the_rows_is_an_error(change: Any) -> None:
    story = Story()
    await story.tell((1, LAMPS.begin(name="a")))
    with pytest.raises(FoldError, match="at 2"):
        await story.tell((2, change))


def test_the_days_of_the_calendar_are_written_in_full() -> None:
    table = Table("days", {"day": "date", "at": "timestamptz"}, key=("day",))
    cells = Held(table).write({"day": date(987, 6, 5), "at": datetime(987, 6, 5, 1, tzinfo=UTC)})
    assert copy_text([Row(cells, begun=3)]) == "0987-06-05\t0987-06-05T01:00:00+00:00\t[3,)\n"
