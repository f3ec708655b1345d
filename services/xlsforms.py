"""Reads questionnaires that were written as spreadsheets, in the format XLSForm.

pyxform turns the spreadsheet into an XForm, the XML that other programs read. The form by which the
service itself works is read here from the same cells, so that whatever is wrong or not supported can be
named by its cell; pyxform's own complaints are passed on with the row that they name.

Not supported yet, and refused: repeats, groups in groups, tables, files and media, calculations, choice
filters, defaults, labels that quote answers, and the other question types.
"""

import re
from dataclasses import dataclass

from pyxform import xls2xform
from pyxform.errors import PyXFormError

from domain.forms import Form
from domain.rules import examine
from services.spreadsheets import read_sheets
from services.xlsform_reading import Reader
from services.xlsform_tables import Faults, Table

_SHEETS = ("survey", "choices", "settings")
_UNSUPPORTED_SHEETS = ("external_choices", "entities", "osm")

_PYXFORM_ROW = re.compile(r"\[row : (?P<row>\d+)\]\s*")
_PYXFORM_SHEET = re.compile(r"On the '(?P<sheet>\w+)' sheet, the '(?P<column>[\w:]+)' value")


@dataclass(frozen=True)
class ReadForm:
    """What a spreadsheet was read as: the form, and the XForm for other programs."""

    form: Form
    xform: bytes


def read(spreadsheet: bytes) -> ReadForm:
    """Read an XLSForm, or raise Invalid with every fault by its cell.

    Takes up to a few seconds of the processor: call it in a thread of its own.
    """
    faults = Faults()
    sheets = read_sheets(spreadsheet, (*_SHEETS, *_UNSUPPORTED_SHEETS))
    for name in _UNSUPPORTED_SHEETS:
        if name in sheets and sheets[name].rows:
            faults.note(sheets[name].place(1, 1), f"The sheet “{name}” is not supported.")
    tables = {name: Table(sheets[name], name) for name in _SHEETS if name in sheets}
    reader = Reader(tables, faults)
    form = reader.read()
    for fault in examine(form):
        name, _, column = fault.where.rpartition("/")
        faults.note(reader.cells.get((name, column), "survey"), fault.what)
    faults.stop()
    return ReadForm(form, _xform(spreadsheet, tables, reader.languages.default_as_written, faults))


def _xform(
    spreadsheet: bytes, tables: dict[str, Table], default_language: str | None, faults: Faults
) -> bytes:
    xform = ""
    try:
        xform = xls2xform.convert(
            spreadsheet, file_type=".xlsx", form_name="data", default_language=default_language
        ).xform
    except PyXFormError as error:
        faults.note(*_located(str(error), tables))
    except Exception as error:
        # Whatever else fails inside pyxform is about the spreadsheet too: nothing else was given to it.
        faults.note("survey", f"pyxform cannot convert the form ({type(error).__name__}: {error}).")
    faults.stop()
    return xform.encode()


def _located(complaint: str, tables: dict[str, Table]) -> tuple[str, str]:
    """Find the cell that a complaint of pyxform is about, as far as it says so."""
    row, about = _PYXFORM_ROW.search(complaint), _PYXFORM_SHEET.search(complaint)
    table = tables.get(about["sheet"] if about else "survey")
    what = " ".join(_PYXFORM_ROW.sub("", complaint).split())
    if row is None or table is None:
        return "survey", what
    column = next((c.number for c in table.columns if about and c.name == about["column"]), 1)
    return table.sheet.place(column, int(row["row"])), what
