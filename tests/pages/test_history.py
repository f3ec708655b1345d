"""What people see of the proofs: which events are covered, alarms on every page, and packs to take along."""

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from services.history import end_alarms, raise_alarm
from services.rounds import SubmitResponse
from services.settings import Settings
from services.wiring import Services
from tests.api.test_history_proofs import verified
from tests.cast import KENYA, Office
from tests.pages.conftest import AISHA, Hire, Reader, Survey


@pytest.fixture
async def projector(settings: Settings) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection of the role that makes the proofs."""
    url = settings.projector_url
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


async def proven(reader: Reader, position: int) -> None:
    """Return once a checkpoint covers a position."""
    response = await reader.page.request.get(f"{reader.site}/api/v1/events/{position}/proof")
    assert response.ok


async def position_of(reader: Reader) -> int:
    ready = await (await reader.page.request.get(f"{reader.site}/ready")).json()
    position: int = ready["log_position"]
    return position


async def test_each_event_says_which_checkpoint_covers_it(
    reader: Reader, office: Office, survey: Survey, projector: psycopg.AsyncConnection
) -> None:
    await proven(reader, await position_of(reader))
    await reader.open(f"/history/{survey.kenya}")
    proof = reader.page.locator(".event .proof").first
    assert "Covered by the checkpoint about" in await proof.inner_text()
    await reader.must_be_good()

    async with projector.transaction():
        # Whoever makes checkpoints waits here, as if it were down.
        await projector.execute("SELECT * FROM history.progress FOR UPDATE")
        await office.do(SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]}))
        await reader.open("/evidence")
        assert f"up to position {await position_of(reader)}. A checkpoint follows" in await reader.text()
        await reader.open(f"/history/{survey.kenya}")
        first, last = reader.page.locator(".event .proof").first, reader.page.locator(".event .proof").last
        assert "Covered by the checkpoint about" in await first.inner_text()
        assert await last.inner_text() == "Not protected yet: no checkpoint covers it."
        await reader.must_be_good()

    await proven(reader, await position_of(reader))
    await reader.open(f"/history/{survey.kenya}")
    assert "Not protected yet" not in await reader.text()


async def test_a_pack_is_taken_along_by_a_button_and_verifies(
    reader: Reader, survey: Survey, tmp_path: Path
) -> None:
    for number, path in enumerate((f"/history/{survey.kenya}", "/parties/KEN", f"/rounds/{survey.round_id}")):
        await reader.open(path)
        async with reader.page.expect_download() as download:
            await reader.page.get_by_role("link", name="Take the evidence along").click()
        pack = await (await download.value).path()
        verified(pack.read_bytes(), tmp_path / str(number))
    await reader.open("/evidence")
    async with reader.page.expect_download() as download:
        await reader.page.get_by_role("button", name="Take the span along").click()
    verified((await (await download.value).path()).read_bytes(), tmp_path / "span")


async def test_an_alarm_stands_on_every_page_until_it_is_over(
    hire: Hire, survey: Survey, projector: psycopg.AsyncConnection
) -> None:
    reader = await hire(viewport={"width": 360, "height": 740})
    await raise_alarm(projector, "audit", "The event at position 2 is not as it was published.")
    for path in ("/", "/parties/KEN", f"/history/{KENYA}", f"/gaps/{survey.round_id}", "/evidence"):
        await reader.open(path)
        assert (
            "The history is not as it was published." in await reader.page.get_by_role("alert").inner_text()
        )
        await reader.must_be_good()
    assert "The event at position 2 is not as it was published." in await reader.text()
    ready = await (await reader.page.request.get(f"{reader.site}/ready")).json()
    assert ready["alarms"] == 1

    await end_alarms(projector, "audit")
    await reader.open("/")
    assert await reader.page.get_by_role("alert").count() == 0


async def test_whoever_wants_gets_the_checkpoints_by_letter(reader: Reader, services: Services) -> None:
    await reader.open("/evidence")
    assert "There is none." in await reader.page.locator("main").inner_text()
    await reader.press("Send me each day’s checkpoint")
    assert await services.directory.who_want_checkpoints() == [AISHA.id]
    assert AISHA.email in await reader.text()
    await reader.press("Send me no more checkpoints")
    assert await services.directory.who_want_checkpoints() == []
