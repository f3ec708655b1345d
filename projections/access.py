"""Access: accounts, the roles that they hold, personal links, and the commands that were refused.

There are ids of people here and no names: whoever shows a row asks the directory, which may have nobody
under the id any more.
"""

from collections.abc import Iterable
from uuid import UUID

from domain.access import Grant
from domain.aggregates import identify
from domain.links import PersonalLink
from domain.people import Account, Refusal
from projections.reading import Picture, Record
from projections.tables import Change, Projection, Table

ACCOUNTS = Table(
    "accounts",
    {"person_id": "uuid", "state": "text", "opened_at": "timestamptz", "version": "bigint"},
    key=("person_id",),
)
"""State is ``open`` or ``erased``."""

ROLES_HELD = Table(
    "roles_held",
    {"id": "uuid", "person_id": "uuid", "role": "text", "owner_id": "uuid", "since": "timestamptz"},
    key=("id",),
    indexes=(("person_id",), ("owner_id",)),
)
"""The owner is the party, partner or donor for whom a role is held; null for a role of the Secretariat."""

PERSONAL_LINKS = Table(
    "personal_links",
    {
        "id": "uuid",
        "invitation_id": "uuid",
        "party_id": "uuid",
        "contact_id": "uuid",
        "holder_id": "uuid",
        "section": "text",
        "state": "text",
        "made_at": "timestamptz",
        "ends_at": "timestamptz",
        "exchanged_at": "timestamptz",
        "reason": "text",
        "version": "bigint",
    },
    key=("id",),
    indexes=(("invitation_id",), ("holder_id",)),
)
"""State is ``good`` or ``revoked``; a link that is good ends by its time. It was last exchanged at the time
given, and is without its secret, which no table holds."""

REFUSALS = Table(
    "refusals",
    {
        "id": "uuid",
        "key": "uuid",
        "person_id": "uuid",
        "action": "text",
        "record_id": "uuid",
        "roles": "text[]",
        "way": "text",
        "refused_at": "timestamptz",
    },
    key=("id",),
    indexes=(("person_id",),),
)

projection = Projection(ACCOUNTS, ROLES_HELD, PERSONAL_LINKS, REFUSALS)


@projection.on(Account.Opened)
def _opened(event: Account.Opened) -> Iterable[Change]:
    yield ACCOUNTS.begin(
        person_id=event.originator_id,
        state="open",
        opened_at=event.timestamp,
        version=event.originator_version,
    )


@projection.on(Account.RoleGranted)
def _granted(event: Account.RoleGranted) -> Iterable[Change]:
    yield _held_from_now(event, event.grant)
    yield _version(event)


@projection.on(Account.RoleChanged)
def _changed(event: Account.RoleChanged) -> Iterable[Change]:
    yield _held_no_more(event, event.before)
    yield _held_from_now(event, event.after)
    yield _version(event)


@projection.on(Account.RoleEnded)
def _ended(event: Account.RoleEnded) -> Iterable[Change]:
    yield _held_no_more(event, event.grant)
    yield _version(event)


@projection.on(Account.PasswordLinkMade)
def _link_to_set_a_password(event: Account.PasswordLinkMade) -> Iterable[Change]:
    yield _version(event)


@projection.on(Account.PasswordSet)
def _password_set(event: Account.PasswordSet) -> Iterable[Change]:
    yield _version(event)


@projection.on(Account.Erased)
def _erased(event: Account.Erased) -> Iterable[Change]:
    yield ACCOUNTS.change(event.originator_id, state="erased", version=event.originator_version)


def _version(event: Account.Event) -> Change:
    return ACCOUNTS.change(event.originator_id, version=event.originator_version)


def _held_from_now(event: Account.Event, grant: Grant) -> Change:
    return ROLES_HELD.begin(
        id=_id(event, grant),
        person_id=event.originator_id,
        role=grant.role,
        owner_id=grant.owner_id,
        since=event.timestamp,
    )


def _held_no_more(event: Account.Event, grant: Grant) -> Change:
    return ROLES_HELD.end(_id(event, grant))


def _id(event: Account.Event, grant: Grant) -> UUID:
    return identify("role held", event.originator_id, grant.role, grant.owner_id)


@projection.on(PersonalLink.Made)
def _made(event: PersonalLink.Made) -> Iterable[Change]:
    yield _link(event)


@projection.on(PersonalLink.Forwarded)
def _forwarded(event: PersonalLink.Forwarded) -> Iterable[Change]:
    yield _link(event)


def _link(event: PersonalLink.Made | PersonalLink.Forwarded) -> Change:
    return PERSONAL_LINKS.begin(
        id=event.originator_id,
        invitation_id=event.invitation_id,
        party_id=event.party_id,
        contact_id=event.contact_id,
        holder_id=event.holder_id,
        section=event.section,
        state="good",
        made_at=event.timestamp,
        ends_at=event.ends_at,
        version=event.originator_version,
    )


@projection.on(PersonalLink.Exchanged)
def _exchanged(event: PersonalLink.Exchanged) -> Iterable[Change]:
    yield PERSONAL_LINKS.change(
        event.originator_id, exchanged_at=event.timestamp, version=event.originator_version
    )


@projection.on(PersonalLink.Revoked)
def _revoked(event: PersonalLink.Revoked) -> Iterable[Change]:
    yield PERSONAL_LINKS.change(
        event.originator_id, state="revoked", reason=event.reason, version=event.originator_version
    )


@projection.on(Refusal.CommandRefused)
def _refused(event: Refusal.CommandRefused) -> Iterable[Change]:
    yield REFUSALS.begin(
        id=event.originator_id,
        key=event.key,
        person_id=UUID(event.by.removeprefix("person:")),
        action=event.action,
        record_id=event.record_id,
        roles=event.roles,
        way=event.way,
        refused_at=event.timestamp,
    )


# Questions.


async def accounts(
    picture: Picture,
    role: str | None = None,
    owner_id: UUID | None = None,
    after: UUID | None = None,
    limit: int = 500,
) -> list[Record]:
    """Return accounts with the roles that they hold, by id; those alone that hold a role, or for an owner."""
    return await picture.all(
        """
        SELECT a.*, coalesce(h.roles, '[]') AS roles FROM accounts a
        LEFT JOIN (
            SELECT person_id,
                   jsonb_agg(jsonb_build_object('role', role, 'owner_id', owner_id, 'since', since)
                             ORDER BY since, id) AS roles
            FROM roles_held GROUP BY person_id
        ) AS h ON h.person_id = a.person_id
        WHERE ((%(role)s::text IS NULL AND %(owner_id)s::uuid IS NULL) OR EXISTS (
                SELECT FROM roles_held r WHERE r.person_id = a.person_id
                AND (%(role)s::text IS NULL OR r.role = %(role)s)
                AND (%(owner_id)s::uuid IS NULL OR r.owner_id = %(owner_id)s)))
          AND (%(after)s::uuid IS NULL OR a.person_id > %(after)s)
        ORDER BY a.person_id LIMIT %(limit)s
        """,
        role=role,
        owner_id=owner_id,
        after=after,
        limit=limit,
    )


async def account(picture: Picture, person_id: UUID) -> Record | None:
    """Return a person's account, None when there is none."""
    return await picture.one("SELECT * FROM accounts WHERE person_id = %(person_id)s", person_id=person_id)


async def without_role(picture: Picture) -> list[Record]:
    """Return the accounts that are open and hold no role: nobody comes in with one of these."""
    return await picture.all(
        """
        SELECT * FROM accounts a WHERE state = 'open'
        AND NOT EXISTS (SELECT FROM roles_held r WHERE r.person_id = a.person_id)
        ORDER BY opened_at DESC, person_id
        """
    )


async def roles_of(picture: Picture, person_id: UUID) -> list[Record]:
    """Return the roles that a person holds, in the order in which they were given."""
    return await picture.all(
        "SELECT * FROM roles_held WHERE person_id = %(person_id)s ORDER BY since, id", person_id=person_id
    )


async def numbers(picture: Picture) -> dict[str, int]:
    """Return how many people hold each role."""
    rows = await picture.all("SELECT role, count(DISTINCT person_id) AS people FROM roles_held GROUP BY role")
    return {row["role"]: row["people"] for row in rows}


_LINKS = """
    SELECT k.*, l.state AS letter_state, l.reason AS letter_reason FROM personal_links k
    LEFT JOIN letters l ON l.link_id = k.id
"""
"""With what became of the letter that brings the link, for links that were forwarded."""


async def links(
    picture: Picture, invitation_id: UUID | None = None, contact_id: UUID | None = None, limit: int = 500
) -> list[Record]:
    """Return personal links for an invitation, or by the right of a contact, the newest first."""
    return await picture.all(
        f"""
        {_LINKS}
        WHERE (%(invitation_id)s::uuid IS NULL OR k.invitation_id = %(invitation_id)s)
          AND (%(contact_id)s::uuid IS NULL OR k.contact_id = %(contact_id)s)
        ORDER BY k.made_at DESC, k.id LIMIT %(limit)s
        """,
        invitation_id=invitation_id,
        contact_id=contact_id,
        limit=limit,
    )


async def link(picture: Picture, id: UUID) -> Record | None:
    """Return one personal link, None when there is none."""
    return await picture.one(f"{_LINKS} WHERE k.id = %(id)s", id=id)


async def refusals(
    picture: Picture, person_id: UUID | None = None, before: int = 0, limit: int = 100
) -> list[Record]:
    """Return commands that were refused, the newest first, after ``before`` others."""
    return await picture.all(
        """
        SELECT * FROM refusals WHERE %(person_id)s::uuid IS NULL OR person_id = %(person_id)s
        ORDER BY refused_at DESC, id OFFSET %(before)s LIMIT %(limit)s
        """,
        person_id=person_id,
        before=before,
        limit=limit,
    )
