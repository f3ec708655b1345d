"""Drafts over HTTP: saved and read by the party, and by nobody else but auditors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx

from domain.access import Grant, Role
from domain.drafts import draft_id
from domain.parties import ContactRole
from domain.rounds import invitation_id
from services.entrance import Entrance
from services.hashing import hashed, new_secret
from services.links import MakeLink
from tests.api.conftest import Site, problem_of
from tests.api.test_rounds import GOOD, issued
from tests.cast import KENYA, PERU, Office, contact_of, session_of


def saving(page_id: UUID | None = None, drawn_from: int = 0, **answers: object) -> dict[str, object]:
    """The body of a saving."""
    return {"answers": answers, "page_id": str(page_id or uuid4()), "drawn_from": drawn_from}


@asynccontextmanager
async def auditing(site: Site, office: Office) -> AsyncIterator[Site]:
    """The site as an auditor sees it."""
    auditor = await office.with_person("Aisha", Grant(role=Role.AUDITOR))
    async with site.stranger() as client:
        yield Site(client, site.services, await session_of(site.services, auditor.id))


@asynccontextmanager
async def by_link(site: Site, office: Office, invitation: UUID) -> AsyncIterator[Site]:
    """The site as it is seen by whoever came by the link of a letter to Kenya."""
    contact, secret = contact_of("KEN", ContactRole.OFFICIAL_CONTACT_POINT), new_secret()
    digest = hashed(secret).hex()
    await office.do(
        MakeLink(id=uuid4(), invitation_id=invitation, contact_id=contact.id, secret_sha256=digest)
    )
    opened = await Entrance(site.services).open_link(secret, "a browser", datetime.now(UTC), None)
    assert opened is not None
    async with site.stranger() as client:
        yield Site(client, site.services, opened.secret)


async def save(contact: Site, invitation: UUID, body: object) -> httpx.Response:
    return await contact.send(f"/invitations/{invitation}/draft", body, method="PATCH")


async def test_a_contact_saves_half_an_answer_and_finds_it_again(site: Site, office: Office) -> None:
    invitation = invitation_id(await issued(site), KENYA)
    async with by_link(site, office, invitation) as contact:
        problem_of(await contact.get(f"/invitations/{invitation}/draft"), 404, "not-found")

        response = await save(contact, invitation, saving(remark="half a wo", areas=["law"]))

        assert (response.status_code, response.headers["ETag"]) == (200, '"2"')
        draft = await contact.read(f"/invitations/{invitation}/draft")
        assert draft["answers"] == {"remark": "half a wo", "areas": ["law"]}
        assert (draft["asked"], draft["answered"], draft["percent"], draft["version"]) == (2, 2, 100, 2)
        await save(contact, invitation, saving(drawn_from=2, areas=None))
        draft = await contact.read(f"/invitations/{invitation}/draft")
        assert (draft["answers"], draft["percent"]) == ({"remark": "half a wo"}, 50)


async def test_two_answers_to_one_question_are_both_told_until_one_is_chosen(
    site: Site, office: Office
) -> None:
    invitation = invitation_id(await issued(site), KENYA)
    async with by_link(site, office, invitation) as contact:
        await save(contact, invitation, saving(remark="Mine"))
        await save(contact, invitation, saving(remark="Yours"))
        draft = await contact.read(f"/invitations/{invitation}/draft")
        assert [each["value"] for each in draft["choices"]["remark"]] == ["Mine", "Yours"]

        await save(contact, invitation, saving(drawn_from=draft["version"], remark="Yours"))

        draft = await contact.read(f"/invitations/{invitation}/draft")
        assert (draft["answers"], draft["choices"]) == ({"remark": "Yours"}, {})


async def test_what_cannot_be_kept_is_refused_with_every_fault(site: Site, office: Office) -> None:
    invitation = invitation_id(await issued(site), KENYA)
    async with by_link(site, office, invitation) as contact:
        response = await save(contact, invitation, saving(areas=["moon"], colour="red", remark="Fine"))

        problem = problem_of(response, 422, "draft")
        assert {fault["where"] for fault in problem["faults"]} == {"areas", "colour"}
        response = await save(contact, invitation, saving(areas={"law": True}))
        assert response.status_code == 422


async def test_the_secretariat_sees_how_far_a_draft_is_and_none_of_its_answers(
    site: Site, office: Office
) -> None:
    round_id = await issued(site)
    invitation, draft = invitation_id(round_id, KENYA), draft_id(invitation_id(round_id, KENYA))
    async with by_link(site, office, invitation) as contact:
        saved = await save(contact, invitation, saving(remark="A secret of ours"))
        site.position = contact.position
    position = saved.headers["Event-Position"]

    board = (await site.read(f"/rounds/{round_id}/board"))["items"]
    [kenya] = [row for row in board if row["iso3"] == "KEN"]
    [peru] = [row for row in board if row["iso3"] == "PER"]
    assert (kenya["state"], kenya["percent"]) == ("issued", 50)
    assert kenya["begun_at"]
    assert (peru["begun_at"], peru["percent"]) == (None, None)
    for path in (
        f"/invitations/{invitation}/draft",
        f"/records/{draft}/events",
        f"/events/{position}",
        f"/history/packs/record/{draft}",
    ):
        response = await site.get(path)
        assert response.status_code == 404, path
        assert "secret" not in response.text
    page = await site.client.get(f"/history/{draft}")
    assert page.status_code == 404

    async with auditing(site, office) as auditor:
        auditor.position = site.position
        events = (await auditor.read(f"/records/{draft}/events"))["items"]
        assert [event["event"] for event in events] == ["Draft.Begun", "Draft.Saved"]
        assert (await auditor.get(f"/history/packs/record/{draft}")).status_code == 200
        read = await auditor.read(f"/invitations/{invitation}/draft")
        assert read["answers"] == {"remark": "A secret of ours"}
        page = await auditor.client.get(f"/history/{draft}")
        assert "A secret of ours" in page.text
        refused = await save(auditor, invitation, saving(remark="Mine now"))
        problem_of(refused, 403, "no-right")


async def test_one_party_neither_reads_nor_writes_the_draft_of_another(site: Site, office: Office) -> None:
    round_id = await issued(site)
    kenya, peru = invitation_id(round_id, KENYA), invitation_id(round_id, PERU)
    async with by_link(site, office, kenya) as contact:
        await save(contact, kenya, saving(remark="Ours"))
        site.position = contact.position

    async with site.speaking_for("PER") as other:
        other.position = site.position
        problem_of(await other.get(f"/invitations/{kenya}/draft"), 404, "not-found")
        problem_of(await save(other, kenya, saving(remark="Theirs")), 404, "not-found")
        problem_of(await other.get(f"/records/{draft_id(kenya)}/events"), 404, "not-found")
        assert (await save(other, peru, saving(remark="Ours"))).status_code == 200
    async with site.speaking_for("KEN") as own:
        own.position = site.position
        assert (await own.get(f"/records/{draft_id(kenya)}/events")).status_code == 200


async def test_nothing_is_saved_once_the_answer_is_in(site: Site, office: Office) -> None:
    invitation = invitation_id(await issued(site), KENYA)
    async with by_link(site, office, invitation) as contact:
        await save(contact, invitation, saving(remark="Before"))
        await contact.do(f"/invitations/{invitation}/response", GOOD)

        problem_of(await save(contact, invitation, saving(remark="After")), 409, "already-received")
        draft = await contact.read(f"/invitations/{invitation}/draft")
        assert draft["answers"] == {"remark": "Before"}
