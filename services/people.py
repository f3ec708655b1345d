"""What may be asked about people: open an account, grant, change and end roles, erase somebody.

Commands name people by id. Only who opens an account says who it is, for the directory and for nothing else.
"""

from uuid import UUID

from domain.access import Action, Grant, Role, Way
from domain.parties import Party
from domain.people import PASSWORD_LINK_LASTS, Account, Reason, Refusal, must_be_new, refusal_id
from domain.programme import DeliveryPartner
from domain.refusals import NotFound
from services.commands import Command, Recorded, Unit
from services.directory import Directory, Entry
from services.links import NO_LONGER_CONTACT, Digest, Links
from services.password_links import PasswordLinks

ERASED = "The person was erased from the directory."


class OpenAccount(Command):
    """Open the account of a person. It holds no role yet."""

    creates = True
    person_id: UUID
    entry: Entry | None = None
    """Who it is, for the directory; none for somebody who is in it already."""


class GrantRole(Command):
    """Give a person a role."""

    person_id: UUID
    grant: Grant


class ChangeRole(Command):
    """Give a person another role in the place of one that they hold."""

    person_id: UUID
    before: Grant
    after: Grant
    reason: Reason


class EndRole(Command):
    """Take a role from a person."""

    person_id: UUID
    grant: Grant
    reason: Reason


class MakePasswordLink(Command):
    """Make a link with which a person sets a password, in the place of any earlier link."""

    person_id: UUID
    link_id: UUID
    secret_sha256: Digest


class SetPassword(Command):
    """Record that a person sets their password. The service gives this one itself, and knows the password."""

    person_id: UUID


class ErasePerson(Command):
    """Remove a person's name, address and every way in. Their roles end; histories keep the id."""

    person_id: UUID
    reason: Reason


class RecordRefusal(Command):
    """Record that a command was refused to somebody who is signed in. The service gives this one itself."""

    creates = True
    key: UUID
    """The key of the command that was refused."""
    action: Action
    record_id: UUID | None = None
    roles: tuple[Role, ...]
    way: Way


class People:
    """The handlers of all commands about people."""

    def __init__(self, directory: Directory, links: Links, password_links: PasswordLinks) -> None:
        self._directory = directory
        self._links = links
        self._password_links = password_links

    async def open_account(self, unit: Unit, command: OpenAccount) -> Recorded:
        must_be_new(await unit.find(Account, command.person_id))
        if command.entry is not None:
            await self._directory.enter(command.person_id, command.entry)
        await self._must_be_known(command.person_id)
        account = Account.open(command.person_id, unit.stamp)
        unit.add(account)
        return _recorded(account)

    async def grant(self, unit: Unit, command: GrantRole) -> Recorded:
        account = await unit.get(Account, command.person_id)
        await _must_exist(unit, command.grant)
        account.grant(command.grant, unit.stamp)
        return _recorded(account)

    async def change(self, unit: Unit, command: ChangeRole) -> Recorded:
        account = await unit.get(Account, command.person_id)
        await _must_exist(unit, command.after)
        account.change(command.before, command.after, command.reason, unit.stamp)
        await self._revoke_links(unit, command.person_id, command.before)
        return _recorded(account)

    async def end(self, unit: Unit, command: EndRole) -> Recorded:
        account = await unit.get(Account, command.person_id)
        account.end(command.grant, command.reason, unit.stamp)
        await self._revoke_links(unit, command.person_id, command.grant)
        return _recorded(account)

    async def make_password_link(self, unit: Unit, command: MakePasswordLink) -> Recorded:
        account = await unit.get(Account, command.person_id)
        account.make_password_link(unit.stamp)
        ends_at = unit.stamp.at + PASSWORD_LINK_LASTS
        await self._password_links.keep(
            account.id, command.link_id, bytes.fromhex(command.secret_sha256), ends_at
        )
        return _recorded(account)

    async def set_password(self, unit: Unit, command: SetPassword) -> Recorded:
        account = await unit.get(Account, command.person_id)
        account.set_password(unit.stamp)
        return _recorded(account)

    async def erase(self, unit: Unit, command: ErasePerson) -> Recorded:
        """Erase a person, with or without an account: the contact of a party may have none.

        The directory is emptied before the event is stored. If the event then fails, the person is gone
        all the same and the caller learns that it must be asked again: too early is better than not.
        """
        account = await unit.find(Account, command.person_id)
        if account is None:
            await self._must_be_known(command.person_id)
            account = Account.open(command.person_id, unit.stamp)
            unit.add(account)
        account.erase(command.reason, unit.stamp)
        await self._links.revoke_all(unit, command.person_id, ERASED)
        await self._directory.erase(command.person_id)
        return _recorded(account)

    async def record_refusal(self, unit: Unit, command: RecordRefusal) -> Recorded:
        recorded = await unit.find(Refusal, refusal_id(command.key))
        if recorded is None:
            recorded = Refusal.of(
                command.key, command.action, command.record_id, command.roles, command.way, unit.stamp
            )
            unit.add(recorded)
        return Recorded(id=recorded.id, version=recorded.version)

    async def _must_be_known(self, person_id: UUID) -> None:
        if await self._directory.find(person_id) is None:
            raise NotFound("not-found", f"Nobody in the directory has the id {person_id}.")

    async def _revoke_links(self, unit: Unit, person_id: UUID, ended: Grant) -> None:
        if ended.role is Role.PARTY_CONTACT and ended.owner_id is not None:
            party = await unit.get(Party, ended.owner_id)
            await self._links.revoke_unless_speaking(unit, party, person_id, NO_LONGER_CONTACT)


async def _must_exist(unit: Unit, grant: Grant) -> None:
    """Whoever a role is held for is in a register. There is no register of donors: any id is taken."""
    if grant.role is Role.PARTY_CONTACT and grant.owner_id is not None:
        await unit.look(Party, grant.owner_id)
    if grant.role is Role.DELIVERY_PARTNER and grant.owner_id is not None:
        await unit.look(DeliveryPartner, grant.owner_id)


def _recorded(account: Account) -> Recorded:
    return Recorded(id=account.id, version=account.version)
