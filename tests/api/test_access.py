"""Who may act, and what other sites can make a browser do: nothing."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
from pydantic import AnyHttpUrl

from api.access import PLAIN_COOKIE, SECURE_COOKIE
from domain.access import Grant, Role
from services.directory import Person
from services.entrance import Entrance
from services.people import EndRole
from services.settings import Settings
from services.wiring import Services
from tests.api.conftest import MARTAS_ID, Site, problem_of, serving, visiting
from tests.cast import Office, hired, register, session_of

PARTY = register("KEN").model_dump(mode="json")
MANAGER = Grant(role=Role.PROGRAMME_MANAGER)


async def test_nobody_who_is_not_known_reads_or_commands(site: Site) -> None:
    before = await site.log_position()
    async with site.stranger() as stranger:
        refused = await stranger.post("/api/v1/parties", json=PARTY)
        problem_of(refused, 401, "unauthenticated")
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
        problem_of(await stranger.get("/api/v1/parties"), 401, "unauthenticated")
    async with site.stranger(Authorization="Bearer made-up") as stranger:
        problem_of(await stranger.post("/api/v1/parties", json=PARTY), 401, "unauthenticated")
    assert await site.log_position() == before


async def test_whoever_left_the_directory_does_not_act_any_more(site: Site, services: Services) -> None:
    await services.directory.erase(MARTAS_ID)
    problem_of(await site.send("/parties", PARTY), 401, "unauthenticated")


def cookie_of(site: Site) -> dict[str, str]:
    """The header by which Marta's browser is known."""
    return {"Cookie": f"{PLAIN_COOKIE}={site.session}"}


async def test_a_browser_acts_from_our_own_pages_only(site: Site) -> None:
    host = f"{site.client.base_url.host}:{site.client.base_url.port}"
    theirs: tuple[dict[str, str], ...] = (
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": f"http://{host}"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://{host}.evil.example"},
        {"Authorization": "Basic x", "Sec-Fetch-Site": "cross-site"},
    )
    before = await site.log_position()
    async with site.stranger(**cookie_of(site)) as browser:
        for headers in theirs:
            refused = await browser.post("/api/v1/parties", json=PARTY, headers=headers)
            problem_of(refused, 403, "from-another-site")
        assert await site.log_position() == before
        ours = ({"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": f"http://{host}"})
        for code, headers in zip(("KEN", "PER", "FJI"), ours, strict=True):
            party = register(code).model_dump(mode="json")
            taken = await browser.post("/api/v1/parties", json=party, headers=headers)
            assert taken.status_code == 201, taken.text


async def test_every_answer_keeps_browsers_from_doing_harm_with_it(site: Site) -> None:
    programs = (
        "/health",
        "/api/v1/parties",
        "/api/v1/openapi.json",
        "/problems/stale",
        "/api/v1/parties/%00",
    )
    pages = ("/", "/sign-in", "/account", "/people", "/docs", "/nothing", "/static/style.css")
    secret = ("/l/a-secret", "/password/a-secret")
    for path in (*programs, *pages, *secret):
        headers = (await site.client.get(path, headers={"Accept": "text/html"})).headers
        assert headers["content-security-policy"] == (
            "default-src 'self'; base-uri 'none'; form-action 'self'; "
            "frame-ancestors 'none'; object-src 'none'"
        )
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
        # With no-referrer a browser would say “Origin: null” of our own forms.
        assert headers["referrer-policy"] == ("strict-origin" if path in secret else "same-origin")
        kept = "no-store" if path in (*secret, "/account") else "private, no-cache"
        assert headers["cache-control"] == ("no-cache" if "static" in path else kept), path
        assert "strict-transport-security" not in headers, "over plain HTTP it means nothing"


async def test_where_the_site_is_reached_over_https_browsers_are_told_to_come_so_for_a_year(
    settings: Settings,
) -> None:
    over_https = settings.model_copy(update={"public_url": AnyHttpUrl("https://mandate.example.org")})
    async with serving(over_https) as address, Site.anonymous(address) as client:
        for path in ("/health", "/nothing"):
            headers = (await client.get(path)).headers
            assert headers["strict-transport-security"] == "max-age=31536000"


async def test_nobody_signs_in_without_proof_unless_the_settings_say_so(
    site: Site, settings: Settings
) -> None:
    wanted = {"person_id": str(MARTAS_ID)}
    problem_of(await site.client.get("/api/v1/access/staff"), 403, "sign-in-is-not-open")
    problem_of(await site.client.post("/api/v1/access/sessions", json=wanted), 403, "sign-in-is-not-open")
    async with visiting(settings.model_copy(update={"open_sign_in": True})) as tried, tried.stranger() as me:
        staff = (await me.get("/api/v1/access/staff")).json()
        assert [person["name"] for person in staff] == ["Marta Lindqvist"]
        nobody = await me.post("/api/v1/access/sessions", json={"person_id": str(uuid4())})
        problem_of(nobody, 422, "unknown-person")
        session: httpx.Response = await me.post("/api/v1/access/sessions", json=wanted)
        headers = {"Authorization": f"Bearer {session.json()['token']}"}
        assert (await me.post("/api/v1/parties", json=PARTY, headers=headers)).status_code == 201


async def test_sessions_and_tokens_are_listed_and_ended(site: Site) -> None:
    another = await session_of(site.services, MARTAS_ID)
    listed = (await site.read("/access/sessions"))["items"]
    assert sorted(session["current"] for session in listed) == [False, True]
    (other,) = [session["id"] for session in listed if not session["current"]]
    assert another not in str(listed)

    end = datetime.now(UTC) + timedelta(days=30)
    wanted = {"name": "export", "role": "programme manager", "ends_at": end.isoformat()}
    made = await site.do("/access/tokens", wanted)
    assert made["token"] not in (await site.get("/access/tokens")).text
    async with site.stranger(Authorization=f"Bearer {made['token']}") as program:
        assert (await program.get("/api/v1/rounds")).status_code == 200
        problem_of(await program.post("/api/v1/parties", json=PARTY), 403, "no-right")
        problem_of(await program.post("/api/v1/access/tokens", json=wanted), 403, "no-right")
        await site.do(f"/access/tokens/{made['id']}", method="DELETE")
        problem_of(await program.get("/api/v1/rounds"), 401, "unauthenticated")

    await site.do(f"/access/sessions/{other}", method="DELETE")
    problem_of(await site.send(f"/access/sessions/{other}", method="DELETE"), 404, "not-found")
    assert (await site.do("/access/sessions", method="DELETE"))["ended"] == 1
    problem_of(await site.get("/rounds"), 401, "unauthenticated")


async def test_a_password_opens_a_session_and_all_failures_look_alike(site: Site) -> None:
    password = "a long sentence that nobody guesses"
    await Entrance(site.services).set_password(MARTAS_ID, password, datetime.now(UTC))
    async with site.stranger() as me:
        good = {"address": "marta@example.org", "password": password}
        opened = await me.post("/api/v1/access/sessions", json=good)
        assert opened.status_code == 201
        assert opened.headers["cache-control"] == "no-store"
        wrong = [good | {"password": "another"}, good | {"address": "nobody@example.org"}]
        answers = [await me.post("/api/v1/access/sessions", json=each) for each in wrong]
        assert {answer.status_code for answer in answers} == {401}
        assert answers[0].content == answers[1].content


async def test_a_role_that_has_ended_is_good_for_nothing_at_once(site: Site, services: Services) -> None:
    ana = Person(uuid4(), "Ana", "ana@example.org")
    await hired(services, ana, MANAGER)
    session = await session_of(services, ana.id)
    async with site.stranger(Authorization=f"Bearer {session}") as program:
        assert (await program.get("/api/v1/rounds")).status_code == 200
        await Office(services, datetime.now(UTC)).do(
            EndRole(person_id=ana.id, grant=MANAGER, reason="She left.")
        )
        problem_of(await program.get("/api/v1/rounds"), 401, "unauthenticated")


async def test_over_https_the_cookie_is_the_site_s_own_and_no_plain_page_acts_with_it(
    site: Site, settings: Settings
) -> None:
    password = "a long sentence that nobody guesses"
    await Entrance(site.services).set_password(MARTAS_ID, password, datetime.now(UTC))
    over_https = settings.model_copy(update={"public_url": AnyHttpUrl("https://mandate.example.org")})
    ours, host = {"Origin": "https://mandate.example.org"}, {"Host": "mandate.example.org"}
    async with serving(over_https) as address, Site.anonymous(address) as client:
        form = {"address": "marta@example.org", "password": password}
        cookie = (await client.post("/sign-in", data=form, headers=ours)).headers["set-cookie"]
        name, _, secret = cookie.partition(";")[0].partition("=")
        assert name == SECURE_COOKIE == "__Host-mandate"
        kept = {part.strip().partition("=")[0].lower() for part in cookie.split(";")[1:]}
        assert kept == {"httponly", "max-age", "path", "samesite", "secure"}, "it names no domain"
        assert "Path=/;" in f"{cookie};"
        assert "SameSite=lax" in cookie

        browser = host | {"Cookie": f"{SECURE_COOKIE}={secret}"}
        for origin in ("http://mandate.example.org", "https://evil.example", "null", "http://[", None):
            headers = browser | ({"Origin": origin} if origin else {})
            refused = await client.post("/api/v1/parties", json=PARTY, headers=headers)
            problem_of(refused, 403, "from-another-site")
        taken = await client.post("/api/v1/parties", json=PARTY, headers=browser | ours)
        assert taken.status_code == 201, taken.text
        plain = {"Cookie": f"{PLAIN_COOKIE}={secret}"} | ours
        problem_of(await client.post("/api/v1/parties", json=PARTY, headers=plain), 401, "unauthenticated")
