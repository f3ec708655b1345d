"""The entries of Annex III."""

from collections.abc import Iterable

from domain.chemicals import Chemical
from projections.reading import Picture, Record
from projections.tables import Change, Projection, Table

CHEMICALS = Table(
    "chemicals",
    {
        "id": "uuid",
        "annex_id": "text",
        "name": "text",
        "cas_numbers": "text[]",
        "categories": "text[]",
        "listed_at": "text",
        "decision": "text",
        "current": "boolean",
        "delisted_at": "text",
        "source": "text",
        "confidence": "text",
        "version": "bigint",
    },
    key=("id",),
)

projection = Projection(CHEMICALS)


@projection.on(Chemical.Listed)
def _listed(event: Chemical.Listed) -> Iterable[Change]:
    yield CHEMICALS.begin(
        id=event.originator_id,
        annex_id=event.annex_id,
        name=event.name,
        cas_numbers=list(event.cas_numbers),
        categories=list(event.categories),
        listed_at=event.listed_at,
        decision=event.decision,
        current=True,
        source=event.source,
        confidence=event.confidence,
        version=event.originator_version,
    )


@projection.on(Chemical.Delisted)
def _delisted(event: Chemical.Delisted) -> Iterable[Change]:
    yield CHEMICALS.change(
        event.originator_id,
        current=False,
        delisted_at=event.delisted_at,
        version=event.originator_version,
    )


# Questions.


async def chemicals(picture: Picture, after: str | None = None, limit: int = 500) -> list[Record]:
    """Return the entries of Annex III, current and deleted, by their number."""
    return await picture.all(
        """
        SELECT * FROM chemicals WHERE %(after)s::text IS NULL OR annex_id > %(after)s
        ORDER BY annex_id LIMIT %(limit)s
        """,
        after=after,
        limit=limit,
    )
