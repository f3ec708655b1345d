"""Trust funds over HTTP: what is taken in, what is refused, and who sees what."""

from typing import Any
from uuid import uuid4

import pytest

from domain.access import Grant, Role
from domain.contributions import donor_id
from domain.funding import fund_id
from services.directory import Person
from tests.api.conftest import Site, problem_of
from tests.cast import Office, hired, session_of

RVTF = fund_id("RVTF")
JOSEPH = Person(uuid4(), "Joseph Adeyemi", "joseph@example.org", "en", "finance officer")
INGRID = Person(uuid4(), "Ingrid Solberg", "ingrid@example.org", "en")


def usd(amount: object) -> dict[str, object]:
    """So many dollars, as JSON has them."""
    return {"currency": "USD", "amount": amount}


@pytest.fixture
async def books(site: Site, office: Office) -> Site:
    """The site as the finance officer's program sees it, with RVTF and a donor."""
    await office.with_fund("RVTF")
    return await seen_by(site, JOSEPH, Grant(role=Role.FINANCE_OFFICER))


async def seen_by(site: Site, person: Person, grant: Grant) -> Site:
    """The site as somebody sees it."""
    await hired(site.services, person, grant)
    seen = Site(site.stranger(), site.services, await session_of(site.services, person.id))
    seen.position = await site.log_position()
    return seen


async def pledged(books: Site, amount: str = "1130.00", **more: Any) -> str:
    """Record a pledge of Norway; return its id."""
    body = {"fund_id": str(RVTF), "donor_id": str(donor_id("NOR")), "amount": usd(amount)}
    made = await books.do("/contributions", body | {"pledged_on": "2026-01-05"} | more)
    return str(made["id"])


async def test_money_is_promised_received_reserved_committed_and_spent(books: Site) -> None:
    id = await pledged(books, earmark={"theme": "customs"})
    await books.do(f"/contributions/{id}/receipts", {"paid": usd("1130.00"), "received_on": "2026-02-01"})
    reserved = await books.do(
        f"/funds/{RVTF}/reservations", {"amount": usd("600.00"), "purpose": {"theme": "customs"}}
    )
    on = f"/funds/{RVTF}/movements"
    committed = await books.do(
        f"{on}/{reserved['id']}/commitments", {"amount": usd("500.00"), "agreement": "Contract 7"}
    )
    spent = {"amount": usd("499.99"), "voucher": "Payment 9", "spent_on": "2026-02-20"}
    await books.do(f"{on}/{committed['id']}/expenditures", spent)
    await books.do(f"{on}/{committed['id']}/releases", {"reason": "It cost less."})

    fund = await books.read(f"/funds/{RVTF}")
    amounts = {name: money["amount"] for name, money in fund["accounts"].items()}
    assert amounts == {
        "received": "1130.00",
        "spent": "499.99",
        "support_cost": "130.00",
        "committed": "0.00",
        "reserved": "100.00",
        "free": "400.01",
    }
    assert fund["earmarks"][0]["earmark"]["theme"] == "customs"
    assert fund["earmarks"][0]["accounts"] == fund["accounts"]
    movements = (await books.read(f"{on}"))["items"]
    assert [movement["kind"] for movement in movements] == [
        "release of a commitment",
        "expenditure",
        "commitment",
        "reservation",
        "support cost",
        "receipt",
    ]
    event = await books.read(f"/events/{movements[1]['position']}")
    assert event["event"] == "TrustFund.MoneySpent"
    assert event["facts"]["parts"][0]["amount"] == usd("499.99")


@pytest.mark.parametrize("amount", [1130, 1130.0, "1.1e3", "-5.00", "0.00", "5.001", "", None])
async def test_what_is_no_amount_is_refused_by_its_place(books: Site, amount: object) -> None:
    id, before = await pledged(books), await books.log_position()
    body = {"paid": usd(amount), "received_on": "2026-02-01"}
    problem = problem_of(await books.send(f"/contributions/{id}/receipts", body), 422, "invalid")
    assert problem["faults"][0]["where"].startswith("/paid")
    assert await books.log_position() == before


async def test_the_refusal_says_what_is_free_and_what_was_asked(books: Site) -> None:
    id = await pledged(books)
    await books.do(f"/contributions/{id}/receipts", {"paid": usd("1130.00"), "received_on": "2026-02-01"})
    asked = await books.send(f"/funds/{RVTF}/reservations", {"amount": usd("1000.01"), "purpose": {}})
    detail = problem_of(asked, 409, "not-enough-free")["detail"]
    assert detail.startswith("USD 1,000.01 was asked for, and USD 1,000.00 is free for this in RVTF.")
    check = await books.read(f"/funds/{RVTF}/check?amount=1000.01&theme=customs")
    assert (check["outcome"], check["missing"]) == ("not enough is free", usd("0.01"))


async def test_a_receipt_in_another_currency_says_its_rate(books: Site) -> None:
    id = await pledged(books, amount="1000.00")
    euros = {"currency": "EUR", "amount": "500.00"}
    refused = await books.send(f"/contributions/{id}/receipts", {"paid": euros, "received_on": "2026-02-01"})
    problem_of(refused, 422, "rate-missing")
    exchange = {"rate": "1.1", "on": "2026-02-01", "source": "invented"}
    body = {"paid": euros, "exchange": exchange, "received_on": "2026-02-01"}
    receipt = await books.do(f"/contributions/{id}/receipts", body)
    later = {"exchange": exchange | {"rate": "1.2"}}
    await books.do(f"/contributions/{id}/receipts/{receipt['id']}/exchange", later)
    contribution = await books.read(f"/contributions/{id}")
    assert contribution["accounts"]["received"] == usd("600.00")
    assert contribution["outstanding"] == usd("450.00")
    gain = (await books.read(f"/contributions/{id}/movements"))["items"][0]
    assert (gain["kind"], gain["amount"], gain["exchange"]["rate"]) == ("exchange gain", usd("50.00"), "1.2")


async def test_something_in_kind_has_a_value_and_enters_no_account(books: Site) -> None:
    body = {
        "fund_id": str(RVTF),
        "donor_id": str(donor_id("NOR")),
        "what": "A venue",
        "valuation": {
            "amount": {"currency": "NOK", "amount": "90000.00"},
            "valued_by": "the donor",
            "basis": "its price list",
            "valued_on": "2026-01-05",
        },
        "offered_on": "2026-01-05",
    }
    made = await books.do("/contributions/in-kind", body)
    await books.do(
        f"/contributions/{made['id']}/delivery", {"delivered_on": "2026-02-01"}, version=made["version"]
    )
    contribution = await books.read(f"/contributions/{made['id']}")
    assert contribution["valuation"]["valued_by"] == "the donor"
    assert contribution["delivered_on"] == "2026-02-01"
    assert (await books.read(f"/funds/{RVTF}"))["accounts"]["received"] == usd("0.00")


async def test_a_command_that_is_sent_again_moves_money_once(books: Site) -> None:
    id = await pledged(books)
    body = {"paid": usd("1000.00"), "received_on": "2026-02-01"}
    key = uuid4()
    first, second = [await books.send(f"/contributions/{id}/receipts", body, key=key) for _ in range(2)]
    assert first.content == second.content
    assert (await books.read(f"/contributions/{id}"))["outstanding"] == usd("130.00")


async def test_a_donor_sees_own_contributions_and_no_others(site: Site, books: Site, office: Office) -> None:
    own = await pledged(books)
    await books.do("/donors", {"code": "SWE", "name": "Sweden"})
    others = await pledged(books, donor_id=str(donor_id("SWE")))
    ingrid = await seen_by(site, INGRID, Grant(role=Role.DONOR_CONTACT, owner_id=donor_id("NOR")))
    ingrid.position = books.position
    assert [row["id"] for row in (await ingrid.read("/contributions"))["items"]] == [own]
    await ingrid.read(f"/contributions/{own}/movements")
    absent = uuid4()
    for path in ("/contributions/{}", "/contributions/{}/movements"):
        answers = [await ingrid.get(path.format(id)) for id in (others, absent)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].text.replace(others, "…") == answers[1].text.replace(str(absent), "…")
    assert (await ingrid.get(f"/funds/{RVTF}")).status_code == 404
