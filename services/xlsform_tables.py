"""The sheets of an XLSForm as tables: which columns they may have, and in which languages.

Whatever is wrong is noted with its cell, and reading goes on, so that an author learns of all faults at
once and not of one after another.
"""

import re
from dataclasses import dataclass

from domain.forms import Labels
from domain.refusals import Fault, Invalid
from services.spreadsheets import Row, Sheet, the_first

LABEL_LIMIT = 5_000
"""Longest text of a question or an option, in characters."""

COLUMNS = {
    "survey": (
        "type",
        "name",
        "label",
        "hint",
        "required",
        "required_message",
        "relevant",
        "constraint",
        "constraint_message",
        "appearance",
    ),
    "choices": ("list_name", "name", "label"),
    "settings": ("form_id", "form_title", "translated_title", "version", "default_language", "style"),
}
_NEEDED = {
    "survey": ("type", "name", "label"),
    "choices": ("list_name", "name", "label"),
    "settings": ("form_id", "form_title", "version"),
}
TRANSLATED = ("label", "hint", "required_message", "constraint_message", "translated_title")
_OTHER_NAMES = {
    "survey": {
        "relevance": "relevant",
        "caption": "label",
        "constraining_message": "constraint_message",
        "requiredmsg": "required_message",
    },
    "choices": {"value": "name", "caption": "label"},
    "settings": {"id_string": "form_id", "title": "form_title"},
}
FOR_AUTHORS = ("notes", "note", "comments", "comment", "remarks")
"""Columns in which authors write to each other; nothing reads them."""

_LANGUAGE = re.compile(
    r"(.*\((?P<bracketed>[a-z]{2,3}(-[A-Za-z0-9]{2,8})*)\)|(?P<bare>[a-z]{2,3}(-[A-Za-z0-9]{2,8})*))"
)


class Faults:
    """The faults that were found so far, each with its cell."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def note(self, where: str, what: str) -> None:
        """Note a fault and go on."""
        self.found.append(Fault(where=where, what=what))

    def stop(self) -> None:
        """Refuse the spreadsheet if there is any fault."""
        if self.found:
            count = len(set(self.found))
            number = "one fault" if count == 1 else f"{count} faults"
            message = f"The form was not taken in, because of {number}; nothing was stored."
            raise Invalid("not-an-xlsform", message, faults=the_first(self.found))


@dataclass(frozen=True)
class Column:
    """One column of a sheet, as its heading names it."""

    number: int
    name: str
    language: str | None
    """The language as it was written, such as ``French (fr)``; None when the heading names none."""


class Table:
    """A sheet whose columns are known by name."""

    def __init__(self, sheet: Sheet, name: str) -> None:
        self.sheet = sheet
        self.name = name
        self.columns = [self._column(number, heading) for number, heading in sheet.headings.items()]

    def _column(self, number: int, heading: str) -> Column:
        base, *rest = (part.strip() for part in heading.split("::"))
        name = "_".join(base.lower().split())
        return Column(number, _OTHER_NAMES[self.name].get(name, name), "::".join(rest) or None)

    def cell(self, row: Row, name: str) -> str:
        """Return what the row says in this column, without regard to language."""
        return next(
            (row.cells.get(c.number, "") for c in self.columns if c.name == name and not c.language), ""
        )

    def place(self, row: Row, name: str) -> str:
        """Name the cell of this row and column: the one that is filled, where there are several."""
        numbers = [column.number for column in self.columns if column.name == name]
        filled = [number for number in numbers if row.cells.get(number)]
        return self.sheet.place((filled or numbers or [1])[0], row.number)

    def filled(self, row: Row) -> set[str]:
        """Return the names of the columns in which the row says something."""
        return {column.name for column in self.columns if row.cells.get(column.number)}


def sheets_are_there(tables: dict[str, Table], faults: Faults) -> None:
    """Note the sheets and columns without which nothing can be read."""
    for name in ("survey", "settings"):
        if name not in tables:
            faults.note(name, f"The sheet “{name}” is missing.")
    for name, table in tables.items():
        known = {column.name for column in table.columns}
        if not table.sheet.rows and name == "choices":
            continue
        for needed in _NEEDED[name]:
            if needed not in known:
                faults.note(table.sheet.place(1, 1), f"The column “{needed}” is missing in the first row.")


def columns_are_known(table: Table, faults: Faults) -> None:
    """Note the columns that nothing would read, for an author believes that they do something."""
    seen: set[tuple[str, str | None]] = set()
    for column in table.columns:
        where = table.sheet.place(column.number, 1)
        if (column.name, column.language) in seen:
            faults.note(where, f"The column “{column.name}” is there twice.")
        seen.add((column.name, column.language))
        if column.name in FOR_AUTHORS:
            continue
        if column.name not in COLUMNS[table.name]:
            _note_filled(table, column, faults)
        elif column.language is not None and column.name not in TRANSLATED:
            faults.note(where, f"The column “{column.name}” cannot be translated.")
    headed = {column.number for column in table.columns}
    for row in table.sheet.rows:
        for number in row.cells.keys() - headed:
            faults.note(table.sheet.place(number, row.number), "The column of this cell has no heading.")


def _note_filled(table: Table, column: Column, faults: Faults) -> None:
    """A column that nothing reads may stand empty; templates have many of these."""
    heading = table.sheet.headings[column.number]
    for row in table.sheet.rows:
        if row.cells.get(column.number):
            where = table.sheet.place(column.number, row.number)
            supported = ", ".join(COLUMNS[table.name])
            faults.note(where, f"The column “{heading}” is not supported. Supported are: {supported}.")
            return


class Languages:
    """The languages of a form, by code, and how their author wrote them."""

    def __init__(self, tables: dict[str, Table], settings: Row, faults: Faults) -> None:
        self._faults = faults
        table = tables["settings"]
        where = table.place(settings, "default_language")
        self.default = "en"
        self.default_as_written = table.cell(settings, "default_language") or None
        if self.default_as_written:
            self.default = self._code(self.default_as_written, where)
        self._written: dict[str, str] = {}
        columns = [(each, column) for each in tables.values() for column in each.columns]
        for each, column in columns:
            if column.name in TRANSLATED and column.language:
                self._note(column.language, each.sheet.place(column.number, 1))
        has_plain = any(column.name == "label" and column.language is None for _, column in columns)
        self._settle_default(where, has_plain)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of all languages, the default one first."""
        return tuple(dict.fromkeys([self.default, *self._written]))

    def _code(self, language: str, where: str) -> str:
        found = _LANGUAGE.fullmatch(language)
        if found is None:
            what = f"The language “{language}” is named without its code: write it as French (fr)."
            self._faults.note(where, what)
            return language
        return found["bracketed"] or found["bare"]

    def _note(self, language: str, where: str) -> None:
        written = self._written.setdefault(self._code(language, where), language)
        if written != language:
            self._faults.note(where, f"The language is called “{written}” elsewhere: write it the same here.")

    def _settle_default(self, where: str, has_plain: bool) -> None:
        """Without a setting, plain labels are in English, and else the first language is the default."""
        if self.default_as_written is None:
            if self._written and not has_plain:
                self.default, self.default_as_written = next(iter(self._written.items()))
            else:
                self.default_as_written = self._written.get(self.default)
        elif self._written.get(self.default, self.default_as_written) != self.default_as_written:
            written = self._written[self.default]
            self._faults.note(where, f"The columns call this language “{written}”: write it the same here.")

    def labels(self, table: Table, row: Row, name: str) -> Labels:
        """Collect one text of a row in all languages; a column without language is in the default one."""
        labels: Labels = {}
        for column in sorted(table.columns, key=lambda column: column.language is not None):
            written = row.cells.get(column.number, "")
            if column.name != name or not written:
                continue
            where = table.sheet.place(column.number, row.number)
            if "${" in written:
                self._faults.note(where, "A text that quotes an answer is not supported yet.")
            if len(written) > LABEL_LIMIT:
                what = f"The text has {len(written)} characters; at most {LABEL_LIMIT} are supported."
                self._faults.note(where, what)
            found = _LANGUAGE.fullmatch(column.language or "")
            labels[(found["bracketed"] or found["bare"]) if found else self.default] = written
        return labels

    def labelled(self, table: Table, row: Row) -> Labels:
        """Collect the label of a row, which is needed in the default language at least."""
        labels = self.labels(table, row, "label")
        if self.default not in labels:
            what = f"The label in the default language ({self.default}) is missing."
            wanted = [
                c
                for c in table.columns
                if c.name == "label" and c.language in (None, self.default_as_written)
            ]
            number = wanted[0].number if wanted else 1
            self._faults.note(table.sheet.place(number, row.number), what)
        return labels
