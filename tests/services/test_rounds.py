"""A round from its opening to the last response, through the services."""

from datetime import timedelta
from uuid import uuid4

from domain.letters import Letter
from domain.parties import Category
from domain.questionnaires import Questionnaire
from domain.rounds import Audience, Due, Invitation, InvitationState, invitation_id
from projections import gaps, letters, rounds
from projections.reading import Tables
from projections.runner import Runner
from services.letters import SendLetter
from services.rounds import ExtendInvitation, ExtendRound, OpenRound, SubmitResponse, WithdrawInvitation
from services.settings import Settings
from services.wiring import Services
from tests.cast import ALBANIA, KENYA, NORWAY, NOW, PERU, Office, Postbox


async def test_an_answer_ends_the_reminders_and_appears_in_the_gap_table(
    services: Services, runner: Runner, settings: Settings
) -> None:
    office = Office(services)
    round_id = await office.with_open_round(KENYA, PERU)
    invitation = invitation_id(round_id, KENYA)

    await office.do(SubmitResponse(invitation_id=invitation, answers={"areas": ["customs", "law"]}))

    await runner.catch_up()
    async with Tables(settings.reader_url) as tables, tables.picture() as picture:
        account = await letters.account(picture, round_id)
        assert account["planned"] == 10
        assert account["cancelled"] == 5
        assert account["still_to_come"] == 5
        needs = await gaps.needs_by_region(picture, round_id, "areas")
        assert {(row["option"], row["region"], row["parties"]) for row in needs} == {
            ("customs", "Africa", 1),
            ("law", "Africa", 1),
        }
        behind = await gaps.behind(picture, round_id, "areas", "customs")
        assert [row["invitation_id"] for row in behind] == [invitation]
        board = await rounds.board(picture, round_id)
        assert {row["iso3"]: row["state"] for row in board} == {"KEN": "received", "PER": "issued"}
        rates = await rounds.response_rates(picture, round_id)
        assert rates[-1]["issued"] == 2
        assert rates[-1]["received"] == 1


async def test_it_refuses_a_party_that_may_not_receive_the_round(services: Services) -> None:
    office = Office(services)
    round_id = await office.with_open_round()
    from services.rounds import IssueRound

    answer = await office.ask(IssueRound(round_id=round_id, party_ids=(KENYA, NORWAY)))

    assert answer.outcome == "refused"
    assert b"Norway is a developed party" in answer.reply
    assert await services.store.load(invitation_id(round_id, KENYA)) is None


async def test_a_round_is_opened_once(services: Services) -> None:
    office = Office(services)
    round_id = await office.with_open_round()
    questionnaire_id = Questionnaire.id_of("needs")

    answer = await office.ask(
        OpenRound(
            id=round_id,
            title="Needs again",
            questionnaire_id=questionnaire_id,
            form_version="1",
            audience=Audience(categories=(Category.DEVELOPING,)),
            due=Due(at=NOW + timedelta(days=30)),
        )
    )

    assert answer.outcome == "refused"
    assert b"round-already-open" in answer.reply


async def test_it_names_every_fault_of_an_answer(services: Services) -> None:
    office = Office(services)
    round_id = await office.with_open_round(KENYA)

    answer = await office.ask(
        SubmitResponse(
            invitation_id=invitation_id(round_id, KENYA),
            answers={"areas": ["customs", "law", "monitoring"], "colour": "red"},
        )
    )

    assert answer.outcome == "refused"
    assert b"Choose at most two." in answer.reply
    assert b"colour" in answer.reply


async def test_it_refuses_a_second_answer(services: Services) -> None:
    office = Office(services)
    round_id = await office.with_open_round(KENYA)
    submit = SubmitResponse(invitation_id=invitation_id(round_id, KENYA), answers={"areas": ["law"]})
    await office.do(submit)

    answer = await office.ask(submit)

    assert answer.outcome == "refused"
    assert b"already-received" in answer.reply


async def test_it_refuses_an_answer_after_withdrawal(services: Services) -> None:
    office = Office(services)
    round_id = await office.with_open_round(KENYA)
    id = invitation_id(round_id, KENYA)
    await office.do(WithdrawInvitation(invitation_id=id, reason="Sent in error."))

    answer = await office.ask(SubmitResponse(invitation_id=id, answers={"areas": ["law"]}))

    assert b"withdrawn" in answer.reply


async def test_an_extension_plans_the_letters_anew(services: Services) -> None:
    office = Office(services)
    round_id = await office.with_open_round(ALBANIA)
    id = invitation_id(round_id, ALBANIA)
    before = (await services.store.read(Invitation, id)).letters

    await office.do(
        ExtendInvitation(
            invitation_id=id, due=Due(at=NOW + timedelta(days=60)), reason="The ministry asked for time."
        )
    )

    invitation = await services.store.read(Invitation, id)
    assert invitation.due_at == NOW + timedelta(days=60)
    assert len(invitation.letters) == len(before)
    old_reminder = await services.store.read(Letter, before[1].letter_id)
    assert not old_reminder.outstanding
    assert invitation.letters[0] == before[0], "the letter that issues the questionnaire stays"


async def test_an_extension_of_the_round_passes_over_those_who_answered(services: Services) -> None:
    office = Office(services)
    round_id = await office.with_open_round(KENYA, PERU)
    kenya, peru = invitation_id(round_id, KENYA), invitation_id(round_id, PERU)
    await office.do(SubmitResponse(invitation_id=kenya, answers={"areas": ["law"]}))

    await office.do(
        ExtendRound(
            round_id=round_id,
            due=Due(at=NOW + timedelta(days=40)),
            reason="Many asked.",
            invitation_ids=(kenya, peru),
        )
    )

    assert (await services.store.read(Invitation, kenya)).state is InvitationState.RECEIVED
    assert (await services.store.read(Invitation, peru)).due_at == NOW + timedelta(days=40)


async def test_it_refuses_an_extension_to_an_earlier_date(services: Services) -> None:
    office = Office(services)
    round_id = await office.with_open_round(KENYA)

    answer = await office.ask(
        ExtendInvitation(
            invitation_id=invitation_id(round_id, KENYA),
            due=Due(at=NOW + timedelta(days=3)),
            reason="Sooner.",
        )
    )

    assert b"not-later" in answer.reply


async def test_a_letter_goes_out_once(services: Services, postbox: Postbox) -> None:
    office = Office(services)
    round_id = await office.with_open_round(KENYA)
    invitation = await services.store.read(Invitation, invitation_id(round_id, KENYA))
    send = SendLetter(letter_id=invitation.letters[0].letter_id)

    await office.do(send)
    await office.do(send)

    [letter] = postbox.letters
    assert "Needs 2026" in str(letter["Subject"])
    assert str(invitation.letters[0].letter_id) in str(letter["Message-ID"])


async def test_a_refused_address_is_a_bounce_with_its_reason(services: Services, postbox: Postbox) -> None:
    office = Office(services)
    round_id = await office.with_open_round(KENYA)
    postbox.refused.add("ocp.ken@example.org")
    invitation = await services.store.read(Invitation, invitation_id(round_id, KENYA))

    await office.do(SendLetter(letter_id=invitation.letters[0].letter_id))

    letter = await services.store.read(Letter, invitation.letters[0].letter_id)
    assert letter.state == "bounced"


async def test_the_same_key_gives_the_same_answer(services: Services) -> None:
    office = Office(services)
    round_id = await office.with_open_round(KENYA)
    key = uuid4()
    submit = SubmitResponse(invitation_id=invitation_id(round_id, KENYA), answers={"areas": ["law"]})

    first = await office.ask(submit, key=key)
    again = await office.ask(submit, key=key)

    assert first.outcome == again.outcome == "done"
    assert first.reply == again.reply
    assert first.position == again.position
    assert again.repeated
