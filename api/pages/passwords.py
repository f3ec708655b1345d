"""Setting a password: one's own, and by a link that an administrator makes for somebody.

To look at the page of such a link changes nothing, since programs that look for harm follow every link; the
button there sets the password and uses the link up.
"""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse

from api.access import allowed, entrance_of
from api.keys import read_key
from api.pages import account, people
from api.pages.forms import Filled, give, new_key
from api.pages.frame import Page, Visit, Visiting
from api.pages.links import HEADERS
from api.pages.translations import _, later
from domain.access import Action
from domain.refusals import Refusal
from services.directory import Person
from services.hashing import hashed, new_secret
from services.password_links import password_link_address
from services.people import MakePasswordLink

router = APIRouter()

MADE_ALREADY = later(
    "The button was pressed before, and its link was shown then. If it is lost, make another: with that the "
    "lost one ends."
)


# One's own, by somebody who is signed in.


@router.post("/account/password", dependencies=[allowed(Action.OWN_ACCOUNT)])
async def change(visit: Visiting) -> Response:
    """Set one's own password; whoever has one says it first."""
    form = await visit.form()
    filled = _typed(form)
    if not filled.faults:
        await _change(visit, form, filled)
    async with visit.look() as page:
        if filled.faults:
            return await account.show(page, filled)
        said = _("The password is set. Wherever else you were signed in, you are not any more.")
        return await account.show(page, Filled({}), said=said)


async def _change(visit: Visit, form: FormData, filled: Filled) -> None:
    assert visit.visitor is not None, "the page asks who it is"
    client = visit.request.client
    try:
        await entrance_of(visit.request).change_password(
            visit.visitor,
            _as_typed(form, "current"),
            _as_typed(form, "password"),
            client.host if client else "",
            datetime.now(UTC),
        )
    except Refusal as refusal:
        _note(filled, refusal)


# A link for somebody else.


@router.post("/people/{id:uuid}/password-link", dependencies=[allowed(Action.MANAGE_PEOPLE)])
async def make_link(visit: Visiting, id: UUID) -> Response:
    """Make a link with which a person sets a password, and show it this once."""
    form, secret = await visit.form(), new_secret()
    filled, made, position = Filled.of(form), None, None
    key = read_key(filled["key"] or str(new_key()))
    if await visit.services.store.command(key) is None:
        command = MakePasswordLink(person_id=id, link_id=key, secret_sha256=hashed(secret).hex())
        answer = await give(visit, command, visit.actor, form)
        position = answer.position
        if answer.outcome == "refused":
            filled.refuse(answer)
        elif await entrance_of(visit.request).holder_of_password_link(secret, datetime.now(UTC)):
            made = password_link_address(visit.settings, secret)
    if made is None and not filled.faults:
        filled.fault("", _(MADE_ALREADY))
    async with visit.look(after=position) as page:
        response = await people.show(page, id, filled, made)
        response.headers["Cache-Control"] = "no-store"
        return response


@router.get("/password/{secret}", dependencies=[allowed(Action.COME_IN)])
async def land(visit: Visiting, request: Request, secret: str) -> Response:
    """Show for whom a link is, with the form that sets the password."""
    person = await entrance_of(request).holder_of_password_link(secret, datetime.now(UTC))
    async with visit.look() as page:
        return _show(page, person, Filled({}))


@router.post("/password/{secret}", dependencies=[allowed(Action.COME_IN)])
async def set_by_link(visit: Visiting, request: Request, secret: str) -> Response:
    """Set the password, use the link up, and go on to sign in with it."""
    entrance, now = entrance_of(request), datetime.now(UTC)
    person = await entrance.holder_of_password_link(secret, now)
    form = await visit.form()
    filled = _typed(form)
    if person is not None and not filled.faults:
        try:
            if await entrance.set_password_by_link(secret, _as_typed(form, "password"), now):
                return RedirectResponse("/sign-in?said=password-set", 303, HEADERS)
            person = None
        except Refusal as refusal:
            _note(filled, refusal)
    async with visit.look() as page:
        return _show(page, person, filled)


def _show(page: Page, person: Person | None, filled: Filled) -> Response:
    """Draw the page of a link. All that is not good looks the same: wrong, used and ended links."""
    status = filled.status if person else 404
    response = page.show("password.html", status, person=person, filled=filled, spoken="en")
    response.headers.update(HEADERS)
    return response


# What was typed.


def _typed(form: FormData) -> Filled:
    """Read the form of a new password, of which nothing that was typed goes back."""
    filled = Filled({"password": ""})
    if _as_typed(form, "password") != _as_typed(form, "again"):
        filled.fault("again", _("The two are not the same. Type the new password twice."))
    return filled


def _as_typed(form: FormData, name: str) -> str:
    """Return a password with its spaces, which belong to it."""
    return str(form.get(name) or "")


def _note(filled: Filled, refusal: Refusal) -> None:
    """Note a refusal beside the fields that it is about."""
    for fault in refusal.faults:
        filled.fault(fault.where.removeprefix("/"), fault.what)
    if not refusal.faults:
        filled.fault("", refusal.message)
