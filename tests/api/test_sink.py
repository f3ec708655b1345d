"""The mail sink: it keeps every letter and shows it, whatever is in it."""

import asyncio
import smtplib
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from api.sink.server import run
from api.stack.ports import free_port, is_free


@dataclass
class Sink:
    """A running sink, as a test talks to it."""

    smtp_port: int
    pages: httpx.AsyncClient
    folder: Path

    async def take(self, letter: EmailMessage) -> None:
        """Bring a letter."""

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", self.smtp_port) as connection:
                connection.send_message(letter)

        await asyncio.to_thread(send)

    async def first(self) -> str:
        """The page of the newest letter."""
        letters = (await self.pages.get("/letters.json")).json()
        return (await self.pages.get(f"/letters/{letters[0]['name']}")).text


def wait_until_taken(*ports: int) -> None:
    """Wait until a server listens on each of the ports."""
    while any(is_free(port) for port in ports):
        time.sleep(0.02)


@pytest.fixture
async def sink(tmp_path: Path) -> AsyncIterator[Sink]:
    """A running sink."""
    smtp_port, port = free_port(), free_port()
    task = asyncio.create_task(run(tmp_path / "letters", smtp_port, port))
    await asyncio.to_thread(wait_until_taken, port, smtp_port)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as pages:
        yield Sink(smtp_port, pages, tmp_path / "letters")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def reminder(
    subject: str = "Reminder: needs for technical assistance", text: str = "Dear colleague"
) -> EmailMessage:
    """A letter to a contact of a party."""
    letter = EmailMessage()
    letter["From"] = "Secretariat <secretariat@example.org>"
    letter["To"] = "Amina <amina@example.org>"
    letter["Subject"] = subject
    letter["Message-ID"] = "<one@example.org>"
    letter.set_content(text)
    return letter


async def test_it_keeps_a_letter_and_shows_it_in_parts(sink: Sink) -> None:
    letter = reminder("تذكير: الاحتياجات", "Please answer at http://127.0.0.1:8000/answer?id=1&to=2.")
    letter.add_attachment("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", subtype="calendar", filename="due.ics")
    await sink.take(letter)
    index = (await sink.pages.get("/")).text
    assert "تذكير: الاحتياجات" in index
    assert "calendar" in index
    page = await sink.first()
    assert '<a href="http://127.0.0.1:8000/answer?id=1&amp;to=2" rel="noreferrer">' in page
    assert "BEGIN:VCALENDAR" in page
    assert "amina@example.org" in page


async def test_a_letter_that_comes_twice_is_there_twice(sink: Sink) -> None:
    await sink.take(reminder())
    await sink.take(reminder())
    letters = (await sink.pages.get("/letters.json")).json()
    assert [letter["message_id"] for letter in letters] == ["<one@example.org>"] * 2
    assert len(list(sink.folder.glob("*.eml"))) == 2


async def test_the_newest_letter_comes_first(sink: Sink) -> None:
    for subject in ("first", "second", "third"):
        await sink.take(reminder(subject))
    letters = (await sink.pages.get("/letters.json")).json()
    assert [letter["subject"] for letter in letters] == ["third", "second", "first"]


async def test_what_a_letter_says_cannot_act_on_the_page(sink: Sink) -> None:
    await sink.take(reminder("<script>alert(1)</script>", 'http://x.org/"><img src=x onerror=alert(1)>'))
    answer = await sink.pages.get("/")
    assert "<script" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<img" not in await sink.first()


async def test_an_unknown_letter_is_not_found(sink: Sink) -> None:
    for name in ("nothing", "20261123T220114115898-5f28e5b7", "..%2Fsecret"):
        assert (await sink.pages.get(f"/letters/{name}")).status_code == 404
        assert (await sink.pages.get(f"/letters/{name}/raw")).status_code == 404


async def test_the_source_of_a_letter_is_as_it_came(sink: Sink) -> None:
    await sink.take(reminder())
    letters = (await sink.pages.get("/letters.json")).json()
    answer = await sink.pages.get(f"/letters/{letters[0]['name']}/raw")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.startswith("Return-Path: <secretariat@example.org>")
    assert "Dear colleague" in answer.text


async def test_the_style_sheet_is_served(sink: Sink) -> None:
    answer = await sink.pages.get(urljoin("/", "style.css"))
    assert answer.headers["content-type"].startswith("text/css")
