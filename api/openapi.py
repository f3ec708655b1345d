"""The description of the interface for programs (OpenAPI), as a person would have written it."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.problems import KINDS, MEDIA_TYPE, ProblemDetails

ROOT = "/api/v1"

DESCRIPTION = """
Mandate tracks what a treaty body asked for, from the paragraph that asked to the evidence that it was done.

**Reading.** Every list and every record can be asked for `as_of` an earlier moment. Every answer says in
`Event-Position` which position of the event log it shows. Lists come in parts: follow `next`.

**Writing.** Say who acts, by a token in the header `Authorization`. Send an `Idempotency-Key` of your own, so
that a command whose answer was lost can be sent again: it is carried out once and answered with the same
bytes, and `GET /api/v1/commands/{key}` says how it ended. Commands that change a record want its `ETag` as
`If-Match`. The answer's `Event-Position`, given to a read as `wait_for`, makes it show what was written.

**Problems.** Whatever goes wrong is told as problem details (RFC 9457), with a `code` for programs, and with
every fault by its place.
"""

TAGS = [
    {"name": "parties", "description": "Parties to the Convention, and who speaks for them."},
    {"name": "questionnaires", "description": "Questionnaires and their versions, taken in as spreadsheets."},
    {"name": "rounds", "description": "One questionnaire sent to many parties: open, issue, extend."},
    {"name": "drafts", "description": "Answers that are saved and not yet handed in."},
    {"name": "invitations", "description": "One questionnaire at one party: its due date and its response."},
    {"name": "gaps", "description": "What parties say they need, each figure open to the answers behind it."},
    {"name": "letters", "description": "Everything that was planned to be sent, and what became of it."},
    {
        "name": "links",
        "description": "Personal links: who answers by a letter, and which section.",
    },
    {"name": "chemicals", "description": "The entries of Annex III."},
    {"name": "programme", "description": "Who delivers assistance: regional centres and offices."},
    {
        "name": "funding",
        "description": "Trust funds: what donors promise and pay, and what is reserved, committed and spent.",
    },
    {
        "name": "history",
        "description": "The event log: of one record, of everything, and how far it reaches.",
    },
    {"name": "people", "description": "Accounts, and the roles that they hold."},
    {"name": "commands", "description": "How a command ended, by its key."},
    {"name": "access", "description": "Who acts, and with which token."},
    {"name": "health", "description": "Whether the site is alive, and what it depends on."},
]

HEADERS = {
    "Event-Position": "The position of the log that the answer shows, or at which the command was recorded.",
    "ETag": "The version of the record, to be sent as If-Match with a command on it.",
    "Idempotency-Key": "The key of the command, as it was sent, or one that was made for it.",
    "Retry-After": "After how many seconds to try again.",
}

_ALWAYS = ("malformed", "invalid", "internal", "unavailable")
_FOR_COMMANDS = (
    "unauthenticated",
    "forbidden",
    "not-allowed",
    "stale",
    "too-large",
    "unsupported-media-type",
    "refused",
    "key-reused",
    *_ALWAYS,
)


def problems(*names: str) -> dict[int | str, dict[str, Any]]:
    """Declare the problems that a route answers with, by their names, and those that every route has."""
    return _declare(*_ALWAYS, *names)


def problems_of_command(*names: str) -> dict[int | str, dict[str, Any]]:
    """Declare the problems that a command answers with: by name, and those that every command has."""
    return _declare(*_FOR_COMMANDS, *names)


def _declare(*names: str) -> dict[int | str, dict[str, Any]]:
    declared: dict[int | str, dict[str, Any]] = {}
    for status in sorted({KINDS[name].status for name in names}):
        titles = [kind.title for name, kind in KINDS.items() if name in names and kind.status == status]
        declared[status] = {
            "description": "; or: ".join(titles) + ".",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
    return declared


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the application."""
    if app.openapi_schema is None:
        document = get_openapi(
            title="Mandate",
            version=app.version,
            summary="From the paragraph that asked to the evidence that it was done.",
            description=DESCRIPTION.strip(),
            routes=app.routes,
            tags=TAGS,
        )
        _name_headers(document)
        _name_problem(document)
        app.openapi_schema = document
    return app.openapi_schema


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield every operation with its method and path."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def _name_headers(document: dict[str, Any]) -> None:
    """Say which headers an answer has."""
    components = document["components"]
    components["headers"] = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()
    }
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            names = []
            if path.startswith(ROOT) and "/access/" not in path and status.startswith("2"):
                names = ["Event-Position"] + ([] if method == "get" else ["ETag", "Idempotency-Key"])
            elif status == "503":
                names = ["Retry-After"]
            for name in names:
                response.setdefault("headers", {})[name] = {"$ref": f"#/components/headers/{name}"}


def _name_problem(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    schema = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    schemas["ProblemDetails"] = schema
