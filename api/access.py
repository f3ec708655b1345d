"""Who asks, and what they may do: every route names its action here, and nothing else decides.

A request comes with the secret of a session, in a cookie or as a bearer, or with a token for programs. Who it
is, and what that is good for, is asked of the entrance each time.

Whoever is not known is answered 401, whatever the address. Whoever may not read what an address gives gets
the answer of an address that leads nowhere. Whoever may not give a command at all is told so, 403, before
any record is looked at, and the refusal is recorded. Whoever may do a thing with their own records only is
answered, for all others, as if there were none.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Depends, Path, Request, Response
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from api.keys import read_key
from api.problems import Problem
from domain.access import PUBLIC, Action, Extent
from domain.links import PersonalLink
from domain.refusals import Fault, NotFound
from domain.rounds import Invitation
from services.commands import Command
from services.directory import Person
from services.entrance import Entrance, Visitor
from services.kept_links import Link
from services.rights import action_of
from services.sessions import OpenedSession
from services.settings import Settings
from services.tokens import PREFIX
from services.wiring import Services

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

SECURE_COOKIE = "__Host-mandate"
"""The cookie of a session where the site is reached over HTTPS. Browsers take a cookie of such a name from
the site itself alone, and from no neighbour of its domain."""
PLAIN_COOKIE = "mandate"
"""The same over plain HTTP, as on one's own machine: there a cookie that is Secure is refused by most
programs, and one that begins with ``__Host-`` must be Secure."""

_bearer = HTTPBearer(
    auto_error=False, scheme_name="token", description="A token for programs, or the secret of a session."
)
_cookie = APIKeyCookie(
    name=SECURE_COOKIE, auto_error=False, scheme_name="cookie", description="A signed-in browser."
)


def entrance_of(request: Request) -> Entrance:
    """Return all ways into this installation."""
    entrance: Entrance = request.app.state.entrance
    return entrance


# Who it is.


async def visitor(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    _described: Annotated[str | None, Depends(_cookie)],
) -> Visitor | None:
    """Return who asks; None when nobody is known."""
    secret = bearer.credentials if bearer else kept(request)
    known = None
    if secret:
        entrance, now = entrance_of(request), datetime.now(UTC)
        by = entrance.by_token if bearer and secret.startswith(PREFIX) else entrance.by_session
        known = await by(secret, now)
    request.state.visitor = known
    request.state.person = known.person if known else None
    return known


Asking = Annotated[Visitor | None, Depends(visitor)]
"""Who asks, for what shows itself to everybody, and more to some."""


def signed_in(visitor: Asking) -> Person | None:
    """Return who is signed in, None when nobody is."""
    return visitor.person if visitor else None


SignedIn = Annotated[Person | None, Depends(signed_in)]
"""The person who asks, None when nobody is known."""


# What they may do.


@dataclass(frozen=True, slots=True)
class Right:
    """That somebody may do one thing, and with which records."""

    request: Request
    visitor: Visitor
    action: Action
    extent: Extent

    def covers(self, owner_ids: Collection[UUID], invitation_id: UUID | None = None) -> bool:
        """Whether a record is within reach."""
        return self.extent.covers(owner_ids, invitation_id)

    @property
    def owner_ids(self) -> list[UUID] | None:
        """To whom the records belong that lists may show; None for all."""
        return None if self.extent.everything else sorted(self.extent.owner_ids)


class Named:
    """What a route names, as a dependency: the one thing that it lets people do."""

    def __init__(self, action: Action) -> None:
        self.action = action


class Open(Named):
    """Lets everybody through, and looks nobody up: health is told also while the database is away."""

    async def __call__(self) -> None:
        """There is nothing to ask."""


class Allowed(Named):
    """Lets those through who may do one thing."""

    async def __call__(self, request: Request, visitor: Asking) -> Right:
        request.state.right = right = await right_to(request, self.action)
        return right


def allowed(action: Action) -> Any:
    """Return the dependency by which a route names what it lets people do."""
    return Depends(Open(action) if action in PUBLIC else Allowed(action))


OPEN = allowed(Action.COME_IN)
"""For routes that need nobody to be known."""


async def right_to(request: Request, action: Action) -> Right:
    """Return the right of whoever asks to do one thing, or refuse."""
    known: Visitor | None = request.state.visitor
    if known is None:
        raise nobody()
    extent = known.subject.extent(action)
    if extent is None:
        raise await _without_right(request, known, action)
    return Right(request, known, action, extent)


async def must_be_allowed(request: Request, command: Command) -> None:
    """Refuse a command that whoever asks may not give. All commands from people pass here."""
    await right_to(request, action_of(type(command)))


def right(request: Request) -> Right:
    """Return the right that the route asked for."""
    found: Right = request.state.right
    return found


Rights = Annotated[Right, Depends(right)]
"""The right that the route asked for, so as to limit what it shows."""


async def _without_right(request: Request, known: Visitor, action: Action) -> Problem:
    if request.method in SAFE_METHODS:
        return Problem("not-found", f"There is nothing at {request.url.path}.")
    await record_refusal(request, known, action)
    return no_right()


def no_right() -> Problem:
    """Return the answer to somebody who may not give a command at all."""
    return Problem(
        "forbidden",
        "Your roles, or the way in which you came, do not allow this. Nothing was stored.",
        code="no-right",
    )


async def record_refusal(request: Request, known: Visitor, action: Action) -> None:
    """Record that a command was refused for want of rights."""
    given = request.headers.get("idempotency-key", "")
    position = await entrance_of(request).record_refusal(
        known.subject, action, read_key(given) if given else uuid4(), _record_id(request), datetime.now(UTC)
    )
    if position is not None:
        request.state.position = position


def _record_id(request: Request) -> UUID | None:
    """Return the record that the path names, if it names one by its id."""
    for value in request.path_params.values():
        with suppress(ValueError):
            return UUID(str(value))
    return None


def nobody(
    detail: str = "Sign in, or send a token in the header Authorization. Nothing was stored.",
) -> Problem:
    """Return the answer to somebody who is not known."""
    return Problem("unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="mandate"'})


def acting(visitor: Asking) -> UUID:
    """Return the id of the person who acts, or refuse."""
    if visitor is None:
        raise nobody()
    return visitor.person.id


Acting = Annotated[UUID, Depends(acting)]
"""The id of the person who gives a command."""


async def answering(
    request: Request,
    invitation_id: Annotated[UUID, Path(description="The id of the invitation.")],
    visitor: Asking,
) -> UUID:
    """Return who looks at a questionnaire or answers it: a contact of the party that was asked."""
    if visitor is None:
        raise nobody("Open the questionnaire by the link in the letter, or sign in. Nothing was stored.")
    reading = request.method in SAFE_METHODS
    right = await right_to(request, Action.SEE_INVITATIONS if reading else Action.SUBMIT)
    await must_cover_invitation(right, invitation_id)
    return visitor.person.id


Answering = Annotated[UUID, Depends(answering)]
"""The id of the person who answers the questionnaire that the path names as ``invitation_id``."""


async def must_cover_invitation(right: Right, invitation_id: UUID) -> None:
    """Answer as if there were no such invitation when it is out of reach, or not there."""
    services: Services = right.request.app.state.services
    with suppress(NotFound):
        invitation = await services.store.read(Invitation, invitation_id)
        if right.covers({invitation.party_id}, invitation.id):
            return
        await _record_without_a_word(right)
    raise Problem("not-found", f"There is no invitation {invitation_id}.")


async def must_cover_link(right: Right, link_id: UUID) -> None:
    """Answer as if there were no such personal link when it is out of reach, or not there."""
    services: Services = right.request.app.state.services
    with suppress(NotFound):
        link = (await services.store.read(PersonalLink, link_id)).facts
        if right.covers({link.party_id}, link.invitation_id):
            return
        await _record_without_a_word(right)
    raise Problem("not-found", f"There is no personal link {link_id}.")


async def _record_without_a_word(right: Right) -> None:
    """Record that somebody reached beyond their own records, and say nothing of it."""
    if right.request.method not in SAFE_METHODS:
        await record_refusal(right.request, right.visitor, right.action)
        # Nobody must see by the position that something was recorded: of what is not there, nothing is.
        right.request.state.position = None


# Coming in and going out.


def cookie_name(settings: Settings) -> str:
    """Return under which name browsers keep a session."""
    return SECURE_COOKIE if settings.public_url.scheme == "https" else PLAIN_COOKIE


def kept(request: Request) -> str | None:
    """Return the secret of the session that the browser has now."""
    return request.cookies.get(cookie_name(request.app.state.settings))


def keep(request: Request, response: Response, opened: OpenedSession) -> None:
    """Let the browser keep the secret of a session, and give it to no script.

    SameSite is Lax: with Strict, whoever follows a link in a letter, or comes back from the provider of
    OpenID Connect, would seem not to be signed in. What changes something is guarded at the door besides.
    """
    request.state.came_in = opened.person_id  # for the access log: nobody was known when it was asked
    name = cookie_name(request.app.state.settings)
    response.set_cookie(
        name,
        opened.secret,
        max_age=max(0, int((opened.ends_at - datetime.now(UTC)).total_seconds())),
        path="/",
        httponly=True,
        samesite="lax",
        secure=name == SECURE_COOKIE,
    )


async def sign_out(request: Request, response: Response) -> None:
    """End the session of this browser, and let it forget its secret."""
    if secret := kept(request):
        await entrance_of(request).sessions.end_by_secret(secret)
    name = cookie_name(request.app.state.settings)
    response.delete_cookie(name, path="/", httponly=True, samesite="lax", secure=name == SECURE_COOKIE)


def browser_of(request: Request) -> str:
    """Return what the browser says of itself."""
    return request.headers.get("user-agent", "")


async def sign_in_with_password(request: Request, address: str, password: str) -> OpenedSession | None:
    """Sign in with a local account; None for all failures alike."""
    network_address = request.client.host if request.client else ""
    return await entrance_of(request).sign_in(
        address, password, network_address, browser_of(request), datetime.now(UTC), kept(request)
    )


async def look_at_link(request: Request, secret: str) -> Link | None:
    """Return for what a personal link is good. It changes nothing."""
    return await entrance_of(request).look_at_link(secret, datetime.now(UTC))


async def open_link(request: Request, response: Response, secret: str) -> OpenedSession | None:
    """Exchange a personal link for a session in this browser; None when the link is not good."""
    opened = await entrance_of(request).open_link(
        secret, browser_of(request), datetime.now(UTC), kept(request)
    )
    if opened is not None:
        keep(request, response, opened)
    return opened


# Signing in without a password, for trying on one's own machine.


async def people_to_sign_in_as(request: Request) -> list[Person]:
    """Return the staff among whom one may choose. Refused unless the settings say so."""
    settings: Settings = request.app.state.settings
    if not settings.open_sign_in:
        raise Problem(
            "forbidden",
            "On this installation nobody signs in without a proof of who they are.",
            code="sign-in-is-not-open",
        )
    services: Services = request.app.state.services
    return await services.directory.staff()


async def open_session(request: Request, person_id: UUID) -> OpenedSession:
    """Open a session for a person. Refused unless the settings allow it and the person is staff."""
    opened = None
    if person_id in {person.id for person in await people_to_sign_in_as(request)}:
        opened = await entrance_of(request).admit(
            person_id, browser_of(request), datetime.now(UTC), kept(request)
        )
    if opened is None:
        fault = Fault(where="/person_id", what="Nobody of the Secretariat has this id.")
        raise Problem("invalid", "Nobody was signed in.", code="unknown-person", faults=[fault])
    return opened
