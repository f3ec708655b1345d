"""Sign-in with OpenID Connect: the authorization code flow, with PKCE, state and nonce.

``begin`` says where to send the browser and what to keep for it meanwhile; ``finish`` takes what the browser
comes back with, exchanges the code, checks the provider's signed statement and says who it is. What is kept
belongs in a cookie of that one browser, which is deleted when it comes back: a state is good once, for ten
minutes, and only where it began.
"""

import hmac
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, ValidationError

from services.hashing import new_secret
from services.settings import Settings

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""How a statement may be signed: with a key of the provider's own, never with a secret that is shared."""
STATE_LASTS = timedelta(minutes=10)
LEEWAY_SECONDS = 60
"""How far the clocks of the two machines may be apart."""
METADATA_LASTS_SECONDS = 3_600
KEYS_LAST_SECONDS = 60
"""How old the keys must be before one that is not among them makes us ask for them again."""
PATIENCE_SECONDS = 10
RETURN_PATH = "/sign-in/openid"
"""Where the provider sends the browser back to; it has to be registered there, behind our public address."""


class SignInFailed(Exception):
    """Nobody is signed in. The text is for the log: the page gives one answer for all failures."""


class ProviderUnavailable(Exception):
    """The provider cannot be reached, or answers what makes no sense. Trying again later may help."""


class Pending(BaseModel):
    """What is kept for a browser while it is away at the provider."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: str
    nonce: str
    verifier: str
    """What proves that the code comes back to whoever asked for it (PKCE)."""
    begun_at: AwareDatetime


class Identity(BaseModel):
    """Who somebody is, by the word of the provider."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    subject: str
    """By what the provider knows the person; it never changes and is never given to another."""
    email: str = ""
    email_verified: bool = False
    name: str = ""


def _kept_from_eavesdroppers(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1"):
        return url
    raise ValueError(f"{url} is not an address with https")


SafeUrl = Annotated[str, AfterValidator(_kept_from_eavesdroppers)]
"""An address with https, or on this machine."""


class Metadata(BaseModel):
    """What a provider says of itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    issuer: SafeUrl
    authorization_endpoint: SafeUrl
    token_endpoint: SafeUrl
    jwks_uri: SafeUrl
    userinfo_endpoint: SafeUrl | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class OpenId:
    """Signs people in at the provider of the settings."""

    def __init__(self, settings: Settings) -> None:
        settings.require("openid_issuer", "openid_client_id")
        self._settings = settings
        self._return_url = f"{str(settings.public_url).rstrip('/')}{RETURN_PATH}"
        self._metadata: Metadata | None = None
        self._metadata_until = 0.0
        self._keys: KeySet | None = None
        self._keys_from = 0.0

    async def begin(self, now: datetime) -> tuple[str, Pending]:
        """Return the address to send the browser to, and what to keep for it meanwhile."""
        metadata = await self._provider()
        pending = Pending(state=new_secret(), nonce=new_secret(), verifier=new_secret(), begun_at=now)
        async with self._client(metadata) as client:
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint,
                state=pending.state,
                nonce=pending.nonce,
                code_verifier=pending.verifier,
            )
        return url, pending

    async def finish(self, answer: Mapping[str, str], pending: Pending | None, now: datetime) -> Identity:
        """Return who came back with ``answer``, the query of the address that the browser was sent to.

        Raises SignInFailed or ProviderUnavailable.
        """
        metadata = await self._provider()
        code = _code(answer, pending, metadata, now)
        assert pending is not None, "no code is taken without it"
        tokens = await self._exchange(metadata, code, pending.verifier)
        statement, access_token = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(statement, str) or not isinstance(access_token, str):
            raise SignInFailed("the provider gave no statement of who it is")
        claims = self.read(
            statement, await self._keys_for(statement, metadata), pending.nonce, access_token, now
        )
        if not claims.get("email"):
            claims = {**await self._userinfo(metadata, access_token, claims["sub"]), **claims}
        return self._identity(claims)

    def read(
        self, statement: str, keys: KeySet, nonce: str, access_token: str, now: datetime
    ) -> dict[str, Any]:
        """Return what a signed statement (an ID token) says, or raise SignInFailed.

        It must be signed with a key of the provider, made out by it to us, for this sign-in and no other,
        and must not have ended.
        """
        try:
            token = jwt.decode(statement, keys, algorithms=ALGORITHMS)
            claims = CodeIDToken(
                token.claims,
                token.header,
                options={
                    "iss": {"essential": True, "value": self._settings.openid_issuer},
                    "aud": {"essential": True, "value": self._settings.openid_client_id},
                    "sub": {"essential": True},
                },
                params={
                    "nonce": nonce,
                    "client_id": self._settings.openid_client_id,
                    "access_token": access_token,
                },
            )
            claims.validate(now=int(now.timestamp()), leeway=LEEWAY_SECONDS)
        except (JoseError, ValueError) as error:
            raise SignInFailed(f"the statement is not good: {error}") from error
        return dict(claims)

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        email = claims.get("email")
        verified = claims.get("email_verified") in (True, "true")
        name = claims.get("name")
        return Identity(
            issuer=claims["iss"],
            subject=claims["sub"],
            email=email if isinstance(email, str) else "",
            email_verified=verified
            or ("email_verified" not in claims and self._settings.openid_trusts_addresses),
            name=name if isinstance(name, str) else "",
        )

    def _client(self, metadata: Metadata) -> Any:  # authlib has no types
        secret = self._settings.openid_client_secret.get_secret_value() or None
        methods = metadata.token_endpoint_auth_methods_supported
        by_header = "client_secret_basic" in methods or "client_secret_post" not in methods
        with_secret = "client_secret_basic" if by_header else "client_secret_post"
        return AsyncOAuth2Client(
            client_id=self._settings.openid_client_id,
            client_secret=secret,
            token_endpoint_auth_method=with_secret if secret else "none",
            scope="openid email profile",
            redirect_uri=self._return_url,
            code_challenge_method="S256",
            timeout=PATIENCE_SECONDS,
        )

    async def _exchange(self, metadata: Metadata, code: str, verifier: str) -> Mapping[str, Any]:
        try:
            async with self._client(metadata) as client:
                tokens: Mapping[str, Any] = await client.fetch_token(
                    metadata.token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                )
                return tokens
        except AuthlibBaseError as error:
            raise SignInFailed(f"the provider does not take the code: {error.error}") from error
        except (httpx2.HTTPError, ValueError) as error:
            raise ProviderUnavailable(f"the provider does not exchange the code: {error}") from error

    async def _userinfo(self, metadata: Metadata, access_token: str, subject: str) -> dict[str, Any]:
        """Ask for what the statement leaves out. It is believed only about the same person."""
        if metadata.userinfo_endpoint is None:
            return {}
        found = await _fetch(metadata.userinfo_endpoint, {"Authorization": f"Bearer {access_token}"})
        if found.get("sub") != subject:
            raise SignInFailed("the provider tells of somebody else")
        return found

    async def _provider(self) -> Metadata:
        """Return what the provider says of itself, asking again once an hour."""
        if self._metadata is None or time.monotonic() >= self._metadata_until:
            issuer = self._settings.openid_issuer
            found = await _fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            try:
                metadata = Metadata.model_validate(found)
            except ValidationError as error:
                raise ProviderUnavailable(f"{issuer} does not describe a provider: {error}") from error
            if metadata.issuer != issuer:
                raise ProviderUnavailable(f"{issuer} says that it is {metadata.issuer}: set that, or neither")
            self._metadata, self._metadata_until = metadata, time.monotonic() + METADATA_LASTS_SECONDS
        return self._metadata

    async def _keys_for(self, statement: str, metadata: Metadata) -> KeySet:
        """Return the provider's keys, asked for again when the one that signed is not among those known."""
        age = time.monotonic() - self._keys_from
        if self._keys is None or (age > KEYS_LAST_SECONDS and not _is_signed_with(statement, self._keys)):
            found = await _fetch(metadata.jwks_uri)
            try:
                self._keys = KeySet.import_key_set({"keys": found["keys"]})
            except (JoseError, KeyError, TypeError, ValueError) as error:
                raise ProviderUnavailable(f"{metadata.jwks_uri} holds no keys") from error
            self._keys_from = time.monotonic()
        return self._keys


def _code(answer: Mapping[str, str], pending: Pending | None, metadata: Metadata, now: datetime) -> str:
    """Return the code that the browser came back with, if it comes from the sign-in that it began."""
    if pending is None:
        raise SignInFailed("no sign-in was begun in this browser")
    if not hmac.compare_digest(answer.get("state", "").encode(), pending.state.encode()):
        raise SignInFailed("the state is not the one that was sent")
    if not pending.begun_at <= now < pending.begun_at + STATE_LASTS:
        raise SignInFailed("the sign-in took too long")
    told = answer.get("iss")
    if told != metadata.issuer and (told or metadata.authorization_response_iss_parameter_supported):
        raise SignInFailed("the answer comes from another provider")
    if "error" in answer:
        raise SignInFailed(f"the provider refuses: {answer['error'][:100]}")
    if not answer.get("code"):
        raise SignInFailed("the provider gave no code")
    return answer["code"]


def _is_signed_with(statement: str, keys: KeySet) -> bool:
    try:
        jwt.decode(statement, keys, algorithms=ALGORITHMS)
    except InvalidKeyIdError:
        return False
    except (JoseError, ValueError):
        return True  # Newer keys would not make it better.
    return True


async def _fetch(url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the JSON object at an address of the provider."""
    try:
        async with httpx2.AsyncClient(timeout=PATIENCE_SECONDS) as client:
            response = await client.get(url, headers=headers)
            response.raise_for_status()
            found = response.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise ProviderUnavailable(f"{url} does not answer as it should: {error}") from error
    if not isinstance(found, dict):
        raise ProviderUnavailable(f"{url} answers no JSON object")
    return found
