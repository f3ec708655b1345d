"""Readers of the public facts that the service ships: parties, chemicals, centres, trust funds, a survey.

The tables are CSV files in the package ``domain.reference``, each row with its source. Every row is checked
when a table is first read; a damaged table is refused with the row and the column, and nothing is taken
from it.
"""

import csv
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from io import StringIO
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from domain.chemicals import ChemicalCategory, Listing, chemical_id
from domain.funding import FundParticulars
from domain.parties import Category, Iso3, Language, Particulars, Region, known_time_zones
from domain.programme import PartnerParticulars, PartnerType
from services.chemicals import DelistChemical, ListChemical
from services.funding import EstablishFund
from services.parties import RegisterParty
from services.programme import RegisterDeliveryPartner


class DamagedTableError(Exception):
    """A table that cannot be trusted: where it is damaged, and how."""

    def __init__(self, file: str, line: int | None, column: str | None, reason: str) -> None:
        place = "".join(
            [file, f", line {line}" if line else "", f", column “{column}”" if column else ""],
        )
        super().__init__(f"{place}: {reason}")
        self.file = file
        self.line = line
        self.column = column
        self.reason = reason


def _yes_or_no(cell: object) -> object:
    if cell not in ("yes", "no"):
        raise ValueError("write yes or no")
    return cell == "yes"


def _nothing_if_empty(cell: object) -> object:
    return None if cell == "" else cell


def _in_parts(cell: object) -> object:
    return tuple(part for part in cell.split(";") if part) if isinstance(cell, str) else cell


def _iso_date(cell: object) -> object:
    return date.fromisoformat(cell) if isinstance(cell, str) else cell


def _known_zone(cell: str) -> str:
    if cell not in known_time_zones():
        raise ValueError("no time zone has this name")
    return cell


def _category(cell: object) -> object:
    return Category.IN_TRANSITION if cell == "economy in transition" else cell


Text = Annotated[str, Field(min_length=1)]
YesNo = Annotated[bool, BeforeValidator(_yes_or_no)]
Maybe = Annotated[str | None, BeforeValidator(_nothing_if_empty)]
Parts = Annotated[tuple[str, ...], BeforeValidator(_in_parts)]
Day = Annotated[date, BeforeValidator(_iso_date)]
Zone = Annotated[str, AfterValidator(_known_zone)]
Count = Annotated[int, Field(ge=0)]


class Row(BaseModel):
    """One row of a table; columns that no field reads are for people."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def _shared_facts(row: Row, model: type[BaseModel]) -> dict[str, Any]:
    return {fact: getattr(row, fact) for fact in model.model_fields if fact in type(row).model_fields}


class PartyRow(Row):
    """A party to the Convention, as parties.csv has it."""

    iso3: Iso3
    iso2: Text
    m49: Maybe
    name_en: Text
    region: Region = Field(validation_alias="un_region")
    category: Annotated[Category, BeforeValidator(_category)] = Field(validation_alias="ta_category")
    eligible: YesNo = Field(validation_alias="ta_eligible")
    ldc: YesNo = Field(validation_alias="ldc_2015")
    sids: YesNo
    deposit_date: Day
    entry_into_force: Day
    party_at_cop7: YesNo = Field(validation_alias="party_at_cop7_may_2015")
    basel_party: YesNo
    stockholm_party: YesNo
    time_zone: Zone
    language: Language
    source: Text
    confidence: Text

    def registration(self) -> RegisterParty:
        """Return the command that enters the party in the register."""
        return RegisterParty(
            name=self.name_en,
            party_since=self.entry_into_force,
            **_shared_facts(self, Particulars),
        )


class ChemicalRow(Row):
    """An entry of Annex III, as annex_iii.csv has it, listed now or in earlier years."""

    id: Text
    name: Text
    cas_numbers: Parts
    categories: Annotated[tuple[ChemicalCategory, ...], BeforeValidator(_in_parts)] = Field(
        validation_alias="category", min_length=1
    )
    listed_at: Text
    decision: Maybe
    current: YesNo = Field(validation_alias="current_after_cop12")
    listed_at_close_of_cop7: YesNo = Field(validation_alias="listed_at_close_of_cop7_2015")
    delisted_at: Maybe
    delisted_decision: Maybe
    note: Maybe
    source: Text
    confidence: Text

    @model_validator(mode="after")
    def _is_listed_or_has_been_deleted(self) -> Self:
        if self.current == bool(self.delisted_at):
            raise ValueError("an entry is either current or says at which meeting it was deleted")
        return self

    def listing(self) -> ListChemical:
        """Return the command that records the entry."""
        return ListChemical(annex_id=self.id, **_shared_facts(self, Listing))

    def deletion(self) -> DelistChemical | None:
        """Return the command that records that the entry was deleted, if it was."""
        if not self.delisted_at:
            return None
        return DelistChemical(
            chemical_id=chemical_id(self.id),
            delisted_at=self.delisted_at,
            decision=self.delisted_decision,
        )


class CentreRow(Row):
    """A regional centre or an office that delivers assistance, as regional_centres.csv has it."""

    id: Text
    name: Text
    city: Text
    host_country_iso3: Iso3
    type: PartnerType
    convention: Text
    region_served: Text
    note: Maybe
    source: Text
    confidence: Text

    def registration(self) -> RegisterDeliveryPartner:
        """Return the command that enters the centre in the register of delivery partners."""
        return RegisterDeliveryPartner(centre_id=self.id, **_shared_facts(self, PartnerParticulars))


class TrustFundRow(Row):
    """A trust fund of one of the three conventions, as trust_funds.csv has it."""

    code: Text
    name: Text
    convention: Text
    kind: Literal["assessed", "voluntary"]
    currency: Text
    source: Text
    confidence: Text

    def establishment(self) -> EstablishFund:
        """Return the command that establishes the fund."""
        return EstablishFund(**_shared_facts(self, FundParticulars))


class SurveyRow(Row):
    """How many parties of each region named one priority area in 2016, as published."""

    option: Text
    """The name of the answer in the questionnaire."""
    priority_area: Text
    """The words of the answer."""
    africa: Count
    asia_pacific: Count
    cee: Count
    grulac: Count
    all_regions: Count
    percent_all: Decimal

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        together = self.africa + self.asia_pacific + self.cee + self.grulac
        if together != self.all_regions:
            raise ValueError(f"the regions add up to {together}, and all_regions says {self.all_regions}")
        return self

    def in_region(self, region: Region) -> int:
        """Return how many parties of ``region`` named the area; none of WEOG was asked."""
        return {
            Region.AFRICA: self.africa,
            Region.ASIA_PACIFIC: self.asia_pacific,
            Region.CEE: self.cee,
            Region.GRULAC: self.grulac,
        }.get(region, 0)


R = TypeVar("R", bound=Row)


def parse(file: str, text: str, row_type: type[R], key: str) -> tuple[R, ...]:
    """Return the rows of a table, each checked; ``key`` names the column that tells rows apart."""
    reader = csv.DictReader(StringIO(text), strict=True)
    rows: dict[object, R] = {}
    try:
        _must_have_columns(file, reader.fieldnames or (), row_type)
        for cells in reader:
            row = _row(file, reader.line_num, cells, row_type)
            name = getattr(row, key)
            if name in rows:
                raise DamagedTableError(file, reader.line_num, key, f"{name} stands in the table twice")
            rows[name] = row
    except csv.Error as error:
        raise DamagedTableError(file, reader.reader.line_num, None, str(error)) from error
    if not rows:
        raise DamagedTableError(file, None, None, "the table has no rows")
    return tuple(rows.values())


def _must_have_columns(file: str, columns: Iterable[str], row_type: type[Row]) -> None:
    for name, field in row_type.model_fields.items():
        column = str(field.validation_alias or name)
        if column not in columns:
            raise DamagedTableError(file, 1, column, "the column is missing")


def _row(file: str, line: int, cells: dict[str | Any, Any], row_type: type[R]) -> R:
    if None in cells or None in cells.values():
        raise DamagedTableError(file, line, None, "the row has more or fewer cells than the header")
    try:
        return row_type.model_validate(cells)
    except ValidationError as error:
        first = error.errors()[0]
        column = str(first["loc"][0]) if first["loc"] else None
        raise DamagedTableError(file, line, column, first["msg"]) from error


def _read(file: str, row_type: type[R], key: str) -> tuple[R, ...]:
    try:
        text = (files("domain.reference") / file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedTableError(file, None, None, f"the file cannot be read: {error}") from error
    return parse(file, text, row_type, key)


@cache
def parties() -> tuple[PartyRow, ...]:
    """Return the parties to the Convention, by name."""
    return _read("parties.csv", PartyRow, key="iso3")


@cache
def chemicals() -> tuple[ChemicalRow, ...]:
    """Return the entries of Annex III, with those that have been deleted from it."""
    return _read("annex_iii.csv", ChemicalRow, key="id")


@cache
def centres() -> tuple[CentreRow, ...]:
    """Return the regional centres and the offices of FAO and UNEP."""
    return _read("regional_centres.csv", CentreRow, key="id")


@cache
def trust_funds() -> tuple[TrustFundRow, ...]:
    """Return the trust funds of the three conventions."""
    return _read("trust_funds.csv", TrustFundRow, key="code")


@cache
def survey_2016() -> tuple[SurveyRow, ...]:
    """Return the published result of the needs survey of 2016, in its order: most wanted first."""
    return _read("needs_survey_2016.csv", SurveyRow, key="option")
