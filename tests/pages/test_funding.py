"""The finance officer keeps the books in a browser, and a donor looks at what became of a contribution."""

import re
from uuid import UUID, uuid4

import pytest

from domain.access import Grant, Role
from domain.contributions import donor_id
from domain.funding import TrustFund, fund_id
from domain.money import Money
from services.directory import Person
from services.wiring import Services
from tests.cast import Office, hired
from tests.pages.conftest import Hire, Reader

RVTF = fund_id("RVTF")
JOSEPH = Person(UUID(int=7), "Joseph Adeyemi", "joseph@example.org", "en", "finance officer")
INGRID = Person(UUID(int=8), "Ingrid Solberg", "ingrid@example.org", "en")
PHONE = {"width": 360, "height": 740}


async def fill(reader: Reader, deed: str, **answers: str) -> None:
    """Open a form and fill it in."""
    form = reader.page.locator(f"form[action$='/{deed}']")
    if not await form.is_visible():
        await reader.page.locator("details.action", has=form).locator("summary").click()
    for name, answer in answers.items():
        field = reader.page.locator(f"#{deed}-{name}")
        if await field.evaluate("(it) => it.tagName") == "SELECT":
            await field.select_option(answer)
        else:
            await field.fill(answer)


async def send(reader: Reader, deed: str) -> None:
    """Press the button of a form and wait for the page that follows."""
    await reader.page.locator(f"form[action$='/{deed}'] button").click()
    await reader.page.wait_for_load_state()


async def accounts(services: Services) -> dict[str, Money]:
    """The accounts of RVTF, as the log has them."""
    return dict((await services.store.read(TrustFund, RVTF)).accounts())


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_the_finance_officer_takes_a_dollar_from_its_promise_to_its_payment(
    hire: Hire, services: Services, scripts: bool
) -> None:
    await hired(services, JOSEPH, Grant(role=Role.FINANCE_OFFICER))
    joseph = await hire(JOSEPH.id, java_script_enabled=scripts, viewport=PHONE)
    await joseph.open("/")
    await joseph.follow("Funds")
    about = {"source": "tests", "confidence": "invented"}
    await fill(joseph, "establish", code="RVTF", name="Voluntary trust fund", currency="USD", **about)
    await send(joseph, "establish")
    await fill(joseph, "donor", code="NOR", name="Norway")
    await send(joseph, "donor")

    await joseph.follow("RVTF")
    promise = {"donor_id": str(donor_id("NOR")), "amount": "113,000", "pledged_on": "2026-01-05"}
    await fill(joseph, "pledge", **promise, region="Africa")
    await send(joseph, "pledge")
    assert "Promised and not yet received: USD 113,000.00." in await joseph.text()
    await joseph.follow("Norway")
    await fill(joseph, "receive", amount="113000.00", received_on="2026-02-01")
    await send(joseph, "receive")
    assert "Support cost 13 per cent of the direct cost" in await joseph.text()

    await joseph.open(f"/funds/{RVTF}")
    await fill(joseph, "reserve", amount="100,000.01", theme="customs", region="Africa")
    await send(joseph, "reserve")
    said = await joseph.text()
    assert "USD 100,000.01 was asked for, and USD 100,000.00 is free for this in RVTF" in said
    assert await joseph.page.locator("#reserve-amount").input_value() == "100,000.01"
    if scripts:
        await joseph.must_be_good()
    await fill(joseph, "reserve", amount="60000")
    await send(joseph, "reserve")
    await joseph.follow("Reservation")
    await fill(joseph, "commit", amount="60000", agreement="Contract 7")
    await send(joseph, "commit")
    await joseph.follow("Commitment")
    await fill(joseph, "spend", amount="45000.50", voucher="Payment 9", spent_on="2026-02-20")
    await send(joseph, "spend")

    found = await accounts(services)
    assert {name: str(money.amount) for name, money in found.items()} == {
        "received": "113000.00",
        "spent": "45000.50",
        "support_cost": "13000.00",
        "committed": "14999.50",
        "reserved": "0.00",
        "free": "40000.00",
    }
    assert "USD 45,000.50" in await joseph.text()


async def test_a_movement_opens_to_its_event_and_its_reversal_keeps_both(
    hire: Hire, services: Services, office: Office
) -> None:
    await hired(services, JOSEPH, Grant(role=Role.FINANCE_OFFICER))
    await office.with_money("1130")
    joseph = await hire(JOSEPH.id)
    await joseph.open(f"/funds/{RVTF}")
    await joseph.follow("Receipt")
    await fill(joseph, "reverse")
    await send(joseph, "reverse")
    assert "Fill in: Reason." in await joseph.text()
    await joseph.must_be_good()
    await fill(joseph, "reverse", reason="The bank took it back.")
    await send(joseph, "reverse")
    assert not (await accounts(services))["received"]

    await joseph.open(f"/funds/{RVTF}")
    said = await joseph.text()
    assert "Receipt Reversed USD 1,130.00" in said
    assert "Reversal: receipt USD 1,130.00" in said
    position = (
        await joseph.page.locator("tbody tr", has_text="The bank took it back.")
        .first.locator("td:last-child a")
        .inner_text()
    )
    await joseph.page.locator(f"a[href$='#event-{re.sub('[^0-9]', '', position)}']").click()
    await joseph.page.wait_for_load_state()
    assert "Trust fund: movement reversed" in await joseph.text()
    await joseph.must_be_good()


async def test_a_form_that_is_pressed_twice_moves_money_once(
    hire: Hire, services: Services, office: Office
) -> None:
    await hired(services, JOSEPH, Grant(role=Role.FINANCE_OFFICER))
    await office.with_money("1130")
    joseph = await hire(JOSEPH.id)
    await joseph.open(f"/funds/{RVTF}")
    await fill(joseph, "reserve", amount="300")
    form = joseph.page.locator("form[action$='/reserve']")
    sent = await form.evaluate("(form) => Object.fromEntries(new FormData(form))")
    await send(joseph, "reserve")
    again = await joseph.page.request.post(
        f"{joseph.site}/funds/{RVTF}/reserve", form=sent, headers={"Origin": joseph.site}
    )
    assert again.url == joseph.page.url, "it is answered as it was the first time"
    assert (await accounts(services))["reserved"] == Money.of("300", "USD")


async def test_an_amount_is_read_and_written_as_the_reader_does(
    hire: Hire, services: Services, office: Office
) -> None:
    await hired(services, JOSEPH, Grant(role=Role.FINANCE_OFFICER))
    await office.with_money("1130")
    joseph = await hire(JOSEPH.id, locale="fr-FR")
    await joseph.open(f"/funds/{RVTF}")
    assert "Disponible 1 000,00 USD" in (await joseph.text()).replace("\u202f", " ").replace("\u00a0", " ")
    await fill(joseph, "reserve", amount="cent")
    await send(joseph, "reserve")
    assert "« cent » n’est pas un montant." in await joseph.text()
    await fill(joseph, "reserve", amount="250,50")
    await send(joseph, "reserve")
    assert (await accounts(services))["reserved"] == Money.of("250.50", "USD")


async def test_a_donor_sees_what_became_of_their_own_contributions_alone(
    hire: Hire, services: Services, office: Office
) -> None:
    await hired(services, INGRID, Grant(role=Role.DONOR_CONTACT, owner_id=donor_id("NOR")))
    own = await office.with_money("1130")
    ingrid = await hire(INGRID.id, viewport=PHONE)
    await ingrid.open("/")
    assert "Norway" in await ingrid.text()
    await ingrid.must_be_good()
    await ingrid.follow("Norway")
    assert "Support cost USD 130.00" in await ingrid.text()
    assert ingrid.page.url.endswith(f"/contributions/{own}")
    assert await ingrid.page.locator("main form[method=post]").count() == 0
    await ingrid.must_be_good()
    for path in (f"/contributions/{uuid4()}", "/funds", f"/funds/{RVTF}"):
        assert (await ingrid.open(path)).status == 404, path


async def test_the_pages_of_money_are_good_for_whoever_reads_them(reader: Reader, office: Office) -> None:
    id = await office.with_money("1130")
    for path in ("/funds", f"/funds/{RVTF}", "/contributions", f"/contributions/{id}"):
        assert (await reader.open(path)).status == 200
        assert await reader.page.locator("main form[method=post]").count() == 0, "an auditor changes nothing"
        await reader.must_be_good()
