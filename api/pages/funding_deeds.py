"""The forms of the finance officer: what each asks for, and the command that it makes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from uuid import UUID

from babel.numbers import NumberFormatError, parse_decimal
from pydantic import ValidationError

from api.pages.forms import Filled, read_uuid
from api.pages.translations import _, later, locale
from domain.accounts import MovementKind
from projections.reading import Record
from services.commands import Command
from services.funding import (
    AgreeSupportCost,
    CommitMoney,
    EstablishFund,
    RecordDeliveryInKind,
    RecordExchange,
    RecordExpenditure,
    RecordOfferInKind,
    RecordPledge,
    RecordReceipt,
    RecordReturn,
    ReducePledge,
    RefundDonor,
    RegisterDonor,
    ReleaseMoney,
    ReserveMoney,
    ReverseMovement,
)

Facts = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """One question of a form."""

    name: str
    label: str
    kind: Literal["amount", "number", "day", "line", "text", "donor", "region", "currency"] = "line"
    hint: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Deed:
    """Something that can be done with a record, by a form."""

    name: str
    title: str
    fields: tuple[Field, ...]
    make: Callable[[Record, UUID, Facts], Command]
    """Makes the command of the record, the id of what comes of it, and what was filled in."""
    offered: Callable[[Record], bool] = lambda record: True

    def command(self, record: Record, id: UUID, filled: Filled) -> Command | None:
        """Return the command that a form makes; None when it makes none, which is noted."""
        facts = {each.name: _read(each, filled) for each in self.fields}
        if filled.faults:
            return None
        try:
            return self.make(record, id, {name: value for name, value in facts.items() if value is not None})
        except ValidationError as error:
            fields = {name: name for name in facts}
            for found in error.errors():
                where = next((str(part) for part in reversed(found["loc"]) if str(part) in fields), "")
                filled.fault(where or self.fields[0].name, found["msg"].removeprefix("Value error, "))
            return None


@dataclass
class Deeds:
    """What can be done with a record, and the form that was sent, if one was."""

    every: tuple[Deed, ...]
    record: Record = field(default_factory=dict)
    posted: str = ""
    filled: Filled = field(default_factory=lambda: Filled({}))

    @property
    def all(self) -> Mapping[str, Deed]:
        """All that can be done, by name."""
        return {deed.name: deed for deed in self.every}

    @property
    def offered(self) -> list[Deed]:
        """What makes sense now."""
        return [deed for deed in self.every if deed.offered(self.record) or deed.name == self.posted]

    @property
    def status(self) -> int:
        """The status of the page that shows the form again."""
        return self.filled.status

    @property
    def places(self) -> dict[str, str]:
        """Where on the page each question of the form that was sent is."""
        deed = self.all.get(self.posted)
        return {each.name: f"{deed.name}-{each.name}" for each in deed.fields} if deed else {}

    def given(self, deed: Deed) -> Filled:
        """Return what was filled in, if it was this form."""
        return self.filled if deed.name == self.posted else Filled({})


def _read(field: Field, filled: Filled) -> Any:
    """Read an answer; None when there is none or none that can be read, which is noted."""
    if not filled[field.name]:
        if not field.optional:
            filled.fault(field.name, _("Fill in: %(label)s.", label=_(field.label)))
        return None
    match field.kind:
        case "amount" | "number":
            return _number(field, filled)
        case "day":
            return filled.day(field.name)
        case "donor":
            return read_uuid(filled[field.name])
    return filled[field.name]


def _number(field: Field, filled: Filled) -> Decimal | None:
    """Read a number as the reader's language writes it, or as programs do: never by way of a float."""
    written = filled[field.name].replace("\u00a0", " ").replace("\u202f", " ").replace(" ", "")
    try:
        return Decimal(written) if _is_plain(written) else parse_decimal(written, locale(), strict=True)
    except (NumberFormatError, InvalidOperation):
        what = _("“%(text)s” is not an amount. Write it like 1250.00.", text=filled[field.name][:40])
        filled.fault(field.name, what)
        return None


def _is_plain(written: str) -> bool:
    whole, point, part = written.partition(".")
    return written.isascii() and whole.isdigit() and (part.isdigit() or not point)


# What is asked for.

_AMOUNT = Field("amount", later("Amount"), "amount", later("In figures, such as 1250.00."))
_REASON = Field("reason", later("Reason"), "text", later("It stands in the history for good."))
_CURRENCY = Field("currency", later("Currency"), "currency")
_DONOR = Field("donor_id", later("Donor"), "donor")
_EARMARK = (
    Field("programme", later("Only for the programme"), hint=later("Such as 2016-2017."), optional=True),
    Field("theme", later("Only for the theme"), hint=later("Such as customs."), optional=True),
    Field("region", later("Only for the region"), "region", optional=True),
)
_PURPOSE = (
    Field("programme", later("Programme"), hint=later("Such as 2016-2017."), optional=True),
    Field("theme", later("Theme"), hint=later("Such as customs."), optional=True),
    Field("region", later("Region"), "region", optional=True),
)
_TERMS = (
    Field(
        "rate_percent",
        later("Support cost in per cent"),
        "number",
        later("Of the direct cost. Left empty, it is the standing rate of 13 per cent."),
        optional=True,
    ),
    Field(
        "terms_source",
        later("Where the rate is agreed"),
        hint=later("With another rate only."),
        optional=True,
    ),
)
_EXCHANGE = (
    Field("rate", later("Rate of exchange"), "number", later("What one unit gives of the fund’s.")),
    Field("rate_on", later("Day of the rate"), "day"),
    Field(
        "rate_source",
        later("Whose rate it is"),
        hint=later("Such as the operational rate of the UN."),
    ),
)


def _optional(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    hint = later("Only for money in another currency than the fund’s.")
    return tuple(Field(each.name, each.label, each.kind, hint, optional=True) for each in fields)


def _money(facts: Facts, currency: str | None = None) -> Facts:
    return {"currency": facts.pop("currency", None) or currency, "amount": facts.pop("amount")}


def _limits(facts: Facts) -> Facts:
    return {name: facts.pop(name) for name in ("programme", "theme", "region") if name in facts}


def _terms(facts: Facts) -> Facts:
    """Return the terms of support cost: the standing ones, or both the rate and where it is agreed."""
    rate, source = facts.pop("rate_percent", None), facts.pop("terms_source", None)
    return {} if rate is None and source is None else {"rate_percent": rate, "source": source}


def _exchange(facts: Facts) -> Facts | None:
    rate, on, source = (facts.pop(name, None) for name in ("rate", "rate_on", "rate_source"))
    return {"rate": rate, "on": on, "source": source} if rate or on or source else None


def _of(command: type[Command], **facts: Any) -> Command:
    return command.model_validate(facts)


def _pledge(fund: Record, id: UUID, facts: Facts) -> Command:
    amount, earmark, terms = _money(facts), _limits(facts), _terms(facts)
    more = {"amount": amount, "earmark": earmark, "support_cost": terms}
    return _of(RecordPledge, id=id, fund_id=fund["id"], **more, **facts)


def _offer(fund: Record, id: UUID, facts: Facts) -> Command:
    valuation = {name: facts.pop(name) for name in ("valued_by", "basis", "valued_on")}
    more = {"valuation": {"amount": _money(facts), **valuation}, "earmark": _limits(facts)}
    return _of(RecordOfferInKind, id=id, fund_id=fund["id"], **more, **facts)


def _reserve(fund: Record, id: UUID, facts: Facts) -> Command:
    amount = _money(facts, fund["currency"])
    return _of(ReserveMoney, id=id, fund_ids=(fund["id"],), amount=amount, purpose=_limits(facts))


def _receive(contribution: Record, id: UUID, facts: Facts) -> Command:
    more = {"paid": _money(facts), "exchange": _exchange(facts)}
    return _of(RecordReceipt, id=id, contribution_id=contribution["id"], **more, **facts)


def _refund(contribution: Record, id: UUID, facts: Facts) -> Command:
    amount = _money(facts, contribution["fund_currency"])
    return _of(RefundDonor, id=id, contribution_id=contribution["id"], amount=amount, **facts)


def _reduce(contribution: Record, id: UUID, facts: Facts) -> Command:
    amount = _money(facts, contribution["currency"])
    return _of(ReducePledge, contribution_id=contribution["id"], amount=amount, **facts)


def _on(command: type[Command], name: str) -> Callable[[Record, UUID, Facts], Command]:
    """Return what makes a command that goes on with a movement, which it names as ``name``."""

    def make(movement: Record, id: UUID, facts: Facts) -> Command:
        if "amount" in facts:
            facts["amount"] = _money(facts, movement["currency"])
        return _of(command, id=id, fund_id=movement["fund_id"], **{name: movement["id"]}, **facts)

    return make


def _of_kind(*kinds: MovementKind) -> Callable[[Record], bool]:
    return lambda movement: (
        movement["kind"] in kinds and not movement["reversed_by"] and not movement["reverses"]
    )


OF_THE_LIST = (
    Deed(
        "establish",
        later("Establish a fund"),
        (
            Field("code", later("Short name"), hint=later("In capital letters, such as RVTF.")),
            Field("name", later("Name")),
            _CURRENCY,
            Field("source", later("Source")),
            Field("confidence", later("How sure it is"), hint=later("Such as: seen in source.")),
        ),
        lambda _record, _id, facts: _of(EstablishFund, **facts),
    ),
    Deed(
        "donor",
        later("Register a donor"),
        (
            Field("code", later("Short name"), hint=later("Of a State its ISO code.")),
            Field("name", later("Name")),
        ),
        lambda _record, _id, facts: _of(RegisterDonor, **facts),
    ),
)

OF_FUNDS = (
    Deed(
        "pledge",
        later("Record a pledge"),
        (
            _DONOR,
            _AMOUNT,
            _CURRENCY,
            Field("pledged_on", later("Promised on"), "day"),
            Field("expected_on", later("Expected by"), "day", optional=True),
            *_EARMARK,
            *_TERMS,
        ),
        _pledge,
    ),
    Deed(
        "in-kind",
        later("Record an offer in kind"),
        (
            _DONOR,
            Field("what", later("What is offered")),
            _AMOUNT,
            _CURRENCY,
            Field("valued_by", later("Valued by"), hint=later("A body, such as the donor. Name no person.")),
            Field("basis", later("What the value rests on"), hint=later("Such as a price list.")),
            Field("valued_on", later("Valued on"), "day"),
            Field("offered_on", later("Promised on"), "day"),
            *_EARMARK,
        ),
        _offer,
    ),
    Deed("reserve", later("Reserve money"), (_AMOUNT, *_PURPOSE), _reserve),
)

OF_CONTRIBUTIONS = (
    Deed(
        "receive",
        later("Record a receipt"),
        (_AMOUNT, _CURRENCY, Field("received_on", later("Received on"), "day"), *_optional(_EXCHANGE)),
        _receive,
        lambda row: not row["in_kind"] and row["outstanding"] > 0,
    ),
    Deed(
        "refund",
        later("Record a refund to the donor"),
        (_AMOUNT, Field("refunded_on", later("Refunded on"), "day"), _REASON),
        _refund,
        lambda row: row["received"] > 0,
    ),
    Deed(
        "terms",
        later("Agree on another support cost"),
        (
            Field("rate_percent", later("Support cost in per cent"), "number", later("Of the direct cost.")),
            Field("terms_source", later("Where the rate is agreed")),
        ),
        lambda row, _id, facts: _of(AgreeSupportCost, contribution_id=row["id"], support_cost=_terms(facts)),
        lambda row: not row["in_kind"],
    ),
    Deed(
        "reduce",
        later("Reduce the pledge"),
        (_AMOUNT, _REASON),
        _reduce,
        lambda row: not row["in_kind"] and row["outstanding"] > 0,
    ),
    Deed(
        "deliver",
        later("Record the delivery"),
        (Field("delivered_on", later("Delivered on"), "day"),),
        lambda row, _id, facts: _of(RecordDeliveryInKind, contribution_id=row["id"], **facts),
        lambda row: row["in_kind"] and row["delivered_on"] is None,
    ),
)

_Kinds = MovementKind
OF_MOVEMENTS = (
    Deed(
        "commit",
        later("Commit money"),
        (_AMOUNT, Field("agreement", later("Agreement"), hint=later("Such as a contract by its number."))),
        _on(CommitMoney, "reservation_id"),
        _of_kind(_Kinds.RESERVATION),
    ),
    Deed(
        "spend",
        later("Record an expenditure"),
        (
            _AMOUNT,
            Field("voucher", later("Voucher"), hint=later("Such as a document by its number.")),
            Field("spent_on", later("Spent on"), "day"),
        ),
        _on(RecordExpenditure, "commitment_id"),
        _of_kind(_Kinds.COMMITMENT),
    ),
    Deed(
        "release",
        later("Release what is not needed"),
        (
            Field("amount", later("Amount"), "amount", later("All that is left when empty."), True),
            _REASON,
        ),
        _on(ReleaseMoney, "movement_id"),
        _of_kind(_Kinds.RESERVATION, _Kinds.COMMITMENT),
    ),
    Deed(
        "return",
        later("Record money that came back"),
        (_AMOUNT, Field("returned_on", later("Came back on"), "day"), _REASON),
        _on(RecordReturn, "expenditure_id"),
        _of_kind(_Kinds.EXPENDITURE),
    ),
    Deed(
        "exchange",
        later("Record the rate in the end"),
        _EXCHANGE,
        lambda movement, id, facts: _of(
            RecordExchange,
            id=id,
            contribution_id=movement["contribution_id"],
            receipt_id=movement["id"],
            exchange=_exchange(facts),
        ),
        lambda movement: _of_kind(_Kinds.RECEIPT)(movement) and movement["exchanged"],
    ),
    Deed(
        "reverse",
        later("Reverse this movement"),
        (_REASON,),
        _on(ReverseMovement, "movement_id"),
        _of_kind(*(kind for kind in _Kinds if kind not in (_Kinds.SUPPORT_COST, _Kinds.SUPPORT_COST_RETURN))),
    ),
)
