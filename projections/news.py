"""News: what happened after a position, told from the log with the names that the tables have for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from projections.reading import Picture, Record

MOST_EVENTS = 5_000
"""How far back is looked at the most, in events that the reader may see. After a long absence the rest is
in the histories alone."""


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to be told, and may be."""

    since: int
    """The position after which it is new."""
    of_all: Sequence[str]
    """The topics of those events that may be seen of all records."""
    of_own: Sequence[str] = ()
    """The topics of those that may be seen of one's own records alone."""
    owner_ids: Sequence[UUID] = ()
    """The parties whose records are one's own."""
    but_by: str = ""
    """Whose deeds are no news: those of the reader."""
    round_id: UUID | None = None


_TOLD = """
    SELECT e.position, e.id, e.topic, e.by, e.at, r.id AS round_id, r.title AS round_title,
           i.id AS invitation_id, p.iso3, coalesce(f.person_id, a.person_id) AS person_id,
           coalesce(p.name, c.name, d.name, q.title ->> 'en') AS name
    FROM (
        SELECT notification_id AS position, originator_id AS id, topic,
               convert_from(state, 'UTF8')::jsonb ->> 'by' AS by,
               (convert_from(state, 'UTF8')::jsonb ->> 'timestamp')::timestamptz AS at
        FROM log.stored_events
        WHERE notification_id > %(since)s AND notification_id <= %(position)s
          AND (topic = ANY(%(of_all)s) OR (topic = ANY(%(of_own)s) AND originator_id IN (
                SELECT id FROM invitations WHERE party_id = ANY(%(owner_ids)s)
                UNION ALL SELECT id FROM drafts WHERE party_id = ANY(%(owner_ids)s)
                UNION ALL SELECT id FROM personal_links WHERE party_id = ANY(%(owner_ids)s)
                UNION ALL SELECT unnest(%(owner_ids)s::uuid[]))))
        ORDER BY notification_id DESC LIMIT %(most)s
    ) AS e
    LEFT JOIN letters l ON l.id = e.id
    LEFT JOIN drafts v ON v.id = e.id
    LEFT JOIN personal_links k ON k.id = e.id
    LEFT JOIN invitations i ON i.id = coalesce(l.about, v.invitation_id, k.invitation_id, e.id)
    LEFT JOIN rounds r ON r.id = coalesce(i.round_id, e.id)
    LEFT JOIN parties p ON p.id = coalesce(i.party_id, l.party_id, e.id)
    LEFT JOIN chemicals c ON c.id = e.id
    LEFT JOIN delivery_partners d ON d.id = e.id
    LEFT JOIN questionnaires q ON q.id = e.id
    LEFT JOIN accounts a ON a.person_id = e.id
    LEFT JOIN refusals f ON f.id = e.id
    WHERE e.by <> %(but_by)s AND (%(round_id)s::uuid IS NULL OR r.id = %(round_id)s)
"""
"""One line for each event, the same for the groups and for the list behind each of them."""


async def groups(picture: Picture, question: Question) -> list[Record]:
    """Return how often each kind of event happened, for each round apart, what happened last first."""
    return await picture.all(
        f"""
        SELECT topic, round_id, round_title, count(*) AS number, max(position) AS position, max(at) AS at,
               (array_agg(to_jsonb(told) ORDER BY position DESC))[1:10] AS newest
        FROM ({_TOLD}) AS told GROUP BY topic, round_id, round_title ORDER BY max(position) DESC
        """,  # noqa: S608 - a constant
        **_parameters(picture, question),
    )


async def events(
    picture: Picture, question: Question, before: int | None = None, limit: int = 100
) -> list[Record]:
    """Return single events, the newest first, from those ``before`` a position."""
    return await picture.all(
        f"{_TOLD} AND (%(before)s::bigint IS NULL OR e.position < %(before)s) "
        "ORDER BY e.position DESC LIMIT %(limit)s",
        before=before,
        limit=limit,
        **_parameters(picture, question),
    )


def _parameters(picture: Picture, question: Question) -> dict[str, object]:
    return {
        "since": question.since,
        "position": picture.position,
        "of_all": list(question.of_all),
        "of_own": list(question.of_own),
        "owner_ids": list(question.owner_ids),
        "but_by": question.but_by,
        "round_id": question.round_id,
        "most": MOST_EVENTS,
    }
