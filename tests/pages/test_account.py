"""Coming in with a password, and looking after one's own ways in."""

from datetime import UTC, datetime, timedelta

from domain.access import Way
from services.entrance import Entrance
from services.wiring import Services
from tests.api.conftest import MARTAS_ID
from tests.pages.conftest import Hire, Reader

PASSWORD = "seven horses in the rain"


async def test_a_password_opens_the_door_and_all_failures_are_answered_alike(
    stranger: Reader, services: Services
) -> None:
    await Entrance(services).passwords.set(MARTAS_ID, PASSWORD, datetime.now(UTC))
    said = set()
    for address, password in (
        ("marta@example.org", "seven horses in the sun"),
        ("nobody@example.org", PASSWORD),
    ):
        await stranger.open("/sign-in?next=//elsewhere.example")
        await stranger.page.get_by_label("Mail address").fill(address)
        await stranger.page.get_by_label("Password").fill(password)
        await stranger.press("Sign in")
        said.add(await stranger.text())
        await stranger.must_be_good()
        assert password not in await stranger.page.content()
    assert len(said) == 1

    await stranger.page.get_by_label("Mail address").fill("marta@example.org")
    await stranger.page.get_by_label("Password").fill(PASSWORD)
    await stranger.press("Sign in")
    assert stranger.page.url == f"{stranger.site}/"
    assert "Marta Lindqvist, programme manager" in await stranger.text()


async def test_a_token_is_shown_once_and_ended(manager: Reader, services: Services) -> None:
    await manager.open("/account")
    await manager.press("Make the token")
    assert "Choose the last day of the token." in await manager.text()
    await manager.must_be_good()

    await manager.page.get_by_label("Name").fill("nightly export")
    await manager.page.get_by_label("Last day").fill(f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}")
    await manager.press("Make the token")
    await manager.must_be_good()
    secret = await manager.page.locator(".notice code").inner_text()
    visitor = await Entrance(services).by_token(secret, datetime.now(UTC))
    assert visitor is not None
    assert visitor.subject.way is Way.READING_TOKEN

    await manager.open("/account")
    assert secret not in await manager.page.content()
    await manager.press("End the token nightly export")
    assert await Entrance(services).by_token(secret, datetime.now(UTC)) is None


async def test_sessions_elsewhere_are_ended(manager: Reader, hire: Hire) -> None:
    elsewhere = await hire(MARTAS_ID)
    await elsewhere.open("/account")
    assert await elsewhere.heading() == "My account"

    await manager.open("/account")
    await manager.press("End all others")
    assert await manager.page.locator("table tbody tr").count() == 1
    await elsewhere.open("/account")
    assert "/sign-in" in elsewhere.page.url
