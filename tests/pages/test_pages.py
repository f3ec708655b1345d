"""What every page promises: no barriers, no scripts needed, nothing from elsewhere, and little to load."""

from urllib.parse import quote
from uuid import uuid4

import pytest

from services import reference
from services.chemicals import ListChemical
from tests.cast import Office
from tests.pages.conftest import Hire, Reader, Survey, paths

WIDTHS = {"desk": (1280, 800), "phone": (360, 740)}


@pytest.mark.parametrize("width", WIDTHS)
async def test_every_page_is_accessible_light_and_alone(
    hire: Hire, survey: Survey, everything: None, width: str
) -> None:
    across, down = WIDTHS[width]
    reader = await hire(None, viewport={"width": across, "height": down})
    await reader.sign_in()
    await reader.open("/questionnaires")
    questionnaire = await reader.page.locator("h2 a").first.get_attribute("href")
    assert questionnaire is not None
    for path in paths(survey, questionnaire):
        response = await reader.open(path)
        assert response.status == (404 if path == "/nothing-here" else 200), f"{path}: {response.status}"
        policy = response.headers["content-security-policy"]
        assert "unsafe" not in policy
        await reader.must_be_good()


async def test_the_keyboard_reaches_the_content_first(reader: Reader, survey: Survey) -> None:
    await reader.open(f"/rounds/{survey.round_id}")
    await reader.page.keyboard.press("Tab")
    assert await reader.page.locator(":focus").inner_text() == "Skip to the content"
    await reader.page.keyboard.press("Enter")
    assert await reader.page.locator(":focus").get_attribute("id") == "main"


async def test_nobody_who_is_not_known_sees_anything(stranger: Reader, survey: Survey) -> None:
    for path in ("/", "/parties/KEN", f"/history/{survey.kenya}", f"/rounds/{uuid4()}", "/rounds/new"):
        await stranger.open(path)
        assert stranger.page.url == f"{stranger.site}/sign-in?next={quote(path, safe='')}"
    await stranger.page.get_by_label("Marta").check()
    await stranger.press("Come in")
    assert stranger.page.url.endswith("/rounds/new")


async def test_signing_out_ends_what_can_be_done(manager: Reader) -> None:
    await manager.press("Sign out")
    await manager.open("/rounds/new")
    assert "/sign-in?next=" in manager.page.url


async def test_doubtful_facts_are_marked(reader: Reader, office: Office) -> None:
    row = next(row for row in reference.chemicals() if "general knowledge" in row.confidence)
    command: ListChemical = row.listing()
    await office.do(command)
    await reader.open("/chemicals")
    assert "general knowledge" in await reader.page.locator(".doubt").first.inner_text()
    assert row.source in await reader.text()
