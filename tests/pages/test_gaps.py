"""A reader opens a figure of the gap table, down to the event behind it."""

import re

import pytest

from services.rounds import SubmitResponse
from tests.cast import Office
from tests.pages.conftest import Hire, Survey


async def answers(office: Office, survey: Survey) -> None:
    """Kenya names two areas, Peru one of them."""
    given = {survey.kenya: ["customs", "legal_framework"], survey.peru: ["customs"]}
    for invitation, areas in given.items():
        await office.do(SubmitResponse(invitation_id=invitation, answers={"priority_areas": areas}))


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_a_figure_opens_to_the_answers_and_on_to_the_event(
    hire: Hire, survey: Survey, office: Office, scripts: bool
) -> None:
    await answers(office, survey)
    reader = await hire(java_script_enabled=scripts)
    await reader.open(f"/gaps/{survey.round_id}")
    assert "These answers are invented." in await reader.text()
    rows = await reader.page.locator("table.gaps tbody tr").all_inner_texts()
    assert re.split(r"\s*\t\s*", rows[0]) == [
        "Supporting custom officers in implementing the Convention", "1", "1", "2", "100.0%",
    ]  # fmt: skip
    assert rows[1].startswith("Legal and institutional framework")

    await reader.page.locator("table.gaps tbody tr").first.get_by_role("link", name="2").click()
    assert "2 parties named this area." in await reader.text()
    row = reader.page.locator("tbody tr", has_text="Kenya")
    event = row.locator("td.number a")
    number = await event.inner_text()
    await event.click()
    await reader.page.wait_for_load_state()

    assert reader.page.url.endswith(f"#event-{number}")
    happened = reader.page.locator(f"#event-{number}")
    assert await happened.locator("h2").inner_text() == "Invitation: response received"
    assert "Supporting custom officers" in await happened.inner_text()
    await happened.locator("summary").click()
    assert '"priority_areas":["customs","legal_framework"]' in await happened.locator("pre").inner_text()


async def test_the_chart_says_in_words_what_it_shows(hire: Hire, survey: Survey, office: Office) -> None:
    await answers(office, survey)
    reader = await hire()
    await reader.open(f"/gaps/{survey.round_id}")
    bar = reader.page.get_by_role("img", name="Africa 1, GRULAC 1, all regions 2")
    assert await bar.locator("text").all_text_contents() == ["1", "1"]
    assert await reader.page.locator(".chart ol li").count() == 10


async def test_the_table_can_be_seen_as_it_was(hire: Hire, survey: Survey, office: Office) -> None:
    first = await office.ask(
        SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]})
    )
    await answers_of_peru(office, survey)
    reader = await hire()
    await reader.open(f"/gaps/{survey.round_id}?as_of={first.position}")

    said = await reader.text()
    assert f"As of position {first.position}" in said
    assert "Answered by 1 of 2 parties" in said
    await reader.must_be_good()
    await reader.page.locator("table.gaps tbody a").first.click()
    assert f"as_of={first.position}" in reader.page.url, "the moment goes along"
    await reader.follow("Show how it stands now")
    assert "as_of" not in reader.page.url


async def answers_of_peru(office: Office, survey: Survey) -> None:
    """Peru names another area."""
    await office.do(SubmitResponse(invitation_id=survey.peru, answers={"priority_areas": ["alternatives"]}))


async def test_the_table_is_seen_then_and_now_side_by_side(
    hire: Hire, survey: Survey, office: Office
) -> None:
    first = await office.ask(
        SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]})
    )
    await office.do(
        SubmitResponse(invitation_id=survey.peru, answers={"priority_areas": ["customs", "legal_framework"]})
    )
    reader = await hire(viewport={"width": 360, "height": 740})
    await reader.open(f"/gaps/{survey.round_id}?as_of={first.position}")
    await reader.follow("Then and now, side by side")

    rows = await reader.page.locator("table.gaps tr").all_inner_texts()
    assert rows[1].split("\t")[1:] == ["1", "2", "+1"]
    assert rows[2].split("\t") == ["Legal and institutional framework", "0", "1", "+1"]
    assert rows[-1].split("\t") == ["Answers received", "1", "2", "+1"]
    await reader.must_be_good()
    await reader.page.locator("table.gaps tbody tr").first.get_by_role("link", name="1").click()
    assert f"as_of={first.position}" in reader.page.url
