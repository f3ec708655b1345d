"""Signing in and out."""

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from api import access
from api.pages.forms import read_uuid
from api.pages.frame import Visiting, own_path
from api.problems import Problem
from domain.refusals import Fault

router = APIRouter()


@router.get("/sign-in")
async def choose(visit: Visiting, request: Request, next: str = "/") -> Response:
    """Show who may be signed in as, where the settings allow it."""
    people = await access.people_to_sign_in_as(request)
    async with visit.look() as page:
        return page.show("sign-in.html", people=people, next=own_path(next), fault=None)


@router.post("/sign-in")
async def sign_in(visit: Visiting, request: Request) -> Response:
    """Sign in as the person who was chosen, and go on to where he came from."""
    form = await visit.form()
    person_id, next = read_uuid(form.get("person_id")), own_path(form.get("next"))
    try:
        if person_id is None:
            raise Problem("invalid", "Choose who you are.", code="unknown-person")
        token = await access.open_session(request, person_id)
    except Problem as problem:
        if problem.code != "unknown-person":
            raise
        people = await access.people_to_sign_in_as(request)
        fault = Fault(where="person_id", what="Choose who you are.")
        async with visit.look() as page:
            return page.show("sign-in.html", 422, people=people, next=next, fault=fault)
    response = RedirectResponse(next, 303)
    access.sign_in(request, response, token)
    return response


@router.post("/sign-out")
async def sign_out() -> Response:
    """Let the browser forget who was signed in."""
    response = RedirectResponse("/", 303)
    access.sign_out(response)
    return response
