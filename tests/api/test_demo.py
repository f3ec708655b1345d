"""The demonstration, loaded for real."""

from decimal import Decimal

from api import demo
from projections import gaps, rounds
from projections.reading import Tables
from projections.runner import Runner
from services import reference
from services.settings import Settings
from services.synthesis import NOTICE


async def test_its_gap_table_equals_the_published_table_cell_by_cell(
    settings: Settings, runner: Runner
) -> None:
    await demo.load(settings, lambda _: None)
    await runner.catch_up()

    async with Tables(settings.reader_url) as tables, tables.picture() as picture:
        rows = await gaps.needs_by_region(picture, demo.ROUND, "priority_areas")
        found = {(row["option"], row["region"]): row["parties"] for row in rows}
        round = await rounds.round_named(picture, demo.ROUND)
    assert round is not None
    assert round["issued"] == 118
    assert round["received"] == 40
    assert round["notice"] == NOTICE
    published = reference.survey_2016()
    regions = {"Africa": "africa", "Asia-Pacific": "asia_pacific", "CEE": "cee", "GRULAC": "grulac"}
    for row in published:
        for region, column in regions.items():
            assert found.get((row.option, region), 0) == getattr(row, column), (row.option, region)
        total = sum(found.get((row.option, region), 0) for region in regions)
        assert total == row.all_regions
        assert Decimal(total * 100) / 40 == row.percent_all
    assert {option for option, _ in found} == {row.option for row in published}


async def test_loading_it_twice_adds_a_live_round_and_nothing_else(
    settings: Settings, runner: Runner
) -> None:
    await demo.load(settings, lambda _: None)
    await runner.catch_up()
    first = runner.position

    said: list[str] = []
    await demo.load(settings, said.append)
    await runner.catch_up()

    live = 1 + 1 + len(demo.LIVE_PARTIES) * (1 + 4)
    assert runner.position - first <= live + 5, "positions may have gaps, but nothing else was written"
    assert any("live round" in line for line in said)
