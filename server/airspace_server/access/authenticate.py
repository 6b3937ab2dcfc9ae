"""Who calls: bearer tokens verified, from the built-in issuer or one of the operator's own (OpenID Connect).

Where a call brings no token, the certificate of its connection counts, if the operator's list has it (peers.py).

A token counts only if its issuer is one of ours, its signature is by a current key of that issuer, and it says, to us,
who it is about and until when. What is wrong with a token is told in one of four fixed texts.
"""

import hashlib
import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import httpx
from joserfc import jws
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, RSAKey
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from airspace_server.access.identity import Principal
from airspace_server.access.issuer import GENERATION_CLAIM, KIND_CLAIM, SERVICE_ACCOUNT, TOKEN_TYPE
from airspace_server.access.keys import ALGORITHM
from airspace_server.access.peers import NOBODY, Peers
from airspace_server.access.policy import PolicyStore
from airspace_server.core import names
from airspace_server.core.clock import MICROSECONDS, Clock
from airspace_server.core.errors import ApiError, Reason, token_invalid, token_missing
from airspace_server.core.loopback import is_loopback
from airspace_server.core.scope import ExecutionId

MAX_TOKEN: Final = 16 * 1024
"""Longest token, in bytes."""
CACHED_TOKENS: Final = 10_000
"""Most verified tokens that are remembered."""
CACHED_SECONDS: Final = 300
"""How long a verified token is trusted without looking at its signature again: keys can be withdrawn."""
SKEW_SECONDS: Final = 30
"""How far the clocks of an issuer and this server may be apart."""
REFRESH_SECONDS: Final = 600
"""How old an issuer's keys grow before they are fetched again."""
RETRY_SECONDS: Final = 10
"""Shortest time between two attempts to fetch an issuer's keys."""
KEEP_SECONDS: Final = 3600
"""How long keys serve whose issuer cannot be reached."""

_EXTERNAL_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
_EXTERNAL_TYPES: Final = ("", "jwt", "at+jwt")
_MIN_RSA_BITS: Final = 2048
_MAX_DOCUMENT: Final = 1 << 20
_FETCH_TIMEOUT: Final = httpx.Timeout(3.0)
_MAX_FETCH_SECONDS: Final = 10.0
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_MAX_DISPLAY: Final = 255
# All that the library and Python's own parsers raise over bytes that are not what they should be.
_MALFORMED: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)

Claims = Mapping[str, Any]
Certificate = Callable[[], bytes | None]
"""Returns the certificate (PEM) that the listener has verified of a call's connection, None where it asked for none."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a verified token says. `expires_at` is in seconds.

    `account` is the service account's name, None for people, and `generation` that of the secret it was given out for.
    """

    principal: Principal
    account: str | None
    generation: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class Endpoints:
    """URLs of an issuer (OpenID Connect Discovery 1.0, RFC 8414, RFC 8628); "" for what it does not have."""

    token: str = ""
    authorization: str = ""
    device_authorization: str = ""
    jwks: str = ""


class TrustedIssuer(Protocol):
    """An issuer whose tokens are accepted, and how they are to be read."""

    @property
    def issuer_url(self) -> str:
        """What its tokens carry as `iss`, to the letter."""

    @property
    def audience(self) -> str:
        """What its tokens for this server carry as `aud`, to the letter, and alone."""

    @property
    def algorithms(self) -> Sequence[str]:
        """What it may sign with; never "none", never a shared secret."""

    @property
    def types(self) -> Sequence[str]:
        """What the `typ` header may be, in lower case; "" when it may be missing."""

    @property
    def expiry_leeway(self) -> int:
        """For how many seconds an expired token is still accepted."""

    def key(self, kid: str | None) -> Key:
        """Return the public key of that id. Raises TOKEN_INVALID, or UNAVAILABLE when nobody can tell."""

    def identity(self, claims: Claims) -> tuple[Principal, str | None]:
        """Say who the verified claims are about, and the service account's name. Raises TOKEN_INVALID."""


class BuiltInIssuer:
    """The issuer in issuer.py, whose key is at hand. Only its tokens can be about service accounts.

    Raises ValueError for an empty URL or audience.
    """

    algorithms: Sequence[str] = (ALGORITHM,)
    types: Sequence[str] = (TOKEN_TYPE,)
    expiry_leeway: int = 0

    def __init__(self, key: ECKey, issuer_url: str, audience: str) -> None:
        _require_names(issuer_url, audience)
        self.issuer_url = issuer_url
        self.audience = audience
        self._key = ECKey.import_key(key.as_dict(private=False))

    def key(self, kid: str | None) -> Key:
        """Return the key if it is the one that `kid` names."""
        if kid != self._key.kid:
            raise token_invalid()
        return self._key

    def identity(self, claims: Claims) -> tuple[Principal, str | None]:
        """Say which service account the claims are about."""
        account = claims["sub"]
        if claims.get(KIND_CLAIM) != SERVICE_ACCOUNT or names.account(account):
            raise token_invalid()
        return Principal(f"{SERVICE_ACCOUNT}:{account}"), account


class OidcIssuer:
    """An OpenID Connect issuer of the operator's, whose keys are found by discovery. Safe to share between threads.

    `member_claim` names the user, `groups_claim` the groups (a list or one string). An e-mail address names a user
    only if the issuer says that it verified it. `clock` counts seconds and never goes back.

    One thread at a time fetches keys, at most every `RETRY_SECONDS`, and the others do not wait for it: tokens with
    made-up key ids must not be able to hold the server's threads. Raises ValueError for an empty URL, audience or claim
    and for a URL that is not https (or http on this machine).
    """

    algorithms: Sequence[str] = _EXTERNAL_ALGORITHMS
    types: Sequence[str] = _EXTERNAL_TYPES
    expiry_leeway: int = SKEW_SECONDS

    def __init__(
        self,
        issuer_url: str,
        audience: str,
        groups_claim: str = "groups",
        member_claim: str = "sub",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _require_names(issuer_url, audience)
        if not groups_claim or not member_claim:
            raise ValueError("an issuer needs the names of the claims for members and groups")
        if not _safe_url(issuer_url):
            raise ValueError("an issuer's URL must begin with https://, or with http:// on this machine")
        self.issuer_url = issuer_url
        self.audience = audience
        self._groups_claim = groups_claim
        self._member_claim = member_claim
        self._clock = clock
        self._fetching = threading.Lock()
        self._attempted_at: float | None = None
        self._keys: _Keys | None = None

    def key(self, kid: str | None) -> Key:
        """Return the public key of that id, or the only key for a token that names none."""
        keys = self._keys
        if keys is None or self._clock() - keys.fetched_at >= REFRESH_SECONDS or keys.find(kid) is None:
            tried = self._fetch()
            keys = self._keys
            if keys is None or (not tried and keys.find(kid) is None):
                raise _unavailable()
        if self._clock() - keys.fetched_at > KEEP_SECONDS:
            raise _unavailable()
        key = keys.find(kid)
        if key is None:
            raise token_invalid()
        return key

    def identity(self, claims: Claims) -> tuple[Principal, str | None]:
        """Say which user the claims are about. Whatever they say, it is a user and never a service account."""
        subject = claims.get(self._member_claim)
        if self._member_claim == "email" and claims.get("email_verified") is not True:
            raise token_invalid()
        member = f"user:{subject}"
        if not isinstance(subject, str) or names.member(member):
            raise token_invalid()
        named = claims.get(self._groups_claim)
        groups = [named] if isinstance(named, str) else named if isinstance(named, list) else []
        members = (f"group:{group}" for group in groups if isinstance(group, str))
        return (
            Principal(
                member,
                frozenset(group for group in members if names.member(group) is None),
                _display(claims.get("name")),
                _display(claims.get("email")),
            ),
            None,
        )

    def endpoints(self) -> Endpoints:
        """Return where clients log in, as the issuer's discovery document says. Raises UNAVAILABLE."""
        if self._keys is None:
            self._fetch()
        if self._keys is None:
            raise _unavailable()
        return self._keys.endpoints

    def _fetch(self) -> bool:
        """Fetch the keys unless it is too early; tell whether what is known is as new as it can be now."""
        if not self._fetching.acquire(blocking=False):
            return False
        try:
            now = self._clock()
            if self._attempted_at is not None and now - self._attempted_at < RETRY_SECONDS:
                return True
            self._attempted_at = now
            fetched = _fetch_keys(self.issuer_url)
            if fetched is not None:
                self._keys = _Keys(*fetched, now)
        finally:
            self._fetching.release()
        return True


@dataclass(frozen=True, slots=True)
class _Keys:
    by_kid: Mapping[str, Key]
    endpoints: Endpoints
    fetched_at: float

    def find(self, kid: str | None) -> Key | None:
        if kid is None:
            return next(iter(self.by_kid.values())) if len(self.by_kid) == 1 else None
        return self.by_kid.get(kid)


def _no_certificate() -> None:
    return None


class Authenticator:
    """Turns the authorization header of a call into its principal. Safe to share between threads.

    `launcher_of` says who launched an execution while that runs, None once it does not. `clock` tells the time, aware
    of its zone. `peers` are the accounts of certificates. Raises ValueError without issuers and for two of the same
    URL.
    """

    def __init__(
        self,
        issuers: Sequence[TrustedIssuer],
        policy: PolicyStore,
        launcher_of: Callable[[ExecutionId], Principal | None],
        clock: Clock,
        peers: Peers = NOBODY,
    ) -> None:
        self._issuers = {issuer.issuer_url: issuer for issuer in issuers}
        if not issuers or len(self._issuers) != len(issuers):
            raise ValueError("an authenticator needs issuers, each of another URL")
        self._policy = policy
        self._launcher_of = launcher_of
        self._clock = clock
        self._peers = peers
        self._verified = _VerifiedTokens()

    def authenticate(self, authorization_header: str | None, certificate: Certificate = _no_certificate) -> Principal:
        """Return who calls: whom the token names, or without any header the account of the connection's certificate.

        A token that does not count is not made good by a certificate: its caller meant to be somebody else.

        Raises TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED, ACCOUNT_DISABLED, and UNAVAILABLE when an issuer's keys or
        the policy, which knows the service accounts, cannot be had; for an execution's token also what the database
        raises.
        """
        if authorization_header is None:
            account, _ = self.certified(certificate)
            return Principal(f"{SERVICE_ACCOUNT}:{account}")
        if not authorization_header:
            raise token_missing()
        scheme, _, token = authorization_header.partition(" ")
        token = token.strip(" ")
        if scheme.lower() != "bearer" or len(token) > MAX_TOKEN:
            raise token_invalid()
        now = self._clock() / MICROSECONDS
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        identity = self._verified.get(digest, now)
        if identity is None:
            identity = self._verify(token, now)
            self._verified.put(digest, identity, now)
        if now >= identity.expires_at:
            raise _expired()
        # Asked of the policy at every call, so that a disabled account is out at once and not when its token expires.
        # A token of another generation was given out for a secret that was replaced.
        if identity.account is not None and self._generation(identity.account) != identity.generation:
            raise token_invalid()
        if identity.principal.execution is not None:
            return self._delegated(identity.principal.execution)
        return identity.principal

    def certified(self, certificate: Certificate) -> tuple[str, int]:
        """Return the service account of a certificate, and the generation of that account's secret as of now.

        Raises TOKEN_MISSING for a certificate that stands for nobody, ACCOUNT_DISABLED, and UNAVAILABLE.
        """
        shown = certificate()
        account = None if shown is None else self._peers.account(shown, self._clock() / MICROSECONDS)
        if account is None:
            raise token_missing()
        return account, self._generation(account)

    def _generation(self, account: str) -> int:
        generation = self._policy.snapshot().service_accounts.get(account)
        if generation is None:
            raise _disabled()
        return generation

    def _delegated(self, execution: ExecutionId) -> Principal:
        """Return the principal of an execution, which has a launcher only while it runs and that one may still act."""
        launcher = self._launcher_of(execution)
        if launcher is None:
            raise token_invalid()
        if self._policy.snapshot().shuts_out(launcher.member):
            raise _disabled()
        return Principal.of_execution(execution, launcher)

    def _verify(self, token: str, now: float) -> Identity:
        if not _COMPACT.fullmatch(token):
            raise token_invalid()
        try:
            signed = jws.extract_compact(token.encode())
            header, claims = signed.headers(), json.loads(signed.payload)
            issuer = self._issuers[claims["iss"]]
            kid = header.get("kid")
            if "crit" in header or _media_type(header.get("typ", "")) not in issuer.types:
                raise token_invalid()
            if kid is not None and not isinstance(kid, str):
                raise token_invalid()
            rules = jws.JWSRegistry(algorithms=list(issuer.algorithms), strict_check_header=False)
            if header["alg"] not in issuer.algorithms or not jws.validate_compact(
                signed, issuer.key(kid), registry=rules
            ):
                raise token_invalid()
            self._check_claims(claims, issuer, now)
            principal, account = issuer.identity(claims)
            generation = claims.get(GENERATION_CLAIM, 0) if account is not None else 0
            return Identity(principal, account, generation, claims["exp"] + issuer.expiry_leeway)
        except _MALFORMED as error:
            if isinstance(error, ExpiredTokenError):
                raise _expired() from None
            raise token_invalid() from None

    def _check_claims(self, claims: dict[str, Any], issuer: TrustedIssuer, now: float) -> None:
        # A list of several audiences is refused: each of them could replay the token here.
        if claims.get("aud") not in (issuer.audience, [issuer.audience]) or not isinstance(claims.get("sub"), str):
            raise token_invalid()
        essential: ClaimsOption = {"essential": True}
        JWTClaimsRegistry(
            now=int(now), leeway=SKEW_SECONDS, iss=essential, aud=essential, sub=essential, exp=essential
        ).validate(claims)
        if claims["exp"] + issuer.expiry_leeway <= now:
            raise _expired()


class _VerifiedTokens:
    """Tokens whose signature was checked a short while ago, by their digest; the least used ones go first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()

    def get(self, digest: bytes, now: float) -> Identity | None:
        with self._lock:
            entry = self._entries.get(digest)
            if entry is None:
                return None
            if now >= entry[1]:
                del self._entries[digest]
                return None
            self._entries.move_to_end(digest)
            return entry[0]

    def put(self, digest: bytes, identity: Identity, now: float) -> None:
        with self._lock:
            self._entries[digest] = (identity, now + CACHED_SECONDS)
            if len(self._entries) > CACHED_TOKENS:
                self._entries.popitem(last=False)


def _fetch_keys(issuer_url: str) -> tuple[dict[str, Key], Endpoints] | None:
    """Return the issuer's keys for signatures by their ids, and what else it says of itself.

    None when it cannot be reached or is another one.
    """
    try:
        with httpx.Client(timeout=_FETCH_TIMEOUT) as client:
            about = _fetch_json(client, issuer_url.rstrip("/") + "/.well-known/openid-configuration")
            if about["issuer"] != issuer_url or not _safe_url(about["jwks_uri"]):
                return None
            entries = _fetch_json(client, about["jwks_uri"])["keys"]
        keys = [key for entry in entries if (key := _public_key(entry)) is not None]
    except (httpx.HTTPError, httpx.InvalidURL, *_MALFORMED):
        return None
    named = {name: about.get(f"{name}_endpoint", "") for name in ("token", "authorization", "device_authorization")}
    # What could not be asked without telling others what is sent is left out: a client must not go there either.
    safe = {name: url if isinstance(url, str) and _safe_url(url) else "" for name, url in named.items()}
    return {str(key.kid): key for key in keys}, Endpoints(**safe, jwks=about["jwks_uri"])


def _fetch_json(client: httpx.Client, url: str) -> Any:
    deadline = time.monotonic() + _MAX_FETCH_SECONDS  # the timeout is of one read, and there can be many
    with client.stream("GET", url, headers={"accept": "application/json"}) as response:
        if response.status_code != httpx.codes.OK:
            raise ValueError("the issuer does not answer with a document")
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _MAX_DOCUMENT or time.monotonic() > deadline:
                raise ValueError("the issuer's document is too large or too slow")
    return json.loads(bytes(body))


def _public_key(entry: Any) -> Key | None:
    """Import one key of a set; None for one that cannot verify what we accept, which must not spoil the others."""
    try:
        if entry["kty"] not in (RSAKey.key_type, ECKey.key_type) or entry.get("use", "sig") != "sig":
            return None
        if entry["kty"] == RSAKey.key_type and len(entry["n"]) * 6 < _MIN_RSA_BITS:
            return None
        key = JWKRegistry.import_key(entry)
        key.ensure_kid()
    except _MALFORMED:
        return None
    return key


def _safe_url(url: str) -> bool:
    """Tell whether what is sent to a URL can be read by nobody else."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def _require_names(issuer_url: str, audience: str) -> None:
    if not issuer_url or not audience:
        raise ValueError("an issuer needs its URL and an audience")


def _media_type(value: str) -> str:
    """Return a `typ` header as RFC 7515 4.1.9 compares it."""
    return value.lower().removeprefix("application/")


def _display(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= _MAX_DISPLAY else ""


def _disabled() -> ApiError:
    return ApiError(Reason.ACCOUNT_DISABLED, "the service account is disabled or does not exist")


def _expired() -> ApiError:
    return ApiError(Reason.TOKEN_EXPIRED, "the token has expired")


def _unavailable() -> ApiError:
    return ApiError(Reason.UNAVAILABLE, "the token cannot be verified at the moment")
