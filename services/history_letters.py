"""Letters about the history: that it differs from what was published, and each day's checkpoint.

They are no letters of the log, which knows what is written to parties: an alarm about the log should not
depend on it, and whoever wants checkpoints wants them outside our reach.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from uuid import UUID

import structlog

from services.directory import Directory, Person
from services.history import Alarm, Published
from services.mail import Mailer, Undeliverable
from services.settings import Settings

log = structlog.get_logger("history")


class HistoryLetters:
    """Writes and sends the letters about the history."""

    def __init__(self, settings: Settings, directory: Directory, mailer: Mailer) -> None:
        self._settings = settings
        self._directory = directory
        self._mailer = mailer
        self._sent: set[tuple[object, UUID]] = set()
        """What went out to whom already, for the case that a later letter of the same kind did not."""

    async def tell_alarm(self, alarm: Alarm, people: Iterable[UUID]) -> None:
        """Write to people that the history differs from what was published of it."""
        await self._to_all(
            ("alarm", alarm.number),
            people,
            "Alarm: the history differs from what was published of it",
            f"On {_moment(alarm.raised_at)} this was found:\n\n{alarm.message}\n\n"
            "Do not rely on what is shown until it is resolved. Do not repair the database by hand: keep it "
            "and the folder of checkpoints as they are, and compare them with a copy.\n\n"
            f"What is known, and what to do: {self._address('/evidence')}",
        )

    async def send_checkpoint(self, published: Published, people: Iterable[UUID]) -> None:
        """Send a checkpoint to those who keep them."""
        await self._to_all(
            ("checkpoint", published.log, published.size, datetime.now(UTC).date()),
            people,
            f"Checkpoint of {published.log}: {published.size:,} events",
            "Keep the file that comes with this letter. It is the log's signed statement of what it holds: "
            f"{published.size:,} events, as of {_moment(published.made_at)}. Should the log ever be shown to "
            "you otherwise, it proves that.\n\n"
            f"{published.encoded.decode()}\n"
            f"How to hold evidence against it: {self._address('/evidence')}",
            published,
        )

    async def _to_all(
        self,
        what: object,
        people: Iterable[UUID],
        subject: str,
        text: str,
        published: Published | None = None,
    ) -> None:
        """Send the same letter to each who is in the directory. What fails for one is tried for the others;
        then the last failure is raised, and the next try leaves out whom the letter has reached."""
        failure: Exception | None = None
        for id in people:
            person = await self._directory.find(id)
            if person is None or (what, id) in self._sent:
                continue
            try:
                await self._mailer.send(self._write(person, subject, text, published))
            except Undeliverable as refusal:
                log.warning("a letter about the history could not be delivered", error=str(refusal))
            except Exception as error:  # Whatever it is, the letter is tried again (services/mail.py).
                failure = error
                continue
            self._sent.add((what, id))
        if failure is not None:
            raise failure

    def _write(self, person: Person, subject: str, text: str, published: Published | None) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._settings.smtp_from
        message["To"] = Address(person.name, addr_spec=person.email)
        message["Subject"] = subject
        message["Auto-Submitted"] = "auto-generated"
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = make_msgid(
            domain=parseaddr(self._settings.smtp_from)[1].rpartition("@")[2] or None
        )
        message.set_content(f"Dear {person.name},\n\n{text}\n\nMandate\n")
        if published:
            name = f"{published.size:012d}.checkpoint"
            message.add_attachment(
                published.encoded, maintype="application", subtype="octet-stream", filename=name
            )
        return message

    def _address(self, path: str) -> str:
        return str(self._settings.public_url).rstrip("/") + path


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%d %B %Y at %H:%M} UTC"
