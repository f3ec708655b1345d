"""An administrator looks after people; an auditor looks on."""

import asyncio
from uuid import uuid4

from api.pages.people import ON_A_PAGE
from domain.access import Grant, Role
from domain.parties import ContactRole
from domain.people import Account
from services.wiring import Services
from tests.api.conftest import MARTAS_ID
from tests.cast import KENYA, Office, contact_of
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
        forms = [await form.get_attribute("method") for form in await reader.page.locator("main form").all()]
        assert set(forms) <= {None}, "they look for people, and send nothing"
        assert await reader.page.locator("main button").count() == len(forms)
        await reader.must_be_good()
        assert (await manager.open(path)).status == 404


async def test_a_contact_without_an_account_is_found_erased_and_called_a_former_contact(
    administrator: Reader, office: Office
) -> None:
    await office.with_parties("KEN")
    contact = contact_of("KEN", ContactRole.OFFICIAL_CONTACT_POINT)
    await administrator.open("/parties/KEN")
    await administrator.follow(contact.name)
    assert await administrator.heading() == contact.name
    assert "not opened" in await administrator.text()
    await administrator.must_be_good()
    await administrator.page.locator("summary", has_text="Erase").click()
    await administrator.page.locator("#erase-reason").fill("Asked to be forgotten.")
    await administrator.press("Erase the person")

    assert await administrator.heading() == "A former contact"
    assert "The person was erased from the directory." in await administrator.text()
    await administrator.open(f"/history/{KENYA}")
    said = await administrator.text()
    assert "a former contact" in said
    assert contact.name not in said
    assert (await administrator.open(f"/people/{uuid4()}")).status == 404


async def test_a_contact_is_given_an_account(administrator: Reader, office: Office) -> None:
    await office.with_parties("KEN")
    contact = contact_of("KEN", ContactRole.OFFICIAL_CONTACT_POINT)
    await administrator.open(f"/people/{contact.id}")
    await administrator.page.locator("summary", has_text="Open the account").click()
    await administrator.press("Open the account")
    assert await administrator.heading() == contact.name
    assert await administrator.page.locator("summary", has_text="Give a role").count() == 1


async def test_the_list_of_people_is_light_and_shows_those_of_one_role(
    administrator: Reader, office: Office
) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(ON_A_PAGE + 1):
            grant = Grant(role=Role.DONOR_CONTACT, owner_id=uuid4())
            group.create_task(office.with_person(f"Donor{number:03}", grant))
    await administrator.open("/")
    await administrator.follow("donor contact")
    assert f"{ON_A_PAGE + 1} people" in await administrator.text()
    assert await administrator.page.locator("tbody tr").count() == ON_A_PAGE
    await administrator.must_be_good()
    await administrator.follow("More people")
    assert await administrator.page.locator("tbody tr").count() == 1
    assert f"Donor{ON_A_PAGE:03}" in await administrator.text()
