"""The files of an installation: whole, and as safe as they say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.secrets import write
from services.settings import Settings

PROJECT = Path(__file__).parents[1]
COMPOSE_FILE = PROJECT / "docker-compose.yml"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file as a client reads it."""
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
    return loaded


def test_it_is_what_the_compose_specification_describes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, COMPOSE_FILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "broken.yml"
    broken.write_text(COMPOSE_FILE.read_text().replace("image: postgres:18", "imagee: postgres:18"))
    assert subprocess.run([*command, broken], capture_output=True, check=False).returncode == 1


def test_a_client_reads_it_where_there_is_one() -> None:
    client = ["docker", "compose"]
    if (
        shutil.which("docker")
        and not subprocess.run([*client, "version"], capture_output=True, check=False).returncode
    ):
        config = subprocess.run([*client, "--file", COMPOSE_FILE, "config", "--quiet"], check=False)
        assert config.returncode == 0


def test_what_a_service_names_is_there(compose: dict[str, Any], tmp_path: Path) -> None:
    written = {path.name for path in write(tmp_path, "postgresql")}
    for name, service in compose["services"].items():
        assert set(service.get("depends_on", {})) <= set(compose["services"]), name
        for secret in service.get("secrets", []):
            assert Path(compose["secrets"][secret]["file"]).name in written, secret
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (PROJECT / source).exists(), source


def test_who_waits_for_the_end_of_a_service_waits_for_one_that_ends(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, how in service.get("depends_on", {}).items():
            awaited = compose["services"][name]
            if how["condition"] == "service_completed_successfully":
                assert awaited["restart"] == "on-failure"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in awaited


def test_no_process_runs_as_root_and_each_image_has_a_version(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert not re.match(r"(0|root)\b", service["user"]), name
        assert "build" in service or re.search(r":\d", service["image"]), name


def test_ports_are_open_to_this_machine_only(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_it_sets_only_settings_that_exist(compose: dict[str, Any]) -> None:
    known = {f"MANDATE_{name.upper()}" for name in Settings.model_fields}
    for service in compose["services"].values():
        named = [name for name in service.get("environment", {}) if name.startswith("MANDATE_")]
        assert set(named) <= known
    assert {name.upper() for name in compose["secrets"] if name.startswith("mandate_")} <= known


def test_the_database_is_made_with_the_locale_of_the_local_stack(compose: dict[str, Any]) -> None:
    arguments = compose["services"]["postgresql"]["environment"]["POSTGRES_INITDB_ARGS"].split()
    local = (PROJECT / "api" / "stack" / "postgres.py").read_text()
    for argument in arguments:
        if "locale" in argument or "encoding" in argument:
            assert f'"{argument}"' in local


def test_secrets_are_written_once_and_never_changed(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    before = {path.name: path.read_text() for path in write(folder, "postgresql")}
    again = {path.name: path.read_text() for path in write(folder, "elsewhere")}
    assert again == before
    assert len({text for name, text in before.items()}) == len(before)
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / ".gitignore").read_text() == "*\n"
    assert before["postgres_password"] in before["mandate_superuser_url"]


def test_the_image_holds_our_packages_and_nothing_that_is_secret() -> None:
    wanted = [
        line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    ]
    dockerfile = (PROJECT / "Dockerfile").read_text()
    for path in wanted:
        assert path in dockerfile
        assert (PROJECT / path).exists()
    assert re.search(r"^USER \d+:\d+$", dockerfile, re.MULTILINE)
