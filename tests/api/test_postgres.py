"""PostgreSQL of the local stack: it starts anywhere, asks for passwords, and survives being killed."""

import os
import signal
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from api.stack.account import StartError, temporary_folder
from api.stack.postgres import PostgresServer


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder with a space and an accent in its name."""
    with temporary_folder() as folder:
        yield folder / "données de Mandate"


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[PostgresServer]:
    """A running server in that folder."""
    async with PostgresServer(folder) as server:
        yield server


async def value(url: str, query: str) -> object:
    """The first value that a query gives."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(query.encode())
        row = await cursor.fetchone() if cursor.description else None
        return row[0] if row else None


async def test_it_sorts_as_it_does_in_production(server: PostgresServer) -> None:
    query = "SELECT datlocprovider::text || ' ' || datlocale FROM pg_database WHERE datname = 'postgres'"
    assert await value(server.url(), query) == "b C.UTF-8"
    assert await value(server.url(), "SHOW server_encoding") == "UTF8"


async def test_what_was_committed_survives_kill_9(server: PostgresServer) -> None:
    await value(server.url(), "CREATE TABLE kept AS SELECT 7 AS number")
    server.kill()
    assert not server.running
    await server.start()
    assert await value(server.url(), "SELECT number FROM kept") == 7


async def test_a_stop_and_a_start_find_everything_as_it_was(server: PostgresServer) -> None:
    await value(server.url(), "CREATE TABLE kept AS SELECT 7 AS number")
    await server.stop()
    async with PostgresServer(server.folder) as again:
        assert again.passwords == server.passwords
        assert await value(again.url(), "SELECT number FROM kept") == 7


async def test_it_lets_nobody_in_without_the_password(server: PostgresServer) -> None:
    strange = server.url().replace("postgres:", "postgres:x", 1)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await value(strange, "SELECT 1")


async def test_its_socket_and_its_passwords_are_closed_to_others(server: PostgresServer) -> None:
    assert stat.S_IMODE(server.socket_folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((server.folder / "passwords.json").stat().st_mode) == 0o600
    assert await value(server.url(), "SHOW listen_addresses") == ""


async def test_a_path_too_long_for_a_socket_is_no_obstacle(folder: Path) -> None:
    deep = folder / ("a folder with quite a long name, and a comma " * 3)
    async with PostgresServer(deep) as server:
        assert await value(server.url(), "SELECT 1") == 1
        assert server.socket_folder.parent == Path("/tmp")
    assert not server.socket_folder.exists()


async def test_a_new_start_takes_over_from_a_server_whose_parent_was_killed(server: PostgresServer) -> None:
    await value(server.url(), "CREATE TABLE kept AS SELECT 7 AS number")
    async with PostgresServer(server.folder) as heir:
        assert heir.process.pid != server.process.pid
        assert not server.running
        assert await value(heir.url(), "SELECT number FROM kept") == 7


async def test_a_number_that_another_program_has_by_now_does_not_stop_it(server: PostgresServer) -> None:
    server.kill()
    note = server.cluster / "postmaster.pid"
    lines = note.read_text().splitlines()
    note.write_text("\n".join([str(os.getppid()), *lines[1:]]))
    await server.start()
    assert await value(server.url(), "SELECT 1") == 1


async def test_a_dead_server_that_nobody_buried_does_not_stop_it(server: PostgresServer) -> None:
    assert server.process.pid is not None
    os.kill(server.process.pid, signal.SIGKILL)
    async with PostgresServer(server.folder) as heir:
        assert await value(heir.url(), "SELECT 1") == 1


async def test_a_half_made_cluster_is_made_anew(folder: Path) -> None:
    half = folder / "postgresql.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")
    async with PostgresServer(folder) as server:
        assert await value(server.url(), "SELECT 1") == 1


@pytest.mark.parametrize("ends", ["at once", "never ready"])
async def test_a_server_that_does_not_start_says_where_its_log_is(server: PostgresServer, ends: str) -> None:
    await server.stop()
    options = {"no_such_setting": "1"} if ends == "at once" else {}
    broken = PostgresServer(server.folder, options=options)
    if ends == "never ready":
        (server.cluster / "global" / "pg_control").unlink()
    with pytest.raises(StartError, match=r"postgresql\.log"):
        await broken.start()
    assert not broken.running


async def test_as_root_it_runs_as_somebody_else_and_opens_no_folder(server: PostgresServer) -> None:
    owner = server.cluster.stat().st_uid
    assert owner != 0
    if os.geteuid() == 0:
        closed = server.folder.parent / "closed"
        closed.mkdir(mode=0o700)
        with pytest.raises(StartError, match="others may pass through"):
            await PostgresServer(closed / "data").start()
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
