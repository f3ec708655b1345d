"""Who delivers assistance in the regions."""

from fastapi import APIRouter, Response

from api.access import allowed
from api.pages.frame import Visiting
from domain.access import Action
from projections import programme

router = APIRouter()


@router.get("/delivery-partners", dependencies=[allowed(Action.SEE_REFERENCE)])
async def partners(visit: Visiting, type: str = "") -> Response:
    """List the delivery partners, by their kind."""
    async with visit.look() as page:
        rows = await programme.delivery_partners(page.picture)
        return page.show(
            "delivery-partners.html",
            rows=[row for row in rows if not type or row["type"] == type],
            types=sorted({row["type"] for row in rows}),
            type=type,
            sources=sorted({row["source"] for row in rows}),
        )
