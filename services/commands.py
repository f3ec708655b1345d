"""Commands: what a person, a program or a workflow may ask the service to do.

A command is a value. A handler loads the aggregates that it names, lets them decide and answers with
what was recorded; it has no branches of its own. The same handlers serve every door: HTTP, the command
line and the steps of workflows.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.aggregates import Aggregate, Stamp
from domain.refusals import Invalid

A = TypeVar("A", bound=Aggregate)


class Command(BaseModel):
    """Something that may be asked of the service. Subclasses are named in the imperative."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    creates: ClassVar[bool] = False
    """Whether a successful command makes a new record (HTTP 201) or changes one (HTTP 200)."""


class Recorded(BaseModel):
    """What a command answers: the record that it made or changed, and the version it now has."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    version: int


class Unit(Protocol):
    """One unit of work: the aggregates that one command takes out, changes and saves together."""

    @property
    def stamp(self) -> Stamp:
        """Who acts, when, and because of what."""

    async def get(self, kind: type[A], id: UUID) -> A:
        """Take out an aggregate. Raises NotFound when there is none; Stale when the caller named
        an older version of it."""

    async def find(self, kind: type[A], id: UUID) -> A | None:
        """Take out an aggregate, or None when there is none yet."""

    async def look(self, kind: type[A], id: UUID) -> A:
        """Look at an aggregate without taking it out; it must not be changed. Raises NotFound."""

    def add(self, aggregate: Aggregate) -> None:
        """Bring in a new aggregate, to be saved with the others."""


Handler = Callable[[Unit, Any], Awaitable[Recorded]]

_NULL_CHARACTER = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""U+0000 as JSON writes it; behind an even number of backslashes, or else the backslash is the text."""


def must_be_keepable(body: bytes) -> None:
    """Refuse a command whose JSON holds the one character that no column of the tables can hold.

    In the log it would stand for ever, and no table could be made from the log any more.
    """
    if b"\\u0000" in body and _NULL_CHARACTER.search(body):
        raise Invalid(
            "null-character", "A text holds the character U+0000, which cannot be kept: take it out."
        )
