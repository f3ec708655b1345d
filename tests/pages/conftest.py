"""A browser that looks at the site, on a database of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, Response, async_playwright

from api.access import PLAIN_COOKIE
from domain.access import Grant, Role
from domain.aggregates import identify
from domain.chemicals import chemical_id
from domain.forms import Form
from domain.parties import Category, ContactRole
from domain.rounds import Audience, Due, invitation_id
from services import reference
from services.directory import Person
from services.hashing import hashed, new_secret
from services.links import MakeLink
from services.rounds import IssueRound, OpenRound, SubmitResponse
from services.settings import Settings
from services.wiring import Services
from services.xlsforms import read
from tests.api.conftest import MARTAS_ID, projecting, serving
from tests.cast import KENYA, PERU, Office, contact_of, hired, session_of

WEIGHT_LIMIT_BYTES = 100_000

AISHA = Person(identify("person", "Aisha"), "Aisha Rahmani", "aisha@example.org", "en", "auditor")
KOFI = Person(identify("person", "Kofi"), "Kofi Mensah", "kofi@example.org", "en", "administrator")

CHROMIUM = "/usr/bin/chromium"
ELSEWHERE = "mandate.test"
"""A name under which the browser finds the site over plain HTTP, as if it were on another machine."""
FLAGS = [
    f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


_WEIGHT = """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter((entry) => entry.initiatorType !== "fetch")
    .reduce((sum, entry) => sum + entry.decodedBodySize, 0)"""
"""What a page and its parts weigh, unpacked; without what a script asked for later."""


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The browser of the system, without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@dataclass
class Reader:
    """Somebody with a browser. Every page is held to what all pages promise when it is looked at."""

    page: Page
    site: str
    services: Services
    outside: list[str] = field(default_factory=list)
    """Requests that went to another site; there must be none."""
    complaints: list[str] = field(default_factory=list)
    """What the browser complained about, such as what the content security policy stopped."""

    async def open(self, path: str) -> Response:
        """Go to a page of the site, once the tables show all that was recorded."""
        await caught_up(self.site)
        response = await self.page.goto(self.site + path)
        assert response is not None
        return response

    async def sign_in(self) -> None:
        """Sign in as Marta."""
        await self.open("/sign-in")
        await self.page.get_by_label("Marta").check()
        await self.press("Come in")

    async def come_in(self, person_id: UUID) -> None:
        """Have the session of somebody who has proved who they are."""
        secret = await session_of(self.services, person_id)
        await self.page.context.add_cookies([{"name": PLAIN_COOKIE, "value": secret, "url": self.site}])

    async def press(self, name: str) -> None:
        """Press a button and wait for the page that follows."""
        await self.page.get_by_role("button", name=name, exact=True).first.click()
        await self.page.wait_for_load_state()

    async def follow(self, name: str) -> None:
        """Follow a link and wait for the page that follows."""
        await self.page.get_by_role("link", name=name, exact=True).first.click()
        await self.page.wait_for_load_state()

    async def text(self) -> str:
        """Return what the page says, in one line."""
        return " ".join((await self.page.locator("body").inner_text()).split())

    async def heading(self) -> str:
        """Return the heading of the page."""
        return await self.page.locator("h1").inner_text()

    async def must_be_good(self) -> None:
        """Hold the page to what all pages promise."""
        address = self.page.url
        assert not self.outside, f"{address} asks other sites for {self.outside}"
        assert not self.complaints, f"{address}: {self.complaints}"
        found = await Axe().run(self.page)
        assert found.violations_count == 0, f"{address}\n{found.generate_report()}"
        across = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert across <= 0, f"{address} is {across} pixels wider than the screen"
        styled = await self.page.locator("[style], style, script:not([src])").count()
        assert styled == 0, f"{address} has styles or scripts in its text"
        weight = await self.page.evaluate(_WEIGHT)
        assert weight < WEIGHT_LIMIT_BYTES, f"{address} weighs {weight} bytes"


async def caught_up(site: str) -> None:
    """Return once the tables stand where the log stands."""
    async with httpx.AsyncClient(base_url=site) as client:
        for _ in range(400):
            ready = (await client.get("/ready")).json()
            if ready["ready"] and ready["tables_position"] == ready["log_position"]:
                return
            await asyncio.sleep(0.05)
    raise AssertionError("The tables did not catch up with the log.")


async def a_link(services: Services, invitation: UUID, code: str = "KEN") -> tuple[UUID, str]:
    """Make a link as it stands in a letter to the contact of a party, and return its id and its path."""
    contact = contact_of(code, ContactRole.OFFICIAL_CONTACT_POINT)
    id, secret = uuid4(), new_secret()
    command = MakeLink(
        id=id, invitation_id=invitation, contact_id=contact.id, secret_sha256=hashed(secret).hex()
    )
    await Office(services, datetime.now(UTC)).do(command)
    return id, f"/l/{secret}"


async def open_link(reader: Reader, invitation: UUID, code: str, query: str = "") -> Response:
    """Open a personal link of a party's contact, press its button, and go to the questionnaire."""
    _, path = await a_link(reader.services, invitation, code)
    await reader.open(path)
    await reader.press("Open the questionnaire")
    return await reader.open(f"/invitations/{invitation}/answer{query}")


@pytest.fixture
def open_settings(settings: Settings) -> Settings:
    """Settings by which anybody may sign in."""
    return settings.model_copy(update={"open_sign_in": True})


@pytest.fixture
async def site(open_settings: Settings, services: Services) -> AsyncIterator[str]:
    """The address of the site, with a projector beside it and Marta in the directory."""
    person = Person(MARTAS_ID, "Marta Lindqvist", "marta@example.org", "en", "programme manager")
    await hired(services, person, Grant(role=Role.PROGRAMME_MANAGER))
    await hired(services, AISHA, Grant(role=Role.AUDITOR))
    await hired(services, KOFI, Grant(role=Role.ADMINISTRATOR))
    async with projecting(open_settings), serving(open_settings) as address:
        await caught_up(address)
        yield address


Hire = Callable[..., Awaitable[Reader]]


@pytest.fixture
async def hire(chromium: Browser, site: str, services: Services) -> AsyncIterator[Hire]:
    """Gives a browser of its own to each reader who is asked for: to Aisha, who may read everything, unless
    somebody else is named; None is nobody who is known."""
    contexts = []

    async def hire(who: UUID | None = AISHA.id, **options: Any) -> Reader:
        context = await chromium.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(20_000)
        reader = Reader(await context.new_page(), site, services)
        reader.page.on(
            "request",
            lambda request: None if request.url.startswith(site) else reader.outside.append(request.url),
        )
        reader.page.on(
            "console",
            lambda message: (
                reader.complaints.append(message.text)
                if message.type == "error" and "the server responded with a status" not in message.text
                else None
            ),
        )
        if who is not None:
            await reader.come_in(who)
        reader.page.on("pageerror", lambda error: reader.complaints.append(str(error)))
        return reader

    yield hire
    for context in contexts:
        await context.close()


@pytest.fixture
async def reader(hire: Hire) -> Reader:
    """Aisha, an auditor: she may read everything."""
    return await hire()


@pytest.fixture
async def stranger(hire: Hire) -> Reader:
    """Somebody who has not signed in."""
    return await hire(None)


@pytest.fixture
async def administrator(hire: Hire) -> Reader:
    """Kofi, who looks after people and their roles."""
    return await hire(KOFI.id)


@pytest.fixture
async def manager(hire: Hire) -> Reader:
    """Marta, signed in."""
    reader = await hire(None)
    await reader.sign_in()
    return reader


def needs_form() -> Form:
    """The questionnaire of 2016, as it is shipped."""
    return read(files("domain.reference").joinpath("needs-2016.xlsx").read_bytes()).form


@pytest.fixture
async def office(services: Services) -> Office:
    """The Secretariat at work, by the real clock."""
    return Office(services, datetime.now(UTC))


@dataclass(frozen=True)
class Survey:
    """The needs survey, issued to Kenya and Peru."""

    round_id: UUID
    kenya: UUID
    peru: UUID


@pytest.fixture
async def survey(office: Office) -> Survey:
    """A round of the questionnaire of 2016 that is due in thirty days."""
    await office.with_parties()
    questionnaire_id = await office.with_form(needs_form())
    round_id = uuid4()
    await office.do(
        OpenRound(
            id=round_id,
            title="Needs survey",
            questionnaire_id=questionnaire_id,
            form_version="2016.1",
            audience=Audience(categories=(Category.DEVELOPING, Category.IN_TRANSITION)),
            due=Due(on=(office.now + timedelta(days=30)).date()),
            notice="These answers are invented.",
        )
    )
    await office.do(IssueRound(round_id=round_id, party_ids=(KENYA, PERU)))
    return Survey(round_id, invitation_id(round_id, KENYA), invitation_id(round_id, PERU))


@pytest.fixture
async def everything(office: Office, survey: Survey) -> None:
    """One of each kind of record."""
    await office.do(SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]}))
    for row in reference.chemicals()[:3]:
        await office.do(row.listing())
    await office.do(reference.centres()[0].registration())


def paths(survey: Survey, questionnaire: str) -> list[str]:
    """Every page that there is to read."""
    return [
        "/",
        "/rounds",
        f"/rounds/{survey.round_id}",
        f"/rounds/{survey.round_id}/issue",
        "/rounds/new",
        f"/invitations/{survey.kenya}",
        f"/invitations/{survey.peru}",
        f"/invitations/{survey.kenya}/answer",
        f"/invitations/{survey.peru}/answer",
        f"/gaps/{survey.round_id}",
        f"/gaps/{survey.round_id}?question=difficulties",
        f"/gaps/{survey.round_id}/customs",
        f"/gaps/{survey.round_id}/customs/Africa",
        "/parties",
        "/parties/KEN",
        "/questionnaires",
        questionnaire,
        f"{questionnaire}?lang=fr",
        "/letters",
        "/letters?state=cancelled",
        "/chemicals",
        "/delivery-partners",
        f"/history/{survey.kenya}",
        f"/history/{survey.round_id}",
        "/evidence",
        f"/history/{chemical_id(reference.chemicals()[0].id)}",
        "/sign-in",
        "/?as_of=1",
        "/nothing-here",
    ]
