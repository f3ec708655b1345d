"""Personal links: opened by a button, forwarded for a section, and ended when the contact changes."""

import re
from dataclasses import replace
from datetime import date, timedelta
from email.message import EmailMessage
from uuid import UUID, uuid4

import pytest

from domain.access import Action, Grant, Role, Way
from domain.aggregates import Stamp
from domain.letters import Letter, LetterKind, LetterState
from domain.links import MOST_FORWARDED, PersonalLink
from domain.parties import ContactRole
from domain.people import actor
from domain.rounds import Due, Invitation, invitation_id
from projections import access
from projections.reading import Tables
from projections.runner import Runner
from services.commands import Recorded
from services.directory import Entry, Person
from services.entrance import Entrance, Visitor
from services.hashing import hashed, new_secret
from services.letters import SendLetter
from services.links import ForwardSection, MakeLink, RevokeLink
from services.log import LogReader
from services.parties import EndContact, NameContact
from services.people import EndRole, GrantRole, OpenAccount
from services.rounds import ExtendInvitation, SubmitResponse
from services.sessions import AGE_BY_LINK, OpenedSession
from services.settings import Settings
from services.store import Answer, Request
from services.wiring import Services, open_services
from tests.cast import KENYA, NOW, PERU, Office, Postbox, contact_of
from tests.services.test_entrance import everything

CONTACT = contact_of("KEN", ContactRole.OFFICIAL_CONTACT_POINT)
NATIONAL_AUTHORITY = contact_of("KEN", ContactRole.DESIGNATED_NATIONAL_AUTHORITY)
COLLEAGUE = Person(uuid4(), "A colleague at customs", "customs@example.org")


class Story:
    """A round that was issued to Kenya, whose contact has a link."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.office = Office(services)
        self.entrance = Entrance(services)
        self.invitation = UUID(int=0)

    async def begin(self) -> str:
        """Issue the questionnaire to Kenya and return the secret of the link of its contact."""
        round_id = await self.office.with_open_round(KENYA, PERU)
        self.invitation = invitation_id(round_id, KENYA)
        return await self.make(CONTACT)

    async def make(self, contact: Person) -> str:
        secret = new_secret()
        await self.office.do(
            MakeLink(
                id=uuid4(),
                invitation_id=self.invitation,
                contact_id=contact.id,
                secret_sha256=hashed(secret).hex(),
            )
        )
        return secret

    async def forward(self, section: str = "needs", by: Person = CONTACT, to: Person = COLLEAGUE) -> Answer:
        command = ForwardSection(
            id=uuid4(),
            invitation_id=self.invitation,
            colleague_id=to.id,
            colleague=Entry(name=to.name, email=to.email, language=to.language),
            section=section,
        )
        return await self.services.execute(command, Request(Stamp(by=actor(by.id), at=NOW)))

    async def forwarded(
        self, postbox: Postbox, by: Person = CONTACT, to: Person = COLLEAGUE
    ) -> tuple[UUID, str]:
        """Forward the section, send the letter, and return the id and the secret of the link in it."""
        answer = await self.forward(by=by, to=to)
        assert answer.outcome == "done", answer.reply
        await self.send(-1)
        return Recorded.model_validate_json(answer.reply).id, link_in(postbox.letters[-1])

    async def send(self, number: int) -> Letter:
        """Send the letter that stands in this place among those planned."""
        invitation = await self.services.store.read(Invitation, self.invitation)
        letter_id = invitation.letters[number].letter_id
        await self.services.execute(
            SendLetter(letter_id=letter_id), Request(Stamp(by="workflow:deadline", at=NOW), fresh=True)
        )
        return await self.services.store.read(Letter, letter_id)

    async def open(self, secret: str) -> OpenedSession:
        opened = await self.entrance.open_link(secret, "a telephone", NOW)
        assert opened is not None
        return opened

    async def visitor(self, opened: OpenedSession) -> Visitor | None:
        return await self.entrance.by_session(opened.secret, NOW)

    async def position(self) -> int:
        async with self.services.pool.connection() as connection:
            return await LogReader(connection).position()


async def test_looking_at_a_link_changes_nothing_and_opening_it_begins_a_session(services: Services) -> None:
    story = Story(services)
    secret = await story.begin()
    before = await story.position()

    link = await story.entrance.look_at_link(secret, NOW)

    assert link is not None
    assert link.invitation_id == story.invitation
    assert await story.position() == before

    opened = await story.open(secret)

    visitor = await story.visitor(opened)
    assert visitor is not None
    assert visitor.person.id == CONTACT.id
    assert visitor.subject.way is Way.LINK
    assert visitor.subject.may(Action.SUBMIT, {KENYA}, story.invitation)
    assert not visitor.subject.may(Action.SEE_INVITATIONS, {KENYA}, uuid4())
    recorded = await services.store.read(PersonalLink, link.id)
    assert recorded.version == 2, "made, and exchanged"


async def test_a_link_can_be_opened_on_another_device(services: Services) -> None:
    story = Story(services)
    secret = await story.begin()

    telephone, laptop = await story.open(secret), await story.open(secret)

    assert telephone.secret != laptop.secret
    assert await story.visitor(telephone) is not None
    assert await story.visitor(laptop) is not None


async def test_a_secret_that_nobody_gave_out_opens_nothing(services: Services) -> None:
    story = Story(services)
    await story.begin()

    for secret in (new_secret(), "", "\0", "\ud800"):
        assert await story.entrance.look_at_link(secret, NOW) is None
        assert await story.entrance.open_link(secret, "a telephone", NOW) is None


async def test_a_link_and_its_sessions_end_by_their_time(services: Services) -> None:
    story = Story(services)
    secret = await story.begin()
    opened = await story.open(secret)
    link = await story.entrance.look_at_link(secret, NOW)
    assert link is not None

    assert await story.entrance.by_session(opened.secret, NOW + AGE_BY_LINK) is None
    late = await story.entrance.open_link(secret, "a telephone", link.ends_at - timedelta(hours=1))
    assert late is not None
    assert late.ends_at == link.ends_at, "a session does not outlast its link"
    assert await story.entrance.open_link(secret, "a telephone", link.ends_at) is None


async def test_when_the_contact_changes_links_and_sessions_end(
    services: Services, runner: Runner, postbox: Postbox
) -> None:
    story = Story(services)
    secret = await story.begin()
    _, forwarded = await story.forwarded(postbox)
    opened, of_colleague = await story.open(secret), await story.open(forwarded)
    successor = await story.office.with_person("Wanjiru")

    await story.office.do(
        NameContact(
            party_id=KENYA,
            role=ContactRole.OFFICIAL_CONTACT_POINT,
            contact_id=successor.id,
            effective_on=date(2026, 3, 1),
        )
    )

    for session in (opened, of_colleague):
        assert await story.visitor(session) is None
    for one in (secret, forwarded):
        assert await story.entrance.look_at_link(one, NOW) is None
        assert await story.entrance.open_link(one, "a telephone", NOW) is None
    await runner.catch_up()
    async with Tables(services.settings.reader_url) as tables, tables.picture() as picture:
        rows = await access.links(picture, story.invitation)
        assert {(row["section"], row["state"]) for row in rows} == {(None, "revoked"), ("needs", "revoked")}
        assert {row["reason"] for row in rows} == {"The person does not speak for the party any more."}


async def test_the_link_of_somebody_who_speaks_in_another_role_stays(services: Services) -> None:
    story = Story(services)
    await story.begin()
    secret = await story.make(NATIONAL_AUTHORITY)
    day = date(2026, 3, 1)
    role = ContactRole.OFFICIAL_CONTACT_POINT
    await story.office.do(
        NameContact(party_id=KENYA, role=role, contact_id=NATIONAL_AUTHORITY.id, effective_on=day)
    )

    await story.office.do(EndContact(party_id=KENYA, role=role, effective_on=day))
    assert await story.entrance.look_at_link(secret, NOW) is not None

    authority = ContactRole.DESIGNATED_NATIONAL_AUTHORITY
    await story.office.do(EndContact(party_id=KENYA, role=authority, effective_on=day))
    assert await story.entrance.look_at_link(secret, NOW) is None


async def test_a_link_that_crossed_with_a_change_of_the_contact_opens_nothing(
    services: Services, settings: Settings
) -> None:
    story = Story(services)
    secret = await story.begin()
    link = await story.entrance.look_at_link(secret, NOW)
    assert link is not None
    async with open_services(settings, Postbox()) as others, services.pool.connection() as connection:
        # The other process does not know of the link yet: it is written down just after it looked.
        await connection.execute("CREATE TEMPORARY TABLE aside AS SELECT * FROM directory.links")
        await connection.execute("DELETE FROM directory.links")
        role = ContactRole.OFFICIAL_CONTACT_POINT
        await Office(others).do(EndContact(party_id=KENYA, role=role, effective_on=date(2026, 3, 1)))
        await connection.execute("INSERT INTO directory.links SELECT * FROM aside")

    assert await story.entrance.look_at_link(secret, NOW) is not None
    assert await story.entrance.open_link(secret, "a telephone", NOW) is None


async def test_a_link_whose_making_was_not_recorded_is_as_good_as_any(services: Services) -> None:
    story = Story(services)
    await story.begin()
    id, secret = uuid4(), new_secret()
    async with services.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO directory.links VALUES (%s, %s, %s, %s, %s, %s, NULL, %s)",
            (
                id,
                hashed(secret),
                story.invitation,
                KENYA,
                CONTACT.id,
                CONTACT.id,
                NOW + timedelta(days=9),
            ),
        )

    await story.open(secret)

    assert (await services.store.read(PersonalLink, id)).version == 2


async def test_a_colleague_answers_the_one_section_that_was_forwarded(
    services: Services, postbox: Postbox
) -> None:
    story = Story(services)
    await story.begin()

    _, secret = await story.forwarded(postbox)

    [letter] = postbox.letters
    assert str(letter["To"]) == "A colleague at customs <customs@example.org>"
    assert letter["Subject"] == "The official contact point of KEN asks you to answer “Needs”"
    visitor = await story.visitor(await story.open(secret))
    assert visitor is not None
    assert visitor.person == COLLEAGUE
    assert visitor.subject.way is Way.FORWARDED_LINK
    assert visitor.subject.may(Action.ANSWER, {KENYA}, story.invitation)
    assert visitor.subject.may_answer("needs")
    assert not visitor.subject.may_answer("other")
    assert not visitor.subject.may(Action.SUBMIT, {KENYA}, story.invitation)


async def test_it_refuses_to_forward_what_is_no_section_or_awaits_no_answer(services: Services) -> None:
    story = Story(services)
    await story.begin()

    unknown = await story.forward(section="finances")
    assert b"no-such-section" in unknown.reply

    stranger = await story.forward(by=contact_of("PER", ContactRole.OFFICIAL_CONTACT_POINT))
    assert b"link-ended" in stranger.reply

    await story.office.do(SubmitResponse(invitation_id=story.invitation, answers={"areas": ["law"]}))
    answered = await story.forward()
    assert b"already-received" in answered.reply
    assert await services.directory.find(COLLEAGUE.id) is None, "nobody is kept who was not asked"


async def test_somebody_with_the_role_forwards_until_the_role_ends(
    services: Services, postbox: Postbox
) -> None:
    story = Story(services)
    await story.begin()
    role = Grant(role=Role.PARTY_CONTACT, owner_id=KENYA)
    wanjiru = await story.office.with_person("Wanjiru", role)
    _, secret = await story.forwarded(postbox, by=wanjiru)
    opened = await story.open(secret)

    await story.office.do(EndRole(person_id=wanjiru.id, grant=role, reason="Left the ministry."))

    assert await story.visitor(opened) is None
    assert await story.entrance.open_link(secret, "a telephone", NOW) is None


async def test_the_link_of_a_contact_stays_when_a_role_beside_it_ends(services: Services) -> None:
    story = Story(services)
    secret = await story.begin()
    role = Grant(role=Role.PARTY_CONTACT, owner_id=KENYA)
    await story.office.do(OpenAccount(person_id=CONTACT.id))
    await story.office.do(GrantRole(person_id=CONTACT.id, grant=role))

    await story.office.do(EndRole(person_id=CONTACT.id, grant=role, reason="Not needed."))

    assert await story.entrance.look_at_link(secret, NOW) is not None


async def test_a_link_is_revoked_by_hand(services: Services) -> None:
    story = Story(services)
    secret = await story.begin()
    opened = await story.open(secret)
    link = await story.entrance.look_at_link(secret, NOW)
    assert link is not None

    await story.office.do(RevokeLink(link_id=link.id, reason="The letter went astray."))

    assert await story.visitor(opened) is None
    assert await story.entrance.look_at_link(secret, NOW) is None
    assert (await services.store.read(PersonalLink, link.id)).revoked


async def test_the_secret_of_a_link_is_kept_nowhere_as_it_is(
    services: Services, settings: Settings, postbox: Postbox
) -> None:
    story = Story(services)
    secret = await story.begin()
    _, forwarded = await story.forwarded(postbox)
    opened = await story.open(secret)

    kept = await everything(settings)

    for one in (secret, forwarded, opened.secret):
        assert one not in kept
        assert one.encode().hex() not in kept
    assert COLLEAGUE.email in kept, "the directory is looked at"


def link_in(letter: EmailMessage) -> str:
    """Return the secret of the link in a letter."""
    body = letter.get_body(("plain",))
    assert body is not None
    [secret] = re.findall(r"http://127\.0\.0\.1:8000/l/(\S+)", body.get_content())
    return str(secret)


async def test_each_letter_carries_a_link_of_its_own(services: Services, postbox: Postbox) -> None:
    story = Story(services)
    await story.begin()
    invitation = await services.store.read(Invitation, story.invitation)

    for planned in invitation.letters[:2]:
        await story.office.do(SendLetter(letter_id=planned.letter_id))

    secrets = [link_in(letter) for letter in postbox.letters]
    assert len(set(secrets)) == 2
    for secret in secrets:
        visitor = await story.visitor(await story.open(secret))
        assert visitor is not None
        assert visitor.subject.may(Action.SUBMIT, {KENYA}, story.invitation)


async def test_a_letter_that_bounces_leaves_no_link(services: Services, postbox: Postbox) -> None:
    story = Story(services)
    await story.begin()
    postbox.refused.add(CONTACT.email)
    invitation = await services.store.read(Invitation, story.invitation)
    before = await story.entrance.links.by_right_of(CONTACT.id)

    await story.office.do(SendLetter(letter_id=invitation.letters[0].letter_id))

    assert await story.entrance.links.by_right_of(CONTACT.id) == before


# Letters to colleagues.


async def test_a_letter_to_a_colleague_waits_for_the_mail_server_and_is_not_lost(
    services: Services, postbox: Postbox
) -> None:
    story = Story(services)
    await story.begin()
    await story.forward()
    postbox.down = True
    with pytest.raises(ConnectionError):
        await story.send(-1)
    assert postbox.letters == []

    postbox.down = False
    letter = await story.send(-1)
    await story.send(-1)

    assert letter.state is LetterState.SENT
    [sent] = postbox.letters
    assert sent["Message-ID"].startswith(f"<{letter.id}@")
    await story.open(link_in(sent))


async def test_a_letter_to_a_colleague_is_not_sent_once_the_link_was_withdrawn(
    services: Services, postbox: Postbox
) -> None:
    story = Story(services)
    await story.begin()
    answer = await story.forward()
    await story.office.do(RevokeLink(link_id=Recorded.model_validate_json(answer.reply).id))

    letter = await story.send(-1)

    assert letter.state is LetterState.SUPPRESSED
    assert postbox.letters == []


async def test_a_letter_to_a_colleague_that_bounces_says_so(services: Services, postbox: Postbox) -> None:
    story = Story(services)
    await story.begin()
    await story.forward()
    postbox.refused.add(COLLEAGUE.email)

    assert (await story.send(-1)).state is LetterState.BOUNCED


async def test_a_letter_to_a_colleague_is_called_off_when_the_answer_is_sent(services: Services) -> None:
    story = Story(services)
    await story.begin()
    await story.forward()

    await story.office.do(SubmitResponse(invitation_id=story.invitation, answers={"areas": ["law"]}))

    assert (await story.send(-1)).state is LetterState.CANCELLED


async def test_a_letter_to_a_colleague_outlives_an_extension_of_the_due_date(
    services: Services, postbox: Postbox
) -> None:
    story = Story(services)
    await story.begin()
    await story.forward()
    later = Due(at=NOW + timedelta(days=60))

    await story.office.do(ExtendInvitation(invitation_id=story.invitation, due=later, reason="Asked."))

    invitation = await services.store.read(Invitation, story.invitation)
    [planned] = [letter for letter in invitation.letters if letter.kind is LetterKind.FORWARDING]
    assert (await services.store.read(Letter, planned.letter_id)).outstanding


@pytest.mark.parametrize(
    ("language", "word"), [("fr", "Bonjour"), ("es", "Buenos días"), ("en", "Dear"), ("zh", "Dear")]
)
async def test_a_colleague_is_written_to_in_their_language(
    services: Services, postbox: Postbox, language: str, word: str
) -> None:
    story = Story(services)
    await story.begin()

    await story.forwarded(postbox, to=replace(COLLEAGUE, language=language))

    body = postbox.letters[-1].get_body(("plain",))
    assert body is not None
    assert body.get_content().startswith(word)


async def test_only_so_many_colleagues_are_asked_at_the_same_time(
    services: Services, postbox: Postbox
) -> None:
    story = Story(services)
    await story.begin()
    first = [await story.forward(to=replace(COLLEAGUE, id=uuid4())) for _ in range(MOST_FORWARDED)]
    assert {answer.outcome for answer in first} == {"done"}

    refused = await story.forward()

    assert b"too-many-colleagues" in refused.reply
    await story.office.do(RevokeLink(link_id=Recorded.model_validate_json(first[0].reply).id))
    assert (await story.forward()).outcome == "done"
