"""What pages need in order to let somebody in: the entrance, and the cookie of a session."""

from datetime import UTC, datetime

from fastapi import Request, Response

from api import access
from services.entrance import Entrance
from services.sessions import OpenedSession
from services.wiring import Services


def entrance_of(request: Request) -> Entrance:
    """Return all ways into this installation."""
    services: Services = request.app.state.services
    return Entrance(services)


def browser_of(request: Request) -> str:
    """Return what the browser says of itself."""
    return request.headers.get("user-agent", "")


def network_address_of(request: Request) -> str:
    """Return the address from which the request came."""
    return request.client.host if request.client else ""


def kept(request: Request) -> str | None:
    """Return the secret of the session that the browser has now."""
    return request.cookies.get(access.COOKIE)


def keep(request: Request, response: Response, opened: OpenedSession) -> None:
    """Let the browser keep the secret of a session, and give it to no script and to no other site."""
    response.set_cookie(
        access.COOKIE,
        opened.secret,
        max_age=max(0, int((opened.ends_at - datetime.now(UTC)).total_seconds())),
        httponly=True,
        samesite="strict",
        secure=access.COOKIE.startswith("__Host-") or request.url.scheme == "https",
    )
