"""Who acts: sessions of those who work for the Secretariat, and links in letters to parties.

A person who works for the Secretariat has a session: a signed token, in the header ``Authorization`` or in
a cookie. A party's contact has the link of a letter, which is good for one questionnaire.
"""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from api.openapi import problems
from api.problems import Problem
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
    person: Person | None = await services.directory.find(person_id)
    # Whoever left, or was erased from the directory, does not act any more.
    person = person if person and person.role else None
    request.state.person = person
    return person


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
    invitation_id: Annotated[UUID, Path(description="The id of the invitation.")],
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


# The same for programs.

router = APIRouter(prefix="/access", tags=["access"])


class StaffMember(BaseModel):
    """Somebody who works for the Secretariat."""

    id: UUID
    name: str
    role: str


class SessionRequest(BaseModel):
    """Whose session to open."""

    person_id: UUID


class Session(BaseModel):
    """A session, to be sent as `Authorization: Bearer` and the token."""

    token: str
    expires_at: datetime


@router.get("/staff", summary="List whom one may sign in as", responses=problems("forbidden"))
async def list_staff(request: Request) -> list[StaffMember]:
    """Return the people of the Secretariat. Only where the settings let anybody sign in as anybody."""
    people = await people_to_sign_in_as(request)
    return [StaffMember(id=person.id, name=person.name, role=person.role or "") for person in people]


@router.post(
    "/sessions",
    summary="Open a session",
    status_code=201,
    responses=problems("forbidden", "malformed", "too-large"),
)
async def start_session(request: Request, wanted: SessionRequest) -> Session:
    """Return a token for a person. Only where the settings let anybody sign in as anybody."""
    token = await open_session(request, wanted.person_id)
    return Session(token=token, expires_at=datetime.now(UTC) + SESSION_AGE)
