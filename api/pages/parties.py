"""The register of parties, and what is known of each."""

import re

from fastapi import APIRouter, Response

from api.access import allowed
from api.pages import words
from api.pages.countries import by_name
from api.pages.frame import Visiting
from domain.access import Action
from projections import letters, parties, rounds

router = APIRouter()

CATEGORIES = ("developing", "in transition", "developed")


@router.get("/parties", dependencies=[allowed(Action.SEE_REFERENCE)])
async def register(visit: Visiting, region: str = "", category: str = "") -> Response:
    """List the parties, as many as the reader asked for."""
    async with visit.look() as page:
        rows = await parties.parties(page.picture, region or None, category or None)
        return page.show(
            "parties/register.html",
            rows=by_name(rows),
            region=region,
            category=category,
            regions=list(words.REGIONS),
            categories=CATEGORIES,
        )


@router.get("/parties/{iso3}", dependencies=[allowed(Action.SEE_REFERENCE)])
async def party(visit: Visiting, iso3: str) -> Response:
    """Show one party: its facts, who speaks for it, what it was asked and what was written to it."""
    async with visit.look() as page:
        code = iso3.upper() if re.fullmatch(r"[A-Za-z]{3}", iso3) else ""
        found = page.found(await parties.party_with_code(page.picture, code))
        contacts = {role: found[role] for role in words.ROLES if found[role]}
        may_see_contacts = page.may(Action.SEE_CONTACTS, {found["id"]})
        names = await page.services.directory.names(list(contacts.values())) if may_see_contacts else {}
        written = await letters.letters(page.picture, party_id=found["id"])
        asked = await rounds.invitations(page.picture, party_id=found["id"])
        return page.show(
            "parties/party.html",
            party=found,
            contacts=contacts,
            names=names,
            may_see_contacts=may_see_contacts,
            invitations=sorted(asked, key=lambda row: row["issued_at"], reverse=True),
            titles={row["id"]: row["round_title"] for row in asked},
            letters=sorted(written, key=lambda row: (row["planned_at"], str(row["id"])), reverse=True)[:100],
            number=len(written),
        )
