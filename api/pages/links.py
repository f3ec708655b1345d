"""Where the personal link of a letter leads, and the page on which a contact forwards a section.

A link leads to a page that says for what it is, with a button that opens it. To look at the page changes
nothing, since programs that look for harm in letters follow every link in them. The address holds the secret
of the link, so no other page is told where the reader came from.
"""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.access import Rights, allowed, look_at_link, must_cover_invitation, must_cover_link, open_link
from api.pages.forms import Filled, give, key_of, must_be_done, new_key, read_uuid
from api.pages.frame import Page, Visiting
from api.pages.invitations import show_file
from api.pages.languages import keep_language
from api.pages.translations import COOKIE, _, language, languages, speak, speaking
from domain.access import Action
from domain.forms import Form, Section
from domain.links import forwarded_link_id
from domain.people import new_person_id
from projections import access, questionnaires, rounds
from services.kept_links import Link
from services.links import ForwardSection, RevokeLink

router = APIRouter()

HEADERS = {
    # Not no-referrer: with it browsers send “Origin: null” with the form, and over plain HTTP nothing else
    # says that the form is ours. So others, and we ourselves, are told the name of the site and no more.
    "Referrer-Policy": "strict-origin",
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
            if lang and COOKIE not in request.cookies:
                keep_language(request, response, lang)
            return response
    async with visit.look() as page:
        return await _show(page, None, lang)


async def _show(page: Page, link: Link | None, lang: str) -> Response:
    """Draw the page of a link. All that is not good looks the same: wrong, ended and revoked links."""
    invitation = await rounds.invitation(page.picture, link.invitation_id) if link else None
    if link is None or invitation is None:
        response = page.show("links/ended.html", 404, said=_ended())
    else:
        holder = await page.services.directory.find(link.holder_id) if link.section else None
        speak(lang or (holder.language if holder else invitation["language"]))
        form = await questionnaires.form_of(page.picture, invitation)
        response = page.show(
            "links/landing.html",
            invitation=invitation,
            link_of_letter=link,
            section=_section(form, link.section),
            default_language=form.default_language,
            zone=invitation["time_zone"],
        )
    response.headers.update(HEADERS)
    return response


def _ended() -> list[dict[str, str]]:
    """Return what is said of a link that is not good, in every language, that of the reader first."""
    said = []
    for code in sorted(languages(), key=lambda code: code != language()):
        with speaking(code):
            text = _(
                "It has ended, or its address is not whole. Nothing was changed. Use the link of the newest "
                "letter, or write to the Secretariat for a new one."
            )
            heading = _("This link is not good any more")
        said.append({"language": code, "heading": heading, "text": text})
    return said


def _section(form: Form, name: str | None) -> Section | None:
    return next((section for section in form.sections if name and section.name == name), None)


# Forwarding a section.

FORWARD = "/invitations/{invitation_id:uuid}/sections/{section}/forward"
TAKEN_BACK = "It was withdrawn by the party."
"""What the history says of a link that a contact has withdrawn."""


@router.get(FORWARD, dependencies=[allowed(Action.FORWARD)])
async def ask(visit: Visiting, right: Rights, invitation_id: UUID, section: str, lang: str = "") -> Response:
    """Ask whom to forward a section to, and show who was asked already."""
    await must_cover_invitation(right, invitation_id)
    async with visit.look() as page:
        return await _show_asked(page, invitation_id, section, lang, Filled({}))


@router.post(FORWARD, dependencies=[allowed(Action.FORWARD)])
async def forward(
    visit: Visiting, right: Rights, invitation_id: UUID, section: str, lang: str = ""
) -> Response:
    """Forward a section to a colleague, who is written to."""
    await must_cover_invitation(right, invitation_id)
    form = await visit.form()
    filled = Filled.of(form)
    with speaking(lang):
        entry = filled.entry(
            _("Give the name of the colleague."), _("Give a mail address, such as ana@example.org.")
        )
    if entry is not None:
        key = key_of(form)
        command = ForwardSection(
            id=forwarded_link_id(visit.actor, key),
            invitation_id=invitation_id,
            colleague_id=new_person_id(visit.actor, key),
            colleague=entry,
            section=section,
        )
        answer = await give(visit, command, visit.actor, form)
        if answer.outcome == "done":
            return visit.go(_path(invitation_id, section), answer.position, lang=lang)
        with speaking(lang):
            filled.refuse(answer)
    async with visit.look() as page:
        return await _show_asked(page, invitation_id, section, lang, filled)


@router.post(
    "/invitations/{invitation_id:uuid}/sections/{section}/links/{link_id:uuid}/withdraw",
    dependencies=[allowed(Action.REVOKE_LINKS)],
)
async def withdraw(
    visit: Visiting, right: Rights, invitation_id: UUID, section: str, link_id: UUID, lang: str = ""
) -> Response:
    """Make the link of a colleague good for nothing. What they have saved stays."""
    await must_cover_link(right, link_id)
    command = RevokeLink(link_id=link_id, reason=TAKEN_BACK)
    answer = await give(visit, command, visit.actor, await visit.form())
    must_be_done(answer)
    return visit.go(_path(invitation_id, section), answer.position, lang=lang)


def _path(invitation_id: UUID, section: str) -> str:
    return f"/invitations/{invitation_id}/sections/{section}/forward"


async def _show_asked(page: Page, invitation_id: UUID, name: str, lang: str, filled: Filled) -> Response:
    invitation = page.found(await rounds.invitation(page.picture, invitation_id))
    form = await questionnaires.form_of(page.picture, invitation)
    section = page.found(_section(form, name))
    chosen = lang if lang in form.languages else invitation["language"]
    speak(chosen)
    rows = [row for row in await access.links(page.picture, invitation_id) if row["section"]]
    return page.show(
        "links/forward.html",
        filled.status,
        invitation=invitation,
        form=form,
        section=section,
        labels={each.name: each.label for each in form.sections},
        rows=rows,
        names=await page.services.directory.names([row["holder_id"] for row in rows]),
        language=chosen,
        zone=invitation["time_zone"],
        filled=filled,
        key=new_key(),
    )


@router.post("/invitations/{invitation_id:uuid}/revoke", dependencies=[allowed(Action.REVOKE_LINKS)])
async def revoke(visit: Visiting, right: Rights, invitation_id: UUID) -> Response:
    """Make one of the links to a questionnaire good for nothing, and say why."""
    await must_cover_invitation(right, invitation_id)
    form = await visit.form()
    filled = Filled.of(form)
    link_id, reason = read_uuid(filled["link"]), filled.words("reason", _("Say why."))
    if link_id is None:
        filled.fault("link", _("Choose a link"))
    elif not filled.faults:
        await must_cover_link(right, link_id)
        answer = await give(visit, RevokeLink(link_id=link_id, reason=reason[:2_000]), visit.actor, form)
        if answer.outcome == "done":
            return visit.go(f"/invitations/{invitation_id}", answer.position)
        filled.refuse(answer)
    async with visit.look() as page:
        return await show_file(page, invitation_id, "revoke", filled)
