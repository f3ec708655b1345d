"""Letters: planned, sent, bounced, suppressed or cancelled, each with its reason."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from domain.letters import Letter, LetterState
from projections.reading import Picture, Record
from projections.tables import Change, Projection, Table

LETTERS = Table(
    "letters",
    {
        "id": "uuid",
        "about": "uuid",
        "party_id": "uuid",
        "kind": "text",
        "recipient": "text",
        "link_id": "uuid",
        "offset_seconds": "bigint",
        "planned_at": "timestamptz",
        "due_at": "timestamptz",
        "state": "text",
        "ended_at": "timestamptz",
        "contact_id": "uuid",
        "message_id": "text",
        "reason": "text",
        "version": "bigint",
    },
    key=("id",),
    indexes=(("about",), ("link_id",)),
)
"""The recipient is a role; a letter to a colleague has none, and brings the link of ``link_id`` instead."""

projection = Projection(LETTERS)


@projection.on(Letter.Planned)
def _planned(event: Letter.Planned) -> Iterable[Change]:
    yield LETTERS.begin(
        id=event.originator_id,
        about=event.about,
        party_id=event.party_id,
        kind=event.kind,
        recipient=event.to,
        offset_seconds=int(event.offset.total_seconds()),
        planned_at=event.at,
        due_at=event.due_at,
        state=LetterState.PLANNED,
        version=event.originator_version,
    )


@projection.on(Letter.PlannedForColleague)
def _planned_for_colleague(event: Letter.PlannedForColleague) -> Iterable[Change]:
    yield LETTERS.begin(
        id=event.originator_id,
        about=event.about,
        party_id=event.party_id,
        kind=event.kind,
        link_id=event.link_id,
        offset_seconds=0,
        planned_at=event.at,
        due_at=event.due_at,
        state=LetterState.PLANNED,
        version=event.originator_version,
    )


@projection.on(Letter.Sent)
def _sent(event: Letter.Sent) -> Iterable[Change]:
    yield _ended(
        event, LetterState.SENT, contact_id=event.contact_id, message_id=event.message_id, reason=None
    )


@projection.on(Letter.Bounced)
def _bounced(event: Letter.Bounced) -> Iterable[Change]:
    yield _ended(
        event,
        LetterState.BOUNCED,
        contact_id=event.contact_id,
        message_id=event.message_id,
        reason=event.reason,
    )


@projection.on(Letter.Suppressed)
def _suppressed(event: Letter.Suppressed) -> Iterable[Change]:
    yield _ended(event, LetterState.SUPPRESSED, reason=event.reason)


@projection.on(Letter.Cancelled)
def _cancelled(event: Letter.Cancelled) -> Iterable[Change]:
    yield _ended(event, LetterState.CANCELLED, reason=event.reason)


def _ended(event: Letter.Event, state: LetterState, **values: Any) -> Change:
    return LETTERS.change(
        event.originator_id,
        state=state,
        ended_at=event.timestamp,
        version=event.originator_version,
        **values,
    )


# Questions.


async def letters(
    picture: Picture,
    about: UUID | None = None,
    round_id: UUID | None = None,
    party_id: UUID | None = None,
    after: UUID | None = None,
    limit: int = 500,
) -> list[Record]:
    """Return letters about an invitation, of a round or to a party, by id."""
    return await picture.all(
        """
        SELECT l.*, p.name, p.iso3 FROM letters l JOIN parties p ON p.id = l.party_id
        WHERE (%(about)s::uuid IS NULL OR l.about = %(about)s)
          AND (%(party_id)s::uuid IS NULL OR l.party_id = %(party_id)s)
          AND (%(round_id)s::uuid IS NULL
               OR l.about IN (SELECT i.id FROM invitations i WHERE i.round_id = %(round_id)s))
          AND (%(after)s::uuid IS NULL OR l.id > %(after)s)
        ORDER BY l.id LIMIT %(limit)s
        """,
        about=about,
        round_id=round_id,
        party_id=party_id,
        after=after,
        limit=limit,
    )


async def newest_first(
    picture: Picture,
    state: str | None = None,
    round_id: UUID | None = None,
    before: int = 0,
    limit: int = 100,
) -> list[Record]:
    """Return letters with round and party: the latest to end first, then those to come, soonest first.

    ``before`` says how many to pass over.
    """
    return await picture.all(
        """
        SELECT l.*, p.name, p.iso3, i.round_id, r.title AS round_title
        FROM letters l JOIN parties p ON p.id = l.party_id
        LEFT JOIN invitations i ON i.id = l.about LEFT JOIN rounds r ON r.id = i.round_id
        WHERE (%(state)s::text IS NULL OR l.state = %(state)s)
          AND (%(round_id)s::uuid IS NULL OR i.round_id = %(round_id)s)
        ORDER BY l.ended_at DESC NULLS LAST, l.planned_at, l.id OFFSET %(before)s LIMIT %(limit)s
        """,
        state=state,
        round_id=round_id,
        before=before,
        limit=limit,
    )


async def numbers(picture: Picture) -> dict[str, int]:
    """Return how many letters stand in each state."""
    rows = await picture.all("SELECT state, count(*) AS letters FROM letters GROUP BY state")
    return {row["state"]: row["letters"] for row in rows}


async def account(picture: Picture, round_id: UUID) -> Record:
    """Return how many letters of a round were planned in all, and what became of them: it adds up."""
    row = await picture.one(
        """
        SELECT count(*) AS planned,
               count(*) FILTER (WHERE l.state = 'sent') AS sent,
               count(*) FILTER (WHERE l.state = 'bounced') AS bounced,
               count(*) FILTER (WHERE l.state = 'suppressed') AS suppressed,
               count(*) FILTER (WHERE l.state = 'cancelled') AS cancelled,
               count(*) FILTER (WHERE l.state = 'planned') AS still_to_come
        FROM letters l JOIN invitations i ON i.id = l.about WHERE i.round_id = %(round_id)s
        """,
        round_id=round_id,
    )
    assert row is not None, "a count has one row"
    return row
