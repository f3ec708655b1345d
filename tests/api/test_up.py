"""The newcomer's command, whole: everything starts, heals, stops in order, and is found again."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from api.stack.account import temporary_folder
from api.stack.ports import free_port
from api.stack.postgres import PostgresServer
from services.schema import prepare
from tests.conftest import folders, settings_for
from tests.services.ledgers import publish, write

PROJECT = Path(__file__).parents[2]
EVERYTHING = ("postgresql", "temporal", "sink", "project", "work", "serve")
PATIENCE_SECONDS = 90


class Up:
    """A run of ``mandate up`` in a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.output = folder.parent / "output"
        command = [sys.executable, "-m", "api.commandline", "up", "--data", str(folder), *arguments]
        environment = dict(os.environ) | {"PYTHONPATH": str(PROJECT)}
        with self.output.open("w") as output:
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)

    def said(self, text: str) -> bool:
        """Whether it has said this by now."""
        return text in self.output.read_text()

    def runs(self) -> "Up":
        """Wait until everything runs."""
        until(lambda: self.said("Mandate is running") or self.process.poll() is not None)
        assert self.process.poll() is None, self.output.read_text()
        return self

    def numbers(self) -> dict[str, int]:
        """The number of each process that the run notes."""
        noted = {path.stem: json.loads(path.read_text()) for path in (self.folder / "run").glob("*.json")}
        return {name: note["pid"] for name, note in noted.items()}

    def healthy(self) -> bool:
        """Whether the site answers."""
        port = json.loads((self.folder / "stack.json").read_text())["site"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def query(self, text: bytes) -> list[tuple[object, ...]]:
        """Ask the database as its superuser."""
        settings = json.loads((self.folder / "settings.json").read_text())
        password = json.loads((self.folder / "passwords.json").read_text())["postgres"]
        with psycopg.connect(settings["owner_url"], user="postgres", password=password) as connection:
            cursor = connection.execute(text)
            return cursor.fetchall() if cursor.description else []

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask it to end and wait."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def alive(number: int) -> bool:
    """Whether a process lives; one that is dead but not buried does not."""
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder with a space in its name; nothing that a test started outlives it."""
    with temporary_folder() as parent:
        folder = parent / "the data"
        yield folder
        for note in (folder / "run").glob("*.json"):
            number = json.loads(note.read_text())["pid"]
            if alive(number):
                os.kill(number, signal.SIGKILL)


def test_everything_starts_and_stops_in_order(folder: Path) -> None:
    up = Up(folder).runs()
    numbers = up.numbers()
    assert set(numbers) == set(EVERYTHING)
    assert up.healthy()
    assert up.end() == 0
    assert not any(alive(number) for number in numbers.values())
    assert up.numbers() == {}
    assert up.said("Everything is stopped.")


def test_whatever_is_killed_comes_back(folder: Path) -> None:
    up = Up(folder).runs()
    for name in EVERYTHING:
        before = up.numbers()[name]
        os.kill(before, signal.SIGKILL)
        until(lambda name=name, before=before: up.numbers().get(name, before) != before)  # type: ignore[misc] # a lambda's defaults have no types
    until(up.healthy)
    assert up.query(b"SELECT 7") == [(7,)]
    assert up.end() == 0


def test_after_kill_9_of_everything_it_starts_again_with_what_it_knew(folder: Path) -> None:
    up = Up(folder).runs()
    up.query(b"CREATE TABLE kept AS SELECT 7 AS number")
    numbers = up.numbers()
    up.process.kill()
    for number in numbers.values():
        os.kill(number, signal.SIGKILL)
    up.process.wait()
    again = Up(folder).runs()
    assert again.query(b"SELECT number FROM kept") == [(7,)]
    assert again.end(signal.SIGTERM) == 0


def test_after_kill_9_of_the_supervisor_alone_nothing_runs_twice(folder: Path) -> None:
    up = Up(folder).runs()
    before = up.numbers()
    up.process.kill()
    up.process.wait()
    assert all(alive(number) for number in before.values())
    again = Up(folder).runs()
    assert not any(alive(number) for number in before.values())
    assert again.end() == 0


def test_a_second_copy_runs_beside_the_first_but_not_on_its_folder(folder: Path) -> None:
    up = Up(folder).runs()
    refused = Up(folder)
    assert refused.process.wait(PATIENCE_SECONDS) == 1
    assert refused.said(f"process {up.process.pid}")
    beside = Up(folder.parent / "beside").runs()
    assert beside.end() == 0
    assert up.end() == 0


def test_a_port_that_is_asked_for_is_used(folder: Path) -> None:
    port = free_port()
    up = Up(folder, "--port", str(port)).runs()
    assert up.said(f"http://127.0.0.1:{port}")
    assert up.end() == 0


def test_a_stop_while_it_starts_leaves_nothing_behind(folder: Path) -> None:
    up = Up(folder)
    until(lambda: (folder / "run" / "postgresql.json").exists())
    assert up.end() == 0
    assert up.numbers() == {}


async def test_a_database_restored_to_before_a_checkpoint_is_not_opened(folder: Path) -> None:
    backup = folder.parent / "backup"
    async with PostgresServer(folder) as server:
        await prepare(server.url(), server.passwords)
        settings = settings_for(server, "mandate").model_copy(update=folders(folder))
        await write(settings, 3)
    # cp keeps the owner of each file, whom the server wants to be its own user.
    copying = await asyncio.create_subprocess_exec("cp", "-a", folder / "postgresql", backup)
    assert await copying.wait() == 0
    async with PostgresServer(folder) as server:
        settings = settings_for(server, "mandate").model_copy(update=folders(folder))
        await write(settings, 2)
        await publish(settings)
    shutil.rmtree(folder / "postgresql")
    backup.rename(folder / "postgresql")

    up = Up(folder)

    assert up.process.wait(PATIENCE_SECONDS) == 1
    assert up.said("A checkpoint about 5 events was published, and the log holds 3")
    assert up.said("Bring back the database that was published about")
    assert not up.said("Mandate is running")
    assert up.numbers() == {}
