"""The synthesised answers add up to the published survey, and are the same whenever they are made."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from domain.parties import Region
from services.reference import SurveyRow, parties, survey_2016
from services.synthesis import NOTICE, RESPONDENTS, SynthesisedAnswer, synthesise


@pytest.fixture(scope="module")
def answers() -> tuple[SynthesisedAnswer, ...]:
    return synthesise(survey_2016(), parties())


def test_they_add_up_to_the_published_table_cell_by_cell(answers: tuple[SynthesisedAnswer, ...]) -> None:
    named = Counter((answer.region, area) for answer in answers for area in answer.areas)

    for row in survey_2016():
        assert {region: named[region, row.option] for region in Region} == {
            Region.AFRICA: row.africa,
            Region.ASIA_PACIFIC: row.asia_pacific,
            Region.CEE: row.cee,
            Region.GRULAC: row.grulac,
            Region.WEOG: 0,
        }
        assert sum(named[region, row.option] for region in Region) == row.all_regions


def test_forty_parties_answer_by_region_as_in_2016(answers: tuple[SynthesisedAnswer, ...]) -> None:
    assert Counter(answer.region for answer in answers) == RESPONDENTS
    assert len({answer.iso3 for answer in answers}) == sum(RESPONDENTS.values()) == 40


def test_only_parties_that_were_asked_answer(answers: tuple[SynthesisedAnswer, ...]) -> None:
    asked = {row.iso3: row for row in parties() if row.eligible and row.party_at_cop7}

    assert all(asked[answer.iso3].region is answer.region for answer in answers)


def test_every_answer_obeys_the_question(answers: tuple[SynthesisedAnswer, ...]) -> None:
    options = [row.option for row in survey_2016()]

    for answer in answers:
        assert 1 <= len(answer.areas) <= 4
        assert list(answer.areas) == sorted(set(answer.areas), key=options.index)


def test_the_order_of_the_parties_changes_nothing(answers: tuple[SynthesisedAnswer, ...]) -> None:
    assert synthesise(survey_2016(), reversed(parties())) == answers


def test_another_process_makes_the_same_answers(answers: tuple[SynthesisedAnswer, ...]) -> None:
    program = (
        "from services.reference import parties, survey_2016\n"
        "from services.synthesis import synthesise\n"
        "import sys; sys.stdout.write(repr(synthesise(survey_2016(), parties())))"
    )
    # A seed of its own for each run is what would make sets and hashes come out otherwise.
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout == repr(answers)


def test_the_notice_says_that_the_answers_are_made_up() -> None:
    assert "synthesised" in NOTICE
    assert "not published" in NOTICE


def test_it_refuses_totals_that_no_answers_could_add_up_to() -> None:
    too_often = SurveyRow(
        option="customs", priority_area="Customs", africa=16, asia_pacific=0, cee=0, grulac=0,
        all_regions=16, percent_all="40",
    )  # fmt: skip
    with pytest.raises(ValueError, match="16 parties named customs, and only 15 answered"):
        synthesise([too_often], parties())


def test_it_refuses_totals_that_would_make_a_party_name_five_areas() -> None:
    twice = [
        row.model_copy(update={"option": f"{row.option}_{time}"})
        for row in survey_2016()
        for time in ("once", "again")
    ]
    with pytest.raises(ValueError, match=r"would name [5-9] areas"):
        synthesise(twice, parties())


def test_it_refuses_when_fewer_parties_were_asked_than_answered() -> None:
    with pytest.raises(ValueError, match="4 parties answered, and only 0 could be asked"):
        synthesise(survey_2016(), [row for row in parties() if row.region is not Region.CEE])
