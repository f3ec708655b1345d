"""The home page: what this is, and how each round stands."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response

from api.access import allowed
from api.pages.frame import Page, Visiting
from api.pages.gaps import needs_of
from domain.access import Action
from projections import letters, rounds

router = APIRouter()

SOON = timedelta(minutes=10)
"""A round is live, and its pages keep themselves fresh, while something is to happen within this time."""


@router.get("/", dependencies=[allowed(Action.SEE_HOME)])
async def home(visit: Visiting) -> Response:
    """Show what the site is for, the live round first."""
    async with visit.look() as page:
        found = await rounds.overview(page.picture)
        live = [round for round in found if is_live(page, round)]
        others = [round for round in found if round not in live]
        numbers = await letters.numbers(page.picture)
        most = max(found, key=lambda round: round["received"], default=None)
        needs = await needs_of(page, most["id"]) if most and most["received"] else None
        return page.show("home.html", live=live, others=others, letters=numbers, most=most, needs=needs)


def is_live(page: Page, round: dict[str, Any]) -> bool:
    """Whether something is to happen in a round so soon that it is worth watching."""
    if page.as_of:
        return False
    moments = (round["next_due_at"], round["next_letter_at"])
    return any(moment is not None and moment - page.now < SOON for moment in moments)
