"""The built-in issuer: access tokens for service accounts by OAuth2 client credentials (RFC 6749 4.4, RFC 9068)."""

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import bindparam, select

from airspace_server.access.identity import SERVICE_ACCOUNT
from airspace_server.access.keys import ALGORITHM
from airspace_server.access.limits import Limit, Recent, short
from airspace_server.core import names
from airspace_server.core.clock import MICROSECONDS, Clock
from airspace_server.storage.database import Database
from airspace_server.storage.tables import ServiceAccountRow, table

TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 -- a media type, not a password
"""The `typ` header of access tokens (RFC 9068): no other JWT that we sign can be taken for one."""
KIND_CLAIM: Final = "airspace_member_kind"
"""The claim that says what kind of member the subject is. Honoured from the built-in issuer alone."""
SCOPE: Final = "all"
"""The only OAuth2 scope. What a token allows is decided by bindings, never by scopes."""

GENERATION_CLAIM: Final = "airspace_secret_generation"
"""The claim that says which of its account's secrets a token was given out for."""

_ACCOUNTS: Final = table(ServiceAccountRow)
_read_account: Final = select(_ACCOUNTS.c.secret_hash, _ACCOUNTS.c.generation, _ACCOUNTS.c.disabled).where(
    _ACCOUNTS.c.name == bindparam("account_name")
)


class InvalidClientError(Exception):
    """The client is unknown or disabled or its secret is wrong; which of them is nobody's business."""


class TooManyFailuresError(Exception):
    """Wrong credentials come faster than allowed. `retry_after` is in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many failed attempts")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """What the token endpoint answers; `expires_in` is in seconds."""

    access_token: str
    expires_in: int
    scope: str = SCOPE
    token_type: str = "Bearer"  # noqa: S105 -- how it is used, not a password


class Issuer:
    """Signs access tokens for service accounts. Safe to share between threads.

    Raises ValueError for an empty issuer URL or audience.
    """

    def __init__(
        self,
        database: Database,
        key: ECKey,
        issuer_url: str,
        audience: str,
        clock: Clock,
        lifetime: timedelta = timedelta(minutes=30),
    ) -> None:
        if not issuer_url or not audience:
            raise ValueError("the built-in issuer needs its own URL and an audience")
        self.issuer_url = issuer_url
        self.audience = audience
        self.key = key
        self._database = database
        self._clock = clock
        self._lifetime = int(lifetime.total_seconds())
        self._failures = FailureLimit()
        self._known = Recent()

    def token(self, client_id: str, client_secret: str, scope: str, peer: str = "") -> TokenResponse:
        """Return a token for a service account. Whatever `scope` asks for, the token is for `SCOPE`.

        An unknown client, a wrong secret and a disabled account take the same work and get the same answer. The right
        secret is never refused for the failures of other peers: secrets are random and cannot be guessed, but a client
        that anybody could lock out would be easy prey. A `peer` (limits.py) from which failures come too fast is
        refused before it makes work, but for secrets that were right not long ago: many may share an address. Raises
        InvalidClientError, or TooManyFailuresError in its place once failures come too fast.
        """
        del scope
        now = self._clock() / MICROSECONDS
        shown = short(client_id, client_secret)
        wait = self._failures.wait(peer, now)
        if wait and shown not in self._known:
            raise TooManyFailuresError(wait)
        # What cannot be a name is looked up as the empty one: databases differ in the strings that they can take.
        name = client_id if names.account(client_id) is None else ""
        with self._database.read() as tx:
            row = tx.one(_read_account, account_name=name)
        digest = secret_hash(client_secret)
        right = hmac.compare_digest(digest, row.secret_hash if row is not None else _NOBODY)
        if row is None or row.disabled or not right:
            wait = self._failures.count(client_id, peer, now)
            if wait:
                raise TooManyFailuresError(wait)
            raise InvalidClientError
        self._known.add(shown)
        return TokenResponse(self.sign(client_id, row.generation), self._lifetime)

    def sign(self, account: str, generation: int) -> str:
        """Return a token for a service account whose caller is known, given out for its secret of that generation."""
        now = int(self._clock() / MICROSECONDS)
        claims = {
            "iss": self.issuer_url,
            "aud": self.audience,
            "sub": account,
            "client_id": account,
            KIND_CLAIM: SERVICE_ACCOUNT,
            GENERATION_CLAIM: generation,
            "iat": now,
            "exp": now + self._lifetime,
            "jti": str(uuid.uuid4()),
        }
        header = {"alg": ALGORITHM, "kid": self.key.kid, "typ": TOKEN_TYPE}
        return jwt.encode(header, claims, self.key, algorithms=[ALGORITHM])


class FailureLimit:
    """How fast failures may come: with one client's name, from one peer, and of all. Its memory is bounded."""

    CLIENT_BURST: Final = 10
    CLIENT_RATE: Final = 0.2
    PEER_BURST: Final = 50
    PEER_RATE: Final = 1.0
    ALL_BURST: Final = 100
    ALL_RATE: Final = 10.0

    def __init__(self) -> None:
        self._clients = Limit(self.CLIENT_BURST, self.CLIENT_RATE)
        self._peers = Limit(self.PEER_BURST, self.PEER_RATE)
        self._all = Limit(self.ALL_BURST, self.ALL_RATE)

    def count(self, client_id: str, peer: str, now: float) -> int:
        """Count a failure; return 0, or after how many seconds the client should try again."""
        client = short(client_id)
        return max(self._clients.take(client, now), self._peers.take(peer, now), self._all.take("", now))

    def wait(self, peer: str, now: float) -> int:
        """Return 0, or after how many seconds a peer that failed too often may try again."""
        return self._peers.wait(peer, now)


def secret_hash(secret: str) -> str:
    """Return what is kept of a secret: SHA-256 in hex, enough for secrets that are random."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


_NOBODY: Final = secret_hash(secrets.token_urlsafe())
"""Stands in for the hash of a client that does not exist; no secret has it."""
