"""The interface for programs as a page: every address, what it wants and what it answers."""

from typing import Any

from fastapi import APIRouter, Request, Response

from api.access import OPEN
from api.openapi import ROOT, operations
from api.pages.frame import Visiting
from api.problems import KINDS

router = APIRouter(include_in_schema=False)


@router.get("/docs", dependencies=[OPEN])
async def show_docs(visit: Visiting, request: Request) -> Response:
    """Draw the description of the interface."""
    document = request.app.openapi()
    async with visit.look() as page:
        return page.show("interface.html", document=document, subjects=_subjects(document), kinds=KINDS)


def _subjects(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the subjects in their order, each with its operations."""
    subjects = {tag["name"]: tag | {"operations": []} for tag in document["tags"]}
    for method, path, operation in operations(document):
        if path.startswith(ROOT):
            entry = {"parameters": [], "requestBody": {}} | operation
            entry |= {"method": method.upper(), "path": path, "fields": _fields(document, operation)}
            subjects[operation["tags"][0]]["operations"].append(entry)
    return [subject for subject in subjects.values() if subject["operations"]]


def _fields(document: dict[str, Any], operation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of the JSON body that an operation takes."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    reference = content.get("schema", {}).get("$ref", "")
    schema = document["components"]["schemas"].get(reference.rpartition("/")[2], {})
    required = schema.get("required", ())
    return [
        {"name": name, "required": name in required, "description": _about(document, field)}
        for name, field in schema.get("properties", {}).items()
    ]


def _about(document: dict[str, Any], field: dict[str, Any]) -> str:
    """Return what a field is, in words: its own, or those of the model that it holds."""
    if "description" in field:
        return str(field["description"])
    name = field.get("$ref", "").rpartition("/")[2]
    if name:
        return str(document["components"]["schemas"][name].get("description", ""))
    return str(field.get("type", ""))
