"""Months of a round pass on the time-skipping server; the log says what was done when."""

from datetime import timedelta
from uuid import UUID, uuid4

from domain.aggregates import Stamp
from domain.letters import Letter, LetterKind
from domain.parties import ContactRole
from domain.people import actor
from domain.rounds import Due, Invitation, InvitationState, Schedule, invitation_id
from projections import access as links
from projections import letters
from services.directory import Entry
from services.links import ForwardSection
from services.rounds import ExtendInvitation, SubmitResponse, WithdrawInvitation
from services.store import Request
from tests.cast import KENYA, PERU, Postbox, contact_of
from tests.workflows.conftest import SkippingClockwork
from workflows.triggers import workflow_id

DAY = timedelta(days=1)


def subjects(postbox: Postbox) -> list[str]:
    """Return the first word of each letter's subject, which says what kind it is."""
    return [str(letter["Subject"]).split(":")[0].split(" ")[0] for letter in postbox.letters]


async def test_ninety_days_without_an_answer(skipping: SkippingClockwork, postbox: Postbox) -> None:
    start = skipping.office.now
    round_id = await skipping.office.with_open_round(
        KENYA,
        due=Due(at=start + 90 * DAY),
        schedule=Schedule(reminders=(14 * DAY, 7 * DAY, DAY), escalations=(7 * DAY,)),
    )
    id = invitation_id(round_id, KENYA)

    await skipping.until(start + 1 * DAY)
    assert subjects(postbox) == ["Needs"], "the questionnaire is sent at once"
    await skipping.until(start + 77 * DAY)
    assert subjects(postbox) == ["Needs", "Reminder"]
    await skipping.until(start + 91 * DAY)
    assert subjects(postbox) == ["Needs", "Reminder", "Reminder", "Reminder"]
    assert (await skipping.services.store.read(Invitation, id)).state is InvitationState.LAPSED
    await skipping.until(start + 98 * DAY)
    assert subjects(postbox)[4:] == ["No"]
    assert "dna.ken@example.org" in str(postbox.letters[-1]["To"]), "the second contact is written to"
    assert await account(skipping, round_id) == {"planned": 5, "sent": 5, "still_to_come": 0}


async def account(work: SkippingClockwork, round_id: UUID) -> dict[str, int]:
    async with work.tables.picture(after=work.runner.position) as picture:
        row = await letters.account(picture, round_id)
    return {name: row[name] for name in ("planned", "sent", "still_to_come")}


async def test_an_answer_stops_the_clock(skipping: SkippingClockwork, postbox: Postbox) -> None:
    start = skipping.office.now
    round_id = await skipping.office.with_open_round(KENYA, due=Due(at=start + 30 * DAY))
    id = invitation_id(round_id, KENYA)
    await skipping.until(start + 17 * DAY)

    await skipping.office.do(SubmitResponse(invitation_id=id, answers={"areas": ["law"]}))
    await skipping.until(start + 60 * DAY)

    assert subjects(postbox) == ["Needs", "Reminder"]
    handle = skipping.client.get_workflow_handle(workflow_id(id))
    assert await handle.result() == "closed"


async def test_a_withdrawal_stops_the_clock(skipping: SkippingClockwork, postbox: Postbox) -> None:
    start = skipping.office.now
    round_id = await skipping.office.with_open_round(KENYA, due=Due(at=start + 30 * DAY))
    await skipping.until(start + DAY)

    await skipping.office.do(
        WithdrawInvitation(invitation_id=invitation_id(round_id, KENYA), reason="Sent in error.")
    )
    await skipping.until(start + 60 * DAY)

    assert subjects(postbox) == ["Needs"]


async def test_an_extension_moves_the_reminders(skipping: SkippingClockwork, postbox: Postbox) -> None:
    start = skipping.office.now
    round_id = await skipping.office.with_open_round(
        PERU, due=Due(at=start + 10 * DAY), schedule=Schedule(reminders=(3 * DAY,), escalations=())
    )
    id = invitation_id(round_id, PERU)
    await skipping.until(start + 2 * DAY)

    await skipping.office.do(
        ExtendInvitation(invitation_id=id, due=Due(at=start + 40 * DAY), reason="They asked.")
    )
    await skipping.until(start + 36 * DAY)
    assert subjects(postbox) == ["Needs"]
    await skipping.until(start + 38 * DAY)
    assert subjects(postbox) == ["Needs", "Reminder"]
    await skipping.until(start + 41 * DAY)
    assert (await skipping.services.store.read(Invitation, id)).state is InvitationState.LAPSED


async def test_more_time_after_the_lapse_starts_the_reminders_again(
    skipping: SkippingClockwork, postbox: Postbox
) -> None:
    start = skipping.office.now
    round_id = await skipping.office.with_open_round(
        PERU, due=Due(at=start + 10 * DAY), schedule=Schedule(reminders=(3 * DAY,), escalations=(30 * DAY,))
    )
    id = invitation_id(round_id, PERU)
    await skipping.until(start + 12 * DAY)
    await skipping.office.do(
        ExtendInvitation(invitation_id=id, due=Due(at=start + 60 * DAY), reason="They asked late.")
    )

    await skipping.until(start + 58 * DAY)

    assert subjects(postbox) == ["Needs", "Reminder", "Reminder"]
    assert (await skipping.services.store.read(Invitation, id)).state is InvitationState.ISSUED


async def test_a_clock_that_was_behind_sends_only_the_newest_reminder(
    skipping: SkippingClockwork, postbox: Postbox
) -> None:
    start = skipping.office.now
    round_id = await skipping.office.with_open_round(
        KENYA, due=Due(at=start + 30 * DAY), schedule=Schedule(reminders=(20 * DAY, 14 * DAY, DAY))
    )
    await skipping.environment.sleep(18 * DAY)  # nobody has told the workflows anything so far

    await skipping.until(start + 19 * DAY)

    assert subjects(postbox) == ["Needs", "Reminder"]
    invitation = await skipping.services.store.read(Invitation, invitation_id(round_id, KENYA))
    reminders = [
        await skipping.services.store.read(Letter, letter.letter_id)
        for letter in invitation.letters
        if letter.kind is LetterKind.REMINDER
    ]
    assert [letter.state for letter in reminders] == ["suppressed", "sent", "planned"]


async def test_a_clock_that_was_behind_never_skips_an_escalation(
    skipping: SkippingClockwork, postbox: Postbox
) -> None:
    start = skipping.office.now
    await skipping.office.with_open_round(
        KENYA, due=Due(at=start + 10 * DAY), schedule=Schedule(reminders=(DAY,), escalations=(DAY, 2 * DAY))
    )
    await skipping.environment.sleep(20 * DAY)

    await skipping.until(start + 21 * DAY)

    assert subjects(postbox) == ["Needs", "No", "No"]


async def test_a_mail_server_that_is_away_delays_and_loses_nothing(
    skipping: SkippingClockwork, postbox: Postbox
) -> None:
    start = skipping.office.now
    postbox.down = True
    await skipping.office.with_open_round(KENYA, due=Due(at=start + 30 * DAY))
    await skipping.until(start + timedelta(hours=1))
    assert postbox.letters == []

    postbox.down = False
    await skipping.until(start + timedelta(hours=2))

    assert subjects(postbox) == ["Needs"]


async def test_signals_that_come_again_and_out_of_order_change_nothing(
    skipping: SkippingClockwork, postbox: Postbox
) -> None:
    start = skipping.office.now
    round_id = await skipping.office.with_open_round(
        KENYA, due=Due(at=start + 10 * DAY), schedule=Schedule(reminders=(3 * DAY,), escalations=())
    )
    id = invitation_id(round_id, KENYA)
    old = (await skipping.services.store.read(Invitation, id)).deadline()
    await skipping.until(start + DAY)
    await skipping.office.do(
        ExtendInvitation(invitation_id=id, due=Due(at=start + 40 * DAY), reason="They asked.")
    )
    await skipping.triggers.pull()
    handle = skipping.client.get_workflow_handle(workflow_id(id))

    for _ in range(3):
        await handle.signal("deadline_changed", old)
        await skipping.triggers.tell([id])
    await skipping.until(start + 36 * DAY)
    assert subjects(postbox) == ["Needs"]
    await skipping.until(start + 50 * DAY)

    assert subjects(postbox) == ["Needs", "Reminder"]


async def test_a_section_that_is_forwarded_brings_the_colleague_a_letter_once(
    skipping: SkippingClockwork, postbox: Postbox
) -> None:
    start = skipping.office.now
    round_id = await skipping.office.with_open_round(KENYA, due=Due(at=start + 30 * DAY))
    id = invitation_id(round_id, KENYA)
    await skipping.until(start + DAY)
    command = ForwardSection(
        id=uuid4(),
        invitation_id=id,
        colleague_id=uuid4(),
        colleague=Entry(name="Njeri", email="njeri@example.org"),
        section="needs",
    )
    contact = contact_of("KEN", ContactRole.OFFICIAL_CONTACT_POINT)
    request = Request(Stamp(by=actor(contact.id), at=skipping.office.now))
    postbox.down = True
    assert (await skipping.services.execute(command, request)).outcome == "done"
    await skipping.until(start + DAY + timedelta(hours=1))
    assert subjects(postbox) == ["Needs"]

    postbox.down = False
    await skipping.until(start + 3 * DAY)

    assert [str(letter["To"]) for letter in postbox.letters[1:]] == ["Njeri <njeri@example.org>"]
    async with skipping.tables.picture(after=skipping.runner.position) as picture:
        row = await links.link(picture, command.id)
    assert row is not None
    assert row["letter_state"] == "sent"
