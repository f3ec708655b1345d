"""Parties as they stand: who they are and who speaks for them."""

from collections.abc import Iterable
from uuid import UUID

from domain.parties import ContactRole, Party
from projections.reading import Picture, Record
from projections.tables import Change, Projection, Table

PARTIES = Table(
    "parties",
    {
        "id": "uuid",
        "iso3": "text",
        "iso2": "text",
        "m49": "text",
        "name": "text",
        "region": "text",
        "category": "text",
        "eligible": "boolean",
        "ldc": "boolean",
        "sids": "boolean",
        "party_since": "date",
        "basel_party": "boolean",
        "stockholm_party": "boolean",
        "time_zone": "text",
        "language": "text",
        "official_contact_point": "uuid",
        "designated_national_authority": "uuid",
        "source": "text",
        "confidence": "text",
        "version": "bigint",
    },
    key=("id",),
)

projection = Projection(PARTIES)


@projection.on(Party.Registered)
def _registered(event: Party.Registered) -> Iterable[Change]:
    yield PARTIES.begin(
        id=event.originator_id,
        iso3=event.iso3,
        iso2=event.iso2,
        m49=event.m49,
        name=event.name,
        region=event.region,
        category=event.category,
        eligible=event.eligible,
        ldc=event.ldc,
        sids=event.sids,
        party_since=event.party_since,
        basel_party=event.basel_party,
        stockholm_party=event.stockholm_party,
        time_zone=event.time_zone,
        language=event.language,
        source=event.source,
        confidence=event.confidence,
        version=event.originator_version,
    )


@projection.on(Party.ContactNamed)
def _contact_named(event: Party.ContactNamed) -> Iterable[Change]:
    yield _contact_changed(event, event.role, event.contact_id)


@projection.on(Party.ContactEnded)
def _contact_ended(event: Party.ContactEnded) -> Iterable[Change]:
    yield _contact_changed(event, event.role, None)


def _contact_changed(event: Party.Event, role: ContactRole, contact_id: UUID | None) -> Change:
    # The columns have the names of the roles.
    values = {role.value: contact_id, "version": event.originator_version}
    return PARTIES.change(event.originator_id, **values)


# Questions.


async def parties(
    picture: Picture,
    region: str | None = None,
    category: str | None = None,
    after: str | None = None,
    limit: int = 500,
) -> list[Record]:
    """Return parties, by ISO code."""
    return await picture.all(
        """
        SELECT * FROM parties
        WHERE (%(region)s::text IS NULL OR region = %(region)s)
          AND (%(category)s::text IS NULL OR category = %(category)s)
          AND (%(after)s::text IS NULL OR iso3 > %(after)s)
        ORDER BY iso3 LIMIT %(limit)s
        """,
        region=region,
        category=category,
        after=after,
        limit=limit,
    )


async def party(picture: Picture, id: UUID) -> Record | None:
    """Return one party, None when there is none."""
    return await picture.one("SELECT * FROM parties WHERE id = %(id)s", id=id)


async def party_with_code(picture: Picture, iso3: str) -> Record | None:
    """Return the party with an ISO code, None when there is none."""
    return await picture.one("SELECT * FROM parties WHERE iso3 = %(iso3)s", iso3=iso3)
