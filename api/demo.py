"""The demonstration: real parties, the questionnaire of 2016, and a round that is alive.

Everything is loaded by the ordinary commands, each under a key of its own, so that loading twice changes
nothing and loading that was interrupted goes on where it stopped. Only the live round is new each time.

What is real and what is not: parties, Annex III and the centres are facts with their sources. The totals of
the survey of 2016 are published; which party answered what is not, and is synthesised from the totals. The
contacts, the staff and all contributions are invented.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from uuid import UUID

from api import demo_funding
from domain.access import Grant, Role
from domain.aggregates import Stamp, identify
from domain.contributions import donor_id
from domain.parties import Category, ContactRole, party_id
from domain.programme import delivery_partner_id
from domain.questionnaires import Questionnaire
from domain.rounds import Audience, Due, Schedule, invitation_id
from services import reference
from services.commands import Command
from services.directory import Person
from services.parties import NameContact
from services.people import GrantRole, OpenAccount
from services.questionnaires import TakeIn
from services.rounds import IssueRound, OpenRound, SubmitResponse
from services.settings import Settings
from services.store import Request
from services.synthesis import NOTICE, synthesise
from services.wiring import Services, open_services
from services.xlsforms import read

Report = Callable[[str], None]
Keyed = tuple[tuple[object, ...], Command]
"""A command and what makes its key."""

AT_ONCE = 64
"""How many commands are under way at the same time."""

STAFF = (
    Person(identify("staff", "manager"), "Marta Ilves", "marta.ilves@example.org", role="programme manager"),
    Person(
        identify("staff", "finance"), "Joseph Adeyemi", "joseph.adeyemi@example.org", role="finance officer"
    ),
    Person(identify("staff", "auditor"), "Ana Quispe", "ana.quispe@example.org", role="auditor"),
    Person(identify("staff", "administrator"), "Li Wen", "li.wen@example.org", role="administrator"),
)
"""Invented people who work for the Secretariat of the demonstration."""

PARTNER = "BC-SEN"
GUESTS = (
    (
        Person(identify("guest", "partner"), "Awa Diop", "awa.diop@example.org", role="delivery partner"),
        Grant(role=Role.DELIVERY_PARTNER, owner_id=delivery_partner_id(PARTNER)),
    ),
    (
        Person(identify("guest", "donor"), "Ingrid Solberg", "ingrid@example.org", role="donor contact"),
        Grant(role=Role.DONOR_CONTACT, owner_id=donor_id("NOR")),
    ),
)
"""Invented people of a delivery partner and of a donor. That they have a role lets one sign in as them."""
SPEAKER = "KEN"
"""As the official contact point of this party one may sign in, too."""

MANAGER = f"person:{STAFF[0].id}"
FINANCE = f"person:{STAFF[1].id}"
SERVICE = "service:demo"
"""Who opens the accounts: nobody gives a role to themselves."""
SYNTHESIS = "service:synthesis"
"""Who hands in the synthesised answers, so that each event says that no party gave it."""

ROUND = identify("demo", "round of 2016")
DUE_IN = timedelta(days=60)

LIVE_PARTIES = ("KEN", "PER", "WSM", "ALB", "SEN", "VNM")
LIVE_DUE = timedelta(seconds=75)
LIVE_SCHEDULE = Schedule(
    reminders=(timedelta(seconds=45), timedelta(seconds=20)), escalations=(timedelta(seconds=20),)
)


async def load(settings: Settings, report: Report) -> None:
    """Load the demonstration, telling ``report`` how far it has come."""
    async with open_services(settings) as services:
        demo = _Demo(services, report)
        await demo.people()
        await demo.reference()
        await demo.roles()
        questionnaire_id = await demo.questionnaire()
        await demo.round_of_2016(questionnaire_id)
        await demo.money()
        await demo.live_round(questionnaire_id)


async def people(settings: Settings) -> list[tuple[str, str, str]]:
    """Return who can sign in: name, role and the address to do so."""
    address = f"{str(settings.public_url).rstrip('/')}/sign-in"
    speaker = next(
        _contact(row.iso3, row.name_en, ContactRole.OFFICIAL_CONTACT_POINT)
        for row in _parties()
        if row.iso3 == SPEAKER
    )
    found = (*STAFF, speaker, *(person for person, _ in GUESTS))
    return [(person.name, person.role or "", address) for person in found]


class _Demo:
    def __init__(self, services: Services, report: Report) -> None:
        self._services = services
        self._report = report
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def people(self) -> None:
        contacts = [_contact(row.iso3, row.name_en, role) for row in _parties() for role in ContactRole]
        await self._services.directory.keep(*STAFF, *(guest for guest, _ in GUESTS), *contacts)
        others = len(contacts) + len(GUESTS)
        self._report(f"{len(STAFF)} members of staff and {others} contacts, all invented")

    async def reference(self) -> None:
        rows = _parties()
        await self._all((("party", row.iso3), row.registration()) for row in rows)
        for role in ContactRole:
            await self._all(
                (
                    ("contact", row.iso3, role),
                    NameContact(
                        party_id=party_id(row.iso3),
                        role=role,
                        contact_id=_contact(row.iso3, row.name_en, role).id,
                        effective_on=date(2015, 5, 4),
                    ),
                )
                for row in rows
            )
        self._report(f"{len(rows)} parties at the seventh meeting of the Conference, with their contacts")
        chemicals = reference.chemicals()
        await self._all((("chemical", row.id), row.listing()) for row in chemicals)
        await self._all(
            (("deletion", row.id), deletion) for row in chemicals if (deletion := row.deletion()) is not None
        )
        self._report(f"{len(chemicals)} entries of Annex III, current and deleted")
        centres = reference.centres()
        await self._all((("centre", row.id), row.registration()) for row in centres)
        self._report(f"{len(centres)} regional centres and offices")

    async def roles(self) -> None:
        """Give the staff their roles, and the contacts the one of speaking for their party."""
        grants = [(person.id, Grant(role=Role(person.role))) for person in STAFF if person.role]
        grants += [(guest.id, grant) for guest, grant in GUESTS]
        grants += [
            (
                _contact(row.iso3, row.name_en, role).id,
                Grant(role=Role.PARTY_CONTACT, owner_id=party_id(row.iso3)),
            )
            for row in _parties()
            for role in ContactRole
        ]
        accounts = ((("account", id), OpenAccount(person_id=id)) for id, _ in grants)
        roles = ((("role", id), GrantRole(person_id=id, grant=grant)) for id, grant in grants)
        await self._all(accounts, by=SERVICE)
        await self._all(roles, by=SERVICE)
        self._report(f"{len(grants)} accounts with their roles")

    async def questionnaire(self) -> UUID:
        spreadsheet = files("domain.reference").joinpath("needs-2016.xlsx").read_bytes()
        taken = await asyncio.to_thread(read, spreadsheet)
        documents = self._services.documents
        spreadsheet_sha256 = await documents.keep(
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", spreadsheet
        )
        xform_sha256 = await documents.keep("application/xml", taken.xform)
        await self._give(
            ("questionnaire", taken.form.version, spreadsheet_sha256),
            TakeIn(form=taken.form, spreadsheet_sha256=spreadsheet_sha256, xform_sha256=xform_sha256),
        )
        self._form_version = taken.form.version
        self._report(f"the questionnaire {taken.form.form_id}, read from its spreadsheet")
        return Questionnaire.id_of(taken.form.form_id)

    async def round_of_2016(self, questionnaire_id: UUID) -> None:
        eligible = [row for row in _parties() if row.eligible]
        due = Due(on=(datetime.now(UTC) + DUE_IN).date())
        await self._open(ROUND, "Technical assistance needs, as surveyed in 2016", questionnaire_id, due)
        issue = IssueRound(round_id=ROUND, party_ids=tuple(party_id(row.iso3) for row in eligible))
        await self._give(("issue", ROUND), issue)
        self._report(f"a round, issued to {len(eligible)} eligible parties")
        answers = synthesise(reference.survey_2016(), reference.parties())
        commands = (
            (
                ("answer", answer.iso3),
                SubmitResponse(
                    invitation_id=invitation_id(ROUND, party_id(answer.iso3)),
                    answers={"priority_areas": list(answer.areas)},
                ),
            )
            for answer in answers
        )
        await self._all(commands, by=SYNTHESIS)
        self._report(f"answers of {len(answers)} parties, synthesised from the published totals")

    async def money(self) -> None:
        funds = 0
        for number, stage in enumerate(demo_funding.stages()):
            funds = funds or len(stage)
            keyed = ((("money", number, place), command) for place, command in enumerate(stage))
            await self._all(keyed, by=FINANCE)
        count = len(demo_funding.PLEDGES) + 1
        self._report(f"{funds} trust funds, with {count} contributions and what was done with them, invented")

    async def live_round(self, questionnaire_id: UUID) -> None:
        now = datetime.now(UTC)
        id = identify("demo", "live round", now.isoformat())
        await self._open(
            id,
            f"Live round of {now:%-d %B %Y, %H:%M:%S} UTC",
            questionnaire_id,
            Due(at=now + LIVE_DUE),
            LIVE_SCHEDULE,
        )
        issue = IssueRound(round_id=id, party_ids=tuple(party_id(code) for code in LIVE_PARTIES))
        await self._give(("issue", id), issue)
        last = LIVE_DUE + max(LIVE_SCHEDULE.escalations)
        self._report(
            f"a live round of {len(LIVE_PARTIES)} parties: reminders, lapse and escalation within "
            f"{last.total_seconds():.0f} seconds"
        )

    async def _open(
        self, id: UUID, title: str, questionnaire_id: UUID, due: Due, schedule: Schedule | None = None
    ) -> None:
        command = OpenRound(
            id=id,
            title=title,
            questionnaire_id=questionnaire_id,
            form_version=self._form_version,
            audience=Audience(categories=(Category.DEVELOPING, Category.IN_TRANSITION)),
            due=due,
            schedule=schedule or Schedule(),
            notice=NOTICE if id == ROUND else None,
        )
        await self._give(("open", id), command)

    async def _all(self, commands: Iterable[Keyed], by: str = MANAGER) -> None:
        async with asyncio.TaskGroup() as group:
            for parts, command in commands:
                group.create_task(self._give(parts, command, by))

    async def _give(self, parts: tuple[object, ...], command: Command, by: str = MANAGER) -> None:
        async with self._turns:
            key = identify("demo", *parts)
            if await self._services.store.command(key) is not None:
                return  # An earlier run got as far as this.
            stamp = Stamp(by=by, at=datetime.now(UTC), because=f"request:{key}")
            answer = await self._services.execute(command, Request(stamp, key=key, keyed=True))
            if answer.outcome == "refused":
                raise RuntimeError(f"The demonstration was refused: {answer.reply.decode()}")


def _parties() -> list[reference.PartyRow]:
    """Return the parties of which the demonstration tells: those at the seventh meeting, May 2015."""
    return [row for row in reference.parties() if row.party_at_cop7]


def _contact(iso3: str, name: str, role: ContactRole) -> Person:
    """Return the invented contact of a party in a role."""
    words = role.replace("_", " ")
    short = "ocp" if role is ContactRole.OFFICIAL_CONTACT_POINT else "dna"
    return Person(
        identify("demo contact", iso3, role),
        f"{words.capitalize()} of {name}",
        f"{short}.{iso3.lower()}@example.org",
        role="party contact" if (iso3, role) == (SPEAKER, ContactRole.OFFICIAL_CONTACT_POINT) else None,
    )
