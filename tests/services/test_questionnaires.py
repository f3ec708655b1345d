"""Taking in a questionnaire makes a record the first time, and adds a version to it later."""

from datetime import UTC, datetime
from importlib.resources import files
from typing import TypeVar
from uuid import UUID

import pytest

from domain.aggregates import Aggregate, Stamp
from domain.questionnaires import Questionnaire
from domain.refusals import NotAllowed, NotFound
from services.questionnaires import Questionnaires, TakeIn
from services.xlsforms import read

A = TypeVar("A", bound=Aggregate)


class Desk:
    """A unit of work over a few aggregates in memory."""

    stamp = Stamp(by="service:tests", at=datetime(2016, 3, 1, 9, tzinfo=UTC))

    def __init__(self) -> None:
        self.aggregates: dict[UUID, Aggregate] = {}

    async def find(self, kind: type[A], id: UUID) -> A | None:
        found = self.aggregates.get(id)
        return found if isinstance(found, kind) else None

    async def get(self, kind: type[A], id: UUID) -> A:
        found = await self.find(kind, id)
        if found is None:
            raise NotFound("unknown", "There is no such record.")
        return found

    look = get

    def add(self, aggregate: Aggregate) -> None:
        self.aggregates[aggregate.id] = aggregate


def take_in(version: str = "2016.1") -> TakeIn:
    form = read((files("domain.reference") / "needs-2016.xlsx").read_bytes()).form
    return TakeIn(
        form=form.model_copy(update={"version": version}), spreadsheet_sha256="a" * 64, xform_sha256="b" * 64
    )


async def test_the_first_version_makes_the_questionnaire() -> None:
    desk = Desk()

    recorded = await Questionnaires().take_in(desk, take_in())

    questionnaire = await desk.get(Questionnaire, recorded.id)
    assert (recorded.form_id, recorded.form_version, recorded.version) == ("needs-2016", "2016.1", 1)
    assert questionnaire.latest.version == "2016.1"


async def test_a_further_version_is_added_to_it() -> None:
    desk = Desk()
    first = await Questionnaires().take_in(desk, take_in())

    second = await Questionnaires().take_in(desk, take_in("2020.1"))

    assert (second.id, second.form_version, second.version) == (first.id, "2020.1", 2)


async def test_the_same_version_again_is_refused() -> None:
    desk = Desk()
    await Questionnaires().take_in(desk, take_in())

    with pytest.raises(NotAllowed, match="was taken in already"):
        await Questionnaires().take_in(desk, take_in())
