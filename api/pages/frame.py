"""What every page has in common: who reads it, as of when, and the frame around it."""

import hashlib
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Query, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse

from api.access import Asking
from api.http import moment
from api.pages import recorded, translations, words
from api.pages.countries import party_name
from api.pages.translations import later
from api.problems import Problem
from domain.access import READING, Action, may
from projections import history
from projections.reading import Picture, Tables
from services.entrance import Visitor
from services.history import Alarm, open_alarms
from services.settings import Settings
from services.wiring import Services

HERE = Path(__file__).parent
_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")
MENU = (
    ("/rounds", later("Rounds"), Action.SEE_ROUNDS),
    ("/parties", later("Parties"), Action.SEE_REFERENCE),
    ("/questionnaires", later("Questionnaires"), Action.SEE_QUESTIONNAIRES),
    ("/letters", later("Letters"), Action.SEE_LETTERS),
    ("/chemicals", later("Annex III"), Action.SEE_REFERENCE),
    ("/delivery-partners", later("Delivery partners"), Action.SEE_REFERENCE),
    ("/evidence", later("Evidence"), Action.SEE_HISTORY),
    ("/funds", later("Funds"), Action.SEE_FUNDS),
    ("/contributions", later("Contributions"), Action.SEE_CONTRIBUTIONS),
    ("/people", later("People"), Action.SEE_PEOPLE),
)

templates = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
translations.teach(templates)
templates.filters["reason"] = recorded.reason
templates.globals.update(words=words, menu=MENU, Action=Action, party_name=party_name)


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


def here(request: Request) -> str:
    """Return the address of the page that is asked for; of one that answers to a form, the path alone."""
    return address(request.url.path, request.query_params if request.method == "GET" else {})


def own_path(written: object) -> str:
    """Return a path of this site, or the home page for anything else that somebody wrote into a link."""
    path = str(written or "")
    # Browsers read a backslash as a slash, and two slashes as the beginning of another site's address.
    return path if _OWN_PATH.fullmatch(path) else "/"


async def take_form(request: Request) -> None:
    """Read a form before anything that can fail: should it be impossible to take it in now, the page that
    says so still has what was typed."""
    if request.method == "POST":
        request.state.sent = await request.form(max_files=1, max_fields=2_000)


def nothing_here(request: Request) -> Problem:
    """Return what is said of records that are not there, and of those that the reader may not see."""
    return Problem("not-found", f"There is nothing at {request.url.path}.")


@dataclass(frozen=True)
class Page:
    """One consistent picture, and for whom it is shown."""

    request: Request
    services: Services
    settings: Settings
    picture: Picture
    visitor: Visitor | None
    as_of: str | None
    """What the reader asked for, as it was written; None for the tables as they stand."""
    reached_at: datetime | None
    """When the newest event that is shown happened."""
    alarms: tuple[Alarm, ...] = ()
    """What shows that the history is not as it was published. Each page says that something does."""

    @property
    def zone(self) -> str:
        """The time zone of the Secretariat, for all that is not a party's own."""
        return self.settings.secretariat_time_zone

    @cached_property
    def now(self) -> datetime:
        """The moment at which the page stands."""
        return (self.reached_at if self.as_of else None) or datetime.now(UTC)

    def may(
        self, action: Action, owner_ids: Collection[UUID] = (), invitation_id: UUID | None = None
    ) -> bool:
        """Whether to offer something to the reader. Nothing can be changed as of an earlier moment."""
        if self.as_of and action not in READING:
            return False
        return may(self.visitor.subject if self.visitor else None, action, owner_ids, invitation_id)

    @property
    def path(self) -> str:
        """The path of the page, for the menu."""
        return self.request.url.path

    @property
    def here(self) -> str:
        """The address at which the reader gets this page again."""
        return here(self.request)

    def link(self, path: str, **query: Any) -> str:
        """Return the address of another page, seen from the same moment."""
        return address(path, query | ({"as_of": self.as_of} if self.as_of else {}))

    def found(self, record: Any) -> Any:
        """Return a record that must be there, or answer that it is not."""
        if record is None:
            raise nothing_here(self.request)
        return record

    def show(self, template: str, status: int = 200, **context: Any) -> HTMLResponse:
        """Draw the page."""
        return HTMLResponse(self.draw(template, **context), status, translations.HEADERS)

    def draw(self, template: str, **context: Any) -> Markup:
        """Draw a page or a part of one."""
        return Markup(templates.get_template(template).render(page=self, link=self.link, **context))


class Visit:
    """One request of a reader: what was asked, by whom, as of when."""

    def __init__(
        self,
        request: Request,
        visitor: Asking,
        as_of: Annotated[str | None, Query(max_length=60)] = None,
        wait_for: Annotated[int | None, Query(ge=0, lt=2**62)] = None,
    ) -> None:
        self.request = request
        self.visitor = visitor
        self.settings: Settings = request.app.state.settings
        self.services: Services = request.app.state.services
        self._tables: Tables = request.app.state.tables
        self._as_of = as_of or None
        self._wait_for = wait_for

    @asynccontextmanager
    async def look(self, *, after: int | None = None) -> AsyncIterator[Page]:
        """Take one picture of all tables and show pages from it."""
        at = moment(self._as_of, self.settings.secretariat_time_zone) if self._as_of else None
        if isinstance(at, int):
            await self._must_be_reached(at)
        async with self._tables.picture(at, after or self._wait_for) as picture:
            reached = await history.reached_at(picture)
            alarms = tuple(await open_alarms(picture.connection))
            yield Page(
                self.request,
                self.services,
                self.settings,
                picture,
                self.visitor,
                self._as_of,
                reached,
                alarms,
            )

    async def _must_be_reached(self, position: int) -> None:
        async with self._tables.picture() as newest:
            if position > newest.position:
                raise Problem(
                    "not-found",
                    f"The tables stand at position {newest.position}; position {position} lies ahead.",
                )

    async def form(self) -> FormData:
        """Read what was sent. An answer that is empty is there, and empty."""
        sent: FormData = self.request.state.sent
        return sent

    @property
    def actor(self) -> UUID:
        """The id of the person who acts, on a page that lets only those in who are known."""
        assert self.visitor is not None, "the page asks who it is"
        return self.visitor.subject.person_id

    def go(self, path: str, position: int | None = None, **query: Any) -> RedirectResponse:
        """Send the reader to a page that shows what he has just written."""
        return RedirectResponse(address(path, query | {"wait_for": position}), 303)


Visiting = Annotated[Visit, Depends()]
