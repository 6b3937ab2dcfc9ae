"""Forwards methods to another server, bytes and credentials untouched.

Flyte's clients know one endpoint. Where admin and execution run as separate processes, the admin listener passes the
execution methods on; the execution service authenticates and authorizes the real caller itself.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import grpc

from airspace_server.core.errors import ApiError, Reason
from airspace_server.rpc.interceptors import Method
from airspace_server.rpc.server import MAX_MESSAGE, Handlers
from airspace_server.rpc.status import grpc_code, native, status_of

_PASSED: Final = frozenset({"authorization", "x-request-id", "traceparent", "tracestate"})
_GIVEN_BACK: Final = frozenset({"grpc-status-details-bin", "x-request-id"})

Metadata = tuple[tuple[str, str | bytes], ...]


def channel(target: str, roots: bytes | None) -> grpc.Channel:
    """Open a channel to the server that calls are forwarded to; with `roots` (PEM) over TLS."""
    options = (("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE))
    if roots is None:
        return grpc.insecure_channel(target, options)
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(roots), options)


def forwarders(methods: Sequence[Method], to: grpc.Channel) -> Handlers:
    """Make handlers that pass these methods on."""
    made: dict[str, dict[str, grpc.RpcMethodHandler[bytes, bytes]]] = {}
    for method in methods:
        service, name = method.path[1:].split("/")
        if method.streams:
            stream: Any = grpc.unary_stream_rpc_method_handler(_stream(to.unary_stream(method.path)))
            made.setdefault(service, {})[name] = stream
        else:
            unary: Any = grpc.unary_unary_rpc_method_handler(_unary(to.unary_unary(method.path)))
            made.setdefault(service, {})[name] = unary
    return made


def _unary(call: Any) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    def behave(payload: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            response, made = call.with_call(payload, timeout=context.time_remaining(), metadata=_passed(context))
        except grpc.RpcError as error:
            _give_back(error, context)
            raise
        context.set_trailing_metadata(_only(made.trailing_metadata(), _GIVEN_BACK))
        answer: bytes = response
        return answer

    return behave


def _stream(call: Any) -> Callable[[bytes, grpc.ServicerContext], Iterator[bytes]]:
    def behave(payload: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        made = call(payload, timeout=context.time_remaining(), metadata=_passed(context))
        context.add_callback(made.cancel)  # whoever stops listening here stops it there
        try:
            yield from made
        except grpc.RpcError as error:
            _give_back(error, context)
            raise

    return behave


def _passed(context: grpc.ServicerContext) -> Metadata:
    return _only(context.invocation_metadata(), _PASSED)


def _only(metadata: Any, keys: frozenset[str]) -> Metadata:
    return tuple((key, value) for key, value in metadata or () if key in keys)


def _give_back(error: Any, context: grpc.ServicerContext) -> None:
    """End the call as the other server ended it; what grpc says itself of a broken connection stays in here."""
    details = _only(error.trailing_metadata(), _GIVEN_BACK)
    if any(key == "grpc-status-details-bin" for key, _ in details):
        context.set_trailing_metadata(details)
        context.abort(error.code(), error.details())
    if error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        context.abort(error.code(), "the caller's deadline is over")
    status = status_of(ApiError(Reason.UNAVAILABLE, "the execution service cannot be reached; try again"), "", native)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc_code(status), status.message)
