"""Drafts: who has begun to answer, how far they are, and what is kept of each question."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from domain.drafts import Draft
from domain.forms import Answers
from projections.reading import Picture, Record
from projections.tables import Change, Projection, Table

DRAFTS = Table(
    "drafts",
    {
        "id": "uuid",
        "invitation_id": "uuid",
        "party_id": "uuid",
        "begun_at": "timestamptz",
        "saved_at": "timestamptz",
        "saved_by": "text",
        "language": "text",
        "asked": "bigint",
        "answered": "bigint",
        "required": "bigint",
        "required_answered": "bigint",
        "version": "bigint",
    },
    key=("id",),
    indexes=(("invitation_id",),),
)
"""How far each draft is. It says nothing of what was answered."""

DRAFT_ANSWERS = Table(
    "draft_answers",
    {
        "draft_id": "uuid",
        "version": "bigint",
        "question": "text",
        "value": "jsonb",
        "beside": "boolean",
        "page_id": "uuid",
        "drawn_from": "bigint",
        "saved_by": "text",
        "saved_at": "timestamptz",
    },
    key=("draft_id", "version", "question"),
)
"""Everything that was ever saved. Of each question counts what was saved last, and what has been saved beside
it since."""

projection = Projection(DRAFTS, DRAFT_ANSWERS)


@projection.on(Draft.Begun)
def _begun(event: Draft.Begun) -> Iterable[Change]:
    yield DRAFTS.begin(
        id=event.originator_id,
        invitation_id=event.invitation_id,
        party_id=event.party_id,
        begun_at=event.timestamp,
        version=event.originator_version,
    )


@projection.on(Draft.Saved)
def _saved(event: Draft.Saved) -> Iterable[Change]:
    yield DRAFTS.change(
        event.originator_id,
        saved_at=event.timestamp,
        saved_by=event.by,
        language=event.language,
        asked=event.progress.asked,
        answered=event.progress.answered,
        required=event.progress.required,
        required_answered=event.progress.required_answered,
        version=event.originator_version,
    )
    for beside, changes in ((False, event.answers), (True, event.beside)):
        for question, value in changes.items():
            yield DRAFT_ANSWERS.begin(
                draft_id=event.originator_id,
                version=event.originator_version,
                question=question,
                value=value,
                beside=beside,
                page_id=event.page_id,
                drawn_from=event.drawn_from,
                saved_by=event.by,
                saved_at=event.timestamp,
            )


# Questions.


async def draft(picture: Picture, invitation_id: UUID) -> Record | None:
    """Return how far the draft of an invitation is, None when nobody has begun."""
    return await picture.one(
        """
        SELECT *, (100 * answered / nullif(asked, 0))::int AS percent FROM drafts
        WHERE invitation_id = %(id)s
        """,
        id=invitation_id,
    )


async def kept(picture: Picture, draft_id: UUID, version: int | None = None) -> dict[str, list[Record]]:
    """Return what is kept of each question, or was at a version of the draft: the answer that stands, then
    those that stand beside it, each with who saved it and when."""
    rows = await picture.all(
        """
        SELECT a.question, a.value, a.page_id, a.drawn_from, a.saved_by, a.saved_at, a.version
        FROM draft_answers a
        JOIN (
            SELECT question, max(version) AS since FROM draft_answers
            WHERE draft_id = %(id)s AND NOT beside AND (%(version)s::bigint IS NULL OR version <= %(version)s)
            GROUP BY question
        ) AS s ON s.question = a.question AND a.version >= s.since
        WHERE a.draft_id = %(id)s AND (%(version)s::bigint IS NULL OR a.version <= %(version)s)
        ORDER BY a.question, a.version
        """,
        id=draft_id,
        version=version,
    )
    found: dict[str, list[Record]] = {}
    for row in rows:
        # As the draft itself does it: what a page writes replaces its own answer, and what it showed.
        unseen = [
            each
            for each in found.get(row["question"], ())
            if each["page_id"] != row["page_id"] and each["version"] > row["drawn_from"]
        ]
        found[row["question"]] = [*unseen, row]
    return found


def answers(kept: Mapping[str, Sequence[Record]]) -> Answers:
    """Return the answers that stand, of what is kept."""
    return {name: rows[0]["value"] for name, rows in kept.items() if rows[0]["value"] is not None}


def choices(kept: Mapping[str, Sequence[Record]]) -> dict[str, list[Record]]:
    """Return the questions to which different answers are kept, with each of these once."""
    found: dict[str, list[Record]] = {}
    for name, rows in kept.items():
        different: list[Record] = []
        for row in rows:
            if all(row["value"] != other["value"] for other in different):
                different.append(row)
        if len(different) > 1:
            found[name] = different
    return found
