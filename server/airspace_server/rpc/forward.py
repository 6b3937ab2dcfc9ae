"""Forwards methods to another server, bytes and tokens untouched.

Flyte's clients know one endpoint. Where admin and execution run as separate processes, the admin listener passes the
execution methods on; the execution service authenticates and authorizes the real caller itself. It sees this server's
certificate and not the caller's, so for a caller who is known by a certificate alone this server makes a token.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NoReturn, Self

import grpc

from airspace_server.audit.ledger import Refusal
from airspace_server.certificates import Identity
from airspace_server.core.errors import ApiError, Reason
from airspace_server.rpc.interceptors import MAX_MESSAGE, REFUSED, Method, request_id_of, told
from airspace_server.rpc.receiving import Receiver
from airspace_server.rpc.server import Handlers, certificate_of
from airspace_server.rpc.status import end, native, status_of

_log: Final = logging.getLogger("airspace.rpc")

_PASSED: Final = frozenset({"authorization", "x-request-id", "traceparent", "tracestate"})
_FOREVER: Final = 1e9
"""Seconds, about thirty years: grpc takes a timeout that is much longer for one that is over."""
_GIVEN_BACK: Final = frozenset({"grpc-status-details-bin", "x-request-id"})

Metadata = tuple[tuple[str, str | bytes], ...]

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),  # grpc's own two minutes would outlast the other server's restart by far
)


class Route:
    """The way to the server that calls are forwarded to. A context manager; safe to share between threads.

    With `roots` (PEM) over TLS, and with `identity` as somebody. When either changes calls go over a new channel, and
    those under way end on the one that they have.
    """

    def __init__(self, target: str, roots: Callable[[], bytes] | None, identity: Callable[[], Identity] | None) -> None:
        self._target = target
        self._roots = roots
        self._identity = identity
        self._lock = threading.Lock()
        self._trust = self._current()
        self._channel = self._open(*self._trust)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def channel(self) -> grpc.Channel:
        """Return the channel for a new call."""
        current = self._current()
        with self._lock:
            if current != self._trust:
                # The old channel is not closed, which would cancel calls: the last of them lets go of it.
                self._trust, self._channel = current, self._open(*current)
            return self._channel

    def _current(self) -> tuple[bytes | None, Identity | None]:
        return (self._roots() if self._roots else None, self._identity() if self._identity else None)

    def _open(self, roots: bytes | None, identity: Identity | None) -> grpc.Channel:
        if roots is None:
            return grpc.insecure_channel(self._target, _OPTIONS)
        chain, key = (identity.certificate, identity.key) if identity else (None, None)
        return grpc.secure_channel(self._target, grpc.ssl_channel_credentials(roots, key, chain), _OPTIONS)


class Forwarder:
    """Passes methods on to another server until `close` is called.

    `token_of` makes a token for whoever shows a certificate and no token, and raises for nobody. It tells `refused` of
    calls that end here because of who made them.
    """

    def __init__(
        self,
        to: Route,
        token_of: Callable[[Callable[[], bytes | None]], str],
        refused: Callable[[Refusal, str], None],
    ) -> None:
        self._to = to
        self._token_of = token_of
        self._refused = refused
        self._receiver = Receiver()
        self._lock = threading.Lock()
        self._streams: set[Any] = set()
        self._closed = False

    def handlers(self, methods: Sequence[Method]) -> Handlers:
        """Make handlers that pass these methods on."""
        made: dict[str, dict[str, grpc.RpcMethodHandler[bytes, bytes]]] = {}
        for method in methods:
            service, name = method.path[1:].split("/")
            if method.streams:
                stream: Any = grpc.stream_stream_rpc_method_handler(self._stream(method.path))
                made.setdefault(service, {})[name] = stream
            else:
                unary: Any = grpc.stream_unary_rpc_method_handler(self._unary(method.path))
                made.setdefault(service, {})[name] = unary
        return made

    def close(self) -> None:
        """End every stream with UNAVAILABLE, as the other server does when it closes; other calls run to their end."""
        with self._lock:
            self._closed = True
            streams = list(self._streams)
        for stream in streams:
            stream.cancel()

    def _unary(self, path: str) -> Callable[[Iterator[bytes], grpc.ServicerContext], bytes]:
        def behave(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            payload, metadata = self._received(path, messages, context)
            call: Any = self._to.channel().unary_unary(path)
            try:
                response, made = call.with_call(payload, timeout=_deadline(context), metadata=metadata)
            except grpc.RpcError as error:
                _give_back(error, context)
            context.set_trailing_metadata(_only(made.trailing_metadata(), _GIVEN_BACK))
            answer: bytes = response
            return answer

        return behave

    def _received(self, path: str, messages: Iterator[bytes], context: grpc.ServicerContext) -> tuple[bytes, Metadata]:
        """Wait for the call's message, and say what goes with it.

        Only from callers who show a token, which is looked at behind, or a certificate that counts here.
        """
        metadata = _only(context.invocation_metadata(), _PASSED)
        try:
            if not any(key == "authorization" for key, _ in metadata):
                metadata += (("authorization", f"Bearer {self._token_of(lambda: certificate_of(context))}"),)
            return self._receiver.message(messages, context), metadata
        except Exception as error:
            request_id = _request_id(context)
            problem = told(error, request_id)
            if problem.code in REFUSED:
                self._refused(Refusal("", path, "", "", "", problem.reason.value), request_id)
            _end(context, problem, request_id)

    def _stream(self, path: str) -> Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[bytes]]:
        def behave(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            payload, metadata = self._received(path, messages, context)
            call: Any = self._to.channel().unary_stream(path)
            made = call(payload, timeout=_deadline(context), metadata=metadata)
            context.add_callback(made.cancel)  # whoever stops listening here stops it there
            with self._lock:
                self._streams.add(made)
                if self._closed:
                    made.cancel()
            try:
                yield from made
            except grpc.RpcError as error:
                if self._closed and error.code() is grpc.StatusCode.CANCELLED:
                    _unavailable(context, "the server is shutting down; watch again")
                _give_back(error, context)
            finally:
                with self._lock:
                    self._streams.discard(made)

        return behave


def _deadline(context: grpc.ServicerContext) -> float | None:
    """Return the seconds that the caller still waits. grpc tells of a call without a deadline as one in far future."""
    remaining = context.time_remaining()
    return remaining if remaining < _FOREVER else None


def _only(metadata: Any, keys: frozenset[str]) -> Metadata:
    return tuple((key, value) for key, value in metadata or () if key in keys)


def _give_back(error: Any, context: grpc.ServicerContext) -> NoReturn:
    """End the call as the other server ended it; what grpc says itself of a broken connection stays in here."""
    details = _only(error.trailing_metadata(), _GIVEN_BACK)
    if any(key == "grpc-status-details-bin" for key, _ in details):
        context.set_trailing_metadata(details)
        context.abort(error.code(), error.details())
    if error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        context.abort(error.code(), "the caller's deadline is over")
    _unavailable(context, "the execution service cannot be reached; try again")


def _unavailable(context: grpc.ServicerContext, message: str) -> NoReturn:
    _end(context, ApiError(Reason.UNAVAILABLE, message), _request_id(context))


def _request_id(context: grpc.ServicerContext) -> str:
    return request_id_of(dict(context.invocation_metadata() or ()))


def _end(context: grpc.ServicerContext, error: ApiError, request_id: str) -> NoReturn:
    """End a call that the other server did not end."""
    _log.warning("a call was not forwarded", extra={"airspace": {"request_id": request_id, "reason": error.message}})
    end(context, status_of(error, request_id, native), request_id)
