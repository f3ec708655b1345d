"""Access: who may do what, in one table.

Every route, page and command names the one thing that it lets people do, an Action. The table ``ACCESS``
says which roles may do it, and whether with all records or only with their own; the table ``WAYS`` says
what is left of that for somebody who came by a token or by the link of a letter. Nothing else decides.

What somebody may not reach and what is not there must answer alike at the doors, so that nobody learns
from a refusal that a record exists.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, model_validator


class Role(StrEnum):
    """In what capacity somebody acts."""

    PROGRAMME_MANAGER = "programme manager"
    FINANCE_OFFICER = "finance officer"
    AUDITOR = "auditor"
    """Reads everything, changes nothing."""
    ADMINISTRATOR = "administrator"
    PARTY_CONTACT = "party contact"
    DELIVERY_PARTNER = "delivery partner"
    DONOR_CONTACT = "donor contact"


OWNERS = frozenset({Role.PARTY_CONTACT, Role.DELIVERY_PARTNER, Role.DONOR_CONTACT})
"""Roles that are held for somebody: a party, a delivery partner, a donor. The others are held for all."""


class Reach(StrEnum):
    """With which records an action may be done."""

    ALL = "all"
    OWN = "own"
    """Only those of the party, partner or donor for whom the role is held, and one's own."""


class Action(StrEnum):
    """One thing that people may do. Routes, pages and commands name it, and refusals keep its name."""

    COME_IN = "come in"
    """See what is open to everybody: sign-in, the page of a link before it is exchanged, health, and the
    description of the interface."""
    SEE_HOME = "see home"
    """See what is due, late, blocked or waiting for oneself."""
    OWN_ACCOUNT = "own account"
    """Set one's own password, see and end one's own sessions, and make and end one's own tokens."""
    SEE_COMMANDS = "see commands"
    """See how a command ended. A command belongs to the person who gave it."""
    SEE_REFERENCE = "see reference"
    """See parties, entries of Annex III and delivery partners: public facts with their sources."""
    SEE_CONTACTS = "see contacts"
    """See who speaks for a party, by name and address."""
    SEE_QUESTIONNAIRES = "see questionnaires"
    SEE_ROUNDS = "see rounds"
    SEE_INVITATIONS = "see invitations"
    """See invitations and responses."""
    SEE_DRAFTS = "see drafts"
    """See answers that were saved and not yet handed in. That there are some, and how far they go, belongs to
    the invitation."""
    SEE_NEEDS = "see needs"
    """See the analysis of needs."""
    SEE_FUNDS = "see funds"
    """See trust funds, with all their accounts and movements, and who the donors are."""
    SEE_CONTRIBUTIONS = "see contributions"
    """See what donors promised and paid, and what became of it. A contribution belongs to its donor."""
    SEE_LETTERS = "see letters"
    SEE_HISTORY = "see history"
    """See the histories of records."""
    EXPORT_LOG = "export log"
    SEE_PEOPLE = "see people"
    """See people, their roles, and what was refused to them."""
    REGISTER_PARTIES = "register parties"
    NAME_CONTACTS = "name contacts"
    """Name the contacts of parties."""
    REGISTER_CHEMICALS = "register chemicals"
    """Register entries of Annex III."""
    REGISTER_PARTNERS = "register partners"
    """Register delivery partners."""
    TAKE_IN_QUESTIONNAIRES = "take in questionnaires"
    RUN_ROUNDS = "run rounds"
    """Open, issue and extend rounds, and withdraw questionnaires."""
    ANSWER = "answer"
    """Write answers to a questionnaire."""
    SUBMIT = "submit"
    """Hand in the answers to a questionnaire."""
    SEE_LINKS = "see links"
    """See the personal links to a questionnaire: who may answer it, or a section of it, and until when."""
    FORWARD = "forward"
    """Forward a section to a colleague."""
    REVOKE_LINKS = "revoke links"
    """Make a personal link good for nothing."""
    MANAGE_FUNDS = "manage funds"
    """Establish funds, record what donors promise and pay, and reserve, commit, spend and reverse."""
    MANAGE_PEOPLE = "manage people"
    """Open accounts, grant, change and end roles, make links to set a password with, and erase people."""


READING = frozenset(
    {
        Action.COME_IN,
        Action.SEE_HOME,
        Action.SEE_COMMANDS,
        Action.SEE_REFERENCE,
        Action.SEE_CONTACTS,
        Action.SEE_QUESTIONNAIRES,
        Action.SEE_ROUNDS,
        Action.SEE_INVITATIONS,
        Action.SEE_DRAFTS,
        Action.SEE_NEEDS,
        Action.SEE_LINKS,
        Action.SEE_FUNDS,
        Action.SEE_CONTRIBUTIONS,
        Action.SEE_LETTERS,
        Action.SEE_HISTORY,
        Action.EXPORT_LOG,
        Action.SEE_PEOPLE,
    }
)
"""The actions that change nothing."""

PUBLIC = frozenset({Action.COME_IN})
"""What needs nobody to be known."""

_EVERYBODY = tuple(Role)
_STAFF = tuple(role for role in Role if role not in OWNERS)


def _all(*roles: Role) -> dict[Role, Reach]:
    return dict.fromkeys(roles, Reach.ALL)


def _own(*roles: Role) -> dict[Role, Reach]:
    return dict.fromkeys(roles, Reach.OWN)


ACCESS: dict[Action, dict[Role, Reach]] = {
    Action.COME_IN: _all(*_EVERYBODY),
    Action.SEE_HOME: _all(*_EVERYBODY),
    Action.OWN_ACCOUNT: _own(*_EVERYBODY),
    Action.SEE_COMMANDS: _all(*_STAFF) | _own(*OWNERS),
    Action.SEE_REFERENCE: _all(*_EVERYBODY),
    Action.SEE_CONTACTS: _all(*_STAFF) | _own(Role.PARTY_CONTACT),
    Action.SEE_QUESTIONNAIRES: _all(*_STAFF),
    Action.SEE_ROUNDS: _all(*_STAFF),
    Action.SEE_INVITATIONS: _all(*_STAFF) | _own(Role.PARTY_CONTACT),
    # What a party has not handed in is its own; only who reads everything reads it too.
    Action.SEE_DRAFTS: _all(Role.AUDITOR) | _own(Role.PARTY_CONTACT),
    Action.SEE_NEEDS: _all(*_STAFF),
    Action.SEE_FUNDS: _all(*_STAFF),
    Action.SEE_CONTRIBUTIONS: _all(*_STAFF) | _own(Role.DONOR_CONTACT),
    Action.SEE_LETTERS: _all(*_STAFF),
    Action.SEE_HISTORY: _all(*_STAFF) | _own(Role.PARTY_CONTACT),
    Action.EXPORT_LOG: _all(Role.AUDITOR, Role.ADMINISTRATOR),
    Action.SEE_PEOPLE: _all(Role.AUDITOR, Role.ADMINISTRATOR),
    Action.REGISTER_PARTIES: _all(Role.PROGRAMME_MANAGER, Role.ADMINISTRATOR),
    Action.NAME_CONTACTS: _all(Role.PROGRAMME_MANAGER, Role.ADMINISTRATOR),
    Action.REGISTER_CHEMICALS: _all(Role.PROGRAMME_MANAGER, Role.ADMINISTRATOR),
    Action.REGISTER_PARTNERS: _all(Role.PROGRAMME_MANAGER, Role.ADMINISTRATOR),
    Action.TAKE_IN_QUESTIONNAIRES: _all(Role.PROGRAMME_MANAGER),
    Action.RUN_ROUNDS: _all(Role.PROGRAMME_MANAGER),
    # Only a party speaks for a party: the Secretariat does not write its answers.
    Action.ANSWER: _own(Role.PARTY_CONTACT),
    Action.SUBMIT: _own(Role.PARTY_CONTACT),
    Action.SEE_LINKS: _all(*_STAFF) | _own(Role.PARTY_CONTACT),
    Action.FORWARD: _own(Role.PARTY_CONTACT),
    Action.REVOKE_LINKS: _all(Role.PROGRAMME_MANAGER, Role.ADMINISTRATOR) | _own(Role.PARTY_CONTACT),
    # Who decides what is done does not keep the books of what it costs.
    Action.MANAGE_FUNDS: _all(Role.FINANCE_OFFICER),
    Action.MANAGE_PEOPLE: _all(Role.ADMINISTRATOR),
}
"""Who may do what. The workflows act for the service and are not asked here: they give only the commands of
their steps, and the domain refuses what is not due."""


class Way(StrEnum):
    """How somebody came in."""

    SIGN_IN = "sign-in"
    TOKEN = "token"
    READING_TOKEN = "reading token"
    LINK = "personal link"
    FORWARDED_LINK = "forwarded link"


WAYS: dict[Way, frozenset[Action]] = {
    Way.SIGN_IN: frozenset(Action),
    # A token cannot make another one, which would outlive it.
    Way.TOKEN: frozenset(Action) - {Action.OWN_ACCOUNT},
    Way.READING_TOKEN: READING,
    Way.LINK: frozenset(
        {
            Action.COME_IN,
            Action.SEE_COMMANDS,
            Action.SEE_INVITATIONS,
            Action.SEE_DRAFTS,
            Action.ANSWER,
            Action.SUBMIT,
            Action.SEE_LINKS,
            Action.FORWARD,
            Action.REVOKE_LINKS,
        }
    ),
    Way.FORWARDED_LINK: frozenset(
        {
            Action.COME_IN,
            Action.SEE_COMMANDS,
            Action.SEE_INVITATIONS,
            Action.SEE_DRAFTS,
            Action.ANSWER,
        }
    ),
}
"""What each way in leaves of the rights that the roles give. Whoever came by a link reaches the records of
one invitation and no others."""


class Grant(BaseModel):
    """A role, and for whom it is held where it is held for somebody."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    owner_id: UUID | None = None
    """The party, delivery partner or donor; none for a role of the Secretariat."""

    @model_validator(mode="after")
    def _owned_where_it_must_be(self) -> Self:
        if self.role in OWNERS and self.owner_id is None:
            raise ValueError(f"The role {self.role} is held for somebody: say for whom.")
        if self.role not in OWNERS and self.owner_id is not None:
            raise ValueError(f"The role {self.role} is held for nobody in particular.")
        return self


class Extent(BaseModel, frozen=True):
    """With which records somebody may do an action. Lists show these and no others."""

    everything: bool = False
    person_id: UUID
    """The person, to whom belongs what is their own: the commands that they gave, their sessions."""
    owner_ids: frozenset[UUID] = frozenset()
    """The parties, partners and donors whose records are within reach."""
    invitation_id: UUID | None = None
    """Of those records, only the ones of this invitation; None for no such limit."""

    def covers(self, owner_ids: Collection[UUID], invitation_id: UUID | None = None) -> bool:
        """Whether a record is within reach that belongs to ``owner_ids`` and, perhaps, to an invitation."""
        if self.everything or self.person_id in owner_ids:
            return True
        if self.owner_ids.isdisjoint(owner_ids):
            return False
        return self.invitation_id is None or self.invitation_id == invitation_id


class Subject(BaseModel):
    """Somebody who asks: the person, their roles, how they came in, and what narrows them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    person_id: UUID
    grants: tuple[Grant, ...] = ()
    way: Way = Way.SIGN_IN
    invitation_id: UUID | None = None
    """Set for whoever came by a link: the one invitation that the link is good for."""
    section: str | None = None
    """Set for a colleague to whom a section was forwarded: the one section that can be answered."""

    @model_validator(mode="after")
    def _narrowed_as_the_way_says(self) -> Self:
        by_link = self.way in (Way.LINK, Way.FORWARDED_LINK)
        if by_link != (self.invitation_id is not None):
            raise ValueError("An invitation is named for whoever came by a link, and for nobody else.")
        if (self.way is Way.FORWARDED_LINK) != (self.section is not None):
            raise ValueError("A section is named for whoever came by a forwarded link, and for nobody else.")
        return self

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles that are held, each once, in the order of the list of roles."""
        held = {grant.role for grant in self.grants}
        return tuple(role for role in Role if role in held)

    def extent(self, action: Action) -> Extent | None:
        """Return with which records the subject may do ``action``; None when with none."""
        if action not in WAYS[self.way]:
            return None
        reaches = {grant: reach for grant in self.grants if (reach := ACCESS[action].get(grant.role))}
        if not reaches:
            return None
        return Extent(
            everything=Reach.ALL in reaches.values(),
            person_id=self.person_id,
            owner_ids=frozenset(grant.owner_id for grant in reaches if grant.owner_id is not None),
            invitation_id=self.invitation_id,
        )

    def may(
        self, action: Action, owner_ids: Collection[UUID] = (), invitation_id: UUID | None = None
    ) -> bool:
        """Whether the subject may do ``action`` with a record that belongs to ``owner_ids``."""
        extent = self.extent(action)
        return extent is not None and extent.covers(owner_ids, invitation_id)

    def may_answer(self, section: str) -> bool:
        """Whether a section of a questionnaire is among those that the subject was asked to answer."""
        return self.section is None or self.section == section


def never_may(roles: Collection[Role], way: Way, action: Action) -> bool:
    """Whether an action is out of reach for such roles by such a way, with whatever record: whoever asks is
    told so. What is refused for the sake of the record is answered as if there were none."""
    return action not in WAYS[way] or ACCESS[action].keys().isdisjoint(roles)


def may(
    subject: Subject | None,
    action: Action,
    owner_ids: Collection[UUID] = (),
    invitation_id: UUID | None = None,
) -> bool:
    """Whether somebody, or nobody who is known, may do ``action`` with a record."""
    return action in PUBLIC or (subject is not None and subject.may(action, owner_ids, invitation_id))
