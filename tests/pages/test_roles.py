"""Each role has its home, and sees only what it may do."""

import re

from api.pages import words
from services.rounds import SubmitResponse
from services.wiring import Services
from tests.cast import Office, hired, speaker
from tests.pages.conftest import Hire, Reader, Survey


async def test_an_auditor_reads_a_history_and_finds_no_button_that_changes_anything(
    reader: Reader, survey: Survey, office: Office
) -> None:
    await office.do(SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]}))
    for path in (
        "/",
        "/rounds",
        f"/rounds/{survey.round_id}",
        f"/invitations/{survey.kenya}",
        f"/invitations/{survey.peru}",
        f"/gaps/{survey.round_id}",
        "/parties/KEN",
        "/questionnaires",
        "/letters",
        "/people",
        f"/history/{survey.kenya}",
    ):
        assert (await reader.open(path)).status == 200
        assert await reader.page.locator("main form[method=post]").count() == 0, path
    said = await reader.text()
    assert "Invitation: response received" in said
    assert "by Marta Lindqvist" in said
    for path in ("/rounds/new", f"/rounds/{survey.round_id}/issue"):
        assert (await reader.open(path)).status == 404


async def test_the_home_of_a_manager_counts_what_the_pages_behind_it_count(
    manager: Reader, survey: Survey, office: Office
) -> None:
    await office.do(SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]}))
    await manager.open("/")
    said = await manager.text()
    home = dict(re.findall(r"(answers awaited|answers overdue|letters to come) (\d+)", said))
    await manager.open(f"/rounds/{survey.round_id}")
    board = dict(re.findall(r"(awaited|overdue) (\d+)", await manager.text()))
    await manager.open("/letters?state=planned")
    planned = re.search(rf"{words.LETTER_STATES['planned'].lower()} (\d+)", await manager.text())
    assert planned is not None
    assert home == {
        "answers awaited": board["awaited"],
        "answers overdue": board["overdue"],
        "letters to come": planned[1],
    }


async def test_a_contact_who_signs_in_finds_what_is_asked_of_their_party_alone(
    hire: Hire, survey: Survey, services: Services
) -> None:
    person, grant = speaker("KEN")
    await hired(services, person, grant)
    contact = await hire(person.id, viewport={"width": 360, "height": 740})
    await contact.open("/")
    asked = " ".join((await contact.page.locator("[data-fresh=own]").inner_text()).split())
    assert "Needs survey Awaiting answer" in asked
    assert "Peru" not in asked
    assert await contact.page.locator("main p.over").inner_text() == "Kenya"
    await contact.must_be_good()
    for path in (f"/invitations/{survey.kenya}", f"/history/{survey.kenya}", "/parties/KEN", "/parties/PER"):
        assert (await contact.open(path)).status == 200, path
        await contact.must_be_good()
    for path in (f"/invitations/{survey.peru}", f"/history/{survey.peru}", "/rounds", "/letters", "/people"):
        assert (await contact.open(path)).status == 404, path
    await contact.open("/")
    await contact.follow("Needs survey")
    assert "Questionnaire for Kenya" in await contact.text()
    assert await contact.page.get_by_role("button", name="Send the answer").count() == 1
