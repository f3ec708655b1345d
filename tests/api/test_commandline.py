"""The command line: what it offers, and what it says when something is missing."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from api.checks import missing_packages, skipped_tests
from api.stack.postgres import PostgresServer
from domain.history_notes import SigningKey, open_checkpoint
from services.checkpoints import published_keys
from services.packs import Packs, Question
from services.pool import make_pool
from services.settings import Settings
from tests.services.ledgers import on_database, publish, write

PROJECT = Path(__file__).parents[2]

REPORT = """<testsuites><testsuite>
  <testcase classname="tests.test_one" name="test_a"/>
  <testcase classname="tests.test_one" name="test_b">
    <skipped type="pytest.skip" message="no browser"/>
  </testcase>
  <testcase classname="tests.test_one" name="test_c"><skipped type="pytest.xfail" message="known"/></testcase>
</testsuite></testsuites>"""


def mandate(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command somewhere else, with these settings and no others."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MANDATE_")}
    environment = inherited | {"PYTHONPATH": str(PROJECT), "COLUMNS": "100"} | settings
    command = [sys.executable, "-m", "api.commandline", *arguments]
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)


def test_help_lists_the_commands() -> None:
    text = mandate("--help").stdout
    for name in (
        "up",
        "test",
        "serve",
        "work",
        "project",
        "seed",
        "rebuild",
        "bench",
        "prepare",
        "sink",
        "people",
        "history",
        "verify",
    ):
        assert f"│ {name} " in text


@pytest.mark.parametrize(
    ("command", "names"),
    [("serve", "MANDATE_READER_URL"), ("work", "MANDATE_READER_URL"), ("prepare", "MANDATE_SUPERUSER_URL")],
)
def test_a_process_without_its_settings_names_them(command: str, names: str, tmp_path: Path) -> None:
    done = mandate(command, MANDATE_SECRETS_DIR=str(tmp_path), MANDATE_WRITER_URL="postgresql://nowhere")
    assert done.returncode == 2
    assert names in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_history_is_checked_and_its_key_changed_by_command(
    settings: Settings, postgres: PostgresServer
) -> None:
    await write(settings, 3)
    await publish(settings)
    given = {
        f"MANDATE_{name.upper()}": str(getattr(settings, name))
        for name in ("writer_url", "projector_url", "data_folder")
    }

    assert "3 events are as they were published" in mandate("history", "check", **given).stderr
    rotated = mandate("history", "rotate", **given)
    assert rotated.returncode == 0
    await write(settings, 1)
    second = await publish(settings)
    assert mandate("history", "regrow", **given).returncode == 0
    checked = mandate("history", "check", **given)
    assert "4 events are as they were published" in checked.stderr
    newest = published_keys(settings.checkpoints_folder, "")[-1]
    assert newest.encoded in rotated.stderr
    assert open_checkpoint(second.note, [newest]).size == 4

    url = on_database(postgres.url(), settings)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as superuser:
        await superuser.execute("DELETE FROM log.stored_events WHERE notification_id = 2")
    checked = mandate("history", "check", **given)
    assert checked.returncode == 3
    assert "The event at position 2 was removed." in checked.stderr


async def test_a_pack_is_verified_by_command(settings: Settings, tmp_path: Path) -> None:
    record = await write(settings, 3)
    await publish(settings)
    async with make_pool(settings.reader_url, "a test", autocommit=True) as pool:
        pack = await Packs(pool).make(Question("A test", (record,)), 3)
    path = tmp_path / "pack.zip"
    path.write_bytes(pack.content)

    assert mandate("verify", str(path)).returncode == 0
    another = SigningKey.make("another.example.org").public
    assert mandate("verify", str(path), "--key", another.encoded).returncode == 1
    assert mandate("verify", str(tmp_path / "none.zip")).returncode == 2


def test_seeding_asks_what_to_seed() -> None:
    done = mandate("seed")
    assert done.returncode == 2
    assert "--demo" in done.stderr


def test_a_skipped_test_is_found_in_the_report_with_its_reason(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    assert skipped_tests(report) == []
    report.write_text(REPORT)
    assert skipped_tests(report) == ["tests.test_one.test_b: no browser"]


def test_what_the_machine_lacks_is_said_with_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    if sys.platform == "linux":
        assert any("apt-get install chromium" in hint for hint in missing_packages())
