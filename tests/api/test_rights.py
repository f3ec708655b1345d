"""Who may do what: every route, with every role and with nobody, is compared with the table of access."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from api.access import Allowed, Open
from api.app import create
from domain.access import ACCESS, OWNERS, PUBLIC, Action, Grant, Role, Subject, Way
from domain.aggregates import identify
from domain.contributions import donor_id
from domain.funding import fund_id
from domain.programme import delivery_partner_id
from domain.rounds import invitation_id
from services import reference
from services.directory import Person
from services.entrance import Entrance
from services.settings import Settings
from services.tokens import Scope
from tests.api.conftest import MARTAS_ID, Site, problem_of
from tests.api.test_drafts import by_link
from tests.api.test_links import NJERI, by_forwarded_link
from tests.api.test_rounds import QUESTIONNAIRE
from tests.api.test_rounds import issued as issue
from tests.cast import KENYA, PERU, Office, hired, session_of, speaker

CONTRIBUTION, MOVEMENT = identify("tests", "contribution"), identify("tests", "movement")
GOOD = {"answers": {"areas": ["customs"]}}
PLACES = {"party": "KEN", "role": "official_contact_point", "position": "1", "form_version": "1"}
PLACES |= {"iso3": "KEN", "option": "customs", "region": "Africa", "section": "needs"}
PLACES |= {"kind": "party", "path": "0/000.p/1"}
PLACES |= {"movement": str(MOVEMENT), "deed": "reverse"}
"""What stands in a path for what is no id, or not the id of its subject."""


def actions(dependant: Dependant) -> Iterator[Action]:
    """Yield the actions that a route names."""
    if isinstance(dependant.call, Allowed | Open):
        yield dependant.call.action
    for part in dependant.dependencies:
        yield from actions(part)


def routes(app: FastAPI) -> dict[str, tuple[str, str, Action]]:
    """Every route by its name: method, path, and the action that it names, of which there must be one."""
    found: dict[str, tuple[str, str, Action]] = {}
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, APIRoute):
            assert route.path == "/api/v1/openapi.json", f"{route.path} is known to no table"
            continue
        assert route.dependant is not None
        named = list(dict.fromkeys(actions(route.dependant)))
        assert len(named) == 1, f"{route.methods} {route.path} names {named or 'no action'}"
        for method in route.methods or ():
            found[f"{method} {route.path}"] = (method, str(route.path), named[0])
    return found


def somewhere(path: str, round_id: UUID, person_id: UUID) -> str:
    """Fill in a path with what there is, so that an answer of nothing there speaks of rights."""
    ids = {"rounds": round_id, "gaps": round_id, "invitations": invitation_id(round_id, KENYA)}
    ids["people"] = person_id
    ids |= {"funds": fund_id("RVTF"), "contributions": CONTRIBUTION}
    ids |= {"questionnaires": QUESTIONNAIRE, "parties": KENYA, "records": KENYA, "history": KENYA}
    subject = path.removeprefix("/api/v1").split("/")[1]
    id = str(ids.get(subject, uuid4()))
    return re.sub(r"\{(\w+)[^}]*\}", lambda part: PLACES.get(part[1], id), path)


async def answer_of(
    client: httpx.AsyncClient, method: str, where: str, headers: dict[str, str], body: object = None
) -> httpx.Response:
    """Return an answer; of one that does not end by itself only how it begins."""
    async with client.stream(method, where, headers=headers, json=body) as response:
        if response.headers.get("content-type") != "text/event-stream; charset=utf-8":
            await response.aread()
    return response


def verdict(response: httpx.Response) -> str:
    """Say how rights stand, by an answer."""
    problem: dict[str, Any] = {}
    if response.headers.get("content-type", "") == "application/problem+json":
        problem = response.json()
    if response.status_code == 401 or "/sign-in" in response.headers.get("location", ""):
        return "unknown"
    reading = response.request.method == "GET"
    nothing = reading and problem.get("detail", "").startswith("There is nothing at")
    if nothing or problem.get("code") == "no-right":
        return "refused"
    return "let through"


async def holder(site: Site, office: Office, role: Role) -> UUID:
    """Somebody in a role, for Kenya where it is held for a party."""
    centre = reference.centres()[0]
    await office.do(centre.registration())
    await office.with_contribution(CONTRIBUTION)
    await office.with_receipt(CONTRIBUTION, "113000", MOVEMENT)
    owners = {
        Role.PARTY_CONTACT: KENYA,
        Role.DELIVERY_PARTNER: delivery_partner_id(centre.id),
        Role.DONOR_CONTACT: donor_id("NOR"),
    }
    person = Person(identify("holder", role), f"A {role}", f"{role.name.lower()}@example.org")
    await hired(site.services, person, Grant(role=role, owner_id=owners.get(role)))
    return person.id


def test_every_route_names_its_action(settings: Settings) -> None:
    assert routes(create(settings))


@pytest.mark.parametrize("role", [None, *Role])
async def test_every_route_lets_through_whom_the_table_names(
    site: Site, settings: Settings, office: Office, role: Role | None
) -> None:
    faults = []
    round_id = await issue(site)
    person_id = await holder(site, office, role) if role else None
    session = ""
    async with site.stranger(**{"Sec-Fetch-Site": "same-origin"}) as client:
        for name, (method, path, action) in routes(create(settings)).items():
            if person_id and not session:
                session = await session_of(site.services, person_id)
            headers = {"Authorization": f"Bearer {session}"} if session else {}
            where = somewhere(path, round_id, MARTAS_ID)
            response = await answer_of(client, method, where, headers)
            if method != "GET" and action in (Action.COME_IN, Action.OWN_ACCOUNT):
                session = ""  # such a command may end it
            expected = "unknown" if role is None else "refused"
            if action in PUBLIC or role in ACCESS[action]:
                expected = "let through"
            if verdict(response) != expected and not (action in PUBLIC and method == "POST"):
                faults.append(f"{name} ({action}): {verdict(response)}, not {expected}")
    assert not faults, "\n".join(faults)


def test_the_table_gives_what_is_ones_own_to_those_alone_who_hold_a_role_for_somebody() -> None:
    for action, reaches in ACCESS.items():
        for role, reach in reaches.items():
            if reach == "own" and action is not Action.OWN_ACCOUNT:
                assert role in OWNERS


async def issued(site: Site) -> tuple[UUID, UUID]:
    """Issue a round to Kenya and Peru, and return the two invitations."""
    round_id = await issue(site)
    return invitation_id(round_id, KENYA), invitation_id(round_id, PERU)


async def test_what_is_not_ones_own_is_answered_as_what_is_not_there(site: Site, office: Office) -> None:
    own, others = await issued(site)
    absent = uuid4()
    await site.answered("PER", others, GOOD)
    async with site.speaking_for("KEN") as kenya:
        kenya.position = site.position
        assert [row["id"] for row in (await kenya.read("/invitations"))["items"]] == [str(own)]
        assert (await kenya.read("/invitations", party_id=PERU))["items"] == []
        await kenya.read(f"/invitations/{own}")
        await kenya.read(f"/records/{own}/events")
        for path in ("/invitations/{}", "/invitations/{}/response", "/records/{}/events"):
            at = await site.log_position()
            answers = [await kenya.get(path.format(id), as_of=at) for id in (others, absent)]
            alike(answers, others, absent)
        path = "/invitations/{}/response"
        alike([await kenya.send(path.format(id), GOOD) for id in (others, absent)], others, absent)
        problem_of(await kenya.get(f"/records/{PERU}/events"), 404, "not-found")
        assert (await kenya.send(path.format(own), GOOD)).status_code == 200


def alike(answers: list[httpx.Response], id: UUID, other_id: UUID) -> None:
    """Hold two answers to be the same but for the id that was asked for."""
    one, another = answers
    assert one.status_code == another.status_code == 404
    assert one.text.replace(str(id), "…") == another.text.replace(str(other_id), "…")
    differing = {"date", "idempotency-key"}
    first, second = (
        {name: value for name, value in response.headers.items() if name not in differing}
        for response in (one, another)
    )
    assert first == second


async def test_a_command_belongs_to_whoever_gave_it(site: Site, office: Office) -> None:
    own, _ = await issued(site)
    await site.hand_in("KEN", f"/invitations/{own}/response", GOOD, key="kenyas")
    async with site.speaking_for("KEN") as kenya, site.speaking_for("PER") as peru:
        assert (await kenya.get("/commands/kenyas")).status_code == 200
        problem_of(await peru.get("/commands/kenyas"), 404, "unknown-key")
    assert (await site.get("/commands/kenyas")).status_code == 200


async def test_whoever_gave_a_command_can_ask_how_it_was_refused(site: Site, office: Office) -> None:
    own, others = await issued(site)
    async with site.speaking_for("KEN") as kenya, site.speaking_for("PER") as peru:
        problem_of(await kenya.send("/rounds", {}, key="no right"), 403, "no-right")
        bad = await kenya.send(f"/invitations/{own}/response", {"answers": {}}, key="no answer")
        problem_of(bad, 422, "answers")
        nothing = await kenya.send(f"/invitations/{others}/response", GOOD, key="not mine")
        problem_of(nothing, 404, "not-found")

        for key, code in (("no right", "no-right"), ("no answer", "answers")):
            known = await kenya.read(f"/commands/{key}")
            assert (known["outcome"], known["problem"]["code"]) == ("refused", code)
            problem_of(await peru.get(f"/commands/{key}"), 404, "unknown-key")
            assert (await site.read(f"/commands/{key}"))["outcome"] == "refused"
        problem_of(await kenya.get("/commands/not mine"), 404, "unknown-key")


async def test_a_refusal_for_want_of_rights_is_an_event_once_for_its_key(site: Site, office: Office) -> None:
    async with site.speaking_for("KEN") as kenya:
        refused = await kenya.send("/rounds", {}, key="not mine to open")
        problem_of(refused, 403, "no-right")
        recorded = await site.log_position()
        problem_of(await kenya.send("/rounds", {}, key="not mine to open"), 403, "no-right")
        assert await site.log_position() == recorded
    event = await site.read(f"/events/{refused.headers['Event-Position']}")
    assert event["event"] == "Refusal.CommandRefused"
    assert (event["facts"]["action"], event["facts"]["roles"]) == ("run rounds", ["party contact"])


# What is left of the rights of a contact, by each way in.


async def by_every_way(site: Site, office: Office, invitation: UUID) -> dict[Way, tuple[Subject, str]]:
    """The contact of Kenya, and a colleague whom they asked, each with the secret of a way in."""
    entrance, now = Entrance(site.services), datetime.now(UTC)
    contact, grant = speaker("KEN")
    await hired(site.services, contact, grant)
    secrets = {Way.SIGN_IN: await session_of(site.services, contact.id)}
    scopes: dict[Way, Scope] = {Way.TOKEN: "write", Way.READING_TOKEN: "read"}
    for way, scope in scopes.items():
        made = await entrance.tokens.make(
            contact.id, (grant,), "a program", grant, scope, now + timedelta(days=1), now
        )
        secrets[way] = made[1]
    async with by_link(site, office, invitation) as client:
        secrets[Way.LINK] = client.session
    async with by_forwarded_link(site, office, invitation) as client:
        secrets[Way.FORWARDED_LINK] = client.session
    found = {}
    for way, secret in secrets.items():
        by = entrance.by_token if way in scopes else entrance.by_session
        visitor = await by(secret, now)
        assert visitor is not None
        assert visitor.subject.way is way
        found[way] = (visitor.subject, secret)
    return found


async def test_each_way_in_is_let_through_to_what_the_table_leaves_of_a_role(
    site: Site, settings: Settings, office: Office
) -> None:
    round_id = await issue(site)
    ways = await by_every_way(site, office, invitation_id(round_id, KENYA))
    ways.pop(Way.SIGN_IN)  # it has all that the role gives, and could end the other sessions
    faults = []
    async with site.stranger(**{"Sec-Fetch-Site": "same-origin"}) as client:
        for name, (method, path, action) in routes(create(settings)).items():
            if action in PUBLIC:
                continue
            for way, (subject, secret) in ways.items():
                where = somewhere(path, round_id, MARTAS_ID)
                headers = {"Authorization": f"Bearer {secret}"}
                response = await answer_of(client, method, where, headers)
                expected = "let through" if subject.extent(action) else "refused"
                if verdict(response) != expected:
                    faults.append(f"{name} ({action}), {way}: {verdict(response)}, not {expected}")
    assert not faults, "\n".join(faults)


BODIES: dict[str, dict[str, Any]] = {
    "response": GOOD,
    "links": NJERI,
    "revoke": {"reason": "Not mine."},
    "draft": {"answers": {"areas": ["law"]}, "page_id": str(uuid4())},
}
"""What is sent to those routes that take something from a contact, by how their paths end."""


async def test_what_belongs_to_others_is_answered_by_every_route_as_what_is_not_there(
    site: Site, settings: Settings, office: Office
) -> None:
    round_id = await issue(site)
    own, others = invitation_id(round_id, KENYA), invitation_id(round_id, PERU)
    async with site.speaking_for("PER") as peru:
        link = await peru.send(f"/invitations/{others}/links", NJERI, key=uuid4())
    theirs = {"invitations": others, "records": others, "history": others, "people": MARTAS_ID}
    theirs |= {"links": UUID(link.json()["id"]), "commands": UUID(link.headers["Idempotency-Key"])}
    ways = await by_every_way(site, office, own)
    site.position = await site.log_position()
    await site.read("/rounds")  # the tables show all, so that no answer differs by what they have learned
    absent, faults = uuid4(), []
    reading_first = sorted(routes(create(settings)).items(), key=lambda route: route[1][0] != "GET")
    async with site.stranger(**{"Sec-Fetch-Site": "same-origin"}) as client:
        for name, (method, path, action) in reading_first:
            subject = path.removeprefix("/api/v1").split("/")[1]
            if subject not in theirs or "{" not in path or action in PUBLIC:
                continue
            body = BODIES.get(path.rpartition("/")[2]) if path.startswith("/api/") else None
            for way, (_, secret) in ways.items():
                told = []
                for id in (theirs[subject], absent):
                    headers = {"Authorization": f"Bearer {secret}"}
                    response = await answer_of(client, method, _at(path, id), headers, body)
                    told.append((response.status_code, *_said(response, id)))
                if told[0] != told[1] or told[0][0] not in (303, 401, 403, 404):
                    faults.append(f"{name}, {way}:\n  {told[0]}\n  {told[1]}")
    assert not faults, "\n".join(faults)


def _at(path: str, id: UUID) -> str:
    return re.sub(r"\{(\w+)[^}]*\}", lambda part: PLACES.get(part[1], str(id)), path)


def _said(response: httpx.Response, id: UUID) -> tuple[str, dict[str, str]]:
    """What an answer says, in its body and its headers, but for the id that was asked for."""
    passing = {"date", "idempotency-key"}
    if response.status_code == 403:  # each refusal of this kind is recorded, whatever it is about
        passing.add("event-position")
    headers = {
        name: value.replace(str(id), "…") for name, value in response.headers.items() if name not in passing
    }
    return response.text.replace(str(id), "…"), headers
