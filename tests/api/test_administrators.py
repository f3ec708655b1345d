"""The first administrator, made from the command line."""

import asyncio
from datetime import UTC, datetime
from subprocess import CompletedProcess

from domain.access import Grant, Role
from domain.people import Account
from services.entrance import Entrance
from services.settings import Settings
from services.wiring import Services
from tests.api.test_commandline import mandate
from tests.cast import Office

ADMINISTRATOR = Grant(role=Role.ADMINISTRATOR)
PASSWORD = "seven horses in the rain"


async def ask(settings: Settings, *more: str, address: str = "ana@example.org") -> CompletedProcess[str]:
    """Ask for an administrator, as an operator does."""
    command = ("people", "administrator", "--name", "Ana Quispe", "--address", address, *more)
    return await asyncio.to_thread(mandate, *command, MANDATE_WRITER_URL=settings.writer_url)


async def test_the_first_administrator_sets_a_password_and_comes_in(
    settings: Settings, services: Services
) -> None:
    done = await ask(settings)
    assert done.returncode == 0, done.stderr
    address = done.stdout.strip()
    assert address.startswith("http://127.0.0.1:8000/password/")
    assert address not in done.stderr

    entrance, now = Entrance(services), datetime.now(UTC)
    assert await entrance.set_password_by_link(address.rpartition("/")[2], PASSWORD, now)
    session = await entrance.sign_in("ana@example.org", PASSWORD, "192.0.2.1", "Firefox", now)
    assert session is not None
    assert await entrance.grants_of(session.person_id) == (ADMINISTRATOR,)
    assert (await services.directory.everybody())[0].name == "Ana Quispe"


async def test_where_there_is_an_administrator_another_is_made_only_when_told_so(
    settings: Settings, services: Services
) -> None:
    office = Office(services)
    ana = await office.with_person("Ana", ADMINISTRATOR)
    refused = await ask(settings, address="joseph@example.org")
    assert refused.returncode == 1
    assert "There is an administrator already" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert [person.id for person in await services.directory.everybody()] == [ana.id]

    assert (await ask(settings, "--another", address="joseph@example.org")).returncode == 0
    assert len(await services.directory.everybody()) == 2

    again = await ask(settings, "--another", address="ANA@example.org")
    assert again.returncode == 0
    assert len(await services.directory.everybody()) == 2, "whoever has the address is the one who is meant"
    assert (await services.store.read(Account, ana.id)).grants == [ADMINISTRATOR]
    holder = await Entrance(services).holder_of_password_link(
        again.stdout.strip().rpartition("/")[2], datetime.now(UTC)
    )
    assert holder == ana


async def test_what_is_no_mail_address_is_refused(settings: Settings, services: Services) -> None:
    refused = await ask(settings, address="ana")
    assert refused.returncode == 2
    assert "mail address such as" in refused.stderr
    assert await services.directory.everybody() == []
