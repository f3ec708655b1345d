"""Evidence for people: what of the history is proven, by whom, how to verify it, and packs to take along."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.access import Rights, allowed
from api.history_packs import First, Last, PackKind, pack_of, pack_of_span, sent
from api.http import AsOf, WaitFor
from api.pages.frame import Page, Visiting
from domain.access import Action
from domain.history_notes import NoteError, PublicKey
from services.history import Checkpoints, Published
from services.log import LogReader

router = APIRouter()


@dataclass(frozen=True)
class Proven:
    """How far the history is proven, and by whom."""

    newest: Published | None
    keys: list[PublicKey]
    log_position: int
    unprotected: int
    """How many events no checkpoint covers yet."""
    witness: PublicKey | None
    """Who is asked to sign as well."""


@router.get("/evidence", dependencies=[allowed(Action.SEE_HISTORY)])
async def evidence(visit: Visiting) -> Response:
    """Show how far the history is proven, and how anybody can verify it."""
    async with visit.look() as page:
        wanted = await page.services.directory.who_want_checkpoints()
        return page.show(
            "history/evidence.html", proven=await _proven(page), wants_letters=visit.actor in wanted
        )


async def _proven(page: Page) -> Proven:
    connection = page.picture.connection
    checkpoints = Checkpoints(connection)
    newest, (keys, _) = await checkpoints.newest(), await checkpoints.keys()
    covered = newest.position if newest else 0
    cursor = await connection.execute(
        "SELECT count(*) FROM log.stored_events WHERE notification_id > %s", (covered,)
    )
    row = await cursor.fetchone()
    return Proven(
        newest,
        keys,
        await LogReader(connection).position(),
        row[0] if row else 0,
        _witness(page),
    )


def _witness(page: Page) -> PublicKey | None:
    try:
        return PublicKey.parse(page.settings.witness_key) if page.settings.witness_url else None
    except NoteError:
        return None


@router.post("/evidence/letters", dependencies=[allowed(Action.OWN_ACCOUNT)])
async def want_letters(visit: Visiting) -> Response:
    """Send whoever asks each day's checkpoint by letter from now on, or no more."""
    wanted = (await visit.form()).get("wanted") == "yes"
    await visit.services.directory.want_checkpoints(visit.actor, wanted=wanted)
    return visit.go("/evidence")


@router.get("/evidence/span", dependencies=[allowed(Action.EXPORT_LOG)])
async def take_span_along(request: Request, first: First, last: Last) -> Response:
    """Give out the pack of all events between two positions."""
    return sent(await pack_of_span(request, first, last))


@router.get("/evidence/{kind}/{id:uuid}", dependencies=[allowed(Action.SEE_HISTORY)])
async def take_along(
    request: Request, right: Rights, kind: PackKind, id: UUID, as_of: AsOf, wait_for: WaitFor
) -> Response:
    """Give out the pack about a record, a party, a round or a table of needs."""
    return sent(await pack_of(request, right, kind, id, as_of, wait_for))
