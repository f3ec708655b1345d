"""Earmarks: what money may be spent on, and whether that fits what it is wanted for."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, StringConstraints

from domain.aggregates import on_one_line
from domain.parties import Region

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(on_one_line),
]


class Purpose(BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """What money is wanted for."""

    programme: Name | None = None
    """The programme of a biennium, such as 2016-2017."""
    theme: Name | None = None
    region: Region | None = None
    activity_id: UUID | None = None
    """The activity of the programme."""

    @property
    def limits(self) -> dict[str, Any]:
        """What is said of it, and not left open."""
        return {name: said for name in Purpose.model_fields if (said := getattr(self, name)) is not None}


class Earmark(Purpose, frozen=True):
    """What money may be spent on: what is left open limits nothing, so an empty one is no earmark at all."""

    def fits(self, purpose: Purpose) -> bool:
        """Whether money of this earmark may be spent on a purpose: each limit must be met by its name."""
        return all(getattr(purpose, name) == wanted for name, wanted in self.limits.items())
