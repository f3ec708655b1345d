"""The language that a reader chooses for the pages, and which the browser keeps."""

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse

from api.access import SECURE_COOKIE, allowed, cookie_name
from api.pages.frame import own_path
from api.pages.translations import COOKIE, spoken
from domain.access import Action

router = APIRouter()

A_YEAR_SECONDS = 365 * 24 * 60 * 60


@router.post("/language", dependencies=[allowed(Action.COME_IN)])
async def choose(request: Request) -> Response:
    """Keep the language that was chosen, and show the same page again."""
    sent: FormData = request.state.sent
    response = RedirectResponse(own_path(sent.get("next")), 303)
    keep_language(request, response, str(sent.get("language") or ""))
    return response


def keep_language(request: Request, response: Response, language: str) -> None:
    """Let the browser keep the language in which the pages speak."""
    response.set_cookie(
        COOKIE,
        spoken(language),
        max_age=A_YEAR_SECONDS,
        path="/",
        httponly=True,
        samesite="lax",
        secure=cookie_name(request.app.state.settings) == SECURE_COOKIE,
    )
