"""Keeps the catalogues in step with the texts: ``python -m api.pages.extraction``.

It collects every text of the templates and of the code, and brings each catalogue up to date: new texts are
added without a translation, and those that are gone are removed. Nothing is ever guessed (fuzzy).
"""

import pkgutil
from collections.abc import Iterator
from enum import StrEnum
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po
from pydantic import BaseModel

import domain
from api.pages import event_names
from api.pages.event_fields import OF_EVERY_EVENT
from api.pages.translations import FOLDER
from domain.access import Action, Role, Way
from domain.aggregates import Aggregate
from domain.forms import Form
from domain.parties import Language

API = Path(__file__).parents[1]
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
OPTIONS = {
    "**/templates/**.html": {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"},
}
FAMILIES = ("Event", "Created")
"""Names of classes that stand for a family of events, and not for anything that happens."""
KEYWORDS = {
    "_": None,
    "gettext": None,
    "later": None,
    "later_in": ((1, "c"), 2),
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}


def texts() -> Catalog:
    """Return every text that is to be translated, with the files in which it stands."""
    found = Catalog(domain="mandate")
    for name, _, message, comments, context in extract_from_dir(
        API, METHODS, OPTIONS, keywords=KEYWORDS, comment_tags=("Translators:",), strip_comment_tags=True
    ):
        found.add(message, None, [(f"api/{name}", 0)], auto_comments=comments, context=context)
    for message, module in _of_the_domain():
        found.add(message, None, [(f"{module.replace('.', '/')}.py", 0)])
    return found


def _of_the_domain() -> Iterator[tuple[str, str]]:
    """Yield what pages say of events, which is written in the domain: their names, what they mean, the names
    of their fields, and the values that are one of a few. With each comes the module."""
    for module in pkgutil.iter_modules(domain.__path__, "domain."):
        import_module(module.name)
    for aggregate in sorted(_below(Aggregate), key=lambda each: (each.__module__, each.__name__)):
        yield event_names.apart(aggregate.__name__), aggregate.__module__
        for kind in vars(aggregate).values():
            if isinstance(kind, type) and issubclass(kind, Aggregate.Event) and kind.__name__ not in FAMILIES:
                yield event_names.event_source(kind), kind.__module__
                yield event_names.summary_source(kind), kind.__module__
                yield from _of_fields(kind)
    for values in (Role, Action, Way):
        yield from ((value, values.__module__) for value in values)


def _of_fields(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        if name not in OF_EVERY_EVENT:
            yield event_names.field_source(name), model.__module__
            yield from _of_values(field.annotation)


def _of_values(annotation: Any) -> Iterator[tuple[str, str]]:
    if isinstance(annotation, type) and issubclass(annotation, Form | Language):
        return  # A form is shown by its title, and a language by its own name.
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _of_fields(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, StrEnum):
        yield from ((value, annotation.__module__) for value in annotation)
    else:
        for argument in get_args(annotation):
            yield from _of_values(argument)


def _below(kind: type[Aggregate]) -> Iterator[type[Aggregate]]:
    for child in kind.__subclasses__():
        if child.__module__.startswith("domain."):
            yield child
            yield from _below(child)


def catalogues(folder: Path = FOLDER) -> Iterator[tuple[Path, Catalog]]:
    """Yield each catalogue with its file."""
    for path in sorted(folder.glob("*/LC_MESSAGES/mandate.po")):
        with path.open("rb") as file:
            yield path, read_po(file, locale=path.parts[-3], domain="mandate")


def write(path: Path, catalogue: Catalog) -> None:
    """Write a catalogue, always in the same way, so that a change of it shows what changed."""
    written = BytesIO()
    write_po(written, catalogue, width=110, sort_by_file=True, ignore_obsolete=True, include_lineno=False)
    path.write_bytes(written.getvalue())


def main() -> None:
    """Bring all catalogues up to date."""
    found = texts()
    for path, catalogue in catalogues():
        catalogue.update(found, no_fuzzy_matching=True, update_creation_date=False)
        write(path, catalogue)


if __name__ == "__main__":
    main()
