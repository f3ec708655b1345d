"""Writes letters and sends them."""

import html
from collections import OrderedDict
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from uuid import UUID

from domain.letters import Letter, LetterKind
from domain.parties import Party
from domain.rounds import Invitation, Round
from services.commands import Command, Recorded, Unit
from services.directory import Directory, Person
from services.links import Links, link_address
from services.mail import Mailer, Undeliverable
from services.settings import Settings

REMEMBERED = 1_000
"""How many letters that the mail server accepted are remembered, for the case that recording them fails."""


class SendLetter(Command):
    """Send a letter that is due, to whoever holds its role now."""

    letter_id: UUID


class SuppressLetter(Command):
    """Decide not to send a letter that is due."""

    letter_id: UUID
    reason: str


class Letters:
    """The handlers of all commands about letters."""

    def __init__(self, settings: Settings, directory: Directory, mailer: Mailer, links: Links) -> None:
        self._settings = settings
        self._directory = directory
        self._mailer = mailer
        self._links = links
        self._accepted: OrderedDict[UUID, tuple[UUID, str]] = OrderedDict()
        """Letters that the mail server took, with contact and Message-ID, until the log says so."""

    async def suppress(self, unit: Unit, command: SuppressLetter) -> Recorded:
        letter = await unit.get(Letter, command.letter_id)
        letter.suppress(command.reason, unit.stamp)
        return Recorded(id=letter.id, version=letter.version)

    async def send(self, unit: Unit, command: SendLetter) -> Recorded:
        """Send the letter once. It must be asked for with ``fresh``, since mail cannot be taken back.

        1. Only a letter that is outstanding is sent: one that was sent, cancelled or suppressed is skipped.
        2. If the process dies between the mail server's acceptance and the record of it, the letter is
           sent again by the next try, with the same Message-ID, by which mail programs fold the two.
        3. Each letter that goes out has a link of its own. One whose making the log does not know, because
           of 2 or 4, is recorded when it is opened: the directory has it.
        4. If a cancellation is recorded while the letter is under way, or the database is lost just then,
           the next try finds it among those accepted, and the log says that it was sent.
        """
        letter = await unit.get(Letter, command.letter_id)
        if letter.id in self._accepted:
            letter.sent(*self._accepted[letter.id], unit.stamp)
        elif letter.outstanding:
            await self._send(unit, letter)
        return Recorded(id=letter.id, version=letter.version)

    async def _send(self, unit: Unit, letter: Letter) -> None:
        party = await unit.look(Party, letter.party_id)
        contact_id = party.contact(letter.to)
        contact = await self._directory.find(contact_id) if contact_id else None
        if contact is None:
            role = letter.to.replace("_", " ")
            letter.suppress(f"The party has named nobody as its {role}.", unit.stamp)
            return
        invitation = await unit.look(Invitation, letter.about)
        round = await unit.look(Round, invitation.round_id)
        message_id = f"<{letter.id}@{parseaddr(self._settings.smtp_from)[1].rpartition('@')[2]}>"
        secret, link = await self._links.for_letter(unit, invitation, contact.id)
        try:
            message = self._write(letter, invitation, round, party, contact, secret)
            message["Date"] = format_datetime(unit.stamp.at)
            message["Message-ID"] = message_id
            await self._mailer.send(message)
        except (Undeliverable, ValueError) as refusal:  # ValueError: a header that cannot be written
            await self._links.forget(link)
            letter.bounced(contact.id, message_id, str(refusal), unit.stamp)
        else:
            unit.add(link)
            self._accepted[letter.id] = (contact.id, message_id)
            if len(self._accepted) > REMEMBERED:
                self._accepted.popitem(last=False)
            letter.sent(contact.id, message_id, unit.stamp)

    def _write(
        self,
        letter: Letter,
        invitation: Invitation,
        round: Round,
        party: Party,
        contact: Person,
        secret: str,
    ) -> EmailMessage:
        link = link_address(self._settings, secret)
        subject, opening = _words(letter.kind, round, party, invitation.due_text())
        message = EmailMessage()
        message["From"] = self._settings.smtp_from
        message["To"] = Address(contact.name, addr_spec=contact.email)
        message["Subject"] = subject
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(f"Dear {contact.name},\n\n{opening}\n\n{link}\n\nThe Secretariat\n")
        message.add_alternative(
            f"<p>Dear {html.escape(contact.name)},</p><p>{html.escape(opening)}</p>"
            f'<p><a href="{html.escape(link)}">Open the questionnaire</a></p><p>The Secretariat</p>',
            subtype="html",
        )
        return message


def _words(kind: LetterKind, round: Round, party: Party, due: str) -> tuple[str, str]:
    """Return subject and opening of a letter."""
    match kind:
        case LetterKind.INVITATION:
            return (
                f"{round.title}: questionnaire for {party.name}",
                f"The Secretariat invites {party.name} to answer the questionnaire “{round.title}”. "
                f"An answer is in time until {due}. You can open it here:",
            )
        case LetterKind.REMINDER:
            return (
                f"Reminder: {round.title}, due {due}",
                f"No answer of {party.name} to the questionnaire “{round.title}” has arrived yet. "
                f"It is in time until {due}. You can answer it here:",
            )
        case LetterKind.ESCALATION:
            return (
                f"No answer from {party.name}: {round.title}",
                f"The questionnaire “{round.title}” was sent to the official contact point of {party.name}. "
                f"It was due {due}, and no answer has arrived. You are written to as the party's designated "
                "national authority. A late answer is still welcome:",
            )
