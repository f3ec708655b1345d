"""The programme over HTTP: for now, who delivers it."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.access import allowed
from api.http import Calling, CodeCursor, Limit, Model, Page, Reading, page
from api.openapi import problems, problems_of_command
from domain.access import Action
from domain.programme import PartnerParticulars
from projections import programme as questions
from services.commands import Recorded
from services.programme import RegisterDeliveryPartner

router = APIRouter(prefix="/delivery-partners", tags=["programme"])


class DeliveryPartnerRecord(Model):
    """A regional centre or an office, as it stands."""

    id: UUID
    centre_id: str
    """Its short name."""
    name: str
    city: str | None
    host_country_iso3: str | None
    type: str | None
    convention: str | None
    """The convention under which it was set up."""
    region_served: str | None
    source: str
    confidence: str
    """How sure these facts are."""
    version: int
    position: int
    """The event that made the record what it is."""


class DeliveryPartnerPage(Page[DeliveryPartnerRecord]):
    """Part of the register of delivery partners."""


@router.get(
    "",
    summary="List the delivery partners",
    responses=problems(),
    dependencies=[allowed(Action.SEE_REFERENCE)],
)
async def list_delivery_partners(
    request: Request, picture: Reading, cursor: CodeCursor = None, limit: Limit = 200
) -> DeliveryPartnerPage:
    """Return the regional centres and offices that carry out activities, by their short name."""
    rows = await questions.delivery_partners(picture, cursor, limit + 1)
    return DeliveryPartnerPage.model_validate(page(request, picture, rows, limit, "centre_id"))


@router.post(
    "",
    summary="Register a delivery partner",
    status_code=201,
    response_model=Recorded,
    responses=problems_of_command(),
    dependencies=[allowed(Action.REGISTER_PARTNERS)],
)
async def register_delivery_partner(caller: Calling, particulars: PartnerParticulars) -> Response:
    """Enter a regional centre or an office in the register."""
    command = RegisterDeliveryPartner.model_validate(particulars.model_dump())
    return await caller.carry_out(command)
