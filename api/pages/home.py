"""The home of each role: what is due, late, blocked or waiting for whoever reads, and what changed."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from api.access import allowed, right_to
from api.pages import news
from api.pages.frame import Page, Visiting
from api.pages.funding import ACCOUNTS, bar, earmark
from api.pages.gaps import needs_of
from domain.access import Action, Role
from projections import access, funding, letters, programme, rounds
from projections.reading import Record
from services.history import Checkpoints

router = APIRouter()

SOON = timedelta(minutes=10)
"""A round is live while something is to happen within this time."""

Facts = dict[str, Any]


@router.get("/", dependencies=[allowed(Action.SEE_HOME)])
async def home(visit: Visiting) -> Response:
    """Show what waits for the reader, by each of their roles, and what changed since they were last here."""
    async with visit.look() as page:
        assert page.visitor is not None, "the page asks who it is"
        told = await news.told(page)
        parts = [PARTS[role] for role in page.visitor.subject.roles]
        return page.show(
            "home.html",
            told=told,
            may_press=news.may_press(page),
            parts=[(template, await facts(page)) for template, facts in parts],
            **await _rounds(page),
        )


async def _rounds(page: Page) -> Facts:
    """Return the rounds, and what parties need most, for those who may see them."""
    found = await rounds.overview(page.picture) if page.may(Action.SEE_ROUNDS) else []
    live = [round for round in found if is_live(page, round)]
    most = max(found, key=lambda round: round["received"], default=None)
    return {
        "live": live,
        "others": [round for round in found if round not in live],
        "most": most,
        "needs": await needs_of(page, most["id"]) if most and most["received"] else None,
    }


def is_live(page: Page, round: dict[str, Any]) -> bool:
    """Whether something is to happen in a round so soon that it is worth watching."""
    if page.as_of:
        return False
    moments = (round["next_due_at"], round["next_letter_at"])
    return any(moment is not None and moment - page.now < SOON for moment in moments)


# What each role finds.


async def _manager(page: Page) -> Facts:
    return {
        "waiting": await rounds.waiting_numbers(page.picture, page.now),
        "letters": await letters.numbers(page.picture),
    }


async def _finance_officer(page: Page) -> Facts:
    return {
        "funds": await funding.funds(page.picture),
        "notices": await funding.notices(page.picture),
        "bar": bar,
        "accounts": ACCOUNTS,
    }


async def _auditor(page: Page) -> Facts:
    """Return what the history is proved by now. An earlier moment has no newest checkpoint."""
    newest = None if page.as_of else await Checkpoints(page.picture.connection).newest()
    return {"checkpoint": newest}


async def _administrator(page: Page) -> Facts:
    idle = await access.without_role(page.picture)
    return {
        "idle": idle,
        "names": await page.services.directory.names([row["person_id"] for row in idle]),
        "numbers": await access.numbers(page.picture),
    }


async def _party_contact(page: Page) -> Facts:
    """Return the questionnaires of those parties for which the reader speaks: what is open comes first."""
    found: list[Record] = []
    for party_id in sorted((await right_to(page.request, Action.SEE_INVITATIONS)).extent.owner_ids):
        found += await rounds.invitations(page.picture, party_id=party_id)
    return {"own": sorted(found, key=lambda row: (row["state"] not in ("issued", "lapsed"), row["due_at"]))}


async def _delivery_partner(page: Page) -> Facts:
    return {
        "partners": await programme.partners_with_ids(page.picture, _held_for(page, Role.DELIVERY_PARTNER))
    }


async def _donor_contact(page: Page) -> Facts:
    owners = _held_for(page, Role.DONOR_CONTACT)
    return {
        "contributions": await funding.contributions(page.picture, owners),
        "notices": await funding.notices(page.picture, owners),
        "earmark": earmark,
    }


def _held_for(page: Page, role: Role) -> list[UUID]:
    assert page.visitor is not None, "the page asks who it is"
    grants = page.visitor.subject.grants
    return [grant.owner_id for grant in grants if grant.role is role and grant.owner_id is not None]


PARTS: Mapping[Role, tuple[str, Callable[[Page], Awaitable[Facts]]]] = {
    Role.PROGRAMME_MANAGER: ("home/manager.html", _manager),
    Role.FINANCE_OFFICER: ("home/finance-officer.html", _finance_officer),
    Role.AUDITOR: ("home/auditor.html", _auditor),
    Role.ADMINISTRATOR: ("home/administrator.html", _administrator),
    Role.PARTY_CONTACT: ("home/party-contact.html", _party_contact),
    Role.DELIVERY_PARTNER: ("home/delivery-partner.html", _delivery_partner),
    Role.DONOR_CONTACT: ("home/donor-contact.html", _donor_contact),
}
"""What stands at home for each role. Whoever holds several finds the parts of each."""
