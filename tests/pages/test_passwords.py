"""Setting a password: by a link that an administrator makes, and one's own."""

from datetime import UTC, datetime
from uuid import uuid4

import httpx

from api.access import PLAIN_COOKIE
from domain.access import Grant, Role
from services.directory import Person
from services.entrance import Entrance
from services.wiring import Services
from tests.api.conftest import MARTAS_ID
from tests.cast import hired, session_of
from tests.pages.conftest import KOFI, Hire, Reader

FIRST, SECOND = "seven horses in the rain", "nine boats under a bridge"
ANA = Person(uuid4(), "Ana Quispe", "ana.quispe@example.org")


async def sign_in(reader: Reader, address: str, password: str) -> None:
    """Fill in the form of the sign-in."""
    await reader.page.get_by_label("Mail address").fill(address)
    await reader.page.get_by_label("Password").fill(password)
    await reader.press("Sign in")


async def make_link(administrator: Reader, person: Person) -> str:
    """Make a link on the page of a person, and return its path."""
    await administrator.open(f"/people/{person.id}")
    await administrator.page.locator("summary", has_text="Make a link to set a password").click()
    await administrator.press("Make the link")
    return (await administrator.page.locator(".notice code").inner_text()).partition("8000")[2]


async def test_somebody_sets_their_first_password_by_a_link(
    administrator: Reader, hire: Hire, services: Services
) -> None:
    await hired(services, ANA, Grant(role=Role.FINANCE_OFFICER))
    path = await make_link(administrator, ANA)
    assert path.startswith("/password/")
    await administrator.must_be_good()
    ana = await hire(None, viewport={"width": 375, "height": 740})

    for _ in range(2):
        response = await ana.open(path)
    assert response.headers["referrer-policy"] == "strict-origin"
    assert response.headers["cache-control"] == "no-store"
    assert "For Ana Quispe." in await ana.text()
    await ana.must_be_good()
    for password, again, said in (
        (FIRST, SECOND, "The two are not the same."),
        ("short", "short", "Choose at least 15 characters"),
    ):
        await ana.page.get_by_label("New password", exact=True).fill(password)
        await ana.page.get_by_label("The new password once more").fill(again)
        await ana.press("Set the password")
        assert said in await ana.text()
        await ana.must_be_good()
    await ana.page.get_by_label("New password", exact=True).fill(FIRST)
    await ana.page.get_by_label("The new password once more").fill(FIRST)
    await ana.press("Set the password")
    assert "The password is set." in await ana.text()
    assert path.removeprefix("/password/") not in ana.page.url
    await ana.must_be_good()

    await sign_in(ana, ANA.email, FIRST)
    assert "Ana Quispe, finance officer" in await ana.text()
    assert (await ana.open(path)).status == 404
    assert "This link is not good any more" in await ana.text()
    await ana.must_be_good()

    await administrator.open(f"/history/{ANA.id}")
    said = await administrator.text()
    assert "A link was made with which the person sets a password" in said
    assert "The person set a password" in said
    assert path.removeprefix("/password/") not in await administrator.page.content()


async def test_a_button_that_is_pressed_twice_shows_its_link_once(
    administrator: Reader, services: Services
) -> None:
    await hired(services, ANA)
    secret = await session_of(services, KOFI.id)
    async with httpx.AsyncClient(base_url=administrator.site, cookies={PLAIN_COOKIE: secret}) as browser:
        headers, form = {"Sec-Fetch-Site": "same-origin"}, {"key": str(uuid4())}
        path = f"/people/{ANA.id}/password-link"
        first, again = [await browser.post(path, data=form, headers=headers) for _ in range(2)]
    assert "/password/" in first.text
    assert "/password/" not in again.text
    assert "The button was pressed before" in again.text


async def test_whoever_changes_a_password_says_the_old_one_and_is_signed_out_elsewhere(
    manager: Reader, hire: Hire, services: Services
) -> None:
    await Entrance(services).set_password(MARTAS_ID, FIRST, datetime.now(UTC))
    await manager.sign_in()
    elsewhere = await hire(MARTAS_ID)
    await manager.open("/account")
    await manager.page.locator("summary", has_text="Change the password").click()
    for current, said in ((SECOND, "This is not your password"), (FIRST, "The password is set.")):
        await manager.page.get_by_label("Password as it is now").fill(current)
        await manager.page.get_by_label("New password", exact=True).fill(SECOND)
        await manager.page.get_by_label("The new password once more").fill(SECOND)
        await manager.press("Change the password")
        assert said in await manager.text()
        await manager.must_be_good()
    await elsewhere.open("/account")
    assert "/sign-in" in elsewhere.page.url

    await manager.press("Sign out")
    await sign_in(manager, "marta@example.org", SECOND)
    assert "Marta Lindqvist" in await manager.text()
