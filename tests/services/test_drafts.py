"""Drafts, through the services: saved by several people, until the answer is handed in."""

import asyncio
from uuid import UUID, uuid4

from domain.drafts import Draft, draft_id
from domain.forms import AnswerValue
from domain.rounds import Invitation, invitation_id
from projections import drafts
from projections.reading import Tables
from projections.runner import Runner
from services.drafts import SaveDraft
from services.rounds import SubmitResponse, WithdrawInvitation
from services.settings import Settings
from services.wiring import Services
from tests.cast import KENYA, Office


async def invited(office: Office) -> UUID:
    """Invite Kenya to answer."""
    return invitation_id(await office.with_open_round(KENYA), KENYA)


def saving(
    invitation: UUID, page_id: UUID | None = None, drawn_from: int = 0, **answers: AnswerValue | None
) -> SaveDraft:
    """Save answers on a page."""
    given = {name: list(value) if isinstance(value, list) else value for name, value in answers.items()}
    return SaveDraft(
        invitation_id=invitation, answers=given, page_id=page_id or uuid4(), drawn_from=drawn_from
    )


async def test_half_an_answer_is_kept_and_the_invitation_stays_as_it_was(
    services: Services, runner: Runner, settings: Settings
) -> None:
    office = Office(services)
    invitation = await invited(office)

    await office.do(saving(invitation, areas=["customs", "law", "monitoring"], remark=" half a wo"))

    assert (await services.store.read(Invitation, invitation)).version == 1
    await runner.catch_up()
    async with Tables(settings.reader_url) as tables, tables.picture() as picture:
        draft = await drafts.draft(picture, invitation)
        assert draft is not None
        assert (draft["asked"], draft["answered"], draft["version"]) == (2, 2, 2)
        kept = await drafts.kept(picture, draft["id"])
    assert {name: [row["value"] for row in rows] for name, rows in kept.items()} == {
        "areas": [["customs", "law", "monitoring"]],
        "remark": ["half a wo"],
    }


async def test_the_tables_keep_what_the_draft_keeps(
    services: Services, runner: Runner, settings: Settings
) -> None:
    office = Office(services)
    invitation = await invited(office)
    ana, bo = uuid4(), uuid4()
    for command in (
        saving(invitation, ana, remark="Ana", areas=["law"]),
        saving(invitation, bo, remark="B"),
        saving(invitation, bo, remark="Bo"),
        saving(invitation, ana, remark="Anna", areas=None),
    ):
        await office.do(command)

    draft = await services.store.read(Draft, draft_id(invitation))
    await runner.catch_up()
    async with Tables(settings.reader_url) as tables, tables.picture() as picture:
        now = await drafts.kept(picture, draft.id)
        before = await drafts.kept(picture, draft.id, 3)
    assert {name: [(row["value"], row["page_id"]) for row in rows] for name, rows in now.items()} == {
        name: [(each.value, each.page_id) for each in kept] for name, kept in draft.kept.items()
    }
    assert [row["value"] for row in before["remark"]] == ["Ana", "B"]


async def test_two_people_who_save_at_once_lose_nothing(services: Services) -> None:
    office = Office(services)
    invitation = await invited(office)

    await asyncio.gather(
        *(office.do(saving(invitation, remark=f"By {number}")) for number in range(5)),
        office.do(saving(invitation, areas=["law"])),
    )

    draft = await services.store.read(Draft, draft_id(invitation))
    assert draft.answers["areas"] == ["law"]
    assert set(draft.open_choices["remark"]) == {f"By {number}" for number in range(5)}


async def test_whoever_saves_nothing_has_not_begun(services: Services) -> None:
    office = Office(services)
    invitation = await invited(office)

    assert (await office.do(saving(invitation, remark="", areas=None))).version == 0

    assert await services.store.load(draft_id(invitation)) is None


async def test_a_saving_that_is_sent_again_is_done_once(services: Services) -> None:
    office = Office(services)
    invitation = await invited(office)
    command, key = saving(invitation, remark="Once"), uuid4()

    first, again = [await office.ask(command, key) for _ in range(2)]

    assert again.repeated
    assert again.reply == first.reply


async def test_what_cannot_be_kept_is_refused_by_its_question(services: Services) -> None:
    office = Office(services)
    invitation = await invited(office)

    answer = await office.ask(saving(invitation, areas=["moon dust"], remark="Fine", colour="red"))

    assert answer.outcome == "refused"
    assert "“moon dust” is not among the options".encode() in answer.reply
    assert b"There is no such question" in answer.reply
    assert await services.store.load(draft_id(invitation)) is None


async def test_a_colleague_saves_no_other_section_than_the_one_that_was_forwarded(services: Services) -> None:
    office = Office(services)
    invitation = await invited(office)
    command = saving(invitation, remark="Mine")

    refused = await office.ask(command.model_copy(update={"section": "other"}))
    await office.do(command.model_copy(update={"section": "needs"}))

    assert b"another section" in refused.reply


async def test_nothing_is_saved_once_the_answer_is_in(services: Services) -> None:
    office = Office(services)
    invitation = await invited(office)
    await office.do(saving(invitation, remark="Before"))
    await office.do(SubmitResponse(invitation_id=invitation, answers={"areas": ["law"]}))

    answer = await office.ask(saving(invitation, remark="After"))

    assert b"already-received" in answer.reply
    assert (await services.store.read(Draft, draft_id(invitation))).answers == {"remark": "Before"}


async def test_nothing_is_saved_once_the_questionnaire_is_withdrawn(services: Services) -> None:
    office = Office(services)
    invitation = await invited(office)
    await office.do(WithdrawInvitation(invitation_id=invitation, reason="Sent in error."))

    answer = await office.ask(saving(invitation, remark="After"))

    assert b'"withdrawn"' in answer.reply
