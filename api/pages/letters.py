"""Every letter, and what became of it."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.access import allowed
from api.pages.frame import Visiting
from domain.access import Action
from projections import letters

router = APIRouter()

ON_A_PAGE = 100


@router.get("/letters", dependencies=[allowed(Action.SEE_LETTERS)])
async def every_letter(
    visit: Visiting, state: str = "", before: Annotated[int, Query(ge=0, le=10_000_000)] = 0
) -> Response:
    """List letters, the latest first."""
    async with visit.look() as page:
        found = await letters.newest_first(page.picture, state or None, before=before, limit=ON_A_PAGE + 1)
        numbers = await letters.numbers(page.picture)
        return page.show(
            "letters/list.html",
            rows=found[:ON_A_PAGE],
            more=before + ON_A_PAGE if len(found) > ON_A_PAGE else None,
            before=before,
            state=state,
            numbers=numbers,
        )
