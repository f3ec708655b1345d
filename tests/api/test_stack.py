"""The local stack: locks, ports, and services that are started again when they die."""

import asyncio
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.stack.account import StartError, temporary_folder
from api.stack.local import Ports, choose_ports
from api.stack.lock import is_locked, locked
from api.stack.ports import free_port, is_free
from api.stack.processes import LOG_LIMIT_BYTES, Process
from api.stack.supervisor import Supervisor

SLEEPS = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(600)"]
IGNORES_SIGNALS = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True);"
    "time.sleep(600)",
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder with a space in its name."""
    with temporary_folder() as folder:
        yield folder / "the data"


async def until(condition: object, seconds: float = 10) -> None:
    """Wait for a condition, given as a function without arguments."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)


def test_a_second_copy_on_the_same_folder_is_refused_and_told_who_runs(folder: Path) -> None:
    with locked(folder):
        assert is_locked(folder)
        with pytest.raises(StartError, match=r"\(process \d+, since .*--data"), locked(folder):
            raise AssertionError("it had to be refused")
    assert not is_locked(folder)
    with locked(folder):
        pass


def test_a_folder_that_cannot_be_used_is_named(folder: Path) -> None:
    folder.parent.joinpath("a file").write_text("")
    with pytest.raises(StartError, match="cannot be used"), locked(folder.parent / "a file" / "data"):
        raise AssertionError("it had to be refused")


def test_ports_of_last_time_are_used_again_unless_somebody_took_them() -> None:
    remembered = Ports(*(free_port() for _ in range(5)))
    assert choose_ports(Ports(), remembered) == remembered
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", remembered.site))
        taken.listen()
        chosen = choose_ports(Ports(), remembered)
    assert chosen.site != remembered.site
    assert chosen.temporal == remembered.temporal


def test_a_port_that_was_asked_for_and_is_taken_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free(port)
        with pytest.raises(StartError, match=str(port)):
            choose_ports(Ports(site=port), Ports())


def test_no_two_services_get_the_same_port() -> None:
    one = free_port()
    chosen = choose_ports(Ports(), Ports(site=one, letters=one, smtp=one, temporal=one, workflows=one))
    ports = (chosen.site, chosen.letters, chosen.smtp, chosen.temporal, chosen.workflows)
    assert len(set(ports)) == 5
    assert 0 not in ports


async def test_a_process_that_dies_is_started_again(folder: Path) -> None:
    said: list[str] = []
    process = Process("sleeper", SLEEPS, folder)
    supervisor = Supervisor(said.append)
    await process.start()
    supervisor.watch(process)
    first = process.pid
    process.kill()
    await until(lambda: process.running and process.pid != first)
    assert said == ["sleeper ended unexpectedly; starting it again."]
    await supervisor.stop([[process]])
    assert not process.running


async def test_a_process_that_keeps_dying_is_started_more_and_more_rarely(folder: Path) -> None:
    process = Process("broken", [sys.executable, "-c", "raise SystemExit('no')"], folder)
    supervisor = Supervisor(lambda _: None)
    await process.start()
    supervisor.watch(process)
    await asyncio.sleep(2.5)
    assert 1 <= supervisor.restarts["broken"] <= 4
    await supervisor.stop([[process]])
    assert "no" in process.last_words()


async def test_after_a_stop_nothing_is_started_again(folder: Path) -> None:
    process = Process("sleeper", SLEEPS, folder)
    supervisor = Supervisor(lambda _: None)
    await process.start()
    supervisor.watch(process)
    await supervisor.stop([[process]])
    await asyncio.sleep(0.5)
    assert not process.running
    assert not process.record.exists()


async def test_a_process_that_does_not_listen_is_ended_the_hard_way(folder: Path) -> None:
    process = Process("stubborn", IGNORES_SIGNALS, folder)
    await process.start()
    await until(lambda: "ready" in process.log.read_text())
    await process.stop(patience_seconds=0.2)
    assert not process.running


async def test_what_a_killed_parent_left_running_is_found_and_stopped(folder: Path) -> None:
    orphan = Process("sleeper", SLEEPS, folder)
    await orphan.start()
    assert await Process("sleeper", SLEEPS, folder).stop_leftover()
    await until(lambda: not orphan.running)
    assert not await Process("sleeper", SLEEPS, folder).stop_leftover()


async def test_another_process_that_has_the_number_by_now_is_left_alone(folder: Path) -> None:
    process = Process("sleeper", SLEEPS, folder)
    await process.start()
    noted = process.record.read_text()
    process.record.write_text(noted.replace('"started": 1', '"started": 2'))
    assert not await Process("sleeper", SLEEPS, folder).stop_leftover()
    assert process.running
    await process.stop()


async def test_a_log_that_has_grown_large_is_set_aside(folder: Path) -> None:
    process = Process("sleeper", SLEEPS, folder)
    process.log.parent.mkdir(parents=True)
    with process.log.open("wb") as log:
        log.truncate(LOG_LIMIT_BYTES + 1)
    await process.start()
    await process.stop()
    assert process.log.stat().st_size < 1_000
    assert process.log.with_suffix(".log.1").exists()
