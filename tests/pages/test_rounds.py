"""A manager opens a round, issues it, and watches who owes an answer."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain.rounds import Due, Invitation, InvitationState, invitation_id
from services.rounds import SubmitResponse, WithdrawInvitation
from services.wiring import Services
from tests.cast import FIJI, KENYA, PERU, Office
from tests.pages.conftest import Hire, Reader, Survey, needs_form


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_a_manager_opens_a_round_and_issues_it(
    hire: Hire, office: Office, services: Services, scripts: bool
) -> None:
    await office.with_parties()
    await office.with_form(needs_form())
    manager = await hire(None, java_script_enabled=scripts)
    await manager.sign_in()
    await manager.follow("Rounds")
    await manager.follow("Open a round")

    await manager.page.get_by_label("Title").fill("Needs of the biennium")
    await manager.press("Open the round")
    said = await manager.text()
    assert "The round was not opened" in said
    assert "Give either the last day or the moment, and not both." in said
    assert await manager.page.get_by_label("Title").input_value() == "Needs of the biennium"

    due = datetime.now(UTC) + timedelta(days=40)
    await manager.page.get_by_label("The last day").fill(f"{due:%Y-%m-%d}")
    await manager.page.get_by_label("Reminders before").fill("14 days, 36 hours")
    await manager.press("Open the round")
    said = await manager.text()
    assert "4 parties may receive it" in said
    assert "The round is not for developed countries" in said

    await manager.page.get_by_label("Fiji").uncheck()
    await manager.press("Issue to the parties that are ticked")
    assert await manager.heading() == "Needs of the biennium"
    said = await manager.text()
    assert "asked 3" in said
    assert "14 days and 36 hours before the due date" in said
    assert await manager.page.get_by_role("link", name="Kenya").count() == 1
    assert await manager.page.get_by_role("link", name="Fiji").count() == 0


async def test_the_board_says_who_owes_an_answer_and_the_letters_add_up(
    reader: Reader, survey: Survey, office: Office
) -> None:
    await office.ask(SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]}))
    board = f"/rounds/{survey.round_id}"
    await reader.open(f"{board}")

    said = await reader.text()
    assert "asked 2 answered 1 response rate 50% awaited 1 overdue 0" in said
    assert "These answers are invented." in said
    account = await reader.page.locator("[data-fresh=account] td").all_inner_texts()
    *parts, planned = map(int, account)
    assert sum(parts) == planned == 10

    await reader.page.get_by_label("State").select_option("owing")
    await reader.press("Show")
    board_rows = reader.page.locator("[data-fresh=board] tbody th")
    assert await board_rows.all_inner_texts() == ["Peru"]
    assert "Lima time" in await reader.text()

    await reader.open(f"{board}?region=Africa")
    assert await board_rows.all_inner_texts() == ["Kenya"]
    assert await reader.page.get_by_text("Extend the round").count() == 0, "an auditor changes nothing"


async def test_a_round_is_extended_and_an_earlier_date_refused(
    manager: Reader, survey: Survey, services: Services
) -> None:
    await manager.open(f"/rounds/{survey.round_id}")
    await manager.page.locator("summary", has_text="Extend the round").click()
    await manager.page.get_by_label("New due date").fill(f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%d}")
    await manager.page.get_by_label("Reason").fill("Asked for by the region.")
    await manager.press("Extend the round")
    said = await manager.text()
    assert "An extension must end later than the due date that holds." in said
    assert await manager.page.get_by_label("Reason").input_value() == "Asked for by the region."
    await manager.must_be_good()

    await manager.open(manager.page.url.removeprefix(manager.site))
    assert manager.page.url.endswith(f"/rounds/{survey.round_id}"), "the address of a refused form leads back"
    await manager.page.locator("summary", has_text="Extend the round").click()
    await manager.page.get_by_label("Reason").fill("Asked for by the region.")

    later = (datetime.now(UTC) + timedelta(days=60)).date()
    await manager.page.get_by_label("New due date").fill(f"{later:%Y-%m-%d}")
    await manager.press("Extend the round")
    assert "Extended" not in await manager.heading()
    assert (await services.store.read(Invitation, survey.kenya)).due == Due(on=later)


async def test_a_party_is_given_more_time_and_another_is_withdrawn(
    manager: Reader, survey: Survey, services: Services
) -> None:
    later = (datetime.now(UTC) + timedelta(days=60)).date()
    await manager.open(f"/invitations/{survey.kenya}")
    await manager.page.locator("summary", has_text="Give more time").click()
    await manager.page.get_by_label("New due date").fill(f"{later:%Y-%m-%d}")
    await manager.page.locator("#extend-reason").fill("The ministry moves.")
    await manager.press("Give more time")
    assert (await services.store.read(Invitation, survey.kenya)).due == Due(on=later)

    await manager.open(f"/invitations/{survey.peru}")
    await manager.page.locator("summary", has_text="Withdraw").click()
    await manager.press("Withdraw the questionnaire")
    assert "Say why the questionnaire is withdrawn." in await manager.text()
    await manager.must_be_good()
    await manager.page.locator("#withdraw-reason").fill("Sent in error.")
    await manager.press("Withdraw the questionnaire")
    assert "Withdrawn" in await manager.text()
    assert (await services.store.read(Invitation, survey.peru)).state is InvitationState.WITHDRAWN


async def test_a_form_that_was_overtaken_changes_nothing(
    manager: Reader, survey: Survey, office: Office, services: Services
) -> None:
    await manager.open(f"/invitations/{survey.kenya}")
    await office.do(SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]}))
    await manager.page.locator("summary", has_text="Withdraw").click()
    await manager.page.locator("#withdraw-reason").fill("Sent in error.")
    await manager.press("Withdraw the questionnaire")
    assert "changed in the meantime" in await manager.text()
    assert (await services.store.read(Invitation, survey.kenya)).state is InvitationState.RECEIVED


async def test_the_board_of_a_live_round_keeps_itself_fresh(hire: Hire, office: Office) -> None:
    round_id = await office.with_open_round(KENYA, PERU, FIJI, due=Due(at=office.now + timedelta(minutes=5)))
    watcher = await hire()
    await watcher.open(f"/rounds/{round_id}")
    assert "answered 0" in await watcher.text()
    await office.do(SubmitResponse(invitation_id=invitation_id(round_id, KENYA), answers={"areas": ["law"]}))

    await watcher.page.get_by_text("Received").last.wait_for()
    assert "answered 1" in await watcher.text()
    await watcher.press("Stop following")
    await office.do(WithdrawInvitation(invitation_id=invitation_id(round_id, PERU), reason="Sent in error."))
    await asyncio.sleep(3)
    assert "withdrawn 1" not in await watcher.text()
    await watcher.press("Follow again")
    await watcher.page.locator("[data-fresh=board] .tag-withdrawn").wait_for()
    await watcher.must_be_good()


async def test_the_secretariat_sees_what_a_party_is_asked_and_does_not_answer_for_it(
    manager: Reader, survey: Survey
) -> None:
    await manager.open(f"/invitations/{survey.kenya}/answer")
    assert "Questionnaire for Kenya" in await manager.text()
    assert await manager.page.get_by_role("button", name="Send the answer").count() == 0
    await manager.must_be_good()
