"""The tables that are shipped are whole, and a damaged one is refused with its place."""

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from domain.aggregates import Stamp
from domain.chemicals import Chemical, ChemicalCategory
from domain.parties import Category, Language, Party, Region
from domain.programme import DeliveryPartner
from services.reference import (
    DamagedTableError,
    PartyRow,
    SurveyRow,
    centres,
    chemicals,
    parse,
    parties,
    survey_2016,
)

STAMP = Stamp(by="service:tests", at=datetime(2016, 3, 1, 9, tzinfo=UTC))
SURVEY_COLUMNS = "option,priority_area,africa,asia_pacific,cee,grulac,all_regions,percent_all"
CUSTOMS = "customs,Supporting custom officers,9,4,3,9,25,62.5"


def read_survey(*lines: str) -> tuple[SurveyRow, ...]:
    return parse("survey.csv", "\n".join(lines) + "\n", SurveyRow, key="option")


def party(iso3: str) -> PartyRow:
    return next(row for row in parties() if row.iso3 == iso3)


def test_154_parties_met_at_the_seventh_conference_and_118_of_them_may_be_helped() -> None:
    met = [row for row in parties() if row.party_at_cop7]
    asked = [row for row in met if row.eligible]

    assert (len(parties()), len(met), len(asked)) == (165, 154, 118)
    assert Counter(row.region for row in asked) == {
        Region.AFRICA: 45,
        Region.ASIA_PACIFIC: 35,
        Region.GRULAC: 28,
        Region.CEE: 10,
    }


def test_whoever_is_not_developed_may_be_helped() -> None:
    assert all(row.eligible == (row.category is not Category.DEVELOPED) for row in parties())


def test_whoever_met_was_a_party_by_then() -> None:
    conference_opened = date(2015, 5, 4)

    for row in parties():
        assert row.deposit_date <= row.entry_into_force
        assert row.party_at_cop7 == (row.entry_into_force <= conference_opened), row.name_en


def test_every_party_has_a_clock() -> None:
    for row in parties():
        assert ZoneInfo(row.time_zone).key == row.time_zone


@pytest.mark.parametrize(
    ("iso3", "time_zone"),
    [
        ("AUS", "Australia/Sydney"),
        ("BRA", "America/Sao_Paulo"),
        ("COD", "Africa/Kinshasa"),
        ("COK", "Pacific/Rarotonga"),
        ("EUE", "Europe/Brussels"),
        ("KAZ", "Asia/Almaty"),
        ("PSE", "Asia/Hebron"),
        ("SEN", "Africa/Dakar"),
        ("TON", "Pacific/Tongatapu"),
    ],
)
def test_a_partys_clock_is_that_of_its_seat_of_government(iso3: str, time_zone: str) -> None:
    assert party(iso3).time_zone == time_zone


def test_parties_are_written_to_in_all_six_languages() -> None:
    assert {row.language for row in parties()} == set(Language)
    assert [party(iso3).language for iso3 in ("SEN", "PER", "JOR", "CHN", "KGZ", "GHA")] == [
        Language.FRENCH,
        Language.SPANISH,
        Language.ARABIC,
        Language.CHINESE,
        Language.RUSSIAN,
        Language.ENGLISH,
    ]


def test_the_european_union_is_a_party_without_a_statistical_code() -> None:
    union = party("EUE")

    assert (union.m49, union.eligible, union.region) == (None, False, Region.WEOG)
    assert all(row.m49 for row in parties() if row is not union)


def test_every_party_can_be_registered() -> None:
    registered = [Party.register(row.registration(), STAMP) for row in parties()]

    assert len({one.id for one in registered}) == 165
    assert {one.name for one in registered} == {row.name_en for row in parties()}
    assert all(one.party_since == party(one.iso3).entry_into_force for one in registered)


def test_the_annex_held_47_entries_after_the_seventh_conference_and_57_after_the_twelfth() -> None:
    assert sum(row.listed_at_close_of_cop7 for row in chemicals()) == 47
    assert sum(row.current for row in chemicals()) == 57


def test_every_chemical_can_be_listed_and_three_are_deleted_again() -> None:
    listed = {row.id: Chemical.list_in_annex(row.listing(), STAMP) for row in chemicals()}
    deletions = [deletion for row in chemicals() if (deletion := row.deletion())]
    by_id = {chemical.id: chemical for chemical in listed.values()}
    for deletion in deletions:
        by_id[deletion.chemical_id].delist(deletion.delisted_at, deletion.decision, STAMP)

    assert [chemical.current for chemical in listed.values()] == [row.current for row in chemicals()]
    assert {deletion.decision for deletion in deletions} == {"RC-7/4", "RC-1/3"}


def test_an_entry_can_have_many_numbers_and_two_categories_or_no_number_at_all() -> None:
    tributyltin = next(row for row in chemicals() if "tributyltin" in row.name)
    mercury = next(row for row in chemicals() if row.name.startswith("Mercury"))

    assert len(tributyltin.cas_numbers) == 7
    assert tributyltin.categories == (ChemicalCategory.PESTICIDE, ChemicalCategory.INDUSTRIAL)
    assert mercury.cas_numbers == ()


def test_every_centre_can_be_registered() -> None:
    registered = [DeliveryPartner.register(row.registration(), STAMP) for row in centres()]

    assert len({one.id for one in registered}) == len(centres()) == 60


def test_every_fact_has_a_source() -> None:
    facts = [row.model_dump() for row in (*parties(), *chemicals(), *centres())]

    assert all(fact["source"] and fact["confidence"] for fact in facts)


def test_the_survey_has_ten_areas_and_its_percentages_are_of_40_answers() -> None:
    assert len(survey_2016()) == 10
    assert all(row.percent_all == Decimal(100 * row.all_regions) / 40 for row in survey_2016())
    assert sum(row.all_regions for row in survey_2016()) == 147


def test_a_table_is_read_once() -> None:
    assert parties() is parties()


@pytest.mark.parametrize(
    ("lines", "line", "column", "reason"),
    [
        ((), 1, "option", "the column is missing"),
        ((SURVEY_COLUMNS,), None, None, "no rows"),
        ((SURVEY_COLUMNS.replace("cee,", ""), CUSTOMS), 1, "cee", "the column is missing"),
        ((SURVEY_COLUMNS, CUSTOMS.replace("9,4", "nine,4")), 2, "africa", "integer"),
        ((SURVEY_COLUMNS, CUSTOMS.replace("9,4", "-9,4")), 2, "africa", "greater than or equal to 0"),
        ((SURVEY_COLUMNS, CUSTOMS.replace("25", "26")), 2, None, "the regions add up to 25"),
        ((SURVEY_COLUMNS, CUSTOMS, "legal,Law,1"), 3, None, "more or fewer cells"),
        ((SURVEY_COLUMNS, CUSTOMS + ",1"), 2, None, "more or fewer cells"),
        ((SURVEY_COLUMNS, CUSTOMS, CUSTOMS), 3, "option", "customs stands in the table twice"),
        ((SURVEY_COLUMNS, CUSTOMS, 'legal,"never closed'), 3, None, "unexpected end of data"),
    ],
)
def test_a_damaged_table_is_refused_with_its_place(
    lines: tuple[str, ...], line: int | None, column: str | None, reason: str
) -> None:
    with pytest.raises(DamagedTableError, match=reason) as refused:
        read_survey(*lines)

    assert (refused.value.file, refused.value.line, refused.value.column) == ("survey.csv", line, column)


@pytest.mark.parametrize(
    ("column", "damage"),
    [
        ("un_region", "Atlantis"),
        ("ta_category", "rich"),
        ("ta_eligible", "1"),
        ("deposit_date", "20 July 2002"),
        ("time_zone", "Africa/Nowhere"),
        ("language", "la"),
        ("iso3", "SN"),
        ("source", ""),
    ],
)
def test_a_damaged_party_is_refused_with_the_name_of_the_column(column: str, damage: str) -> None:
    whole = {
        "iso3": "SEN", "iso2": "SN", "m49": "686", "name_en": "Senegal", "un_region": "Africa",
        "ta_category": "developing", "ta_eligible": "yes", "ldc_2015": "yes", "sids": "no",
        "deposit_date": "2001-07-20", "entry_into_force": "2004-02-24", "party_at_cop7_may_2015": "yes",
        "basel_party": "yes", "stockholm_party": "yes", "time_zone": "Africa/Dakar", "language": "fr",
        "source": "the register", "confidence": "seen",
    }  # fmt: skip
    damaged = whole | {column: damage}
    text = ",".join(damaged) + "\n" + ",".join(damaged.values()) + "\n"

    with pytest.raises(DamagedTableError) as refused:
        parse("parties.csv", text, PartyRow, key="iso3")

    assert (refused.value.line, refused.value.column) == (2, column)
    assert str(refused.value).startswith(f"parties.csv, line 2, column “{column}”: ")
