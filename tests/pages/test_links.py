"""The page behind the personal link of a letter, on a small screen, and forwarding a section."""

from uuid import UUID

import pytest

from api.access import PLAIN_COOKIE
from api.pages.translations import COOKIE
from domain.letters import LetterKind
from domain.links import PersonalLink
from domain.rounds import Invitation
from services.hashing import new_secret
from services.letters import SendLetter
from services.links import RevokeLink
from services.rounds import WithdrawInvitation
from services.wiring import Services
from tests.cast import Office, Postbox
from tests.pages.conftest import ELSEWHERE, Hire, Reader, Survey, a_link, caught_up, open_link
from tests.services.test_links import link_in

PHONE = {"viewport": {"width": 360, "height": 740}}


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_a_link_says_what_it_is_for_and_a_button_exchanges_it(
    hire: Hire, survey: Survey, services: Services, scripts: bool
) -> None:
    id, path = await a_link(services, survey.kenya)
    contact = await hire(None, java_script_enabled=scripts, **PHONE)

    for _ in range(2):
        response = await contact.open(path)
    assert response.headers["referrer-policy"] == "strict-origin"
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
    cookies = {each["name"]: each for each in await contact.page.context.cookies()}
    assert cookies.keys() == {PLAIN_COOKIE, COOKIE}, "a session, and the language of the page"
    cookie = cookies[PLAIN_COOKIE]
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


# Forwarding a section.


async def ask(contact: Reader, name: str = "Njeri Kamau", email: str = "njeri@example.org") -> None:
    """Fill in whom to ask, and press the button."""
    await contact.page.get_by_label("Name of the colleague").fill(name)
    await contact.page.get_by_label("Mail address of the colleague").fill(email)
    await contact.press("Write to the colleague")


async def send_letters(services: Services, office: Office, invitation_id: UUID) -> None:
    """Send the letters to colleagues that are due, as the clock does."""
    invitation = await services.store.read(Invitation, invitation_id)
    for letter in invitation.letters:
        if letter.kind is LetterKind.FORWARDING:
            await office.do(SendLetter(letter_id=letter.letter_id))


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_a_contact_asks_a_colleague_who_answers_one_section_until_it_is_withdrawn(
    hire: Hire, survey: Survey, services: Services, office: Office, postbox: Postbox, scripts: bool
) -> None:
    contact = await hire(None, java_script_enabled=scripts, **PHONE)
    await open_link(contact, survey.kenya, "KEN")
    await contact.page.get_by_label("Is there anything else").fill("Not for the colleague.")
    await contact.page.get_by_role("button", name="Ask a colleague").nth(1).click()
    section = (await contact.heading()).removeprefix("Ask a colleague to answer “").removesuffix("”")
    await ask(contact)
    said = await contact.text()
    assert "Njeri Kamau" in said
    assert "The letter is on its way." in said
    if scripts:
        await contact.must_be_good()

    await send_letters(services, office, survey.kenya)
    [letter] = postbox.letters
    assert str(letter["To"]) == "Njeri Kamau <njeri@example.org>"
    colleague = await hire(None, java_script_enabled=scripts, **PHONE)
    await colleague.open(f"/l/{link_in(letter)}")
    assert f"You were asked to answer one section: {section}." in await colleague.text()
    if scripts:
        await colleague.must_be_good()
    await colleague.press("Open the section")
    assert await colleague.page.locator("section.section h2").all_inner_texts() == [section]
    assert await colleague.page.get_by_role("button", name="Send the answer").count() == 0
    assert await colleague.page.get_by_role("button", name="Ask a colleague").count() == 0
    assert "Not for the colleague." not in await colleague.page.content()
    if scripts:
        await colleague.must_be_good()
    sent = await colleague.page.request.post(
        f"{colleague.site}/invitations/{survey.kenya}/answer",
        form={"action": "send"},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert sent.status == 403, "nobody learns from the faults what the other sections ask"
    await colleague.page.locator("#priority_areas-1").check()
    await colleague.press("Save and go on later")
    assert "Your answers are saved." in await colleague.text()

    await contact.open(f"/invitations/{survey.kenya}/answer")
    assert await contact.page.locator("#priority_areas-1").is_checked()
    assert await contact.page.get_by_label("Is there anything else").input_value() == "Not for the colleague."
    await contact.page.get_by_role("button", name="Ask a colleague").nth(1).click()
    await contact.open(contact.page.url.removeprefix(contact.site))
    assert "Last opened on" in await contact.text()
    await contact.page.get_by_role("button", name="Withdraw").click()
    await contact.page.get_by_text("Withdrawn.").wait_for()
    await colleague.open(f"/invitations/{survey.kenya}/answer")
    assert await colleague.heading() == "Sign in"


async def test_whom_to_ask_is_said_in_full_and_in_the_language_of_the_page(
    reader: Reader, survey: Survey
) -> None:
    await open_link(reader, survey.kenya, "KEN", "?lang=fr")
    await reader.page.get_by_role("button", name="Demander à un collègue").first.click()
    await reader.page.get_by_label("Nom du collègue").fill("Njeri Kamau")
    await reader.page.get_by_label("Adresse électronique du collègue").fill("njeri")

    await reader.press("Écrire au collègue")

    assert "Indiquez une adresse électronique" in await reader.text()
    assert await reader.page.get_by_label("Nom du collègue").input_value() == "Njeri Kamau"
    await reader.must_be_good()


async def test_what_a_rule_refuses_is_said_in_the_language_of_the_page(
    reader: Reader, survey: Survey, office: Office
) -> None:
    await open_link(reader, survey.kenya, "KEN", "?lang=es")
    await reader.page.get_by_role("button", name="Preguntar a un colega").first.click()
    await reader.page.get_by_label("Nombre del colega").fill("Njeri Kamau")
    await reader.page.get_by_label("Correo electrónico del colega").fill("njeri@example.org")
    await office.do(WithdrawInvitation(invitation_id=survey.kenya, reason="Sent in error."))

    await reader.press("Escribir al colega")

    said = await reader.text()
    assert "El cuestionario se ha retirado. No se ha guardado nada." in said
    assert "was withdrawn" not in said


async def test_pressing_twice_asks_once(hire: Hire, survey: Survey, services: Services) -> None:
    contact = await hire(None)
    await open_link(contact, survey.kenya, "KEN")
    await contact.page.get_by_role("button", name="Ask a colleague").first.click()
    form: dict[str, str | float | bool] = {
        "key": await contact.page.locator("input[name=key]").input_value(),
        "name": "Njeri Kamau",
        "email": "njeri@example.org",
        "language": "en",
    }
    for _ in range(2):
        response = await contact.page.request.post(
            contact.page.url, form=form, headers={"Sec-Fetch-Site": "same-origin"}, max_redirects=0
        )
        assert response.status == 303
    assert len((await services.store.read(Invitation, survey.kenya)).forwarded) == 1


async def test_the_button_works_over_plain_http_away_from_the_machine_itself(
    hire: Hire, survey: Survey, services: Services
) -> None:
    id, path = await a_link(services, survey.kenya)
    contact = await hire(None)
    sent: list[dict[str, str]] = []
    contact.page.on("request", lambda request: sent.append(request.headers))
    await caught_up(contact.site)
    site = contact.site.replace("127.0.0.1", ELSEWHERE)

    await contact.page.goto(site + path)
    async with contact.page.expect_request(lambda request: request.method == "POST") as posted:
        await contact.press("Open the questionnaire")

    headers = await (await posted.value).all_headers()
    assert headers["origin"] == site, "with no-referrer it would be null"
    assert "sec-fetch-site" not in headers, "it is told to this machine alone, or over HTTPS"
    assert f"/invitations/{survey.kenya}/answer" in contact.page.url
    assert (await services.store.read(PersonalLink, id)).version == 2
    assert not any(path in each.get("referer", "") for each in sent), "the secret is told to nobody"


async def test_staff_see_the_links_to_a_questionnaire_and_revoke_one(
    manager: Reader, stranger: Reader, survey: Survey, services: Services
) -> None:
    id, path = await a_link(services, survey.kenya)
    await manager.open(f"/invitations/{survey.kenya}")
    await manager.page.locator("summary", has_text="Revoke a link").click()
    await manager.press("Revoke the link")
    said = await manager.text()
    assert "The link was not revoked" in said
    assert "Say why." in said
    await manager.must_be_good()

    await manager.page.locator("#revoke-link").select_option(str(id))
    await manager.page.locator("#revoke-reason").fill("The letter went astray.")
    await manager.press("Revoke the link")

    assert "Revoked: The letter went astray." in await manager.text()
    assert await manager.page.locator("summary", has_text="Revoke a link").count() == 0
    await manager.must_be_good()
    assert (await stranger.open(path)).status == 404
