"""The page behind the personal link of a letter, on a small screen."""

import pytest

from domain.links import PersonalLink
from services.hashing import new_secret
from services.links import RevokeLink
from services.wiring import Services
from tests.cast import Office
from tests.pages.conftest import Hire, Reader, Survey, a_link

PHONE = {"viewport": {"width": 360, "height": 740}}


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_a_link_says_what_it_is_for_and_a_button_exchanges_it(
    hire: Hire, survey: Survey, services: Services, scripts: bool
) -> None:
    id, path = await a_link(services, survey.kenya)
    contact = await hire(None, java_script_enabled=scripts, **PHONE)

    for _ in range(2):
        response = await contact.open(path)
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "no-store" in response.headers["cache-control"]
    said = await contact.text()
    assert "Questionnaire for Kenya" in said
    assert "Needs survey" in said
    assert "An answer is in time until" in said
    assert await contact.page.get_by_role("button").count() == 1
    if scripts:
        await contact.must_be_good()
    assert (await services.store.read(PersonalLink, id)).version == 1, "to look changes nothing"
    assert await contact.page.context.cookies() == []

    await contact.press("Open the questionnaire")
    assert (await services.store.read(PersonalLink, id)).version == 2
    (cookie,) = await contact.page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert f"/invitations/{survey.kenya}/answer" in contact.page.url
    assert path.removeprefix("/l/") not in contact.page.url


async def test_links_that_are_not_good_are_answered_alike(
    stranger: Reader, office: Office, survey: Survey, services: Services
) -> None:
    id, revoked = await a_link(services, survey.kenya)
    await office.do(RevokeLink(link_id=id, reason="The contact has changed."))

    answers = []
    for path in (revoked, f"/l/{new_secret()}", "/l/x"):
        response = await stranger.open(path)
        assert response.status == 404
        answers.append(await response.body())
        await stranger.must_be_good()
    assert len(set(answers)) == 1
    assert "This link is not good any more" in await stranger.text()
