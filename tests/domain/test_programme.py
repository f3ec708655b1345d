"""Regional centres and offices deliver the programme."""

from datetime import UTC, datetime

import pytest

from domain.aggregates import Stamp
from domain.programme import (
    DeliveryPartner,
    PartnerParticulars,
    PartnerType,
    delivery_partner_id,
    must_be_new,
)
from domain.refusals import NotAllowed

STAMP = Stamp(by="service:tests", at=datetime(2016, 3, 1, 9, tzinfo=UTC))
CENTRE_IN_DAKAR = PartnerParticulars(
    centre_id="BC-SEN",
    name="BCRC Senegal (French-speaking Africa)",
    city="Dakar",
    host_country_iso3="SEN",
    type=PartnerType.BASEL_REGIONAL_CENTRE,
    convention="Basel Convention",
    region_served="French-speaking Africa",
    source="the list of centres",
    confidence="seen in source",
)


def registered_centre() -> DeliveryPartner:
    return DeliveryPartner.register(CENTRE_IN_DAKAR, STAMP)


def test_a_registered_centre_is_known_by_its_short_name() -> None:
    centre = registered_centre()

    assert centre.id == delivery_partner_id("BC-SEN")
    assert all(getattr(centre, fact) == value for fact, value in CENTRE_IN_DAKAR)


def test_it_refuses_to_register_a_centre_twice() -> None:
    must_be_new(None)
    with pytest.raises(NotAllowed, match=r"BCRC Senegal .* is registered already"):
        must_be_new(registered_centre())


def test_the_history_read_again_gives_the_same_centre() -> None:
    (event,) = registered_centre().pending_events
    assert isinstance(event, DeliveryPartner.Registered)

    assert DeliveryPartner.Registered.model_validate_json(event.model_dump_json()) == event
