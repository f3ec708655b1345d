"""Questionnaires and their versions."""

from collections.abc import Iterable
from uuid import UUID

from domain.forms import Form
from domain.questionnaires import Questionnaire
from projections.reading import Picture, Record
from projections.tables import Change, Projection, Table

QUESTIONNAIRES = Table(
    "questionnaires",
    {"id": "uuid", "form_id": "text", "title": "jsonb", "latest_version": "text", "version": "bigint"},
    key=("id",),
)

FORM_VERSIONS = Table(
    "form_versions",
    {
        "questionnaire_id": "uuid",
        "form_version": "text",
        "form": "jsonb",
        "spreadsheet_sha256": "text",
        "xform_sha256": "text",
        "taken_in_at": "timestamptz",
    },
    key=("questionnaire_id", "form_version"),
)

projection = Projection(QUESTIONNAIRES, FORM_VERSIONS)


@projection.on(Questionnaire.TakenIn)
def _taken_in(event: Questionnaire.TakenIn) -> Iterable[Change]:
    yield QUESTIONNAIRES.begin(
        id=event.originator_id,
        form_id=event.form.form_id,
        title=event.form.title,
        latest_version=event.form.version,
        version=event.originator_version,
    )
    yield _version(event)


@projection.on(Questionnaire.VersionTakenIn)
def _version_taken_in(event: Questionnaire.VersionTakenIn) -> Iterable[Change]:
    yield QUESTIONNAIRES.change(
        event.originator_id,
        title=event.form.title,
        latest_version=event.form.version,
        version=event.originator_version,
    )
    yield _version(event)


def _version(event: Questionnaire.TakenIn | Questionnaire.VersionTakenIn) -> Change:
    return FORM_VERSIONS.begin(
        questionnaire_id=event.originator_id,
        form_version=event.form.version,
        form=event.form.model_dump(mode="json"),
        spreadsheet_sha256=event.spreadsheet_sha256,
        xform_sha256=event.xform_sha256,
        taken_in_at=event.timestamp,
    )


# Questions.


async def questionnaires(picture: Picture, after: UUID | None = None, limit: int = 100) -> list[Record]:
    """Return questionnaires, by id."""
    return await picture.all(
        """
        SELECT * FROM questionnaires WHERE %(after)s::uuid IS NULL OR id > %(after)s
        ORDER BY id LIMIT %(limit)s
        """,
        after=after,
        limit=limit,
    )


async def questionnaire(picture: Picture, id: UUID) -> Record | None:
    """Return one questionnaire, None when there is none."""
    return await picture.one("SELECT * FROM questionnaires WHERE id = %(id)s", id=id)


async def form_versions(picture: Picture, questionnaire_id: UUID) -> list[Record]:
    """Return the versions of a questionnaire, oldest first, without their forms."""
    return await picture.all(
        """
        SELECT questionnaire_id, form_version, spreadsheet_sha256, xform_sha256, taken_in_at, position
        FROM form_versions WHERE questionnaire_id = %(id)s ORDER BY position
        """,
        id=questionnaire_id,
    )


async def form(picture: Picture, questionnaire_id: UUID, form_version: str) -> Record | None:
    """Return one version of a questionnaire with its form, None when there is none."""
    return await picture.one(
        """
        SELECT * FROM form_versions
        WHERE questionnaire_id = %(id)s AND form_version = %(form_version)s
        """,
        id=questionnaire_id,
        form_version=form_version,
    )


async def form_of(picture: Picture, invitation: Record) -> Form:
    """Return the form by which a party was asked: the version that was issued, which is always there."""
    found = await form(picture, invitation["questionnaire_id"], invitation["form_version"])
    assert found is not None, "no round is opened without its form"
    return Form.model_validate(found["form"])
