"""The letters that the sink took, one file each, just as they came.

A letter that was sent twice lies here twice: the sink is also the place to see that none is.
"""

import os
import re
import secrets
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

NAME = re.compile(r"[0-9]{8}T[0-9]{12}-[0-9a-f]{8}")
"""The name of a letter: when it came, and something to tell it from another of the same moment."""

LETTER_LIMIT_BYTES = 10_000_000


class Letters:
    """A folder of letters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def keep(self, sender: str, recipients: list[str], content: bytes) -> str:
        """Store a letter for good before the sender is told that it arrived. Returns its name."""
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        lines = [f"Return-Path: <{sender}>", *(f"Delivered-To: {recipient}" for recipient in recipients)]
        envelope = "".join(f"{line}\r\n" for line in lines).encode("utf-8")
        making = self.folder / f".{name}.new"
        with making.open("xb") as file:
            file.write(envelope + content)
            file.flush()
            os.fsync(file.fileno())
        making.rename(self._path(name))
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return name

    def names(self) -> list[str]:
        """The names of all letters, newest first."""
        return sorted(
            (path.stem for path in self.folder.glob("*.eml") if NAME.fullmatch(path.stem)), reverse=True
        )

    def raw(self, name: str) -> bytes | None:
        """A letter as it came, or None when there is none of this name."""
        if not NAME.fullmatch(name):
            return None
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None

    def read(self, name: str) -> EmailMessage | None:
        """A letter in its parts."""
        raw = self.raw(name)
        if raw is None:
            return None
        message = message_from_bytes(raw, policy=default)
        assert isinstance(message, EmailMessage)
        return message

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.eml"


class Reception:
    """What the mail server asks when a letter arrives."""

    def __init__(self, letters: Letters) -> None:
        self._letters = letters

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd calls it so
        """Take the letter; the answer goes out only once it is on disk."""
        content: Any = envelope.content
        raw = content if isinstance(content, bytes) else str(content).encode()
        # Not in a thread: letters are few here, and an answer in order is worth more than speed.
        name = self._letters.keep(envelope.mail_from or "", list(envelope.rcpt_tos), raw)
        return f"250 Kept as {name}"


def mail_server(letters: Letters) -> SMTP:
    """One conversation with a client that brings letters."""
    return SMTP(Reception(letters), enable_SMTPUTF8=True, data_size_limit=LETTER_LIMIT_BYTES, ident="Mandate")
