"""The store: each decision rests on what the log says, however many decide at the same moment."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import psycopg
import pytest

from api.stack.postgres import PostgresServer
from services.commands import Recorded
from services.log import Unavailable
from services.settings import Settings
from services.store import Answer, KeyReused, RefusalRecord, Request, Store, UnitOfWork
from tests.cast import stamp
from tests.services.logbook import a_wire, ask, whole_log
from tests.services.tallies import (
    LIMIT,
    Decision,
    Tally,
    a_store,
    counting,
    counting_while_empty,
    moving,
    reaching,
    starting,
    tally_id,
)

LOCK = "SELECT pg_advisory_xact_lock(7072015)"


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """The store of one process."""
    async with a_store(settings.writer_url) as store:
        yield store


@pytest.fixture
async def another(settings: Settings) -> AsyncIterator[Store]:
    """The store of a second process on the same log."""
    async with a_store(settings.writer_url) as store:
        yield store


async def do(store: Store, decide: Decision, **of_request: object) -> Answer:
    """Give a command."""
    return await store.execute(Request(stamp(), **of_request), decide)  # type: ignore[arg-type]  # by name


async def must(store: Store, *decisions: Decision) -> None:
    """Give commands that must succeed."""
    for decide in decisions:
        answer = await do(store, decide)
        assert answer.outcome == "done", answer.reply


async def total(store: Store, name: str) -> int:
    """What the log says of a tally."""
    return (await store.read(Tally, tally_id(name))).total


def version_of(answer: Answer) -> int:
    """The version that a command led to."""
    return Recorded.model_validate_json(answer.reply).version


def code_of(answer: Answer) -> str:
    """The rule that refused a command."""
    assert answer.outcome == "refused"
    return RefusalRecord.model_validate_json(answer.reply).code


class Reads:
    """Counts how often a store replays a whole record."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ids: list[UUID] = []
        load = store.load

        async def counted(id: UUID) -> object:
            self.ids.append(id)
            return await load(id)

        monkeypatch.setattr(store, "load", counted)


# ---- the cache, and what others write meanwhile --------------------------------------------------------


async def test_a_record_that_was_just_changed_is_not_read_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Reads(store, monkeypatch)
    await must(store, starting("a"), counting("a"), counting("a"), counting("a"))
    assert reads.ids == [tally_id("a")]
    assert await total(store, "a") == 3


async def test_what_a_refused_command_did_half_way_is_forgotten(store: Store) -> None:
    await must(store, starting("a", 5), starting("b", LIMIT), counting("a"))

    answer = await do(store, moving("a", "b", 3))

    assert code_of(answer) == "out-of-bounds"
    await must(store, counting("a"))
    assert await total(store, "a") == 7


async def test_what_a_broken_handler_did_half_way_is_forgotten(store: Store) -> None:
    await must(store, starting("a"), counting("a"))

    async def break_down(unit: UnitOfWork) -> Recorded:
        (await unit.get(Tally, tally_id("a"))).count(5, unit.stamp)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await do(store, break_down)
    await must(store, counting("a"))
    assert await total(store, "a") == 2


async def test_a_refusal_is_decided_again_on_what_the_log_says_now(store: Store, another: Store) -> None:
    await must(store, starting("a", LIMIT - 1), counting("a"))
    await must(another, counting("a", -5))

    answer = await do(store, counting("a", 5))

    assert answer.outcome == "done", "it was refused only by what was remembered"
    assert await total(store, "a") == LIMIT


async def test_a_command_that_finds_nothing_to_do_looks_again(store: Store, another: Store) -> None:
    await must(store, starting("a", 9), counting("a"))
    await must(another, counting("a", -5))

    answer = await do(store, reaching("a", 10))

    assert answer.position is not None
    assert await total(store, "a") == 10


async def test_a_success_on_what_was_remembered_is_refused_by_what_the_log_says(
    store: Store, another: Store
) -> None:
    await must(store, starting("a"), counting("a"))
    await must(another, counting("a", LIMIT - 1))

    assert code_of(await do(store, counting("a"))) == "out-of-bounds"
    assert await total(store, "a") == LIMIT


@pytest.mark.parametrize("looking", [False, True], ids=["taken out", "looked at"])
async def test_a_record_that_is_only_asked_is_asked_as_the_log_has_it(
    store: Store, another: Store, looking: bool
) -> None:
    ask_gate = counting_while_empty("a", "gate", looking=looking)
    await must(store, starting("a"), starting("gate", 1), counting("a"), counting("gate", -1), ask_gate)
    await must(another, counting("gate"))

    assert code_of(await do(store, ask_gate)) == "not-empty"

    assert await total(store, "a") == 2
    await must(another, counting("gate", -1))
    await must(store, ask_gate)


async def test_what_a_command_has_changed_itself_is_what_it_sees(store: Store) -> None:
    await must(store, starting("b"), counting("b"))
    seen = []

    async def decide(unit: UnitOfWork) -> Recorded:
        tally = await unit.get(Tally, tally_id("b"))
        tally.count(4, unit.stamp)
        seen.append((await unit.look(Tally, tally_id("b"))).total)
        return Recorded(id=tally.id, version=tally.version)

    await must(store, decide)
    assert seen == [5]


async def test_a_command_that_must_be_fresh_reads_what_others_wrote(store: Store, another: Store) -> None:
    await must(store, starting("a"), counting("a"))
    await must(another, counting("a", 4))
    seen = []

    async def look(unit: UnitOfWork) -> Recorded:
        tally = await unit.get(Tally, tally_id("a"))
        seen.append(tally.total)
        tally.count(1, unit.stamp)
        return Recorded(id=tally.id, version=tally.version)

    await do(store, look, fresh=True)
    assert seen == [5]


# ---- many at the same moment ---------------------------------------------------------------------------


async def test_many_commands_on_one_record_succeed_in_the_order_of_asking(store: Store) -> None:
    await must(store, starting("a"))

    answers = await asyncio.gather(*(do(store, counting("a")) for _ in range(50)))

    assert [version_of(answer) for answer in answers] == list(range(2, 52))
    assert await total(store, "a") == 50


async def test_two_processes_share_one_record(store: Store, another: Store) -> None:
    await must(store, starting("a"))

    answers = await asyncio.gather(*(do(each, counting("a")) for _ in range(25) for each in (store, another)))

    assert sorted(version_of(answer) for answer in answers) == list(range(2, 52))
    assert await total(store, "a") == 50


async def test_units_that_take_two_records_in_opposite_order_do_not_wait_for_each_other(
    store: Store, another: Store
) -> None:
    await must(store, starting("a", 100), starting("b", 100))

    async with asyncio.timeout(20):
        answers = await asyncio.gather(
            *(
                do(each, moving(*names))
                for _ in range(8)
                for names in (("a", "b"), ("b", "a"))
                for each in (store, another)
            )
        )

    assert {answer.outcome for answer in answers} == {"done"}
    assert await total(store, "a") == await total(store, "b") == 100


async def test_many_units_that_meet_at_their_second_record_all_get_through(store: Store) -> None:
    await must(store, starting("fund"), *(starting(f"activity {number}", 1) for number in range(50)))

    answers = await asyncio.gather(*(do(store, moving(f"activity {number}", "fund")) for number in range(50)))

    assert {answer.outcome for answer in answers} == {"done"}
    assert await total(store, "fund") == 50


async def test_a_record_that_two_begin_at_once_begins_once(store: Store, another: Store) -> None:
    async def begin_once(unit: UnitOfWork) -> Recorded:
        tally = await unit.find(Tally, tally_id("a"))
        if tally is None:
            tally = Tally.start("a", 0, unit.stamp)
            unit.add(tally)
        return Recorded(id=tally.id, version=tally.version)

    answers = await asyncio.gather(*(do(each, begin_once) for each in (store, another) for _ in range(5)))

    assert {version_of(answer) for answer in answers} == {1}
    assert len([answer for answer in answers if answer.position]) == 1


# ---- what the caller has seen --------------------------------------------------------------------------


async def test_a_change_based_on_the_version_that_stands_is_made(store: Store) -> None:
    await must(store, starting("a"), counting("a"))
    assert version_of(await do(store, counting("a"), expected_version=2)) == 3


async def test_a_change_based_on_an_older_version_is_refused(store: Store) -> None:
    await must(store, starting("a"), counting("a"))

    answer = await do(store, counting("a"), expected_version=1)

    assert code_of(answer) == "stale"
    assert RefusalRecord.model_validate_json(answer.reply).facts == {"version": 2}
    assert await total(store, "a") == 1


async def test_a_change_based_on_a_version_that_only_another_process_knows_is_made(
    store: Store, another: Store
) -> None:
    await must(store, starting("a"), counting("a"))
    await must(another, counting("a"))
    assert version_of(await do(store, counting("a"), expected_version=3)) == 4


async def test_a_change_based_on_what_is_remembered_but_overtaken_is_refused(
    store: Store, another: Store
) -> None:
    await must(store, starting("a"), counting("a"))
    await must(another, counting("a"))
    assert code_of(await do(store, counting("a"), expected_version=2)) == "stale"


async def test_of_two_changes_based_on_the_same_version_one_is_made(store: Store, another: Store) -> None:
    await must(store, starting("a"))

    answers = await asyncio.gather(
        *(do(each, counting("a"), expected_version=1) for each in (store, another, store))
    )

    assert sorted(answer.outcome for answer in answers) == ["done", "refused", "refused"]
    assert await total(store, "a") == 1


# ---- once under one key --------------------------------------------------------------------------------


async def test_the_same_key_is_done_once_and_answered_with_the_same_bytes(
    store: Store, another: Store
) -> None:
    await must(store, starting("a"))
    key = uuid4()

    answers = await asyncio.gather(
        *(do(each, counting("a"), key=key, keyed=True) for each in (store, store, another))
    )

    assert await total(store, "a") == 1
    assert len({(answer.reply, answer.position, answer.outcome) for answer in answers}) == 1
    assert sorted(answer.repeated for answer in answers) == [False, True, True]


async def test_a_key_that_comes_back_when_the_command_would_be_refused_gets_the_first_answer(
    store: Store,
) -> None:
    await must(store, starting("a", LIMIT - 1))
    key = uuid4()
    first = await do(store, counting("a"), key=key, keyed=True)

    again = await do(store, counting("a"), key=key, keyed=True)

    assert (again.outcome, again.reply, again.position) == ("done", first.reply, first.position)


async def test_a_key_used_for_another_command_is_refused_and_nothing_is_stored(store: Store) -> None:
    await must(store, starting("a"))
    key = uuid4()
    await do(store, counting("a"), key=key, keyed=True, digest=b"one")

    with pytest.raises(KeyReused, match="Use a new key"):
        await do(store, counting("a"), key=key, keyed=True, digest=b"another")

    assert await total(store, "a") == 1
    await must(store, counting("a"))
    assert await total(store, "a") == 2


async def test_a_refusal_under_a_key_stands_also_when_it_would_be_allowed_now(store: Store) -> None:
    await must(store, starting("a", LIMIT))
    key = uuid4()
    refused = await do(store, counting("a"), key=key, keyed=True)
    await must(store, counting("a", -5))

    again = await do(store, counting("a"), key=key, keyed=True)

    assert (again.outcome, again.reply, again.repeated) == ("refused", refused.reply, True)
    assert await total(store, "a") == LIMIT - 5
    known = await store.command(key)
    assert known is not None
    assert (known.outcome, known.reply, known.last_position) == ("refused", refused.reply, None)


async def test_a_refusal_without_a_key_leaves_no_trace(store: Store, settings: Settings) -> None:
    await must(store, starting("a", LIMIT))
    before = await ask(settings.reader_url, "SELECT count(*) FROM log.commands")

    answer = await do(store, counting("a"))

    assert answer.outcome == "refused"
    assert await store.command(answer.key) is None
    assert await ask(settings.reader_url, "SELECT count(*) FROM log.commands") == before


# ---- callers and connections that go away --------------------------------------------------------------


async def test_callers_that_go_away_at_any_moment_hold_nobody_up(store: Store, settings: Settings) -> None:
    await must(store, starting("a"), counting("a"))
    async with await psycopg.AsyncConnection.connect(settings.writer_url) as other:
        await other.execute(LOCK)
        writing = asyncio.create_task(do(store, counting("a")))
        await asyncio.sleep(0.05)
        waiting = [asyncio.create_task(do(store, counting("a"))) for _ in range(3)]
        await asyncio.sleep(0.05)
        waiting[1].cancel()
        writing.cancel()
        await asyncio.sleep(0.05)
        await other.commit()
        results = await asyncio.gather(writing, *waiting, return_exceptions=True)

    assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, False, True, False]
    assert await total(store, "a") == 4, (
        "what was under way when its caller went stands; what waited does not"
    )
    assert version_of(await do(store, counting("a"))) == 6


async def test_callers_that_go_away_at_random_leave_a_whole_history(store: Store, another: Store) -> None:
    await must(store, starting("a", 500), starting("b", 500))
    tasks = [
        asyncio.create_task(do(each, moving(*names)))
        for _ in range(15)
        for names in (("a", "b"), ("b", "a"))
        for each in (store, another)
    ]
    for number, task in enumerate(tasks):
        if number % 3 == 0:
            await asyncio.sleep(0.001)
            task.cancel()

    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert all(isinstance(result, Answer | asyncio.CancelledError) for result in results)
    assert await total(store, "a") + await total(store, "b") == 1_000
    await must(store, counting("a"), counting("b"))
    await must(another, counting("a"), counting("b"))


async def test_a_command_whose_reply_was_lost_is_answered_and_done_once(
    postgres: PostgresServer, settings: Settings
) -> None:
    socket = postgres.socket_folder / ".s.PGSQL.5432"
    async with a_wire(socket, settings.writer_url) as (wire, url), a_store(url) as store:
        await must(store, starting("a"), counting("a"))
        wire.replies_to_lose = 1

        answer = await do(store, counting("a"))

        assert wire.replies_to_lose == 0
        assert (answer.outcome, version_of(answer)) == ("done", 3)
        assert version_of(await do(store, counting("a"))) == 4
    assert len(await whole_log(settings.reader_url)) == 4


async def test_a_database_that_was_started_again_is_found_at_once(
    postgres: PostgresServer, settings: Settings
) -> None:
    socket = postgres.socket_folder / ".s.PGSQL.5432"
    async with a_wire(socket, settings.writer_url) as (wire, url), a_store(url) as store:
        await must(store, starting("a"))
        await asyncio.gather(*(total(store, "a") for _ in range(50)))
        wire.close()

        async with asyncio.timeout(3):
            assert await asyncio.gather(*(total(store, "a") for _ in range(50))) == [0] * 50


async def test_without_a_database_it_says_so_and_is_right_again_afterwards(
    postgres: PostgresServer, settings: Settings
) -> None:
    socket = postgres.socket_folder / ".s.PGSQL.5432"
    async with a_wire(socket, settings.writer_url) as (wire, url), a_store(url, 0.3) as store:
        await must(store, starting("a"), counting("a"))
        wire.cut = True
        wire.close()

        with pytest.raises(Unavailable) as caught:
            await do(store, counting("a"))

        assert caught.value.retry_after_seconds > 0
        wire.cut = False
        await must(store, counting("a"))
        assert await total(store, "a") == 2
