"""Under which action of the table of access each command is given, and each history read.

The doors ask ``action_of`` before they carry out a command, so that the command line, the pages and the
interface for programs cannot differ. A test holds the two tables to the list of all handlers.
"""

from domain.access import Action
from domain.aggregates import Aggregate
from domain.drafts import Draft
from services.chemicals import DelistChemical, ListChemical
from services.commands import Command
from services.drafts import SaveDraft
from services.funding import (
    AgreeSupportCost,
    CommitMoney,
    EstablishFund,
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
from services.letters import SendLetter, SuppressLetter
from services.links import ExchangeLink, ForwardSection, MakeLink, RevokeLink
from services.parties import EndContact, NameContact, RegisterParty
from services.people import (
    ChangeRole,
    EndRole,
    ErasePerson,
    GrantRole,
    MakePasswordLink,
    OpenAccount,
    RecordRefusal,
    SetPassword,
)
from services.programme import RegisterDeliveryPartner
from services.questionnaires import TakeIn
from services.rounds import (
    EscalateInvitation,
    ExtendInvitation,
    ExtendRound,
    IssueRound,
    LapseInvitation,
    OpenRound,
    SubmitResponse,
    WithdrawInvitation,
)

GIVEN_UNDER: dict[type[Command], Action] = {
    RegisterParty: Action.REGISTER_PARTIES,
    NameContact: Action.NAME_CONTACTS,
    EndContact: Action.NAME_CONTACTS,
    ListChemical: Action.REGISTER_CHEMICALS,
    DelistChemical: Action.REGISTER_CHEMICALS,
    RegisterDeliveryPartner: Action.REGISTER_PARTNERS,
    TakeIn: Action.TAKE_IN_QUESTIONNAIRES,
    OpenRound: Action.RUN_ROUNDS,
    IssueRound: Action.RUN_ROUNDS,
    ExtendRound: Action.RUN_ROUNDS,
    ExtendInvitation: Action.RUN_ROUNDS,
    WithdrawInvitation: Action.RUN_ROUNDS,
    SaveDraft: Action.ANSWER,
    SubmitResponse: Action.SUBMIT,
    ForwardSection: Action.FORWARD,
    RevokeLink: Action.REVOKE_LINKS,
    EstablishFund: Action.MANAGE_FUNDS,
    RegisterDonor: Action.MANAGE_FUNDS,
    RecordPledge: Action.MANAGE_FUNDS,
    RecordOfferInKind: Action.MANAGE_FUNDS,
    RecordDeliveryInKind: Action.MANAGE_FUNDS,
    AgreeSupportCost: Action.MANAGE_FUNDS,
    ReducePledge: Action.MANAGE_FUNDS,
    RecordReceipt: Action.MANAGE_FUNDS,
    RecordExchange: Action.MANAGE_FUNDS,
    RefundDonor: Action.MANAGE_FUNDS,
    ReserveMoney: Action.MANAGE_FUNDS,
    CommitMoney: Action.MANAGE_FUNDS,
    RecordExpenditure: Action.MANAGE_FUNDS,
    ReleaseMoney: Action.MANAGE_FUNDS,
    RecordReturn: Action.MANAGE_FUNDS,
    ReverseMovement: Action.MANAGE_FUNDS,
    OpenAccount: Action.MANAGE_PEOPLE,
    GrantRole: Action.MANAGE_PEOPLE,
    ChangeRole: Action.MANAGE_PEOPLE,
    EndRole: Action.MANAGE_PEOPLE,
    MakePasswordLink: Action.MANAGE_PEOPLE,
    ErasePerson: Action.MANAGE_PEOPLE,
}
"""What people may ask for."""

OF_THE_SERVICE: frozenset[type[Command]] = frozenset(
    {
        SendLetter,
        SuppressLetter,
        LapseInvitation,
        EscalateInvitation,
        # Nobody makes a link for somebody else by hand: whoever held its secret could answer for a party.
        MakeLink,
        ExchangeLink,
        RecordRefusal,
        # It says that a password is set, which the entrance alone can do.
        SetPassword,
    }
)
"""Commands that only the service itself gives: its workflows, and its ways in."""


def action_of(command: type[Command]) -> Action:
    """Return the action under which people give a command. Raises KeyError for one of the service's own."""
    return GIVEN_UNDER[command]


READ_UNDER: dict[type[Aggregate], Action] = {Draft: Action.SEE_DRAFTS}
"""Records whose events are not for everybody who reads histories."""


def action_to_read(kind: type[Aggregate]) -> Action:
    """Return the action under which the events of a kind of record are read."""
    return READ_UNDER.get(kind, Action.SEE_HISTORY)
