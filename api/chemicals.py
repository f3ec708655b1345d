"""The entries of Annex III over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from api.access import allowed
from api.http import Calling, CallingOnVersion, CodeCursor, Limit, Model, Page, Reading, page
from api.openapi import problems, problems_of_command
from domain.access import Action
from domain.chemicals import Listing
from projections import chemicals as questions
from services.chemicals import DelistChemical, ListChemical
from services.commands import Recorded

router = APIRouter(prefix="/chemicals", tags=["chemicals"])


class ChemicalRecord(Model):
    """An entry of Annex III as it stands."""

    id: UUID
    annex_id: str
    """The number of the entry."""
    name: str
    cas_numbers: list[str]
    categories: list[str]
    listed_at: str
    """The meeting that listed it."""
    decision: str | None
    current: bool
    """Whether the entry stands in the Annex today."""
    delisted_at: str | None
    source: str
    confidence: str
    """How sure these facts are."""
    version: int
    position: int
    """The event that made the record what it is."""


class ChemicalPage(Page[ChemicalRecord]):
    """Part of Annex III."""


class Deletion(Model):
    """How an entry came to be deleted."""

    delisted_at: str = Field(min_length=1, max_length=200)
    """The meeting that deleted it."""
    decision: str | None = Field(None, max_length=200)


@router.get(
    "",
    summary="List the entries of Annex III",
    responses=problems(),
    dependencies=[allowed(Action.SEE_REFERENCE)],
)
async def list_chemicals(
    request: Request, picture: Reading, cursor: CodeCursor = None, limit: Limit = 200
) -> ChemicalPage:
    """Return the entries by their number, those that were deleted too."""
    rows = await questions.chemicals(picture, cursor, limit + 1)
    return ChemicalPage.model_validate(page(request, picture, rows, limit, "annex_id"))


@router.post(
    "",
    summary="List a chemical",
    status_code=201,
    response_model=Recorded,
    responses=problems_of_command(),
    dependencies=[allowed(Action.REGISTER_CHEMICALS)],
)
async def list_chemical(caller: Calling, listing: Listing) -> Response:
    """Record that the Conference listed a chemical in Annex III."""
    return await caller.carry_out(ListChemical.model_validate(listing.model_dump()))


@router.post(
    "/{chemical_id}/delist",
    summary="Delete a chemical",
    response_model=Recorded,
    responses=problems_of_command("not-found", "precondition-required"),
    dependencies=[allowed(Action.REGISTER_CHEMICALS)],
)
async def delist_chemical(
    caller: CallingOnVersion,
    chemical_id: Annotated[UUID, Path(description="The id of the entry.")],
    deletion: Deletion,
) -> Response:
    """Record that the Conference deleted an entry from Annex III."""
    return await caller.carry_out(
        DelistChemical(chemical_id=chemical_id, delisted_at=deletion.delisted_at, decision=deletion.decision)
    )
