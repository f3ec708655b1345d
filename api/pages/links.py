"""Where the personal link of a letter leads: a page that says for what it is, with a button that opens it.

To look at the page changes nothing, since programs that look for harm in letters follow every link in them.
The address holds the secret of the link, so no other page is told where the reader came from.
"""

from fastapi import APIRouter, Request, Response

from api.access import allowed, look_at_link, open_link
from api.pages import phrases
from api.pages.frame import Page, Visiting
from domain.access import Action
from projections import rounds
from services.links import Link

router = APIRouter()

HEADERS = {
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
}


@router.get("/l/{secret}", dependencies=[allowed(Action.COME_IN)])
async def land(visit: Visiting, request: Request, secret: str, lang: str = "") -> Response:
    """Show for what a link is good."""
    link = await look_at_link(request, secret)
    async with visit.look() as page:
        return await _show(page, link, lang)


@router.post("/l/{secret}", dependencies=[allowed(Action.COME_IN)])
async def exchange(visit: Visiting, request: Request, secret: str, lang: str = "") -> Response:
    """Exchange the link for a session in this browser, and go on to the questionnaire."""
    link = await look_at_link(request, secret)
    if link is not None:
        response = visit.go(f"/invitations/{link.invitation_id}/answer", lang=lang)
        if await open_link(request, response, secret):
            response.headers.update(HEADERS)
            return response
    async with visit.look() as page:
        return await _show(page, None, lang)


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
