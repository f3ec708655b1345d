"""Opens spreadsheets that people send, and reads their sheets cell by cell.

A workbook is a zip file of XML, so a small one can unpack to something huge, or make an XML parser work
for ever. What it would unpack to is measured and searched before any other program opens it.
"""

import re
import zipfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, time
from io import BytesIO
from typing import Any

from openpyxl import load_workbook
from openpyxl.utils import get_column_letter

from domain.refusals import Fault, Invalid

SIZE_LIMIT = 2_000_000
"""Largest spreadsheet, in bytes."""
UNPACKED_LIMIT = 6_000_000
"""Most that it may unpack to, in bytes. A questionnaire of 300 questions takes about a tenth of this."""
PARTS_LIMIT = 200
"""Most files inside the spreadsheet."""
ROW_LIMIT = 3_000
COLUMN_LIMIT = 100
FAULT_LIMIT = 100
"""Most faults that are named at once."""
GAP_LIMIT = 60
"""Most blank rows between two rows: other readers of XLSForms take a longer gap for the end."""

_UNKEEPABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Row:
    """One row of a sheet: its number as people see it, and its cells by the number of their column."""

    number: int
    cells: dict[int, str]


@dataclass
class Sheet:
    """One sheet: its headings by the number of their column, and the rows below that are not blank."""

    name: str
    headings: dict[int, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def place(self, column: int, row: int) -> str:
        """Name a cell as people do: ``survey!B7``."""
        return f"{self.name}!{get_column_letter(column)}{row}"


def read_sheets(content: bytes, wanted: Collection[str]) -> dict[str, Sheet]:
    """Read the sheets of these names (in small letters) out of a workbook, as text.

    Raises Invalid when it is no workbook or one that cannot be read safely, and when a cell holds
    something that is no plain value.
    """
    _unpacks_safely(content)
    faults: list[Fault] = []
    sheets: dict[str, Sheet] = {}
    try:
        book = load_workbook(BytesIO(content), read_only=True, data_only=False, keep_links=False)
        for worksheet in book.worksheets:
            name = worksheet.title.lower()
            if name in wanted and name not in sheets:
                rows = worksheet.iter_rows(max_row=ROW_LIMIT + 1, max_col=COLUMN_LIMIT + 1)
                sheets[name] = _read_sheet(worksheet.title, rows, faults)
        book.close()
    except Exception as error:
        # A damaged workbook fails in any of a dozen ways inside openpyxl. All mean the same to its author.
        raise _no_spreadsheet(f"It cannot be read as a spreadsheet ({type(error).__name__}).") from error
    if faults:
        raise Invalid(
            "spreadsheet-has-faults",
            "The spreadsheet has cells that cannot be read.",
            faults=the_first(faults),
        )
    return sheets


def the_first(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return the faults without repetitions, and no more of them than a person would read."""
    different = tuple(dict.fromkeys(faults))
    if len(different) <= FAULT_LIMIT:
        return different
    rest = Fault(where="", what=f"There are {len(different) - FAULT_LIMIT} faults more.")
    return (*different[:FAULT_LIMIT], rest)


def _no_spreadsheet(what: str) -> Invalid:
    message = (
        "This is not a spreadsheet that can be taken in; nothing was stored. Send an Excel file (.xlsx)."
    )
    return Invalid("no-spreadsheet", message, faults=(Fault(where="", what=what),))


def _unpacks_safely(content: bytes) -> None:
    if len(content) > SIZE_LIMIT:
        raise _no_spreadsheet(f"It has {len(content)} bytes; at most {SIZE_LIMIT} are taken.")
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            parts = archive.infolist()
            # A part is never unpacked further than the size that is declared here, so it can be trusted.
            size = sum(part.file_size for part in parts)
            if len(parts) > PARTS_LIMIT or size > UNPACKED_LIMIT:
                raise _no_spreadsheet(
                    f"It unpacks to {size} bytes in {len(parts)} files; "
                    f"at most {UNPACKED_LIMIT} bytes in {PARTS_LIMIT} files are taken."
                )
            for part in parts:
                # Without the zeros, text in UTF-16 looks the same as in UTF-8.
                if b"<!DOCTYPE" in archive.read(part).replace(b"\0", b""):
                    raise _no_spreadsheet("It declares XML entities, which no spreadsheet needs.")
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        NotImplementedError,
        RuntimeError,
        OSError,
        EOFError,
    ) as error:
        raise _no_spreadsheet(
            "It is not an Excel file (.xlsx), or it is damaged or locked by a password."
        ) from error
    except Exception as error:
        if isinstance(error, Invalid):
            raise
        raise _no_spreadsheet("It is damaged.") from error


def _read_sheet(name: str, rows: Iterator[tuple[Any, ...]], faults: list[Fault]) -> Sheet:
    sheet = Sheet(name)
    last = 1
    for number, cells in enumerate(rows, start=1):
        values = {}
        for column, cell in enumerate(cells, start=1):
            value, fault = _value_of(cell)
            if value and number == 1 and not isinstance(cell.value, str):
                fault = "A heading must be text."
            if fault:
                faults.append(Fault(where=sheet.place(column, number), what=fault))
            elif value:
                values[column] = value
        if not values:
            continue
        if number > ROW_LIMIT or max(values) > COLUMN_LIMIT:
            what = f"At most {ROW_LIMIT} rows and {COLUMN_LIMIT} columns are read; this cell lies beyond."
            faults.append(Fault(where=sheet.place(max(values), number), what=what))
        elif number == 1:
            sheet.headings = values
        else:
            if number - last > GAP_LIMIT:
                what = f"More than {GAP_LIMIT} blank rows stand before this one, as if the sheet had ended."
                faults.append(Fault(where=sheet.place(min(values), number), what=what))
            last = number
            sheet.rows.append(Row(number, values))
    return sheet


def _value_of(cell: Any) -> tuple[str, str | None]:
    """Return the cell as text, and why it cannot be read, if so."""
    value = cell.value
    if value is None:
        return "", None
    if cell.data_type == "f":
        return "", "The cell holds a formula: replace it by its value."
    if cell.data_type == "e":
        return "", f"The cell holds the error {value}."
    if isinstance(value, bool):
        return str(value).upper(), None
    if isinstance(value, float) and value.is_integer():
        return str(int(value)), None
    if isinstance(value, datetime | time):
        return "", "The cell holds a date or a time: format it as text, so that it stays as you wrote it."
    written = str(value).replace("\N{NO-BREAK SPACE}", " ").strip()
    if _UNKEEPABLE.search(written):
        return "", "The cell holds control characters: take them out."
    return written, None
