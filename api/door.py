"""What every request passes on its way in and out: safe headers, its size, and where it came from."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import PLAIN_COOKIE, SAFE_METHODS, SECURE_COOKIE
from api.problems import Problem, answer
from services.settings import Settings

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with it browsers send "Origin: null" with forms, also to the site that drew them.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    # What is kept on the way would be shown to others; what is kept by the browser is asked for again.
    "Cache-Control": "private, no-cache",
}

HEADERS_OVER_HTTPS = {"Strict-Transport-Security": "max-age=31536000"}
"""For a year, browsers come to this site over HTTPS alone, whatever a link says."""


class SafeHeaders:
    """Puts the headers on every answer that keep browsers from doing harm with it."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.headers = HEADERS | (HEADERS_OVER_HTTPS if settings.public_url.scheme == "https" else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers)


class OwnPagesOnly:
    """Refuses what another site makes a browser send in the name of whoever is signed in there."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.origin = _origin(str(settings.public_url))
        self.over_https = settings.public_url.scheme == "https"

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
        if headers.get("authorization", "").lower().startswith("bearer "):
            return True
        if "sec-fetch-site" in headers:
            return headers["sec-fetch-site"] in ("same-origin", "none")
        if "origin" in headers:
            # Browsers do not send Sec-Fetch-Site over plain HTTP, other than to the machine itself.
            origin = _origin(headers["origin"])
            return origin is not None and (origin == self.origin or self._is_here(origin, headers))
        cookies = headers.get("cookie", "")
        return not any(f"{name}=" in cookies for name in (PLAIN_COOKIE, SECURE_COOKIE))

    def _is_here(self, origin: tuple[str, str], headers: Headers) -> bool:
        """Whether a page has the address that was asked. Where the site is reached over HTTPS, a page that
        came over plain HTTP may have been written by anybody on the way."""
        return origin[1] == headers.get("host") and (origin[0] == "https" or not self.over_https)


def _origin(url: str) -> tuple[str, str] | None:
    """Return scheme and host with port, as browsers write them; None for an opaque origin."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return (parts.scheme, parts.netloc) if parts.scheme and parts.netloc else None


class ReadableSizes:
    """Refuses a body over the limit before all of it is read, also one that comes in chunks."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self.app = app
        self.limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        problem = self._objection(scope)
        if problem is not None:
            await answer(Request(scope, receive), problem)(scope, receive, send)
            return
        read_bytes = 0

        async def count() -> Message:
            nonlocal read_bytes
            message = await receive()
            read_bytes += len(message.get("body", b""))
            if read_bytes > self.limit_bytes:
                raise self._too_large()
            return message

        await self.app(scope, count, send)

    def _objection(self, scope: Scope) -> Problem | None:
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > self.limit_bytes:
            return self._too_large()
        # No id, name or question holds this character, and the database does not take it.
        if b"%00" in scope["query_string"] or "\0" in scope["path"]:
            return Problem("malformed", "The address holds the character U+0000. Take it out.")
        return None

    def _too_large(self) -> Problem:
        return Problem(
            "too-large",
            f"The body has more than {self.limit_bytes} bytes, which is the limit. Nothing was stored.",
        )
