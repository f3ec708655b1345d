"""Pages follow the log while they are looked at, so that two people see the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from api.access import PLAIN_COOKIE
from api.pages import live
from services.rounds import SubmitResponse
from services.settings import Settings
from services.wiring import Services
from tests.api.conftest import problem_of, serving
from tests.cast import Office, session_of
from tests.pages.conftest import AISHA, Hire, Reader, Survey, caught_up


@pytest.mark.parametrize("path", ["/rounds/{round}", "/invitations/{kenya}", "/letters", "/"])
async def test_what_one_changes_the_other_sees_without_loading_the_page_again(
    hire: Hire, survey: Survey, office: Office, path: str
) -> None:
    watcher, manager = await hire(), await hire(None)
    await watcher.open(path.format(round=survey.round_id, kenya=survey.kenya))
    await watcher.page.evaluate("window.untouched = true")
    before = await watcher.page.locator("main").inner_text()

    await manager.sign_in()
    await manager.open(f"/invitations/{survey.kenya}")
    await manager.page.locator("summary", has_text="Withdraw").click()
    await manager.page.locator("#withdraw-reason").fill("Sent in error.")
    await manager.press("Withdraw the questionnaire")

    await watcher.page.wait_for_function(
        "before => document.querySelector('main').innerText !== before", arg=before
    )
    assert await watcher.page.evaluate("window.untouched")
    assert not watcher.complaints


async def test_what_somebody_writes_is_left_alone(hire: Hire, survey: Survey, office: Office) -> None:
    manager = await hire(None)
    await manager.sign_in()
    await manager.open(f"/rounds/{survey.round_id}")
    await manager.page.locator("summary", has_text="Extend the round").click()
    await manager.page.locator("#reason").fill("Many asked")
    await office.do(SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]}))
    await manager.page.locator("[data-fresh=board] .tag-received").wait_for()
    assert await manager.page.locator("#reason").input_value() == "Many asked"


async def test_a_page_of_the_past_follows_nothing(reader: Reader, survey: Survey) -> None:
    await reader.open(f"/rounds/{survey.round_id}?as_of=5")
    assert await reader.page.locator("script").count() == 0


@asynccontextmanager
async def a_program(site: str, services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """A program that has Aisha's session."""
    cookies = {PLAIN_COOKIE: await session_of(services, AISHA.id)}
    async with httpx.AsyncClient(base_url=site, cookies=cookies, timeout=20) as client:
        yield client


async def next_position(lines: AsyncIterator[str]) -> int:
    """Return the next position that a stream tells. Whoever lets the lines go lets the stream go."""
    async for line in lines:
        if line.startswith("data: "):
            return int(line.removeprefix("data: "))
    raise AssertionError("The stream ended.")


async def listeners(services: Services) -> int:
    """Return how many connections are kept for listening, or for anything else but the pools."""
    async with services.pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = '' AND usename = 'mandate_reader'"
        )
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def test_many_streams_share_the_one_connection_that_listens(
    site: str, services: Services, survey: Survey, office: Office
) -> None:
    await caught_up(site)
    async with a_program(site, services) as client, AsyncExitStack() as stack:
        position = (await client.get("/ready")).json()["tables_position"]
        streams = [
            await stack.enter_async_context(client.stream("GET", "/live", params={"after": position}))
            for _ in range(20)
        ]
        await office.do(SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]}))
        for stream in streams:
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert await next_position(stream.aiter_lines()) > position
        assert await listeners(services) == 1


async def test_whoever_was_away_hears_at_once_what_came_meanwhile(
    site: str, services: Services, survey: Survey
) -> None:
    await caught_up(site)
    async with a_program(site, services) as client, client.stream("GET", "/live?after=1") as stream:
        assert await next_position(stream.aiter_lines()) > 1


async def test_there_are_so_many_streams_and_no_more(
    site: str, services: Services, survey: Survey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_STREAMS", 1)
    await caught_up(site)
    async with a_program(site, services) as client:
        async with client.stream("GET", "/live?after=1") as stream:
            lines = stream.aiter_lines()
            await next_position(lines)
            refused = await client.get("/live", headers={"Accept": "application/json"})
            assert refused.headers["Retry-After"] == "60"
            problem_of(refused, 503, "unavailable")
        for _ in range(100):  # The place is free once the server has noticed that the other is gone.
            async with client.stream("GET", "/live?after=1") as stream:
                if stream.status_code == 200:
                    break
            await asyncio.sleep(0.05)
        assert stream.status_code == 200


async def test_a_stream_ends_after_a_while_so_that_the_next_one_asks_who_it_is(
    site: str, services: Services, survey: Survey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LIFE_SECONDS", 0)
    await caught_up(site)
    async with a_program(site, services) as client, client.stream("GET", "/live?after=1") as stream:
        told = [line async for line in stream.aiter_lines() if line.startswith("data: ")]
    assert len(told) == 1


async def test_a_server_that_is_to_end_waits_for_no_stream(
    settings: Settings, services: Services, site: str, survey: Survey
) -> None:
    async with AsyncExitStack() as stack:
        async with serving(settings) as address:
            client = await stack.enter_async_context(a_program(address, services))
            await caught_up(address)
            stream = await stack.enter_async_context(client.stream("GET", "/live?after=1"))
            lines = stream.aiter_lines()
            await next_position(lines)
        # Cut off, which is what the server does to those for whom it has waited too long, this would fail.
        assert [line async for line in lines if line.startswith("data: ")] == []
