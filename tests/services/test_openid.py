"""Sign-in with OpenID Connect, against a real provider on this machine."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from domain.access import Grant, Role
from services import openid
from services.directory import Person
from services.entrance import Entrance
from services.openid import Identity, OpenId, Pending, ProviderUnavailable, SignInFailed
from services.people import GrantRole, OpenAccount
from services.settings import MissingSettingError, Settings
from services.wiring import Services
from tests.cast import Office
from tests.provider import CLIENT, SECRET, Browser, Provider, running_provider

AUDITOR = Grant(role=Role.AUDITOR)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_provider(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


def settings_for(provider: Provider, **changes: Any) -> Settings:
    """Return settings with which people sign in at the provider."""
    return Settings(
        openid_issuer=provider.issuer, openid_client_id=CLIENT, openid_client_secret=SECRET
    ).model_copy(update=changes)


def now() -> datetime:
    return datetime.now(UTC)


async def sent_back(
    sign_in: OpenId, provider: Provider, login: str = "", answer: str = "accept"
) -> tuple[dict[str, str], Pending]:
    """Send somebody to the provider, and return what their browser comes back with and what was kept."""
    url, pending = await sign_in.begin(now())
    with Browser() as browser:
        return browser.sign_in(url, login or provider.add_person(), answer), pending


async def statement(sign_in: OpenId, provider: Provider) -> tuple[str, str, Pending]:
    """Return a statement that the provider signed about Ana, and the token that came with it."""
    answer, pending = await sent_back(sign_in, provider)
    tokens = await sign_in._exchange(await sign_in._provider(), answer["code"], pending.verifier)
    return tokens["id_token"], tokens["access_token"], pending


async def test_the_provider_says_who_it_is(provider: Provider) -> None:
    sign_in, login = OpenId(settings_for(provider)), provider.add_person()
    answer, pending = await sent_back(sign_in, provider, login)

    identity = await sign_in.finish(answer, pending, now())

    assert identity == Identity(
        issuer=provider.issuer, subject=login, email=f"{login}@example.org", name="Ana Quispe"
    )


async def test_the_address_that_it_sends_to_gives_no_secret_away(provider: Provider) -> None:
    url, pending = await OpenId(settings_for(provider)).begin(now())

    assert pending.verifier not in url
    assert SECRET not in url
    assert "code_challenge_method=S256" in url
    assert f"nonce={pending.nonce}" in url


async def test_it_refuses_a_state_that_it_did_not_send(provider: Provider) -> None:
    sign_in = OpenId(settings_for(provider))
    answer, pending = await sent_back(sign_in, provider)
    _, another = await sign_in.begin(now())

    for kept in (another, None):
        with pytest.raises(SignInFailed, match=r"state is not|no sign-in was begun"):
            await sign_in.finish(answer, kept, now())
    for state in ("", "ä", pending.state[:-1]):
        with pytest.raises(SignInFailed, match="state is not"):
            await sign_in.finish({**answer, "state": state}, pending, now())


async def test_it_refuses_a_sign_in_that_took_too_long(provider: Provider) -> None:
    sign_in = OpenId(settings_for(provider))
    answer, pending = await sent_back(sign_in, provider)

    for moment in (now() + timedelta(minutes=11), now() - timedelta(minutes=11)):
        with pytest.raises(SignInFailed, match="took too long"):
            await sign_in.finish(answer, pending, moment)


async def test_it_refuses_an_answer_from_another_provider(provider: Provider) -> None:
    sign_in = OpenId(settings_for(provider))
    answer, pending = await sent_back(sign_in, provider)

    for told in ("https://evil.example.org", ""):
        with pytest.raises(SignInFailed, match="another provider"):
            await sign_in.finish({**answer, "iss": told}, pending, now())


async def test_a_code_is_good_once(provider: Provider) -> None:
    sign_in = OpenId(settings_for(provider))
    answer, pending = await sent_back(sign_in, provider)
    await sign_in.finish(answer, pending, now())

    with pytest.raises(SignInFailed, match="does not take the code"):
        await sign_in.finish(answer, pending, now())


async def test_a_code_is_good_only_for_whoever_asked_for_it(provider: Provider) -> None:
    sign_in = OpenId(settings_for(provider))
    answer, pending = await sent_back(sign_in, provider)
    stolen = pending.model_copy(update={"verifier": "x" * 43})

    with pytest.raises(SignInFailed, match="does not take the code"):
        await sign_in.finish(answer, stolen, now())


async def test_the_provider_takes_no_code_from_somebody_else(provider: Provider) -> None:
    answer, pending = await sent_back(OpenId(settings_for(provider)), provider)
    provider.add_client("another", "another secret")
    another = OpenId(settings_for(provider, openid_client_id="another"))

    with pytest.raises(SignInFailed, match="does not take the code"):
        await another.finish(answer, pending, now())


async def test_who_refuses_at_the_provider_is_not_signed_in(provider: Provider) -> None:
    sign_in = OpenId(settings_for(provider))
    answer, pending = await sent_back(sign_in, provider, answer="deny")

    with pytest.raises(SignInFailed, match="provider refuses"):
        await sign_in.finish(answer, pending, now())


async def test_it_believes_only_a_statement_for_this_sign_in_and_for_us(provider: Provider) -> None:
    sign_in = OpenId(settings_for(provider))
    signed, access_token, pending = await statement(sign_in, provider)
    keys = await sign_in._keys_for(signed, await sign_in._provider())

    def read(reader: OpenId = sign_in, **changes: Any) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "statement": signed,
            "keys": keys,
            "nonce": pending.nonce,
            "access_token": access_token,
            "now": now(),
        }
        return reader.read(**{**arguments, **changes})

    assert read()["iss"] == provider.issuer
    with pytest.raises(SignInFailed, match="nonce"):
        read(nonce="another nonce")
    with pytest.raises(SignInFailed, match="exp"):
        read(now=now() + timedelta(days=400))
    with pytest.raises(SignInFailed, match="future"):
        read(now=now() - timedelta(hours=1))
    with pytest.raises(SignInFailed, match="aud"):
        read(OpenId(settings_for(provider, openid_client_id="another")))
    with pytest.raises(SignInFailed, match="iss"):
        read(OpenId(settings_for(provider, openid_issuer=f"{provider.issuer}/other")))
    with pytest.raises(SignInFailed, match="at_hash"):
        read(access_token="another token")
    with pytest.raises(SignInFailed):
        read(statement=signed[:-6] + "AAAAAA")


async def test_it_believes_no_signature_but_the_providers(provider: Provider) -> None:
    sign_in = OpenId(settings_for(provider))
    signed, access_token, pending = await statement(sign_in, provider)
    keys = await sign_in._keys_for(signed, await sign_in._provider())
    claims = jwt.decode(signed, keys, algorithms=openid.ALGORITHMS).claims
    kid = next(iter(keys)).kid or ""
    own = RSAKey.generate_key(2048, {"kid": kid})
    shared = OctKey.import_key(SECRET)

    forged = [
        jwt.encode({"alg": "RS256", "kid": kid}, claims, own),
        jwt.encode({"alg": "HS256", "kid": kid}, claims, shared, algorithms=["HS256"]),
        ".".join(["eyJhbGciOiJub25lIn0", signed.split(".")[1], ""]),
        "not a statement",
        "",
    ]

    for statement_of_somebody in forged:
        with pytest.raises(SignInFailed, match="not good"):
            sign_in.read(statement_of_somebody, keys, pending.nonce, access_token, now())


async def test_new_keys_of_the_provider_are_found(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in = OpenId(settings_for(provider))
    answer, pending = await sent_back(sign_in, provider)
    await sign_in.finish(answer, pending, now())

    provider.rotate_keys()
    answer, pending = await sent_back(sign_in, provider)
    with pytest.raises(SignInFailed, match="No key"):
        await sign_in.finish(answer, pending, now())

    monkeypatch.setattr(openid, "KEYS_LAST_SECONDS", -1)
    answer, pending = await sent_back(sign_in, provider)
    assert (await sign_in.finish(answer, pending, now())).name == "Ana Quispe"


async def test_it_refuses_a_provider_that_says_it_is_another_one(provider: Provider) -> None:
    other_name = provider.issuer.replace("localhost", "127.0.0.1")

    for issuer in (other_name, f"{provider.issuer}/", "http://localhost:1"):
        with pytest.raises(ProviderUnavailable):
            await OpenId(settings_for(provider, openid_issuer=issuer)).begin(now())


def test_it_wants_an_issuer_and_a_client() -> None:
    with pytest.raises(MissingSettingError, match="MANDATE_OPENID_ISSUER"):
        OpenId(Settings())


async def test_addresses_without_https_are_for_this_machine_alone() -> None:
    metadata = {"authorization_endpoint": "x", "token_endpoint": "x", "jwks_uri": "x"}
    with pytest.raises(ValueError, match="https"):
        openid.Metadata.model_validate({"issuer": "http://id.example.org", **metadata})


# Who it is here.


async def test_somebody_is_found_by_a_verified_address_once_and_then_by_subject(services: Services) -> None:
    entrance, office = Entrance(services), Office(services)
    ana = await office.with_person("Ana", AUDITOR)
    identity = Identity(issuer="https://id", subject="4711", email="ANA@example.org", email_verified=True)

    first = await entrance.arrive(identity, "Firefox", now())
    await services.directory.keep(Person(ana.id, "Ana Q.", "new.address@example.org"))
    second = await entrance.arrive(identity, "Firefox", now())

    assert first is not None
    assert second is not None
    assert first.person_id == second.person_id == ana.id


async def test_nobody_is_signed_in_on_a_guess(services: Services) -> None:
    entrance, office = Entrance(services), Office(services)
    ana = await office.with_person("Ana", AUDITOR)
    await office.with_person("Joseph")  # holds no role
    twins = [await office.with_person("Twin", AUDITOR) for _ in range(2)]
    assert twins[0].email == twins[1].email
    known = Identity(issuer="https://id", subject="1", email=ana.email, email_verified=True)
    assert await entrance.arrive(known, "Firefox", now()) is not None

    for stranger in (
        Identity(issuer="https://id", subject="2", email=ana.email, email_verified=True),  # claimed
        Identity(issuer="https://other", subject="1", email=ana.email, email_verified=False),
        Identity(issuer="https://id", subject="3", email="joseph@example.org", email_verified=True),
        Identity(issuer="https://id", subject="4", email=twins[0].email, email_verified=True),
        Identity(issuer="https://id", subject="5", email="nobody@example.org", email_verified=True),
        Identity(issuer="https://id", subject="6"),
    ):
        assert await entrance.arrive(stranger, "Firefox", now()) is None


async def test_a_claim_that_was_released_can_be_made_anew(services: Services) -> None:
    entrance = Entrance(services)
    ana = await Office(services).with_person("Ana", AUDITOR)
    await entrance.identities.claim("https://id", "old", ana.id)
    await entrance.identities.claim("https://id", "ghost", uuid4())
    new = Identity(issuer="https://id", subject="new", email=ana.email, email_verified=True)
    assert await entrance.arrive(new, "Firefox", now()) is None

    await entrance.identities.release(ana.id)

    assert await entrance.arrive(new, "Firefox", now()) is not None


async def test_the_whole_way_from_the_provider_to_a_session(provider: Provider, services: Services) -> None:
    entrance, login = Entrance(services), provider.add_person()
    ana = Person(uuid4(), "Ana Quispe", f"{login}@example.org")
    await services.directory.keep(ana)
    await Office(services).do(OpenAccount(person_id=ana.id))
    await Office(services).do(GrantRole(person_id=ana.id, grant=AUDITOR))
    sign_in = OpenId(settings_for(provider, openid_trusts_addresses=True))
    answer, pending = await sent_back(sign_in, provider, login)

    opened = await entrance.arrive(await sign_in.finish(answer, pending, now()), "Firefox", now())

    assert opened is not None
    visitor = await entrance.by_session(opened.secret, now())
    assert visitor is not None
    assert visitor.subject.grants == (AUDITOR,)
