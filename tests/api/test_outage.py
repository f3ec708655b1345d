"""What callers are told while PostgreSQL is away, and that nothing accepted is lost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.stack.postgres import PostgresServer
from services.schema import DATABASE, prepare
from tests.api.conftest import Site, problem_of, visiting
from tests.cast import KENYA, register
from tests.conftest import settings_for


@pytest.fixture
async def server(session_folder: Path) -> AsyncIterator[PostgresServer]:
    """A PostgreSQL of the test's own, which may be killed."""
    async with PostgresServer(session_folder / "outage") as server:
        await prepare(server.url(), server.passwords)
        yield server


async def test_while_postgresql_is_away_callers_are_told_when_to_come_back(server: PostgresServer) -> None:
    settings = settings_for(server, DATABASE)
    async with visiting(settings) as site:
        kenya, peru = (register(code).model_dump(mode="json") for code in ("KEN", "PER"))
        accepted = await site.send("/parties", kenya, key="kenya")
        assert accepted.status_code == 201

        server.kill()
        asked = [
            site.get("/parties"),
            site.get(f"/records/{KENYA}/events"),
            site.get("/commands/kenya"),
            site.send("/parties", peru, key="peru"),
            site.client.get("/ready"),
        ]
        *problems, ready = await asyncio.gather(*asked)
        for response in problems:
            problem_of(response, 503, "unavailable")
            assert int(response.headers["Retry-After"]) >= 1
        assert (ready.status_code, ready.json()["postgresql"]) == (503, "out of reach")
        assert (await site.client.get("/health")).status_code == 200

        await server.start()
        async with asyncio.timeout(20):
            while (await site.send("/parties", peru, key="peru")).status_code != 201:
                await asyncio.sleep(0.2)
        assert {party["iso3"] for party in await _parties(site)} == {"KEN", "PER"}
        again = await site.send("/parties", kenya, key="kenya")
        assert (again.status_code, again.content) == (201, accepted.content)
        assert (await site.client.get("/ready")).status_code == 200


async def _parties(site: Site) -> list[dict[str, str]]:
    async with asyncio.timeout(20):
        while (response := await site.get("/parties")).status_code != 200:
            await asyncio.sleep(0.2)
    parties: list[dict[str, str]] = response.json()["items"]
    return parties


async def test_a_command_cut_off_by_a_crash_is_never_left_in_doubt(server: PostgresServer) -> None:
    """Commands pour in while the server is killed: each is there once after it was sent again."""
    settings = settings_for(server, DATABASE)
    async with visiting(settings) as site:
        chemicals = [_chemical(number) for number in range(60)]
        first = [asyncio.create_task(_send(site, chemical)) for chemical in chemicals]
        await asyncio.sleep(0.15)
        server.kill()
        await asyncio.sleep(0.5)
        await server.start()
        outcomes = await asyncio.gather(*first)
        assert set(outcomes) <= {201, 503}
        async with asyncio.timeout(30):
            for chemical in chemicals:
                while await _send(site, chemical) != 201:
                    await asyncio.sleep(0.2)
        listed = (await site.read("/chemicals", limit=100))["items"]
        assert len(listed) == len({row["annex_id"] for row in listed}) == 60


async def _send(site: Site, chemical: dict[str, object]) -> int:
    response = await site.send("/chemicals", chemical, key=f"list {chemical['annex_id']}")
    if response.status_code == 503:
        assert response.json()["code"] in ("unavailable", "in-doubt")
        assert "Retry-After" in response.headers
    return response.status_code


def _chemical(number: int) -> dict[str, object]:
    return {
        "annex_id": f"{number:03}",
        "name": f"Chemical {number}",
        "cas_numbers": [],
        "categories": ["pesticide"],
        "listed_at": "COP-1",
        "decision": None,
        "source": "tests",
        "confidence": "invented",
    }
