"""A party's contact fills in the questionnaire, by the link of a letter."""

import re

import pytest

from domain.rounds import Invitation, InvitationState
from services.rounds import SubmitResponse, WithdrawInvitation
from services.wiring import Services
from tests.cast import Office
from tests.pages.conftest import Hire, Reader, Survey, open_link

AREA = "Supporting custom officers in implementing the Convention"


async def tick(reader: Reader, *numbers: int) -> None:
    """Tick priority areas by their place in the list."""
    for number in numbers:
        await reader.page.locator(f"#priority_areas-{number}").check()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_a_contact_mends_what_is_wrong_and_sends_the_answer(
    hire: Hire, survey: Survey, services: Services, scripts: bool
) -> None:
    contact = await hire(java_script_enabled=scripts)
    await open_link(contact, survey.kenya, "KEN")
    assert "Questionnaire for Kenya" in await contact.text()
    assert "These answers are invented." in await contact.text()

    await tick(contact, 1, 2, 3, 4, 5)
    await contact.page.get_by_label("Is there anything else").fill("More <training>, please.")
    await contact.press("Send the answer")
    said = await contact.text()
    assert "The answer was not sent" in said
    assert "Please choose at most 4 priority areas." in said
    assert await contact.page.locator("input[name=priority_areas]:checked").count() == 5
    assert (
        await contact.page.get_by_label("Is there anything else").input_value() == "More <training>, please."
    )
    assert (await services.store.read(Invitation, survey.kenya)).state is InvitationState.ISSUED

    await contact.page.locator("#priority_areas-5").uncheck()
    await contact.press("Send the answer")
    if "open further questions" in await contact.text():
        await contact.press("Send the answer")
    assert await contact.heading() == "The answer has been received"
    said = await contact.text()
    assert re.search(r"Reference KEN-\d+", said)
    assert AREA in said
    invitation = await services.store.read(Invitation, survey.kenya)
    assert invitation.state is InvitationState.RECEIVED


async def test_questions_that_follow_from_an_answer_appear_when_they_are_asked_for(
    hire: Hire, survey: Survey
) -> None:
    contact = await hire(java_script_enabled=False)
    await open_link(contact, survey.kenya, "KEN")
    assert await contact.page.get_by_label("Which other authority?").count() == 0

    await contact.page.get_by_label("Another authority").check()
    await contact.press("Show the questions that follow from my answers")
    await contact.page.get_by_label("Which other authority?").fill("The ministry of trade")

    await contact.page.get_by_label("Official Contact Point", exact=True).check()
    await contact.press("Show the questions that follow from my answers")
    said = await contact.text()
    assert "These answers are not sent" in said
    assert "The ministry of trade" in said

    await contact.page.get_by_label("Another authority").check()
    await contact.press("Show the questions that follow from my answers")
    assert await contact.page.get_by_label("Which other authority?").input_value() == "The ministry of trade"


async def test_an_answer_that_opens_questions_is_not_sent_before_they_were_seen(
    hire: Hire, survey: Survey, services: Services
) -> None:
    contact = await hire(java_script_enabled=False)
    await open_link(contact, survey.kenya, "KEN")
    await tick(contact, 1)

    await contact.press("Send the answer")

    assert "Your answers open further questions" in await contact.text()
    assert (await services.store.read(Invitation, survey.kenya)).state is InvitationState.ISSUED
    await contact.page.get_by_label("What would help most").fill("Guidance")
    await contact.press("Send the answer")
    assert await contact.heading() == "The answer has been received"
    assert "Guidance" in await contact.text()


async def test_the_questionnaire_speaks_french_and_keeps_what_was_typed(
    reader: Reader, survey: Survey
) -> None:
    contact = reader
    await open_link(contact, survey.kenya, "KEN")
    await tick(contact, 1, 2, 3, 4, 5)

    await contact.press("Français")

    assert await contact.page.locator("html").get_attribute("lang") == "fr"
    assert await contact.page.locator("input[name=priority_areas]:checked").count() == 5
    await contact.press("Envoyer la réponse")
    assert "Veuillez choisir au maximum 4 domaines prioritaires." in await contact.text()
    await contact.must_be_good()


async def test_it_answers_in_spanish_where_the_address_says_so(reader: Reader, survey: Survey) -> None:
    await open_link(reader, survey.peru, "PER", "?lang=es")
    assert "Convenio de Rotterdam" in await reader.heading()
    await reader.must_be_good()


async def test_a_second_answer_is_refused_and_shown_so_that_it_is_not_lost(
    hire: Hire, survey: Survey, office: Office
) -> None:
    contact = await hire()
    await open_link(contact, survey.kenya, "KEN")
    await contact.page.get_by_label("Is there anything else").fill("A second thought")
    await tick(contact, 2)
    await office.do(SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]}))

    await contact.press("Send the answer")
    if await contact.page.get_by_role("button", name="Send the answer").count():
        await contact.press("Send the answer")

    said = await contact.text()
    assert "An answer has been received already" in said
    assert "A second thought" in said
    assert "not stored" in said
    await contact.must_be_good()


async def test_a_withdrawn_questionnaire_says_so_and_why(
    reader: Reader, survey: Survey, office: Office
) -> None:
    await office.do(WithdrawInvitation(invitation_id=survey.peru, reason="Sent in error."))

    await open_link(reader, survey.peru, "PER")

    said = await reader.text()
    assert "This questionnaire was withdrawn" in said
    assert "Sent in error." in said
    assert await reader.page.get_by_role("button").count() == 0
    await reader.must_be_good()


async def test_a_link_opens_no_other_questionnaire(reader: Reader, survey: Survey) -> None:
    await open_link(reader, survey.peru, "PER")
    for path in (f"/invitations/{survey.kenya}", f"/invitations/{survey.kenya}/answer", "/", "/parties"):
        response = await reader.open(path)
        assert response.status == 404
        assert "There is nothing here" in await reader.text()


async def test_bad_input_is_named_by_its_question_and_kept(hire: Hire, survey: Survey) -> None:
    contact = await hire()
    await open_link(contact, survey.kenya, "KEN")
    await contact.page.evaluate(
        """() => {
            const add = (name, value) => document.querySelector("#sheet").append(
                Object.assign(document.createElement("input"), {type: "hidden", name, value}));
            add("priority_areas", "moon_dust");
            add("unknown_question", "x");
        }"""
    )
    await contact.press("Send the answer")
    said = await contact.text()
    assert "“moon_dust” is not among the options." in said


async def test_pressing_twice_sends_one_answer(hire: Hire, survey: Survey, services: Services) -> None:
    contact = await hire(java_script_enabled=False)
    await open_link(contact, survey.kenya, "KEN")
    await tick(contact, 1)
    await contact.press("Show the questions that follow from my answers")
    fields = [
        ("key", await contact.page.locator("input[name=key]").input_value()),
        ("shown", await contact.page.locator("input[name=shown]").input_value()),
        ("priority_areas", "customs"),
        ("action", "send"),
    ]
    form = "&".join(f"{name}={value.replace(' ', '+')}" for name, value in fields)
    for _ in range(2):
        response = await contact.page.request.post(
            contact.page.url,
            data=form,
            headers={"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"},
            max_redirects=0,
        )
        assert response.status in (303, 409)
    invitation = await services.store.read(Invitation, survey.kenya)
    assert invitation.version == 2
