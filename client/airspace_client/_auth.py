"""Where tokens come from. Each source gives a token for as long as the server takes it, and then another one."""

import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol
from urllib.parse import quote_plus

from airspace_client._errors import ConfigError, Unauthenticated, Unavailable
from airspace_client._tls import TLS, is_loopback_url

TOKEN_TIMEOUT: Final = 10.0
"""Longest wait for a token endpoint, in seconds."""
COMMAND_TIMEOUT: Final = 60.0
"""Longest wait for an external command, in seconds; it may ask a person."""
MARGIN: Final = timedelta(seconds=60)
"""How long before its end a token is replaced, at most: a call with it must still arrive in time."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, and when it ends if that is known."""

    value: str = field(repr=False)
    expires: datetime | None = None


class TokenSource(Protocol):
    """Gives tokens. Safe to use from several threads."""

    def token(self) -> Token:
        """Return a token to try. Raises Unauthenticated when none is to be had, Unavailable when none is now."""
        ...

    def renew(self, refused: Token) -> Token | None:
        """Return another token than the one that the server refused; None when there is no other."""
        ...


class StaticToken:
    """A token that was got elsewhere."""

    def __init__(self, value: str) -> None:
        self._token = Token(value)

    def token(self) -> Token:
        """Return the token."""
        return self._token

    def renew(self, refused: Token) -> None:
        """Return None: there is no other."""


class _Renewable(ABC):
    """Keeps a fetched token until shortly before it ends or until the server refuses it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._until: datetime | None = None

    def token(self) -> Token:
        """Return the kept token, or a new one."""
        with self._lock:
            if self._token is None or (self._until is not None and self._until <= datetime.now(UTC)):
                return self._keep()
            return self._token

    def renew(self, refused: Token) -> Token:
        """Return a token that is not `refused`: a new one, unless another thread has already got one."""
        with self._lock:
            if self._token is None or self._token == refused:
                return self._keep()
            return self._token

    def _keep(self) -> Token:
        self._token = None
        issued = datetime.now(UTC)
        self._token = self._fetch()
        self._until = self._token.expires and renewal_time(issued, self._token.expires)
        return self._token

    @abstractmethod
    def _fetch(self) -> Token: ...


def renewal_time(issued: datetime, expires: datetime) -> datetime:
    """Return when to replace a token: `MARGIN` before its end, and not before half of a short one's life is over."""
    return expires - min(MARGIN, (expires - issued) / 2)


class CommandToken(_Renewable):
    """A token that a command prints, alone, on its standard output."""

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__()
        self._command = tuple(command)

    def _fetch(self) -> Token:
        try:
            ran = subprocess.run(  # noqa: S603 -- running the user's own command is what this is for
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=COMMAND_TIMEOUT, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unauthenticated(f"the command for a token, {self._command[0]!r}, cannot be run: {error}") from error
        token = ran.stdout.decode(errors="replace").strip()
        if ran.returncode or not token:
            raise Unauthenticated(
                f"the command for a token, {self._command[0]!r}, ended with status {ran.returncode}"
                + ("" if token else " and printed no token")
            )
        return Token(token)


class ClientCredentials(_Renewable):
    """Tokens of a service account, by the OAuth2 client credentials grant (RFC 6749, section 4.4).

    A secret goes over plain HTTP only to this machine, unless `insecure` says that the way is trusted.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        scopes: Sequence[str] = (),
        audience: str = "",
        tls: TLS | None = None,
        insecure: bool = False,
    ) -> None:
        super().__init__()
        if not token_url.startswith("https://") and not (
            token_url.startswith("http://") and (insecure or is_loopback_url(token_url))
        ):
            raise ConfigError(f"the secret of {client_id!r} may not go to {token_url!r} unencrypted; use https")
        self._url = token_url
        self._client_id = client_id
        self._secret = client_secret
        self._tls = tls or TLS()
        self._further: dict[str, Any] = {"scopes": scopes, "audience": audience, "tls": tls, "insecure": insecure}
        self._form = {"grant_type": "client_credentials"}
        if scopes:
            self._form["scope"] = " ".join(scopes)
        if audience:
            self._form["audience"] = audience

    def of(self, client_id: str, client_secret: str) -> "ClientCredentials":
        """Return the credentials of another account of the same issuer."""
        return ClientCredentials(self._url, client_id, client_secret, **self._further)

    def _fetch(self) -> Token:
        import httpx  # slow to import, and needed only here

        issued = datetime.now(UTC)
        try:
            answer = httpx.post(
                self._url,
                data=self._form,
                # RFC 6749, section 2.3.1: both are form-encoded before they are joined.
                auth=(quote_plus(self._client_id), quote_plus(self._secret)),
                headers={"accept": "application/json"},
                timeout=TOKEN_TIMEOUT,
                verify=self._tls.context() if self._url.startswith("https:") else True,
                trust_env=not is_loopback_url(self._url),  # no proxy on the way to this machine
            )
        except httpx.HTTPError as error:
            raise Unavailable(f"the token endpoint {self._url} cannot be reached: {error}") from error
        if answer.is_server_error:
            raise Unavailable(f"the token endpoint {self._url} answered with HTTP {answer.status_code}")
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            body = {}
        token, lifetime = body.get("access_token"), body.get("expires_in")
        if not answer.is_success or not isinstance(token, str) or not token:
            why = body.get("error_description") or body.get("error") or f"HTTP {answer.status_code}, no token"
            raise Unauthenticated(f"the token endpoint {self._url} refused client {self._client_id!r}: {why}")
        return Token(token, issued + timedelta(seconds=lifetime) if isinstance(lifetime, int | float) else None)
