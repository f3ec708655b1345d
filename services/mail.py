"""Sends letters by SMTP."""

from email.message import EmailMessage
from typing import Protocol

import aiosmtplib

from services.settings import Settings


class Undeliverable(Exception):
    """The mail server refuses this letter for good; trying again would not help."""


class Mailer(Protocol):
    """Something that takes letters away."""

    async def send(self, message: EmailMessage) -> None:
        """Hand over a letter. Raises Undeliverable when it is refused for good, and any other error
        (a server out of reach, a temporary refusal) when it should be tried again."""


class SmtpMailer:
    """A mailer that speaks SMTP to the server of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def send(self, message: EmailMessage) -> None:
        settings = self._settings
        try:
            await aiosmtplib.send(
                message,
                hostname=settings.smtp_host,
                port=settings.smtp_port,
                username=settings.smtp_username or None,
                password=settings.smtp_password.get_secret_value() or None,
                start_tls=settings.smtp_tls,
                timeout=20,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            refusal = error.recipients[0]
            if refusal.code >= 500:
                raise Undeliverable(f"{refusal.code} {refusal.message}") from error
            raise
        except aiosmtplib.SMTPResponseException as error:
            if error.code >= 500 and not isinstance(error, aiosmtplib.SMTPAuthenticationError):
                raise Undeliverable(f"{error.code} {error.message}") from error
            raise
