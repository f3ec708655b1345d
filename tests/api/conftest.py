"""The site for the tests of its doors: served over a real socket, with a projector beside it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import httpx
import pytest
import uvicorn

from api.app import create
from api.serving import Server
from domain.access import Grant, Role
from projections.projector import run
from services.directory import Person
from services.settings import Settings
from services.wiring import Services, open_services
from tests.cast import MARTA, Office, hired, session_of, speaker

MARTAS_ID = UUID(MARTA.removeprefix("person:"))
MARTA_HERSELF = Person(MARTAS_ID, "Marta Lindqvist", "marta@example.org", "en", "manager")


BEGUN = 3
"""How far the log reaches once Marta has an account and her two roles."""
MARTAS_ROLES = (Grant(role=Role.PROGRAMME_MANAGER), Grant(role=Role.ADMINISTRATOR))


class Site:
    """The site as Marta's program sees it: her session is sent along, and answers can be waited for."""

    def __init__(self, client: httpx.AsyncClient, services: Services, session: str) -> None:
        self.client = client
        self.services = services
        self.session = session
        """The secret of Marta's session."""
        self.position = 0
        client.headers["Authorization"] = f"Bearer {session}"

    @asynccontextmanager
    async def speaking_for(self, code: str) -> AsyncIterator["Site"]:
        """The site as the contact of a party sees it."""
        person, grant = speaker(code)
        await hired(self.services, person, grant)
        async with self.stranger() as client:
            yield Site(client, self.services, await session_of(self.services, person.id))

    async def hand_in(self, code: str, path: str, body: object, **more: Any) -> httpx.Response:
        """Give a command as the contact of a party."""
        async with self.speaking_for(code) as contact:
            response = await contact.send(path, body, **more)
            self.position = max(self.position, contact.position)
        return response

    async def answered(self, code: str, invitation_id: object, body: object) -> None:
        """Hand in the answers of a party, which must be good."""
        response = await self.hand_in(code, f"/invitations/{invitation_id}/response", body)
        assert response.status_code == 200, response.text

    async def get(self, path: str, **parameters: Any) -> httpx.Response:
        """Read, as of after the last command."""
        query = {"wait_for": str(self.position)} | {name: str(value) for name, value in parameters.items()}
        path, _, given = _full(path).partition("?")
        return await self.client.get(path, params=dict(parse_qsl(given)) | query)

    async def read(self, path: str, **parameters: Any) -> Any:
        """Read what must be there, as JSON."""
        response = await self.get(path, **parameters)
        assert response.status_code == 200, response.text
        return response.json()

    async def send(
        self,
        path: str,
        body: object = None,
        *,
        key: UUID | str | None = None,
        version: int | str | None = None,
        **more: Any,
    ) -> httpx.Response:
        """Give a command."""
        headers = dict(more.pop("headers", {}))
        if key is not None:
            headers["Idempotency-Key"] = str(key)
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        method = more.pop("method", "POST")
        response = await self.client.request(method, _full(path), json=body, headers=headers, **more)
        if "Event-Position" in response.headers:
            self.position = max(self.position, int(response.headers["Event-Position"]))
        return response

    async def do(self, path: str, body: object = None, **more: Any) -> Any:
        """Give a command that must succeed, and return its answer."""
        response = await self.send(path, body, **more)
        assert response.status_code in (200, 201), response.text
        return response.json()

    async def log_position(self) -> int:
        """Return how far the log reaches: where a refusal must leave it."""
        position: int = (await self.read("/position"))["log"]
        return position

    def stranger(self, **headers: str) -> httpx.AsyncClient:
        """Return a client that has no token."""
        return self.anonymous(str(self.client.base_url), **headers)

    @staticmethod
    def anonymous(address: str, **headers: str) -> httpx.AsyncClient:
        """Return a client for an address that says nothing of who it is."""
        return httpx.AsyncClient(base_url=address, headers=headers, timeout=20)


def _full(path: str) -> str:
    return path if path.startswith(("/api/", "/problems")) else f"/api/v1{path}"


def problem_of(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return the problem that a response tells, which must be this one."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem: dict[str, Any] = response.json()
    assert (response.status_code, problem["code"]) == (status, code), problem
    assert problem["status"] == status
    assert problem["detail"].endswith((".", ":"))
    return problem


class _Server(Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the tests."""
        yield


@asynccontextmanager
async def serving(settings: Settings, port: int = 0) -> AsyncIterator[str]:
    """Serve the site, on a free port where none is named, and give its address."""
    # By its protocol asyncio knows TCP, and sends at once: else each answer waits 40 ms for a receipt.
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", port))
    app = create(settings)
    server = _Server(app, uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
        assert not task.done(), task.result()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listening.close()


@asynccontextmanager
async def projecting(settings: Settings) -> AsyncIterator[None]:
    """Keep the tables in step with the log, and prove it, as the process beside the site does."""
    task = asyncio.create_task(run(settings))
    try:
        yield
    finally:
        task.cancel()
        # A projector that stopped by itself says here why.
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def visiting(settings: Settings) -> AsyncIterator[Site]:
    """Open the site, with a projector, for Marta's program."""
    async with (
        projecting(settings),
        open_services(settings) as services,
        serving(settings) as address,
        httpx.AsyncClient(base_url=address, timeout=20) as client,
    ):
        await hired(services, MARTA_HERSELF, *MARTAS_ROLES)
        site = Site(client, services, await session_of(services, MARTAS_ID))
        for _ in range(200):
            if (await client.get("/ready")).status_code == 200:
                break
            await asyncio.sleep(0.05)
        yield site


@pytest.fixture
async def site(settings: Settings, services: Services) -> AsyncIterator[Site]:
    """The site on the test's own database, with Marta signed in."""
    async with visiting(settings) as site:
        yield site


@pytest.fixture
async def office(site: Site, services: Services) -> Office:
    """The cast, registered, and their questionnaire taken in, by the real clock."""
    office = Office(services, datetime.now(UTC))
    await office.with_parties()
    await office.with_form()
    site.position = await site.log_position()
    return office


def a_round(questionnaire_id: UUID, days: int = 30) -> dict[str, Any]:
    """The body that opens a round for developing parties and those in transition."""
    return {
        "title": "Needs 2026",
        "questionnaire_id": str(questionnaire_id),
        "form_version": "1",
        "audience": {"categories": ["developing", "in transition"]},
        "due": {"at": (datetime.now(UTC) + timedelta(days=days)).isoformat()},
    }
