"""Chemicals of Annex III: those that may be traded only with the prior informed consent of the importer.

An entry of the annex is listed by a decision of the Conference of the Parties and can be deleted by a later
one. A chemical can have several entries: as a pesticide, and as a formulation that is severely hazardous.
"""

from dataclasses import field
from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.aggregates import Aggregate, Line, Stamp, identify
from domain.refusals import NotAllowed


class ChemicalCategory(StrEnum):
    """Under which category an entry stands in Annex III."""

    PESTICIDE = "pesticide"
    SEVERELY_HAZARDOUS_PESTICIDE_FORMULATION = "severely hazardous pesticide formulation"
    INDUSTRIAL = "industrial"


class Listing(BaseModel):
    """What is recorded of an entry when it is listed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    annex_id: str
    """The number under which the register of chemicals keeps the entry."""
    name: Line
    cas_numbers: tuple[str, ...]
    """Chemical Abstracts Service numbers; groups of compounds can have none, or more than are named."""
    categories: tuple[ChemicalCategory, ...]
    """One entry can stand under two categories."""
    listed_at: str
    """The meeting or text that listed it."""
    decision: str | None
    """The symbol of the decision, where it is known."""
    source: str
    confidence: str
    """How sure these facts are, in the words of the table that they were taken from."""


def chemical_id(annex_id: str) -> UUID:
    """Return the id of the chemical that Annex III has under this number."""
    return identify("chemical", annex_id)


class Chemical(Aggregate):
    """An entry of Annex III."""

    annex_id: str
    name: str
    cas_numbers: tuple[str, ...]
    categories: tuple[ChemicalCategory, ...]
    listed_at: str
    decision: str | None
    source: str
    confidence: str
    current: bool = field(init=False)
    """Whether the entry stands in Annex III now."""

    class Event(Aggregate.Event):
        """Something that happened to an entry of Annex III."""

    class Listed(Event, Aggregate.Created, Listing):
        """The Conference of the Parties listed the chemical in Annex III."""

        def apply(self, chemical: "Chemical") -> None:
            for fact in Listing.model_fields:
                setattr(chemical, fact, getattr(self, fact))
            chemical.current = True

    class Delisted(Event):
        """The Conference of the Parties deleted the entry from Annex III."""

        delisted_at: str
        decision: str | None

        def apply(self, chemical: "Chemical") -> None:
            chemical.current = False

    @classmethod
    def list_in_annex(cls, listing: Listing, stamp: Stamp) -> Self:
        """Record that a chemical was listed in Annex III."""
        facts = {fact: getattr(listing, fact) for fact in Listing.model_fields}
        chemical: Self = cls.begin(cls.Listed, stamp, id=chemical_id(listing.annex_id), **facts)
        return chemical

    def delist(self, delisted_at: str, decision: str | None, stamp: Stamp) -> None:
        """Record that the entry was deleted from Annex III."""
        must_be_listed_still(self)
        self.record(self.Delisted, stamp, delisted_at=delisted_at, decision=decision)


# The rules. Each is asked by a command, and never when a history is read again.


def must_be_new(existing: Chemical | None) -> None:
    """An entry of the annex is recorded once."""
    if existing:
        raise NotAllowed(
            "chemical-already-listed",
            f"{existing.name} is recorded already, as entry {existing.annex_id} of Annex III.",
            chemical_id=existing.id,
        )


def must_be_listed_still(chemical: Chemical) -> None:
    """What has been deleted cannot be deleted again."""
    if not chemical.current:
        raise NotAllowed(
            "chemical-already-delisted", f"{chemical.name} has been deleted from Annex III already."
        )
