"""Single answers to the needs survey of 2016, synthesised from its published totals.

What is published is a table: how many parties of each region named each priority area, of the 40 that
answered. Which parties they were and what each of them named is not. This module makes up answers of 40
eligible parties that add up to that table, cell by cell, so that the way from an answer to a figure can be
shown and checked. The totals are facts; the single answers are not, and whatever shows them shows
``NOTICE`` too.

The same data always gives the same answers. Which parties answer, and who among equals is given an area,
is decided by a digest of the names: even-handed, and free of chance.

How it is done, for each region on its own: an area that was named c times goes to the c parties that have
fewest areas so far. Why it always comes out right: c is at most the number n of parties, so nobody is given
an area twice. When all parties have k or k + 1 areas, those with k are served first, so that afterwards all
have k or k + 1, or all have k + 1 or k + 2: the numbers never lie further apart than one. In the end
everybody has the mean of the region, rounded down or up. The means are between 3.5 and 3.9, so everybody
has three or four areas: at least one, and no more than the four that the question allows.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256

from pydantic import BaseModel, ConfigDict

from domain.parties import Region
from services.reference import PartyRow, SurveyRow

NOTICE = (
    "The totals are those published for the 2016 needs survey. Which parties answered, and what each of "
    "them answered, is not published: the single answers shown here are synthesised so that they add up "
    "to the published totals, and say nothing about any party."
)

RESPONDENTS = {Region.AFRICA: 15, Region.ASIA_PACIFIC: 9, Region.CEE: 4, Region.GRULAC: 12}
"""How many parties of each region answered in 2016; WEOG was not asked."""

FEWEST_AREAS = 1
MOST_AREAS = 4
"""The question allows at most four areas, and whoever answered it named at least one."""


class SynthesisedAnswer(BaseModel):
    """Priority areas that a party is made to name, so that the published totals come out."""

    model_config = ConfigDict(frozen=True)

    iso3: str
    region: Region
    areas: tuple[str, ...]
    """Options of the questionnaire, in the order of the survey."""


def synthesise(survey: Sequence[SurveyRow], parties: Iterable[PartyRow]) -> tuple[SynthesisedAnswer, ...]:
    """Return answers of eligible parties that add up to the survey, by region and area."""
    asked = [party for party in parties if party.eligible and party.party_at_cop7]
    answers: list[SynthesisedAnswer] = []
    for region, respondents in RESPONDENTS.items():
        chosen = _choose(respondents, [party.iso3 for party in asked if party.region is region], region)
        areas = _share_out({row.option: row.in_region(region) for row in survey}, chosen)
        for iso3 in sorted(chosen):
            _must_be_allowed(iso3, areas[iso3])
            answers.append(SynthesisedAnswer(iso3=iso3, region=region, areas=areas[iso3]))
    return tuple(answers)


def _choose(respondents: int, candidates: list[str], region: Region) -> list[str]:
    if len(candidates) < respondents:
        raise ValueError(
            f"{region}: {respondents} parties answered, and only {len(candidates)} could be asked"
        )
    return sorted(candidates, key=lambda iso3: _digest("respondent", iso3))[:respondents]


def _share_out(counts: dict[str, int], chosen: list[str]) -> dict[str, tuple[str, ...]]:
    """Give each area to as many of the chosen as named it, always to those with fewest areas so far."""
    areas: dict[str, list[str]] = defaultdict(list)
    for option in sorted(counts, key=lambda option: (-counts[option], option)):
        if counts[option] > len(chosen):
            raise ValueError(f"{counts[option]} parties named {option}, and only {len(chosen)} answered")
        turn = sorted(chosen, key=lambda iso3: (len(areas[iso3]), _digest(option, iso3)))
        for iso3 in turn[: counts[option]]:
            areas[iso3].append(option)
    return {iso3: tuple(option for option in counts if option in areas[iso3]) for iso3 in chosen}


def _must_be_allowed(iso3: str, areas: tuple[str, ...]) -> None:
    if not FEWEST_AREAS <= len(areas) <= MOST_AREAS:
        raise ValueError(f"{iso3} would name {len(areas)} areas; the totals do not fit the number of answers")


def _digest(*names: str) -> bytes:
    return sha256("/".join(names).encode()).digest()
