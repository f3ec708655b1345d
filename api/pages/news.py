"""What changed since the reader was last here: sentences about what they may see, with links."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from eventsourcing.utils import get_topic
from fastapi import APIRouter, Query, Response

from api.access import allowed
from api.pages.countries import party_name
from api.pages.frame import Page, Visiting
from api.pages.translations import _, ngettext
from domain.access import Action, Role, Way
from domain.aggregates import Aggregate
from domain.chemicals import Chemical
from domain.drafts import Draft
from domain.letters import Letter
from domain.links import PersonalLink
from domain.parties import Party
from domain.people import Account, Refusal
from domain.programme import DeliveryPartner
from domain.questionnaires import Questionnaire
from domain.rounds import Invitation, Round
from projections import news
from projections.news import Question
from projections.reading import Record
from services.news import News, ReadUpTo

router = APIRouter()

ON_A_PAGE = 100
GROUPS_AT_HOME = 12
NAMES_IN_A_GROUP = 4
REFRESH = "mandate-refresh"
"""The header by which the script that keeps pages fresh says that nobody has come to look."""


@dataclass(frozen=True)
class Kind:
    """A kind of event that is news: to whom, how it is said, and where its record is shown."""

    event: type[Aggregate.Event]
    action: Action
    path: str
    says: Callable[[int], str]

    @property
    def name(self) -> str:
        """The name in addresses, such as ``Invitation.Lapsed``."""
        return self.event.__qualname__


_INVITATION, _ROUND, _LETTER = "/invitations/{invitation_id}", "/rounds/{id}", "/history/{id}"
_PERSON = "/people/{person_id}"

_ALL: tuple[Kind, ...] = (
    Kind(Invitation.QuestionnaireIssued, Action.SEE_INVITATIONS, _INVITATION, lambda n: ngettext(
        "A questionnaire was issued", "%(num)s questionnaires were issued", n)),
    Kind(Invitation.ResponseReceived, Action.SEE_INVITATIONS, _INVITATION, lambda n: ngettext(
        "An answer came in", "%(num)s answers came in", n)),
    Kind(Invitation.Extended, Action.SEE_INVITATIONS, _INVITATION, lambda n: ngettext(
        "A party was given more time", "%(num)s times a party was given more time", n)),
    Kind(Invitation.Lapsed, Action.SEE_INVITATIONS, _INVITATION, lambda n: ngettext(
        "An answer became overdue", "%(num)s answers became overdue", n)),
    Kind(Invitation.Escalated, Action.SEE_INVITATIONS, _INVITATION, lambda n: ngettext(
        "A questionnaire was escalated", "%(num)s questionnaires were escalated", n)),
    Kind(Invitation.Withdrawn, Action.SEE_INVITATIONS, _INVITATION, lambda n: ngettext(
        "A questionnaire was withdrawn", "%(num)s questionnaires were withdrawn", n)),
    Kind(Draft.Begun, Action.SEE_INVITATIONS, _INVITATION, lambda n: ngettext(
        "An answer was begun", "%(num)s answers were begun", n)),
    Kind(Draft.Saved, Action.SEE_DRAFTS, _INVITATION, lambda n: ngettext(
        "A draft of an answer was saved", "%(num)s times a draft of an answer was saved", n)),
    Kind(PersonalLink.Forwarded, Action.SEE_LINKS, _INVITATION, lambda n: ngettext(
        "A section was forwarded to a colleague", "%(num)s sections were forwarded to colleagues", n)),
    Kind(PersonalLink.Exchanged, Action.SEE_LINKS, _INVITATION, lambda n: ngettext(
        "A personal link was opened", "%(num)s times a personal link was opened", n)),
    Kind(PersonalLink.Revoked, Action.SEE_LINKS, _INVITATION, lambda n: ngettext(
        "A personal link was revoked", "%(num)s personal links were revoked", n)),
    Kind(Round.Opened, Action.SEE_ROUNDS, _ROUND, lambda n: ngettext(
        "A round was opened", "%(num)s rounds were opened", n)),
    Kind(Round.Extended, Action.SEE_ROUNDS, _ROUND, lambda n: ngettext(
        "A round was extended", "%(num)s times a round was extended", n)),
    Kind(Letter.Sent, Action.SEE_LETTERS, _LETTER, lambda n: ngettext(
        "A letter was sent", "%(num)s letters were sent", n)),
    Kind(Letter.Bounced, Action.SEE_LETTERS, _LETTER, lambda n: ngettext(
        "A letter bounced", "%(num)s letters bounced", n)),
    Kind(Letter.Suppressed, Action.SEE_LETTERS, _LETTER, lambda n: ngettext(
        "A letter was suppressed", "%(num)s letters were suppressed", n)),
    Kind(Questionnaire.TakenIn, Action.SEE_QUESTIONNAIRES, "/questionnaires/{id}", lambda n: ngettext(
        "A questionnaire was taken in", "%(num)s questionnaires were taken in", n)),
    Kind(Questionnaire.VersionTakenIn, Action.SEE_QUESTIONNAIRES, "/questionnaires/{id}", lambda n: ngettext(
        "A version of a questionnaire was taken in", "%(num)s versions of questionnaires were taken in", n)),
    Kind(Party.Registered, Action.SEE_REFERENCE, "/parties/{iso3}", lambda n: ngettext(
        "A party was registered", "%(num)s parties were registered", n)),
    Kind(Party.ContactNamed, Action.SEE_CONTACTS, "/parties/{iso3}", lambda n: ngettext(
        "A contact of a party was named", "%(num)s contacts of parties were named", n)),
    Kind(Party.ContactEnded, Action.SEE_CONTACTS, "/parties/{iso3}", lambda n: ngettext(
        "A contact of a party ended", "%(num)s contacts of parties ended", n)),
    Kind(Chemical.Listed, Action.SEE_REFERENCE, "/chemicals", lambda n: ngettext(
        "A chemical was listed in Annex III", "%(num)s chemicals were listed in Annex III", n)),
    Kind(Chemical.Delisted, Action.SEE_REFERENCE, "/chemicals", lambda n: ngettext(
        "A chemical was deleted from Annex III", "%(num)s chemicals were deleted from Annex III", n)),
    Kind(DeliveryPartner.Registered, Action.SEE_REFERENCE, "/delivery-partners", lambda n: ngettext(
        "A delivery partner was registered", "%(num)s delivery partners were registered", n)),
    Kind(Account.Opened, Action.SEE_PEOPLE, _PERSON, lambda n: ngettext(
        "An account was opened", "%(num)s accounts were opened", n)),
    Kind(Account.RoleGranted, Action.SEE_PEOPLE, _PERSON, lambda n: ngettext(
        "A role was given", "%(num)s roles were given", n)),
    Kind(Account.RoleChanged, Action.SEE_PEOPLE, _PERSON, lambda n: ngettext(
        "A role was changed", "%(num)s roles were changed", n)),
    Kind(Account.RoleEnded, Action.SEE_PEOPLE, _PERSON, lambda n: ngettext(
        "A role was ended", "%(num)s roles were ended", n)),
    Kind(Account.PasswordLinkMade, Action.SEE_PEOPLE, _PERSON, lambda n: ngettext(
        "A link to set a password was made", "%(num)s links to set a password were made", n)),
    Kind(Account.PasswordSet, Action.SEE_PEOPLE, _PERSON, lambda n: ngettext(
        "A password was set", "%(num)s passwords were set", n)),
    Kind(Account.Erased, Action.SEE_PEOPLE, _PERSON, lambda n: ngettext(
        "A person was erased from the directory", "%(num)s people were erased from the directory", n)),
    Kind(Refusal.CommandRefused, Action.SEE_PEOPLE, _PERSON, lambda n: ngettext(
        "A command was refused", "%(num)s commands were refused", n)),
)  # fmt: skip  # A table is read line by line.

KINDS: Mapping[str, Kind] = {get_topic(kind.event): kind for kind in _ALL}
"""What is news, by topic. What is not here, such as a letter that was planned, stands in the histories."""


@dataclass(frozen=True)
class Item:
    """A sentence, and where what it speaks of is shown."""

    says: str
    path: str
    names: tuple[str, ...]
    others: bool
    """Whether there are more than those who are named."""
    round: tuple[str, str] | None
    at: datetime
    position: int
    number: int = 1


@dataclass(frozen=True)
class Told:
    """What is told to a reader who comes in."""

    read: ReadUpTo
    items: tuple[Item, ...]
    more: int
    """How many sentences are left out."""
    counts: Mapping[str, int]
    """How often each kind of event happened, by its name."""

    def number(self, *kinds: str) -> int:
        """How often any of these kinds of event happened."""
        return sum(self.counts.get(kind, 0) for kind in kinds)


async def read_up_to(page: Page) -> ReadUpTo:
    """Return up to where the reader has read, and note that they look; nothing is noted for programs, for the
    script that keeps a page fresh, and for looks at the past, in which nobody has read anything yet."""
    visitor = page.visitor
    if visitor is None or page.as_of:
        return ReadUpTo()
    book, person_id = News(page.services.pool), visitor.person.id
    if visitor.subject.way is not Way.SIGN_IN or REFRESH in page.request.headers:
        return await book.read_up_to(person_id)
    return await book.look(person_id, page.picture.position, datetime.now(UTC))


async def told(page: Page) -> Told:
    """Tell what changed since the reader was last here, in groups."""
    read = await read_up_to(page)
    question = ask(page, read.since)
    rows = await news.groups(page.picture, question)
    people = await _people(page, [each for row in rows for each in row["newest"]])
    counts: dict[str, int] = {}
    for row in rows:
        name = KINDS[row["topic"]].name
        counts[name] = counts.get(name, 0) + row["number"]
    return Told(
        read,
        tuple(_group(page, row, people, read.since) for row in rows[:GROUPS_AT_HOME]),
        max(0, len(rows) - GROUPS_AT_HOME),
        counts,
    )


def ask(page: Page, since: int, kinds: Collection[str] = (), round_id: UUID | None = None) -> Question:
    """Ask for what the reader may see, of some kinds only where these are named."""
    assert page.visitor is not None, "the page asks who it is"
    of_all, of_own, owner_ids = [], [], set[UUID]()
    for topic, kind in KINDS.items():
        extent = page.visitor.subject.extent(kind.action)
        if extent is None or (kinds and kind.name not in kinds):
            continue
        if extent.everything:
            of_all.append(topic)
        else:
            of_own.append(topic)
            owner_ids |= extent.owner_ids
    but_by = f"person:{page.visitor.person.id}"
    return Question(since, of_all, of_own, sorted(owner_ids), but_by, round_id)


def _group(page: Page, row: Record, people: Mapping[UUID, str], since: int) -> Item:
    kind, newest = KINDS[row["topic"]], row["newest"]
    names = tuple(dict.fromkeys(name for each in newest if (name := _name(each, people))))
    if row["number"] == 1:
        path = _path(page, kind, newest[0])
    else:
        path = page.link("/news", since=since or None, kind=kind.name, round=row["round_id"])
    shown = names[:NAMES_IN_A_GROUP]
    others = len(names) > len(shown) or row["number"] > len(newest)
    return Item(
        kind.says(row["number"]),
        path,
        shown,
        others,
        _round(page, row),
        row["at"],
        row["position"],
        row["number"],
    )


def _item(page: Page, row: Record, people: Mapping[UUID, str]) -> Item:
    kind, name = KINDS[row["topic"]], _name(row, people)
    names = (name,) if name else ()
    return Item(
        kind.says(1), _path(page, kind, row), names, False, _round(page, row), row["at"], row["position"]
    )


def _path(page: Page, kind: Kind, row: Mapping[str, Any]) -> str:
    return page.link(kind.path.format_map(row))


def _round(page: Page, row: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return title and page of the round, the latter empty for those who may not open it."""
    if not row["round_id"]:
        return None
    path = page.link(f"/rounds/{row['round_id']}") if page.may(Action.SEE_ROUNDS) else ""
    return row["round_title"], path


def _name(row: Mapping[str, Any], people: Mapping[UUID, str]) -> str:
    if row["person_id"]:
        return people.get(UUID(str(row["person_id"]))) or _("a former contact")
    return party_name(row["name"], row["iso3"]) if row["iso3"] else row["name"] or ""


async def _people(page: Page, rows: Sequence[Mapping[str, Any]]) -> dict[UUID, str]:
    ids = {UUID(str(row["person_id"])) for row in rows if row["person_id"]}
    return await page.services.directory.names(sorted(ids)) if ids else {}


@router.get("/news", dependencies=[allowed(Action.SEE_HOME)])
async def every_event(
    visit: Visiting,
    since: Annotated[int, Query(ge=0, lt=2**62)] = 0,
    kind: Annotated[str, Query(max_length=300)] = "",
    round: UUID | None = None,
    before: Annotated[int | None, Query(ge=0, lt=2**62)] = None,
) -> Response:
    """List what happened after a position, one line for each event, the newest first."""
    async with visit.look() as page:
        question = ask(page, since, [name for name in kind.split(",") if name], round)
        rows = await news.events(page.picture, question, before, ON_A_PAGE + 1)
        people = await _people(page, rows)
        return page.show(
            "news.html",
            items=[_item(page, row, people) for row in rows[:ON_A_PAGE]],
            more=rows[ON_A_PAGE - 1]["position"] if len(rows) > ON_A_PAGE else None,
            since=since,
            kind=kind,
            round=round,
            before=before,
        )


@router.post("/news/read", dependencies=[allowed(Action.OWN_ACCOUNT)])
async def read(visit: Visiting) -> Response:
    """Note that the reader has read all that was shown to them. What came later stays new."""
    written = str((await visit.form()).get("position", ""))
    async with visit.look() as page:
        position = (
            min(int(written), page.picture.position) if written.isdecimal() and len(written) < 19 else 0
        )
    await News(visit.services.pool).read(visit.actor, position, datetime.now(UTC))
    return visit.go("/")


def may_press(page: Page) -> bool:
    """Whether to offer the button. Whoever audits is offered none that changes anything."""
    assert page.visitor is not None, "the page asks who it is"
    subject = page.visitor.subject
    return Role.AUDITOR not in subject.roles and page.may(Action.OWN_ACCOUNT, {subject.person_id})
