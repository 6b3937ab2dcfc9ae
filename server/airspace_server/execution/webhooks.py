"""Posts messages to webhooks, which tenants choose: nothing inside of the operator's network is reached by them.

A name is resolved once, its addresses are looked at, and the connection goes to one of these very addresses. Redirects
are not followed and nothing of an answer but its status is read: neither tells a tenant what is where.
"""

import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore

from airspace_server.core.notifications import NotTakenError, Reachable, UndeliverableError

SECONDS: Final = 10.0
"""How long a post may take, once the name is resolved."""
_LATER: Final = frozenset({408, 425, 429})
_LONGEST_RETRY_AFTER: Final = 3600
_MICROSECONDS: Final = 1_000_000


class Webhooks:
    """Posts to what is reachable. Safe to share between threads.

    Targets must be certified by whom `tls` trusts, which is whom the machine trusts where it is not given.
    """

    def __init__(self, reachable: Reachable, tls: ssl.SSLContext | None = None) -> None:
        self._reachable = reachable
        self._tls = tls or ssl.create_default_context()

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """Post a body. Raises UndeliverableError and NotTakenError."""
        if problem := self._reachable.url_problem(url):
            raise UndeliverableError(f"the URL {problem}")
        parts = urlsplit(url)
        network = _Checked(self._reachable, encrypted=parts.scheme == "https")
        sent = {"Host": parts.netloc, "User-Agent": "airspace", "Connection": "close", **headers}
        try:
            with (
                httpcore.ConnectionPool(self._tls, max_connections=1, network_backend=network) as pool,
                pool.stream("POST", url, headers=list(sent.items()), content=body) as answer,
            ):
                status = answer.status
                retry_after = {name.lower(): value for name, value in answer.headers}.get(b"retry-after", b"")
        except httpcore.TimeoutException:
            raise NotTakenError(f"there was no answer within {SECONDS:.0f} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise NotTakenError(f"it could not be asked: {error}") from None
        _judge(status, retry_after)


def _judge(status: int, retry_after: bytes) -> None:
    if status in range(200, 300):
        return
    if status in _LATER or status >= 500:
        seconds = int(retry_after[:6]) if retry_after.isdigit() else 0
        raise NotTakenError(f"it answered {status}", min(seconds, _LONGEST_RETRY_AFTER) * _MICROSECONDS)
    redirected = ", and redirects are not followed" if status in range(300, 400) else ""
    raise UndeliverableError(f"it answered {status}{redirected}")


class _Checked(httpcore.NetworkBackend):
    """Connects to addresses that were looked at, for one post."""

    def __init__(self, reachable: Reachable, *, encrypted: bool) -> None:
        self._reachable = reachable
        self._encrypted = encrypted
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 -- the post has one deadline
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._resolved(host, port)
        deadline = time.monotonic() + SECONDS
        for place, address in enumerate(addresses):
            try:
                left = _left(deadline) / (len(addresses) - place)
                stream = self._network.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if address == addresses[-1]:
                    raise
            else:
                return _Bounded(stream, deadline)
        raise NotTakenError(f"{host} has no address")

    def _resolved(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            raise NotTakenError(f"{host} has no address") from None
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        for address in addresses:
            if problem := self._reachable.address_problem(address, encrypted=self._encrypted):
                raise UndeliverableError(f"{host} {problem}")
        return addresses


class _Bounded(httpcore.NetworkStream):
    """A connection that ends at a deadline, however little at a time comes through it."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline) if timeout is None else min(timeout, _left(self._deadline))
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    """Return the seconds until a deadline."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left
