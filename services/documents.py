"""Documents, kept by the hash of their content: added, never changed."""

import hashlib
from dataclasses import dataclass

from psycopg_pool import AsyncConnectionPool


@dataclass(frozen=True, slots=True)
class Document:
    """A document and what kind of file it is."""

    media_type: str
    content: bytes


class Documents:
    """The store of documents."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def keep(self, media_type: str, content: bytes) -> str:
        """Keep a document and return its SHA-256, in hexadecimal. Keeping it again changes nothing."""
        summary = hashlib.sha256(content)
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO documents.files VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (summary.digest(), media_type, content),
            )
        return summary.hexdigest()

    async def get(self, sha256: str) -> Document | None:
        """Return the document with this SHA-256 (hexadecimal), None when there is none."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT media_type, content FROM documents.files WHERE sha256 = %s", (bytes.fromhex(sha256),)
            )
            row = await cursor.fetchone()
        return Document(row[0], bytes(row[1])) if row else None
