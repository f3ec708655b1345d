"""The site: the interface for programs, and the pages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from fastapi import FastAPI
from starlette.middleware import Middleware

from api import health, problems
from api.access import OwnPagesOnly, SafeHeaders
from api.problems import LastResort
from projections.reading import Tables
from services.settings import Settings
from services.wiring import open_services


def create(settings: Settings | None = None) -> FastAPI:
    """Make the application. Without settings they come from the environment."""
    settings = settings or Settings()
    settings.require("writer_url", "reader_url", "secret")
    app = FastAPI(
        title="Mandate",
        version=_version(),
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        lifespan=_lifespan,
        # The first is the outermost: the headers are also on what the others answer.
        middleware=[
            Middleware(SafeHeaders),
            Middleware(LastResort),
            Middleware(OwnPagesOnly, settings=settings),
        ],
    )
    app.state.settings = settings
    problems.install(app)
    app.include_router(health.router)
    if find_spec("api.pages") and (pages := getattr(import_module("api.pages"), "router", None)):
        app.include_router(pages)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open what the routes use. It waits for nothing: with the database away, the site says so."""
    settings: Settings = app.state.settings
    async with open_services(settings) as services, Tables(settings.reader_url) as tables:
        app.state.services = services
        app.state.tables = tables
        yield


def _version() -> str:
    try:
        return version("mandate")
    except PackageNotFoundError:  # run from a folder, without having been installed
        return "0"
