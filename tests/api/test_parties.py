"""The registers over HTTP: parties and who speaks for them, Annex III, delivery partners."""

from typing import Any
from uuid import uuid4

from tests.api.conftest import Site, problem_of
from tests.cast import KENYA, Office, register

CONTACT = {"contact_id": str(uuid4()), "effective_on": "2026-01-01"}


async def test_a_party_is_registered_once(site: Site) -> None:
    body = register("KEN").model_dump(mode="json")
    registered = await site.send("/parties", body)
    assert (registered.status_code, registered.headers["Location"]) == (201, f"/api/v1/parties/{KENYA}")
    problem = problem_of(await site.send("/parties", body), 409, "party-already-registered")
    assert problem["party_id"] == str(KENYA)
    party = await site.read("/parties/KEN")
    assert (party["id"], party["name"], party["official_contact_point"]) == (str(KENYA), "Kenya", None)
    assert await site.read(f"/parties/{KENYA}") == party
    zone = await site.send("/parties", register("PER").model_dump(mode="json") | {"time_zone": "Lima"})
    assert problem_of(zone, 422, "unknown-time-zone")["faults"][0]["where"] == "/time_zone"


async def test_parties_are_listed_by_region_and_category(site: Site, office: Office) -> None:
    async def codes(**wanted: str) -> list[str]:
        return [party["iso3"] for party in (await site.read("/parties", **wanted))["items"]]

    assert await codes() == ["ALB", "FJI", "KEN", "NOR", "PER"]
    assert await codes(region="Africa") == ["KEN"]
    assert await codes(category="in transition") == ["ALB"]


async def test_who_speaks_for_a_party_is_named_and_ended(site: Site, office: Office) -> None:
    path = f"/parties/{KENYA}/contacts/official_contact_point"
    problem_of(await site.send(path, CONTACT, method="PUT"), 428, "precondition-required")
    named = await site.send(path, CONTACT, method="PUT", version=3)
    assert (named.status_code, named.headers["ETag"]) == (200, '"5"')
    assert (await site.read("/parties/KEN"))["official_contact_point"] == CONTACT["contact_id"]
    problem_of(await site.send(path, CONTACT, method="PUT", version=5), 409, "contact-already-named")
    early = await site.send(path, method="DELETE", version=5, params={"effective_on": "2025-01-01"})
    problem_of(early, 409, "before-the-appointment")
    ended = await site.send(path, method="DELETE", version=5, params={"effective_on": "2026-02-01"})
    assert ended.status_code == 200
    assert (await site.read("/parties/KEN"))["official_contact_point"] is None


CHEMICAL: dict[str, Any] = {
    "annex_id": "044",
    "name": "Methamidophos",
    "cas_numbers": ["10265-92-6"],
    "categories": ["pesticide"],
    "listed_at": "COP-7",
    "decision": "RC-7/4",
    "source": "tests",
    "confidence": "invented",
}


async def test_a_chemical_is_listed_and_deleted(site: Site) -> None:
    listed = await site.do("/chemicals", CHEMICAL)
    path = f"/chemicals/{listed['id']}/delist"
    await site.do(path, {"delisted_at": "COP-12"}, version=1)
    (entry,) = (await site.read("/chemicals"))["items"]
    assert (entry["current"], entry["delisted_at"]) == (False, "COP-12")
    again = await site.send(path, {"delisted_at": "COP-12"}, version=2)
    problem_of(again, 409, "chemical-already-delisted")
    unknown = await site.send("/chemicals", CHEMICAL | {"categories": ["cosmetic"]})
    assert problem_of(unknown, 422, "invalid")["faults"][0]["where"] == "/categories/0"


async def test_a_delivery_partner_is_registered_once(site: Site) -> None:
    partner = {
        "centre_id": "BC-SEN",
        "name": "Basel Convention regional centre, Senegal",
        "city": "Dakar",
        "host_country_iso3": "SEN",
        "type": "Basel regional centre",
        "convention": "Basel",
        "region_served": "Africa",
        "source": "tests",
        "confidence": "invented",
    }
    await site.do("/delivery-partners", partner)
    refused = await site.send("/delivery-partners", partner)
    assert refused.status_code == 409
    (found,) = (await site.read("/delivery-partners"))["items"]
    assert (found["centre_id"], found["city"]) == ("BC-SEN", "Dakar")


async def test_who_speaks_for_a_party_is_told_to_those_who_may_see_contacts(
    site: Site, office: Office
) -> None:
    roles = ("official_contact_point", "designated_national_authority")

    async def told(to: Site, code: str) -> set[bool]:
        [listed] = [each for each in (await to.read("/parties"))["items"] if each["iso3"] == code]
        assert listed == await to.read(f"/parties/{code}")
        return {listed[role] is not None for role in roles}

    assert await told(site, "KEN") == {True}
    async with site.speaking_for("KEN") as kenya:
        assert await told(kenya, "KEN") == {True}
        assert await told(kenya, "PER") == {False}
