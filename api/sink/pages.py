"""The pages of the sink: letters, newest first, and each of them. No scripts, and nothing from outside."""

import re
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.sink.letters import Letters

HERE = Path(__file__).parent
SHOWN = 200
"""Letters on the first page; older ones follow on request."""

POLICY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

ADDRESS = re.compile(r"(https?://[^\s<>\"]+[^\s<>\".,;:!?)])")
HEADERS = ("From", "To", "Delivered-To", "Subject", "Date", "Message-ID", "In-Reply-To", "Reply-To")


def create(letters: Letters) -> FastAPI:
    """The web application that shows these letters."""
    app = FastAPI(title="Letters", docs_url=None, redoc_url=None, openapi_url=None)
    pages = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)

    @app.middleware("http")
    async def guarded(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        answer = await go_on(request)
        answer.headers.update(POLICY)
        return answer

    @app.get("/")
    def index(before: str = "") -> HTMLResponse:
        names = [name for name in letters.names() if not before or name < before]
        shown = [_summary(letters, name) for name in names[:SHOWN]]
        older = names[SHOWN - 1] if len(names) > SHOWN else None
        return HTMLResponse(pages.get_template("letters.html").render(letters=shown, older=older))

    @app.get("/letters.json")
    def for_programs() -> JSONResponse:
        return JSONResponse([_summary(letters, name) for name in letters.names()])

    @app.get("/letters/{name}")
    def letter(name: str) -> HTMLResponse:
        message = letters.read(name)
        if message is None:
            raise HTTPException(404, "There is no such letter.")
        return HTMLResponse(pages.get_template("letter.html").render(name=name, **_parts(message)))

    @app.get("/letters/{name}/raw")
    def raw(name: str) -> PlainTextResponse:
        source = letters.raw(name)
        if source is None:
            raise HTTPException(404, "There is no such letter.")
        return PlainTextResponse(source)

    @app.get("/style.css")
    def style() -> FileResponse:
        return FileResponse(HERE / "style.css", media_type="text/css")

    return app


def _summary(letters: Letters, name: str) -> dict[str, Any]:
    message = letters.read(name) or EmailMessage()
    return {
        "name": name,
        "at": f"{name[0:4]}-{name[4:6]}-{name[6:8]} {name[9:11]}:{name[11:13]}:{name[13:15]} UTC",
        "to": str(message.get("To", "")),
        "subject": str(message.get("Subject", "")),
        "message_id": str(message.get("Message-ID", "")),
        "calendar": any(part.get_content_type() == "text/calendar" for part in message.walk()),
    }


def _parts(message: EmailMessage) -> dict[str, Any]:
    """What a letter is made of: some of its headers, and its readable parts in their order."""
    headers = [(name, str(value)) for name in HEADERS for value in message.get_all(name, [])]
    leaves = [part for part in message.walk() if not part.is_multipart()]
    return {
        "subject": str(message.get("Subject", "(no subject)")),
        "headers": headers,
        "parts": [
            {"kind": part.get_content_type(), "name": part.get_filename() or "", "pieces": _pieces(part)}
            for part in leaves
        ],
    }


def _pieces(part: Any) -> list[tuple[bool, str]]:
    """The text of a part, cut so that addresses can be made links; nothing for what is not text."""
    if part.get_content_maintype() != "text":
        return []
    try:
        text = str(part.get_content())
    except (LookupError, ValueError):
        text = part.get_payload(decode=True).decode("utf-8", "replace")
    return [(bool(ADDRESS.fullmatch(piece)), piece) for piece in ADDRESS.split(text) if piece]
