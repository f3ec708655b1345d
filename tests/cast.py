"""The small cast of people, parties and forms that all tests use."""

from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from uuid import UUID, uuid4

from domain.access import Grant, Role
from domain.aggregates import Stamp, identify
from domain.contributions import donor_id
from domain.earmarks import Earmark
from domain.forms import Form, Option, Question, Section
from domain.funding import fund_id
from domain.money import Money, SupportCost
from domain.parties import Category, ContactRole, Language, Region, party_id
from domain.questionnaires import Questionnaire
from domain.rounds import Audience, Due, Schedule
from services.commands import Command, Recorded
from services.directory import Person
from services.entrance import Entrance
from services.funding import EstablishFund, RecordPledge, RecordReceipt, RegisterDonor
from services.mail import Undeliverable
from services.parties import NameContact, RegisterParty
from services.people import GrantRole, OpenAccount
from services.questionnaires import TakeIn
from services.rounds import IssueRound, OpenRound
from services.store import Answer, Request
from services.wiring import Services

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MARTA = "person:8b7f7f0e-5a39-4a83-9e0c-0d6d7e1a2b01"
"""Marta, a programme manager."""


def stamp(at: datetime = NOW, by: str = MARTA) -> Stamp:
    """Marta acts, at a moment."""
    return Stamp(by=by, at=at)


class Postbox:
    """Takes letters, and refuses those to addresses that it was told about."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.refused: set[str] = set()
        self.down = False

    async def send(self, message: EmailMessage) -> None:
        if self.down:
            raise ConnectionError("the mail server is out of reach")
        if any(address in str(message["To"]) for address in self.refused):
            raise Undeliverable("550 no such mailbox")
        self.letters.append(message)


def a_form(version: str = "1") -> Form:
    """A short questionnaire: up to two areas, and a remark."""
    return Form(
        form_id="needs",
        version=version,
        title={"en": "Needs"},
        default_language="en",
        languages=("en",),
        sections=(
            Section(
                name="needs",
                label={"en": "Needs"},
                questions=(
                    Question(
                        name="areas",
                        kind="select_multiple",
                        label={"en": "Which areas?"},
                        options=(
                            Option(name="customs", label={"en": "Customs"}),
                            Option(name="law", label={"en": "Law"}),
                            Option(name="monitoring", label={"en": "Monitoring"}),
                        ),
                        required=True,
                        constraint="count-selected(.) <= 2",
                        constraint_message={"en": "Choose at most two."},
                    ),
                    Question(name="remark", kind="text", label={"en": "Any remark?"}),
                ),
            ),
        ),
    )


_FACTS = {
    "KEN": ("KE", "Kenya", Region.AFRICA, Category.DEVELOPING, "Africa/Nairobi"),
    "FJI": ("FJ", "Fiji", Region.ASIA_PACIFIC, Category.DEVELOPING, "Pacific/Fiji"),
    "ALB": ("AL", "Albania", Region.CEE, Category.IN_TRANSITION, "Europe/Tirane"),
    "PER": ("PE", "Peru", Region.GRULAC, Category.DEVELOPING, "America/Lima"),
    "NOR": ("NO", "Norway", Region.WEOG, Category.DEVELOPED, "Europe/Oslo"),
}
KENYA, FIJI, ALBANIA, PERU, NORWAY = (party_id(code) for code in _FACTS)


def register(iso3: str) -> RegisterParty:
    """The command that enters one of the five parties in the register."""
    iso2, name, region, category, zone = _FACTS[iso3]
    return RegisterParty(
        iso3=iso3,
        iso2=iso2,
        m49=None,
        name=name,
        region=region,
        category=category,
        eligible=category is not Category.DEVELOPED,
        ldc=False,
        sids=iso3 == "FJI",
        party_since=date(2005, 2, 3),
        basel_party=True,
        stockholm_party=True,
        time_zone=zone,
        language=Language.ENGLISH,
        source="tests",
        confidence="invented",
    )


class Office:
    """The Secretariat at work: gives commands in Marta's name and keeps the clock."""

    def __init__(self, services: Services, at: datetime = NOW) -> None:
        self.services = services
        self.now = at

    async def ask(self, command: Command, key: UUID | None = None, expected: int | None = None) -> Answer:
        """Give a command and return how it ended."""
        request = Request(
            stamp(self.now), key=key or uuid4(), keyed=key is not None, expected_version=expected
        )
        return await self.services.execute(command, request)

    async def do(self, command: Command) -> Recorded:
        """Give a command that must succeed."""
        answer = await self.ask(command)
        assert answer.outcome == "done", answer.reply
        return Recorded.model_validate_json(answer.reply)

    async def with_person(self, name: str, *grants: Grant) -> Person:
        """Write somebody into the directory, open their account and give them roles."""
        person = Person(uuid4(), name, f"{name.lower()}@example.org")
        await self.services.directory.keep(person)
        await self.do(OpenAccount(person_id=person.id))
        for grant in grants:
            await self.do(GrantRole(person_id=person.id, grant=grant))
        return person

    async def with_parties(self, *codes: str) -> None:
        """Register parties with both contacts."""
        for code in codes or tuple(_FACTS):
            await self.do(register(code))
            for role in ContactRole:
                contact = contact_of(code, role)
                await self.services.directory.keep(contact)
                await self.do(
                    NameContact(
                        party_id=party_id(code),
                        role=role,
                        contact_id=contact.id,
                        effective_on=date(2020, 1, 1),
                    )
                )

    async def with_form(self, form: Form | None = None) -> UUID:
        """Take in the short questionnaire."""
        form = form or a_form()
        await self.do(TakeIn(form=form, spreadsheet_sha256="0" * 64, xform_sha256="1" * 64))
        return Questionnaire.id_of(form.form_id)

    async def with_open_round(
        self, *parties: UUID, due: Due | None = None, schedule: Schedule | None = None
    ) -> UUID:
        """Register everybody, take in the form, open a round of 30 days and issue it to ``parties``."""
        await self.with_parties()
        questionnaire_id = await self.with_form()
        round_id = uuid4()
        await self.do(
            OpenRound(
                id=round_id,
                title="Needs 2026",
                questionnaire_id=questionnaire_id,
                form_version="1",
                audience=Audience(categories=(Category.DEVELOPING, Category.IN_TRANSITION)),
                due=due or Due(at=self.now + timedelta(days=30)),
                schedule=schedule or Schedule(),
            )
        )
        if parties:
            await self.do(IssueRound(round_id=round_id, party_ids=parties))
        return round_id

    async def with_fund(self, code: str = "RVTF") -> UUID:
        """Establish a fund in US dollars, and register Norway as a donor."""
        about = {"source": "tests", "confidence": "invented"}
        await self.do(EstablishFund(code=code, name=f"The fund {code}", currency="USD", **about))
        if await self.services.store.load(donor_id("NOR")) is None:
            await self.do(RegisterDonor(code="NOR", name="Norway", party_id=NORWAY))
        return fund_id(code)

    async def with_contribution(
        self,
        id: UUID | None = None,
        pledged: str = "113000",
        earmark: Earmark | None = None,
        fund: str = "RVTF",
        currency: str = "USD",
        support_cost: SupportCost | None = None,
    ) -> UUID:
        """Let Norway promise money to a fund, which is established if it is not there."""
        if await self.services.store.load(fund_id(fund)) is None:
            await self.with_fund(fund)
        id = id or uuid4()
        await self.do(
            RecordPledge(
                id=id,
                fund_id=fund_id(fund),
                donor_id=donor_id("NOR"),
                amount=Money.of(pledged, currency),
                earmark=earmark or Earmark(),
                support_cost=support_cost or SupportCost(),
                pledged_on=date(2026, 1, 5),
            )
        )
        return id

    async def with_money(self, received: str = "113000", earmark: Earmark | None = None) -> UUID:
        """Let Norway promise money to RVTF and pay all of it; return the contribution."""
        id = await self.with_contribution(pledged=received, earmark=earmark)
        await self.with_receipt(id, received)
        return id

    async def with_receipt(self, contribution_id: UUID, paid: str, id: UUID | None = None) -> UUID:
        """Let dollars of a contribution come in; return the receipt."""
        id = id or uuid4()
        money, on = Money.of(paid, "USD"), date(2026, 2, 1)
        await self.do(RecordReceipt(id=id, contribution_id=contribution_id, paid=money, received_on=on))
        return id


async def hired(services: Services, person: Person, *grants: Grant) -> None:
    """Write somebody into the directory, open their account and give them roles; once is enough."""
    await services.directory.keep(person)
    commands = [OpenAccount(person_id=person.id)]
    given = [GrantRole(person_id=person.id, grant=grant) for grant in grants]
    for command in (*commands, *given):
        key = identify("hired", command.model_dump_json())
        request = Request(stamp(datetime.now(UTC), "service:tests"), key=key, keyed=True)
        answer = await services.execute(command, request)
        assert answer.outcome == "done", answer.reply


async def session_of(services: Services, person_id: UUID) -> str:
    """Return the secret of a new session of somebody who has a role."""
    opened = await Entrance(services).admit(person_id, "a browser of the tests", datetime.now(UTC))
    assert opened is not None, "nobody comes in without a role"
    return opened.secret


def speaker(code: str) -> tuple[Person, Grant]:
    """The official contact point of a party, and the role that lets them answer for it."""
    person = contact_of(code, ContactRole.OFFICIAL_CONTACT_POINT)
    return person, Grant(role=Role.PARTY_CONTACT, owner_id=party_id(code))


def contact_of(code: str, role: ContactRole) -> Person:
    """Who speaks for a party in a role."""
    short = "ocp" if role is ContactRole.OFFICIAL_CONTACT_POINT else "dna"
    words = role.replace("_", " ")
    return Person(
        identify("contact", code, role), f"The {words} of {code}", f"{short}.{code.lower()}@example.org"
    )
