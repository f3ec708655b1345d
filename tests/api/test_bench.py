"""The bench measures everything that it says it does; how fast things are is not a matter of a test."""

import json

import pytest

from api import bench
from api.bench.figures import GOALS, drawn
from api.bench.ground import Figures, Ground, Sizes
from api.stack.postgres import PostgresServer

TINY = Sizes(
    turns=1,
    seconds=0.05,
    callers=(1, 32),
    loaded_lengths=(10, 100),
    loading_seconds=0.05,
    rebuilt_events=2_500,
    rebuilding_turns=1,
    library_events=600,
    commands_to_row=5,
    proven_events=2_500,
    proving_turns=1,
    proofs=5,
    events_of_a_writer=20,
)


async def test_it_measures_all_subjects_and_names_every_goal(postgres: PostgresServer) -> None:
    told: list[str] = []

    figures = await bench.measure(Ground(postgres, TINY, told.append))

    assert figures.keys() >= GOALS.keys()
    assert figures.keys() >= {"append_32_of_library", "load_100_of_library", "command_to_row_p99_ms"}
    assert all(value > 0 for name, value in figures.items() if "_of_" in name)
    assert figures["missed_events"] == figures["misordered_events"] == 0
    assert figures["order_events"] == 320
    assert told
    shown = [name for table in drawn(figures) for name in table.columns[0].cells]
    assert sorted(map(str, shown)) == sorted(figures), "each figure is shown once"


def test_for_programs_it_prints_one_object_and_nothing_else(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def measured(sizes: Sizes) -> Figures:
        return {"append_32_of_pgbench": 1.23456, "append_ours_32_per_second": 12_345.6, "missed_events": 0}

    monkeypatch.setattr(bench, "_measure_on_own_server", measured)

    bench.main(json=True)

    printed = capfd.readouterr()
    assert json.loads(printed.out) == {
        "append_32_of_pgbench": 1.235,
        "append_ours_32_per_second": 12_346,
        "missed_events": 0,
    }
