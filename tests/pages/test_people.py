"""An administrator looks after people; an auditor looks on."""

from domain.access import Grant, Role
from domain.people import Account
from services.wiring import Services
from tests.api.conftest import MARTAS_ID
from tests.pages.conftest import KOFI, Reader


async def test_an_account_is_opened_and_its_role_given_changed_and_ended(
    administrator: Reader, services: Services
) -> None:
    await administrator.open("/people")
    await administrator.press("Open the account")
    assert "Give the person’s name." in await administrator.text()
    await administrator.must_be_good()
    await administrator.page.get_by_label("Name").fill("Ana Quispe")
    await administrator.page.get_by_label("Mail address").fill("ana@example.org")
    await administrator.press("Open the account")
    assert await administrator.heading() == "Ana Quispe"
    person = administrator.page

    await person.locator("summary", has_text="Give a role").click()
    await person.locator("#grant-after").select_option("finance officer")
    await administrator.press("Give the role")
    await person.locator("summary", has_text="Change a role").click()
    await person.locator("#change-before").select_option("finance officer")
    await person.locator("#change-after").select_option("auditor")
    await administrator.press("Change the role")
    assert "Say why." in await administrator.text()
    await administrator.must_be_good()
    await person.locator("summary", has_text="Change a role").click()
    await person.locator("#change-before").select_option("finance officer")
    await person.locator("#change-after").select_option("auditor")
    await person.locator("#change-reason").fill("A new post.")
    await administrator.press("Change the role")
    assert "auditor, since" in await administrator.text()

    await person.locator("summary", has_text="Erase").click()
    await person.locator("#erase-reason").fill("Left the service.")
    await administrator.press("Erase the person")
    assert await administrator.heading() == "A former contact"
    assert "Ana" not in await administrator.text()


async def test_nobody_gives_a_role_to_themselves(administrator: Reader, services: Services) -> None:
    await administrator.open(f"/people/{KOFI.id}")
    await administrator.page.locator("summary", has_text="Give a role").click()
    await administrator.page.locator("#grant-after").select_option("finance officer")
    await administrator.press("Give the role")
    assert "Nobody gives a role to themselves." in await administrator.text()
    account = await services.store.read(Account, KOFI.id)
    assert account.grants == [Grant(role=Role.ADMINISTRATOR)]


async def test_an_auditor_sees_people_and_changes_nothing_and_a_manager_sees_nobody(
    reader: Reader, manager: Reader
) -> None:
    for path in ("/people", f"/people/{MARTAS_ID}"):
        assert (await reader.open(path)).status == 200
        assert "Marta Lindqvist" in await reader.text()
        assert await reader.page.locator("main button, main form").count() == 0
        await reader.must_be_good()
        assert (await manager.open(path)).status == 404
