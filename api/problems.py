"""Problems: what a caller is told when something cannot be done (RFC 9457).

One table says which HTTP status each kind of refusal has. Everything that goes wrong leaves through here:
refusals of the domain, requests that cannot be read, a database that is out of reach, and faults of ours.
"""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from traceback import extract_tb
from typing import Any

import psycopg
import structlog
from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.refusals import Fault, Refusal
from services.history_tree import HistoryDiffers
from services.log import Unavailable
from services.store import RefusalRecord

log = structlog.get_logger("api")

MEDIA_TYPE = "application/problem+json"
FAULT_LIMIT = 100
"""Most faults that are named at once."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its HTTP status, and what it means in general."""

    status: int
    title: str
    meaning: str


KINDS: Mapping[str, Kind] = {
    # The family of refusals, by their kind.
    "refused": Kind(
        422, "The rules do not allow this", "A rule refused the command. The detail says which and why."
    ),
    "not-found": Kind(404, "Nothing is known under this address", "Look at the id, or at the path."),
    "not-allowed": Kind(
        409,
        "The record does not allow this now",
        "The state of the record stands against the command: it was withdrawn, for example. Read it again.",
    ),
    "invalid": Kind(
        422,
        "What was given breaks a rule",
        "Every fault is named with its place. Nothing was stored. Mend them and send it again.",
    ),
    "stale": Kind(
        412,
        "The record was changed in the meantime",
        "The command was based on an older version. Read the record again, decide again, and send the ETag "
        "that it has now as If-Match.",
    ),
    "key-reused": Kind(
        422,
        "The key was used before for another command",
        "One Idempotency-Key belongs to one command. Use a new key for a new command.",
    ),
    # What can be wrong with a request before any rule is asked.
    "malformed": Kind(400, "The request cannot be read", "The body is not what its Content-Type says."),
    "unauthenticated": Kind(
        401,
        "Nobody is signed in",
        "Whoever changes something must say who acts: by a token in the header Authorization, or signed in.",
    ),
    "forbidden": Kind(403, "This is not allowed to the caller", "The request came from another site, or "
        "whoever is signed in may not do this."),
    "method-not-allowed": Kind(405, "This address does not take this method", "The header Allow names those "
        "that it takes."),
    "too-large": Kind(413, "The body is too large", "The detail names the limit. Nothing was stored."),
    "unsupported-media-type": Kind(
        415, "The body is of a kind that is not taken here", "The detail names the kinds that are."
    ),
    "precondition-required": Kind(
        428,
        "Say which version this is based on",
        "Send the ETag of the record as If-Match, so that nobody's change is overwritten unseen.",
    ),
    # What the caller cannot help.
    "internal": Kind(
        500, "Something went wrong on our side", "It was noted. Sending the same command with the same "
        "Idempotency-Key again does no harm."
    ),
    "unavailable": Kind(
        503,
        "Not available now",
        "A part that is needed is out of reach. Wait as long as Retry-After says and send the request again; "
        "a command with the same Idempotency-Key, which is then carried out once.",
    ),
    "other": Kind(400, "The request was not carried out", "The status and the detail say why."),
}  # fmt: skip
"""All kinds of problems, by the name that ends their ``type``."""


class ProblemDetails(BaseModel):
    """What went wrong, as RFC 9457 says it."""

    type: str = Field(description="Address that explains this kind of problem.", examples=["/problems/stale"])
    title: str = Field(description="The kind of problem in a few words, always the same for one type.")
    status: int = Field(description="The HTTP status, once more.", examples=[412])
    detail: str = Field(description="What happened here, and what to do about it.")
    instance: str = Field(description="The address that was asked.")
    code: str = Field(description="The rule that refused, for programs.", examples=["due-in-the-past"])
    faults: list[Fault] | None = Field(
        None, description="Each thing that is wrong, with its place, where several can be."
    )
    in_doubt: bool | None = Field(
        None, description="True when nobody can tell yet whether the command was recorded: ask for its key."
    )


class Problem(HTTPException):
    """Something that cannot be done, as it is told to the caller. May be raised anywhere in a route."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        code: str | None = None,
        faults: Sequence[Fault] = (),
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.kind = KINDS[name]
        super().__init__(status or self.kind.status, detail, dict(headers or {}))
        self.code = code or name
        self.faults = tuple(faults)
        self.members = dict(members or {})

    def document(self, instance: str) -> dict[str, Any]:
        """Return the problem as a JSON object."""
        document = {
            "type": f"/problems/{self.name}",
            "title": self.kind.title,
            "status": self.status_code,
            "detail": self.detail,
            "instance": instance,
            "code": self.code,
        }
        if self.faults:
            document["faults"] = [fault.model_dump() for fault in self.faults]
        return document | {name: value for name, value in self.members.items() if name not in document}


def of_refusal(refusal: Refusal | RefusalRecord) -> Problem:
    """Translate a refusal, raised now or remembered under a key: both give the same bytes."""
    name = refusal.kind if refusal.kind in KINDS else "refused"
    return Problem(name, refusal.message, code=refusal.code, faults=refusal.faults, members=refusal.facts)


def of_error(error: Exception, request: Request) -> Problem:
    """Translate whatever was raised."""
    match error:
        case Problem():
            return error
        case Refusal():
            return of_refusal(error)
        case Unavailable():
            return _of_unavailable(error, request)
        case HistoryDiffers():
            # It grows anew just now, or an alarm says what is the matter.
            return _of_unavailable(Unavailable(f"Nothing can be proven now. {error}"), request)
        case psycopg.OperationalError() | psycopg.InterfaceError() | PoolTimeout():
            return _of_unavailable(Unavailable("The database cannot be reached now."), request)
        case RequestValidationError():
            return _of_validation(error, request)
        case StarletteHTTPException():
            return _of_http(error, request)
    return Problem(
        "internal", "The request met a fault of ours. It was noted; nothing that was accepted is lost."
    )


def _of_unavailable(error: Unavailable, request: Request) -> Problem:
    headers = {"Retry-After": str(error.retry_after_seconds)}
    if not error.in_doubt:
        return Problem("unavailable", str(error), headers=headers)
    key = getattr(request.state, "key", None)
    return Problem(
        "unavailable",
        "The connection to the database broke while the command was being recorded. Ask for its key to "
        "learn how it ended, or send it again with the same key.",
        code="in-doubt",
        headers=headers,
        members={"in_doubt": True, "command": f"/api/v1/commands/{key}"},
    )


def _of_validation(error: RequestValidationError, request: Request) -> Problem:
    errors = error.errors()
    if any(found["type"] == "json_invalid" for found in errors):
        found = next(found for found in errors if found["type"] == "json_invalid")
        why = found.get("ctx", {}).get("error", "it is malformed")
        return Problem("malformed", f"The body is not JSON: {why} at character {found['loc'][-1]}.")
    content_type = request.headers.get("content-type", "")
    if isinstance(error.body, bytes) and "json" not in content_type:
        what = f"“{content_type}”" if content_type else "without a Content-Type"
        return Problem(
            "unsupported-media-type", f"The body came {what}. Send JSON, with Content-Type: application/json."
        )
    # A value that fits none of several kinds is one thing to mend, and is said once for each kind.
    faults = list(dict.fromkeys(_fault(found, error.body) for found in errors))[:FAULT_LIMIT]
    count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
    return Problem("invalid", f"The request has {count}. Nothing was stored.", faults=faults)


def _fault(found: Mapping[str, Any], body: Any) -> Fault:
    place, *path = found["loc"] or ("body",)
    if place == "body":
        path = _steps(path, body)
    escaped = [str(part).replace("~", "~0").replace("/", "~1") for part in path]
    pointer = "".join(f"/{part}" for part in escaped)
    return Fault(where=pointer if place == "body" else f"{place}{pointer}", what=_sentence(found["msg"]))


def _steps(path: Sequence[str | int], body: Any) -> list[str | int]:
    """Keep the steps that lead through the body; others name a way of reading it that did not fit."""
    steps: list[str | int] = []
    for number, step in enumerate(path):
        if isinstance(body, dict) and (step in body or number == len(path) - 1):
            steps.append(step)
            body = body.get(step)
        elif isinstance(body, list) and isinstance(step, int):
            steps.append(step)
            body = body[step] if step < len(body) else None
    return steps


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ").strip()
    return (message[:1].upper() + message[1:]).rstrip(".") + "."


_NAMES_BY_STATUS = {kind.status: name for name, kind in KINDS.items() if name != "other"} | {422: "invalid"}


def _of_http(error: StarletteHTTPException, request: Request) -> Problem:
    name = _NAMES_BY_STATUS.get(error.status_code, "other")
    details = {
        404: f"There is nothing at {request.url.path}.",
        405: f"{request.url.path} does not take {request.method}.",
        400: "The body cannot be read.",
    }
    detail = details.get(error.status_code, str(error.detail))
    return Problem(name, detail, status=error.status_code, headers=error.headers)


def answer(request: Request, problem: Problem) -> Response:
    """Answer with a problem: as a page for whoever reads pages, else as JSON."""
    headers = dict(problem.headers or {})
    if key := getattr(request.state, "key_as_given", None):
        headers["Idempotency-Key"] = key
    if (position := getattr(request.state, "position", None)) is not None:
        headers["Event-Position"] = str(position)
    page = _page(request, problem)
    if page is not None:
        page.headers.update(headers)
        return page
    content = to_json(problem.document(request.url.path))
    return Response(content, problem.status_code, headers, MEDIA_TYPE)


def wants_page(request: Request) -> bool:
    """Whether the caller is somebody who reads pages."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


def _page(request: Request, problem: Problem) -> Response | None:
    render: Render | None = getattr(request.app.state, "problem_page", None)
    return render(request, problem) if render and wants_page(request) else None


async def _handle(request: Request, error: Exception) -> Response:
    return answer(request, of_error(error, request))


Render = Callable[[Request, Problem], Response]
"""Draws a problem as a page."""


def install(app: FastAPI, render: Render) -> None:
    """Let every error of the application leave as a problem, for people as the page that ``render`` draws."""
    app.state.problem_page = render
    for kind in (
        Refusal,
        Unavailable,
        HistoryDiffers,
        psycopg.OperationalError,
        psycopg.InterfaceError,
        PoolTimeout,
        RequestValidationError,
        StarletteHTTPException,
    ):
        app.add_exception_handler(kind, _handle)


def without_secret(path: str) -> str:
    """Return a path as it may be logged: the address of a link holds its secret."""
    for opening in ("/l/", "/password/"):
        if path.startswith(opening):
            return f"{opening}…"
    return path


class LastResort:
    """Catches what nobody expected: it is logged, and the caller gets a problem and not a trace."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def note(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, note)
        except Exception as error:
            if scope["type"] != "http":
                raise
            request = Request(scope, receive)
            problem = of_error(error, request)
            if problem.name == "internal":
                # Neither message nor locals: they can hold names, answers and keys.
                log.error(
                    "a request failed",
                    method=request.method,
                    path=without_secret(request.url.path),
                    error=type(error).__qualname__,
                    where=[f"{frame.filename}:{frame.lineno}" for frame in extract_tb(error.__traceback__)],
                )
            if begun:
                # The caller has part of an answer: only a broken connection says that it is not whole.
                raise
            await answer(request, problem)(scope, receive, send)


router = APIRouter(include_in_schema=False)


@router.get("/problems")
async def all_kinds() -> dict[str, Any]:
    """Return every kind of problem."""
    return {"problems": [_explained(name) for name in KINDS]}


@router.get("/problems/{name}")
async def one_kind(request: Request, name: str) -> Response:
    """Explain one kind of problem."""
    if name not in KINDS:
        raise Problem("not-found", f"There is no kind of problem called “{name}”.")
    kind = KINDS[name]
    if not wants_page(request):
        return Response(to_json(_explained(name)), media_type="application/json")
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(kind.title)}</title>'
        f"<h1>{html.escape(kind.title)}</h1><p>{html.escape(kind.meaning)}</p>"
        f"<p>HTTP status {kind.status}</p>"
    )


def _explained(name: str) -> dict[str, Any]:
    kind = KINDS[name]
    return {
        "type": f"/problems/{name}",
        "title": kind.title,
        "status": kind.status,
        "meaning": kind.meaning,
    }
