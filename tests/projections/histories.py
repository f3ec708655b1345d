"""Histories for the tests of the tables: real commands, given to real aggregates, without a database.

A plan is a list of steps, each one of the deeds below with two numbers by which it chooses what to act on.
Deeds that the domain refuses leave no trace, as in life.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta
from uuid import UUID, uuid5

from eventsourcing.persistence import StoredEvent

from domain.aggregates import NAMESPACE, Aggregate, Stamp
from domain.chemicals import Chemical, ChemicalCategory, Listing, chemical_id
from domain.contributions import Contribution, Valuation, donor_id
from domain.drafts import draft_id
from domain.earmarks import Earmark, Purpose
from domain.funding import FundParticulars, TrustFund, fund_id
from domain.letters import Letter
from domain.money import Exchange, Money, SupportCost
from domain.parties import Category, ContactRole, Party, Region, party_id
from domain.programme import DeliveryPartner, PartnerParticulars, PartnerType, delivery_partner_id
from domain.questionnaires import Questionnaire
from domain.refusals import NotFound, Refusal
from domain.rounds import Audience, Due, Invitation, Round, Schedule, invitation_id
from services.drafts import Drafts, SaveDraft
from services.funding import (
    AgreeSupportCost,
    CommitMoney,
    EstablishFund,
    Funding,
    RecordDeliveryInKind,
    RecordExchange,
    RecordExpenditure,
    RecordOfferInKind,
    RecordPledge,
    RecordReceipt,
    RecordReturn,
    ReducePledge,
    RefundDonor,
    RegisterDonor,
    ReleaseMoney,
    ReserveMoney,
    ReverseMovement,
)
from services.mapper import EventMapper
from services.rounds import (
    EscalateInvitation,
    ExtendInvitation,
    ExtendRound,
    IssueRound,
    LapseInvitation,
    OpenRound,
    Rounds,
    SubmitResponse,
    WithdrawInvitation,
)
from services.store import A, replay
from tests.cast import NOW, a_form, register, stamp

PARTIES = ("KEN", "FJI", "ALB", "PER")


class MemoryUnit:
    """One unit of work over a log in memory."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._held: dict[UUID, Aggregate] = {}

    @property
    def stamp(self) -> Stamp:
        return stamp(self._world.now)

    async def find(self, kind: type[A], id: UUID) -> A | None:
        held = self._held.get(id) or self._world.load(id)
        if held is None:
            return None
        assert isinstance(held, kind)
        self._held[id] = held
        return held

    async def get(self, kind: type[A], id: UUID) -> A:
        found = await self.find(kind, id)
        if found is None:
            raise NotFound("not-found", f"There is no {kind.__name__} {id}.")
        return found

    async def look(self, kind: type[A], id: UUID) -> A:
        return await self.get(kind, id)

    def add(self, aggregate: Aggregate) -> None:
        self._held[aggregate.id] = aggregate

    def collect(self) -> list[Aggregate.Event]:
        """The events of this unit, in the order in which a store would write them."""
        return [event for held in self._held.values() for event in held.collect_events()]  # type: ignore[misc]  # ours


class World:
    """A log in memory, and a calendar."""

    def __init__(self) -> None:
        self.now = NOW
        self.log: list[StoredEvent] = []
        self.kinds: set[type[Aggregate.Event]] = set()
        self._streams: dict[UUID, list[StoredEvent]] = {}
        self._mapper = EventMapper()

    def load(self, id: UUID) -> Aggregate | None:
        """Replay a record."""
        return replay(None, [(event.topic, event.state) for event in self._streams.get(id, ())])

    async def do(self, act: "Act") -> None:
        """Carry out one command; a refused one leaves no trace."""
        unit = MemoryUnit(self)
        try:
            await act(unit)
        except Refusal:
            return
        for event in unit.collect():
            stored = self._mapper.to_stored_event(event)
            self.kinds.add(type(event))
            self.log.append(stored)
            self._streams.setdefault(event.originator_id, []).append(stored)

    def all(self, kind: type[A]) -> list[A]:
        """All records of a kind, in the order in which they began."""
        loaded = (self.load(id) for id in self._streams)
        return [record for record in loaded if isinstance(record, kind)]


Act = Callable[[MemoryUnit], Awaitable[object]]
Deed = Callable[[World, int, int], Awaitable[None]]
Plan = Sequence[tuple[str, int, int]]
DEEDS: dict[str, Deed] = {}
_rounds = Rounds()
_drafts = Drafts()
_funding = Funding()


def deed(act: Deed) -> Deed:
    """Let plans name this deed."""
    DEEDS[act.__name__] = act
    return act


def _chosen(items: Sequence[A], number: int) -> A | None:
    return items[number % len(items)] if items else None


@deed
async def time_passes(world: World, a: int, b: int) -> None:
    world.now += timedelta(hours=1 + a % 240)


@deed
async def register_party(world: World, a: int, b: int) -> None:
    async def act(unit: MemoryUnit) -> None:
        command = register(PARTIES[a % len(PARTIES)])
        if await unit.find(Party, party_id(command.iso3)) is None:
            unit.add(Party.register(command, unit.stamp))

    await world.do(act)


@deed
async def name_contact(world: World, a: int, b: int) -> None:
    async def act(unit: MemoryUnit) -> None:
        party = await unit.get(Party, party_id(PARTIES[a % len(PARTIES)]))
        role = list(ContactRole)[b % 2]
        party.name_contact(role, uuid5(NAMESPACE, f"contact {b % 5}"), date(2020, 1, 1), unit.stamp)

    await world.do(act)


@deed
async def end_contact(world: World, a: int, b: int) -> None:
    async def act(unit: MemoryUnit) -> None:
        party = await unit.get(Party, party_id(PARTIES[a % len(PARTIES)]))
        party.end_contact(list(ContactRole)[b % 2], date(2021, 1, 1), unit.stamp)

    await world.do(act)


@deed
async def take_in_form(world: World, a: int, b: int) -> None:
    async def act(unit: MemoryUnit) -> None:
        form, hashes = a_form(str(1 + a % 4)), ("0" * 64, "1" * 64)
        questionnaire = await unit.find(Questionnaire, Questionnaire.id_of(form.form_id))
        if questionnaire is None:
            unit.add(Questionnaire.take_in(form, *hashes, unit.stamp))
        else:
            questionnaire.take_in_version(form, *hashes, unit.stamp)

    await world.do(act)


@deed
async def open_round(world: World, a: int, b: int) -> None:
    due = Due(on=(world.now + timedelta(days=3 + a % 40)).date()) if b % 2 else None
    command = OpenRound(
        id=uuid5(NAMESPACE, f"round {len(world.log)}"),
        title=f"Round “{a}” of {{many}}, \\N",
        questionnaire_id=Questionnaire.id_of("needs"),
        form_version="1",
        audience=Audience(categories=(Category.DEVELOPING, Category.IN_TRANSITION)),
        due=due or Due(at=world.now + timedelta(days=3 + a % 40)),
        schedule=Schedule(reminders=(timedelta(7), timedelta(2)), escalations=(timedelta(1), timedelta(9))),
        notice="One line,\nand \\another." if b % 3 else None,
    )
    await world.do(lambda unit: _rounds.open(unit, command))


@deed
async def issue_round(world: World, a: int, b: int) -> None:
    if round := _chosen(world.all(Round), a):
        ids = tuple(party_id(code) for number, code in enumerate(PARTIES) if (b + 1) >> number & 1)
        await world.do(lambda unit: _rounds.issue(unit, IssueRound(round_id=round.id, party_ids=ids)))


@deed
async def extend_round(world: World, a: int, b: int) -> None:
    if round := _chosen(world.all(Round), a):
        command = ExtendRound(
            round_id=round.id,
            due=Due(at=world.now + timedelta(days=b % 60)),
            reason="Many asked.",
            invitation_ids=tuple(invitation_id(round.id, party) for party in sorted(round.parties)),
        )
        await world.do(lambda unit: _rounds.extend(unit, command))


@deed
async def extend_invitation(world: World, a: int, b: int) -> None:
    if invitation := _chosen(world.all(Invitation), a):
        due = Due(at=world.now + timedelta(days=b % 60))
        command = ExtendInvitation(invitation_id=invitation.id, due=due, reason="The ministry asked.")
        await world.do(lambda unit: _rounds.extend_invitation(unit, command))


@deed
async def withdraw(world: World, a: int, b: int) -> None:
    if invitation := _chosen(world.all(Invitation), a):
        command = WithdrawInvitation(invitation_id=invitation.id, reason="Sent in error.")
        await world.do(lambda unit: _rounds.withdraw(unit, command))


@deed
async def save_draft(world: World, a: int, b: int) -> None:
    if invitation := _chosen(world.all(Invitation), a):
        draft = world.load(draft_id(invitation.id))
        command = SaveDraft(
            invitation_id=invitation.id,
            answers=[{"areas": ["law"]}, {"areas": None, "remark": "½\n\\N"}, {"remark": f"{b}"}][b % 3],
            page_id=uuid5(NAMESPACE, f"page {a % 2}"),
            drawn_from=draft.version if draft and b % 4 else 0,
        )
        await world.do(lambda unit: _drafts.save(unit, command))


@deed
async def submit(world: World, a: int, b: int) -> None:
    if invitation := _chosen(world.all(Invitation), a):
        areas = [name for bit, name in enumerate(("customs", "law", "monitoring")) if b >> bit & 1]
        remark = ["", "plain", 'tab\tand "quote" and \\', "line\nbreak", "Ünïcödé 文字"][b % 5]
        command = SubmitResponse(invitation_id=invitation.id, answers={"areas": areas, "remark": remark})
        await world.do(lambda unit: _rounds.submit(unit, command))


@deed
async def lapse(world: World, a: int, b: int) -> None:
    if invitation := _chosen(world.all(Invitation), a):
        command = LapseInvitation(invitation_id=invitation.id, due_at=invitation.due_at)
        await world.do(lambda unit: _rounds.lapse(unit, command))


@deed
async def escalate(world: World, a: int, b: int) -> None:
    if (invitation := _chosen(world.all(Invitation), a)) and invitation.letters:
        letter_id = invitation.letters[b % len(invitation.letters)].letter_id
        command = EscalateInvitation(invitation_id=invitation.id, letter_id=letter_id)
        await world.do(lambda unit: _rounds.escalate(unit, command))


@deed
async def forward_section(world: World, a: int, b: int) -> None:
    if found := _chosen(world.all(Invitation), a):
        link_id = uuid5(NAMESPACE, f"link {len(world.log)}")

        async def act(unit: MemoryUnit) -> None:
            invitation = await unit.get(Invitation, found.id)
            planned = invitation.forward(link_id, "needs", unit.stamp)
            about = (invitation.id, invitation.party_id, link_id, invitation.due_at)
            unit.add(Letter.plan_for_colleague(planned, *about, unit.stamp))

        await world.do(act)


@deed
async def end_letter(world: World, a: int, b: int) -> None:
    letters = world.all(Letter)
    if found := _chosen([letter for letter in letters if letter.outstanding or b > 3], a):

        async def act(unit: MemoryUnit) -> None:
            letter = await unit.get(Letter, found.id)
            contact, message = uuid5(NAMESPACE, "contact"), f"<{letter.id}@example.org>"
            match b % 4:
                case 0:
                    letter.sent(contact, message, unit.stamp)
                case 1:
                    letter.bounced(contact, message, "550 no such mailbox", unit.stamp)
                case 2:
                    letter.suppress("The due date has passed.", unit.stamp)
                case _:
                    letter.cancel("The response was received.", unit.stamp)

        await world.do(act)


@deed
async def list_chemical(world: World, a: int, b: int) -> None:
    listing = Listing(
        annex_id=str(a % 3),
        name="Lead “arsenate”",
        cas_numbers=('7784-40-9, or "so"', "back\\slash", "", "{brace}\n")[: b % 5],
        categories=(ChemicalCategory.PESTICIDE, ChemicalCategory.INDUSTRIAL)[: 1 + b % 2],
        listed_at="COP-7",
        decision=None,
        source="tests",
        confidence="invented",
    )

    async def act(unit: MemoryUnit) -> None:
        if await unit.find(Chemical, chemical_id(listing.annex_id)) is None:
            unit.add(Chemical.list_in_annex(listing, unit.stamp))

    await world.do(act)


@deed
async def delist_chemical(world: World, a: int, b: int) -> None:
    async def act(unit: MemoryUnit) -> None:
        (await unit.get(Chemical, chemical_id(str(a % 3)))).delist("COP-8", None, unit.stamp)

    await world.do(act)


@deed
async def register_delivery_partner(world: World, a: int, b: int) -> None:
    particulars = PartnerParticulars(
        centre_id=f"BC-{a % 3}",
        name="A centre",
        city="Dakar",
        host_country_iso3="SEN",
        type=PartnerType.BASEL_REGIONAL_CENTRE,
        convention="Basel",
        region_served="Africa",
        source="tests",
        confidence="invented",
    )

    async def act(unit: MemoryUnit) -> None:
        if await unit.find(DeliveryPartner, delivery_partner_id(particulars.centre_id)) is None:
            unit.add(DeliveryPartner.register(particulars, unit.stamp))

    await world.do(act)


# Money. Amounts are odd, so that shares of them must be rounded.

EARMARKS = (
    Earmark(),
    Earmark(theme="customs"),
    Earmark(programme="2016-2017", region=Region.AFRICA),
    Earmark(activity_id=uuid5(NAMESPACE, "an activity")),
)
PURPOSES = (
    Purpose(),
    Purpose(theme="customs", region=Region.AFRICA, programme="2016-2017"),
    Purpose(activity_id=uuid5(NAMESPACE, "an activity"), theme="customs"),
)
FUNDS = ("BDTF", "RVTF")


def _amount(number: int, currency: str = "USD") -> Money:
    cents = f".{number * 7 % 100:02}" if currency != "JPY" else ""
    return Money.of(f"{1 + number * 37}{cents}", currency)


def _new_id(world: World, what: str) -> UUID:
    return uuid5(NAMESPACE, f"{what} {len(world.log)}")


def _rate(number: int) -> Exchange:
    return Exchange.model_validate(
        {"rate": f"1.{number % 97:02}13", "on": "2026-02-27", "source": "Operational rate, invented"}
    )


def _movement(world: World, a: int, b: int, *kinds: str) -> tuple[UUID, UUID] | None:
    """Choose a movement of a fund: of these kinds, or of any."""
    found = [
        (fund.id, id)
        for fund in world.all(TrustFund)
        for id, movement in fund.movements.items()
        if not kinds or movement.kind in kinds
    ]
    return found[(a + b) % len(found)] if found else None


@deed
async def establish_fund(world: World, a: int, b: int) -> None:
    particulars = FundParticulars(
        code=FUNDS[a % len(FUNDS)],
        name="A fund",
        currency="USD",
        source="tests",
        confidence="invented",
    )
    await world.do(
        lambda unit: _funding.establish(unit, EstablishFund.model_validate(particulars.model_dump()))
    )


@deed
async def register_donor(world: World, a: int, b: int) -> None:
    code = ("NOR", "EUE")[a % 2]
    await world.do(lambda unit: _funding.register_donor(unit, RegisterDonor(code=code, name=f"Donor {code}")))


@deed
async def pledge(world: World, a: int, b: int) -> None:
    if funds := world.all(TrustFund):
        command = RecordPledge(
            id=_new_id(world, "pledge"),
            fund_id=funds[a % len(funds)].id,
            donor_id=donor_id(("NOR", "EUE")[a % 2]),
            amount=_amount(1_000 + a, ("USD", "EUR", "JPY")[b % 3]),
            earmark=EARMARKS[a % len(EARMARKS)],
            support_cost=SupportCost.model_validate({"rate_percent": "7.5", "source": "tests"})
            if b % 2
            else SupportCost(),
            pledged_on=date(2026, 1, 5),
            expected_on=date(2026, 6, 30) if b % 4 else None,
            notice="Invented." if b % 5 else None,
        )
        await world.do(lambda unit: _funding.pledge(unit, command))


@deed
async def offer_in_kind(world: World, a: int, b: int) -> None:
    if funds := world.all(TrustFund):
        command = RecordOfferInKind(
            id=_new_id(world, "offer"),
            fund_id=funds[a % len(funds)].id,
            donor_id=donor_id("NOR"),
            what="A room for thirty",
            valuation=Valuation(
                amount=_amount(a), valued_by="the donor", basis="its price list", valued_on=date(2026, 1, 5)
            ),
            earmark=EARMARKS[b % len(EARMARKS)],
            offered_on=date(2026, 1, 5),
        )
        await world.do(lambda unit: _funding.offer_in_kind(unit, command))


@deed
async def deliver_in_kind(world: World, a: int, b: int) -> None:
    if found := _chosen([each for each in world.all(Contribution) if each.in_kind or b > 90], a):
        command = RecordDeliveryInKind(contribution_id=found.id, delivered_on=date(2026, 2, 1))
        await world.do(lambda unit: _funding.deliver_in_kind(unit, command))


@deed
async def agree_support_cost(world: World, a: int, b: int) -> None:
    if found := _chosen(world.all(Contribution), a):
        terms = SupportCost.model_validate({"rate_percent": f"{b % 20}", "source": "an agreement"})
        command = AgreeSupportCost(contribution_id=found.id, support_cost=terms)
        await world.do(lambda unit: _funding.agree_support_cost(unit, command))


@deed
async def reduce_pledge(world: World, a: int, b: int) -> None:
    if found := _chosen(world.all(Contribution), a):
        amount = _amount(b, found.pledged.currency)
        command = ReducePledge(contribution_id=found.id, amount=amount, reason="Parliament cut it.")
        await world.do(lambda unit: _funding.reduce(unit, command))


@deed
async def receive_money(world: World, a: int, b: int) -> None:
    if found := _chosen(world.all(Contribution), a):
        paid = _amount(1 + b * 5, found.pledged.currency)
        command = RecordReceipt(
            id=_new_id(world, "receipt"),
            contribution_id=found.id,
            paid=paid,
            exchange=None if paid.currency == "USD" else _rate(b),
            received_on=date(2026, 2, 1),
        )
        await world.do(lambda unit: _funding.receive(unit, command))


@deed
async def exchange_money(world: World, a: int, b: int) -> None:
    if found := _chosen([each for each in world.all(Contribution) if each.receipts], a):
        command = RecordExchange(
            id=_new_id(world, "exchange"),
            contribution_id=found.id,
            receipt_id=list(found.receipts)[b % len(found.receipts)],
            exchange=_rate(a + b),
        )
        await world.do(lambda unit: _funding.revalue(unit, command))


@deed
async def refund_donor(world: World, a: int, b: int) -> None:
    if found := _chosen([each for each in world.all(Contribution) if each.receipts], a):
        command = RefundDonor(
            id=_new_id(world, "refund"),
            contribution_id=found.id,
            amount=found.held if b % 4 == 0 and found.held.amount > 0 else _amount(b),
            refunded_on=date(2026, 2, 1),
            reason="Left over.",
        )
        await world.do(lambda unit: _funding.refund(unit, command))


@deed
async def reserve_money(world: World, a: int, b: int) -> None:
    command = ReserveMoney(
        id=_new_id(world, "reservation"),
        fund_ids=tuple(fund_id(code) for code in FUNDS[: 1 + b % 2]),
        amount=_amount(a % 400),
        purpose=PURPOSES[b % len(PURPOSES)],
    )
    await world.do(lambda unit: _funding.reserve(unit, command))


@deed
async def commit_money(world: World, a: int, b: int) -> None:
    if found := _movement(world, a, b, "reservation"):
        command = CommitMoney(
            id=_new_id(world, "commitment"),
            fund_id=found[0],
            reservation_id=found[1],
            amount=_amount(b),
            agreement="Contract 7",
        )
        await world.do(lambda unit: _funding.commit(unit, command))


@deed
async def spend_money(world: World, a: int, b: int) -> None:
    if found := _movement(world, a, b, "commitment"):
        command = RecordExpenditure(
            id=_new_id(world, "expenditure"),
            fund_id=found[0],
            commitment_id=found[1],
            amount=_amount(b % 30),
            voucher="Payment 9",
            spent_on=date(2026, 2, 20),
        )
        await world.do(lambda unit: _funding.spend(unit, command))


@deed
async def release_money(world: World, a: int, b: int) -> None:
    if found := _movement(world, a, b, "reservation", "commitment"):
        command = ReleaseMoney(
            id=_new_id(world, "release"),
            fund_id=found[0],
            movement_id=found[1],
            amount=_amount(b) if b % 2 else None,
            reason="It cost less.",
        )
        await world.do(lambda unit: _funding.release(unit, command))


@deed
async def take_back_money(world: World, a: int, b: int) -> None:
    if found := _movement(world, a, b, "expenditure"):
        command = RecordReturn(
            id=_new_id(world, "return"),
            fund_id=found[0],
            expenditure_id=found[1],
            amount=_amount(b % 10),
            returned_on=date(2026, 2, 27),
            reason="The centre gave back what it did not use.",
        )
        await world.do(lambda unit: _funding.take_back(unit, command))


@deed
async def reverse_movement(world: World, a: int, b: int) -> None:
    if found := _movement(world, a, b):
        command = ReverseMovement(
            id=_new_id(world, "reversal"), fund_id=found[0], movement_id=found[1], reason="Typed twice."
        )
        await world.do(lambda unit: _funding.reverse(unit, command))


BEGINNING: Plan = [
    *(("register_party", number, 0) for number in range(3)),
    ("name_contact", 0, 0),
    ("take_in_form", 0, 0),
    ("open_round", 9, 0),
    ("issue_round", 0, 2),
]
"""How every history begins, so that what comes after has something to act on."""

EVERYTHING: Plan = [
    ("name_contact", 0, 2),
    ("end_contact", 0, 0),
    ("take_in_form", 1, 0),
    ("register_party", 3, 0),
    ("issue_round", 0, 7),
    ("list_chemical", 0, 4),
    ("delist_chemical", 0, 0),
    ("register_delivery_partner", 0, 0),
    ("forward_section", 0, 0),
    *(("save_draft", number // 4, number) for number in range(8)),
    ("submit", 0, 7),
    ("submit", 0, 2),
    *(("end_letter", number, number) for number in range(8)),
    ("extend_invitation", 1, 50),
    ("extend_round", 0, 59),
    ("withdraw", 1, 0),
    *[("time_passes", 239, 0)] * 8,
    ("lapse", 2, 0),
    ("escalate", 2, 3),
    ("submit", 2, 3),
    *(("establish_fund", number, 0) for number in range(2)),
    *(("register_donor", number, 0) for number in range(2)),
    *(("pledge", number, number % 2) for number in range(4)),
    *(("receive_money", number, 50 + number) for number in range(4)),
    ("exchange_money", 1, 1),
    ("exchange_money", 1, 90),
    ("offer_in_kind", 0, 0),
    ("deliver_in_kind", 0, 0),
    ("agree_support_cost", 0, 7),
    ("reduce_pledge", 0, 3),
    ("reserve_money", 200, 0),
    ("commit_money", 0, 50),
    ("spend_money", 0, 20),
    ("take_back_money", 0, 2),
    *(("release_money", number, 1) for number in range(2)),
    ("refund_donor", 0, 9),
    *(("reverse_movement", number, 0) for number in range(30)),
]
"""A plan by which every kind of event happens at least once."""


async def lived(plan: Plan) -> World:
    """Live through a plan."""
    world = World()
    for name, a, b in [*BEGINNING, *plan]:
        await DEEDS[name](world, a, b)
    return world
