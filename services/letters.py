"""Writes letters and sends them."""

import html
from collections import OrderedDict
from dataclasses import dataclass, replace
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from uuid import UUID

from domain.forms import text
from domain.letters import Letter, LetterKind
from domain.parties import Party
from domain.questionnaires import Questionnaire
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
           of 2 or 4, is recorded when it is opened: the directory has it. A letter to a colleague brings
           the link that the contact made; sent again because of 2, it has a new secret.
        4. If a cancellation is recorded while the letter is under way, or the database is lost just then,
           the next try finds it among those accepted, and the log says that it was sent.
        """
        letter = await unit.get(Letter, command.letter_id)
        if letter.id in self._accepted:
            letter.sent(*self._accepted[letter.id], unit.stamp)
        elif letter.outstanding and letter.link_id:
            await self._send_to_colleague(unit, letter)
        elif letter.outstanding:
            await self._send_to_contact(unit, letter)
        return Recorded(id=letter.id, version=letter.version)

    async def _send_to_contact(self, unit: Unit, letter: Letter) -> None:
        assert letter.to is not None, "a letter that brings no link of its own goes to a role"
        party = await unit.look(Party, letter.party_id)
        contact_id = party.contact(letter.to)
        contact = await self._directory.find(contact_id) if contact_id else None
        if contact is None:
            role = letter.to.replace("_", " ")
            letter.suppress(f"The party has named nobody as its {role}.", unit.stamp)
            return
        invitation = await unit.look(Invitation, letter.about)
        round = await unit.look(Round, invitation.round_id)
        secret, link = await self._links.for_letter(unit, invitation, contact.id)
        words = _words(letter.kind, round, party, invitation.due_text())
        if await self._hand_over(unit, letter, contact, words, secret):
            unit.add(link)
        else:
            await self._links.forget(link)

    async def _send_to_colleague(self, unit: Unit, letter: Letter) -> None:
        found = await self._links.for_colleague(unit, letter)
        colleague = await self._directory.find(found[1].facts.holder_id) if found else None
        if found is None or colleague is None:
            letter.suppress("The link was withdrawn before its letter went out.", unit.stamp)
            return
        secret, link = found
        contact = await self._directory.find(link.facts.contact_id)
        invitation = await unit.look(Invitation, letter.about)
        round = await unit.look(Round, invitation.round_id)
        party = await unit.look(Party, letter.party_id)
        questionnaire = await unit.look(Questionnaire, invitation.questionnaire_id)
        form = questionnaire.form(invitation.form_version)
        labels = next(section.label for section in form.sections if section.name == link.facts.section)
        words = _words_to_colleague(
            colleague.language,
            asked_by=contact.name if contact else party.name,
            party=party.name,
            round=round.title,
            section=text(labels, colleague.language, form.default_language) or str(link.facts.section),
            due=invitation.due_text(),
        )
        await self._hand_over(unit, letter, colleague, words, secret)

    async def _hand_over(
        self, unit: Unit, letter: Letter, reader: Person, words: "Words", secret: str
    ) -> bool:
        """Give the letter to the mail server, record how that went, and say whether it took it."""
        message_id = f"<{letter.id}@{parseaddr(self._settings.smtp_from)[1].rpartition('@')[2]}>"
        try:
            message = self._write(reader, words, secret)
            message["Date"] = format_datetime(unit.stamp.at)
            message["Message-ID"] = message_id
            await self._mailer.send(message)
        except (Undeliverable, ValueError) as refusal:  # ValueError: a header that cannot be written
            letter.bounced(reader.id, message_id, str(refusal), unit.stamp)
            return False
        self._accepted[letter.id] = (reader.id, message_id)
        if len(self._accepted) > REMEMBERED:
            self._accepted.popitem(last=False)
        letter.sent(reader.id, message_id, unit.stamp)
        return True

    def _write(self, reader: Person, words: "Words", secret: str) -> EmailMessage:
        link = link_address(self._settings, secret)
        message = EmailMessage()
        message["From"] = self._settings.smtp_from
        message["To"] = Address(reader.name, addr_spec=reader.email)
        message["Subject"] = words.subject
        message["Auto-Submitted"] = "auto-generated"
        greeting = words.greeting.format(name=reader.name)
        message.set_content(f"{greeting}\n\n{words.opening}\n\n{link}\n\n{words.sender}\n")
        message.add_alternative(
            f"<p>{html.escape(greeting)}</p><p>{html.escape(words.opening)}</p>"
            f'<p><a href="{html.escape(link)}">{html.escape(words.button)}</a></p>'
            f"<p>{html.escape(words.sender)}</p>",
            subtype="html",
        )
        return message


@dataclass(frozen=True, slots=True)
class Words:
    """What a letter says, around the address of the link."""

    subject: str
    opening: str
    greeting: str = "Dear {name},"
    button: str = "Open the questionnaire"
    sender: str = "The Secretariat"


def _words(kind: LetterKind, round: Round, party: Party, due: str) -> Words:
    """Return what a letter to a contact says."""
    match kind:
        case LetterKind.INVITATION:
            return Words(
                f"{round.title}: questionnaire for {party.name}",
                f"The Secretariat invites {party.name} to answer the questionnaire “{round.title}”. "
                f"An answer is in time until {due}. You can open it here:",
            )
        case LetterKind.REMINDER:
            return Words(
                f"Reminder: {round.title}, due {due}",
                f"No answer of {party.name} to the questionnaire “{round.title}” has arrived yet. "
                f"It is in time until {due}. You can answer it here:",
            )
        case LetterKind.ESCALATION:
            return Words(
                f"No answer from {party.name}: {round.title}",
                f"The questionnaire “{round.title}” was sent to the official contact point of {party.name}. "
                f"It was due {due}, and no answer has arrived. You are written to as the party's designated "
                "national authority. A late answer is still welcome:",
            )
        case LetterKind.FORWARDING:
            raise AssertionError("it goes to a colleague, and not to a role")


_TO_COLLEAGUE = {
    "en": Words(
        "{asked_by} asks you to answer “{section}”",
        "{asked_by} asks you to answer the section “{section}” of the questionnaire “{round}”, which the "
        "Secretariat of the Rotterdam Convention has sent to {party}. The due date is {due}. "
        "{asked_by} sends it in, with the other sections. This link is for you alone, and for that section:",
        button="Open the section",
    ),
    "fr": Words(
        "{asked_by} vous invite à répondre à « {section} »",
        "{asked_by} vous invite à répondre à la section « {section} » du questionnaire « {round} », que le "
        "Secrétariat de la Convention de Rotterdam a adressé à la Partie suivante : {party}. Date limite : "
        "{due}. {asked_by} enverra la réponse avec les autres sections. Ce lien vous est personnel et ne "
        "donne accès qu’à cette section :",
        greeting="Bonjour {name},",
        button="Ouvrir la section",
        sender="Le Secrétariat",
    ),
    "es": Words(
        "{asked_by} le pide que responda a «{section}»",
        "{asked_by} le pide que responda a la sección «{section}» del cuestionario «{round}», que la "
        "Secretaría del Convenio de Rotterdam ha enviado a la Parte siguiente: {party}. Fecha límite: {due}. "
        "{asked_by} enviará la respuesta con las demás secciones. Este enlace es solo para usted y para esa "
        "sección:",
        greeting="Buenos días, {name}:",
        button="Abrir la sección",
        sender="La Secretaría",
    ),
}


def _words_to_colleague(language: str, **facts: str) -> Words:
    """Return what the letter to a colleague says, in their language where we have it, else in English."""
    words = _TO_COLLEAGUE.get(language, _TO_COLLEAGUE["en"])
    return replace(words, subject=words.subject.format(**facts), opening=words.opening.format(**facts))
