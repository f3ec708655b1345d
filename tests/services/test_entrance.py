"""Coming in: passwords, sessions and tokens, and how often somebody may try."""

import asyncio
import time
from datetime import datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from domain.access import Action, Grant, Role, Way
from domain.aggregates import Stamp
from domain.people import PASSWORD_LINK_LASTS, actor
from domain.refusals import Invalid, NotAllowed, NotFound
from services.directory import Person
from services.entrance import Entrance
from services.hashing import hashed, new_secret
from services.people import EndRole, MakePasswordLink, SetPassword
from services.sessions import AGE, IDLE, OpenedSession
from services.settings import Settings
from services.store import Request
from services.tries import WINDOW, Limits, Tries, network_of
from services.wiring import Services, open_services
from tests.cast import NOW, Office, Postbox

MANAGER = Grant(role=Role.PROGRAMME_MANAGER)
FINANCE = Grant(role=Role.FINANCE_OFFICER)
PASSWORD, ANOTHER = "seven horses in the rain", "nine boats under a bridge"
HERE, THERE = "192.0.2.1", "198.51.100.7"


async def marta_with_a_password(services: Services, *grants: Grant) -> tuple[Entrance, Person]:
    """Marta, a programme manager, who has set her password."""
    entrance = Entrance(services)
    marta = await Office(services).with_person("Marta", *(grants or (MANAGER,)))
    await entrance.passwords.set(marta.id, PASSWORD, NOW)
    return entrance, marta


async def signed_in(entrance: Entrance, person: Person, browser: str = "Firefox") -> OpenedSession:
    opened = await entrance.admit(person.id, browser, NOW)
    assert opened is not None
    return opened


# Passwords.


async def test_a_password_opens_a_session(services: Services) -> None:
    entrance, marta = await marta_with_a_password(services)

    opened = await entrance.sign_in(" MARTA@example.org ", PASSWORD, HERE, "Firefox", NOW)

    assert opened is not None
    visitor = await entrance.by_session(opened.secret, NOW)
    assert visitor is not None
    assert visitor.person == marta
    assert visitor.subject.grants == (MANAGER,)
    assert visitor.subject.way is Way.SIGN_IN
    assert visitor.session is not None
    assert visitor.session.id == opened.id


async def test_all_failures_are_answered_alike(services: Services) -> None:
    entrance, _ = await marta_with_a_password(services)
    without_role = await Office(services).with_person("Ana")
    await entrance.passwords.set(without_role.id, PASSWORD, NOW)
    await Office(services).with_person("Joseph", FINANCE)  # has no password

    for address, password in (
        ("marta@example.org", "seven horses in the sun"),
        ("nobody@example.org", PASSWORD),
        ("ana@example.org", PASSWORD),
        ("joseph@example.org", PASSWORD),
        ("", ""),
        ("\0", "\0"),
        ("marta@example.org\0", "\ud800" * 500),
    ):
        assert await entrance.sign_in(address, password, HERE, "Firefox", NOW) is None


async def test_an_address_that_nobody_has_takes_as_long_as_a_wrong_password(services: Services) -> None:
    entrance, _ = await marta_with_a_password(services)

    async def seconds(address: str) -> float:
        begun = time.perf_counter()
        assert await entrance.passwords.check(address, "seven horses in the sun") is None
        return time.perf_counter() - begun

    await seconds("warm.up@example.org")
    wrong = sorted([await seconds("marta@example.org") for _ in range(5)])[2]
    unknown = sorted([await seconds("nobody@example.org") for _ in range(5)])[2]

    assert 0.4 < unknown / wrong < 2.5


async def test_passwords_are_worked_out_off_the_event_loop(services: Services) -> None:
    entrance, _ = await marta_with_a_password(services)
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - begun)

    watcher = asyncio.create_task(watch())
    begun = time.perf_counter()
    await asyncio.gather(*(entrance.passwords.check("marta@example.org", PASSWORD) for _ in range(4)))
    whole = time.perf_counter() - begun
    watcher.cancel()

    assert longest < whole / 2


async def test_a_hash_by_older_parameters_is_renewed_when_the_password_is_at_hand(services: Services) -> None:
    entrance, marta = await marta_with_a_password(services)
    old = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    async with services.pool.connection() as connection:
        await connection.execute("UPDATE directory.passwords SET hash = %s", (old,))

    assert await entrance.passwords.check("marta@example.org", PASSWORD) == marta.id

    async with services.pool.connection() as connection:
        cursor = await connection.execute("SELECT hash FROM directory.passwords")
        row = await cursor.fetchone()
    assert row is not None
    assert row[0] != old
    assert row[0].startswith("$argon2id$")
    assert await entrance.passwords.check("marta@example.org", PASSWORD) == marta.id


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa", "MARTA@example.org", "x" * 201])
async def test_it_refuses_a_password_that_is_easy_to_guess(services: Services, password: str) -> None:
    entrance, marta = await marta_with_a_password(services)

    with pytest.raises(Invalid, match="was not set"):
        await entrance.passwords.set(marta.id, password, NOW)


async def test_two_people_do_not_sign_in_with_one_address(services: Services) -> None:
    entrance, marta = await marta_with_a_password(services)
    twin = Person(uuid4(), "Marta too", "Marta@Example.org")
    await services.directory.keep(twin)

    with pytest.raises(NotAllowed, match="Somebody else"):
        await entrance.passwords.set(twin.id, PASSWORD, NOW)
    with pytest.raises(NotFound):
        await entrance.passwords.set(uuid4(), PASSWORD, NOW)
    await entrance.passwords.set(marta.id, "nine boats under a bridge", NOW)


async def test_a_new_password_ends_the_other_sessions(services: Services) -> None:
    entrance, marta = await marta_with_a_password(services)
    here, elsewhere = await signed_in(entrance, marta), await signed_in(entrance, marta)

    await entrance.set_password(marta.id, "nine boats under a bridge", NOW, keep=here.id)

    assert await entrance.by_session(here.secret, NOW) is not None
    assert await entrance.by_session(elsewhere.secret, NOW) is None
    assert await entrance.sign_in("marta@example.org", PASSWORD, HERE, "Firefox", NOW) is None


async def test_one_password_typed_in_two_ways_is_one_password(services: Services) -> None:
    entrance, marta = await marta_with_a_password(services)
    await entrance.passwords.set(marta.id, "caf\u00e9 cr\u00e8me at seven", NOW)

    typed = "cafe\u0301 cre\u0300me at seven"

    assert await entrance.passwords.check("marta@example.org", typed) == marta.id


# Tries.


async def test_tries_are_limited_by_account_and_network_and_the_right_password_waits_too(
    services: Services,
) -> None:
    entrance, _ = await marta_with_a_password(services)
    entrance.tries = Tries(services.pool, Limits(by_account_and_network=3))
    for _ in range(3):
        assert await entrance.sign_in("marta@example.org", "wrong", HERE, "Firefox", NOW) is None

    assert await entrance.sign_in("marta@example.org", PASSWORD, HERE, "Firefox", NOW) is None
    assert await entrance.sign_in("marta@example.org", PASSWORD, THERE, "Firefox", NOW) is not None
    later = NOW + WINDOW
    assert await entrance.sign_in("marta@example.org", PASSWORD, HERE, "Firefox", later) is not None


async def test_a_success_counts_anew(services: Services) -> None:
    entrance, _ = await marta_with_a_password(services)
    entrance.tries = Tries(services.pool, Limits(by_account_and_network=3))

    for _ in range(3):
        for _ in range(2):
            assert await entrance.sign_in("marta@example.org", "wrong", HERE, "Firefox", NOW) is None
        assert await entrance.sign_in("marta@example.org", PASSWORD, HERE, "Firefox", NOW) is not None


async def test_accounts_that_nobody_has_are_limited_alike(services: Services) -> None:
    tries = Tries(services.pool, Limits(by_account_and_network=3))

    assert [await tries.let_in("nobody", HERE, NOW) for _ in range(5)] == [True] * 3 + [False] * 2


async def test_a_network_that_tries_many_accounts_is_stopped(services: Services) -> None:
    tries = Tries(services.pool, Limits(by_network=5))

    let_in = [await tries.let_in(f"account {number}", HERE, NOW) for number in range(7)]

    assert let_in == [True] * 5 + [False] * 2
    assert await tries.let_in("account 1", THERE, NOW)


async def test_a_whole_office_behind_one_address_comes_in(services: Services) -> None:
    tries = Tries(services.pool, Limits(by_network=5))

    for number in range(20):
        assert await tries.let_in(f"account {number}", HERE, NOW)
        await tries.forget(f"account {number}", HERE)


async def test_one_network_cannot_shut_somebody_out(services: Services) -> None:
    tries = Tries(services.pool, Limits(by_account_and_network=3, by_account=6))

    for _ in range(90):
        await tries.let_in("marta", HERE, NOW)

    assert await tries.let_in("marta", THERE, NOW)


async def test_many_networks_together_are_stopped_at_one_account(services: Services) -> None:
    tries = Tries(services.pool, Limits(by_account=6))

    let_in = [await tries.let_in("marta", f"192.0.2.{number}", NOW) for number in range(10)]

    assert let_in == [True] * 6 + [False] * 4


async def test_tries_in_several_processes_at_once_are_counted_together(
    services: Services, settings: Settings
) -> None:
    async with open_services(settings, Postbox()) as others:
        limits = Limits(by_account_and_network=10)
        both = [Tries(services.pool, limits), Tries(others.pool, limits)]

        let_in = await asyncio.gather(*(both[n % 2].let_in("marta", HERE, NOW) for n in range(40)))

    assert sum(let_in) == 10


def test_a_network_is_what_one_customer_commands() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:2") == "2001:db8::/64"
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("not an address") == "not an address"


# Links to set a password with.


async def link_for(services: Services, person: Person, at: datetime = NOW) -> str:
    """Make a link for somebody, as an administrator does, and return its secret."""
    secret = new_secret()
    await Office(services, at).do(
        MakePasswordLink(person_id=person.id, link_id=uuid4(), secret_sha256=hashed(secret).hex())
    )
    return secret


async def test_a_link_sets_a_password_once_and_ends_all_sessions(services: Services) -> None:
    entrance, marta = await marta_with_a_password(services)
    session, secret = await signed_in(entrance, marta), await link_for(services, marta)
    assert await entrance.holder_of_password_link(secret, NOW) == marta

    with pytest.raises(Invalid):
        await entrance.set_password_by_link(secret, "short", NOW)
    assert await entrance.set_password_by_link(secret, ANOTHER, NOW)

    assert await entrance.by_session(session.secret, NOW) is None
    assert await entrance.passwords.check(marta.email, ANOTHER) == marta.id
    assert not await entrance.set_password_by_link(secret, PASSWORD, NOW)
    assert await entrance.holder_of_password_link(secret, NOW) is None
    assert await entrance.passwords.check(marta.email, ANOTHER) == marta.id


async def test_a_link_ends_by_itself_with_another_one_and_with_a_new_password(services: Services) -> None:
    entrance, marta = await marta_with_a_password(services)
    first = await link_for(services, marta)
    assert not await entrance.set_password_by_link(first, ANOTHER, NOW + PASSWORD_LINK_LASTS)
    second = await link_for(services, marta)
    assert not await entrance.set_password_by_link(first, ANOTHER, NOW)
    assert await entrance.holder_of_password_link(second, NOW) == marta

    await entrance.set_password(marta.id, ANOTHER, NOW)

    assert not await entrance.set_password_by_link(second, PASSWORD, NOW)


async def test_nobody_makes_such_a_link_for_themselves_or_sets_the_password_of_another(
    services: Services,
) -> None:
    entrance, marta = await marta_with_a_password(services)
    await entrance.set_password(marta.id, ANOTHER, NOW)
    by_herself = Request(Stamp(by=actor(marta.id), at=NOW))
    link = MakePasswordLink(person_id=marta.id, link_id=uuid4(), secret_sha256="0" * 64)

    assert b"Nobody makes such a link for themselves" in (await services.execute(link, by_herself)).reply
    refused = await Office(services).ask(SetPassword(person_id=marta.id))
    assert b"Nobody sets the password of somebody else" in refused.reply


async def test_the_old_password_is_asked_for_a_few_times(services: Services) -> None:
    entrance, marta = await marta_with_a_password(services)
    session = await signed_in(entrance, marta)
    visitor = await entrance.by_session(session.secret, NOW)
    assert visitor is not None
    entrance.tries = Tries(services.pool, Limits(by_account_and_network=2))

    for wrong in ("", "nearly the password"):
        with pytest.raises(Invalid, match="not changed"):
            await entrance.change_password(visitor, wrong, ANOTHER, HERE, NOW)
    with pytest.raises(Invalid, match="not changed"):
        await entrance.change_password(visitor, PASSWORD, ANOTHER, HERE, NOW)
    await entrance.change_password(visitor, PASSWORD, ANOTHER, THERE, NOW)

    assert await entrance.passwords.check(marta.email, ANOTHER) == marta.id
    assert await entrance.by_session(session.secret, NOW) is not None


# Sessions.


async def test_signing_in_begins_a_new_session_and_ends_the_one_before(services: Services) -> None:
    entrance, marta = await marta_with_a_password(services)
    first = await signed_in(entrance, marta)

    second = await entrance.admit(marta.id, "Firefox", NOW, instead_of=first.secret)

    assert second is not None
    assert second.secret != first.secret
    assert await entrance.by_session(first.secret, NOW) is None
    assert await entrance.by_session(second.secret, NOW) is not None


async def test_people_see_their_sessions_and_end_them(services: Services) -> None:
    entrance, marta = await marta_with_a_password(services)
    ana = await Office(services).with_person("Ana", Grant(role=Role.AUDITOR))
    firefox, safari = await signed_in(entrance, marta), await signed_in(entrance, marta, "Safari")
    of_ana = await signed_in(entrance, ana)

    assert {one.browser for one in await entrance.sessions.of(marta.id, NOW)} == {"Firefox", "Safari"}
    assert not await entrance.sessions.end(marta.id, of_ana.id)
    assert await entrance.sessions.end(marta.id, firefox.id)
    assert await entrance.by_session(firefox.secret, NOW) is None
    assert await entrance.by_session(safari.secret, NOW) is not None

    chrome = await signed_in(entrance, marta, "Chrome")
    assert await entrance.sessions.end_all(marta.id, but=chrome.id) == 1
    assert await entrance.by_session(chrome.secret, NOW) is not None
    await entrance.sessions.end_by_secret(chrome.secret)
    assert await entrance.by_session(chrome.secret, NOW) is None
    assert await entrance.by_session(of_ana.secret, NOW) is not None


async def test_a_session_ends_when_nobody_uses_it_and_when_it_is_old(services: Services) -> None:
    entrance, marta = await marta_with_a_password(services)
    idle, used = await signed_in(entrance, marta), await signed_in(entrance, marta)

    moment = NOW
    while moment < NOW + AGE - IDLE:
        moment += IDLE / 2
        assert await entrance.by_session(used.secret, moment) is not None

    assert await entrance.by_session(idle.secret, NOW + IDLE) is None
    assert await entrance.by_session(used.secret, NOW + AGE) is None
    assert await entrance.by_session("", NOW) is None


async def test_a_role_that_ends_ends_with_the_next_request(services: Services) -> None:
    entrance, marta = await marta_with_a_password(services)
    opened = await signed_in(entrance, marta)

    await Office(services).do(EndRole(person_id=marta.id, grant=MANAGER, reason="Left."))

    assert await entrance.by_session(opened.secret, NOW) is None
    assert await entrance.sign_in("marta@example.org", PASSWORD, HERE, "Firefox", NOW) is None


# Tokens.


async def test_a_token_acts_with_one_role_until_its_end(services: Services) -> None:
    entrance, marta = await marta_with_a_password(services, MANAGER, FINANCE)
    held, end = (MANAGER, FINANCE), NOW + timedelta(days=30)

    id, secret = await entrance.tokens.make(marta.id, held, "nightly export", FINANCE, "read", end, NOW)
    _, writing = await entrance.tokens.make(marta.id, held, "import", MANAGER, "write", end, NOW)

    visitor = await entrance.by_token(secret, NOW)
    assert visitor is not None
    assert visitor.subject.grants == (FINANCE,)
    assert visitor.subject.way is Way.READING_TOKEN
    assert visitor.subject.may(Action.SEE_ROUNDS)
    writer = await entrance.by_token(writing, NOW)
    assert writer is not None
    assert writer.subject.may(Action.RUN_ROUNDS)
    assert await entrance.by_token(secret, end) is None
    assert {token.name for token in await entrance.tokens.of(marta.id, NOW)} == {"nightly export", "import"}
    assert not await entrance.tokens.end(uuid4(), id)
    assert await entrance.tokens.end(marta.id, id)
    assert await entrance.by_token(secret, NOW) is None


async def test_a_token_is_good_for_nothing_without_the_role_that_it_carries(services: Services) -> None:
    entrance, marta = await marta_with_a_password(services, MANAGER, FINANCE)
    _, secret = await entrance.tokens.make(
        marta.id, (MANAGER, FINANCE), "export", FINANCE, "read", NOW + timedelta(days=1), NOW
    )

    await Office(services).do(EndRole(person_id=marta.id, grant=FINANCE, reason="Moved."))

    assert await entrance.by_token(secret, NOW) is None


async def test_it_refuses_a_token_without_an_end_or_with_a_role_that_is_not_held(services: Services) -> None:
    entrance, marta = await marta_with_a_password(services)

    for end in (NOW, NOW + timedelta(days=400)):
        with pytest.raises(Invalid, match="No token was made"):
            await entrance.tokens.make(marta.id, (MANAGER,), "export", MANAGER, "read", end, NOW)
    with pytest.raises(NotAllowed, match="that you hold"):
        await entrance.tokens.make(
            marta.id, (MANAGER,), "export", FINANCE, "read", NOW + timedelta(days=1), NOW
        )


# What is kept.


async def test_no_secret_is_kept_as_it_is(services: Services, settings: Settings) -> None:
    entrance, marta = await marta_with_a_password(services)
    session = await signed_in(entrance, marta)
    _, token = await entrance.tokens.make(
        marta.id, (MANAGER,), "export", MANAGER, "read", NOW + timedelta(days=1), NOW
    )
    await entrance.sign_in("marta@example.org", "a password typed wrongly", HERE, "Firefox", NOW)

    kept = await everything(settings)

    for secret in (session.secret, token, PASSWORD, "a password typed wrongly"):
        assert len(secret) >= 22, "128 bits at the least, where it is ours"
        assert secret not in kept
        assert secret.encode().hex() not in kept


async def everything(settings: Settings) -> str:
    """Return all rows of all tables beside PostgreSQL's own, as text."""
    async with await psycopg.AsyncConnection.connect(settings.writer_url) as connection:
        cursor = await connection.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables "
            "WHERE table_schema IN ('log', 'directory', 'documents', 'tracking')"
        )
        found: list[str] = []
        for (table,) in await cursor.fetchall():
            rows = await connection.execute(f"SELECT t::text FROM {table} t".encode())  # noqa: S608 - from the catalogue
            found.extend(row[0] for row in await rows.fetchall())
    return "\n".join(found)
