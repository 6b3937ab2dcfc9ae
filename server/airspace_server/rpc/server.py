"""Listeners: binds front doors to the methods of their services and serves them.

Synchronous servers on a thread pool: measured here, threads served more calls for less CPU than asyncio did
(docs/adr/0002-synchronous-server.md). Requests arrive as bytes and are decoded inside the chain, behind authentication.
"""

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from airspace_server.access.call import Call
from airspace_server.access.rules import Guard, Rule, method_path
from airspace_server.certificates import Identity
from airspace_server.core.errors import ApiError, Reason
from airspace_server.rpc.interceptors import (
    MAX_MESSAGE,
    Exchange,
    Guards,
    Handler,
    Method,
    Stopped,
    answer,
    metadata_of,
    request_id_of,
    stop,
    stream,
)
from airspace_server.rpc.rationing import THREADS, Room
from airspace_server.rpc.receiving import Receiver, on_threads, open_threads
from airspace_server.rpc.status import Translate
from airspace_server.rpc.validation import Validator

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.max_metadata_size", 32 * 1024),  # a token may have 16 KiB; flytekit allows 32 KiB both ways
    # flytekit pings every 30 s, also without calls; a server that is not told so sends it away after two minutes.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),  # a second server on the same port is a mistake, not a second server
)


@dataclass(frozen=True, slots=True)
class Tls:
    """Who a listener is.

    With `client_authorities` (PEM) only clients that show a certificate of theirs can connect: grpc's Python server
    asks every client of a port for one, or none.
    """

    identity: Identity
    client_authorities: bytes | None = None


def _credentials(tls: Callable[[], Tls]) -> grpc.ServerCredentials:
    """Make grpc ask `tls` at every new connection. Whether it asks for certificates stays as it is at first."""
    served = tls()

    def configured() -> Any:
        pair = (served.identity.key, served.identity.certificate)
        return grpc.ssl_server_certificate_configuration([pair], served.client_authorities)

    def changed() -> Any:
        nonlocal served
        found = tls()
        if found == served:
            return None
        served = found
        return configured()

    return grpc.dynamic_ssl_server_credentials(configured(), changed, served.client_authorities is not None)


@dataclass(frozen=True, slots=True)
class Service:
    """A service, the front doors whose methods serve it, and how its clients want errors."""

    descriptor: ServiceDescriptor
    doors: Sequence[object]
    translate: Translate


def bind(services: Iterable[Service], rules: Mapping[str, Rule], validator: Validator) -> list[Method]:
    """Bind every method of the services to its rule, its validation and the door that serves it.

    A method that no door has answers UNIMPLEMENTED, to those who may call it. Raises KeyError for one without a rule
    and ValueError when two doors have it.
    """
    methods = []
    for service in services:
        for method in service.descriptor.methods:
            path = method_path(method)
            owners = [door for door in service.doors if hasattr(door, method.name)]
            if len(owners) > 1:
                raise ValueError(f"{path} is served by {len(owners)} front doors")
            handler: Handler = getattr(owners[0], method.name) if owners else _not_served
            methods.append(
                Method(
                    path,
                    GetMessageClass(method.input_type),
                    rules[path],
                    validator.compile(method.input_type),
                    service.translate,
                    handler,
                    method.server_streaming,
                )
            )
    return methods


def _not_served(_request: object, call: Call) -> Any:
    raise ApiError(Reason.NOT_IMPLEMENTED, f"{call.method} is not served", {"method": call.method})


Handlers = Mapping[str, dict[str, "grpc.RpcMethodHandler[bytes, bytes]"]]
"""grpc's handlers, by service and method name."""


def handlers(methods: Iterable[Method], guards: Guards, room: Room) -> Handlers:
    """Make grpc's handlers of methods, for the listener that has this room."""
    receiver, public = Receiver(), open_threads()
    made: dict[str, dict[str, grpc.RpcMethodHandler[bytes, bytes]]] = {}
    for method in methods:
        service, name = method.path[1:].split("/")
        behaviour: Any = (_stream_behaviour if method.streams else _unary_behaviour)(method, guards, room, receiver)
        if method.rule.guard is Guard.PUBLIC:
            behaviour = on_threads(behaviour, public)
        elif method.streams:
            behaviour = on_threads(behaviour, room.stream_threads)
        make: Any = grpc.stream_stream_rpc_method_handler if method.streams else grpc.stream_unary_rpc_method_handler
        made.setdefault(service, {})[name] = make(behaviour)
    return made


Messages = Iterator[bytes]


def _exchange(
    method: Method, guards: Guards, room: Room, receiver: Receiver, messages: Messages, context: grpc.ServicerContext
) -> Exchange:
    metadata = metadata_of(context)
    return Exchange(
        method,
        guards,
        room,
        lambda: receiver.message(messages, context),
        metadata,
        context.is_active,
        lambda: certificate_of(context),
        context.peer,
        request_id_of(metadata),
    )


def certificate_of(context: grpc.ServicerContext) -> bytes | None:
    """Return the certificate (PEM) of a call's connection, which its listener asked for and verified; None without."""
    shown: Any = context.auth_context().get("x509_pem_cert")
    return shown[0] if shown else None


def _unary_behaviour(
    method: Method, guards: Guards, room: Room, receiver: Receiver
) -> Callable[[Messages, grpc.ServicerContext], bytes]:
    def behave(messages: Messages, context: grpc.ServicerContext) -> bytes:
        exchange = _exchange(method, guards, room, receiver, messages, context)
        try:
            response = answer(exchange)
        except Stopped:
            stop(exchange, context)
            raise
        context.set_trailing_metadata((("x-request-id", exchange.request_id),))
        return response

    return behave


def _stream_behaviour(
    method: Method, guards: Guards, room: Room, receiver: Receiver
) -> Callable[[Messages, grpc.ServicerContext], Iterator[bytes]]:
    def behave(messages: Messages, context: grpc.ServicerContext) -> Iterator[bytes]:
        exchange = _exchange(method, guards, room, receiver, messages, context)
        try:
            yield from stream(exchange)
        except Stopped:
            stop(exchange, context)
            raise
        context.set_trailing_metadata((("x-request-id", exchange.request_id),))

    return behave


class Listener:
    """One gRPC server on one address, with reflection and health.

    Those two are open to anyone: they say what the published contract says, and whether the server is up.
    """

    def __init__(
        self,
        address: str,
        handlers: Handlers,
        *,
        tls: Callable[[], Tls] | None = None,
        threads: int = THREADS,
    ) -> None:
        self._server = grpc.server(futures.ThreadPoolExecutor(threads, "grpc"), options=_OPTIONS)
        for service, methods in handlers.items():
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
        self._services = sorted(handlers)
        self._health = health.HealthServicer(
            experimental_non_blocking=True, experimental_thread_pool=futures.ThreadPoolExecutor(2, "health")
        )
        public = open_threads()
        on_threads(health.HealthServicer.Check, public)
        on_threads(reflection.ReflectionServicer.ServerReflectionInfo, public)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        self._report(health_pb2.HealthCheckResponse.NOT_SERVING)
        try:
            self.port = (
                self._server.add_insecure_port(address)
                if tls is None
                else self._server.add_secure_port(address, _credentials(tls))
            )
        except RuntimeError:
            raise OSError(errno.EADDRINUSE, f"cannot listen on {address}") from None

    def start(self) -> None:
        """Begin to serve; every service reports SERVING from here on."""
        self._server.start()
        self._report(health_pb2.HealthCheckResponse.SERVING)

    def stop(self, grace: float) -> None:
        """Report NOT_SERVING, take no new calls, let running ones end for `grace` seconds, then cut them off."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace).wait()

    def _report(self, status: Any) -> None:
        for service in ("", *self._services):
            self._health.set(service, status)
