"""A questionnaire written as a spreadsheet is read as its author meant it, or refused with the cell."""

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from lxml import etree
from openpyxl import Workbook, load_workbook

from domain import rules
from domain.forms import Form
from domain.refusals import Invalid
from services import spreadsheets, xlsforms

SURVEY: list[list[Any]] = [
    ["type", "name", "label::English (en)", "label::French (fr)", "required", "relevant", "constraint"],
    ["note", "welcome", "Welcome", "Bienvenue", None, None, None],
    ["begin_group", "needs", "Needs", "Besoins", None, None, None],
    ["select_multiple area", "areas", "Areas", "Domaines", "yes", None, "count-selected(.) <= 4"],
    ["text", "other_area", "Other area", None, None, "selected(${areas}, 'other')", None],
    ["end_group", None, None, None, None, None, None],
    ["integer", "staff", "Staff", None, None, None, ". >= 0"],
]
CHOICES: list[list[Any]] = [
    ["list_name", "name", "label::English (en)", "label::French (fr)"],
    ["area", "customs", "Customs", "Douanes"],
    ["area", "other", "Other", None],
]
SETTINGS: list[list[Any]] = [
    ["form_id", "form_title", "translated_title::French (fr)", "version", "default_language"],
    ["needs", "Needs", "Besoins", 2016.1, "English (en)"],
]


def a_workbook() -> Workbook:
    """A good questionnaire, for a test to spoil."""
    book = Workbook()
    book.remove(book.worksheets[0])
    for name, rows in (("survey", SURVEY), ("choices", CHOICES), ("settings", SETTINGS)):
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return book


def stored(book: Workbook) -> bytes:
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def with_cells(**cells: Any) -> bytes:
    """The good questionnaire with some cells changed: ``survey_B4="areas"``."""
    book = a_workbook()
    for place, value in cells.items():
        sheet, cell = place.rsplit("_", 1)
        book[sheet][cell] = value
    return stored(book)


def refused(content: bytes) -> dict[str, str]:
    """Why a spreadsheet is refused, by place."""
    with pytest.raises(Invalid) as refusal:
        xlsforms.read(content)
    assert "nothing was stored" in refusal.value.message or refusal.value.faults
    return {fault.where: fault.what for fault in refusal.value.faults}


# ---- what is read ------------------------------------------------------------------------------------


def test_it_reads_sections_questions_options_and_rules() -> None:
    form = xlsforms.read(stored(a_workbook())).form

    assert (form.form_id, form.version, form.languages) == ("needs", "2016.1", ("en", "fr"))
    assert form.title == {"en": "Needs", "fr": "Besoins"}
    assert [(section.name, [q.name for q in section.questions]) for section in form.sections] == [
        ("", ["welcome"]),
        ("needs", ["areas", "other_area"]),
        ("", ["staff"]),
    ]
    areas = form.question("areas")
    assert areas is not None
    assert areas.required and areas.maximum_choices == 4
    assert [option.label for option in areas.options] == [
        {"en": "Customs", "fr": "Douanes"},
        {"en": "Other"},
    ]


def test_the_xform_has_the_same_questions_and_rules() -> None:
    read = xlsforms.read(stored(a_workbook()))

    xform = etree.fromstring(read.xform)
    binds = {bind.get("nodeset"): bind for bind in xform.iter("{http://www.w3.org/2002/xforms}bind")}
    assert binds.keys() - {"/data/meta/instanceID"} == {
        "/data/welcome",
        "/data/needs/areas",
        "/data/needs/other_area",
        "/data/staff",
    }
    assert binds["/data/needs/areas"].get("constraint") == "count-selected(.) <= 4"
    assert binds["/data/needs/areas"].get("required") == "true()"


def test_it_reads_the_other_spellings_that_authors_use() -> None:
    form = xlsforms.read(
        with_cells(
            survey_A3="begin group",
            survey_A6="end group",
            survey_A7="int",
            survey_E4="TRUE",
            survey_F1="Relevance",
            survey_H1="appearance",
            survey_H5="multiline",
            survey_I1="notes",
            survey_I5="Ask the ministry about this one.",
            choices_A1="List Name",
            choices_B1="value",
        )
    ).form

    areas, other_area, staff = (form.question(name) for name in ("areas", "other_area", "staff"))
    assert areas and other_area and staff
    assert areas.required and staff.kind == "integer"
    assert other_area.relevant and other_area.appearance == "multiline"


@pytest.mark.parametrize(
    ("cells", "languages"),
    [
        ({"settings_E2": "French (fr)", "survey_D5": "Autre", "survey_D7": "Effectifs"}, ("fr", "en")),
        ({"settings_E2": None}, ("en", "fr")),
        ({"settings_E2": None, "survey_C1": "label", "choices_C1": "label"}, ("en", "fr")),
    ],
)
def test_the_default_language_comes_first(cells: dict[str, Any], languages: tuple[str, ...]) -> None:
    assert xlsforms.read(with_cells(choices_D3="Autre", **cells)).form.languages == languages


def test_sheets_columns_and_rows_that_say_nothing_are_no_fault() -> None:
    book = a_workbook()
    book.create_sheet("our notes").append(["=1+1", "Anything may stand here."])
    book["survey"]["J1"] = "choice_filter"
    for row in range(8, 30):
        book["survey"][f"A{row}"] = " "

    assert xlsforms.read(stored(book)).form == xlsforms.read(stored(a_workbook())).form


# ---- the questionnaire that is shipped ---------------------------------------------------------------


@pytest.fixture(scope="module")
def needs_2016() -> Form:
    return xlsforms.read((files("domain.reference") / "needs-2016.xlsx").read_bytes()).form


def test_the_shipped_questionnaire_offers_the_published_areas(needs_2016: Form) -> None:
    table = (files("domain.reference") / "needs_survey_2016.csv").read_text(encoding="utf-8")
    published = {row["option"]: row["priority_area"] for row in csv.DictReader(io.StringIO(table))}

    areas = needs_2016.question("priority_areas")
    assert areas is not None
    assert {option.name: option.label["en"] for option in areas.options} == published
    assert areas.required and areas.maximum_choices == 4


def test_the_shipped_questionnaire_takes_four_areas_and_refuses_five(needs_2016: Form) -> None:
    areas = needs_2016.question("priority_areas")
    assert areas is not None
    today = date(2016, 4, 1)

    assert rules.check(needs_2016, {"priority_areas": [*areas.option_names[:4]]}, today=today) == ()
    for language, said in (("en", "at most 4"), ("fr", "au maximum 4"), ("es", "como máximo 4")):
        (fault,) = rules.check(
            needs_2016, {"priority_areas": [*areas.option_names[:5]]}, today=today, language=language
        )
        assert fault.where == "priority_areas" and said in fault.what


def test_the_shipped_questionnaire_is_translated_throughout(needs_2016: Form) -> None:
    assert (needs_2016.form_id, needs_2016.version) == ("needs-2016", "2016.1")
    assert needs_2016.languages == ("en", "fr", "es")
    texts = [needs_2016.title, *(section.label for section in needs_2016.sections)]
    for question in needs_2016.questions:
        texts += [question.label, *(option.label for option in question.options)]
        texts += [each for each in (question.hint, question.constraint_message) if each]
    assert all(labels.keys() == {"en", "fr", "es"} for labels in texts)


# ---- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "where", "what"),
    [
        # types
        ({"survey_A7": "begin repeat"}, "survey!A7", "The type “begin repeat” is not supported."),
        ({"survey_A7": "image"}, "survey!A7", "The type “image” is not supported."),
        ({"survey_A7": "calculate"}, "survey!A7", "The type “calculate” is not supported."),
        ({"survey_A7": "Integer"}, "survey!A7", "The type “Integer” is not supported."),
        ({"survey_A4": "Select_Multiple area"}, "survey!A4", "is not supported."),
        ({"survey_A7": "select_one"}, "survey!A7", "The type “select_one” is not supported."),
        ({"survey_A7": "select_one cars"}, "survey!A7", "no list “cars”"),
        ({"survey_A4": "select_multiple area or_other"}, "survey!A4", "“or_other” after the name"),
        ({"survey_A7": None}, "survey!A7", "The type of this row is missing."),
        ({"survey_A2": "begin_group", "survey_A7": "end_group"}, "survey!A3", "group in a group"),
        ({"survey_A6": "date", "survey_B6": "d", "survey_C6": "Date"}, "survey!A3", "never ended"),
        ({"survey_A3": "date"}, "survey!A6", "not begun"),
        ({"survey_A7": "begin_group"}, "survey!A7", "never ended"),
        # names
        ({"survey_B7": None}, "survey!B7", "The name is missing"),
        ({"survey_B7": "staff members"}, "survey!B7", "The name is missing, or is not a letter"),
        ({"survey_B7": "areas"}, "survey!B7", "used already, in survey!B4"),
        ({"survey_B7": "needs"}, "survey!B7", "used already, in survey!B3"),
        ({"choices_B3": "customs"}, "choices!B3", "has an option “customs” already"),
        ({"choices_B3": "cus toms"}, "choices!B3", "name of the option"),
        ({"choices_A3": None}, "choices!A3", "name of the list"),
        # texts
        ({"survey_C7": None}, "survey!C7", "The label in the default language (en) is missing."),
        ({"choices_C3": None}, "choices!C3", "The label in the default language (en) is missing."),
        ({"survey_D7": "${areas} ?"}, "survey!D7", "A text that quotes an answer"),
        ({"survey_D7": "x" * 5001}, "survey!D7", "at most 5000"),
        ({"survey_D1": "label::Français"}, "survey!D1", "write it as French (fr)"),
        ({"survey_D1": "label::Francais (fr)"}, "choices!D1", "called “Francais (fr)” elsewhere"),
        ({"settings_E2": "en"}, "settings!E2", "call this language “English (en)”"),
        # rules
        ({"survey_G7": ". > (1"}, "survey!G7", "A bracket is opened and not closed."),
        ({"survey_G7": "foo(.)"}, "survey!G7", "The function foo() is not known"),
        ({"survey_F5": "${colour} = 1"}, "survey!F5", "There is no question named “colour”."),
        ({"survey_F5": "selected(${areas}, 'cars')"}, "survey!F5", "“cars” is not an option"),
        ({"survey_F3": "${areas} != ''"}, "survey!F3", "depends on itself"),
        ({"survey_E7": "${areas} = ''"}, "survey!E7", "Write yes or no"),
        ({"survey_G2": "1 = 1"}, "survey!G2", "A note has no use for the column “constraint”."),
        ({"survey_E3": "yes"}, "survey!E3", "A group has no use for the column “required”."),
        # columns
        ({"survey_H1": "choice_filter", "survey_H4": "1=1"}, "survey!H4", "“choice_filter” is not supported"),
        ({"survey_H1": "calculation", "survey_H7": "1"}, "survey!H7", "“calculation” is not supported"),
        ({"survey_H1": "media::image", "survey_H7": "a.png"}, "survey!H7", "“media::image” is not supported"),
        ({"survey_H1": "constrain", "survey_H7": "1"}, "survey!H7", "“constrain” is not supported"),
        (
            {"survey_H1": "appearance", "survey_H4": "table-list"},
            "survey!H4",
            "“table-list” is not supported",
        ),
        ({"survey_H1": "relevance"}, "survey!H1", "The column “relevant” is there twice."),
        ({"survey_H1": "name::French (fr)"}, "survey!H1", "cannot be translated"),
        ({"survey_H7": "lost"}, "survey!H7", "The column of this cell has no heading."),
        ({"survey_H1": 3}, "survey!H1", "A heading must be text."),
        ({"survey_A1": "kind"}, "survey!A1", "The column “type” is missing"),
        ({"choices_A1": None}, "choices!A1", "The column “list_name” is missing"),
        # settings
        (
            {"settings_A2": "Needs 2016"},
            "settings!A2",
            "The form_id is missing or is not made of small letters",
        ),
        ({"settings_B2": None}, "settings!B2", "The title is missing"),
        ({"settings_D2": None}, "settings!D2", "The version is missing"),
        ({"settings_A3": "more"}, "settings!A3", "one row of values"),
        ({"settings_F1": "public_key", "settings_F2": "x"}, "settings!F2", "“public_key” is not supported"),
        # cells that are no plain values
        ({"survey_C7": "=A1"}, "survey!C7", "The cell holds a formula"),
        (
            {"settings_D2": datetime(2016, 1, 1, tzinfo=UTC).replace(tzinfo=None)},
            "settings!D2",
            "The cell holds a date",
        ),
        ({"survey_A200": "text"}, "survey!A200", "More than 60 blank rows"),
        ({"survey_A3001": "text"}, "survey!A3001", "At most 3000 rows"),
        ({"survey_CW7": "far"}, "survey!CW7", "100 columns"),
    ],
)
def test_it_refuses_a_spoilt_cell_and_names_it(cells: dict[str, Any], where: str, what: str) -> None:
    found = refused(with_cells(**cells))

    assert where in found, found
    assert what in found[where]


def test_it_names_all_spoilt_cells_at_once() -> None:
    found = refused(with_cells(survey_A7="image", survey_B4="my areas", choices_C2=None, settings_D2=None))

    assert found.keys() == {"survey!A7", "survey!B4", "choices!C2", "settings!D2"}


def test_it_names_no_more_faults_than_a_person_would_read() -> None:
    found = refused(with_cells(**{f"survey_B{row}": f"not a name {row}" for row in range(8, 300)}))

    assert len(found) == 101
    assert found[""] == "There are 192 faults more."


@pytest.mark.parametrize("sheet", ["survey", "settings"])
def test_it_refuses_a_workbook_without_its_sheets(sheet: str) -> None:
    book = a_workbook()
    book.remove(book[sheet])
    assert refused(stored(book)) == {sheet: f"The sheet “{sheet}” is missing."}


def test_it_refuses_choices_without_their_sheet() -> None:
    book = a_workbook()
    book.remove(book["choices"])
    assert refused(stored(book)) == {"survey!A4": "The sheet “choices” has no list “area”."}


@pytest.mark.parametrize("sheet", ["entities", "external_choices", "osm"])
def test_it_refuses_sheets_for_things_that_are_not_supported(sheet: str) -> None:
    book = a_workbook()
    book.create_sheet(sheet).append(["list_name"])
    book[sheet].append(["trees"])
    assert f"{sheet}!A1" in refused(stored(book))


def test_it_refuses_a_form_without_questions() -> None:
    book = a_workbook()
    book["survey"].delete_rows(2, 20)
    assert refused(stored(book)) == {"survey!A2": "The form has no questions."}


def test_what_only_pyxform_finds_is_passed_on_with_its_row() -> None:
    found = refused(with_cells(survey_B7="meta"))

    assert list(found) == ["survey!B7"]
    assert "'meta' is invalid" in found["survey!B7"]


# ---- what is no spreadsheet, or a dangerous one ------------------------------------------------------


def packed(*parts: tuple[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts:
            archive.writestr(name, part)
    return content.getvalue()


def repacked(change: Callable[[str, bytes], bytes]) -> bytes:
    """The good questionnaire with the files inside it changed."""
    with zipfile.ZipFile(io.BytesIO(stored(a_workbook()))) as archive:
        return packed(*[(name, change(name, archive.read(name))) for name in archive.namelist()])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"type,name,label\ntext,remark,Remark\n",
        b"%PDF-1.7",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        packed(("readme.txt", b"not a workbook")),
        packed(("[Content_Types].xml", b"<broken"), ("xl/workbook.xml", b"<broken")),
        repacked(lambda name, part: part[:-20] if name.endswith(".xml") else part),
        stored(a_workbook())[:-100],
    ],
    ids=["empty", "csv", "pdf", "old excel or locked", "zip", "broken xml", "cut parts", "cut file"],
)
def test_it_refuses_what_is_no_spreadsheet(content: bytes) -> None:
    with pytest.raises(Invalid, match="Send an Excel file") as refusal:
        xlsforms.read(content)
    assert refusal.value.code == "no-spreadsheet"


def test_it_refuses_a_file_that_is_too_large_before_it_opens_it() -> None:
    found = refused(bytes(spreadsheets.SIZE_LIMIT + 1))
    assert "at most 2000000 are taken" in found[""]


def test_it_refuses_a_spreadsheet_that_unpacks_to_something_huge() -> None:
    bomb = packed(
        ("[Content_Types].xml", b"<Types/>"),
        ("xl/worksheets/sheet1.xml", b"<row/>" * (spreadsheets.UNPACKED_LIMIT // 6 + 1)),
    )
    assert len(bomb) < spreadsheets.SIZE_LIMIT
    assert "It unpacks to 6000" in refused(bomb)[""]


def test_it_does_not_believe_a_bomb_that_lies_about_its_size() -> None:
    size = 50_000_000
    bomb = packed(("xl/worksheets/sheet1.xml", bytes(size)))
    bomb = bomb.replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert refused(bomb) == {"": "It is not an Excel file (.xlsx), or it is damaged or locked by a password."}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_it_refuses_xml_entities(encoding: str) -> None:
    laughs = '<!DOCTYPE lolz [<!ENTITY lol "lol">]><workbook>&lol;</workbook>'.encode(encoding)
    found = refused(repacked(lambda name, part: laughs if name == "xl/workbook.xml" else part))
    assert found == {"": "It declares XML entities, which no spreadsheet needs."}


def test_it_refuses_too_many_files_inside() -> None:
    found = refused(packed(*[(f"part{number}.xml", b"<a/>") for number in range(201)]))
    assert "in 201 files" in found[""]


def test_it_refuses_control_characters() -> None:
    def spoil(name: str, part: bytes) -> bytes:
        return part.replace(b"Customs", "Cus\N{DELETE}toms".encode())

    found = refused(repacked(spoil))
    assert found == {"choices!C2": "The cell holds control characters: take them out."}


WRITTEN: list[list[list[Any]]] = [SURVEY, CHOICES, SETTINGS]
EXTENT = {"survey": ("ABCDEFGH", 7), "choices": ("ABCD", 3), "settings": ("ABCDEF", 2)}
PLACES = [
    f"{sheet}_{column}{row + 1}"
    for sheet, (columns, rows) in EXTENT.items()
    for column in columns
    for row in range(rows)
]
VALUES = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(),
    some.floats(allow_nan=False, allow_infinity=False),
    some.text(alphabet="${}().:'\"=<>_ aréx1", max_size=12),
    some.sampled_from(
        [cell for rows in WRITTEN for row in rows for cell in row]
        + [
            "begin repeat",
            "default",
            "calculation",
            "rank area",
            "range",
            "select_one_from_file a.csv",
            "meta",
        ]
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.dictionaries(some.sampled_from(PLACES), VALUES, min_size=1, max_size=4))
def test_however_cells_are_changed_it_is_read_or_refused(cells: dict[str, Any]) -> None:
    cells = {place: None if str(value).startswith("=") else value for place, value in cells.items()}
    try:
        read = xlsforms.read(with_cells(**cells))
    except Invalid as refusal:
        assert refusal.faults
    else:
        rules.check(read.form, {}, today=date(2016, 4, 1))


def test_what_the_author_sees_is_the_workbook_that_is_shipped() -> None:
    book = load_workbook(io.BytesIO((files("domain.reference") / "needs-2016.xlsx").read_bytes()))
    assert book.sheetnames == ["survey", "choices", "settings", "notes"]
    assert "Everything else" in str(book["notes"]["B6"].value)
