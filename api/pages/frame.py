"""What every page has in common: who reads it, as of when, and the frame around it."""

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse

from api.access import SignedIn
from api.http import moment
from api.pages import words
from api.problems import Problem
from projections import history
from projections.reading import Picture, Tables
from services.directory import Person
from services.settings import Settings
from services.wiring import Services

HERE = Path(__file__).parent
_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")
MENU = (
    ("/rounds", "Rounds"),
    ("/parties", "Parties"),
    ("/questionnaires", "Questionnaires"),
    ("/letters", "Letters"),
    ("/chemicals", "Annex III"),
    ("/delivery-partners", "Delivery partners"),
)

templates = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.globals.update(words=words, menu=MENU)


@cache
def static_address(name: str) -> str:
    """Return the address of a file of ours, which changes with its content: browsers may keep it for ever."""
    content = (HERE / "static" / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


templates.globals["static"] = static_address


def address(path: str, query: Mapping[str, Any]) -> str:
    """Return a path with those parameters that say something."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def own_path(written: object) -> str:
    """Return a path of this site, or the home page for anything else that somebody wrote into a link."""
    path = str(written or "")
    # Browsers read a backslash as a slash, and two slashes as the beginning of another site's address.
    return path if _OWN_PATH.fullmatch(path) else "/"


@dataclass(frozen=True)
class Page:
    """One consistent picture, and for whom it is shown."""

    request: Request
    services: Services
    settings: Settings
    picture: Picture
    person: Person | None
    as_of: str | None
    """What the reader asked for, as it was written; None for the tables as they stand."""
    reached_at: datetime | None
    """When the newest event that is shown happened."""

    @property
    def zone(self) -> str:
        """The time zone of the Secretariat, for all that is not a party's own."""
        return self.settings.secretariat_time_zone

    @cached_property
    def now(self) -> datetime:
        """The moment at which the page stands."""
        return (self.reached_at if self.as_of else None) or datetime.now(UTC)

    @property
    def may_act(self) -> bool:
        """Whether to offer what changes something."""
        return self.person is not None and self.as_of is None

    @property
    def path(self) -> str:
        """The path of the page, for the menu."""
        return self.request.url.path

    def link(self, path: str, **query: Any) -> str:
        """Return the address of another page, seen from the same moment."""
        return address(path, query | ({"as_of": self.as_of} if self.as_of else {}))

    def found(self, record: Any, what: str) -> Any:
        """Return a record that must be there, or answer that it is not."""
        if record is None:
            at = f" as of position {self.picture.position}" if self.as_of else ""
            raise Problem("not-found", f"There is no such {what}{at}.")
        return record

    def show(self, template: str, status: int = 200, **context: Any) -> HTMLResponse:
        """Draw the page."""
        html = templates.get_template(template).render(page=self, link=self.link, **context)
        return HTMLResponse(html, status)


class Visit:
    """One request of a reader: what was asked, by whom, as of when."""

    def __init__(
        self,
        request: Request,
        person: SignedIn,
        as_of: Annotated[str | None, Query(max_length=60)] = None,
        wait_for: Annotated[int | None, Query(ge=0, lt=2**62)] = None,
    ) -> None:
        self.request = request
        self.person = person
        self.settings: Settings = request.app.state.settings
        self.services: Services = request.app.state.services
        self._tables: Tables = request.app.state.tables
        self._as_of = as_of or None
        self._wait_for = wait_for
        request.state.person = person

    @asynccontextmanager
    async def look(self, *, after: int | None = None) -> AsyncIterator[Page]:
        """Take one picture of all tables and show pages from it."""
        at = moment(self._as_of, self.settings.secretariat_time_zone) if self._as_of else None
        if isinstance(at, int):
            await self._must_be_reached(at)
        async with self._tables.picture(at, after or self._wait_for) as picture:
            reached = await history.reached_at(picture)
            yield Page(self.request, self.services, self.settings, picture, self.person, self._as_of, reached)

    async def _must_be_reached(self, position: int) -> None:
        async with self._tables.picture() as newest:
            if position > newest.position:
                raise Problem(
                    "not-found",
                    f"The tables stand at position {newest.position}; position {position} lies ahead.",
                )

    async def form(self) -> FormData:
        """Read what was sent. An answer that is empty is there, and empty."""
        sent = await self.request.form(max_files=1, max_fields=2_000)
        # Should it be impossible to take it in now, the page that says so still has it.
        self.request.state.sent = sent
        return sent

    def go(self, path: str, position: int | None = None, **query: Any) -> RedirectResponse:
        """Send the reader to a page that shows what he has just written."""
        return RedirectResponse(address(path, query | {"wait_for": position}), 303)


Visiting = Annotated[Visit, Depends()]
