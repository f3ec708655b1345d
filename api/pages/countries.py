"""Names of parties in the language of whoever reads, and their order."""

import unicodedata
from collections.abc import Iterable
from functools import cache

from babel.core import get_global

from api.pages.translations import SOURCE, known, language, later_in, locale
from projections.reading import Record

OFFICIAL_NAMES = {
    "BHR": later_in("party", "Bahrain"),
    "BLR": later_in("party", "Belarus"),
    "BOL": later_in("party", "Bolivia (Plurinational State of)"),
    "BWA": later_in("party", "Botswana"),
    "CIV": later_in("party", "Côte d'Ivoire"),
    "COD": later_in("party", "Democratic Republic of the Congo"),
    "COG": later_in("party", "Congo"),
    "CPV": later_in("party", "Cabo Verde"),
    "DJI": later_in("party", "Djibouti"),
    "GBR": later_in("party", "United Kingdom of Great Britain and Northern Ireland"),
    "GMB": later_in("party", "Gambia"),
    "GNB": later_in("party", "Guinea-Bissau"),
    "IRN": later_in("party", "Iran (Islamic Republic of)"),
    "IRQ": later_in("party", "Iraq"),
    "KAZ": later_in("party", "Kazakhstan"),
    "KEN": later_in("party", "Kenya"),
    "KGZ": later_in("party", "Kyrgyzstan"),
    "KNA": later_in("party", "Saint Kitts and Nevis"),
    "KOR": later_in("party", "Republic of Korea"),
    "LAO": later_in("party", "Lao People's Democratic Republic"),
    "LBR": later_in("party", "Liberia"),
    "LSO": later_in("party", "Lesotho"),
    "MDA": later_in("party", "Republic of Moldova"),
    "MKD": later_in("party", "North Macedonia"),
    "MWI": later_in("party", "Malawi"),
    "NGA": later_in("party", "Nigeria"),
    "PRK": later_in("party", "Democratic People's Republic of Korea"),
    "PSE": later_in("party", "State of Palestine"),
    "QAT": later_in("party", "Qatar"),
    "RUS": later_in("party", "Russian Federation"),
    "RWA": later_in("party", "Rwanda"),
    "SAU": later_in("party", "Saudi Arabia"),
    "SLV": later_in("party", "El Salvador"),
    "SUR": later_in("party", "Suriname"),
    "SWZ": later_in("party", "Eswatini"),
    "SYR": later_in("party", "Syrian Arab Republic"),
    "TUR": later_in("party", "Türkiye"),
    "TZA": later_in("party", "United Republic of Tanzania"),
    "VEN": later_in("party", "Venezuela (Bolivarian Republic of)"),
    "VNM": later_in("party", "Viet Nam"),
    "ZWE": later_in("party", "Zimbabwe"),
}
"""Parties for which the United Nations use another name than Unicode's CLDR, in some language. The catalogues
have the names of the United Nations."""


def party_name(name: str, iso3: str) -> str:
    """Return the name of a party: in English the one of the register; in other languages the one that the
    United Nations use, or that CLDR has for the country."""
    if language() == SOURCE:
        return name
    if iso3 in OFFICIAL_NAMES:
        return known(OFFICIAL_NAMES[iso3], "party")
    return str(locale().territories.get(iso2_of(iso3), name))


@cache
def iso2_of(iso3: str) -> str:
    """Return the code of a country with two letters; nothing when there is none."""
    # The European Union has no code of its own in ISO 3166-1, and EUE in travel documents alone.
    return "EU" if iso3 == "EUE" else next(iter(get_global("territory_aliases").get(iso3, [])), "")


def in_order(name: str) -> str:
    """Return by what a name is sorted: accents and capitals do not count."""
    parts = unicodedata.normalize("NFKD", name)
    return "".join(part for part in parts if not unicodedata.combining(part)).casefold()


def by_name(rows: Iterable[Record]) -> list[Record]:
    """Return rows of parties in the order of their names, as the reader reads them."""
    return sorted(rows, key=lambda row: in_order(party_name(row["name"], row["iso3"])))
