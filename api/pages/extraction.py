"""Keeps the catalogues in step with the texts: ``python -m api.pages.extraction``.

It collects every text of the templates and of the code, and brings each catalogue up to date: new texts are
added without a translation, and those that are gone are removed. Nothing is ever guessed (fuzzy).
"""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from api.pages.translations import FOLDER

API = Path(__file__).parents[1]
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
OPTIONS = {
    "**/templates/**.html": {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"},
}
KEYWORDS = {
    "_": None,
    "gettext": None,
    "later": None,
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
    return found


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
