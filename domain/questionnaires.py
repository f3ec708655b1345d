"""Questionnaires: what is asked, and each version of it that was taken in.

A version, once taken in, never changes: answers are checked against the version that a party received.
"""

from typing import Annotated, Self
from uuid import UUID

from pydantic import StringConstraints

from domain.aggregates import Aggregate, Stamp, identify
from domain.forms import Answers, AnswerValue, Form, Kind, Labels, Option, Question, Section, text
from domain.refusals import Invalid, NotAllowed, NotFound
from domain.rules import examine

__all__ = [
    "AnswerValue",
    "Answers",
    "Form",
    "Kind",
    "Labels",
    "Option",
    "Question",
    "Questionnaire",
    "Section",
    "Sha256",
    "text",
]

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""The hash by which a stored document is known, in hexadecimal."""


class Questionnaire(Aggregate):
    """A questionnaire under one form id, with all of its versions."""

    forms: dict[str, Form]
    """The form of each version, by its label, the oldest first."""

    class Event(Aggregate.Event):
        """Something that happened to a questionnaire."""

    class TakenIn(Event, Aggregate.Created):
        """The first version was taken in, from a spreadsheet."""

        form: Form
        spreadsheet_sha256: Sha256
        xform_sha256: Sha256

        def apply(self, questionnaire: "Questionnaire") -> None:
            questionnaire.forms = {self.form.version: self.form}

    class VersionTakenIn(Event):
        """A further version was taken in, from a spreadsheet."""

        form: Form
        spreadsheet_sha256: Sha256
        xform_sha256: Sha256

        def apply(self, questionnaire: "Questionnaire") -> None:
            questionnaire.forms[self.form.version] = self.form

    @classmethod
    def take_in(cls, form: Form, spreadsheet_sha256: str, xform_sha256: str, stamp: Stamp) -> Self:
        """Take in the first version of a questionnaire."""
        must_have_rules_that_run(form)
        taken: Self = cls.begin(
            cls.TakenIn,
            stamp,
            id=cls.id_of(form.form_id),
            form=form,
            spreadsheet_sha256=spreadsheet_sha256,
            xform_sha256=xform_sha256,
        )
        return taken

    def take_in_version(self, form: Form, spreadsheet_sha256: str, xform_sha256: str, stamp: Stamp) -> None:
        """Take in a further version; the version must be new, for an old one never changes."""
        must_have_rules_that_run(form)
        must_be_of_the_same_questionnaire(self, form)
        must_be_a_new_version(self, form)
        self.record(
            self.VersionTakenIn,
            stamp,
            form=form,
            spreadsheet_sha256=spreadsheet_sha256,
            xform_sha256=xform_sha256,
        )

    @staticmethod
    def id_of(form_id: str) -> UUID:
        """Return the id of the questionnaire that has this form id."""
        return identify("questionnaire", form_id)

    @property
    def form_id(self) -> str:
        """The id that the author gave the form, the same for all versions."""
        return self.latest.form_id

    @property
    def versions(self) -> tuple[str, ...]:
        """The labels of all versions, the oldest first."""
        return tuple(self.forms)

    @property
    def latest(self) -> Form:
        """The version that was taken in last."""
        return self.forms[self.versions[-1]]

    def form(self, version: str) -> Form:
        """Return the form of this version."""
        try:
            return self.forms[version]
        except KeyError:
            known = ", ".join(self.versions)
            raise NotFound(
                "unknown-version",
                f"The questionnaire {self.form_id} has no version {version}; it has {known}.",
                version=version,
            ) from None


def must_be_of_the_same_questionnaire(questionnaire: Questionnaire, form: Form) -> None:
    if form.form_id != questionnaire.form_id:
        raise Invalid(
            "another-form", f"{form.form_id} is not a version of the questionnaire {questionnaire.form_id}."
        )


def must_be_a_new_version(questionnaire: Questionnaire, form: Form) -> None:
    known = questionnaire.forms.get(form.version)
    if known is None:
        return
    if known == form:
        raise NotAllowed(
            "already-taken-in",
            f"Version {form.version} of {form.form_id} was taken in already, with exactly this content.",
            version=form.version,
        )
    raise NotAllowed(
        "version-differs",
        f"Version {form.version} of {form.form_id} was taken in already, with other content. "
        "A version never changes: give the spreadsheet a new version in its settings.",
        version=form.version,
    )


def must_have_rules_that_run(form: Form) -> None:
    faults = examine(form)
    if faults:
        raise Invalid("form-breaks-rules", "The form has faults; nothing was stored.", faults=faults)
