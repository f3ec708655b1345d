"""Drafts over HTTP: answers are saved, finished or not, and read again until they are handed in."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field, StrictFloat

from api.access import Right, Rights, allowed, must_cover_invitation
from api.http import Calling, InvitationId, Model, Reading, found, tag
from api.openapi import problems, problems_of_command
from domain.access import Action
from domain.drafts import Language
from domain.forms import AnswerValue
from projections import drafts, questionnaires, rounds
from projections.reading import Picture, Record
from services.commands import Recorded
from services.drafts import SaveDraft

router = APIRouter(prefix="/invitations", tags=["drafts"])


class KeptAnswer(Model):
    """One answer that is kept to a question."""

    value: Any
    """Text, a number, a list of options; empty where an answer was taken out."""
    page_id: UUID
    """The page on which it was written."""
    saved_by: str
    """`person:` and an id."""
    saved_at: datetime


class DraftRecord(Model):
    """What a party has written into a questionnaire and not yet handed in."""

    invitation_id: UUID
    answers: dict[str, Any]
    """The answers that stand, by the name of their question. They may be unfinished, or wrong."""
    choices: dict[str, list[KeptAnswer]]
    """Questions that several people answered without having seen each other's answer: all that is kept, the
    answer that stands first. Saving one of them, from a page drawn from this version, chooses it."""
    asked: int
    """How many questions apply, given the answers so far."""
    answered: int
    required: int
    """How many of those that apply must be answered."""
    required_answered: int
    percent: int | None
    """Answers per hundred questions that apply, rounded down."""
    begun_at: datetime
    saved_at: datetime
    version: int
    """What the next saving names as `drawn_from`."""
    position: int
    """The event that made the record what it is."""


class Saving(Model):
    """What was changed on a page."""

    answers: dict[str, AnswerValue | StrictFloat | None] = Field(
        examples=[{"areas": ["customs"], "remark": None}]
    )
    """By the name of the question, of those alone that were changed; null takes an answer out."""
    page_id: UUID
    """An id of the caller's making, the same for all savings from one page, so that it is never in conflict
    with itself."""
    drawn_from: int = Field(0, ge=0)
    """The version of the draft that the page shows; 0 when there was none."""
    language: Language | None = None
    """The language in which the page asks; the form's own without it."""


@router.get(
    "/{invitation_id}/draft",
    summary="Read a draft",
    responses=problems("not-found"),
    dependencies=[allowed(Action.SEE_DRAFTS)],
)
async def read_draft(
    right: Rights, picture: Reading, response: Response, invitation_id: InvitationId
) -> DraftRecord:
    """Return what is saved and not yet handed in.

    It belongs to the party: the Secretariat sees on the board that there is a draft and how far it goes,
    and no answers. A colleague to whom a section was forwarded reads that section.
    """
    draft = await drafts.draft(picture, invitation_id)
    if draft is not None and not right.covers({draft["party_id"]}, invitation_id):
        draft = None
    draft = tag(response, found(draft, "draft of the invitation", invitation_id, picture))
    kept = await _kept_in_reach(right, picture, draft)
    return DraftRecord.model_validate(
        draft
        | {
            "answers": drafts.answers(kept),
            "choices": drafts.choices(kept),
        }
    )


async def _kept_in_reach(right: Right, picture: Picture, draft: Record) -> dict[str, list[Record]]:
    kept = await drafts.kept(picture, draft["id"])
    section = right.visitor.subject.section
    if section is None:
        return kept
    invitation = await rounds.invitation(picture, draft["invitation_id"])
    form = await questionnaires.form_of(picture, found(invitation, "draft", draft["id"], picture))
    return {name: kept[name] for name in kept.keys() & form.names_in(section)}


@router.patch(
    "/{invitation_id}/draft",
    summary="Save answers to go on with later",
    response_model=Recorded,
    responses=problems_of_command("not-found"),
    dependencies=[allowed(Action.ANSWER)],
)
async def save_draft(right: Rights, caller: Calling, invitation_id: InvitationId, saving: Saving) -> Response:
    """Save what was changed, finished or not, until the answer is handed in.

    Answers to different questions come together, whoever saves them. Where somebody else has answered the
    same question since the page was drawn, both answers are kept: read the draft to see them.
    """
    await must_cover_invitation(right, invitation_id)
    section = right.visitor.subject.section
    return await caller.carry_out(SaveDraft(invitation_id=invitation_id, section=section, **dict(saving)))
