"""The description of the interface: whole, in words of people, and true."""

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest

from api import openapi
from api.app import ROUTERS, create
from services.settings import Settings
from tests.api.conftest import Site

SETTINGS = Settings.model_validate({"writer_url": "x", "reader_url": "x"})


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    return create(SETTINGS).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for method, path, operation in openapi.operations(document):
        if path.startswith(openapi.ROOT):
            yield f"{method} {path}", operation


def test_every_route_is_described(document: dict[str, Any]) -> None:
    assert len(list(operations(document))) == sum(len(router.routes) for router in ROUTERS)
    for name, operation in operations(document):
        assert re.fullmatch(r"[A-Z][^.]{5,60}", operation["summary"]), name
        assert operation["description"].split("\n")[0].endswith("."), name
        assert len(operation["tags"]) == 1, name
        assert operation["tags"][0] in {tag["name"] for tag in document["tags"]}, name


def test_every_parameter_says_what_it_is(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), f"{name}: {parameter['name']}"


def test_every_operation_declares_its_problems(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        refusals = {status for status in operation["responses"] if not status.startswith("2")}
        assert {"422", "500", "503"} <= refusals, name
        if not name.startswith("get") and "/access/" not in name:
            assert {"400", "401", "403", "409", "412", "413", "415"} <= refusals, name
        for status in refusals:
            content = operation["responses"][status]["content"]
            assert list(content) == ["application/problem+json"], (name, status)
            reference = content["application/problem+json"]["schema"]["$ref"]
            assert reference == "#/components/schemas/ProblemDetails"


def test_every_answer_is_described_by_a_model(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        (success,) = [status for status in operation["responses"] if status.startswith("2")]
        for kind, content in operation["responses"][success]["content"].items():
            if kind == "application/json":
                assert content["schema"], name


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(part: object) -> Iterator[str]:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                yield part["$ref"]
            for value in part.values():
                yield from references(value)
        elif isinstance(part, list):
            for value in part:
                yield from references(value)

    for reference in set(references(document)):
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert found is not None
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_model_says_what_it_is(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        if schema.get("type") == "object" and not name.startswith("Body_"):
            assert schema.get("description"), name


async def test_the_description_can_be_read_as_a_page(site: Site, document: dict[str, Any]) -> None:
    page = await site.client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for _, operation in operations(document):
        assert operation["summary"] in html.unescape(page.text)
    assert (await site.client.get("/api/v1/openapi.json")).json() == document
