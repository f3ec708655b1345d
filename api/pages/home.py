"""The home of each role: what is due, late, blocked or waiting for whoever reads."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response

from api.access import allowed, right_to
from api.pages.frame import Page, Visiting
from api.pages.gaps import needs_of
from domain.access import Action
from projections import letters, rounds
from projections.reading import Record

router = APIRouter()

SOON = timedelta(minutes=10)
"""A round is live, and its pages keep themselves fresh, while something is to happen within this time."""


@router.get("/", dependencies=[allowed(Action.SEE_HOME)])
async def home(visit: Visiting) -> Response:
    """Show what waits for the reader, and where everything is."""
    async with visit.look() as page:
        own = await _own(page)
        if not page.may(Action.SEE_ROUNDS):
            return page.show("home-own.html", own=own)
        found = await rounds.overview(page.picture)
        live = [round for round in found if is_live(page, round)]
        others = [round for round in found if round not in live]
        numbers = await letters.numbers(page.picture)
        most = max(found, key=lambda round: round["received"], default=None)
        needs = await needs_of(page, most["id"]) if most and most["received"] else None
        return page.show(
            "home.html", live=live, others=others, letters=numbers, most=most, needs=needs, own=own
        )


async def _own(page: Page) -> list[Record]:
    """Return the questionnaires of those parties for which the reader speaks: what is open comes first."""
    if page.visitor is None or page.visitor.subject.extent(Action.SUBMIT) is None:
        return []
    extent = (await right_to(page.request, Action.SUBMIT)).extent
    found = [
        row
        for party_id in sorted(extent.owner_ids)
        for row in await rounds.invitations(page.picture, party_id=party_id)
    ]
    return sorted(found, key=lambda row: (row["state"] not in ("issued", "lapsed"), row["due_at"]))


def is_live(page: Page, round: dict[str, Any]) -> bool:
    """Whether something is to happen in a round so soon that it is worth watching."""
    if page.as_of:
        return False
    moments = (round["next_due_at"], round["next_letter_at"])
    return any(moment is not None and moment - page.now < SOON for moment in moments)
