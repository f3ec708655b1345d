"""Taking in questionnaires."""

from typing import ClassVar

from domain.forms import Form
from domain.questionnaires import Questionnaire, Sha256
from services.commands import Command, Recorded, Unit


class TakeIn(Command):
    """Take in a version of a questionnaire, the first or a further one.

    The caller has read the form from the spreadsheet and has stored both documents by their hashes.
    """

    creates: ClassVar[bool] = True

    form: Form
    spreadsheet_sha256: Sha256
    xform_sha256: Sha256


class FormTakenIn(Recorded):
    """The questionnaire, and which version of its form was taken in."""

    form_id: str
    form_version: str


class Questionnaires:
    """Handles the commands about questionnaires."""

    async def take_in(self, unit: Unit, command: TakeIn) -> FormTakenIn:
        """Take in the form, as the first version of its questionnaire or as a further one."""
        form, hashes = command.form, (command.spreadsheet_sha256, command.xform_sha256)
        questionnaire = await unit.find(Questionnaire, Questionnaire.id_of(form.form_id))
        if questionnaire is None:
            questionnaire = Questionnaire.take_in(form, *hashes, unit.stamp)
            unit.add(questionnaire)
        else:
            questionnaire.take_in_version(form, *hashes, unit.stamp)
        return FormTakenIn(
            id=questionnaire.id,
            version=questionnaire.version,
            form_id=form.form_id,
            form_version=form.version,
        )
