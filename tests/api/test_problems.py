"""What a caller is told when a request cannot be carried out, whatever is wrong with it."""

import asyncio
import json
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import APIRouter, Depends
from structlog.testing import capture_logs

from api import app as application
from api.http import Key, key
from api.keys import read_key
from api.problems import KINDS, of_refusal, without_secret
from domain.aggregates import identify
from projections import reading
from services.log import Unavailable
from services.settings import Settings
from services.store import RefusalRecord
from tests.api.conftest import BEGUN, Site, problem_of, serving
from tests.cast import register

PARTY = register("KEN").model_dump(mode="json")


async def test_addresses_and_methods_that_are_not_there_are_problems(site: Site) -> None:
    problem = problem_of(await site.client.get("/api/v1/nothing"), 404, "not-found")
    assert problem["instance"] == "/api/v1/nothing"
    refused = await site.client.delete("/api/v1/parties")
    problem_of(refused, 405, "method-not-allowed")
    assert refused.headers["allow"]


async def test_every_type_of_problem_is_explained_under_its_address(site: Site) -> None:
    kinds = (await site.read("/problems"))["problems"]
    assert {kind["type"] for kind in kinds} == {f"/problems/{name}" for name in KINDS}
    for kind in kinds:
        assert await site.read(kind["type"]) == kind
        page = await site.client.get(kind["type"], headers={"Accept": "text/html"})
        assert page.headers["content-type"].startswith("text/html")
        assert kind["meaning"].split(".")[0] in page.text.replace("&#x27;", "'")
    problem_of(await site.get("/problems/unheard-of"), 404, "not-found")


async def test_a_body_that_is_no_json_is_a_problem(site: Site) -> None:
    as_json = {"Content-Type": "application/json"}
    for body in ("{", '{"iso3": nothing}', "\xff", "[" * 100_000, '{"iso3": 1' + "0" * 5_000 + "}"):
        refused = await site.send("/parties", content=body.encode("latin-1"), headers=as_json)
        problem_of(refused, 400, "malformed")
    problem_of(await site.send("/parties", content=b"", headers=as_json), 422, "invalid")


async def test_a_body_of_another_kind_is_a_problem(site: Site) -> None:
    body = json.dumps(PARTY).encode()
    for kind in ({"Content-Type": "text/plain"}, {}):
        refused = await site.send("/parties", content=body, headers=kind)
        problem_of(refused, 415, "unsupported-media-type")
    assert await site.log_position() == BEGUN


async def test_a_body_over_the_limit_is_refused_before_it_is_read(site: Site) -> None:
    limit = Settings().body_limit_bytes
    whole = await site.send(
        "/parties", content=b"x" * (limit + 1), headers={"Content-Type": "application/json"}
    )
    problem_of(whole, 413, "too-large")

    # The same without saying how long it is: the answer comes while the body is still being sent.
    reader, writer = await asyncio.open_connection(site.client.base_url.host, site.client.base_url.port)
    head = (
        f"POST /api/v1/parties HTTP/1.1\r\nHost: x\r\nAuthorization: {site.client.headers['Authorization']}"
    )
    writer.write(f"{head}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    answer = asyncio.create_task(reader.readline())
    sent = 0
    while not answer.done() and sent < 10 * limit:
        writer.write(b"%x\r\n%s\r\n" % (50_000, b" " * 50_000))
        await writer.drain()
        sent += 50_000
        await asyncio.sleep(0.001)
    assert (await answer).startswith(b"HTTP/1.1 413 ")
    assert sent < 3 * limit
    writer.close()
    assert await site.log_position() == BEGUN


async def test_a_null_character_in_the_address_is_refused(site: Site) -> None:
    problem_of(await site.client.get("/api/v1/parties/%00"), 400, "malformed")
    problem_of(await site.client.get("/api/v1/parties?region=%00"), 400, "malformed")


async def test_parameters_that_cannot_be_are_named(site: Site) -> None:
    for path, where in (
        ("/rounds/none", "path/round_id"),
        ("/parties?limit=0", "query/limit"),
        ("/parties?limit=501", "query/limit"),
        ("/parties?region=Atlantis", "query/region"),
        ("/rounds?cursor=x", "query/cursor"),
        ("/parties?wait_for=-1", "query/wait_for"),
        ("/events?after=99999999999999999999", "query/after"),
        ("/events/0", "path/position"),
    ):
        problem = problem_of(await site.client.get(f"/api/v1{path}"), 422, "invalid")
        assert [fault["where"] for fault in problem["faults"]] == [where]
    long_key = await site.send("/parties", PARTY, key="k" * 256)
    assert problem_of(long_key, 422, "invalid")["faults"][0]["where"] == "header/idempotency-key"


async def test_a_position_that_is_not_reached_yet_is_not_waited_for_without_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WAIT_SECONDS", 0.2)
    ahead = problem_of(await site.get("/parties", as_of=1_000), 422, "invalid")
    assert ahead["faults"] == [{"where": "query/as_of", "what": f"The log reaches to {BEGUN}."}]
    later = await site.client.get("/api/v1/parties", params={"wait_for": 1_000})
    problem_of(later, 503, "unavailable")
    assert later.headers["Retry-After"] == "1"


async def test_a_fault_of_ours_is_noted_and_not_shown(
    settings: Settings, services: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = APIRouter()

    @router.get("/broken")
    async def broken() -> None:
        secret = "the name of somebody"
        raise RuntimeError(secret)

    monkeypatch.setattr(application, "ROUTERS", (router,))
    with capture_logs() as logs:
        async with serving(settings) as address, Site.anonymous(address) as client:
            response = await client.get("/api/v1/broken")
    problem_of(response, 500, "internal")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "somebody" not in response.text
    noted: Any = [entry for entry in logs if entry["event"] == "a request failed"]
    assert (noted[0]["error"], noted[0]["path"]) == ("RuntimeError", "/api/v1/broken")
    assert "somebody" not in str(noted)


async def test_a_caller_in_doubt_is_told_where_to_ask(
    settings: Settings, services: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = APIRouter()

    @router.post("/doubtful")
    async def doubtful(key: Annotated[Key, Depends(key)]) -> None:
        raise Unavailable("the connection broke", in_doubt=True, retry_after_seconds=3)

    monkeypatch.setattr(application, "ROUTERS", (router,))
    async with serving(settings) as address, Site.anonymous(address) as client:
        response = await client.post("/api/v1/doubtful", headers={"Idempotency-Key": "one"})
    problem = problem_of(response, 503, "in-doubt")
    assert problem["in_doubt"] is True
    assert problem["command"] == f"/api/v1/commands/{read_key('one')}"
    assert (response.headers["Retry-After"], response.headers["Idempotency-Key"]) == ("3", "one")


def test_the_secret_of_a_link_is_in_no_log() -> None:
    assert without_secret("/l/the-secret") == "/l/…"
    assert without_secret("/password/the-secret") == "/password/…"
    assert without_secret("/letters") == "/letters"


async def test_a_page_about_a_link_that_went_wrong_leads_nowhere_with_its_secret(site: Site) -> None:
    async with site.stranger(Accept="text/html") as browser:
        for path in ("/l/the-secret/more", "/password/the-secret/more"):
            page = await browser.get(path)
            assert page.status_code == 404
            assert "next=/" in page.text.replace("%2F", "/")
            assert page.text.count("the-secret") == 1, "it says where there is nothing, and that is all"


def test_a_key_that_is_no_uuid_stands_for_one() -> None:
    given = "8E03978E-40D5-43DD-BC93-6894A57F9324"
    assert read_key(f'"{given}"') == read_key(given) == UUID(given)
    assert read_key("one") == read_key(' "one" ') != read_key("two")
    assert read_key(str(read_key("one"))) == read_key("one"), "the key that an answer names finds the command"


def test_nobody_can_use_up_the_key_of_a_step_that_is_still_to_come() -> None:
    key_of_a_step = identify("step", "send", UUID(int=7))

    assert read_key(str(key_of_a_step)) != key_of_a_step


async def test_a_page_is_told_a_problem_as_a_page(site: Site) -> None:
    page = await site.client.get("/nothing", headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    program = await site.client.get("/api/v1/nothing", headers={"Accept": "text/html,*/*;q=0.8"})
    problem_of(program, 404, "not-found")


def test_every_kind_of_refusal_has_its_status() -> None:
    statuses = {
        "refused": 422,
        "not-found": 404,
        "not-allowed": 409,
        "invalid": 422,
        "stale": 412,
        "key-reused": 422,
    }
    for kind, status in statuses.items():
        assert of_refusal(RefusalRecord(kind=kind, code="a-rule", message="No.")).status_code == status
