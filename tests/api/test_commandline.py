"""The command line: what it offers, and what it says when something is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.checks import missing_packages, skipped_tests

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
