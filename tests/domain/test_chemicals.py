"""The Conference lists chemicals in Annex III, and sometimes deletes one."""

from datetime import UTC, datetime

import pytest

from domain.aggregates import Stamp
from domain.chemicals import Chemical, ChemicalCategory, Listing, chemical_id, must_be_new
from domain.refusals import NotAllowed

STAMP = Stamp(by="service:tests", at=datetime(2016, 3, 1, 9, tzinfo=UTC))
TRIBUTYLTIN = Listing(
    annex_id="A3-035",
    name="All tributyltin compounds",
    cas_numbers=("56-35-9", "1983-10-4"),
    categories=(ChemicalCategory.PESTICIDE, ChemicalCategory.INDUSTRIAL),
    listed_at="COP-4 (pesticide); COP-8 (industrial)",
    decision="RC-4/5;RC-8/5",
    source="the text of the annex",
    confidence="seen in source",
)


def listed_chemical() -> Chemical:
    return Chemical.list_in_annex(TRIBUTYLTIN, STAMP)


def deleted_chemical() -> Chemical:
    chemical = listed_chemical()
    chemical.delist("COP-20", "RC-20/1", STAMP)
    return chemical


def test_a_listed_chemical_stands_in_the_annex_with_its_facts() -> None:
    chemical = listed_chemical()

    assert chemical.id == chemical_id("A3-035")
    assert chemical.current
    assert all(getattr(chemical, fact) == value for fact, value in TRIBUTYLTIN)


def test_a_deleted_chemical_stands_in_the_annex_no_longer() -> None:
    assert not deleted_chemical().current


def test_it_refuses_to_list_a_chemical_twice() -> None:
    must_be_new(None)
    with pytest.raises(NotAllowed, match=r"recorded already, as entry A3-035"):
        must_be_new(listed_chemical())


def test_it_refuses_to_delete_a_chemical_twice() -> None:
    chemical = deleted_chemical()

    with pytest.raises(NotAllowed, match=r"has been deleted from Annex III already"):
        chemical.delist("COP-21", None, STAMP)

    assert chemical.version == 2


def test_the_history_read_again_gives_the_same_chemical() -> None:
    listed, delisted = deleted_chemical().pending_events
    assert isinstance(listed, Chemical.Listed)
    assert isinstance(delisted, Chemical.Delisted)

    again = listed_chemical()
    Chemical.Delisted.model_validate_json(delisted.model_dump_json()).mutate(again)

    assert Chemical.Listed.model_validate_json(listed.model_dump_json()) == listed
    assert (again.version, again.current, again.name) == (2, False, TRIBUTYLTIN.name)
