"""People: roles that are given and ended, refusals that are remembered, and somebody who is erased."""

from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from domain.access import Action, Grant, Role, Subject, Way
from domain.aggregates import Stamp
from domain.parties import ContactRole
from domain.people import Account, Refusal, actor, refusal_id
from domain.rounds import invitation_id
from projections import access
from projections.reading import Tables
from projections.runner import Runner
from services.entrance import Entrance
from services.links import MakeLink
from services.people import ChangeRole, EndRole, ErasePerson, GrantRole, OpenAccount
from services.rights import GIVEN_UNDER, OF_THE_SERVICE
from services.settings import Settings
from services.store import Request
from services.wiring import Services
from tests.cast import KENYA, NOW, Office, contact_of

MANAGER = Grant(role=Role.PROGRAMME_MANAGER)
AUDITOR = Grant(role=Role.AUDITOR)
OF_KENYA = Grant(role=Role.PARTY_CONTACT, owner_id=KENYA)
PASSWORD = "seven horses in the rain"

SECRET_TABLES = (
    "people",
    "passwords",
    "password_links",
    "identities",
    "checkpoint_letters",
    "links",
    "sessions",
    "tokens",
    "news",
    "tries",
)


def test_every_command_is_given_by_people_or_by_the_service_itself(services: Services) -> None:
    assert GIVEN_UNDER.keys() | OF_THE_SERVICE == services.handlers.keys()
    assert not GIVEN_UNDER.keys() & OF_THE_SERVICE


async def test_roles_are_good_as_long_as_they_are_held(services: Services, runner: Runner) -> None:
    office, entrance = Office(services), Entrance(services)
    marta = await office.with_person("Marta", MANAGER)
    assert await entrance.grants_of(marta.id) == (MANAGER,)

    await office.do(
        ChangeRole(person_id=marta.id, before=MANAGER, after=AUDITOR, reason="Moved to the auditors.")
    )
    assert await entrance.grants_of(marta.id) == (AUDITOR,)

    await office.do(EndRole(person_id=marta.id, grant=AUDITOR, reason="Left."))
    assert await entrance.grants_of(marta.id) == ()
    await runner.catch_up()


async def test_it_refuses_an_account_for_somebody_who_is_not_in_the_directory(services: Services) -> None:
    answer = await Office(services).ask(OpenAccount(person_id=uuid4()))

    assert answer.outcome == "refused"
    assert b"Nobody in the directory" in answer.reply


async def test_it_refuses_a_role_for_a_party_that_is_not_registered(services: Services) -> None:
    office = Office(services)
    person = await office.with_person("Ana")

    answer = await office.ask(GrantRole(person_id=person.id, grant=OF_KENYA))

    assert b"There is no party" in answer.reply


async def test_what_was_refused_is_recorded_once_for_its_key(services: Services, runner: Runner) -> None:
    office, entrance, key = Office(services), Entrance(services), uuid4()
    ana = await office.with_person("Ana", AUDITOR)
    subject = Subject(person_id=ana.id, grants=(AUDITOR,))

    first = await entrance.record_refusal(subject, Action.RUN_ROUNDS, key, None, NOW)
    again = await entrance.record_refusal(subject, Action.RUN_ROUNDS, key, None, NOW + timedelta(days=1))
    other = await entrance.record_refusal(subject, Action.NAME_CONTACTS, key, KENYA, NOW)

    assert first is not None
    assert again == first
    assert other is None
    refusal = await services.store.read(Refusal, refusal_id(key))
    assert refusal.version == 1
    await runner.catch_up()
    async with Tables(services.settings.reader_url) as tables, tables.picture() as picture:
        [row] = await access.refusals(picture, ana.id)
        assert (row["action"], row["roles"], row["way"]) == (Action.RUN_ROUNDS, [Role.AUDITOR], Way.SIGN_IN)
        assert row["key"] == key


async def test_the_tables_tell_who_holds_what(services: Services, runner: Runner) -> None:
    office = Office(services)
    await office.with_parties("KEN")
    marta = await office.with_person("Marta", MANAGER)
    wanjiru = await office.with_person("Wanjiru", OF_KENYA)
    await office.do(EndRole(person_id=marta.id, grant=MANAGER, reason="On leave."))
    await office.do(GrantRole(person_id=marta.id, grant=MANAGER))

    await runner.catch_up()

    async with Tables(services.settings.reader_url) as tables, tables.picture() as picture:
        assert await access.numbers(picture) == {Role.PROGRAMME_MANAGER: 1, Role.PARTY_CONTACT: 1}
        [row] = await access.accounts(picture, owner_id=KENYA)
        assert row["person_id"] == wanjiru.id
        assert [held["role"] for held in row["roles"]] == [Role.PARTY_CONTACT]
        assert {row["person_id"] for row in await access.accounts(picture)} == {marta.id, wanjiru.id}
        [held] = await access.roles_of(picture, marta.id)
        assert held["owner_id"] is None


async def test_erasing_somebody_ends_every_way_in_and_leaves_the_history(
    services: Services, runner: Runner
) -> None:
    office, entrance = Office(services), Entrance(services)
    round_id = await office.with_open_round(KENYA)
    contact = contact_of("KEN", ContactRole.OFFICIAL_CONTACT_POINT)
    await office.do(OpenAccount(person_id=contact.id))
    await office.do(GrantRole(person_id=contact.id, grant=OF_KENYA))
    await entrance.passwords.set(contact.id, PASSWORD, NOW)
    await entrance.identities.claim("https://id.example.org", "4711", contact.id)
    session = await entrance.sign_in(contact.email, PASSWORD, "192.0.2.1", "Firefox", NOW)
    _, token = await entrance.tokens.make(
        contact.id, (OF_KENYA,), "export", OF_KENYA, "read", NOW + timedelta(days=1), NOW
    )
    link_id = uuid4()
    await office.do(
        MakeLink(
            id=link_id,
            invitation_id=invitation_id(round_id, KENYA),
            contact_id=contact.id,
            secret_sha256="0" * 64,
        )
    )

    await office.do(ErasePerson(person_id=contact.id, reason="Asked to be forgotten."))

    assert await services.directory.find(contact.id) is None
    assert await services.directory.names([contact.id]) == {}
    assert session is not None
    assert await entrance.by_session(session.secret, NOW) is None
    assert await entrance.by_token(token, NOW) is None
    assert await entrance.sign_in(contact.email, PASSWORD, "192.0.2.1", "Firefox", NOW) is None
    assert await left_in_the_directory(services, contact.id) == 0
    account = await services.store.read(Account, contact.id)
    assert account.erased
    await runner.catch_up()
    async with Tables(services.settings.reader_url) as tables, tables.picture() as picture:
        row = await access.account(picture, contact.id)
        assert row is not None
        assert row["state"] == "erased"
        link = await access.link(picture, link_id)
        assert link is not None
        assert link["state"] == "revoked"


async def test_a_contact_without_an_account_can_be_erased(services: Services) -> None:
    office = Office(services)
    await office.with_parties("KEN")
    contact = contact_of("KEN", ContactRole.OFFICIAL_CONTACT_POINT)

    await office.do(ErasePerson(person_id=contact.id, reason="Asked to be forgotten."))
    again = await office.ask(ErasePerson(person_id=contact.id, reason="Asked to be forgotten."))

    assert (await services.store.read(Account, contact.id)).erased
    assert b"was erased" in again.reply
    assert (await office.ask(ErasePerson(person_id=uuid4(), reason="Who?"))).outcome == "refused"


async def test_nobody_gives_a_role_to_themselves(services: Services) -> None:
    office = Office(services)
    li = await office.with_person("Li", Grant(role=Role.ADMINISTRATOR))

    answer = await services.execute(
        GrantRole(person_id=li.id, grant=MANAGER), Request(Stamp(by=actor(li.id), at=NOW))
    )

    assert b"gives a role to themselves" in answer.reply


@pytest.mark.parametrize("table", SECRET_TABLES)
async def test_the_directory_is_closed_to_those_who_make_or_read_tables(
    settings: Settings, table: str
) -> None:
    query = sql.SQL("SELECT FROM {}").format(sql.Identifier("directory", table))
    for url in (settings.reader_url, settings.projector_url):
        async with await psycopg.AsyncConnection.connect(url) as connection:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(query)
    async with await psycopg.AsyncConnection.connect(settings.writer_url) as connection:
        await connection.execute(query)


async def test_the_list_of_closed_tables_is_whole(settings: Settings) -> None:
    async with await psycopg.AsyncConnection.connect(settings.writer_url) as connection:
        cursor = await connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'directory'")
        assert {row[0] for row in await cursor.fetchall()} == set(SECRET_TABLES)


async def left_in_the_directory(services: Services, person_id: UUID) -> int:
    """Return how many rows of the directory are about a person."""
    columns = {
        "people": ("id",),
        "passwords": ("person_id",),
        "password_links": ("person_id",),
        "identities": ("person_id",),
        "checkpoint_letters": ("person_id",),
        "news": ("person_id",),
        "sessions": ("person_id",),
        "tokens": ("person_id",),
        "links": ("contact_id", "holder_id"),
    }
    found = 0
    async with services.pool.connection() as connection:
        for table, names in columns.items():
            for name in names:
                cursor = await connection.execute(
                    sql.SQL("SELECT FROM {} WHERE {} = %s").format(
                        sql.Identifier("directory", table), sql.Identifier(name)
                    ),
                    (person_id,),
                )
                found += cursor.rowcount
    return found
