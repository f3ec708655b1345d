"""One's own ways in: sessions, which can be ended, and tokens for programs, which are shown once."""

from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Response

from api.access import allowed, entrance_of
from api.pages.forms import Filled
from api.pages.frame import Page, Visit, Visiting, nothing_here
from api.pages.translations import _
from domain.access import Action, Grant
from domain.refusals import Refusal
from services.entrance import Visitor
from services.tokens import Scope

router = APIRouter()

OWN = [allowed(Action.OWN_ACCOUNT)]


@router.get("/account", dependencies=OWN)
async def own(visit: Visiting) -> Response:
    """Show the sessions and tokens of whoever reads."""
    async with visit.look() as page:
        return await show(page, Filled({}))


async def show(page: Page, filled: Filled, made: str | None = None, said: str | None = None) -> Response:
    """Draw the page, with a token that was just ``made`` and with what is to be ``said``."""
    me, now = _visitor(page.visitor), datetime.now(UTC)
    entrance = entrance_of(page.request)
    response = page.show(
        "account.html",
        filled.status,
        sessions=await entrance.sessions.of(me.person.id, now),
        current=me.session.id if me.session else None,
        tokens=await entrance.tokens.of(me.person.id, now),
        grants=me.subject.grants,
        filled=filled,
        made=made,
        said=said,
        has_password=await entrance.passwords.has(me.person.id),
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@router.post("/account/sessions/end", dependencies=OWN)
async def end_sessions(visit: Visiting) -> Response:
    """End all sessions but the one with which this is asked."""
    me = _visitor(visit.visitor)
    await entrance_of(visit.request).sessions.end_all(me.person.id, but=me.session.id if me.session else None)
    return visit.go("/account")


@router.post("/account/sessions/{session_id:uuid}/end", dependencies=OWN)
async def end_session(visit: Visiting, session_id: UUID) -> Response:
    """End one session."""
    if not await entrance_of(visit.request).sessions.end(visit.actor, session_id):
        raise nothing_here(visit.request)
    return visit.go("/account")


@router.post("/account/tokens", dependencies=OWN)
async def make_token(visit: Visiting) -> Response:
    """Make a token, and show it this once."""
    filled = Filled.of(await visit.form())
    secret = await _make(visit, filled)
    async with visit.look() as page:
        return await show(page, Filled({}) if secret else filled, secret)


async def _make(visit: Visit, filled: Filled) -> str | None:
    me, now = _visitor(visit.visitor), datetime.now(UTC)
    name = filled.words("name", _("Give the token a name by which you know it again."))
    day = filled.day("ends_on")
    if day is None and not any(fault.where == "ends_on" for fault in filled.faults):
        filled.fault("ends_on", _("Choose the last day of the token."))
    grant = _chosen(filled["role"], me.subject.grants)
    if grant is None:
        filled.fault("role", _("Choose a role that you hold."))
    if filled.faults or day is None or grant is None:
        return None
    zone = ZoneInfo(visit.settings.secretariat_time_zone)
    ends_at = datetime.combine(day + timedelta(days=1), time(), zone)
    scope: Scope = "write" if filled["scope"] == "write" else "read"
    tokens = entrance_of(visit.request).tokens
    try:
        made = await tokens.make(me.person.id, me.subject.grants, name, grant, scope, ends_at, now)
    except Refusal as refusal:
        filled.fault("", refusal.message)
        for fault in refusal.faults:
            filled.fault("ends_on", fault.what)
        return None
    return made[1]


def _chosen(number: str, held: tuple[Grant, ...]) -> Grant | None:
    """Return the role at a place of the list that was shown."""
    place = int(number) if number.isdecimal() and len(number) < 4 else len(held)
    return held[place] if place < len(held) else None


@router.post("/account/tokens/{token_id:uuid}/end", dependencies=OWN)
async def end_token(visit: Visiting, token_id: UUID) -> Response:
    """End one token."""
    if not await entrance_of(visit.request).tokens.end(visit.actor, token_id):
        raise nothing_here(visit.request)
    return visit.go("/account")


def _visitor(visitor: Visitor | None) -> Visitor:
    assert visitor is not None, "the page asks who it is"
    return visitor
