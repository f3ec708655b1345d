"""The language of a form's rules: XPath 1.0 with the functions of OpenRosa, as XLSForm writes it.

Supported are ``${name}`` for the answer to another question, ``.`` for the answer at hand, literals,
operators, brackets and the functions of FUNCTIONS. Paths are not: a reference says the same and cannot
point outside the form. Expressions are compared with this list when a form is taken in, because XPath
itself finds an unknown function or a wrong number of arguments only when the rule runs.

An answer reads as text, and one that was not given as empty text, which is false. A date reads as the
number of days since 1970-01-01, so that dates can be compared and counted.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from lxml import etree

from domain.expression_functions import EXTENSIONS, FUNCTIONS, RENAMED, day_from

LENGTH_LIMIT = 1_000
"""Longest expression, in characters."""
DEPTH_LIMIT = 20
"""Deepest nesting of brackets."""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
"""What a question or a section may be called."""

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<literal>'[^']*'|"[^"]*")
      | \$\{\s*(?P<reference>[^{}]*?)\s*\}
      | (?P<number>[0-9]+(\.[0-9]*)?|\.[0-9]+)
      | (?P<name>[^\W\d][\w.-]*(:[^\W\d][\w.-]*)?)
      | (?P<operator><=|>=|!=|[=<>+*-])
      | (?P<self>\.(?!\.))
      | (?P<open>\() | (?P<close>\)) | (?P<comma>,)
      | (?P<other>\.\.|::|.)""",
    re.VERBOSE | re.DOTALL,
)
_SMART_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"'})
_WORD_OPERATORS = frozenset({"and", "or", "div", "mod"})
_BEFORE_OPERAND = frozenset({"start", "operator", "open", "comma"})


class Token(NamedTuple):
    """A piece of an expression, and what sort it is."""

    sort: str
    text: str


@dataclass(frozen=True)
class Expression:
    """A rule as it was read: the XPath that runs, what it refers to, and what is wrong with it."""

    xpath: str
    references: tuple[str, ...]
    uses_answer: bool
    """Whether it looks at the answer at hand, ``.``."""
    faults: tuple[str, ...]
    comparisons: tuple[tuple[str, str], ...]
    """Options by name: (question name or ``.``, option) for each ``selected(…, 'option')``."""


def _tokens(source: str) -> list[Token]:
    found = []
    for match in _TOKEN.finditer(source.translate(_SMART_QUOTES)):
        sort = match.lastgroup or "other"
        if sort != "space":
            found.append(Token(sort, match[sort] if sort == "reference" else match[0]))
    return found


@dataclass
class _Bracket:
    """An open bracket: whose arguments it holds, and how many there are so far."""

    function: str | None
    arguments: int = 0


@dataclass
class _Reader:
    """Reads the tokens of one expression from left to right, and notes everything that is wrong."""

    tokens: list[Token]
    xpath: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    comparisons: list[tuple[str, str]] = field(default_factory=list)
    uses_answer: bool = False
    brackets: list[_Bracket] = field(default_factory=list)
    before: str = "start"

    def at(self, index: int) -> Token:
        return self.tokens[index] if 0 <= index < len(self.tokens) else Token("end", "")

    def read(self) -> None:
        for index, token in enumerate(self.tokens):
            sort = token.sort
            if sort == "name" and token.text in _WORD_OPERATORS and self.before not in _BEFORE_OPERAND:
                sort = "operator"
            if self.brackets and self.before == "open" and sort != "close":
                self.brackets[-1].arguments = 1
            getattr(self, f"_{sort}")(index, token)
            self.before = sort
        if self.brackets:
            self.faults.append("A bracket is opened and not closed.")

    def _literal(self, index: int, token: Token) -> None:
        inside = token.text[1:-1]
        if "${" in inside:
            self.faults.append(
                f"{token.text} is plain text because of its quotes: take the reference out of them."
            )
        called = self.at(index - 1).sort == "open" and self.at(index - 2) == Token("name", "date")
        if called and day_from(inside) is None:
            self.faults.append(f"{token.text} is no date: write year-month-day, such as date('2016-09-30').")
        if not called and day_from(inside) is not None:
            self.faults.append(f"{token.text} would be compared as text: write date({token.text}).")
        self.xpath.append(token.text)

    def _reference(self, _: int, token: Token) -> None:
        if not NAME.fullmatch(token.text):
            self.faults.append(f"${{{token.text}}} is not the name of a question.")
        self.references.append(token.text)
        self.xpath.append(f"string( /data/{token.text} )")

    def _self(self, _: int, __: Token) -> None:
        self.uses_answer = True
        self.xpath.append("string( . )")

    def _number(self, _: int, token: Token) -> None:
        self.xpath.append(token.text)

    def _operator(self, _: int, token: Token) -> None:
        if token.text == "*" and self.before in _BEFORE_OPERAND:
            self.faults.append("There is nothing before the sign *.")
        self.xpath.append(token.text)

    def _name(self, index: int, token: Token) -> None:
        if self.at(index + 1).sort != "open":
            self.faults.append(
                f"The word “{token.text}” means nothing here: write ${{{token.text}}} for the answer to a "
                f"question, or '{token.text}' for text."
            )
        elif token.text not in FUNCTIONS:
            self.faults.append(f"The function {token.text}() is not known or not supported.")
        elif token.text == "regex":
            self._examine_pattern(index)
        elif token.text == "selected":
            self._note_comparison(index)
        self.xpath.append(RENAMED.get(token.text, token.text))

    def _open(self, index: int, _: Token) -> None:
        previous = self.at(index - 1)
        is_call = previous.sort == "name" and self.before == "name"
        self.brackets.append(_Bracket(previous.text if is_call else None))
        if len(self.brackets) == DEPTH_LIMIT + 1:
            self.faults.append(f"The brackets are nested more than {DEPTH_LIMIT} deep.")
        self.xpath.append("(")

    def _comma(self, _: int, __: Token) -> None:
        if self.brackets:
            self.brackets[-1].arguments += 1
        self.xpath.append(",")

    def _close(self, _: int, __: Token) -> None:
        self.xpath.append(")")
        if not self.brackets:
            self.faults.append("A bracket is closed that was not opened.")
            return
        bracket = self.brackets.pop()
        known = FUNCTIONS.get(bracket.function or "")
        if known is not None and not known.fewest <= bracket.arguments <= known.most:
            wanted = str(known.fewest) if known.fewest == known.most else f"{known.fewest} to {known.most}"
            self.faults.append(
                f"The function {bracket.function}() takes {wanted} values and was given {bracket.arguments}."
            )
        if bracket.function == "today" and bracket.arguments == 0:
            # The day comes from outside, as a variable, so that the same answers always check the same.
            del self.xpath[-3:]
            self.xpath.append("$today")

    def _other(self, _: int, token: Token) -> None:
        self.faults.append(
            f"The sign {token.text} is not supported: refer to a question as ${{name}} and not by a path, "
            "and close every quote."
        )

    def _examine_pattern(self, index: int) -> None:
        """The pattern of regex() stands between quotes, as the last value, so that it can be tried now."""
        depth, place = 0, index + 1
        while self.at(place).sort != "end":
            depth += {"open": 1, "close": -1}.get(self.at(place).sort, 0)
            if depth == 1 and self.at(place).sort == "comma":
                break
            place += 1
        pattern = self.at(place + 1)
        if pattern.sort != "literal" or self.at(place + 2).sort != "close":
            self.faults.append("The second value of regex() must be a pattern between quotes.")
            return
        try:
            re.compile(pattern.text[1:-1])
        except (re.error, OverflowError, RecursionError) as error:
            self.faults.append(f"The pattern {pattern.text} of regex() cannot be read: {error}.")

    def _note_comparison(self, index: int) -> None:
        """Note ``selected(${question}, 'option')``, so that the option can be looked for in the form."""
        question, comma, option, close = (self.at(index + step) for step in (2, 3, 4, 5))
        sorts = (question.sort, comma.sort, option.sort, close.sort)
        if sorts[1:] == ("comma", "literal", "close") and sorts[0] in ("reference", "self"):
            self.comparisons.append((question.text, option.text[1:-1]))


@lru_cache(maxsize=4096)
def read(source: str) -> Expression:
    """Read an expression; whatever is wrong with it is among its faults, and nothing is raised."""
    if len(source) > LENGTH_LIMIT:
        fault = f"The expression has {len(source)} characters; at most {LENGTH_LIMIT} are supported."
        return Expression("", (), False, (fault,), ())
    reader = _Reader(_tokens(source))
    reader.read()
    if not reader.tokens:
        reader.faults.append("The expression is empty.")
    xpath = f"boolean( {' '.join(reader.xpath)} )"
    if not reader.faults:
        try:
            etree.XPath(xpath, extensions=EXTENSIONS)
        except etree.XPathError:
            reader.faults.append("The expression is not complete, or a sign or value too many stands in it.")
    return Expression(
        xpath=xpath,
        references=tuple(dict.fromkeys(reader.references)),
        uses_answer=reader.uses_answer,
        faults=tuple(dict.fromkeys(reader.faults)),
        comparisons=tuple(reader.comparisons),
    )


@lru_cache(maxsize=4096)
def _compiled(source: str) -> etree.XPath:
    return etree.XPath(read(source).xpath, extensions=EXTENSIONS)


def holds(source: str, node: etree._Element, today: float) -> bool:
    """Say whether the rule ``source`` holds at ``node`` of an instance, on the day ``today``.

    The instance has a root ``data`` and one child for each question, with its answer as text.
    """
    return bool(_compiled(source)(node, today=today))
