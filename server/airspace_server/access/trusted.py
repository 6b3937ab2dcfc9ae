"""Issuers whose tokens are accepted, and how those are to be read: what an authenticator asks of each of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key

from airspace_server.access.identity import SERVICE_ACCOUNT, Principal, service_account
from airspace_server.access.issuer import KIND_CLAIM, TOKEN_TYPE
from airspace_server.access.keys import ALGORITHM
from airspace_server.core import names
from airspace_server.core.errors import token_invalid

MALFORMED: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""All that the library and Python's own parsers raise over bytes that are not what they should be."""

Claims = Mapping[str, Any]


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
        require_names(issuer_url, audience)
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
        return Principal(service_account(account)), account


def require_names(issuer_url: str, audience: str) -> None:
    """Raise ValueError for an issuer that leaves open what its tokens must say."""
    if not issuer_url or not audience:
        raise ValueError("an issuer needs its URL and an audience")
