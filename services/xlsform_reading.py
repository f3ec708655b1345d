"""Reads the sheets of an XLSForm into a form, row by row."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from domain.expressions import NAME
from domain.forms import Form, Kind, Labels, Option, Question, Section
from services.spreadsheets import Row
from services.xlsform_tables import (
    COLUMNS,
    FOR_AUTHORS,
    Faults,
    Languages,
    Table,
    columns_are_known,
    sheets_are_there,
)

TITLE_LIMIT = 300
"""Longest title, in characters."""
OPTION_LIMIT = 500
"""Most options in one list."""

_KINDS: dict[str, Kind] = {
    "select_one": "select_one",
    "select_multiple": "select_multiple",
    "text": "text",
    "string": "text",
    "integer": "integer",
    "int": "integer",
    "decimal": "decimal",
    "date": "date",
    "note": "note",
}
_GROUP_COLUMNS = frozenset({"type", "name", "label", "relevant", "appearance"})
_NOTE_COLUMNS = frozenset({"type", "name", "label", "hint", "relevant", "appearance"})
_APPEARANCES = frozenset({"multiline", "minimal", "field-list", "quick", "compact", "columns", "horizontal"})
_YES = frozenset({"yes", "true", "true()"})
_NO = frozenset({"no", "false", "false()", ""})

_TYPES = "begin group, end group, select_one LIST, select_multiple LIST, text, integer, decimal, date, note"
_TYPE = re.compile(r"(?P<word>select_(one|multiple)) (?P<list>\S+)(?P<rest> .+)?|(?P<plain>.+)")
_GROUP = re.compile(r"(?P<edge>begin|end)[ _]group")
_OPTION = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FORM_ID = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")


@dataclass
class _OpenGroup:
    """A section while its rows are read."""

    name: str
    label: Labels
    relevant: str | None
    place: str
    questions: list[Question] = field(default_factory=list)

    def closed(self) -> Section:
        return Section(
            name=self.name, label=self.label, relevant=self.relevant, questions=tuple(self.questions)
        )


class Reader:
    """Reads the three sheets into a form, and notes the faults of their cells on the way."""

    def __init__(self, tables: dict[str, Table], faults: Faults) -> None:
        self.tables = tables
        self.faults = faults
        self.cells: dict[tuple[str, str], str] = {}
        """Where each name and rule stands: (name, column) to its cell."""
        sheets_are_there(tables, faults)
        faults.stop()
        for table in tables.values():
            columns_are_known(table, faults)
        self.settings = self._settings_row()
        self.languages = Languages(tables, self.settings, faults)

    def read(self) -> Form:
        """Read the form, or raise Invalid with every fault."""
        settings = self._settings()
        sections = self._sections(self._options())
        self.faults.stop()
        title = {self.languages.default: settings["form_title"]}
        return Form(
            form_id=settings["form_id"],
            version=settings["version"],
            title=title | self.languages.labels(self.tables["settings"], self.settings, "translated_title"),
            default_language=self.languages.default,
            languages=self.languages.codes,
            sections=sections,
        )

    # ---- settings ------------------------------------------------------------------------------------

    def _settings_row(self) -> Row:
        table = self.tables["settings"]
        row, *more = table.sheet.rows or [Row(2, {})]
        for extra in more:
            what = "The settings have one row of values; this is another."
            self.faults.note(table.sheet.place(1, extra.number), what)
        return row

    def _settings(self) -> dict[str, str]:
        table, row = self.tables["settings"], self.settings
        found = {name: table.cell(row, name) for name in ("form_id", "form_title", "version")}
        wanted = {
            "form_id": (_FORM_ID, "small letters, digits, - and _, beginning with a letter, at most 63"),
            "version": (_VERSION, "letters, digits, points, - and _, at most 50"),
        }
        for name, (pattern, allowed) in wanted.items():
            if not pattern.fullmatch(found[name]):
                what = f"The {name} is missing or is not made of {allowed}."
                self.faults.note(table.place(row, name), what)
        if not found["form_title"] or len(found["form_title"]) > TITLE_LIMIT:
            what = f"The title is missing or has over {TITLE_LIMIT} characters."
            self.faults.note(table.place(row, "form_title"), what)
        return found

    # ---- choices -------------------------------------------------------------------------------------

    def _options(self) -> dict[str, tuple[Option, ...]]:
        lists: dict[str, list[Option]] = {}
        table = self.tables.get("choices")
        for row in table.sheet.rows if table else ():
            assert table is not None
            if not table.filled(row) - set(FOR_AUTHORS):
                continue
            name, of = table.cell(row, "name"), table.cell(row, "list_name")
            if not of or " " in of:
                self.faults.note(
                    table.place(row, "list_name"), "The name of the list is missing, or holds a blank."
                )
            if not _OPTION.fullmatch(name):
                what = (
                    "The name of the option is missing, or is not made of letters, digits, points, - and _."
                )
                self.faults.note(table.place(row, "name"), what)
            options = lists.setdefault(of, [])
            if any(option.name == name for option in options):
                self.faults.note(table.place(row, "name"), f"The list “{of}” has an option “{name}” already.")
            options.append(Option(name=name, label=self.languages.labelled(table, row)))
            if len(options) == OPTION_LIMIT + 1:
                self.faults.note(table.place(row, "name"), f"A list has at most {OPTION_LIMIT} options.")
        return {name: tuple(options) for name, options in lists.items()}

    # ---- survey --------------------------------------------------------------------------------------

    def _sections(self, options: dict[str, tuple[Option, ...]]) -> tuple[Section, ...]:
        table = self.tables["survey"]
        sections: list[_OpenGroup] = []
        open_groups: list[_OpenGroup] = []
        loose = False
        for row in self._rows(table):
            edge = _GROUP.fullmatch(table.cell(row, "type"))
            if edge is None:
                if not open_groups and not loose:
                    sections.append(_OpenGroup("", {}, None, ""))
                question = self._question(table, row, options)
                if question is not None:
                    (open_groups or sections)[-1].questions.append(question)
                loose = not open_groups
            elif edge["edge"] == "begin":
                loose = False
                if open_groups:
                    self.faults.note(table.place(row, "type"), "A group in a group is not supported yet.")
                group = self._group(table, row)
                open_groups.append(group)
                sections.append(group)
            else:
                self._close_group(table, row, open_groups)
        for group in open_groups:
            self.faults.note(group.place, "The group is begun here and never ended.")
        if not any(group.questions for group in sections):
            self.faults.note(table.sheet.place(1, 2), "The form has no questions.")
        return tuple(group.closed() for group in sections if group.questions)

    def _rows(self, table: Table) -> Iterator[Row]:
        for row in table.sheet.rows:
            if not table.filled(row) - set(FOR_AUTHORS):
                continue
            if not table.cell(row, "type"):
                self.faults.note(table.place(row, "type"), "The type of this row is missing.")
                continue
            yield row

    def _group(self, table: Table, row: Row) -> _OpenGroup:
        self._says_only(table, row, _GROUP_COLUMNS, "A group")
        name = self._name(table, row)
        relevant = self._rule(table, row, name, "relevant")
        return _OpenGroup(
            name, self.languages.labels(table, row, "label"), relevant, table.place(row, "type")
        )

    def _close_group(self, table: Table, row: Row, open_groups: list[_OpenGroup]) -> None:
        self._says_only(table, row, frozenset({"type", "name", "label"}), "The end of a group")
        if not open_groups:
            self.faults.note(table.place(row, "type"), "A group is ended here that was not begun.")
            return
        group = open_groups.pop()
        if not group.questions:
            self.faults.note(group.place, "The group has no questions.")

    def _question(self, table: Table, row: Row, options: dict[str, tuple[Option, ...]]) -> Question | None:
        kind, own_options = self._kind(table, row, options)
        if kind is None:
            return None
        name = self._name(table, row)
        if kind == "note":
            self._says_only(table, row, _NOTE_COLUMNS, "A note")
        return Question(
            name=name,
            kind=kind,
            label=self.languages.labelled(table, row),
            hint=self.languages.labels(table, row, "hint"),
            options=own_options,
            required=self._required(table, row),
            required_message=self.languages.labels(table, row, "required_message"),
            relevant=self._rule(table, row, name, "relevant"),
            constraint=self._rule(table, row, name, "constraint"),
            constraint_message=self.languages.labels(table, row, "constraint_message"),
            appearance=self._appearance(table, row),
        )

    def _kind(
        self, table: Table, row: Row, options: dict[str, tuple[Option, ...]]
    ) -> tuple[Kind | None, tuple[Option, ...]]:
        written, where = " ".join(table.cell(row, "type").split()), table.place(row, "type")
        found = _TYPE.fullmatch(written)
        word = (found["word"] or found["plain"]) if found else written
        kind = _KINDS.get(word)
        if kind is None or kind.startswith("select") != bool(found and found["list"]):
            self.faults.note(where, f"The type “{written}” is not supported. Supported are: {_TYPES}.")
            return None, ()
        if found is None or not found["list"]:
            return kind, ()
        if found["rest"]:
            self.faults.note(where, f"“{found['rest'].strip()}” after the name of the list is not supported.")
        if found["list"] not in options:
            self.faults.note(where, f"The sheet “choices” has no list “{found['list']}”.")
        return kind, options.get(found["list"], ())

    def _name(self, table: Table, row: Row) -> str:
        name, where = table.cell(row, "name"), table.place(row, "name")
        if not NAME.fullmatch(name):
            what = "The name is missing, or is not a letter and then letters, digits, points, - and _."
            self.faults.note(where, what)
        elif (name, "name") in self.cells:
            self.faults.note(where, f"The name “{name}” is used already, in {self.cells[name, 'name']}.")
        else:
            self.cells[name, "name"] = where
        return name

    def _rule(self, table: Table, row: Row, name: str, column: str) -> str | None:
        self.cells[name, column] = table.place(row, column)
        return table.cell(row, column) or None

    def _required(self, table: Table, row: Row) -> bool:
        written = table.cell(row, "required").lower()
        if written not in _YES | _NO:
            self.faults.note(table.place(row, "required"), "Write yes or no; a rule is not supported here.")
        return written in _YES

    def _appearance(self, table: Table, row: Row) -> str:
        words = table.cell(row, "appearance").split()
        for word in words:
            if word not in _APPEARANCES:
                supported = ", ".join(sorted(_APPEARANCES))
                what = f"The appearance “{word}” is not supported. Supported are: {supported}."
                self.faults.note(table.place(row, "appearance"), what)
        return " ".join(words)

    def _says_only(self, table: Table, row: Row, allowed: Iterable[str], what: str) -> None:
        for name in sorted(table.filled(row) - set(allowed) - set(FOR_AUTHORS)):
            if name in COLUMNS["survey"]:
                self.faults.note(table.place(row, name), f"{what} has no use for the column “{name}”.")
