"""The directory: the one place that holds names and addresses of people.

It is an ordinary table. A row can be changed or erased, and no history changes with it, because events
hold the ids of people and nothing else.
"""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from domain.aggregates import on_one_line


class Entry(BaseModel):
    """What somebody tells the directory of a person who is new to it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
        AfterValidator(on_one_line),
    ]
    email: Annotated[
        str,
        StringConstraints(strip_whitespace=True, max_length=300, pattern=r"^[^@\s<>]+@[^@\s<>]+$"),
        AfterValidator(on_one_line),
    ]
    """A mail address, such as ana@example.org."""
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = "en"
    """The language in which the person is written to."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who acts on the service or is written to by it."""

    id: UUID
    name: str
    email: str
    language: str = "en"
    role: str | None = None
    """What the person does for the Secretariat; None for the contact of a party."""


class Directory:
    """Names and addresses, by id."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def keep(self, *people: Person) -> None:
        """Add people, or change what is known of them."""
        async with self._pool.connection() as connection, connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO directory.people VALUES (%s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE SET "
                "name = excluded.name, email = excluded.email, language = excluded.language, "
                "role = excluded.role",
                [(person.id, person.name, person.email, person.language, person.role) for person in people],
            )

    async def enter(self, id: UUID, entry: Entry) -> None:
        """Add somebody new. Whoever stands under the id already stays as they are."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO directory.people VALUES (%s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
                (id, entry.name, entry.email, entry.language),
            )

    async def find(self, id: UUID) -> Person | None:
        """Return a person, None when there is none or the row was erased."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Person)) as cursor,
        ):
            await cursor.execute(
                "SELECT id, name, email, language, role FROM directory.people WHERE id = %s", (id,)
            )
            return await cursor.fetchone()

    async def everybody(self) -> list[Person]:
        """Return all people, by id."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Person)) as cursor,
        ):
            await cursor.execute("SELECT id, name, email, language, role FROM directory.people ORDER BY id")
            return await cursor.fetchall()

    async def staff(self) -> list[Person]:
        """Return those who work for the Secretariat, by name."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Person)) as cursor,
        ):
            await cursor.execute(
                "SELECT id, name, email, language, role FROM directory.people "
                "WHERE role IS NOT NULL ORDER BY name"
            )
            return await cursor.fetchall()

    async def names(self, ids: list[UUID]) -> dict[UUID, str]:
        """Return the names of those among ``ids`` who are still in the directory."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT id, name FROM directory.people WHERE id = ANY(%s)", (ids,)
            )
            return dict(await cursor.fetchall())

    async def people(self, ids: list[UUID]) -> dict[UUID, Person]:
        """Return those among ``ids`` who are still in the directory."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=class_row(Person)) as cursor,
        ):
            await cursor.execute(
                "SELECT id, name, email, language, role FROM directory.people WHERE id = ANY(%s)", (ids,)
            )
            return {person.id: person for person in await cursor.fetchall()}

    async def want_checkpoints(self, id: UUID, *, wanted: bool) -> None:
        """Note whether a person wants each day's checkpoint by letter. It goes with the person's row."""
        async with self._pool.connection() as connection:
            if wanted:
                await connection.execute(
                    "INSERT INTO directory.checkpoint_letters VALUES (%s) ON CONFLICT DO NOTHING", (id,)
                )
            else:
                await connection.execute(
                    "DELETE FROM directory.checkpoint_letters WHERE person_id = %s", (id,)
                )

    async def who_want_checkpoints(self) -> list[UUID]:
        """Return the ids of those who want each day's checkpoint by letter."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT person_id FROM directory.checkpoint_letters ORDER BY person_id"
            )
            return [row[0] for row in await cursor.fetchall()]

    async def erase(self, id: UUID) -> None:
        """Remove a person from the directory. Histories keep the id and stay as they are."""
        async with self._pool.connection() as connection:
            await connection.execute("DELETE FROM directory.people WHERE id = %s", (id,))
