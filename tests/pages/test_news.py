"""What changed since a reader was last here: kept through reloads, moved on when the visit ends."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from domain.access import Grant, Role
from domain.rounds import Due
from services.drafts import SaveDraft
from services.entrance import Entrance
from services.links import RevokeLink
from services.news import ABSENCE, News
from services.people import ErasePerson
from services.rounds import ExtendInvitation, SubmitResponse, WithdrawInvitation
from services.wiring import Services
from tests.cast import KENYA, NOW, PERU, Office, hired, speaker
from tests.pages.conftest import AISHA, KOFI, Hire, Reader, Survey, a_link

MINUTE = timedelta(minutes=1)


async def gone(services: Services, person_id: UUID, away: timedelta = ABSENCE + MINUTE) -> None:
    """Let time pass since somebody looked last."""
    async with services.pool.connection() as connection:
        await connection.execute(
            "UPDATE directory.news SET looked_at = looked_at - %s WHERE person_id = %s", (away, person_id)
        )


async def news(reader: Reader) -> str:
    """Return what the home says under the heading of the news."""
    await reader.open("/")
    return await reader.page.get_by_role("region", name="What changed since you were last here").inner_text()


async def test_what_came_during_an_absence_is_told_until_the_visit_ends(
    reader: Reader, survey: Survey, office: Office, services: Services
) -> None:
    await reader.open("/")
    assert "What has happened so far" in await reader.text()
    assert "2 questionnaires were issued" in await reader.text()
    await gone(services, AISHA.id)
    await office.do(SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]}))

    for _ in range(2):  # Loading it again takes nothing away.
        said = await news(reader)
        assert "An answer came in: Kenya" in said
        assert "were issued" not in said
    await gone(services, AISHA.id)
    assert "An answer came in" not in await news(reader)


async def test_a_refresh_by_the_script_is_no_look(
    reader: Reader, survey: Survey, office: Office, services: Services
) -> None:
    await reader.open("/")
    await gone(services, AISHA.id)
    await office.do(SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]}))
    await reader.page.locator("[data-fresh=news]", has_text="An answer came in").wait_for()
    assert "An answer came in: Kenya" in await news(reader)


async def test_whoever_has_read_everything_says_so_without_scripts(
    hire: Hire, survey: Survey, office: Office
) -> None:
    administrator = await hire(KOFI.id, java_script_enabled=False)
    await administrator.open("/")
    assert "2 questionnaires were issued" in await administrator.text()
    await administrator.press("I have read this")
    assert "Nothing." in await news(administrator)
    await office.do(SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]}))
    assert "An answer came in: Kenya" in await news(administrator)


async def test_nobody_is_told_what_they_did_themselves(manager: Reader, survey: Survey) -> None:
    await manager.open("/news")
    assert "Nothing." in await manager.text()


async def test_what_came_while_somebody_read_stays_new(
    hire: Hire, services: Services, survey: Survey, office: Office
) -> None:
    book = News(services.pool)
    await book.look(AISHA.id, 10, NOW)
    await book.read(AISHA.id, 8, NOW)
    assert (await book.look(AISHA.id, 10, NOW + MINUTE * 2)).since == 8
    await book.read(AISHA.id, 3, NOW)
    assert (await book.read_up_to(AISHA.id)).since == 8, "what was read stays read"


async def test_a_look_is_noted_once_a_minute_and_goes_with_the_person(
    services: Services, office: Office
) -> None:
    person = await office.with_person("Ada", Grant(role=Role.AUDITOR))
    book = News(services.pool)

    async def look(position: int, at: datetime) -> int:
        return (await book.look(person.id, position, at)).since

    assert await look(5, NOW) == 0
    assert await look(9, NOW + MINUTE / 2) == 0
    # What was shown within the minute is told once more: better twice than never.
    assert await look(12, NOW + MINUTE / 2 + ABSENCE + MINUTE) == 5
    await office.do(ErasePerson(person_id=person.id, reason="She asked for it."))
    assert (await book.read_up_to(person.id)).since_at is None


async def test_a_contact_is_told_of_their_own_party_alone(
    hire: Hire, survey: Survey, services: Services, office: Office
) -> None:
    person, grant = speaker("KEN")
    await hired(services, person, grant)
    due = Due(on=(office.now + timedelta(days=50)).date())
    for invitation in (survey.kenya, survey.peru):
        await office.do(ExtendInvitation(invitation_id=invitation, due=due, reason="Asked for."))
    contact = await hire(person.id)
    for path in ("/", "/news"):
        await contact.open(path)
        said = await contact.page.locator("ul.news").inner_text()
        assert "A party was given more time: Kenya" in said
        assert not [word for word in ("Invitation", "letter", "role", "round was opened") if word in said]
    assert "was given more time: Peru" not in await contact.text()


async def test_drafts_links_and_passwords_are_news_to_those_who_may_know_of_them(
    hire: Hire, survey: Survey, services: Services, office: Office
) -> None:
    person, grant = speaker("KEN")
    await hired(services, person, grant)
    id, _ = await a_link(services, survey.kenya)
    await office.do(SaveDraft(invitation_id=survey.kenya, answers={"other_views": "Half"}, page_id=uuid4()))
    await office.do(RevokeLink(link_id=id, reason="It went to the wrong address."))
    await Entrance(services).set_password(person.id, "seven horses in the rain", office.now)
    begun, saved = "An answer was begun", "A draft of an answer was saved"
    revoked, password = "A personal link was revoked", "A password was set"
    manager = (await office.with_person("Ilse", Grant(role=Role.PROGRAMME_MANAGER))).id
    peru = (await office.with_person("Rosa", Grant(role=Role.PARTY_CONTACT, owner_id=PERU))).id
    kenya = (await office.with_person("Wanjiru", Grant(role=Role.PARTY_CONTACT, owner_id=KENYA))).id
    for who, known in (
        (AISHA.id, {begun, saved, revoked, password}),
        (manager, {begun, revoked}),
        (kenya, {begun, saved, revoked}),
        (peru, set[str]()),
    ):
        reader = await hire(who)
        await reader.open("/news")
        said = await reader.text()
        assert {words for words in (begun, saved, revoked, password) if words in said} == known


async def test_a_group_and_the_list_behind_it_count_the_same(
    reader: Reader, survey: Survey, office: Office
) -> None:
    await office.do(WithdrawInvitation(invitation_id=survey.kenya, reason="Sent in error."))
    await reader.open("/")
    groups = reader.page.locator("ul.news > li > a:first-child")
    said = {await group.inner_text(): str(await group.get_attribute("href")) for group in await groups.all()}
    assert len(said) > 5
    for words, path in said.items():
        if words[0].isdecimal():
            await reader.open(path)
            assert await reader.page.locator("ul.news > li").count() == int(words.split()[0]), words
        else:
            assert (await reader.open(path)).status == 200, words


async def test_an_earlier_moment_tells_what_had_happened_by_then(
    reader: Reader, survey: Survey, office: Office
) -> None:
    await reader.open("/")
    position = await reader.page.locator("footer strong").inner_text()
    await office.do(SubmitResponse(invitation_id=survey.kenya, answers={"priority_areas": ["customs"]}))
    await reader.open(f"/?as_of={position.removeprefix('position ')}")
    said = await reader.text()
    assert "What had happened last by then" in said
    assert "2 questionnaires were issued" in said
    assert "An answer came in" not in said
