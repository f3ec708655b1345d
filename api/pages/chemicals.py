"""The entries of Annex III."""

from fastapi import APIRouter, Response

from api.access import allowed
from api.pages.frame import Visiting
from domain.access import Action
from projections import chemicals

router = APIRouter()


@router.get("/chemicals", dependencies=[allowed(Action.SEE_REFERENCE)])
async def annex(visit: Visiting) -> Response:
    """List what stands in Annex III, and what was deleted from it."""
    async with visit.look() as page:
        rows = await chemicals.chemicals(page.picture)
        return page.show(
            "chemicals.html",
            current=[row for row in rows if row["current"]],
            deleted=[row for row in rows if not row["current"]],
            sources=sorted({row["source"] for row in rows}),
        )
