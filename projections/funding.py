"""Trust funds, donors and contributions: every movement of money, and the accounts that follow from them.

Accounts are not kept but counted, from the postings of each movement to each contribution. So a figure is the
sum of rows, each of which opens to its event, now and as of any earlier moment.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.accounts import MovementKind, Part, effect, takes_on
from domain.contributions import Contribution, Donor
from domain.earmarks import Purpose
from domain.funding import MovementEvent, TrustFund
from domain.money import total
from projections.reading import Picture, Record
from projections.tables import Change, Projection, Table

TRUST_FUNDS = Table(
    "trust_funds",
    {
        "id": "uuid",
        "code": "text",
        "name": "text",
        "currency": "text",
        "source": "text",
        "confidence": "text",
        "version": "bigint",
    },
    key=("id",),
)

DONORS = Table(
    "donors",
    {"id": "uuid", "code": "text", "name": "text", "party_id": "uuid", "version": "bigint"},
    key=("id",),
)

CONTRIBUTIONS = Table(
    "contributions",
    {
        "id": "uuid",
        "fund_id": "uuid",
        "donor_id": "uuid",
        "in_kind": "boolean",
        "what": "text",
        "currency": "text",
        "pledged": "numeric",
        "programme": "text",
        "theme": "text",
        "region": "text",
        "activity_id": "uuid",
        "rate_percent": "numeric",
        "rate_source": "text",
        "valued_by": "text",
        "valuation_basis": "text",
        "valued_on": "date",
        "pledged_on": "date",
        "expected_on": "date",
        "delivered_on": "date",
        "notice": "text",
        "version": "bigint",
    },
    key=("id",),
    indexes=(("fund_id",), ("donor_id",)),
)

RECEIPTS = Table(
    "receipts",
    {
        "id": "uuid",
        "contribution_id": "uuid",
        "paid": "numeric",
        "paid_currency": "text",
        "counted": "numeric",
        "rate": "numeric",
        "rate_on": "date",
        "rate_source": "text",
        "support_cost_percent": "numeric",
        "support_cost_source": "text",
    },
    key=("id",),
    indexes=(("contribution_id",),),
)

MOVEMENTS = Table(
    "movements",
    {
        "fund_id": "uuid",
        "id": "uuid",
        "number": "bigint",
        "kind": "text",
        "of": "uuid",
        "amount": "numeric",
        "day": "date",
        "recorded_at": "timestamptz",
        "note": "text",
        "programme": "text",
        "theme": "text",
        "region": "text",
        "activity_id": "uuid",
        "rate": "numeric",
        "rate_on": "date",
        "rate_source": "text",
        "reverses": "uuid",
        "reversed_by": "uuid",
    },
    key=("fund_id", "id"),
)

ACCOUNTS = ("received", "spent", "support_cost", "committed", "reserved", "free")

POSTINGS = Table(
    "postings",
    {
        "fund_id": "uuid",
        "movement_id": "uuid",
        "contribution_id": "uuid",
        **dict.fromkeys(ACCOUNTS, "numeric"),
    },
    key=("fund_id", "movement_id", "contribution_id"),
    indexes=(("fund_id",), ("contribution_id",)),
)

projection = Projection(TRUST_FUNDS, DONORS, CONTRIBUTIONS, RECEIPTS, MOVEMENTS, POSTINGS)


@projection.on(TrustFund.Established)
def _established(event: TrustFund.Established) -> Iterable[Change]:
    yield TRUST_FUNDS.begin(
        id=event.originator_id,
        code=event.code,
        name=event.name,
        currency=event.currency,
        source=event.source,
        confidence=event.confidence,
        version=event.originator_version,
    )


@projection.on(TrustFund.MoneyReceived)
@projection.on(TrustFund.SupportCostTaken)
@projection.on(TrustFund.ExchangeGained)
@projection.on(TrustFund.ExchangeLost)
@projection.on(TrustFund.MoneyReserved)
@projection.on(TrustFund.MoneyCommitted)
@projection.on(TrustFund.MoneySpent)
@projection.on(TrustFund.ReservationReleased)
@projection.on(TrustFund.CommitmentReleased)
@projection.on(TrustFund.SpendingReturned)
@projection.on(TrustFund.SupportCostReturned)
@projection.on(TrustFund.MoneyRefunded)
def _moved(event: MovementEvent) -> Iterable[Change]:
    facts = event.model_dump(include={"purpose", "exchange"})
    exchange = facts.get("exchange") or {}
    yield TRUST_FUNDS.change(event.originator_id, version=event.originator_version)
    yield MOVEMENTS.begin(
        **_movement(event, event.kind, event.parts),
        of=getattr(event, "of", None),
        day=_first(event, "received_on", "spent_on", "returned_on", "refunded_on"),
        note=_first(event, "agreement", "voucher", "reason"),
        **(facts.get("purpose") or {}),
        rate=exchange.get("rate"),
        rate_on=exchange.get("on"),
        rate_source=exchange.get("source"),
    )
    yield from _post(event, event.kind, event.parts)


@projection.on(TrustFund.MovementReversed)
def _reversed(event: TrustFund.MovementReversed) -> Iterable[Change]:
    yield TRUST_FUNDS.change(event.originator_id, version=event.originator_version)
    yield MOVEMENTS.change(event.originator_id, event.of, reversed_by=event.movement_id)
    yield MOVEMENTS.begin(
        **_movement(event, event.kind, event.parts), reverses=event.of, note=event.reason, of=None
    )
    yield from _post(event, event.kind, event.parts, back=True)


def _movement(
    event: MovementEvent | TrustFund.MovementReversed, kind: MovementKind, parts: Sequence[Part]
) -> dict[str, Any]:
    amount = total((part.amount for part in parts), parts[0].amount.currency)
    return {
        "fund_id": event.originator_id,
        "id": event.movement_id,
        "number": event.originator_version,
        "kind": kind,
        "amount": amount.amount,
        "recorded_at": event.timestamp,
    }


def _post(
    event: MovementEvent | TrustFund.MovementReversed,
    kind: MovementKind,
    parts: Sequence[Part],
    *,
    back: bool = False,
) -> Iterable[Change]:
    nothing = dict.fromkeys(ACCOUNTS, Decimal(0))
    for part in parts:
        changes = {name: by.amount for name, by in effect(kind, part.amount, back=back).items()}
        yield POSTINGS.begin(
            fund_id=event.originator_id,
            movement_id=event.movement_id,
            contribution_id=part.contribution_id,
            **(nothing | changes),
        )


def _first(event: MovementEvent, *names: str) -> Any:
    return next((getattr(event, name) for name in names if hasattr(event, name)), None)


@projection.on(Donor.Registered)
def _donor_registered(event: Donor.Registered) -> Iterable[Change]:
    yield DONORS.begin(
        id=event.originator_id,
        code=event.code,
        name=event.name,
        party_id=event.party_id,
        version=event.originator_version,
    )


@projection.on(Contribution.Pledged)
def _pledged(event: Contribution.Pledged) -> Iterable[Change]:
    yield CONTRIBUTIONS.begin(
        id=event.originator_id,
        fund_id=event.fund_id,
        donor_id=event.donor_id,
        in_kind=False,
        currency=event.amount.currency,
        pledged=event.amount.amount,
        **_limits(event.earmark),
        rate_percent=event.support_cost.rate_percent,
        rate_source=event.support_cost.source,
        pledged_on=event.pledged_on,
        expected_on=event.expected_on,
        notice=event.notice,
        version=event.originator_version,
    )


@projection.on(Contribution.OfferedInKind)
def _offered_in_kind(event: Contribution.OfferedInKind) -> Iterable[Change]:
    yield CONTRIBUTIONS.begin(
        id=event.originator_id,
        fund_id=event.fund_id,
        donor_id=event.donor_id,
        in_kind=True,
        what=event.what,
        currency=event.valuation.amount.currency,
        pledged=event.valuation.amount.amount,
        **_limits(event.earmark),
        valued_by=event.valuation.valued_by,
        valuation_basis=event.valuation.basis,
        valued_on=event.valuation.valued_on,
        pledged_on=event.offered_on,
        notice=event.notice,
        version=event.originator_version,
    )


def _limits(purpose: Purpose) -> dict[str, Any]:
    return {name: getattr(purpose, name) for name in Purpose.model_fields}


@projection.on(Contribution.DeliveredInKind)
def _delivered_in_kind(event: Contribution.DeliveredInKind) -> Iterable[Change]:
    yield _change(event, delivered_on=event.delivered_on)


@projection.on(Contribution.SupportCostAgreed)
def _support_cost_agreed(event: Contribution.SupportCostAgreed) -> Iterable[Change]:
    terms = event.support_cost
    yield _change(event, rate_percent=terms.rate_percent, rate_source=terms.source)


@projection.on(Contribution.PledgeReduced)
def _pledge_reduced(event: Contribution.PledgeReduced) -> Iterable[Change]:
    yield _change(event, pledged=event.pledged.amount)


@projection.on(Contribution.MoneyReceived)
def _received(event: Contribution.MoneyReceived) -> Iterable[Change]:
    exchange = event.exchange
    yield _change(event)
    yield RECEIPTS.begin(
        id=event.receipt_id,
        contribution_id=event.originator_id,
        paid=event.paid.amount,
        paid_currency=event.paid.currency,
        counted=event.counted.amount,
        rate=exchange.rate if exchange else None,
        rate_on=exchange.on if exchange else None,
        rate_source=exchange.source if exchange else None,
        support_cost_percent=event.terms.rate_percent,
        support_cost_source=event.terms.source,
    )


@projection.on(Contribution.ExchangeDifferenceFound)
@projection.on(Contribution.MoneyRefunded)
def _entered(event: Contribution.Event) -> Iterable[Change]:
    yield _change(event)


@projection.on(Contribution.EntryReversed)
def _entry_reversed(event: Contribution.EntryReversed) -> Iterable[Change]:
    yield _change(event)
    if event.kind is MovementKind.RECEIPT:
        yield RECEIPTS.end(event.entry_id)


def _change(event: Contribution.Event, **values: Any) -> Change:
    return CONTRIBUTIONS.change(event.originator_id, version=event.originator_version, **values)


# Questions. The sums are written once; they are exact, for the tables keep decimals.

_SUMS = ", ".join(f"coalesce(sum(p.{name}), 0) AS {name}" for name in ACCOUNTS)
_EARMARK = "c.programme, c.theme, c.region, c.activity_id"


async def funds(picture: Picture, fund_id: UUID | None = None) -> list[Record]:
    """Return the trust funds, or one of them, with their accounts and what is still outstanding of pledges in
    their currency, by their short name."""
    return await picture.all(
        f"""
        SELECT f.*, {_SUMS}, (
            SELECT coalesce(sum(c.pledged), 0) - coalesce(sum(r.counted), 0) FROM contributions c
            LEFT JOIN (SELECT contribution_id, sum(counted) AS counted FROM receipts GROUP BY 1) r
                ON r.contribution_id = c.id
            WHERE c.fund_id = f.id AND NOT c.in_kind AND c.currency = f.currency
        ) AS outstanding
        FROM trust_funds f LEFT JOIN postings p ON p.fund_id = f.id
        WHERE %(fund_id)s::uuid IS NULL OR f.id = %(fund_id)s
        GROUP BY f.id, f.code, f.name, f.currency, f.source, f.confidence, f.version, f.position
        ORDER BY f.code
        """,  # noqa: S608  # the names are our own
        fund_id=fund_id,
    )


async def fund(picture: Picture, id: UUID) -> Record | None:
    """Return one trust fund with its accounts."""
    found = await funds(picture, id)
    return found[0] if found else None


async def by_earmark(picture: Picture, fund_id: UUID) -> list[Record]:
    """Return the accounts of each earmark of a fund; what has no earmark comes first."""
    return await picture.all(
        f"""
        SELECT {_EARMARK}, {_SUMS} FROM postings p JOIN contributions c ON c.id = p.contribution_id
        WHERE p.fund_id = %(fund_id)s GROUP BY {_EARMARK}
        ORDER BY num_nonnulls({_EARMARK}), {_EARMARK}
        """,  # noqa: S608  # the names are our own
        fund_id=fund_id,
    )


async def contributions(
    picture: Picture,
    owner_ids: Sequence[UUID] | None = None,
    fund_id: UUID | None = None,
    id: UUID | None = None,
    after: UUID | None = None,
    limit: int = 500,
) -> list[Record]:
    """Return contributions with their donors and accounts: all, or those of some donors, by their ids."""
    return await picture.all(
        f"""
        SELECT c.*, d.name AS donor, d.code AS donor_code, d.party_id, f.code AS fund,
            f.currency AS fund_currency, {_SUMS},
            c.pledged - (SELECT coalesce(sum(counted), 0) FROM receipts r WHERE r.contribution_id = c.id)
                AS outstanding
        FROM contributions c JOIN donors d ON d.id = c.donor_id JOIN trust_funds f ON f.id = c.fund_id
        LEFT JOIN postings p ON p.contribution_id = c.id
        WHERE (%(owner_ids)s::uuid[] IS NULL OR c.donor_id = ANY(%(owner_ids)s))
            AND (%(fund_id)s::uuid IS NULL OR c.fund_id = %(fund_id)s)
            AND (%(id)s::uuid IS NULL OR c.id = %(id)s) AND (%(after)s::uuid IS NULL OR c.id > %(after)s)
        GROUP BY {", ".join(f"c.{name}" for name in CONTRIBUTIONS.columns)}, c.position,
            d.name, d.code, d.party_id, f.code, f.currency
        ORDER BY c.id LIMIT %(limit)s
        """,  # noqa: S608  # the names are our own
        owner_ids=None if owner_ids is None else list(owner_ids),
        fund_id=fund_id,
        id=id,
        after=after,
        limit=limit,
    )


async def contribution(picture: Picture, id: UUID) -> Record | None:
    """Return one contribution."""
    found = await contributions(picture, id=id)
    return found[0] if found else None


async def notices(picture: Picture, owner_ids: Sequence[UUID] | None = None) -> list[str]:
    """Return the notes that every page with contributions must carry."""
    rows = await picture.all(
        """
        SELECT DISTINCT notice FROM contributions WHERE notice IS NOT NULL
            AND (%(owner_ids)s::uuid[] IS NULL OR donor_id = ANY(%(owner_ids)s)) ORDER BY notice
        """,
        owner_ids=None if owner_ids is None else list(owner_ids),
    )
    return [row["notice"] for row in rows]


async def receipts(picture: Picture, contribution_id: UUID) -> list[Record]:
    """Return the receipts of a contribution that stand."""
    return await picture.all(
        "SELECT * FROM receipts WHERE contribution_id = %(id)s ORDER BY position", id=contribution_id
    )


async def donors(picture: Picture) -> list[Record]:
    """Return the donors by their names."""
    return await picture.all("SELECT * FROM donors ORDER BY name, code")


async def movements(
    picture: Picture,
    fund_id: UUID | None = None,
    contribution_id: UUID | None = None,
    before: int | None = None,
    limit: int = 500,
) -> list[Record]:
    """Return the movements of a fund, or those with money of one contribution, newest first.

    ``amount`` is what moved in all, ``part`` how much of it is money of that contribution, ``left`` what no
    later movement has taken on, and ``position`` the event that recorded it.
    """
    return await _movements(
        picture, fund_id=fund_id, contribution_id=contribution_id, before=before, limit=limit
    )


async def movement(picture: Picture, fund_id: UUID, id: UUID) -> Record | None:
    """Return one movement of a fund."""
    found = await _movements(picture, fund_id=fund_id, id=id)
    return found[0] if found else None


async def movements_on(picture: Picture, fund_id: UUID, of: UUID) -> list[Record]:
    """Return the movements that stand on another one, or take it back, newest first."""
    return await _movements(picture, fund_id=fund_id, of=of)


_OPEN = ("fund_id", "contribution_id", "before", "id", "of")


async def _movements(picture: Picture, limit: int = 500, **wanted: Any) -> list[Record]:
    return await picture.all(
        """
        SELECT m.fund_id, m.id, m.number, m.kind, m.of, m.amount, m.day, m.recorded_at, m.note, m.programme,
            m.theme, m.region, m.activity_id, m.rate, m.rate_on, m.rate_source, m.reverses, m.reversed_by,
            f.code AS fund, f.currency, p.part, p.position, p.contribution_id, m.amount - coalesce((
                SELECT sum(o.amount) FROM movements o WHERE o.fund_id = m.fund_id AND o.of = m.id
                    AND o.reversed_by IS NULL AND o.kind = ANY(%(taking)s)
            ), 0) AS left,
            EXISTS (SELECT FROM receipts r WHERE r.id = m.id AND r.rate IS NOT NULL) AS exchanged
        FROM movements m JOIN trust_funds f ON f.id = m.fund_id
        JOIN (
            SELECT fund_id, movement_id, min(position) AS position,
                min(contribution_id::text)::uuid AS contribution_id,
                sum(greatest(abs(received), abs(free), abs(reserved), abs(committed), abs(spent))) AS part
            FROM postings WHERE (%(fund_id)s::uuid IS NULL OR fund_id = %(fund_id)s)
                AND (%(contribution_id)s::uuid IS NULL OR contribution_id = %(contribution_id)s)
            GROUP BY 1, 2
        ) p ON p.fund_id = m.fund_id AND p.movement_id = m.id
        WHERE (%(before)s::bigint IS NULL OR m.number < %(before)s)
            AND (%(id)s::uuid IS NULL OR m.id = %(id)s)
            AND (%(of)s::uuid IS NULL OR m.of = %(of)s OR m.reverses = %(of)s)
        ORDER BY m.number DESC LIMIT %(limit)s
        """,
        limit=limit,
        taking=[kind for kind in MovementKind if takes_on(kind)],
        **(dict.fromkeys(_OPEN) | wanted),
    )


async def parts(picture: Picture, fund_id: UUID, movement_id: UUID) -> list[Record]:
    """Return whose money a movement moved, and how much of each."""
    return await picture.all(
        """
        SELECT p.contribution_id, d.name AS donor, d.code AS donor_code, d.party_id, c.programme, c.theme,
            c.region, c.activity_id,
            greatest(abs(p.received), abs(p.free), abs(p.reserved), abs(p.committed), abs(p.spent)) AS part
        FROM postings p JOIN contributions c ON c.id = p.contribution_id JOIN donors d ON d.id = c.donor_id
        WHERE p.fund_id = %(fund_id)s AND p.movement_id = %(movement_id)s ORDER BY part DESC, d.name
        """,
        fund_id=fund_id,
        movement_id=movement_id,
    )
