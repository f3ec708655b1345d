"""The words of the pages in the language of whoever reads.

Texts are written in English where they are shown: ``_("Sign in")`` in code, ``{{ _("Sign in") }}`` or
``{% trans %}`` in templates. Their translations are in ``locale/<language>/LC_MESSAGES/mandate.po``; they are
compiled here, in memory, when the process starts. A further language is a further file. What has no
translation is shown in English. ``python -m api.pages.extraction`` keeps the files in step with the code.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Any

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from jinja2 import Environment
from markupsafe import Markup
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

FOLDER = Path(__file__).parent / "locale"
SOURCE = "en"
"""The language in which the texts are written."""
COOKIE = "mandate-language"
"""Under this name the browser keeps the language that was chosen. It is no secret."""

_CONVENTIONS = {SOURCE: "en_GB"}
"""Whose way of writing dates and numbers goes with a language, where the language alone leaves it open."""


def read(folder: Path) -> dict[str, NullTranslations]:
    """Compile all catalogues of a folder, by language."""
    found: dict[str, NullTranslations] = {SOURCE: NullTranslations()}
    for path in sorted(folder.glob("*/LC_MESSAGES/mandate.po")):
        language = path.parts[-3]
        with path.open("rb") as file:
            catalogue = read_po(file, locale=language, domain="mandate")
        compiled = BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        found[language] = GNUTranslations(compiled)
    return found


_catalogues: dict[str, NullTranslations] = {}


def load(folder: Path = FOLDER) -> None:
    """Speak the languages of a folder from now on."""
    _catalogues.clear()
    _catalogues.update(read(folder))


load()
_language: ContextVar[str] = ContextVar("language", default=SOURCE)


def languages() -> list[str]:
    """Return the languages that the pages can speak."""
    return list(_catalogues)


def language() -> str:
    """Return the language that is spoken now."""
    return _language.get()


@contextmanager
def speaking(wanted: str) -> Iterator[str]:
    """Speak a language for a while; English, where we have no catalogue."""
    token = _language.set(spoken(wanted))
    try:
        yield _language.get()
    finally:
        _language.reset(token)


def speak(wanted: str) -> None:
    """Speak a language for the rest of the request: that of a party, on the pages that are for it."""
    _language.set(spoken(wanted))


def spoken(wanted: str) -> str:
    """Return the language in which the pages speak to readers of a language."""
    return wanted if wanted in _catalogues else SOURCE


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(_CONVENTIONS.get(language, language))


def locale() -> Locale:
    """Return how the language that is spoken now writes dates, numbers and names of countries."""
    return _locale(language())


# What is said. Values are filled in by name: _("Party since %(day)s", day=...).


def _(message: str, **values: Any) -> str:
    """Return a text in the language that is spoken now."""
    return _catalogues[language()].gettext(message) % values


gettext = _


def ngettext(one: str, many: str, number: int, **values: Any) -> str:
    """Return a text with a number, written ``%(num)s``, in the form that the language has for it."""
    text = _catalogues[language()].ngettext(one, many, number)
    return text % {"num": format_decimal(number, locale=locale()), **values}


def pgettext(context: str, message: str, **values: Any) -> str:
    """Return a text whose translation depends on where it stands."""
    return _catalogues[language()].pgettext(context, message) % values


def later(message: str) -> str:
    """Mark a text that is translated where it is shown, with ``_(name)``: those of tables and constants."""
    return message


def later_in(context: str, message: str) -> str:
    """Mark a text whose translation depends on where it stands, and which is translated where it is shown."""
    return message


def known(text: str, context: str | None = None) -> str:
    """Return a text that was put together or recorded elsewhere in the language that is spoken now, where
    the catalogue has it word for word, and else as it is."""
    if not text:
        return text  # In a catalogue the empty text stands for its own header.
    catalogue = _catalogues[language()]
    return catalogue.pgettext(context, text) if context else catalogue.gettext(text)


def teach(environment: Environment) -> None:
    """Let templates translate. What is filled in is escaped, what is translated is ours."""
    environment.add_extension("jinja2.ext.i18n")
    environment.newstyle_gettext = True  # type: ignore[attr-defined]  # the extension adds it
    environment.policies["ext.i18n.trimmed"] = True
    environment.filters["known"] = known
    environment.globals.update(
        gettext=lambda message, **values: Markup(_catalogues[language()].gettext(message)) % values,
        ngettext=_marked_ngettext,
        pgettext=lambda context, message, **values: (
            Markup(_catalogues[language()].pgettext(context, message)) % values
        ),
        known=known,
        tongue=language,
        tongues=languages,
    )


def _marked_ngettext(one: str, many: str, number: int, **values: Any) -> Markup:
    text = Markup(_catalogues[language()].ngettext(one, many, number))
    return text % {"num": format_decimal(number, locale=locale()), **values}


# Which language a reader wants.


def wanted(chosen: str | None, accepted: str) -> str:
    """Return the language to speak: the one that was chosen, else the best of those that the browser names
    (in the form of the header Accept-Language), else English."""
    if chosen in _catalogues:
        return chosen
    wishes = [_wish(part) for part in accepted.split(",")]
    known = [(weight, tag) for weight, tag in wishes if tag in _catalogues and weight > 0]
    return max(known, key=lambda wish: wish[0])[1] if known else SOURCE


def _wish(part: str) -> tuple[float, str]:
    tag, _, weight = part.partition(";")
    try:
        return float(weight.strip().removeprefix("q=") or 1), tag.strip().lower().partition("-")[0]
    except ValueError:
        return 0.0, ""


class ReadersLanguage:
    """Speaks the language of the reader while a request is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        with speaking(wanted(request.cookies.get(COOKIE), request.headers.get("accept-language", ""))):
            await self.app(scope, receive, send)


HEADERS: Mapping[str, str] = {"Vary": "Accept-Language, Cookie"}
"""What a page says to those who keep copies: it depends on the reader."""
