"""Problems as pages: what happened, what was kept, and what to do next."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from fastapi import Request
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.pages import recorded, translations
from api.pages.frame import address, here, templates
from api.pages.translations import _, later
from api.problems import Problem, without_secret
from domain.access import Action, may
from domain.refusals import Fault
from services.entrance import Visitor
from services.history import Alarm
from services.settings import Settings


@dataclass(frozen=True)
class Advice:
    """What a page says to people about one kind of problem."""

    heading: str
    kept: str
    next: str


NOTHING = later("Nothing was stored, and nothing that was stored before was changed.")

ADVICE = {
    "not-found": Advice(
        later("There is nothing here"),
        later("Nothing was changed."),
        later(
            "Look at the address for a slip of the pen, or start from the home page. A record that came "
            "later is not there as of an earlier moment."
        ),
    ),
    "unauthenticated": Advice(
        later("Please sign in"),
        NOTHING,
        later(
            "Sign in, then do it again. Whoever answers for a party opens the questionnaire by the link in "
            "the letter."
        ),
    ),
    "forbidden": Advice(
        later("This is not allowed"),
        NOTHING,
        later(
            "Open the page on this site and do it from there. If you think that you should be allowed to, "
            "ask the administrator."
        ),
    ),
    "not-allowed": Advice(
        later("The record does not allow this now"),
        later("Nothing was stored. The record stands as it was."),
        later("Go back, load the page again, and see how the record stands now."),
    ),
    "stale": Advice(
        later("Somebody changed this in the meantime"),
        later("Nothing was stored, so that nobody’s change is overwritten unseen."),
        later("Go back, load the page again to see what changed, and then decide again."),
    ),
    "key-reused": Advice(
        later("This form was sent before, with other content"),
        later("What was sent first was carried out. What you sent now was not stored."),
        later(
            "Load the page with the form again. It then shows how things stand, and can be sent once more."
        ),
    ),
    "too-large": Advice(
        later("That is too large"),
        NOTHING,
        later("Make the file or the text smaller, and send it again."),
    ),
    "unavailable": Advice(
        later("This is not available now"),
        later("Nothing that was accepted before is lost."),
        later("Wait a few seconds, then try again."),
    ),
    "internal": Advice(
        later("Something went wrong on our side"),
        later("Nothing that was accepted before is lost. The fault was noted."),
        later("Try again. If it happens again, tell the administrator what you were doing and when."),
    ),
}
ADVICE["invalid"] = ADVICE["refused"] = Advice(
    later("What was given cannot be taken"),
    NOTHING,
    later("Go back, mend what is named here, and send it again. Your browser has kept what you typed."),
)
OTHER = Advice(later("That did not work"), NOTHING, later("Go back and try it in another way."))


@dataclass(frozen=True)
class BarePage:
    """The frame of a page that is shown without a look at the database, which may be what is missing."""

    visitor: Visitor | None
    settings: Settings
    path: str
    here: str
    as_of: None = None
    alarms: tuple[Alarm, ...] = ()

    def may(
        self, action: Action, owner_ids: Collection[UUID] = (), invitation_id: UUID | None = None
    ) -> bool:
        """Whether to offer something to the reader."""
        return may(self.visitor.subject if self.visitor else None, action, owner_ids, invitation_id)


def render(request: Request, problem: Problem) -> Response:
    """Draw a problem as a page; whoever is not known and wants to read is led to the sign-in."""
    if problem.name == "unauthenticated" and request.method in ("GET", "HEAD"):
        wanted = address(request.url.path, request.query_params)
        return RedirectResponse(address("/sign-in", {"next": wanted}), 303)
    settings: Settings = request.app.state.settings
    path, back = request.url.path, here(request)
    if without_secret(path) != path:
        path = back = "/"  # The secret of a link does not go from its path into the query of another.
    page = BarePage(getattr(request.state, "visitor", None), settings, path, back)
    html = templates.get_template("error.html").render(
        page=page,
        link=lambda path, **query: address(path, query),
        problem=problem,
        detail=_detail(problem, request),
        advice=_advice(problem, request),
        faults=_unsaid(problem),
        again=address(request.url.path, request.query_params),
        is_get=request.method == "GET",
        sent=_sent(problem, request),
    )
    return HTMLResponse(html, problem.status_code, translations.HEADERS)


def _detail(problem: Problem, request: Request) -> str:
    """Return what happened: translated where it is one of the commonest answers, else in the words of the
    rule that refused, which are English."""
    if problem.detail == f"There is nothing at {request.url.path}.":
        return _("There is nothing at %(path)s.", path=request.url.path)
    return recorded.refusal(problem.code, str(problem.detail))


def _advice(problem: Problem, request: Request) -> Advice:
    if problem.name == "invalid" and request.method == "GET":
        return Advice(
            later("That address cannot be read"),
            later("Nothing was changed."),
            later("Mend the address, or start from the home page."),
        )
    return ADVICE.get(problem.name, OTHER)


def _sent(problem: Problem, request: Request) -> list[tuple[str, str]]:
    """Return what was typed into a form that cannot be taken in now, so that it can be sent again."""
    form: FormData | None = getattr(request.state, "sent", None)
    if form is None or problem.name not in ("unavailable", "internal"):
        return []
    if "password" in form or any(not isinstance(value, str) for _, value in form.multi_items()):
        return []  # A password does not go back and forth, and a file does not come back from us.
    return [(name, str(value)) for name, value in form.multi_items()]


def _unsaid(problem: Problem) -> list[Fault]:
    return [fault for fault in problem.faults if fault.what not in str(problem.detail)]
