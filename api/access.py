"""Who acts, and what is let in: sessions, links in letters, and the headers that keep pages safe.

A person who works for the Secretariat has a session: a signed token, in the header ``Authorization`` or in
a cookie. A party's contact has the link of a letter, which is good for one questionnaire.
"""

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, answer
from domain.refusals import Fault
from services.access import SESSION_AGE, Tokens
from services.directory import Person
from services.settings import Settings
from services.wiring import Services

COOKIE = "mandate_session"

_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="A token of a session.")
_cookie = APIKeyCookie(
    name=COOKIE, auto_error=False, scheme_name="cookie", description="A signed-in browser."
)


def tokens_of(request: Request) -> Tokens:
    """Return the tokens of this installation."""
    settings: Settings = request.app.state.settings
    return Tokens(settings.secret)


async def signed_in(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: Annotated[str | None, Depends(_cookie)],
) -> Person | None:
    """Return who is signed in, None when nobody is."""
    token = bearer.credentials if bearer else cookie
    person_id = tokens_of(request).person_of_session(token, datetime.now(UTC)) if token else None
    if person_id is None:
        return None
    services: Services = request.app.state.services
    person = await services.directory.find(person_id)
    # Whoever left, or was erased from the directory, does not act any more.
    return person if person and person.role else None


SignedIn = Annotated[Person | None, Depends(signed_in)]
"""Who is signed in; for what shows itself to everybody, and more to some."""


def acting(person: SignedIn) -> UUID:
    """Return the id of the person who acts, or refuse."""
    if person is None:
        raise _nobody("Sign in, or send a token in the header Authorization. Nothing was stored.")
    return person.id


Acting = Annotated[UUID, Depends(acting)]
"""The id of the person who gives a command."""


def answering(
    request: Request,
    invitation_id: UUID,
    person: SignedIn,
    token: Annotated[
        str | None, Query(description="The token of the link in a letter.", max_length=200)
    ] = None,
) -> UUID:
    """Return who answers a questionnaire: the contact whom the link was written to, or somebody signed in."""
    contact_id = tokens_of(request).contact_of_link(token, invitation_id) if token else None
    if contact_id is not None:
        return contact_id
    if person is not None:
        return person.id
    raise _nobody("Open the questionnaire by the link in the letter, or sign in. Nothing was stored.")


Answering = Annotated[UUID, Depends(answering)]
"""The id of the person who answers the questionnaire that the path names as ``invitation_id``."""


def _nobody(detail: str) -> Problem:
    return Problem("unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="mandate"'})


# Signing in without a password, for trying on one's own machine.


async def people_to_sign_in_as(request: Request) -> list[Person]:
    """Return the staff among whom one may choose. Refused unless the settings say so."""
    _must_be_open(request)
    services: Services = request.app.state.services
    return await services.directory.staff()


async def open_session(request: Request, person_id: UUID) -> str:
    """Return a token for a person. Refused unless the settings allow it and the person is staff."""
    if person_id not in {person.id for person in await people_to_sign_in_as(request)}:
        fault = Fault(where="/person_id", what="Nobody of the Secretariat has this id.")
        raise Problem("invalid", "Nobody was signed in.", code="unknown-person", faults=[fault])
    return tokens_of(request).session(person_id, datetime.now(UTC))


def sign_in(request: Request, response: Response, token: str) -> None:
    """Let the browser keep the token of a session."""
    settings: Settings = request.app.state.settings
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(SESSION_AGE.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=settings.public_url.scheme == "https",
    )


def sign_out(response: Response) -> None:
    """Let the browser forget the session."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def _must_be_open(request: Request) -> None:
    settings: Settings = request.app.state.settings
    if not settings.open_sign_in:
        raise Problem(
            "forbidden",
            "On this installation nobody signs in without a proof of who they are.",
            code="sign-in-is-not-open",
        )


# What every request meets at the door.

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with it browsers send "Origin: null" with forms, also to the site that drew them.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class SafeHeaders:
    """Puts the headers on every answer that keep browsers from doing harm with it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers)


class OwnPagesOnly:
    """Refuses what another site makes a browser send in the name of whoever is signed in there."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.origin = _origin(str(settings.public_url))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or self._is_own(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        problem = Problem(
            "forbidden",
            "The request came from a page of another site. Nothing was stored.",
            code="from-another-site",
        )
        await answer(Request(scope, receive), problem)(scope, receive, send)

    def _is_own(self, headers: Headers) -> bool:
        """Whether a browser sent it from a page of ours, or whether no browser's cookie is at stake."""
        if "authorization" in headers:
            return True
        if "sec-fetch-site" in headers:
            return headers["sec-fetch-site"] in ("same-origin", "none")
        if "origin" in headers:
            # Browsers do not send Sec-Fetch-Site over plain HTTP, other than to the machine itself.
            origin = _origin(headers["origin"])
            return origin is not None and (origin == self.origin or origin[1] == headers.get("host"))
        return f"{COOKIE}=" not in headers.get("cookie", "")


def _origin(url: str) -> tuple[str, str] | None:
    """Return scheme and host with port, as browsers write them; None for an opaque origin."""
    parts = urlsplit(url)
    return (parts.scheme, parts.netloc) if parts.scheme and parts.netloc else None
