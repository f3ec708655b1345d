"""How people come in, and who somebody is from one request to the next.

A request brings the secret of a session or of a token. What it is good for is asked anew each time, of the
log and not of a table that follows it: a role that has ended is good for nothing from that moment on.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from domain.access import Action, Grant, Role, Subject, Way
from domain.aggregates import Stamp, identify
from domain.people import Account, actor, refusal_id
from domain.refusals import Fault, Invalid, NotFound
from services.directory import Person
from services.identities import Identities
from services.kept_links import Link, LinkBook
from services.links import ExchangeLink
from services.openid import Identity
from services.password_links import PasswordLinks
from services.passwords import Passwords, tidy_address
from services.people import RecordRefusal, SetPassword
from services.sessions import OpenedSession, Session, Sessions
from services.store import KeyReused, Request
from services.tokens import ApiToken, ApiTokens
from services.tries import Tries
from services.wiring import Services

WRONG_PASSWORD = Fault(
    where="/current",
    what="This is not your password, or it was tried too often. Look at it, or wait a quarter of an hour.",
)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is known, for the time of one request."""

    subject: Subject
    person: Person
    session: Session | None = None
    token: ApiToken | None = None


@dataclass(slots=True)
class Entrance:
    """All ways in, and the sessions and tokens behind them."""

    services: Services
    sessions: Sessions = field(init=False)
    tokens: ApiTokens = field(init=False)
    passwords: Passwords = field(init=False)
    password_links: PasswordLinks = field(init=False)
    identities: Identities = field(init=False)
    links: LinkBook = field(init=False)
    tries: Tries = field(init=False)

    def __post_init__(self) -> None:
        pool = self.services.pool
        self.sessions, self.tokens, self.passwords = Sessions(pool), ApiTokens(pool), Passwords(pool)
        self.password_links = PasswordLinks(pool)
        self.identities, self.links, self.tries = Identities(pool), LinkBook(pool), Tries(pool)

    # Who it is.

    async def by_session(self, secret: str, now: datetime) -> Visitor | None:
        """Return whose session this is; None when none is good, or the person holds no role any more."""
        session = await self.sessions.find(secret, now)
        person = await self.services.directory.find(session.person_id) if session else None
        if session is None or person is None:
            return None
        if session.party_id is not None:
            return Visitor(_subject_of_link(session, session.party_id), person, session)
        grants = await self.grants_of(person.id)
        return Visitor(Subject(person_id=person.id, grants=grants), person, session) if grants else None

    async def by_token(self, secret: str, now: datetime) -> Visitor | None:
        """Return for whom a token acts; None when it is not good, or carries a role that was lost."""
        token = await self.tokens.find(secret, now)
        person = await self.services.directory.find(token.person_id) if token else None
        if token is None or person is None or token.grant not in await self.grants_of(person.id):
            return None
        way = Way.TOKEN if token.scope == "write" else Way.READING_TOKEN
        return Visitor(Subject(person_id=person.id, grants=(token.grant,), way=way), person, token=token)

    async def has_account(self, person_id: UUID) -> bool:
        """Whether an account was opened for a person, by the log."""
        try:
            await self.services.store.read(Account, person_id)
        except NotFound:
            return False
        return True

    async def grants_of(self, person_id: UUID) -> tuple[Grant, ...]:
        """Return the roles that a person holds, by the log."""
        try:
            account = await self.services.store.read(Account, person_id)
        except NotFound:
            return ()
        return () if account.erased else tuple(account.grants)

    # How they come in. Each way opens a new session, ends the one that the browser had, and answers all
    # failures alike: with None.

    async def sign_in(
        self,
        address: str,
        password: str,
        network_address: str,
        browser: str,
        now: datetime,
        instead_of: str | None = None,
    ) -> OpenedSession | None:
        """Sign in with the address and the password of a local account."""
        address = tidy_address(address)
        if not await self.tries.let_in(address, network_address, now):
            return None
        person_id = await self.passwords.check(address, password)
        if person_id is None:
            return None
        await self.tries.forget(address, network_address)
        return await self.admit(person_id, browser, now, instead_of)

    async def set_password(
        self, person_id: UUID, password: str, now: datetime, keep: UUID | None = None
    ) -> None:
        """Give a person a new password, and end their sessions but the one to ``keep``: whoever knew the old
        password is out. Raises a Refusal when the password is a bad one.

        It is recorded first: no password changes unseen, though one may be said to that then did not.
        """
        await self.passwords.must_be_settable(person_id, password)
        request = Request(Stamp(by=actor(person_id), at=now))
        if (await self.services.execute(SetPassword(person_id=person_id), request)).outcome == "refused":
            raise NotFound("not-found", "There is no account with this id.")
        await self.passwords.set(person_id, password, now)
        await self.password_links.remove(person_id)
        await self.sessions.end_all(person_id, but=keep)

    async def change_password(
        self,
        visitor: Visitor,
        current: str,
        password: str,
        network_address: str,
        now: datetime,
    ) -> None:
        """Let somebody who is signed in set their password; whoever has one says it, as when signing in.

        Their other sessions end. Raises a Refusal.
        """
        person = visitor.person
        if await self.passwords.has(person.id):
            address = tidy_address(person.email)
            let_in = await self.tries.let_in(address, network_address, now)
            if not let_in or await self.passwords.check(address, current) != person.id:
                raise Invalid("wrong-password", "The password was not changed.", faults=(WRONG_PASSWORD,))
            await self.tries.forget(address, network_address)
        keep = visitor.session.id if visitor.session else None
        await self.set_password(person.id, password, now, keep)

    async def holder_of_password_link(self, secret: str, now: datetime) -> Person | None:
        """Return who sets a password with a link; None when it is not good. It changes nothing."""
        person_id = await self.password_links.find(secret, now)
        return await self.services.directory.find(person_id) if person_id else None

    async def set_password_by_link(self, secret: str, password: str, now: datetime) -> bool:
        """Set a password with a link, once; False when it is not good. All sessions of the person end.

        Raises a Refusal when the password is a bad one; the link is good for another try then.
        """
        person_id = await self.password_links.find(secret, now)
        if person_id is None:
            return False
        await self.passwords.must_be_settable(person_id, password)
        if await self.password_links.take(secret, now) is None:
            return False  # Somebody else was quicker, in another window.
        await self.set_password(person_id, password, now)
        return True

    async def arrive(
        self, identity: Identity, browser: str, now: datetime, instead_of: str | None = None
    ) -> OpenedSession | None:
        """Sign in somebody whom the provider of OpenID Connect has named.

        Who comes for the first time is found by mail address: if the provider has verified it, if just one
        person with a role has it, and if nobody else at the provider has claimed to be that person.
        """
        person_id = await self.identities.person_of(identity.issuer, identity.subject)
        if person_id is None and identity.email and identity.email_verified:
            known = await self.identities.unclaimed(identity.issuer, identity.email)
            with_role = [id for id in known if await self.grants_of(id)]
            if len(with_role) == 1:
                await self.identities.claim(identity.issuer, identity.subject, with_role[0])
                person_id = await self.identities.person_of(identity.issuer, identity.subject)
        return await self.admit(person_id, browser, now, instead_of) if person_id else None

    async def admit(
        self, person_id: UUID, browser: str, now: datetime, instead_of: str | None = None
    ) -> OpenedSession | None:
        """Open a session for somebody who has proved who they are, if they hold a role."""
        if not await self.grants_of(person_id):
            return None
        return await self.sessions.open(person_id, browser, now, instead_of=instead_of)

    async def look_at_link(self, secret: str, now: datetime) -> Link | None:
        """Return a personal link for the page that shows the button. It changes nothing: the programs that
        look for harm in letters follow every link in them."""
        return await self.links.find(secret, now)

    async def open_link(
        self, secret: str, browser: str, now: datetime, instead_of: str | None = None
    ) -> OpenedSession | None:
        """Exchange a personal link for a session in this browser."""
        link = await self.links.find(secret, now)
        if link is None:
            return None
        session_id = uuid4()
        # Fresh, since the party may have named somebody else just now, in another process.
        request = Request(Stamp(by=actor(link.holder_id), at=now), fresh=True)
        ended = await self.services.execute(ExchangeLink(link_id=link.id, session_id=session_id), request)
        if ended.outcome == "refused":
            return None
        return await self.sessions.open(
            link.holder_id, browser, now, link=link, id=session_id, instead_of=instead_of
        )

    # What is refused.

    async def record_refusal(
        self, subject: Subject, action: Action, key: UUID, record_id: UUID | None, now: datetime
    ) -> int | None:
        """Record that a command was refused for want of rights, once for its key; return the position."""
        command = RecordRefusal(
            key=key, action=action, record_id=record_id, roles=subject.roles, way=subject.way
        )
        stamp = Stamp(by=actor(subject.person_id), at=now, because=f"request:{key}")
        request = Request(stamp, key=identify("record", refusal_id(key)), keyed=True)
        try:
            return (await self.services.execute(command, request)).position
        except KeyReused:
            return None  # The key was refused for something else before: once is enough.


def _subject_of_link(session: Session, party_id: UUID) -> Subject:
    return Subject(
        person_id=session.person_id,
        grants=(Grant(role=Role.PARTY_CONTACT, owner_id=party_id),),
        way=Way.FORWARDED_LINK if session.section else Way.LINK,
        invitation_id=session.invitation_id,
        section=session.section,
    )
