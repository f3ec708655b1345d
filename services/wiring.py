"""Puts the services of one process together. Every process is wired here, and nowhere else."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from psycopg_pool import AsyncConnectionPool

from services.chemicals import Chemicals, DelistChemical, ListChemical
from services.commands import Command, Handler, Recorded, Unit, must_be_keepable
from services.directory import Directory
from services.documents import Documents
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
from services.kept_links import LinkBook
from services.letters import Letters, SendLetter, SuppressLetter
from services.links import ExchangeLink, ForwardSection, Links, MakeLink, RevokeLink
from services.log import Log
from services.mail import Mailer, SmtpMailer
from services.parties import EndContact, NameContact, Parties, RegisterParty
from services.password_links import PasswordLinks
from services.people import (
    ChangeRole,
    EndRole,
    ErasePerson,
    GrantRole,
    MakePasswordLink,
    OpenAccount,
    People,
    RecordRefusal,
    SetPassword,
)
from services.pool import make_pool
from services.programme import Programme, RegisterDeliveryPartner
from services.questionnaires import Questionnaires, TakeIn
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
from services.settings import Settings
from services.store import Answer, Request, Store, digest

POSITIONS: ContextVar[list[int] | None] = ContextVar("positions", default=None)
"""Where somebody wants to know what was written in the course of their work: the positions, as they come."""


COLLECTOR = (50_000, 5, 4)
"""How seldom Python's collector of cycles looks through the process. Thousands of records are kept at hand
and are in no cycle: with Python's own numbers, to look through them again and again takes a tenth of the time
in which commands are carried out."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the doors of one process need to act."""

    settings: Settings
    pool: AsyncConnectionPool
    store: Store
    directory: Directory
    documents: Documents
    mailer: Mailer
    handlers: dict[type[Command], Handler]

    async def execute(self, command: Command, request: Request) -> Answer:
        """Carry out a command. See services.store.Store.execute for what it answers and raises.

        A request that has a digest already keeps it: the door has filled in the command from the tables,
        and the same request would fill it in differently later.
        """
        name, body = type(command).__name__.encode(), command.model_dump_json().encode()
        if not request.digest:
            request = replace(request, digest=digest(name, body, request.stamp.by.encode()))
        handler = self.handlers[type(command)]

        async def decide(unit: Unit) -> Recorded:
            recorded = await handler(unit, command)
            must_be_keepable(body)
            return recorded

        answer = await self.store.execute(request, decide)
        if answer.position is not None and (noted := POSITIONS.get()) is not None:
            noted.append(answer.position)
        return answer


@asynccontextmanager
async def open_services(settings: Settings, mailer: Mailer | None = None) -> AsyncIterator[Services]:
    """Connect to the database, start the writer of the log, and give out the services."""
    gc.set_threshold(*COLLECTOR)
    pool = make_pool(settings.writer_url, "mandate services", autocommit=True)
    async with pool, Log(settings.writer_url) as log:
        directory, mailer = Directory(pool), mailer or SmtpMailer(settings)
        yield Services(
            settings=settings,
            pool=pool,
            store=Store(log, pool),
            directory=directory,
            documents=Documents(pool),
            mailer=mailer,
            handlers=_handlers(settings, directory, LinkBook(pool), PasswordLinks(pool), mailer),
        )


def _handlers(
    settings: Settings,
    directory: Directory,
    book: LinkBook,
    password_links: PasswordLinks,
    mailer: Mailer,
) -> dict[type[Command], Handler]:
    """Say which handler carries out which command."""
    links = Links(book, directory)
    people, parties, questionnaires, rounds = (
        People(directory, links, password_links),
        Parties(links),
        Questionnaires(),
        Rounds(),
    )
    letters, chemicals, programme = Letters(settings, directory, mailer, links), Chemicals(), Programme()
    drafts, funding = Drafts(), Funding()
    return {
        RegisterParty: parties.register_party,
        NameContact: parties.name_contact,
        EndContact: parties.end_contact,
        ListChemical: chemicals.list_chemical,
        DelistChemical: chemicals.delist_chemical,
        RegisterDeliveryPartner: programme.register_delivery_partner,
        TakeIn: questionnaires.take_in,
        OpenRound: rounds.open,
        IssueRound: rounds.issue,
        ExtendRound: rounds.extend,
        ExtendInvitation: rounds.extend_invitation,
        WithdrawInvitation: rounds.withdraw,
        SubmitResponse: rounds.submit,
        SaveDraft: drafts.save,
        LapseInvitation: rounds.lapse,
        EscalateInvitation: rounds.escalate,
        SendLetter: letters.send,
        SuppressLetter: letters.suppress,
        EstablishFund: funding.establish,
        RegisterDonor: funding.register_donor,
        RecordPledge: funding.pledge,
        RecordOfferInKind: funding.offer_in_kind,
        RecordDeliveryInKind: funding.deliver_in_kind,
        AgreeSupportCost: funding.agree_support_cost,
        ReducePledge: funding.reduce,
        RecordReceipt: funding.receive,
        RecordExchange: funding.revalue,
        RefundDonor: funding.refund,
        ReserveMoney: funding.reserve,
        CommitMoney: funding.commit,
        RecordExpenditure: funding.spend,
        ReleaseMoney: funding.release,
        RecordReturn: funding.take_back,
        ReverseMovement: funding.reverse,
        OpenAccount: people.open_account,
        GrantRole: people.grant,
        ChangeRole: people.change,
        EndRole: people.end,
        ErasePerson: people.erase,
        MakePasswordLink: people.make_password_link,
        SetPassword: people.set_password,
        RecordRefusal: people.record_refusal,
        MakeLink: links.make,
        ForwardSection: links.forward,
        ExchangeLink: links.exchange,
        RevokeLink: links.revoke,
    }
