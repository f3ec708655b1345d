"""The access log: what it tells of each request, and what it never holds."""

import json
from typing import Any
from uuid import uuid4

import pytest

from domain.parties import ContactRole
from domain.rounds import invitation_id
from services.hashing import hashed, new_secret
from services.people import MakePasswordLink
from services.wiring import Services
from tests.api.conftest import MARTAS_ID, Site
from tests.api.test_rounds import issued
from tests.cast import KENYA, Office, contact_of, register
from tests.pages.conftest import a_link

Lines = list[dict[str, Any]]


def told(captured: pytest.CaptureFixture[str]) -> Lines:
    """Return the lines of the access log since it was last looked at."""
    lines = captured.readouterr().out.splitlines()
    return [json.loads(line) for line in lines if line.startswith('{"time"')]


async def test_each_request_is_told_with_who_asked_and_what_was_written(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys)
    recorded = await site.send("/parties", register("KEN").model_dump(mode="json"))
    await site.read("/parties/KEN")
    async with site.stranger() as stranger:
        await stranger.get("/api/v1/parties/KEN?secret=of-the-query")
        await stranger.get("/nothing/of/the/kind")
        await stranger.get("/health")
        await stranger.get("/ready")

    command, read, unknown, nowhere = told(capsys)
    assert command.pop("milliseconds") > 0
    assert command.pop("time").endswith("Z")
    assert command == {
        "method": "POST",
        "route": "/api/v1/parties",
        "status": 201,
        "person": str(MARTAS_ID),
        "position": int(recorded.headers["Event-Position"]),
    }
    assert (read["route"], read["position"]) == ("/api/v1/parties/{party}", None)
    assert (unknown["status"], unknown["person"]) == (401, None)
    assert (nowhere["status"], nowhere["route"]) == (404, None)
    assert "of-the-query" not in str(unknown)


async def test_the_secret_of_a_link_is_never_in_it(
    site: Site, office: Office, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    _, path = await a_link(services, invitation_id(await issued(site), KENYA))
    secret = new_secret()
    link = MakePasswordLink(person_id=MARTAS_ID, link_id=uuid4(), secret_sha256=hashed(secret).hex())
    await Office(services).ask(link)
    told(capsys)

    async with site.stranger(Accept="text/html", **{"Sec-Fetch-Site": "same-origin"}) as browser:
        for page in (path, f"{path}/", f"{path}?lang=fr", f"/password/{secret}", f"/password/{secret}/x"):
            await browser.get(page)
            await browser.post(page)
        session = browser.cookies.get("mandate")

    captured = capsys.readouterr()
    assert session is not None
    for hidden in (path.removeprefix("/l/"), secret, session):
        assert hidden not in captured.out + captured.err
    lines = [json.loads(line) for line in captured.out.splitlines() if line.startswith('{"time"')]
    exchanged = next(line for line in lines if line["method"] == "POST" and line["status"] == 303)
    assert exchanged["route"] == "/l/{secret}"
    assert exchanged["position"] is not None
    contact = contact_of("KEN", ContactRole.OFFICIAL_CONTACT_POINT)
    assert exchanged["person"] == str(contact.id), "whoever comes in is known by then"
