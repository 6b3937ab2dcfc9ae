"""Forwards methods to another server, bytes and credentials untouched.

Flyte's clients know one endpoint. Where admin and execution run as separate processes, the admin listener passes the
execution methods on; the execution service authenticates and authorizes the real caller itself.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NoReturn

import grpc

from airspace_server.audit.ledger import Refusal
from airspace_server.core.errors import ApiError, Reason
from airspace_server.rpc.interceptors import MAX_MESSAGE, Method, given_request_id
from airspace_server.rpc.receiving import Receiver
from airspace_server.rpc.server import Handlers
from airspace_server.rpc.status import grpc_code, native, status_of

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


def channel(target: str, roots: bytes | None) -> grpc.Channel:
    """Open a channel to the server that calls are forwarded to; with `roots` (PEM) over TLS."""
    if roots is None:
        return grpc.insecure_channel(target, _OPTIONS)
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(roots), _OPTIONS)


class Forwarder:
    """Passes methods on to another server until `close` is called. It tells `refused` of calls that bring no token."""

    def __init__(self, to: grpc.Channel, refused: Callable[[Refusal, str], None]) -> None:
        self._to = to
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
                stream: Any = grpc.stream_stream_rpc_method_handler(
                    self._stream(method.path, self._to.unary_stream(method.path))
                )
                made.setdefault(service, {})[name] = stream
            else:
                unary: Any = grpc.stream_unary_rpc_method_handler(
                    self._unary(method.path, self._to.unary_unary(method.path))
                )
                made.setdefault(service, {})[name] = unary
        return made

    def close(self) -> None:
        """End every stream with UNAVAILABLE, as the other server does when it closes; other calls run to their end."""
        with self._lock:
            self._closed = True
            streams = list(self._streams)
        for stream in streams:
            stream.cancel()

    def _unary(self, path: str, call: Any) -> Callable[[Iterator[bytes], grpc.ServicerContext], bytes]:
        def behave(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            payload = self._received(path, messages, context)
            try:
                response, made = call.with_call(payload, timeout=_deadline(context), metadata=_passed(context))
            except grpc.RpcError as error:
                _give_back(error, context)
            context.set_trailing_metadata(_only(made.trailing_metadata(), _GIVEN_BACK))
            answer: bytes = response
            return answer

        return behave

    def _received(self, path: str, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """Wait for the call's message, from callers who at least show a token; whether it is good is asked behind."""
        if not any(key == "authorization" for key, _ in context.invocation_metadata() or ()):
            problem = ApiError(Reason.TOKEN_MISSING, "this call needs a bearer token")
            self._refused(Refusal("", path, "", "", "", problem.reason.value), _request_id(context))
            _end(context, problem)
        try:
            return self._receiver.message(messages, context)
        except ApiError as error:
            _end(context, error)

    def _stream(self, path: str, call: Any) -> Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[bytes]]:
        def behave(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            payload = self._received(path, messages, context)
            made = call(payload, timeout=_deadline(context), metadata=_passed(context))
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


def _passed(context: grpc.ServicerContext) -> Metadata:
    return _only(context.invocation_metadata(), _PASSED)


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
    _end(context, ApiError(Reason.UNAVAILABLE, message))


def _request_id(context: grpc.ServicerContext) -> str:
    return given_request_id(dict(context.invocation_metadata() or ())) or uuid.uuid4().hex


def _end(context: grpc.ServicerContext, error: ApiError) -> NoReturn:
    """End a call that the other server did not end, with the caller's request id or one of its own."""
    request_id = _request_id(context)
    status = status_of(error, request_id, native)
    context.set_trailing_metadata(
        (("grpc-status-details-bin", status.SerializeToString()), ("x-request-id", request_id))
    )
    _log.warning("a call was not forwarded", extra={"airspace": {"request_id": request_id, "reason": error.message}})
    context.abort(grpc_code(status), status.message)
