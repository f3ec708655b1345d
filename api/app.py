"""The site: the interface for programs, and the pages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from starlette.middleware import Middleware

from api import (
    chemicals,
    commands,
    docs,
    drafts,
    funding,
    funding_commands,
    gaps,
    health,
    history,
    history_packs,
    history_proofs,
    letters,
    links,
    openapi,
    pages,
    parties,
    people,
    problems,
    programme,
    questionnaires,
    rounds,
    sign_in,
)
from api.access import OPEN
from api.access_log import AccessLog
from api.door import OwnPagesOnly, ReadableSizes, SafeHeaders
from api.pages import errors
from api.pages.live import Streams
from api.pages.translations import ReadersLanguage
from api.problems import LastResort
from projections.reading import Tables
from services.entrance import Entrance
from services.openid import OpenId
from services.packs import Packs
from services.pool import make_pool
from services.settings import Settings
from services.wiring import open_services

ROUTERS = (
    parties.router,
    questionnaires.router,
    rounds.router,
    rounds.invitations_router,
    drafts.router,
    gaps.router,
    letters.router,
    links.router,
    chemicals.router,
    programme.router,
    funding.router,
    funding.donors_router,
    funding.contributions_router,
    funding_commands.router,
    funding_commands.donors_router,
    funding_commands.contributions_router,
    history.router,
    people.router,
    history_proofs.router,
    history_packs.router,
    commands.router,
    sign_in.router,
)
"""The interface for programs, in the order in which it is described."""


def create(settings: Settings | None = None) -> FastAPI:
    """Make the application. Without settings they come from the environment."""
    settings = settings or Settings()
    settings.require("writer_url", "reader_url")
    app = FastAPI(
        title="Mandate",
        version=_version(),
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{openapi.ROOT}/openapi.json",
        lifespan=_lifespan,
        # The first is the outermost: the log tells, and the headers are on, what the others answer.
        middleware=[
            Middleware(AccessLog),
            Middleware(SafeHeaders, settings=settings),
            Middleware(ReadersLanguage),
            Middleware(LastResort),
            Middleware(OwnPagesOnly, settings=settings),
            Middleware(ReadableSizes, limit_bytes=settings.body_limit_bytes),
        ],
    )
    app.state.settings = settings
    app.state.openid = OpenId(settings) if settings.openid_issuer else None
    app.openapi = partial(openapi.describe, app)  # type: ignore[method-assign]  # as FastAPI says to do it
    problems.install(app, errors.render)
    app.include_router(problems.router, dependencies=[OPEN])
    app.include_router(health.router)
    for router in ROUTERS:
        app.include_router(router, prefix=openapi.ROOT)
    app.include_router(history_proofs.log_router)
    app.include_router(docs.router)
    app.include_router(pages.router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open what the routes use. It waits for nothing: with the database away, the site says so."""
    settings: Settings = app.state.settings
    proving = make_pool(settings.reader_url, "mandate proofs", autocommit=True)
    async with open_services(settings) as services, Tables(settings.reader_url) as tables, proving:
        app.state.services = services
        app.state.history_pool = proving
        app.state.packs = Packs(proving)
        app.state.entrance = Entrance(services)
        app.state.tables = tables
        app.state.streams = Streams(tables)
        yield


def _version() -> str:
    try:
        return version("mandate")
    except PackageNotFoundError:  # run from a folder, without having been installed
        return "0"
