"""Signing in at the provider of OpenID Connect: out to it, and back from it.

What is kept while somebody is away stands in a cookie of that one browser and ends with the return. Whatever
goes wrong is said on the page of the sign-in, so that the address with the provider's answer is left behind.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import RedirectResponse, Response

from api import access
from api.access import SECURE_COOKIE, allowed, cookie_name, entrance_of
from api.pages.frame import address, own_path
from api.problems import Problem
from domain.access import Action
from services.openid import (
    RETURN_PATH,
    STATE_LASTS,
    OpenId,
    Pending,
    ProviderUnavailable,
    SignInFailed,
)
from services.settings import Settings

log = structlog.get_logger("sign-in")

router = APIRouter()

START_PATH = f"{RETURN_PATH}/start"


class Away(BaseModel):
    """What the browser keeps for somebody who is at the provider."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pending: Pending
    next: str
    """Where to go on after the sign-in."""


@router.get(START_PATH, dependencies=[allowed(Action.COME_IN)])
async def start(request: Request, next: str = "/") -> Response:
    """Send the browser to the provider.

    It is a link and not a form: browsers hold a form to our own site, also where an answer sends it on.
    """
    try:
        url, pending = await _openid(request).begin(datetime.now(UTC))
    except ProviderUnavailable as error:
        return _not_signed_in("provider-unavailable", own_path(next), error)
    response = RedirectResponse(url, 303)
    away = Away(pending=pending, next=own_path(next)).model_dump_json()
    response.set_cookie(
        _cookie_name(request),
        urlsafe_b64encode(away.encode()).decode(),
        max_age=int(STATE_LASTS.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=_is_secure(request),
    )
    return response


@router.get(RETURN_PATH, dependencies=[allowed(Action.COME_IN)])
async def come_back(request: Request) -> Response:
    """Sign in whoever comes back from the provider, in a session that is new."""
    response = await _arrived(request)
    response.delete_cookie(
        _cookie_name(request), path="/", httponly=True, samesite="lax", secure=_is_secure(request)
    )
    response.headers["Cache-Control"] = "no-store"
    return response


async def _arrived(request: Request) -> Response:
    away, now = _away(request), datetime.now(UTC)
    next = own_path(away.next) if away else "/"
    try:
        identity = await _openid(request).finish(request.query_params, away.pending if away else None, now)
    except SignInFailed as error:
        return _not_signed_in("not-signed-in", next, error)
    except ProviderUnavailable as error:
        return _not_signed_in("provider-unavailable", next, error)
    browser = access.browser_of(request)
    opened = await entrance_of(request).arrive(identity, browser, now, access.kept(request))
    if opened is None:
        return _not_signed_in("no-account", next, SignInFailed("nobody here is who the provider names"))
    response = RedirectResponse(next, 303)
    access.keep(request, response, opened)
    return response


def _openid(request: Request) -> OpenId:
    openid: OpenId | None = request.app.state.openid
    if openid is None:
        raise Problem("not-found", "On this installation nobody signs in with OpenID Connect.")
    return openid


def _away(request: Request) -> Away | None:
    """Return what this browser kept while it was away; None when it kept nothing, or nothing of ours."""
    kept = request.cookies.get(_cookie_name(request), "")
    try:
        return Away.model_validate_json(urlsafe_b64decode(kept))
    except (ValidationError, ValueError):
        return None


def _not_signed_in(said: str, next: str, error: Exception) -> Response:
    log.warning("nobody was signed in at the provider", why=str(error)[:500])
    return RedirectResponse(address("/sign-in", {"said": said, "next": next}), 303)


def _cookie_name(request: Request) -> str:
    settings: Settings = request.app.state.settings
    return f"{cookie_name(settings)}-openid"


def _is_secure(request: Request) -> bool:
    return cookie_name(request.app.state.settings) == SECURE_COOKIE
