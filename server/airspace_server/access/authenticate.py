"""Who calls: bearer tokens verified, from the built-in issuer or one of the operator's own (OpenID Connect).

Where a call brings no token, the certificate of its connection counts, if the operator's list has it (peers.py).

A token counts only if its issuer is one of ours, its signature is by a current key of that issuer, and it says, to us,
who it is about and until when. What is wrong with a token is told in one of four fixed texts.
"""

import hashlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws
from joserfc.errors import ExpiredTokenError
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from airspace_server.access.identity import Principal, service_account
from airspace_server.access.issuer import GENERATION_CLAIM
from airspace_server.access.oidc import SKEW_SECONDS
from airspace_server.access.peers import NO_PEERS, Peers
from airspace_server.access.policy import PolicyStore
from airspace_server.access.trusted import MALFORMED, TrustedIssuer
from airspace_server.core.clock import MICROSECONDS, Clock
from airspace_server.core.errors import ApiError, Reason, token_invalid, token_missing
from airspace_server.core.scope import ExecutionId

MAX_TOKEN: Final = 16 * 1024
"""Longest token, in bytes."""
CACHED_TOKENS: Final = 10_000
"""Most verified tokens that are remembered."""
CACHED_SECONDS: Final = 300
"""How long a verified token is trusted without looking at its signature again: keys can be withdrawn."""
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

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
        peers: Peers = NO_PEERS,
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
        return self.confirm(self.identify(authorization_header, certificate))

    def identify(self, authorization_header: str | None, certificate: Certificate = _no_certificate) -> Principal:
        """Return whom a call names, without asking the database: of an execution not yet on whose behalf it acts.

        Raises as `authenticate` does, but for what the database raises.
        """
        if authorization_header is None:
            account, _ = self.certified(certificate)
            return Principal(service_account(account))
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
        return identity.principal

    def confirm(self, principal: Principal) -> Principal:
        """Return the principal that an identified one is: an execution with its launcher, while it runs.

        Raises TOKEN_INVALID, ACCOUNT_DISABLED, UNAVAILABLE and what the database raises.
        """
        return principal if principal.execution is None else self._delegated(principal.execution)

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
        except MALFORMED as error:
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


def _media_type(value: str) -> str:
    """Return a `typ` header as RFC 7515 4.1.9 compares it."""
    return value.lower().removeprefix("application/")


def _disabled() -> ApiError:
    return ApiError(Reason.ACCOUNT_DISABLED, "the service account is disabled or does not exist")


def _expired() -> ApiError:
    return ApiError(Reason.TOKEN_EXPIRED, "the token has expired")
