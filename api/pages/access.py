"""Signing in and out."""

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from api import access
from api.access import allowed
from api.pages import openid
from api.pages.forms import Filled, read_uuid
from api.pages.frame import Page, Visit, Visiting, own_path
from api.pages.translations import _, later
from api.problems import Problem
from domain.access import Action
from services.sessions import OpenedSession

router = APIRouter()

NOT_SIGNED_IN = later(
    "Address and password do not belong together, or it was tried too often. Look at both, or wait a quarter "
    "of an hour."
)

SAID = {
    "not-signed-in": later(
        "You are not signed in: the sign-in was broken off, took longer than ten minutes, or was begun in "
        "another browser. Begin again from here."
    ),
    "no-account": later(
        "The provider knows you, but nobody with a role here has an address that it vouches for. Ask an "
        "administrator to open an account with that address, or to give you a role."
    ),
    "provider-unavailable": later(
        "The provider that knows you cannot be reached, or answers what makes no sense. Nothing was changed. "
        "Try again in a minute; if it stays so, tell an administrator."
    ),
}
"""What is said to whoever is led to this page because they were not signed in."""

DONE = {
    "password-set": later(
        "The password is set. Sign in with it now. Wherever you were signed in before, you are not any more."
    )
}
"""What is said to whoever is led to this page because something was done."""


@router.get("/sign-in", dependencies=[allowed(Action.COME_IN)])
async def choose(visit: Visiting, next: str = "/", said: str = "") -> Response:
    """Show how to sign in."""
    filled = Filled({"next": next})
    if said in SAID:
        filled.fault("", _(SAID[said]))
    async with visit.look() as page:
        return await _show(page, filled, _(DONE[said]) if said in DONE else None)


@router.post("/sign-in", dependencies=[allowed(Action.COME_IN)])
async def sign_in(visit: Visiting, request: Request) -> Response:
    """Sign in, and go on to where the reader came from."""
    filled = Filled.of(await visit.form())
    opened = await _opened(visit, filled)
    if opened is None:
        async with visit.look() as page:
            return await _show(page, filled)
    response = RedirectResponse(own_path(filled["next"]), 303)
    access.keep(request, response, opened)
    return response


async def _opened(visit: Visit, filled: Filled) -> OpenedSession | None:
    """Open a session; None when nobody was signed in, which is noted."""
    if "person_id" in filled.given or "address" not in filled.given:
        person_id = read_uuid(filled["person_id"])
        try:
            if person_id is not None:
                return await access.open_session(visit.request, person_id)
        except Problem as problem:
            if problem.code != "unknown-person":
                raise
        filled.fault("person_id", _("Choose who you are."))
        return None
    # As it was typed: a password may begin and end with a space.
    password = str((await visit.form()).get("password") or "")
    opened = await access.sign_in_with_password(visit.request, filled["address"], password)
    if opened is None:
        filled.fault("address", _(NOT_SIGNED_IN))
    return opened


async def _show(page: Page, filled: Filled, done: str | None = None) -> Response:
    is_open = page.settings.open_sign_in
    people = await access.people_to_sign_in_as(page.request) if is_open else []
    return page.show(
        "sign-in.html",
        filled.status,
        people=people,
        next=own_path(filled["next"]),
        filled=filled,
        provider=page.settings.openid_name if page.settings.openid_issuer else None,
        start=openid.START_PATH,
        done=done,
    )


@router.post("/sign-out", dependencies=[allowed(Action.COME_IN)])
async def sign_out(request: Request) -> Response:
    """Let the browser forget who was signed in."""
    response = RedirectResponse("/sign-in", 303)
    await access.sign_out(request, response)
    return response
