"""The file of one questionnaire sent to one party: state, answers, letters, and what staff can do."""

from uuid import UUID

from fastapi import APIRouter, Response

from api.access import Rights, allowed, must_cover_invitation
from api.pages.forms import Filled, give, new_key
from api.pages.frame import Page, Visiting
from api.pages.translations import _, language
from domain.access import Action
from domain.rounds import Due
from projections import access, drafts, gaps, letters, questionnaires, rounds
from services.rounds import ExtendInvitation, WithdrawInvitation

router = APIRouter()


@router.get("/invitations/{id:uuid}", dependencies=[allowed(Action.SEE_INVITATIONS)])
async def file(visit: Visiting, right: Rights, id: UUID) -> Response:
    """Show everything about one invitation."""
    await must_cover_invitation(right, id)
    async with visit.look() as page:
        return await show_file(page, id)


async def show_file(page: Page, id: UUID, doing: str = "", filled: Filled | None = None) -> Response:
    """Draw the file, with the form for what somebody is ``doing`` as it was filled in."""
    invitation = page.found(await rounds.invitation(page.picture, id))
    form = await questionnaires.form_of(page.picture, invitation)
    asked = form.names_in(page.visitor.subject.section if page.visitor else None)
    given = await gaps.answers(page.picture, id)
    may_see = page.may(Action.SEE_LETTERS)
    written = await letters.letters(page.picture, about=id) if may_see else []
    may_see = page.may(Action.SEE_LINKS, {invitation["party_id"]}, id)
    links = await access.links(page.picture, id) if may_see else []
    filled = filled or Filled({})
    return page.show(
        "invitations/file.html",
        filled.status,
        invitation=invitation,
        form=form,
        language=language(),
        given={name: value for name, value in given.items() if name in asked},
        draft=await drafts.draft(page.picture, id),
        letters=sorted(written, key=lambda letter: (letter["planned_at"], str(letter["id"]))),
        links=links,
        good_links=[row for row in links if row["state"] == "good" and row["ends_at"] > page.now],
        holders=await page.services.directory.names([row["holder_id"] for row in links]),
        doing=doing,
        filled=filled,
        key=new_key(),
    )


@router.get("/invitations/{id:uuid}/extend", dependencies=[allowed(Action.SEE_INVITATIONS)])
@router.get("/invitations/{id:uuid}/withdraw", dependencies=[allowed(Action.SEE_INVITATIONS)])
@router.get("/invitations/{id:uuid}/revoke", dependencies=[allowed(Action.SEE_INVITATIONS)])
async def back_to_file(visit: Visiting, id: UUID) -> Response:
    """Go to the file: whoever loads the answer to a form again gets here."""
    return visit.go(f"/invitations/{id}")


@router.post("/invitations/{id:uuid}/extend", dependencies=[allowed(Action.RUN_ROUNDS)])
async def extend(visit: Visiting, id: UUID) -> Response:
    """Give one party more time."""
    form = await visit.form()
    filled = Filled.of(form)
    on, at = filled.day("due_on"), filled.moment("due_at", visit.settings.secretariat_time_zone)
    reason = filled.words("reason", _("Say why the party is given more time."))
    if not on and not at and not filled.faults:
        filled.fault("due", _("Choose the new due date."))
    if not filled.faults:
        due = Due(on=on, at=None if on else at)
        command = ExtendInvitation(invitation_id=id, due=due, reason=reason[:2_000])
        answer = await give(visit, command, visit.actor, form)
        if answer.outcome == "done":
            return visit.go(f"/invitations/{id}", answer.position)
        filled.refuse(answer)
    async with visit.look() as page:
        return await show_file(page, id, "extend", filled)


@router.post("/invitations/{id:uuid}/withdraw", dependencies=[allowed(Action.RUN_ROUNDS)])
async def withdraw(visit: Visiting, id: UUID) -> Response:
    """Take the questionnaire back from one party."""
    form = await visit.form()
    filled = Filled.of(form)
    reason = filled.words("reason", _("Say why the questionnaire is withdrawn."))
    if not filled.faults:
        command = WithdrawInvitation(invitation_id=id, reason=reason[:2_000])
        answer = await give(visit, command, visit.actor, form)
        if answer.outcome == "done":
            return visit.go(f"/invitations/{id}", answer.position)
        filled.refuse(answer)
    async with visit.look() as page:
        return await show_file(page, id, "withdraw", filled)
