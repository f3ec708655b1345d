"""Delivery partners: regional centres and offices that carry out activities."""

from collections.abc import Collection, Iterable
from uuid import UUID

from domain.programme import DeliveryPartner
from projections.reading import Picture, Record
from projections.tables import Change, Projection, Table

DELIVERY_PARTNERS = Table(
    "delivery_partners",
    {
        "id": "uuid",
        "centre_id": "text",
        "name": "text",
        "city": "text",
        "host_country_iso3": "text",
        "type": "text",
        "convention": "text",
        "region_served": "text",
        "source": "text",
        "confidence": "text",
        "version": "bigint",
    },
    key=("id",),
)

projection = Projection(DELIVERY_PARTNERS)


@projection.on(DeliveryPartner.Registered)
def _registered(event: DeliveryPartner.Registered) -> Iterable[Change]:
    yield DELIVERY_PARTNERS.begin(
        id=event.originator_id,
        centre_id=event.centre_id,
        name=event.name,
        city=event.city,
        host_country_iso3=event.host_country_iso3,
        type=event.type,
        convention=event.convention,
        region_served=event.region_served,
        source=event.source,
        confidence=event.confidence,
        version=event.originator_version,
    )


# Questions.


async def delivery_partners(picture: Picture, after: str | None = None, limit: int = 500) -> list[Record]:
    """Return delivery partners, by their short name."""
    return await picture.all(
        """
        SELECT * FROM delivery_partners WHERE %(after)s::text IS NULL OR centre_id > %(after)s
        ORDER BY centre_id LIMIT %(limit)s
        """,
        after=after,
        limit=limit,
    )


async def partners_with_ids(picture: Picture, ids: Collection[UUID]) -> list[Record]:
    """Return those of the delivery partners that have these ids."""
    return await picture.all(
        "SELECT * FROM delivery_partners WHERE id = ANY(%(ids)s) ORDER BY centre_id", ids=list(ids)
    )
