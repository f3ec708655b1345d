"""The log over HTTP: the history of a record, the export, and how far everything reaches."""

import base64
import json
from typing import Any

from domain.parties import ContactRole
from projections.runner import rebuild
from services.mapper import decode
from services.settings import Settings
from tests.api.conftest import Site, problem_of
from tests.cast import KENYA, MARTA, Office, contact_of


async def exported(site: Site, **parameters: Any) -> list[dict[str, Any]]:
    """Export the log and read its lines."""
    response = await site.client.get("/api/v1/events", params=parameters)
    assert response.headers["content-type"] == "application/jsonl"
    return [json.loads(line) for line in response.text.splitlines()]


async def test_the_history_of_a_record_tells_its_events_in_order(site: Site, office: Office) -> None:
    history = await site.read(f"/records/{KENYA}/events")
    assert [(event["version"], event["event"]) for event in history["items"]] == [
        (1, "Party.Registered"),
        (2, "Party.ContactNamed"),
        (3, "Party.ContactNamed"),
    ]
    registered, named, _ = history["items"]
    assert registered["facts"]["iso3"] == "KEN"
    assert registered["meaning"] == "The party was entered in the register, with its particulars."
    assert named["by"] == MARTA
    contact = contact_of("KEN", ContactRole.OFFICIAL_CONTACT_POINT)
    assert named["facts"]["contact_id"] == str(contact.id)
    assert contact.name not in json.dumps(history)
    assert await site.read(f"/events/{named['position']}") == named

    part = await site.read(f"/records/{KENYA}/events", limit=2)
    rest = await site.read(part["next"])
    assert part["items"] + rest["items"] == history["items"]
    assert rest["next"] is None
    then = await site.read(f"/records/{KENYA}/events", as_of=registered["position"])
    assert then["items"] == [registered]


async def test_a_command_over_http_says_which_request_caused_it(site: Site, office: Office) -> None:
    body = {"contact_id": str(KENYA), "effective_on": "2026-01-01"}
    path = f"/parties/{KENYA}/contacts/official_contact_point"
    named = await site.send(path, body, method="PUT", version=3, key="7b1f6f1e-0d0c-4c2f-9a57-2f3f5f0c8a11")
    assert named.status_code == 200
    event = await site.read(f"/events/{named.headers['Event-Position']}")
    assert event["because"] == "request:7b1f6f1e-0d0c-4c2f-9a57-2f3f5f0c8a11"


async def test_the_log_is_exported_in_order_and_byte_by_byte(site: Site, office: Office) -> None:
    lines = await exported(site)
    positions = [line["position"] for line in lines]
    assert positions == sorted(set(positions))
    assert positions[-1] == await site.log_position()
    keys = [line["key"] for line in lines]
    assert len(set(keys)) == len(keys)
    for line in lines:
        event = decode(line["topic"], base64.b64decode(line["stored"]))
        assert line["key"] == f"{event.originator_id}/{event.originator_version}"


async def test_an_export_goes_on_where_it_broke_off(site: Site, office: Office) -> None:
    whole = await exported(site)
    parts: list[dict[str, Any]] = []
    while part := await exported(site, after=parts[-1]["position"] if parts else 0, limit=4):
        assert len(part) <= 4
        parts += part
    assert parts == whole
    assert await exported(site, as_of=whole[5]["position"]) == whole[:6]


async def test_tables_that_were_rebuilt_have_the_same_hashes(
    site: Site, office: Office, settings: Settings
) -> None:
    before = await site.read("/tables")
    assert before["position"] == await site.log_position()
    assert len(before["sha256"]) > 5
    await rebuild(settings)
    assert await site.read("/tables") == before
    await site.do("/rounds", _round(site))
    assert (await site.read("/tables"))["sha256"] != before["sha256"]
    assert await site.read("/tables", as_of=before["position"]) == before


def _round(site: Site) -> dict[str, Any]:
    from domain.questionnaires import Questionnaire
    from tests.api.conftest import a_round

    return a_round(Questionnaire.id_of("needs"))


async def test_how_far_log_and_tables_reach_is_said(site: Site, office: Office) -> None:
    positions = await site.read("/position")
    assert positions["log"] == positions["tables"] == site.position
    ready = (await site.client.get("/ready")).json()
    proven = ready.pop("proven_position")
    assert ready == {
        "ready": True,
        "postgresql": "reached",
        "log_position": site.position,
        "tables_position": site.position,
        "alarms": 0,
    }
    assert 0 <= proven <= site.position, "checkpoints follow some seconds later"
    problem_of(await site.get(f"/events/{site.position + 1}"), 404, "not-found")
