"""Each role has a home: what is due, late, blocked or waiting for whoever reads."""

import random
import re
from html import unescape

import httpx
import pytest

from api.access import PLAIN_COOKIE
from domain.access import OWNERS, Grant, Role
from domain.aggregates import identify
from domain.programme import delivery_partner_id
from services import reference
from services.directory import Person
from services.log import Log
from services.people import EndRole
from services.settings import Settings
from services.wiring import Services
from tests.api.conftest import MARTAS_ID
from tests.cast import KENYA, Office, hired, session_of
from tests.pages.conftest import Hire, Reader, Survey, caught_up
from tests.projections.histories import DEEDS, Plan, lived
from tests.services.logbook import an_entry

CENTRE = reference.centres()[0]
PARTS = {
    Role.PROGRAMME_MANAGER: "What is due, late or blocked",
    Role.FINANCE_OFFICER: "Money",
    Role.AUDITOR: "Evidence",
    Role.ADMINISTRATOR: "People and their roles",
    Role.PARTY_CONTACT: "Questionnaires for you to answer",
    Role.DELIVERY_PARTNER: "What is recorded of your organization",
    Role.DONOR_CONTACT: "Your contributions",
}


def grant_of(role: Role) -> Grant:
    """A role, held for somebody of the cast where it is held for somebody."""
    owners = {
        Role.PARTY_CONTACT: KENYA,
        Role.DELIVERY_PARTNER: delivery_partner_id(CENTRE.id),
        Role.DONOR_CONTACT: identify("donor", "of the tests"),
    }
    return Grant(role=role, owner_id=owners.get(role))


async def somebody(services: Services, office: Office, *roles: Role) -> Person:
    """Somebody who holds some roles."""
    person = Person(identify("holder", *roles), "Sam Somebody", "sam@example.org")
    await hired(services, person, *(grant_of(role) for role in roles))
    return person


@pytest.fixture
async def centre(office: Office) -> None:
    """A delivery partner is in the register."""
    await office.do(CENTRE.registration())


@pytest.mark.parametrize("role", Role)
async def test_each_role_has_its_home_now_and_before(
    hire: Hire, survey: Survey, centre: None, services: Services, office: Office, role: Role
) -> None:
    person = await somebody(services, office, role)
    reader = await hire(person.id, viewport={"width": 375, "height": 740})
    for path in ("/", "/?as_of=3", "/news"):
        assert (await reader.open(path)).status == 200
        await reader.must_be_good()
    await reader.open("/")
    headings = await reader.page.locator("main h2").all_inner_texts()
    assert headings[0] == PARTS[role]
    assert not set(PARTS.values()) & set(headings[1:])
    for link in await reader.page.locator("main a").all():
        path = str(await link.get_attribute("href"))
        answer = await reader.page.request.get(reader.site + path)
        assert answer.status == 200, f"{role} cannot open {path}"


@pytest.mark.parametrize("role", sorted(OWNERS))
async def test_no_page_leads_its_reader_to_what_they_may_not_open(
    hire: Hire, survey: Survey, centre: None, services: Services, office: Office, role: Role
) -> None:
    await office.do(reference.chemicals()[0].listing())
    reader = await hire((await somebody(services, office, role)).id)
    await reader.open("/")
    for page in await links(reader, "nav.menu a"):
        await reader.open(page)
        for path in await links(reader, "main a[href^='/']"):
            answer = await reader.page.request.get(reader.site + path)
            assert answer.status == 200, f"{role} is led from {page} to {path}"


async def links(reader: Reader, where: str) -> list[str]:
    """Return where the links in a part of the page lead."""
    return [str(await link.get_attribute("href")) for link in await reader.page.locator(where).all()]


async def test_whoever_has_several_roles_finds_the_parts_of_each(
    hire: Hire, survey: Survey, centre: None, services: Services, office: Office
) -> None:
    roles = (Role.PROGRAMME_MANAGER, Role.ADMINISTRATOR, Role.PARTY_CONTACT)
    person = await somebody(services, office, *roles)
    reader = await hire(person.id)
    await reader.open("/")
    headings = await reader.page.locator("main h2").all_inner_texts()
    assert headings[:3] == [PARTS[role] for role in roles]
    await reader.must_be_good()


async def test_an_auditor_is_told_of_roles_and_refusals_and_finds_nothing_to_press(
    reader: Reader, survey: Survey, services: Services, office: Office
) -> None:
    person = await somebody(services, office, Role.FINANCE_OFFICER)
    cookies = {PLAIN_COOKIE: await session_of(services, person.id)}
    async with httpx.AsyncClient(base_url=reader.site, cookies=cookies) as client:
        refused = await client.post("/rounds/new", headers={"Sec-Fetch-Site": "same-origin"})
        assert refused.status_code == 403
    await reader.open("/")
    said = await reader.text()
    assert "commands refused 1" in said
    assert "heckpoint" in said
    assert await reader.page.locator("main form[method=post]").count() == 0
    await reader.follow("commands refused")
    assert "A command was refused: Sam Somebody" in await reader.text()


async def test_an_administrator_sees_who_waits_for_a_role(
    administrator: Reader, survey: Survey, services: Services, office: Office
) -> None:
    person = await somebody(services, office, Role.FINANCE_OFFICER)
    await administrator.open("/")
    assert "accounts without a role 0" in await administrator.text()
    grant = grant_of(Role.FINANCE_OFFICER)
    await office.do(EndRole(person_id=person.id, grant=grant, reason="Moved on."))
    await administrator.open("/")
    assert "accounts without a role 1" in await administrator.text()
    await administrator.follow("Sam Somebody")
    assert await administrator.heading() == "Sam Somebody"


def a_plan(seed: int) -> Plan:
    """A history that nobody has thought of, in which several rounds go out and are then left to chance."""
    chance = random.Random(seed)
    rounds = [("open_round", days, days % 2) for days in (2, 5, 30)]
    issues = [("issue_round", number, 6) for number in range(4)]
    names = chance.choices([*sorted(DEEDS), "lapse", "escalate", "end_letter", "end_letter"], k=60)
    return [*rounds, *issues, *((name, chance.randrange(999), chance.randrange(99)) for name in names)]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_home_of_a_manager_counts_what_the_pages_behind_it_show(
    site: str, services: Services, settings: Settings, seed: int
) -> None:
    world = await lived(a_plan(seed))
    async with Log(settings.writer_url) as log:
        await log.append(an_entry(*world.log))
    await caught_up(site)
    cookies = {PLAIN_COOKIE: await session_of(services, MARTAS_ID)}
    async with httpx.AsyncClient(base_url=site, cookies=cookies) as client:
        home = (await client.get("/")).text
        figures = re.findall(r'<dt><a href="(/rounds/waiting[^"]*)">([^<]*)</a></dt><dd>(\d+)</dd>', home)
        assert len(figures) == 6
        for path, name, number in figures:
            behind = (await client.get(unescape(path))).text
            assert behind.count('<th scope="row">') == int(number), name
        assert sum(number != "0" for _, _, number in figures) > 1
