"""Histories: what the ids in the events of a record mean, and when a position was reached."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from projections.reading import Picture, Record

# Questions.


async def names(picture: Picture, ids: Collection[UUID]) -> dict[UUID, Record]:
    """Return, for each of these ids that is a record, what kind it is and what people call it."""
    rows = await picture.all(
        """
        SELECT id, 'party' AS kind, name, iso3 AS code FROM parties WHERE id = ANY(%(ids)s)
        UNION ALL SELECT id, 'round', title, NULL FROM rounds WHERE id = ANY(%(ids)s)
        UNION ALL SELECT id, 'questionnaire', title ->> 'en', form_id FROM questionnaires
            WHERE id = ANY(%(ids)s)
        UNION ALL SELECT i.id, 'invitation', p.name || ', ' || r.title, NULL FROM invitations i
            JOIN rounds r ON r.id = i.round_id JOIN parties p ON p.id = i.party_id WHERE i.id = ANY(%(ids)s)
        UNION ALL SELECT l.id, 'letter', l.kind || ' to ' || p.name, NULL FROM letters l
            JOIN parties p ON p.id = l.party_id WHERE l.id = ANY(%(ids)s)
        UNION ALL SELECT id, 'chemical', name, annex_id FROM chemicals WHERE id = ANY(%(ids)s)
        UNION ALL SELECT id, 'delivery partner', name, centre_id FROM delivery_partners
            WHERE id = ANY(%(ids)s)
        """,
        ids=list(ids),
    )
    return {row["id"]: row for row in rows}


async def reached_at(picture: Picture) -> datetime | None:
    """Return the time of the newest event that the picture shows; None while the log is empty."""
    row = await picture.one(
        """
        SELECT (convert_from(state, 'UTF8')::jsonb ->> 'timestamp')::timestamptz AS moment
        FROM log.stored_events WHERE notification_id <= %(position)s
        ORDER BY notification_id DESC LIMIT 1
        """,
        position=picture.position,
    )
    return row["moment"] if row else None
