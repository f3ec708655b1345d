"""Sessions and tokens over HTTP: coming in, and seeing and ending one's own ways in."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field, SecretStr

from api import access
from api.access import OPEN, Rights, allowed, entrance_of
from api.http import Model
from api.openapi import problems
from api.problems import Problem
from domain.access import Action, Grant, Role
from services.sessions import OpenedSession
from services.tokens import Scope

router = APIRouter(prefix="/access", tags=["access"])

OWN = allowed(Action.OWN_ACCOUNT)


class StaffMember(Model):
    """Somebody who works for the Secretariat."""

    id: UUID
    name: str
    role: str


class SessionRequest(Model):
    """Who signs in."""

    person_id: UUID | None = None
    """Whom to be, where the settings let anybody sign in as anybody."""
    address: str = Field("", max_length=300)
    """The mail address of a local account, with its password."""
    password: SecretStr = Field(SecretStr(""), max_length=1_000)


class NewSession(Model):
    """A session, to be sent as `Authorization: Bearer` and the token. It is shown once."""

    token: str
    expires_at: datetime


class SessionRecord(Model):
    """A session of one's own."""

    id: UUID
    browser: str
    """What the browser says of itself."""
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    current: bool
    """Whether it is the one with which this was asked."""


class Sessions(Model):
    """All of one's own sessions, the newest first."""

    items: list[SessionRecord]


class Ended(Model):
    """How many were ended."""

    ended: int


class TokenRequest(Model):
    """A token to make."""

    name: str = Field(min_length=1, max_length=200, examples=["nightly export"])
    role: Role
    owner_id: UUID | None = None
    """For whom the role is held, where it is held for somebody."""
    scope: Scope = "read"
    ends_at: datetime
    """When it ends, within a year."""


class NewToken(Model):
    """A token, to be sent as `Authorization: Bearer`. It is shown once."""

    id: UUID
    token: str


class TokenRecord(Model):
    """A token of one's own, without its secret."""

    id: UUID
    name: str
    role: str
    owner_id: UUID | None
    scope: Scope
    created_at: datetime
    seen_at: datetime | None
    ends_at: datetime


class Tokens(Model):
    """All of one's own tokens, the newest first."""

    items: list[TokenRecord]


SessionId = Annotated[UUID, Path(description="The id of the session.")]
TokenId = Annotated[UUID, Path(description="The id of the token.")]


@router.get(
    "/staff", summary="List whom one may sign in as", responses=problems("forbidden"), dependencies=[OPEN]
)
async def list_staff(request: Request) -> list[StaffMember]:
    """Return the people of the Secretariat. Only where the settings let anybody sign in as anybody."""
    people = await access.people_to_sign_in_as(request)
    return [StaffMember(id=person.id, name=person.name, role=person.role or "") for person in people]


@router.post(
    "/sessions",
    summary="Open a session",
    status_code=201,
    responses=problems("unauthenticated", "forbidden", "malformed", "too-large"),
    dependencies=[OPEN],
)
async def start_session(request: Request, response: Response, wanted: SessionRequest) -> NewSession:
    """Sign in with address and password, or as anybody where the settings let one.

    All failures with a password are answered alike, also without such an account or after too many tries.
    """
    opened: OpenedSession | None
    if wanted.person_id is not None:
        opened = await access.open_session(request, wanted.person_id)
    else:
        password = wanted.password.get_secret_value()
        opened = await access.sign_in_with_password(request, wanted.address, password)
    if opened is None:
        raise access.nobody("Address and password do not belong together, or it was tried too often.")
    request.state.came_in = opened.person_id
    response.headers["Cache-Control"] = "no-store"
    return NewSession(token=opened.secret, expires_at=opened.ends_at)


@router.get(
    "/sessions", summary="List one's own sessions", responses=problems("unauthenticated"), dependencies=[OWN]
)
async def list_sessions(request: Request, right: Rights) -> Sessions:
    """Return the sessions with which one is signed in, the newest first."""
    visitor = right.visitor
    current = visitor.session.id if visitor.session else None
    found = await entrance_of(request).sessions.of(visitor.person.id, datetime.now(UTC))
    return Sessions(
        items=[
            SessionRecord(
                id=each.id,
                browser=each.browser,
                created_at=each.created_at,
                seen_at=each.seen_at,
                ends_at=each.ends_at,
                current=each.id == current,
            )
            for each in found
        ]
    )


@router.delete(
    "/sessions",
    summary="End all of one's own sessions",
    responses=problems("unauthenticated", "forbidden"),
    dependencies=[OWN],
)
async def end_sessions(request: Request, right: Rights) -> Ended:
    """End every session of one's own, the one with which this is asked too."""
    return Ended(ended=await entrance_of(request).sessions.end_all(right.visitor.person.id))


@router.delete(
    "/sessions/{session_id}",
    summary="End one of one's own sessions",
    responses=problems("unauthenticated", "forbidden", "not-found"),
    dependencies=[OWN],
)
async def end_session(request: Request, right: Rights, session_id: SessionId) -> Ended:
    """End a session of one's own. Those of others are answered as if there were none."""
    if not await entrance_of(request).sessions.end(right.visitor.person.id, session_id):
        raise Problem("not-found", f"There is no session {session_id}.")
    return Ended(ended=1)


@router.get(
    "/tokens", summary="List one's own tokens", responses=problems("unauthenticated"), dependencies=[OWN]
)
async def list_tokens(request: Request, right: Rights) -> Tokens:
    """Return the tokens that one has made, without their secrets."""
    found = await entrance_of(request).tokens.of(right.visitor.person.id, datetime.now(UTC))
    return Tokens(items=[TokenRecord.model_validate(each, from_attributes=True) for each in found])


@router.post(
    "/tokens",
    summary="Make a token for a program",
    status_code=201,
    responses=problems("unauthenticated", "forbidden", "malformed", "not-allowed", "too-large"),
    dependencies=[OWN],
)
async def make_token(request: Request, response: Response, right: Rights, wanted: TokenRequest) -> NewToken:
    """Make a token that carries one of one's own roles, to read or to write as well, until a day."""
    visitor = right.visitor
    try:
        grant = Grant(role=wanted.role, owner_id=wanted.owner_id)
    except ValueError as error:
        raise Problem("invalid", "No token was made: say for whom the role is held.") from error
    id, secret = await entrance_of(request).tokens.make(
        visitor.person.id,
        visitor.subject.grants,
        wanted.name,
        grant,
        wanted.scope,
        wanted.ends_at if wanted.ends_at.tzinfo else wanted.ends_at.replace(tzinfo=UTC),
        datetime.now(UTC),
    )
    response.headers["Cache-Control"] = "no-store"
    return NewToken(id=id, token=secret)


@router.delete(
    "/tokens/{token_id}",
    summary="End one of one's own tokens",
    responses=problems("unauthenticated", "forbidden", "not-found"),
    dependencies=[OWN],
)
async def end_token(request: Request, right: Rights, token_id: TokenId) -> Ended:
    """End a token of one's own. Those of others are answered as if there were none."""
    if not await entrance_of(request).tokens.end(right.visitor.person.id, token_id):
        raise Problem("not-found", f"There is no token {token_id}.")
    return Ended(ended=1)
