"""Secrets that are given out once and kept as a digest: of sessions, tokens and personal links.

A secret of 256 random bits cannot be guessed, so a plain SHA-256 of it is enough; whoever reads the
database finds nothing that opens a door. Passwords are another matter: see services.passwords.
"""

import hashlib
import secrets

SECRET_BYTES = 32


def new_secret(prefix: str = "") -> str:
    """Return a new secret, in letters that stand in a path, a header or a cookie as they are."""
    return prefix + secrets.token_urlsafe(SECRET_BYTES)


def hashed(secret: str) -> bytes:
    """Return the digest under which a secret is kept."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
