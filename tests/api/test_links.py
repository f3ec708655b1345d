"""Personal links over HTTP: a section is forwarded, who was asked is listed, and a link is revoked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx

from domain.forms import Question, Section
from domain.letters import LetterKind
from domain.rounds import Invitation, invitation_id
from services.entrance import Entrance
from services.hashing import hashed, new_secret
from services.letters import SendLetter
from tests.api.conftest import Site, a_round, problem_of
from tests.api.test_drafts import by_link, save, saving
from tests.api.test_rounds import GOOD, QUESTIONNAIRE, issued
from tests.cast import KENYA, PERU, Office, Postbox, a_form
from tests.services.test_links import link_in

NJERI = {"section": "needs", "name": "Njeri Kamau", "email": "njeri@example.org", "language": "en"}


@asynccontextmanager
async def by_forwarded_link(site: Site, office: Office, invitation: UUID) -> AsyncIterator[Site]:
    """The site as a colleague sees it, to whom a contact of Kenya has forwarded the section on needs."""
    async with by_link(site, office, invitation) as contact:
        link = await contact.do(f"/invitations/{invitation}/links", NJERI)
    entrance, secret = Entrance(site.services), new_secret()
    await entrance.links.give_secret(UUID(link["id"]), hashed(secret))
    opened = await entrance.open_link(secret, "a telephone", datetime.now(UTC))
    assert opened is not None
    async with site.stranger() as client:
        yield Site(client, site.services, opened.secret)


async def send_letters(office: Office, invitation_id: UUID) -> None:
    """Send the letters to colleagues that are due, as the clock does."""
    invitation = await office.services.store.read(Invitation, invitation_id)
    for letter in invitation.letters:
        if letter.kind is LetterKind.FORWARDING:
            await office.do(SendLetter(letter_id=letter.letter_id))


async def test_a_section_is_forwarded_once_and_the_link_is_revoked(
    site: Site, office: Office, postbox: Postbox
) -> None:
    invitation = invitation_id(await issued(site), KENYA)
    async with by_link(site, office, invitation) as contact:
        path = f"/invitations/{invitation}/links"
        asked = await contact.send(path, NJERI, key="ask Njeri")
        id = asked.json()["id"]
        assert (asked.status_code, asked.headers["Location"]) == (201, f"/api/v1/links/{id}")
        assert (await contact.send(path, NJERI, key="ask Njeri")).content == asked.content
        before = await contact.read(f"/links/{id}")
        assert (before["section"], before["state"], before["letter_state"]) == ("needs", "good", "planned")

        await send_letters(office, invitation)
        assert len(postbox.letters) == 1
        contact.position = await site.log_position()
        listed = await contact.read(path)
        assert [link["section"] for link in listed["items"]] == ["needs", None]
        assert listed["items"][0]["letter_state"] == "sent"
        assert link_in(postbox.letters[0]) not in str(listed)

        await contact.do(f"/links/{id}/revoke", {"reason": "Asked somebody else."})
        after = await contact.read(f"/links/{id}")
        assert (after["state"], after["reason"]) == ("revoked", "Asked somebody else.")
        then = await contact.read(f"/links/{id}", as_of=asked.headers["Event-Position"])
        assert then == before


async def test_what_a_colleague_saves_reaches_the_contact_who_alone_hands_it_in(
    site: Site, office: Office
) -> None:
    invitation = invitation_id(await issued(site), KENYA)
    async with by_forwarded_link(site, office, invitation) as colleague:
        saved = await save(colleague, invitation, saving(areas=["customs"]))
        assert saved.status_code == 200, saved.text
        problem_of(await colleague.send(f"/invitations/{invitation}/response", GOOD), 403, "no-right")
        problem_of(await colleague.send(f"/invitations/{invitation}/links", NJERI), 403, "no-right")
        problem_of(await colleague.get(f"/invitations/{invitation}/links"), 404, "not-found")
        async with by_link(site, office, invitation) as contact:
            contact.position = colleague.position
            draft = await contact.read(f"/invitations/{invitation}/draft")
            assert draft["answers"] == {"areas": ["customs"]}


async def test_who_is_asked_is_known_by_name_and_address(site: Site, office: Office) -> None:
    invitation = invitation_id(await issued(site), KENYA)
    async with by_link(site, office, invitation) as contact:
        path = f"/invitations/{invitation}/links"
        for wrong in ({"name": ""}, {"email": "njeri"}, {"section": ""}):
            refused = problem_of(await contact.send(path, NJERI | wrong), 422, "invalid")
            assert [fault["where"] for fault in refused["faults"]] == [f"/{next(iter(wrong))}"]
        problem_of(await contact.send(path, NJERI | {"section": "finances"}), 404, "no-such-section")


async def test_a_link_of_another_party_is_answered_as_one_that_is_not_there(
    site: Site, office: Office
) -> None:
    round_id = await issued(site)
    own, others = invitation_id(round_id, KENYA), invitation_id(round_id, PERU)
    async with by_link(site, office, own) as kenya, site.speaking_for("PER") as peru:
        theirs = (await peru.do(f"/invitations/{others}/links", NJERI))["id"]
        kenya.position = peru.position
        answers: list[tuple[httpx.Response, httpx.Response]] = []
        for path in ("/links/{}",):
            answers.append((await kenya.get(path.format(theirs)), await kenya.get(path.format(uuid4()))))
        reason = {"reason": "Not mine."}
        answers.append(
            (
                await kenya.send(f"/links/{theirs}/revoke", reason),
                await kenya.send(f"/links/{uuid4()}/revoke", reason),
            )
        )
        for one, another in answers:
            problem_of(one, 404, "not-found")
            problem_of(another, 404, "not-found")
        peru.position = await site.log_position()
        assert (await peru.read(f"/links/{theirs}"))["state"] == "good"


async def test_staff_see_links_and_revoke_them_and_forward_nothing(site: Site, office: Office) -> None:
    invitation = invitation_id(await issued(site), KENYA)
    async with by_link(site, office, invitation) as contact:
        id = (await contact.do(f"/invitations/{invitation}/links", NJERI))["id"]
    problem_of(await site.send(f"/invitations/{invitation}/links", NJERI), 403, "no-right")
    site.position = await site.log_position()
    assert len((await site.read(f"/invitations/{invitation}/links"))["items"]) == 2
    await site.do(f"/links/{id}/revoke", {"reason": "The letter went astray."}, version=1)
    assert (await site.read(f"/links/{id}"))["state"] == "revoked"


async def test_a_colleague_reads_of_the_answer_the_own_section_alone(site: Site, office: Office) -> None:
    sections = tuple(
        Section(name=name, questions=(Question(name=f"{name}_remark", kind="text", label={"en": name}),))
        for name in ("needs", "other")
    )
    form = a_form("2").model_copy(update={"sections": sections})
    await office.with_form(form)
    opened = await site.do("/rounds", a_round(QUESTIONNAIRE) | {"form_version": "2"})
    await site.do(f"/rounds/{opened['id']}/issue", {"parties": [str(KENYA)]})
    invitation = invitation_id(UUID(opened["id"]), KENYA)
    async with by_forwarded_link(site, office, invitation) as colleague:
        whole = {"needs_remark": "ours", "other_remark": "not for everybody"}
        await site.answered("KEN", invitation, {"answers": whole})
        colleague.position = site.position
        response = await colleague.read(f"/invitations/{invitation}/response")
        assert response["answers"] == {"needs_remark": "ours"}
        for path in (f"/invitations/{invitation}", f"/invitations/{invitation}/answer"):
            page = await colleague.client.get(path, params={"wait_for": site.position})
            assert page.status_code == 200
            assert "ours" in page.text
            assert "not for everybody" not in page.text
