"""Signing in at a real provider of OpenID Connect, through our own site."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from pydantic import AnyHttpUrl, SecretStr

from api.access import PLAIN_COOKIE, SECURE_COOKIE
from api.stack.ports import free_port
from domain.access import Grant, Role
from services.directory import Person
from services.openid import RETURN_PATH
from services.settings import Settings
from services.wiring import Services
from tests.api.conftest import projecting, serving
from tests.cast import hired, session_of
from tests.pages.conftest import Reader, caught_up
from tests.provider import CLIENT, PASSWORD, SECRET, Browser, Provider, running_provider

AUDITOR = Grant(role=Role.AUDITOR)
START = f"{RETURN_PATH}/start"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_provider(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


def knowing(settings: Settings, provider: Provider, **changes: Any) -> Settings:
    """Return settings with which people sign in at the provider, which decides itself on addresses."""
    return settings.model_copy(
        update={
            "openid_issuer": provider.issuer,
            "openid_client_id": CLIENT,
            "openid_client_secret": SecretStr(SECRET),
            "openid_name": "Canaille",
            "openid_trusts_addresses": True,
            **changes,
        }
    )


@pytest.fixture
async def site(settings: Settings, provider: Provider, services: Services) -> AsyncIterator[str]:
    """The site, registered at the provider under the address that it has in this test."""
    port, client = free_port(), f"mandate {uuid4()}"
    address = f"http://127.0.0.1:{port}"
    provider.add_client(client, SECRET, address + RETURN_PATH)
    settings = knowing(settings, provider, openid_client_id=client, public_url=AnyHttpUrl(address))
    async with projecting(settings), serving(settings, port) as served:
        await caught_up(served)
        yield served


async def with_ana(services: Services, login: str, *grants: Grant) -> Person:
    """Open an account for whom the provider knows under a name of sign-in."""
    ana = Person(uuid4(), "Ana Quispe", f"{login}@example.org")
    await hired(services, ana, *grants)
    return ana


async def test_somebody_signs_in_at_the_provider_and_comes_back_to_where_they_were(
    stranger: Reader, provider: Provider, services: Services
) -> None:
    login = provider.add_person()
    ana = await with_ana(services, login, AUDITOR)
    await stranger.open("/rounds")
    assert "/sign-in" in stranger.page.url
    await stranger.must_be_good()
    stranger.outside.clear()

    await stranger.follow("Sign in with Canaille")
    for name, typed in (("login", login), ("password", PASSWORD)):
        await stranger.page.locator(f"input[name={name}]").fill(typed)
        await stranger.page.locator(f"input[name={name}]").press("Enter")
        await stranger.page.wait_for_load_state()
    await stranger.page.locator("button[name=answer][value=accept]").click()
    await stranger.page.wait_for_url(f"{stranger.site}/rounds")

    assert "Ana Quispe, auditor" in await stranger.text()
    cookies = {cookie["name"]: cookie for cookie in await stranger.page.context.cookies(stranger.site)}
    assert set(cookies) == {PLAIN_COOKIE}, "what was kept for the way is gone"
    assert (cookies[PLAIN_COOKIE]["httpOnly"], cookies[PLAIN_COOKIE]["sameSite"]) == (True, "Lax")
    assert await services.directory.find(ana.id) == ana


async def returned(browser: httpx.AsyncClient, provider: Provider, site: str, login: str, **more: str) -> str:
    """Go out to the provider and come back; return where the site leads to then."""
    out = await browser.get(START, params={"next": "/rounds"})
    with Browser(site + RETURN_PATH) as elsewhere:
        answer = elsewhere.sign_in(out.headers["location"], login)
    back = await browser.get(RETURN_PATH, params=answer | more)
    assert back.status_code == 303
    return back.headers["location"]


async def test_a_sign_in_ends_the_session_that_the_browser_had(
    site: str, provider: Provider, services: Services
) -> None:
    login = provider.add_person()
    ana = await with_ana(services, login, AUDITOR)
    before = await session_of(services, ana.id)
    async with httpx.AsyncClient(base_url=site, timeout=20) as browser:
        browser.cookies.set(PLAIN_COOKIE, before, domain="127.0.0.1", path="/")
        assert await returned(browser, provider, site, login) == "/rounds"
        after = browser.cookies[PLAIN_COOKIE]
    assert after != before
    async with httpx.AsyncClient(base_url=site, cookies={PLAIN_COOKIE: before}) as thief:
        assert (await thief.get("/rounds")).status_code == 401


async def test_whoever_is_not_signed_in_is_told_what_to_do(
    site: str, provider: Provider, services: Services
) -> None:
    login = provider.add_person()
    await with_ana(services, login)  # holds no role
    async with httpx.AsyncClient(base_url=site, timeout=20) as browser:
        led_to = await returned(browser, provider, site, login)
        assert "said=no-account" in led_to
        assert PLAIN_COOKIE not in browser.cookies
        page = await browser.get(led_to)
        assert page.status_code == 422
        assert "Ask an administrator to open an account" in " ".join(page.text.split())

        forged = await returned(browser, provider, site, provider.add_person(), state="of somebody else")
        assert "said=not-signed-in" in forged
        assert "Begin again from here." in (await browser.get(forged)).text
        assert "next=%2Frounds" in forged

    async with httpx.AsyncClient(
        base_url=site, cookies={f"{PLAIN_COOKIE}-openid": "bm9uc2Vuc2U="}
    ) as stranger:
        for answer in ("", "?code=x&state=y", "?error=access_denied"):
            back = await stranger.get(RETURN_PATH + answer)
            assert "said=not-signed-in" in back.headers["location"]


async def test_a_provider_that_is_away_is_told_and_asked_for_again_next_time(
    settings: Settings, provider: Provider
) -> None:
    away = knowing(settings, provider, openid_issuer=f"http://localhost:{free_port()}")
    async with projecting(away), serving(away) as site, httpx.AsyncClient(base_url=site) as browser:
        await caught_up(site)
        led_to = (await browser.get(START, params={"next": "//elsewhere.example"})).headers["location"]
        assert led_to == "/sign-in?said=provider-unavailable&next=%2F"
        page = await browser.get(led_to)
        assert "cannot be reached" in page.text


async def test_the_cookie_of_the_way_is_the_site_s_own_over_https(
    settings: Settings, provider: Provider
) -> None:
    over_https = knowing(settings, provider, public_url=AnyHttpUrl("https://mandate.example.org"))
    async with serving(over_https) as site, httpx.AsyncClient(base_url=site, timeout=20) as browser:
        out = await browser.get(START)
        cookie = out.headers["set-cookie"]
        assert urlsplit(out.headers["location"]).netloc == urlsplit(provider.issuer).netloc
        assert cookie.startswith(f"{SECURE_COOKIE}-openid=")
        for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/", "Max-Age=600"):
            assert part in cookie
        assert "Domain" not in cookie


async def test_without_a_provider_there_is_no_such_way(settings: Settings) -> None:
    async with serving(settings) as site, httpx.AsyncClient(base_url=site) as browser:
        for path in (START, RETURN_PATH):
            assert (await browser.get(path)).status_code == 404
