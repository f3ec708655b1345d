"""Every text is there in every language, a catalogue is all that a language needs, and a choice stays."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from babel.messages import Catalog
from jinja2 import Environment
from jinja2.filters import do_truncate
from lxml import html

from api.access import PLAIN_COOKIE
from api.pages import countries, extraction, translations, words
from api.pages.recorded import ANSWER_FAULTS, REASONS
from api.pages.translations import speaking, wanted
from domain.parties import ContactRole
from services import reference
from tests.api.conftest import MARTAS_ID
from tests.cast import contact_of, session_of
from tests.pages.conftest import AISHA, KOFI, Hire, Reader, Survey, caught_up, needs_form, paths

HOLE = re.compile(r"%\((\w+)\)s")
ROOT = Path(extraction.__file__).parents[2]


def forms(string: str | tuple[str, ...] | list[str] | None) -> list[str]:
    """A text in all its forms: one, or those for numbers."""
    return [string] if isinstance(string, str) else list(string or ("",))


@pytest.mark.parametrize("language", ["es", "fr"])
def test_every_text_has_a_translation_with_the_same_holes(language: str) -> None:
    path = translations.FOLDER / language / "LC_MESSAGES" / "mandate.po"
    wanted_texts = {(m.context, forms(m.id)[0]): m for m in extraction.texts() if m.id}
    catalogue = dict(extraction.catalogues())[path]
    there = {(m.context, forms(m.id)[0]): m for m in catalogue if m.id}
    assert there.keys() == wanted_texts.keys(), "run: python -m api.pages.extraction, then translate"
    for key, message in there.items():
        assert not message.fuzzy, key
        assert len(forms(message.string)) == (1 if isinstance(message.id, str) else catalogue.num_plurals)
        holes = set(HOLE.findall(" ".join(forms(message.id))))
        for said in forms(message.string):
            assert said.strip(), f"{key} has no translation"
            assert set(HOLE.findall(said)) <= holes | {"num"}, key
            assert not re.search(r"%(?!\(\w+\)s|%)", said), key
        # A language may say "one party" without the number, and no language may for many.
        assert set(HOLE.findall(forms(message.string)[-1])) == set(HOLE.findall(forms(message.id)[-1])), key
        for said in forms(message.string):
            assert re.findall(r"<[^>]+>", said) == re.findall(r"<[^>]+>", forms(message.id)[-1]), key


def test_texts_that_other_layers_write_are_still_written_there() -> None:
    source = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("domain", "services", "api")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "recorded.py"
    )
    source = re.sub(r'"\s*"', "", source)
    for text in (*REASONS, *ANSWER_FAULTS):
        beginning = text.partition(" as its ")[0]
        assert beginning in source, text


def test_a_reader_gets_what_was_chosen_else_what_the_browser_asks_for_else_english() -> None:
    assert wanted("es", "fr") == "es"
    assert wanted(None, "de-CH,de;q=0.9,fr-CH;q=0.8,en;q=0.5") == "fr"
    assert wanted("tlh", "fr;q=0, es-MX;q=0.3") == "es"
    for accepted in ("", "de", "fr;q=much", ";;,", "*"):
        assert wanted(None, accepted) == "en"


def test_dates_numbers_and_lengths_of_time_are_said_as_the_language_says_them() -> None:
    with speaking("fr"):
        assert words.percent(5, 8, 1) == "62,5\u00a0%"
        assert words.number(12_345) == "12\u202f345"
        assert words.duration(1_209_600) == "14\u00a0jours"
        assert words.parse_distances("14 jours, 3 h") == words.parse_distances("14 days, 3 hours")
        assert words.schedule([1_209_600, 86_400]) == "14\u00a0jours et 1\u00a0jour"
    with speaking("es"):
        assert words.letter_name("reminder", -86_400) == "Recordatorio, 1 día antes de la fecha límite"


def test_parties_are_named_as_the_united_nations_name_them_and_sorted_as_they_are_read() -> None:
    rows = [
        {"name": name, "iso3": code}
        for code, name in (("ESP", "Spain"), ("EGY", "Egypt"), ("DZA", "Algeria"))
    ]
    with speaking("fr"):
        assert countries.party_name("State of Palestine", "PSE") == "État de Palestine"
        assert countries.party_name("European Union", "EUE") == "Union européenne"
        assert [row["iso3"] for row in countries.by_name(rows)] == ["DZA", "EGY", "ESP"]
    with speaking("en"):
        assert countries.party_name("State of Palestine", "PSE") == "State of Palestine"
        assert [row["iso3"] for row in countries.by_name(rows)] == ["DZA", "EGY", "ESP"]


async def test_a_language_is_chosen_on_any_page_and_stays(reader: Reader, survey: Survey) -> None:
    await reader.open(f"/rounds/{survey.round_id}?state=owing")
    await reader.press("Français")
    assert reader.page.url.endswith(f"/rounds/{survey.round_id}?state=owing")
    assert await reader.page.get_attribute("html", "lang") == "fr"
    said = await reader.text()
    assert "Qui doit une réponse" in said
    assert "Pérou" in said
    await reader.must_be_good()
    await reader.open("/nothing-here")
    assert await reader.heading() == "Il n’y a rien ici"
    await reader.press("English")
    assert await reader.heading() == "There is nothing here"


async def test_a_browser_that_asks_for_spanish_gets_spanish(hire: Hire) -> None:
    stranger = await hire(None, locale="es-MX")
    await stranger.open("/sign-in")
    assert await stranger.heading() == "Iniciar sesión"


# A language that is not there yet: right to left, with every text in brackets.


@pytest.fixture
def pseudo(tmp_path: Path) -> Iterator[str]:
    """Arabic, as if somebody had added a catalogue: each text is the English one in brackets. So is French,
    in which the questionnaire can be read."""
    for language in ("ar", "fr"):
        catalogue = Catalog(locale=language, domain="mandate")
        for message in extraction.texts():
            if message.id:
                said = [f"⟦{each}⟧" for each in forms(message.id)]
                string = said[0] if len(said) == 1 else (said[-1],) * catalogue.num_plurals
                catalogue.add(message.id, string, context=message.context)
        path = tmp_path / language / "LC_MESSAGES" / "mandate.po"
        path.parent.mkdir(parents=True)
        extraction.write(path, catalogue)
    translations.load(tmp_path)
    yield "ar"
    translations.load()


def data() -> set[str]:
    """What is shown as it was recorded: names, titles, sources, and the words of the questionnaire."""
    form = needs_form()
    texts = {
        "Needs survey",
        "These answers are invented.",
        "Mandate",
        "Marta Lindqvist",
        "invented",
        "tests",
        AISHA.name,
        KOFI.name,
        *words.LANGUAGES.values(),
        form.form_id,
        form.version,
    }
    texts |= set(form.title.values())
    for section in form.sections:
        texts |= set(section.label.values())
    for question in form.questions:
        texts |= {*question.label.values(), *question.hint.values(), question.name}
        texts |= {label for option in question.options for label in option.label.values()}
    # What is long is cut off in lists to choose from.
    texts |= {do_truncate(Environment(), question.label["en"], 80) for question in form.questions}
    texts |= {contact_of(code, role).name for code in ("KEN", "PER") for role in ContactRole}
    registers = [*reference.parties(), *reference.chemicals()[:3], reference.centres()[0]]
    for row in registers:
        texts |= {value for value in vars(row).values() if isinstance(value, str)}
    return texts


def bare_words(page: str, known: list[str]) -> list[str]:
    """Find the texts of a page that stand outside of brackets and are no data."""
    tree = html.fromstring(page)
    for element in tree.iter("script", "style", "code", "pre", "textarea"):
        element.text = ""
        for child in list(element):
            element.remove(child)
    own = tree.get("lang")
    for element in list(tree.iter()):
        if element.get("lang") not in (None, own):
            element.text = ""
            for child in list(element):
                element.remove(child)
    found: list[str] = []
    depth = 0
    attributes = [value for element in tree.iter() for name, value in element.items() if name in SHOWN]
    for text in map(str, (*tree.itertext(), *attributes)):
        outside = ""
        for sign in text:
            depth += (sign == "⟦") - (sign == "⟧")
            outside += sign if not depth else " "
        for each in known:
            outside = outside.replace(each, " ")
        outside = re.sub(PLAIN, " ", outside)
        if re.search("[A-Za-z]{2,}", outside):
            found.append(" ".join(outside.split()))
    return found


SHOWN = ("aria-label", "title", "alt", "placeholder", "data-stop", "data-go", "data-unsaved")
"""Attributes that people read or hear."""
PLAIN = r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{12,}…?|\b[A-Z]{2,3}\b|UTC|GMT|/[\w/-]+|\bM\d+|\d+(st|th)"
"""Ids, hashes, codes, paths: what has no language."""


async def test_a_catalogue_is_all_that_a_language_needs_and_no_word_of_a_page_goes_past_it(
    pseudo: str, hire: Hire, survey: Survey, everything: None
) -> None:
    reader = await hire(None)
    await caught_up(reader.site)
    secret = await session_of(reader.services, MARTAS_ID)
    cookies = {PLAIN_COOKIE: secret, translations.COOKIE: pseudo}
    known = sorted((text for text in data() if len(text) > 3), key=len, reverse=True)
    async with httpx.AsyncClient(base_url=reader.site, cookies=cookies) as client:
        listed = html.fromstring((await client.get("/questionnaires")).text)
        questionnaire = str(listed.xpath("//h2/a/@href")[0])  # type: ignore[index]  # a list, for such a path
        bare = {}
        for path in paths(survey, questionnaire):
            asked_of_party = path.endswith("/answer")
            address = f"{path}?lang=fr" if asked_of_party else path
            answer = await client.get(address, headers={"Accept": "text/html"})
            begin = '<html lang="fr" dir="ltr">' if asked_of_party else '<html lang="ar" dir="rtl">'
            assert begin in answer.text, path
            if found := bare_words(answer.text, known):
                bare[path] = found
    assert not bare


async def test_pages_mirror_themselves_for_languages_from_right_to_left(
    pseudo: str, hire: Hire, survey: Survey, everything: None
) -> None:
    for width in (1280, 375):
        reader = await hire(viewport={"width": width, "height": 800}, locale="ar")
        for path in ("/", f"/rounds/{survey.round_id}", f"/gaps/{survey.round_id}"):
            await reader.open(path)
            await reader.must_be_good()
            brand = await reader.page.locator(".brand").bounding_box()
            assert brand is not None
            assert brand["x"] + brand["width"] > width * 0.8, "the brand begins the line, on the right"
