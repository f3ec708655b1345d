"""What all tests share: a real PostgreSQL, and a fresh database of it for each test that asks."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from psycopg import sql

from api.stack.postgres import PostgresServer
from projections.runner import Runner, open_runner
from projections.schema import take_over
from services.schema import prepare
from services.settings import Settings
from services.wiring import Services, open_services
from tests.cast import Postbox

TEMPLATE = "mandate_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def session_folder() -> Iterator[Path]:
    """A folder for the servers of this run; short, for the sake of socket names."""
    with TemporaryDirectory(prefix="mandate-tests-", dir="/tmp") as folder:
        # PostgreSQL does not run as root: its user must be able to come here.
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """No test writes where an installation in this folder keeps its keys and checkpoints."""
    place = Path(".mandate/data")
    before = sorted(place.rglob("*.public"))
    yield
    assert sorted(place.rglob("*.public")) == before, f"a test has made keys in {place}"


@pytest.fixture(scope="session")
async def postgres(session_folder: Path) -> AsyncIterator[PostgresServer]:
    """A PostgreSQL server with a prepared database to copy from."""
    async with PostgresServer(session_folder / "shared") as server:
        await prepare(server.url(), server.passwords, TEMPLATE)
        yield server


@pytest.fixture
async def settings(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Settings]:
    """Settings that point at a database of the test's own."""
    name = f"mandate_{next(_numbers)}"
    async with await psycopg.AsyncConnection.connect(postgres.url(), autocommit=True) as connection:
        await connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(TEMPLATE))
        )
        await connection.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO mandate_projector").format(sql.Identifier(name))
        )
        yield settings_for(postgres, name).model_copy(update=folders(tmp_path))
        await connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def settings_for(server: PostgresServer, database: str) -> Settings:
    """Return settings for a database of a server."""
    values = server.urls(database) | {"data_folder": str(server.folder / "data" / database)}
    return Settings.model_validate(values)


def folders(place: Path) -> dict[str, Path]:
    """The settings that say where keys and checkpoints are: in a place of the test's own."""
    return {
        "data_folder": place,
        "keys_folder": place / "keys",
        "checkpoints_folder": place / "checkpoints",
    }


@pytest.fixture
def postbox() -> Postbox:
    """The letters that the services of this test have handed over."""
    return Postbox()


@pytest.fixture
async def services(settings: Settings, postbox: Postbox) -> AsyncIterator[Services]:
    """The services of one process, on the test's own database."""
    async with open_services(settings, postbox) as services:
        yield services


@pytest.fixture
async def runner(settings: Settings) -> AsyncIterator[Runner]:
    """A projection runner that the test moves by hand."""
    async with running(settings) as runner:
        yield runner


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Runner]:
    """Open a runner whose tables serve."""
    runner = await open_runner(settings)
    async with runner.connection:
        await runner.catch_up()
        await take_over(runner.connection, runner.schema, runner.tables)
        yield runner
