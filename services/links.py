"""Personal links: made for letters, forwarded to colleagues, exchanged for sessions, revoked.

The secret of a link is made by whoever hands it over, and is in no command, event, reply or log: its digest
is kept in the directory as long as the link is good. A link that was forwarded has no secret before its
letter goes out. Removing the row ends the link and the sessions that it was exchanged for.
"""

from typing import Annotated
from uuid import UUID, uuid4

from pydantic import Field, StringConstraints

from domain.letters import Letter
from domain.links import (
    LinkFacts,
    PersonalLink,
    ends_at,
    must_be_a_section,
    must_be_new,
    must_leave_room,
    must_speak_for,
    speaks_for,
)
from domain.parties import Party
from domain.people import Account, Reason
from domain.questionnaires import Questionnaire
from domain.refusals import NotFound
from domain.rounds import Invitation
from services.commands import Command, Recorded, Unit
from services.directory import Directory, Entry
from services.hashing import hashed, new_secret
from services.kept_links import Link, LinkBook
from services.settings import Settings

SectionName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

NO_LONGER_CONTACT = "The person does not speak for the party any more."
"""Why links are revoked when the contact of a party changes."""


class MakeLink(Command):
    """Make a personal link with which a contact of a party answers one questionnaire."""

    creates = True
    id: UUID
    invitation_id: UUID
    contact_id: UUID
    secret_sha256: Digest


class ForwardSection(Command):
    """Make a link for a colleague of whoever gives the command, to answer one section, and plan the letter
    that brings it."""

    creates = True
    id: UUID
    invitation_id: UUID
    colleague_id: UUID
    colleague: Entry
    """Goes to the directory when nothing stands against it, and nowhere else."""
    section: SectionName


class ExchangeLink(Command):
    """Exchange a link for a session in the browser in which it was opened."""

    link_id: UUID
    session_id: UUID


class RevokeLink(Command):
    """Make a link good for nothing."""

    link_id: UUID
    reason: Reason = Field(default="It was revoked by hand.")


class Links:
    """The handlers of all commands about personal links."""

    def __init__(self, book: LinkBook, directory: Directory) -> None:
        self._book = book
        self._directory = directory

    async def for_letter(
        self, unit: Unit, invitation: Invitation, contact_id: UUID
    ) -> tuple[str, PersonalLink]:
        """Return the secret of a new link and the link, to be recorded once the letter is sent."""
        id, secret = uuid4(), new_secret()
        facts = _facts(invitation, contact_id, contact_id, None, unit)
        await self._book.keep(id, facts, hashed(secret), unit.stamp.at)
        return secret, PersonalLink.make(id, facts, unit.stamp)

    async def for_colleague(self, unit: Unit, letter: Letter) -> tuple[str, PersonalLink] | None:
        """Return a new secret of the link that a letter brings, and the link; None when it is not good."""
        assert letter.link_id is not None, "a letter to a colleague brings a link"
        link, secret = await unit.get(PersonalLink, letter.link_id), new_secret()
        if link.revoked or not await self._book.give_secret(link.id, hashed(secret)):
            return None
        return secret, link

    async def forget(self, link: PersonalLink) -> None:
        """Let a link go that was never recorded, and that nobody has received."""
        await self._book.remove(link.id)

    async def make(self, unit: Unit, command: MakeLink) -> Recorded:
        must_be_new(await unit.find(PersonalLink, command.id))
        invitation = await unit.look(Invitation, command.invitation_id)
        facts = _facts(invitation, command.contact_id, command.contact_id, None, unit)
        await self._must_speak_for(unit, facts)
        return await self._keep(unit, command.id, facts, bytes.fromhex(command.secret_sha256))

    async def forward(self, unit: Unit, command: ForwardSection) -> Recorded:
        must_be_new(await unit.find(PersonalLink, command.id))
        invitation = await unit.get(Invitation, command.invitation_id)
        invitation.must_await_answers()
        questionnaire = await unit.look(Questionnaire, invitation.questionnaire_id)
        form = questionnaire.form(invitation.form_version)
        must_be_a_section(command.section, (section.name for section in form.sections))
        facts = _facts(invitation, _person(unit), command.colleague_id, command.section, unit)
        await self._must_speak_for(unit, facts)
        good = await self._book.forwarded(invitation.id, unit.stamp.at)
        must_leave_room(len(good & invitation.forwarded))
        planned = invitation.forward(command.id, command.section, unit.stamp)
        unit.add(
            Letter.plan_for_colleague(
                planned, invitation.id, invitation.party_id, command.id, invitation.due_at, unit.stamp
            )
        )
        await self._directory.enter(command.colleague_id, command.colleague)
        return await self._keep(unit, command.id, facts, None)

    async def exchange(self, unit: Unit, command: ExchangeLink) -> Recorded:
        link = await unit.find(PersonalLink, command.link_id)
        kept = await self._book.named(command.link_id)
        if link is None and kept is not None:
            # The letter reached its reader, and the record that it was sent did not reach the log: the
            # process died in between, or another one was quicker. The link is as good as any.
            link = PersonalLink.make(kept.id, kept.facts, unit.stamp)
            unit.add(link)
        if link is None:
            raise NotFound("not-found", f"There is no personal link with the id {command.link_id}.")
        await self._must_speak_for(unit, link.facts)
        link.exchange(command.session_id, unit.stamp)
        return Recorded(id=link.id, version=link.version)

    async def revoke(self, unit: Unit, command: RevokeLink) -> Recorded:
        link = await unit.get(PersonalLink, command.link_id)
        await self._revoke(link, command.reason, unit)
        return Recorded(id=link.id, version=link.version)

    async def revoke_all(self, unit: Unit, person_id: UUID, reason: str) -> None:
        """Revoke every link of a person, and those that are good by their right."""
        for kept in await self._book.by_right_of(person_id):
            await self._revoke_kept(unit, kept, reason)

    async def revoke_unless_speaking(self, unit: Unit, party: Party, person_id: UUID, reason: str) -> None:
        """Revoke the links of somebody for a party, unless they still speak for it in another role."""
        if speaks_for(party, person_id, await unit.find(Account, person_id)):
            return
        for kept in await self._book.by_right_of(person_id, party.id):
            await self._revoke_kept(unit, kept, reason)

    async def _revoke_kept(self, unit: Unit, kept: Link, reason: str) -> None:
        link = await unit.find(PersonalLink, kept.id)
        if link is None:  # never recorded, and never exchanged
            await self._book.remove(kept.id)
        else:
            await self._revoke(link, reason, unit)

    async def _revoke(self, link: PersonalLink, reason: str, unit: Unit) -> None:
        link.revoke(reason, unit.stamp)
        # Before the event is stored, so that no session outlives it: a link too few does no harm.
        await self._book.remove(link.id)

    async def _must_speak_for(self, unit: Unit, facts: LinkFacts) -> None:
        # Taken out, not only looked at: a decision on what the party said some time ago would not do.
        party = await unit.get(Party, facts.party_id)
        must_speak_for(party, facts.contact_id, await unit.find(Account, facts.contact_id))

    async def _keep(self, unit: Unit, id: UUID, facts: LinkFacts, secret_sha256: bytes | None) -> Recorded:
        await self._book.keep(id, facts, secret_sha256, unit.stamp.at)
        link = PersonalLink.make(id, facts, unit.stamp)
        unit.add(link)
        return Recorded(id=link.id, version=link.version)


def link_address(settings: Settings, secret: str) -> str:
    """Return the address that a letter carries. Its page must show a button and do nothing by itself, must
    send no Referer, and its address must be in no log."""
    return f"{str(settings.public_url).rstrip('/')}/l/{secret}"


def _facts(
    invitation: Invitation, contact_id: UUID, holder_id: UUID, section: str | None, unit: Unit
) -> LinkFacts:
    return LinkFacts(
        invitation_id=invitation.id,
        party_id=invitation.party_id,
        contact_id=contact_id,
        holder_id=holder_id,
        section=section,
        ends_at=ends_at(invitation.due_at, unit.stamp.at),
    )


def _person(unit: Unit) -> UUID:
    """Return the person who gives the command; nobody else forwards a section."""
    kind, _, id = unit.stamp.by.partition(":")
    if kind != "person":
        raise NotFound("not-found", "Only the contact of a party forwards a section.")
    return UUID(id)
