"""Keeps what a party has written and not yet handed in."""

from uuid import UUID

from pydantic import Field, JsonValue

from domain.drafts import Changes, Draft, Language, Page, draft_id, must_be_keepable
from domain.forms import Form
from domain.questionnaires import Questionnaire
from domain.rounds import Invitation
from domain.rules import normalise
from services.commands import Command, Recorded, Unit


class SaveDraft(Command):
    """Save answers, finished or not, to go on with later."""

    invitation_id: UUID
    answers: dict[str, JsonValue]
    """As they were typed, of those questions alone that were changed on the page; null takes one out."""
    page_id: UUID
    """The page on which they were typed, so that it is never in conflict with itself."""
    drawn_from: int = Field(0, ge=0)
    """The version of the draft that the page showed when it was drawn; 0 when there was none."""
    language: Language | None = None
    """The language in which the page asked; the form's own when it is not given."""
    section: str | None = None
    """The one section that whoever saves was asked to answer, as the door knows it; none for all."""


class Drafts:
    """The handler of the command about drafts."""

    async def save(self, unit: Unit, command: SaveDraft) -> Recorded:
        draft = await unit.find(Draft, draft_id(command.invitation_id))
        invitation = await unit.look(Invitation, command.invitation_id)
        invitation.must_await_answers()
        form = (await unit.look(Questionnaire, invitation.questionnaire_id)).form(invitation.form_version)
        given = changes(form, command.answers)
        must_be_keepable(form, given, command.section)
        if draft is None and not any(value is not None for value in given.values()):
            # Nothing was there, and nothing is: nobody has begun.
            return Recorded(id=draft_id(invitation.id), version=0)
        if draft is None:
            draft = Draft.begin_for(invitation, unit.stamp)
            unit.add(draft)
        page = Page(command.page_id, command.drawn_from)
        draft.save(form, given, page, command.language or form.default_language, unit.stamp)
        return Recorded(id=draft.id, version=draft.version)


def changes(form: Form, given: dict[str, JsonValue]) -> Changes:
    """Bring what was typed into the shape in which answers are kept; what is empty takes an answer out."""
    return dict.fromkeys(given) | normalise(form, given)
