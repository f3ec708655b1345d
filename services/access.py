"""Signed tokens: by what a session, or a link in a letter, is known to be ours.

A token is what it says and a signature over it. Nothing is stored: a token ends by its age, or when the
secret of the installation is changed, which ends all of them.
"""

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import SecretStr

SESSION_AGE = timedelta(hours=12)
"""How long a session lasts."""


class Tokens:
    """Makes and reads the tokens of one installation."""

    def __init__(self, secret: SecretStr) -> None:
        self._secret = secret.get_secret_value().encode()

    def session(self, person_id: UUID, now: datetime) -> str:
        """Return a token with which a person may act from now on."""
        return self._seal(b"session", person_id.bytes + int(now.timestamp()).to_bytes(8, "big"))

    def person_of_session(self, token: str, now: datetime) -> UUID | None:
        """Return whose session it is; None when the token is not ours or too old."""
        content = self._open(b"session", token, 24)
        if content is None:
            return None
        begun = datetime.fromtimestamp(int.from_bytes(content[16:], "big"), UTC)
        return UUID(bytes=content[:16]) if now - begun < SESSION_AGE else None

    def link(self, invitation_id: UUID, contact_id: UUID) -> str:
        """Return a token with which a party's contact may answer one questionnaire."""
        return self._seal(b"answer" + invitation_id.bytes, contact_id.bytes)

    def contact_of_link(self, token: str, invitation_id: UUID) -> UUID | None:
        """Return whom the link was written to; None when the token is not ours, or for something else."""
        content = self._open(b"answer" + invitation_id.bytes, token, 16)
        return UUID(bytes=content) if content else None

    def _seal(self, purpose: bytes, content: bytes) -> str:
        sealed = content + self._signature(purpose, content)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def _open(self, purpose: bytes, token: str, length: int) -> bytes | None:
        try:
            sealed = base64.urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4))
        except (binascii.Error, ValueError):
            return None
        content, signature = sealed[:length], sealed[length:]
        genuine = hmac.compare_digest(signature, self._signature(purpose, content))
        return content if genuine and len(content) == length else None

    def _signature(self, purpose: bytes, content: bytes) -> bytes:
        """Sign content for one purpose: the lengths keep one token from being read as another."""
        message = len(purpose).to_bytes(2, "big") + purpose + content
        return hmac.digest(self._secret, message, hashlib.sha256)
