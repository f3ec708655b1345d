"""What evidence can be asked for: the records that make up the history of a thing, as of a position."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from projections.history import names, owner_of
from projections.reading import Picture, Record


@dataclass(frozen=True, slots=True)
class Subject:
    """Something whose whole history can be asked for at once."""

    title: str
    records: tuple[UUID, ...]
    owner_ids: frozenset[UUID]
    """To whom all of it belongs; empty where it belongs to the Secretariat."""
    invitation_id: UUID | None = None


async def record(picture: Picture, id: UUID) -> Subject:
    """Return the history of one record alone. Whether there is such a record, its events say."""
    known, owner = await names(picture, [id]), await owner_of(picture, id)
    title = f"History of {known[id]['name']}" if known else f"History of the record {id}"
    if owner is None:
        return Subject(title, (id,), frozenset())
    return Subject(title, (id,), frozenset({owner["party_id"]}), owner["invitation_id"])


async def party(picture: Picture, id: UUID) -> Subject | None:
    """Return the history of a party: its own, and that of all it was asked and of the letters about it."""
    found = await picture.one("SELECT name FROM parties WHERE id = %(id)s", id=id)
    if found is None:
        return None
    rows = await picture.all(
        "SELECT id FROM invitations WHERE party_id = %(id)s "
        "UNION ALL SELECT id FROM letters WHERE party_id = %(id)s",
        id=id,
    )
    return Subject(f"History of {found['name']}", _records([id], rows), frozenset({id}))


async def whole_round(picture: Picture, id: UUID) -> Subject | None:
    """Return the history of a round: its own, its questionnaire, what each party was asked, the letters."""
    found = await picture.one("SELECT title, questionnaire_id FROM rounds WHERE id = %(id)s", id=id)
    if found is None:
        return None
    rows = await picture.all(
        "SELECT id FROM invitations WHERE round_id = %(id)s UNION ALL SELECT l.id FROM letters l "
        "JOIN invitations i ON i.id = l.about WHERE i.round_id = %(id)s",
        id=id,
    )
    records = _records([id, found["questionnaire_id"]], rows)
    return Subject(f"History of the round {found['title']}", records, frozenset())


async def needs(picture: Picture, round_id: UUID) -> Subject | None:
    """Return the history behind the table of needs of a round: the questions, and each answer counted."""
    found = await picture.one("SELECT title, questionnaire_id FROM rounds WHERE id = %(id)s", id=round_id)
    if found is None:
        return None
    rows = await picture.all(
        "SELECT id FROM invitations WHERE round_id = %(id)s AND state = 'received'", id=round_id
    )
    records = _records([round_id, found["questionnaire_id"]], rows)
    return Subject(f"What parties said they need: {found['title']}", records, frozenset())


def _records(first: Iterable[UUID], rows: Iterable[Record]) -> tuple[UUID, ...]:
    """Put them in an order that depends on nothing but themselves: the same question has the same bytes."""
    return (*first, *sorted(row["id"] for row in rows))


SUBJECTS: Mapping[str, Callable[[Picture, UUID], Awaitable[Subject | None]]] = {
    "record": record,
    "party": party,
    "round": whole_round,
    "needs": needs,
}
"""What can be asked for, by the word that stands in the address."""
