"""Where the personal link of a letter leads: a page that says for what it is, with a button that opens it.

To look at the page changes nothing, since programs that look for harm in letters follow every link in them.
The address holds the secret of the link, so no other page is told where the reader came from.
"""

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from api.pages import phrases
from api.pages.entering import browser_of, entrance_of, keep, kept
from api.pages.frame import Page, Visiting
from projections import rounds
from services.links import Link

router = APIRouter()

HEADERS = {
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
}


@router.get("/l/{secret}")
async def land(visit: Visiting, request: Request, secret: str, lang: str = "") -> Response:
    """Show for what a link is good."""
    link = await entrance_of(request).look_at_link(secret, datetime.now(UTC))
    async with visit.look() as page:
        return await _show(page, link, lang)


@router.post("/l/{secret}")
async def exchange(visit: Visiting, request: Request, secret: str, lang: str = "") -> Response:
    """Exchange the link for a session in this browser, and go on to the questionnaire."""
    entrance, now = entrance_of(request), datetime.now(UTC)
    link = await entrance.look_at_link(secret, now)
    opened = await entrance.open_link(secret, browser_of(request), now, kept(request)) if link else None
    if link is None or opened is None:
        async with visit.look() as page:
            return await _show(page, None, lang)
    response = visit.go(f"/invitations/{link.invitation_id}/answer", lang=lang)
    response.headers.update(HEADERS)
    keep(request, response, opened)
    return response


async def _show(page: Page, link: Link | None, lang: str) -> Response:
    """Draw the page of a link. All that is not good looks the same: wrong, ended and revoked links."""
    invitation = await rounds.invitation(page.picture, link.invitation_id) if link else None
    if link is None or invitation is None:
        response = page.show("links/ended.html", 404, spoken="en", all_phrases=phrases.PHRASES)
    else:
        language = phrases.spoken(lang or invitation["language"])
        response = page.show(
            "links/landing.html",
            invitation=invitation,
            link_of_letter=link,
            spoken=language,
            say=phrases.PHRASES[language],
            languages=list(phrases.PHRASES),
            phrases=phrases,
            zone=invitation["time_zone"],
        )
    response.headers.update(HEADERS)
    return response
