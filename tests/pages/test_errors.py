"""When something goes wrong, a page says what happened, what was kept and what to do next."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from api.stack.postgres import PostgresServer
from domain.rounds import Invitation, InvitationState
from services.settings import Settings
from services.wiring import Services
from tests.pages.conftest import Reader, Survey, open_link


@asynccontextmanager
async def out_of_reach(server: PostgresServer, settings: Settings) -> AsyncIterator[None]:
    """Take the database of the test away for a while."""
    name = str(conninfo_to_dict(settings.writer_url)["dbname"])
    allow = "ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}"
    async with await psycopg.AsyncConnection.connect(server.url(), autocommit=True) as connection:
        await connection.execute(sql.SQL(allow).format(sql.Identifier(name), sql.SQL("false")))
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        yield
        await connection.execute(sql.SQL(allow).format(sql.Identifier(name), sql.SQL("true")))


async def test_what_was_typed_outlives_an_outage_of_the_database(
    reader: Reader, survey: Survey, postgres: PostgresServer, settings: Settings, services: Services
) -> None:
    await open_link(reader, survey.kenya, "KEN")
    await reader.page.locator("#priority_areas-1").check()
    await reader.press("Show the questions that follow from my answers")
    await reader.page.get_by_label("What would help most").fill("Two weeks of training")
    async with out_of_reach(postgres, settings):
        await reader.press("Send the answer")
        said = await reader.text()
        assert "This is not available now" in said
        assert "What you typed is kept on this page." in said
        await reader.must_be_good()

    await reader.press("Send it again")

    assert await reader.heading() == "The answer has been received"
    sent, _, unsent = (await reader.text()).partition("What was saved and not sent")
    assert "Two weeks of training" in sent
    assert not unsent
    invitation = await services.store.read(Invitation, survey.kenya)
    assert invitation.state is InvitationState.RECEIVED
    assert invitation.version == 2, "one answer, however often it was sent"


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/nothing", 404, "There is nothing at /nothing."),
        (f"/rounds/{uuid4()}", 404, "There is nothing at /rounds/"),
        ("/rounds/of-last-year", 404, "There is nothing here"),
        ("/parties/XXX", 404, "There is nothing at /parties/XXX."),
        ("/parties/KEN?as_of=0", 404, "There is nothing at /parties/KEN."),
        (f"/history/{uuid4()}", 404, "There is nothing at /history/"),
        ("/parties?as_of=yesterday", 422, "a day such as 2026-03-02"),
        ("/parties?as_of=999999", 404, "lies ahead"),
        ("/letters?before=-1", 422, "That address cannot be read"),
        ("/rounds/new", 404, "There is nothing at /rounds/new."),
    ],
)
async def test_a_page_says_what_happened(reader: Reader, path: str, status: int, says: str) -> None:
    response = await reader.open(path)
    assert response.status == status
    said = await reader.text()
    assert says in said
    assert "What happened" in said
    assert "What to do next" in said
    await reader.must_be_good()
