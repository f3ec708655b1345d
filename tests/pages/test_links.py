"""The page behind the personal link of a letter, on a small screen."""

from hashlib import sha256
from uuid import UUID, uuid4

import pytest

from domain.links import PersonalLink
from domain.parties import ContactRole
from services.hashing import new_secret
from services.links import MakeLink, RevokeLink
from services.wiring import Services
from tests.cast import Office, contact_of
from tests.pages.conftest import Hire, Reader, Survey

PHONE = {"viewport": {"width": 360, "height": 740}}


async def a_link(office: Office, invitation_id: UUID, code: str = "KEN") -> tuple[UUID, str]:
    """The link that stands in a letter: its id, and its path."""
    id, secret = uuid4(), new_secret()
    contact = contact_of(code, ContactRole.OFFICIAL_CONTACT_POINT)
    await office.do(
        MakeLink(
            id=id,
            invitation_id=invitation_id,
            contact_id=contact.id,
            secret_sha256=sha256(secret.encode()).hexdigest(),
        )
    )
    return id, f"/l/{secret}"


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_a_link_says_what_it_is_for_and_a_button_exchanges_it(
    hire: Hire, office: Office, survey: Survey, services: Services, scripts: bool
) -> None:
    id, path = await a_link(office, survey.kenya)
    contact = await hire(java_script_enabled=scripts, **PHONE)

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
    assert cookie["sameSite"] == "Strict"
    assert f"/invitations/{survey.kenya}/answer" in contact.page.url
    assert path.removeprefix("/l/") not in contact.page.url


async def test_links_that_are_not_good_are_answered_alike(
    reader: Reader, office: Office, survey: Survey
) -> None:
    id, revoked = await a_link(office, survey.kenya)
    await office.do(RevokeLink(link_id=id, reason="The contact has changed."))

    answers = []
    for path in (revoked, f"/l/{new_secret()}", "/l/x"):
        response = await reader.open(path)
        assert response.status == 404
        answers.append(await response.body())
        await reader.must_be_good()
    assert len(set(answers)) == 1
    assert "This link is not good any more" in await reader.text()
