"""The history of a record: every event in its order, with its position, and nothing left out."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Response

from api.access import Rights, allowed
from api.history import may_be_read
from api.pages import event_names, words
from api.pages.event_fields import Shower, Shown, ids_in, record_path
from api.pages.frame import Page, Visiting
from api.pages.translations import _, known
from domain.access import Action
from domain.aggregates import Aggregate
from domain.forms import Form
from projections import history, questionnaires, rounds
from projections.reading import Record
from services.history import Checkpoints
from services.log import LoggedEvent, LogReader
from services.mapper import decode

router = APIRouter()

EVENTS_ON_A_PAGE = 50
RAW_LIMIT = 20_000
"""Longer JSON is not laid into the page; the export for programs has it."""


@dataclass(frozen=True)
class Happening:
    """One event as people read it."""

    position: int
    version: int
    name: str
    summary: str
    event: Aggregate.Event
    who: str
    because: str | None
    facts: list[tuple[str, Shown]]
    raw: str
    covered: int | None
    """How many events the first checkpoint that covers it is about; None while there is none."""


@router.get("/history/{id:uuid}", dependencies=[allowed(Action.SEE_HISTORY)])
async def record(visit: Visiting, right: Rights, id: UUID, after: int = 0) -> Response:
    """Show what happened to a record, oldest first."""
    async with visit.look() as page:
        stream = await LogReader(page.picture.connection).stream(id)
        logged = [event for event in stream if event.position <= page.picture.position]
        page.found(logged or None)
        page.found(await may_be_read(right, visit.request, logged[0]) or None)
        part = [event for event in logged if event.originator_version > after][:EVENTS_ON_A_PAGE]
        events = [decode(event.topic, event.state) for event in part]
        known = await history.names(page.picture, {id, *(each for event in events for each in ids_in(event))})
        return page.show(
            "history/record.html",
            id=id,
            record=known.get(id),
            record_page=record_path,
            kind=event_names.apart(type(events[0]).__qualname__.partition(".")[0]) if events else "record",
            happenings=await _happenings(page, part, events, known),
            number=len(logged),
            next=_next(part, logged),
            shown_from=after,
        )


def _next(part: list[LoggedEvent], logged: list[LoggedEvent]) -> int | None:
    """Return the version after which the next part begins; None when all is shown."""
    last = part[-1].originator_version if part else 0
    return last if part and last < logged[-1].originator_version else None


async def _happenings(
    page: Page, logged: list[LoggedEvent], events: list[Aggregate.Event], records: dict[UUID, Record]
) -> list[Happening]:
    people = await _people(page, events)
    form = await _form(page, events)
    shower = Shower(page.zone, records, people, form)
    positions = [each.position for each in logged]
    checkpoints = await Checkpoints(page.picture.connection).each_first_covering(positions)
    return [
        Happening(
            position=each.position,
            version=each.originator_version,
            name=event_names.event_name(type(event)),
            summary=event_names.event_summary(type(event)),
            event=event,
            who=_who(event.by, people, page),
            because=event.because,
            facts=shower.facts(event),
            raw=each.state.decode() if len(each.state) <= RAW_LIMIT else "",
            covered=next((found.size for found in checkpoints if found.position >= each.position), None),
        )
        for each, event in zip(logged, events, strict=True)
    ]


async def _people(page: Page, events: list[Aggregate.Event]) -> dict[UUID, str]:
    """Look up who acted and who was written to; only for readers who are signed in."""
    actors = [event.by.partition(":") for event in events]
    ids = {UUID(name) for kind, _, name in actors if kind == "person" and len(name) == 36}
    for field in ("contact_id", "holder_id"):
        ids |= {id for event in events if (id := getattr(event, field, None))}
    names = await page.services.directory.names(list(ids))
    return dict.fromkeys(ids, _(words.FORMER_CONTACT)) | names


async def _form(page: Page, events: list[Aggregate.Event]) -> Form | None:
    """Return the form by which the answers of an invitation or its draft are read."""
    if not any(hasattr(event, "answers") for event in events):
        return None
    owner = await history.owner_of(page.picture, events[0].originator_id)
    asked = owner["invitation_id"] if owner else None
    invitation = await rounds.invitation(page.picture, asked) if asked else None
    if invitation is None:
        return None
    found = await questionnaires.form(
        page.picture, invitation["questionnaire_id"], invitation["form_version"]
    )
    return Form.model_validate(found["form"]) if found else None


def _who(by: str, people: dict[UUID, str], page: Page) -> str:
    kind, name = by.split(":", 1)
    if kind != "person":
        return known(f"{kind} {name.replace('-', ' ')}")
    return (people.get(UUID(name)) if len(name) == 36 else None) or _(words.FORMER_CONTACT)
