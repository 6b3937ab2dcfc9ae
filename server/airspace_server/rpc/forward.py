"""Forwards methods to another server, bytes and tokens untouched.

Flyte's clients know one endpoint. Where admin and execution run as separate processes, the admin listener passes the
execution methods on; the execution service authenticates and authorizes the real caller itself. It sees this server's
certificate and not the caller's, so for a caller who is known by a certificate alone this server makes a token.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn, Self

import grpc

from airspace_server.access.identity import Principal
from airspace_server.audit.ledger import Refusal
from airspace_server.certificates import Identity
from airspace_server.core.errors import ApiError, Reason
from airspace_server.rpc.interceptors import (
    MAX_MESSAGE,
    RATIONED,
    REFUSED,
    Guards,
    Method,
    count_rationed,
    metadata_of,
    request_id_of,
    told,
)
from airspace_server.rpc.rationing import Room
from airspace_server.rpc.receiving import Receiver, on_threads
from airspace_server.rpc.server import Handlers, certificate_of
from airspace_server.rpc.status import Translate, end, native, status_of

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

    `token_of` makes a token for whoever shows a certificate and no token, and raises for nobody. It asks the guards
    whom a call names, and tells them of those that end here because of who made them. A call has a place in the room of
    this listener until it ends, under its caller; how fast its caller calls is counted behind.
    """

    def __init__(
        self,
        to: Route,
        token_of: Callable[[Callable[[], bytes | None]], str],
        guards: Guards,
        room: Room,
    ) -> None:
        self._to = to
        self._token_of = token_of
        self._guards = guards
        self._room = room
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
                behaviour = on_threads(self._stream(method), self._room.stream_threads)
                stream: Any = grpc.stream_stream_rpc_method_handler(behaviour)
                made.setdefault(service, {})[name] = stream
            else:
                unary: Any = grpc.stream_unary_rpc_method_handler(self._unary(method))
                made.setdefault(service, {})[name] = unary
        return made

    def close(self) -> None:
        """End every stream with UNAVAILABLE, as the other server does when it closes; other calls run to their end."""
        with self._lock:
            self._closed = True
            streams = list(self._streams)
        for stream in streams:
            stream.cancel()

    def _unary(self, method: Method) -> Callable[[Iterator[bytes], grpc.ServicerContext], bytes]:
        def behave(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            with self._place(method, context):
                payload, metadata = self._received(method, messages, context)
                call: Any = self._to.channel().unary_unary(method.path)
                try:
                    response, made = call.with_call(payload, timeout=_deadline(context), metadata=metadata)
                except grpc.RpcError as error:
                    _give_back(error, context)
            context.set_trailing_metadata(_only(made.trailing_metadata(), _GIVEN_BACK))
            answer: bytes = response
            return answer

        return behave

    @contextmanager
    def _place(self, method: Method, context: grpc.ServicerContext) -> Iterator[None]:
        """Give a call a place until it ends, under whom it names; who names nobody that counts here is told off."""
        with self._told(method, context):
            give_back = self._room.take(self._named(context), streams=method.streams)
        try:
            yield
        finally:
            give_back()

    def _named(self, context: grpc.ServicerContext) -> Principal:
        header = metadata_of(context).get("authorization")
        sent = header if isinstance(header, str) else None
        return self._guards.rates.identified(
            lambda: self._guards.identify(sent, lambda: certificate_of(context)), context.peer
        )

    @contextmanager
    def _told(self, method: Method, context: grpc.ServicerContext) -> Iterator[None]:
        """End the call with the status of whatever is raised in here."""
        try:
            yield
        except Exception as error:
            request_id = _request_id(context)
            problem = told(error, request_id)
            if problem.code in REFUSED:
                refusal = Refusal("", method.path, "", "", "", problem.reason.value)
                self._guards.refused(refusal, request_id)
            if problem.reason in RATIONED:
                count_rationed(method.path, problem)
            _end(context, problem, request_id, method.translate)

    def _received(
        self, method: Method, messages: Iterator[bytes], context: grpc.ServicerContext
    ) -> tuple[bytes, Metadata]:
        """Wait for the call's message, and say what goes with it: always a token."""
        metadata = _only(context.invocation_metadata(), _PASSED)
        with self._told(method, context):
            if not any(key == "authorization" for key, _ in metadata):
                metadata += (("authorization", f"Bearer {self._token_of(lambda: certificate_of(context))}"),)
            return self._receiver.message(messages, context), metadata

    def _stream(self, method: Method) -> Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[bytes]]:
        def behave(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            with self._place(method, context):
                payload, metadata = self._received(method, messages, context)
                call: Any = self._to.channel().unary_stream(method.path)
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
    return request_id_of(metadata_of(context))


def _end(context: grpc.ServicerContext, error: ApiError, request_id: str, translate: Translate = native) -> NoReturn:
    """End a call that the other server did not end."""
    _log.info("a call was not forwarded", extra={"airspace": {"request_id": request_id, "reason": error.message}})
    end(context, status_of(error, request_id, translate), request_id)
