"""People's issuer: one of the operator's own, found by OpenID Connect Discovery."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from joserfc.jwk import ECKey, JWKRegistry, Key, RSAKey

from airspace_server.access.identity import Principal
from airspace_server.access.trusted import MALFORMED, Claims, require_names
from airspace_server.core import names
from airspace_server.core.errors import ApiError, Reason, token_invalid
from airspace_server.core.loopback import is_loopback

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
"""The grant of RFC 8628, by which people log in on another device."""
SKEW_SECONDS: Final = 30
"""How far the clocks of the issuer and this server may be apart."""
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
_MAX_DISPLAY: Final = 255


@dataclass(frozen=True, slots=True)
class Endpoints:
    """URLs of an issuer (OpenID Connect Discovery 1.0, RFC 8414, RFC 8628); "" for what it does not have."""

    token: str = ""
    authorization: str = ""
    device_authorization: str = ""
    jwks: str = ""


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
        require_names(issuer_url, audience)
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
    except (httpx.HTTPError, httpx.InvalidURL, *MALFORMED):
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
    except MALFORMED:
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


def _display(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= _MAX_DISPLAY else ""


def _unavailable() -> ApiError:
    return ApiError(Reason.UNAVAILABLE, "the token cannot be verified at the moment")
