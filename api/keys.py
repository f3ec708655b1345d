"""Keys of commands: what callers may choose, and what is kept for the service's own."""

import hashlib
from contextlib import suppress
from uuid import UUID


def read_key(given: str) -> UUID:
    """Return the key that was given as a UUID; any other text stands for a UUID computed from it.

    The steps of workflows have keys that their subjects make, which are UUIDs of version 5. Such a key is
    taken as text, so that nobody can use up the key of a step that is still to come.
    """
    text = given.strip().strip('"')
    with suppress(ValueError):
        key = UUID(text)
        if key.version != 5:
            return key
    return UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4)
