"""A contact answers half of a questionnaire, comes back, and goes on: alone or with others."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import psycopg
import pytest
from playwright.async_api import expect
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from api.stack.postgres import PostgresServer
from domain.drafts import Draft, draft_id
from domain.rounds import Invitation, InvitationState
from projections.runner import schema_name
from services.drafts import SaveDraft
from services.rounds import SubmitResponse
from services.settings import Settings
from services.wiring import Services
from tests.cast import Office
from tests.pages.conftest import Hire, Reader, Survey, a_link, open_link
from tests.pages.test_answering import AREA, tick

TELEPHONE = {"width": 375, "height": 667}
ELSE = "Is there anything else"


async def go_in(reader: Reader, path: str) -> None:
    """Open the link of a letter and press its button."""
    await reader.open(path)
    await reader.press("Open the questionnaire")


async def is_saved(services: Services, survey: Survey, name: str) -> object:
    """Return the answer that is saved to a question of Kenya's."""
    return (await services.store.read(Draft, draft_id(survey.kenya))).answers.get(name)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_a_contact_answers_half_on_a_telephone_comes_back_and_sends(
    hire: Hire, survey: Survey, services: Services, scripts: bool
) -> None:
    _, path = await a_link(services, survey.kenya)
    telephone = await hire(None, java_script_enabled=scripts, viewport=TELEPHONE)
    await go_in(telephone, path)
    assert "Nothing is saved yet." in await telephone.text()

    await tick(telephone, 1, 2)
    await telephone.page.get_by_label(ELSE).fill("More <training>")
    await telephone.press("Save and go on later")
    assert "Your answers are saved. You can close this page" in await telephone.text()
    if scripts:
        await telephone.must_be_good()
    await telephone.page.context.close()

    laptop = await hire(None, java_script_enabled=scripts)
    await go_in(laptop, path)
    assert await laptop.page.locator("input[name=priority_areas]:checked").count() == 2
    assert await laptop.page.get_by_label(ELSE).input_value() == "More <training>"
    assert re.search(r"Answered: 2 of \d+ questions", await laptop.text())
    assert (await services.store.read(Invitation, survey.kenya)).version == 1

    await laptop.page.get_by_label(ELSE).fill("More training")
    await laptop.press("Send the answer")
    if "open further questions" in await laptop.text():
        await laptop.press("Send the answer")
    assert await laptop.heading() == "The answer has been received"
    said = await laptop.text()
    assert AREA in said
    assert "More training" in said
    assert "What was saved and not sent" not in said
    assert await laptop.page.locator("main a[href*='/history/']").count() == 0, "a link opens no histories"
    assert (await services.store.read(Invitation, survey.kenya)).state is InvitationState.RECEIVED

    await go_in(laptop, path)
    assert await laptop.heading() == "The answer has been received"


async def test_what_is_typed_is_saved_while_it_is_typed(
    hire: Hire, survey: Survey, services: Services
) -> None:
    contact = await hire(None, viewport=TELEPHONE)
    await open_link(contact, survey.kenya, "KEN")
    field = contact.page.get_by_label(ELSE)

    await field.press_sequentially("As I typed")

    await expect(contact.page.locator("[data-part=state]")).to_contain_text("Saved:")
    await expect(field).to_be_focused()
    await expect(contact.page.locator("[data-part=steps]").first).to_contain_text("Answered: 1 of")
    assert await is_saved(services, survey, "other_views") == "As I typed"
    await field.press_sequentially(" it")
    await contact.page.locator("#priority_areas-1").check()
    await expect(contact.page.locator("[data-part=steps]").first).to_contain_text("Answered: 2 of")
    assert await is_saved(services, survey, "other_views") == "As I typed it"
    await contact.must_be_good()


async def test_what_cannot_be_saved_now_stays_on_the_page_and_is_saved_later(
    hire: Hire, survey: Survey, services: Services
) -> None:
    contact = await hire(None)
    await open_link(contact, survey.kenya, "KEN")
    await contact.page.context.set_offline(True)
    await contact.page.get_by_label(ELSE).fill("In the lift")
    await contact.page.get_by_label(ELSE).blur()
    state = contact.page.locator("[data-part=state]")
    await expect(state).to_contain_text("What you typed is kept here")

    await contact.page.context.set_offline(False)

    await expect(state).to_contain_text("Saved:")
    assert await is_saved(services, survey, "other_views") == "In the lift"


async def test_two_people_write_at_once_and_choose(hire: Hire, survey: Survey, services: Services) -> None:
    one, other = await hire(None, java_script_enabled=False), await hire(None, java_script_enabled=False)
    await open_link(one, survey.kenya, "KEN")
    await open_link(other, survey.kenya, "KEN")
    await one.page.get_by_label(ELSE).fill("From one")
    await one.press("Save and go on later")
    await other.page.get_by_label(ELSE).fill("From the other")
    await tick(other, 3)

    await other.press("Save and go on later")

    said = await other.text()
    assert "Somebody else has saved answers meanwhile" in said
    assert "From one" in said
    assert "From the other" in said
    assert await is_saved(services, survey, "priority_areas")
    await other.press("Send the answer")
    assert "Choose one of the answers that were saved." in await other.text()
    await other.page.get_by_role("button", name="Take this answer").nth(1).click()
    assert await other.page.get_by_label(ELSE).input_value() == "From the other"
    assert await is_saved(services, survey, "other_views") == "From the other"


async def test_what_a_page_saved_while_it_was_left_is_in_the_answer_that_it_sends(
    hire: Hire, survey: Survey, office: Office, postgres: PostgresServer, settings: Settings
) -> None:
    contact = await hire(None, java_script_enabled=False)
    await open_link(contact, survey.kenya, "KEN")
    await tick(contact, 1)
    await contact.press("Show the questions that follow from my answers")
    await contact.page.get_by_label(ELSE).fill("On leaving")
    page_id = UUID(await contact.page.locator("input[name=page_id]").first.input_value())
    drawn_from = int(await contact.page.locator("input[name=drawn_from]").first.input_value())
    saving = SaveDraft(
        invitation_id=survey.kenya,
        answers={"other_views": "On leaving"},
        page_id=page_id,
        drawn_from=drawn_from,
    )

    async with tables_behind(postgres, settings):
        await office.do(saving)
        pressed = asyncio.create_task(contact.press("Send the answer"))
        await asyncio.wait([pressed], timeout=2)
    await pressed

    assert await contact.heading() == "The answer has been received"
    sent, _, unsent = (await contact.text()).partition("What was saved and not sent")
    assert "On leaving" in sent
    assert not unsent


@asynccontextmanager
async def tables_behind(postgres: PostgresServer, settings: Settings) -> AsyncIterator[None]:
    """Keep the tables from following the log for a while."""
    database = str(conninfo_to_dict(settings.writer_url)["dbname"])
    url = postgres.url("mandate_projector", database)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        table = sql.Identifier(schema_name(), "position")
        await connection.execute(sql.SQL("SELECT FROM {} FOR UPDATE").format(table))
        yield


async def test_an_answer_is_not_sent_before_what_others_saved_meanwhile_was_seen(
    hire: Hire, survey: Survey, services: Services, office: Office
) -> None:
    contact = await hire(None, java_script_enabled=False)
    await open_link(contact, survey.kenya, "KEN")
    await tick(contact, 1)
    await contact.press("Show the questions that follow from my answers")
    await office.do(
        SaveDraft(invitation_id=survey.kenya, answers={"other_views": "By a colleague"}, page_id=uuid4())
    )

    await contact.press("Send the answer")

    assert "Somebody else has saved answers meanwhile" in await contact.text()
    assert await contact.page.get_by_label(ELSE).input_value() == "By a colleague"
    assert (await services.store.read(Invitation, survey.kenya)).state is InvitationState.ISSUED
    await contact.press("Send the answer")
    assert await contact.heading() == "The answer has been received"
    assert "By a colleague" in await contact.text()


async def test_what_was_saved_and_did_not_go_out_with_the_answer_stands_on_the_receipt(
    hire: Hire, survey: Survey, services: Services, office: Office
) -> None:
    contact = await hire(None)
    await open_link(contact, survey.kenya, "KEN")
    answers = {"priority_areas": ["customs"]}
    await office.do(SaveDraft(invitation_id=survey.kenya, answers=answers, page_id=uuid4()))
    await office.do(
        SaveDraft(invitation_id=survey.kenya, answers={"other_views": "In between"}, page_id=uuid4())
    )
    await office.do(SubmitResponse(invitation_id=survey.kenya, answers=answers))

    await contact.open(f"/invitations/{survey.kenya}/answer")

    assert await contact.heading() == "The answer has been received"
    unsent = (await contact.text()).partition("What was saved and not sent")[2]
    assert "In between" in unsent
    assert AREA not in unsent
    await contact.must_be_good()


async def test_whoever_types_on_when_the_answer_is_in_is_told_so(
    hire: Hire, survey: Survey, office: Office
) -> None:
    contact = await hire(None)
    await open_link(contact, survey.kenya, "KEN")
    await office.do(SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]}))

    await contact.page.get_by_label(ELSE).fill("Too late")
    await contact.page.get_by_label(ELSE).blur()

    await expect(contact.page.locator("[data-part=state]")).to_contain_text("An answer has been received")
    assert await contact.page.get_by_label(ELSE).input_value() == "Too late"


async def test_what_cannot_be_kept_is_named_and_all_else_is_saved(
    hire: Hire, survey: Survey, services: Services
) -> None:
    contact = await hire(None, java_script_enabled=False)
    await open_link(contact, survey.kenya, "KEN")
    await tick(contact, 1)
    await contact.page.get_by_label(ELSE).fill("x" * 10_001)

    await contact.press("Save and go on later")

    said = await contact.text()
    assert "This could not be saved; all else is" in said
    assert "at most 10000 characters fit" in said
    assert len(await contact.page.get_by_label(ELSE).input_value()) == 10_001
    assert await is_saved(services, survey, "priority_areas")
    assert await is_saved(services, survey, "other_views") is None


async def test_the_secretariat_sees_how_far_it_is_and_no_answer(
    manager: Reader, survey: Survey, office: Office
) -> None:
    await office.do(
        SaveDraft(invitation_id=survey.kenya, answers={"other_views": "Ours alone"}, page_id=uuid4())
    )

    await manager.open(f"/rounds/{survey.round_id}")
    assert re.search(r"Kenya.*Begun, \d+%", await manager.text())
    await manager.must_be_good()
    for path in (f"/invitations/{survey.kenya}", f"/invitations/{survey.kenya}/answer"):
        await manager.open(path)
        said = await manager.text()
        assert "Ours alone" not in said + await manager.page.content()
    await manager.open(f"/invitations/{survey.kenya}")
    assert "Begun" in await manager.text()
