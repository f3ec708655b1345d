"""Rounds and invitations: who owes an answer, until when, and what has come in."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.rounds import Due, Invitation, InvitationState, Round
from projections.reading import Picture, Record
from projections.tables import Change, Projection, Table

ROUNDS = Table(
    "rounds",
    {
        "id": "uuid",
        "title": "text",
        "questionnaire_id": "uuid",
        "form_version": "text",
        "categories": "text[]",
        "due_on": "date",
        "due_at": "timestamptz",
        "reminders_seconds": "bigint[]",
        "escalations_seconds": "bigint[]",
        "notice": "text",
        "opened_at": "timestamptz",
        "version": "bigint",
    },
    key=("id",),
)

INVITATIONS = Table(
    "invitations",
    {
        "id": "uuid",
        "round_id": "uuid",
        "party_id": "uuid",
        "iso3": "text",
        "region": "text",
        "category": "text",
        "state": "text",
        "due_on": "date",
        "due_at": "timestamptz",
        "issued_at": "timestamptz",
        "received_at": "timestamptz",
        "late": "boolean",
        "lapsed_at": "timestamptz",
        "escalated_at": "timestamptz",
        "withdrawn_at": "timestamptz",
        "withdrawn_because": "text",
        "version": "bigint",
    },
    key=("id",),
    indexes=(("round_id",), ("party_id",)),
)

projection = Projection(ROUNDS, INVITATIONS)


def _due(due: Due) -> dict[str, Any]:
    return {"due_on": due.on, "due_at": due.at}


@projection.on(Round.Opened)
def _opened(event: Round.Opened) -> Iterable[Change]:
    yield ROUNDS.begin(
        id=event.originator_id,
        title=event.title,
        questionnaire_id=event.questionnaire_id,
        form_version=event.form_version,
        categories=list(event.audience.categories),
        reminders_seconds=[int(distance.total_seconds()) for distance in event.schedule.reminders],
        escalations_seconds=[int(distance.total_seconds()) for distance in event.schedule.escalations],
        notice=event.notice,
        opened_at=event.timestamp,
        version=event.originator_version,
        **_due(event.due),
    )


@projection.on(Round.Issued)
def _round_issued(event: Round.Issued) -> Iterable[Change]:
    yield ROUNDS.change(event.originator_id, version=event.originator_version)


@projection.on(Round.Extended)
def _round_extended(event: Round.Extended) -> Iterable[Change]:
    yield ROUNDS.change(event.originator_id, version=event.originator_version, **_due(event.due))


@projection.on(Invitation.QuestionnaireIssued)
def _issued(event: Invitation.QuestionnaireIssued) -> Iterable[Change]:
    yield INVITATIONS.begin(
        id=event.originator_id,
        round_id=event.round_id,
        party_id=event.party_id,
        iso3=event.iso3,
        region=event.region,
        category=event.category,
        state=InvitationState.ISSUED,
        due_on=event.due.on,
        due_at=event.due_at,
        issued_at=event.timestamp,
        late=False,
        version=event.originator_version,
    )


@projection.on(Invitation.Extended)
def _extended(event: Invitation.Extended) -> Iterable[Change]:
    yield _change(
        event, state=InvitationState.ISSUED, due_on=event.due.on, due_at=event.due_at, lapsed_at=None
    )


@projection.on(Invitation.SectionForwarded)
def _forwarded(event: Invitation.SectionForwarded) -> Iterable[Change]:
    yield _change(event)


@projection.on(Invitation.ResponseReceived)
def _received(event: Invitation.ResponseReceived) -> Iterable[Change]:
    yield _change(event, state=InvitationState.RECEIVED, received_at=event.timestamp, late=event.late)


@projection.on(Invitation.Lapsed)
def _lapsed(event: Invitation.Lapsed) -> Iterable[Change]:
    yield _change(event, state=InvitationState.LAPSED, lapsed_at=event.timestamp)


@projection.on(Invitation.Escalated)
def _escalated(event: Invitation.Escalated) -> Iterable[Change]:
    yield _change(event, escalated_at=event.timestamp)


@projection.on(Invitation.Withdrawn)
def _withdrawn(event: Invitation.Withdrawn) -> Iterable[Change]:
    yield _change(
        event,
        state=InvitationState.WITHDRAWN,
        withdrawn_at=event.timestamp,
        withdrawn_because=event.reason,
    )


def _change(event: Invitation.Event, **values: Any) -> Change:
    return INVITATIONS.change(event.originator_id, version=event.originator_version, **values)


# Questions.


async def rounds(picture: Picture, after: UUID | None = None, limit: int = 100) -> list[Record]:
    """Return rounds with the number of parties they were issued to and of responses, by id."""
    return await picture.all(
        """
        SELECT r.*, i.issued, i.received FROM rounds r
        CROSS JOIN LATERAL (
            SELECT count(*) AS issued, count(received_at) AS received FROM invitations WHERE round_id = r.id
        ) AS i
        WHERE %(after)s::uuid IS NULL OR r.id > %(after)s
        ORDER BY r.id LIMIT %(limit)s
        """,
        after=after,
        limit=limit,
    )


async def round_named(picture: Picture, id: UUID) -> Record | None:
    """Return one round, None when there is none."""
    return await picture.one(
        """
        SELECT r.*, i.issued, i.received FROM rounds r
        CROSS JOIN LATERAL (
            SELECT count(*) AS issued, count(received_at) AS received FROM invitations WHERE round_id = r.id
        ) AS i
        WHERE r.id = %(id)s
        """,
        id=id,
    )


async def overview(picture: Picture) -> list[Record]:
    """Return all rounds with how they stand and when the next letter or due date comes, newest first."""
    return await picture.all(
        """
        SELECT r.*, i.issued, i.received, i.withdrawn, i.awaited, i.overdue, i.next_due_at, l.next_letter_at
        FROM rounds r
        CROSS JOIN LATERAL (
            SELECT count(*) AS issued, count(received_at) AS received,
                   count(*) FILTER (WHERE state = 'withdrawn') AS withdrawn,
                   count(*) FILTER (WHERE state = 'issued') AS awaited,
                   count(*) FILTER (WHERE state = 'lapsed') AS overdue,
                   min(due_at) FILTER (WHERE state = 'issued') AS next_due_at
            FROM invitations WHERE round_id = r.id
        ) AS i
        CROSS JOIN LATERAL (
            SELECT min(planned_at) AS next_letter_at FROM letters
            WHERE state = 'planned' AND about IN (SELECT id FROM invitations WHERE round_id = r.id)
        ) AS l
        ORDER BY r.opened_at DESC, r.id
        """
    )


async def board(picture: Picture, round_id: UUID) -> list[Record]:
    """Return every invitation of a round with the letters and the draft so far, by region and party."""
    return await picture.all(
        """
        SELECT i.*, p.name, p.ldc, p.sids, p.time_zone,
               coalesce(l.reminders_sent, 0) AS reminders_sent,
               coalesce(l.escalations_sent, 0) AS escalations_sent,
               coalesce(l.bounced, 0) AS bounced,
               l.next_letter_at,
               d.begun_at, d.saved_at, d.answered, d.asked,
               (100 * d.answered / nullif(d.asked, 0))::int AS percent
        FROM invitations i
        JOIN parties p ON p.id = i.party_id
        LEFT JOIN drafts d ON d.invitation_id = i.id
        LEFT JOIN (
            SELECT about,
                   count(*) FILTER (WHERE kind = 'reminder' AND state = 'sent') AS reminders_sent,
                   count(*) FILTER (WHERE kind = 'escalation' AND state = 'sent') AS escalations_sent,
                   count(*) FILTER (WHERE state = 'bounced') AS bounced,
                   min(planned_at) FILTER (WHERE state = 'planned') AS next_letter_at
            FROM letters GROUP BY about
        ) AS l ON l.about = i.id
        WHERE i.round_id = %(round_id)s
        ORDER BY i.region, p.name
        """,
        round_id=round_id,
    )


async def response_rates(picture: Picture, round_id: UUID) -> list[Record]:
    """Return, for each region and for all together (region null), how many were asked and answered."""
    return await picture.all(
        """
        SELECT region, count(*) AS issued, count(received_at) AS received,
               count(*) FILTER (WHERE late) AS late,
               count(*) FILTER (WHERE state = 'lapsed') AS lapsed,
               count(*) FILTER (WHERE state = 'withdrawn') AS withdrawn
        FROM invitations WHERE round_id = %(round_id)s
        GROUP BY GROUPING SETS ((region), ()) ORDER BY region NULLS LAST
        """,
        round_id=round_id,
    )


async def invitations(
    picture: Picture,
    round_id: UUID | None = None,
    party_id: UUID | None = None,
    after: UUID | None = None,
    limit: int = 500,
    *,
    of: Sequence[UUID] | None = None,
    only: UUID | None = None,
) -> list[Record]:
    """Return invitations of a round or to a party, by id; of those to the parties ``of``, and ``only`` one,
    where somebody may see no others."""
    return await picture.all(
        """
        SELECT i.*, r.title AS round_title, p.name, p.time_zone
        FROM invitations i JOIN rounds r ON r.id = i.round_id JOIN parties p ON p.id = i.party_id
        WHERE (%(round_id)s::uuid IS NULL OR i.round_id = %(round_id)s)
          AND (%(party_id)s::uuid IS NULL OR i.party_id = %(party_id)s)
          AND (%(after)s::uuid IS NULL OR i.id > %(after)s)
          AND (%(of)s::uuid[] IS NULL OR i.party_id = ANY(%(of)s))
          AND (%(only)s::uuid IS NULL OR i.id = %(only)s)
        ORDER BY i.id LIMIT %(limit)s
        """,
        of=None if of is None else list(of),
        only=only,
        round_id=round_id,
        party_id=party_id,
        after=after,
        limit=limit,
    )


async def invitation(picture: Picture, id: UUID) -> Record | None:
    """Return one invitation with its round and party, None when there is none."""
    return await picture.one(
        """
        SELECT i.*, r.title AS round_title, r.questionnaire_id, r.form_version, r.notice,
               p.name, p.language, p.time_zone
        FROM invitations i JOIN rounds r ON r.id = i.round_id JOIN parties p ON p.id = i.party_id
        WHERE i.id = %(id)s
        """,
        id=id,
    )


async def open_deadlines(picture: Picture) -> list[UUID]:
    """Return the invitations for which a clock must be running."""
    rows = await picture.all("SELECT id FROM invitations WHERE state IN ('issued', 'lapsed') ORDER BY id")
    return [row["id"] for row in rows]


_WAITING = """
    SELECT i.*, r.title AS round_title, p.name, p.time_zone,
           i.state = 'issued' AS awaited,
           i.state = 'issued' AND i.due_at <= %(now)s + interval '7 days' AS soon,
           i.state = 'lapsed' AS overdue,
           i.state = 'lapsed' AND i.escalated_at IS NOT NULL AS escalated,
           coalesce(l.bounced, 0) > 0 AS bounced,
           p.official_contact_point IS NULL AS nobody
    FROM invitations i JOIN rounds r ON r.id = i.round_id JOIN parties p ON p.id = i.party_id
    LEFT JOIN (
        SELECT about, count(*) AS bounced FROM letters WHERE state = 'bounced' GROUP BY about
    ) AS l ON l.about = i.id
    WHERE i.state IN ('issued', 'lapsed')
"""
"""Every questionnaire to which an answer is owed, and why somebody should look at it."""

WAITING_WHY = ("awaited", "soon", "overdue", "escalated", "bounced", "nobody")
"""Not due yet; due within a week; overdue; escalated; a letter about it bounced; nobody to write to."""


async def waiting_numbers(picture: Picture, now: datetime) -> dict[str, int]:
    """Return how many questionnaires wait for each reason: as many as ``waiting`` returns."""
    counts = ", ".join(f"count(*) FILTER (WHERE {why}) AS {why}" for why in WAITING_WHY)
    row = await picture.one(f"SELECT {counts} FROM ({_WAITING}) AS w", now=now)  # noqa: S608 - constants
    assert row is not None, "a count has one row"
    return row


async def waiting(picture: Picture, now: datetime, why: str) -> list[Record]:
    """Return the questionnaires that wait for a reason, what is due first first."""
    assert why in WAITING_WHY, f"{why} is no reason to wait"
    return await picture.all(
        f"SELECT * FROM ({_WAITING}) AS w WHERE {why} ORDER BY due_at, name, id",  # noqa: S608 - constants
        now=now,
    )
