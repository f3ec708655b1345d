"""Gaps: what parties say they need, by region, each figure open to the answers behind it.

Paragraph 5 of decision RC-7/7: the Secretariat analyses the information and identifies the gaps.
"""

from collections.abc import Iterable
from uuid import UUID

from domain.rounds import Invitation
from projections.reading import Picture, Record
from projections.tables import Change, Projection, Table

ANSWERS = Table(
    "answers",
    {"invitation_id": "uuid", "question": "text", "value": "jsonb"},
    key=("invitation_id", "question"),
)
"""Each answer of each response, as it was given."""

CHOICES = Table(
    "choices",
    {"invitation_id": "uuid", "question": "text", "option": "text"},
    key=("invitation_id", "question", "option"),
    indexes=(("question", "option"),),
)
"""Each option that a response chose from a list."""

projection = Projection(ANSWERS, CHOICES)


@projection.on(Invitation.ResponseReceived)
def _received(event: Invitation.ResponseReceived) -> Iterable[Change]:
    for question, value in event.answers.items():
        yield ANSWERS.begin(invitation_id=event.originator_id, question=question, value=value)
        if isinstance(value, list | tuple):
            for option in value:
                yield CHOICES.begin(invitation_id=event.originator_id, question=question, option=option)


# Questions.


async def needs_by_region(picture: Picture, round_id: UUID, question: str) -> list[Record]:
    """Return how many parties chose each option of a question, by region: one row for each pair."""
    return await picture.all(
        """
        SELECT c.option, i.region, count(*) AS parties
        FROM choices c JOIN invitations i ON i.id = c.invitation_id
        WHERE i.round_id = %(round_id)s AND c.question = %(question)s
        GROUP BY c.option, i.region ORDER BY c.option, i.region
        """,
        round_id=round_id,
        question=question,
    )


async def behind(
    picture: Picture, round_id: UUID, question: str, option: str, region: str | None = None
) -> list[Record]:
    """Return the responses that a figure counts, each with the position of the event that made it."""
    return await picture.all(
        """
        SELECT i.id AS invitation_id, i.iso3, p.name, i.region, i.received_at, i.late, c.position
        FROM choices c JOIN invitations i ON i.id = c.invitation_id
        JOIN parties p ON p.id = i.party_id
        WHERE i.round_id = %(round_id)s AND c.question = %(question)s AND c.option = %(option)s
          AND (%(region)s::text IS NULL OR i.region = %(region)s)
        ORDER BY i.region, p.name
        """,
        round_id=round_id,
        question=question,
        option=option,
        region=region,
    )


async def answers(picture: Picture, invitation_id: UUID) -> dict[str, object]:
    """Return the answers of one response by question; empty when none has been received."""
    rows = await picture.all(
        "SELECT question, value FROM answers WHERE invitation_id = %(id)s", id=invitation_id
    )
    return {row["question"]: row["value"] for row in rows}
