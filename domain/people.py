"""People: the roles that they hold over time, and what was refused to them.

An account holds roles and nothing about the person: names, addresses, passwords and tokens are in the
directory, where they can be erased. The histories keep the id, and still read after that.
"""

from dataclasses import field
from datetime import timedelta
from typing import Annotated, Self
from uuid import UUID

from pydantic import StringConstraints

from domain.access import Action, Grant, Role, Way
from domain.aggregates import Aggregate, Moment, Stamp, Text, identify
from domain.refusals import NotAllowed

Reason = Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]

PASSWORD_LINK_LASTS = timedelta(hours=24)
"""How long a link is good with which somebody sets a password."""


class Account(Aggregate):
    """Somebody who may sign in or be written to, and the roles that they hold."""

    grants: list[Grant] = field(init=False)
    erased: bool = field(init=False)

    class Event(Aggregate.Event):
        """Something that happened to an account."""

    class Opened(Event, Aggregate.Created):
        """The account was opened; it holds no role yet."""

        def apply(self, account: "Account") -> None:
            account.grants = []
            account.erased = False

    class RoleGranted(Event):
        """The person was given a role."""

        grant: Grant

        def apply(self, account: "Account") -> None:
            account.grants.append(self.grant)

    class RoleChanged(Event):
        """The person holds another role in the place of one."""

        before: Grant
        after: Grant
        reason: Reason

        def apply(self, account: "Account") -> None:
            account.grants[account.grants.index(self.before)] = self.after

    class RoleEnded(Event):
        """The person does not hold the role any more."""

        grant: Grant
        reason: Reason

        def apply(self, account: "Account") -> None:
            account.grants.remove(self.grant)

    class PasswordLinkMade(Event):
        """A link was made with which the person sets a password, once."""

        ends_at: Moment

        def apply(self, account: "Account") -> None:
            """There is nothing to remember: the directory knows whether a link is good."""

    class PasswordSet(Event):
        """The person set a password, in the place of any that they had."""

        def apply(self, account: "Account") -> None:
            """There is nothing to remember but the event itself."""

    class Erased(Event):
        """Name, address, passwords, sessions and tokens were removed from the directory."""

        reason: Reason

        def apply(self, account: "Account") -> None:
            account.erased = True

    @classmethod
    def open(cls, person_id: UUID, stamp: Stamp) -> Self:
        """Open the account of a person. A person has one account: its id is the person's."""
        account: Self = cls.begin(cls.Opened, stamp, id=person_id)
        return account

    def grant(self, grant: Grant, stamp: Stamp) -> None:
        """Give the person a role."""
        must_not_be_erased(self)
        must_be_given_by_another(self, stamp)
        must_not_hold(self, grant)
        must_stay_independent([*self.grants, grant])
        self.record(self.RoleGranted, stamp, grant=grant)

    def change(self, before: Grant, after: Grant, reason: str, stamp: Stamp) -> None:
        """Give the person another role in the place of one that they hold."""
        must_hold(self, before)
        must_be_given_by_another(self, stamp)
        must_not_hold(self, after)
        must_stay_independent([grant for grant in self.grants if grant != before] + [after])
        self.record(self.RoleChanged, stamp, before=before, after=after, reason=reason)

    def end(self, grant: Grant, reason: str, stamp: Stamp) -> None:
        """Take a role from the person."""
        must_hold(self, grant)
        must_leave_an_administrator(self, [grant], stamp)
        self.record(self.RoleEnded, stamp, grant=grant, reason=reason)

    def make_password_link(self, stamp: Stamp) -> None:
        """Record that somebody else made a link with which the person sets a password."""
        must_not_be_erased(self)
        must_be_made_by_another(self, stamp)
        self.record(self.PasswordLinkMade, stamp, ends_at=stamp.at + PASSWORD_LINK_LASTS)

    def set_password(self, stamp: Stamp) -> None:
        """Record that the person sets a password. Nobody sets one for somebody else."""
        must_not_be_erased(self)
        must_be_the_person(self, stamp)
        self.record(self.PasswordSet, stamp)

    def erase(self, reason: str, stamp: Stamp) -> None:
        """End all roles and record that the person was erased from the directory."""
        must_not_be_erased(self)
        must_leave_an_administrator(self, self.grants, stamp)
        for grant in tuple(self.grants):
            self.record(self.RoleEnded, stamp, grant=grant, reason=reason)
        self.record(self.Erased, stamp, reason=reason)


class Refusal(Aggregate):
    """A command that a person who is signed in was not allowed to give."""

    class Event(Aggregate.Event):
        """Something that happened when a command was refused."""

    class CommandRefused(Event, Aggregate.Created):
        """Somebody asked for something that their roles, or their way in, do not allow."""

        key: UUID
        """The key of the command."""
        action: str
        """The name of the action, also one that the table of access does not know any more."""
        record_id: UUID | None = None
        """The record that the command was about, where it named one."""
        roles: tuple[Role, ...]
        """The roles that the person held then."""
        way: Way
        """How the person had come in."""

        def apply(self, refusal: "Refusal") -> None:
            """There is nothing to remember but the event itself."""

    @classmethod
    def of(
        cls,
        key: UUID,
        action: Action,
        record_id: UUID | None,
        roles: tuple[Role, ...],
        way: Way,
        stamp: Stamp,
    ) -> Self:
        """Record that a command was refused: once for its key, however often it is sent."""
        refusal: Self = cls.begin(
            cls.CommandRefused,
            stamp,
            id=refusal_id(key),
            key=key,
            action=action,
            record_id=record_id,
            roles=roles,
            way=way,
        )
        return refusal


def refusal_id(key: UUID) -> UUID:
    """Return the id of the refusal of the command with this key; there can be only one."""
    return identify("refusal", key)


def new_person_id(by: UUID, key: UUID) -> UUID:
    """Return the id of somebody whom a person brings into the directory by a command: sent twice under one
    key, it brings in one."""
    return identify("person", by, key)


def actor(person_id: UUID) -> str:
    """Return how a person is named as the actor of an event."""
    return f"person:{person_id}"


# The rules. Each is asked by a command, and never when a history is read again.


def must_be_new(existing: Account | None) -> None:
    """A person has one account."""
    if existing:
        raise NotAllowed("account-opened-already", "This person has an account already.")


def must_not_be_erased(account: Account) -> None:
    """Whoever was erased does not come back under the same id."""
    if account.erased:
        raise NotAllowed(
            "person-erased",
            "This person was erased from the directory. Register them anew if they are back.",
        )


def must_hold(account: Account, grant: Grant) -> None:
    """Only a role that is held can be changed or ended."""
    if grant not in account.grants:
        raise NotAllowed("role-not-held", f"The person is not {grant.role}. Nothing was changed.")


def must_not_hold(account: Account, grant: Grant) -> None:
    """A role is held once."""
    if grant in account.grants:
        raise NotAllowed("role-held-already", f"The person is {grant.role} already. Nothing was changed.")


def must_be_given_by_another(account: Account, stamp: Stamp) -> None:
    """Nobody gives a role to themselves."""
    if stamp.by == actor(account.id):
        raise NotAllowed(
            "own-role", "Nobody gives a role to themselves. Ask another administrator. Nothing was changed."
        )


def must_be_made_by_another(account: Account, stamp: Stamp) -> None:
    """Whoever is signed in says the old password to set a new one, and needs no link around that."""
    if stamp.by == actor(account.id):
        raise NotAllowed(
            "own-password-link",
            "Nobody makes such a link for themselves. Change your password on the page of your account. "
            "Nothing was changed.",
        )


def must_be_the_person(account: Account, stamp: Stamp) -> None:
    """A password is known to nobody but the person whose it is."""
    if stamp.by != actor(account.id):
        raise NotAllowed("not-own-password", "Nobody sets the password of somebody else.")


def must_leave_an_administrator(account: Account, ending: list[Grant], stamp: Stamp) -> None:
    """An administrator's role is ended by another one, so that there always is one."""
    if stamp.by == actor(account.id) and Grant(role=Role.ADMINISTRATOR) in ending:
        raise NotAllowed(
            "own-role",
            "Nobody ends their own role of administrator, so that there always is one. "
            "Ask another administrator. Nothing was changed.",
        )


def must_stay_independent(grants: list[Grant]) -> None:
    """Whoever audits does nothing that is audited."""
    roles = {grant.role for grant in grants}
    if Role.AUDITOR in roles and len(roles) > 1:
        raise NotAllowed(
            "auditor-stays-independent",
            "An auditor holds no other role, since nobody audits what they do themselves. "
            "End the other role first. Nothing was changed.",
        )
