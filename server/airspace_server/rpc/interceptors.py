"""What every call goes through, in one visible order.

    AROUND   telemetry, log, errors   see the call begin and end
             rationed                 finds out whom it names, and gives it a place until it ends
    BEFORE   confirm, decode, authorize, count, validate   run in this order and stop the call by raising ApiError

Then the handler runs. Nothing else authorizes, nothing else makes a status. A request is decoded only for a caller
whose identity is known, and validated only for one who may make the call, so that nobody else learns from an answer.
"""

import contextlib
import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status
from opentelemetry import metrics, propagate, trace
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from airspace_server.access.call import Call
from airspace_server.access.decide import Grants, Need, Visible, first_missing, visible
from airspace_server.access.identity import ANONYMOUS, Principal
from airspace_server.access.rules import Guard, Rule
from airspace_server.audit.ledger import Actor, Refusal, acting
from airspace_server.core.errors import ApiError, Code, Reason
from airspace_server.core.scope import ANY
from airspace_server.rpc.rationing import Rates, Room
from airspace_server.rpc.status import Translate, end, native, status_of
from airspace_server.rpc.validation import Check

MAX_MESSAGE: Final = 20 * 1024 * 1024
"""Largest message in bytes, both ways: what flytekit accepts."""

_log: Final = logging.getLogger("airspace.rpc")
_tracer: Final = trace.get_tracer("airspace_server")
_duration: Final = metrics.get_meter("airspace_server").create_histogram(
    "rpc.server.duration", unit="ms", description="How long calls took, by method and code."
)
_refused: Final = metrics.get_meter("airspace_server").create_counter(
    "rpc.server.refused", description="Calls that were refused because there were too many, by method and limit."
)
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNFORESEEN: Final = ApiError(Reason.INTERNAL, "internal error; the request id finds it in the server's log")
_MAX_SCOPE: Final = 127  # two names of 63 characters and a slash; what is longer was not validated yet

REFUSED: Final = frozenset({Code.PERMISSION_DENIED, Code.UNAUTHENTICATED})
"""How calls end that the audit has, because of who made them."""
RATIONED: Final = frozenset({Reason.TOO_MANY_CALLS, Reason.TOO_MANY_STREAMS})
"""Why calls end that metrics count as refused, because of how many there are."""

Handler = Callable[[Any, Call], Any]
"""Answers a request: with a message, or for a stream with an iterator of messages."""


@dataclass(frozen=True, slots=True)
class Method:
    """All that the chain knows about an RPC."""

    path: str
    request: type[Message]
    rule: Rule
    validate: Check
    translate: Translate
    handler: Handler
    streams: bool = False


@dataclass(frozen=True, slots=True)
class Guards:
    """What the chain asks: whom a call names, who that is, and what the policy says now.

    These raise ApiError when they cannot tell. It tells `refused` of every call that ends because of who made it, and
    `used` of what calls asked for; `rates` are how fast calls may come.
    """

    identify: Callable[[str | None, Callable[[], bytes | None]], Principal]
    confirm: Callable[[Principal], Principal]
    grants: Callable[[], Grants]
    refused: Callable[[Refusal, str], None]
    used: Callable[[Principal, str, Sequence[Need]], None]
    rates: Rates


class Stopped(Exception):  # noqa: N818 -- not an error of this program: the call ends with a status
    """Ends a call with the status that its exchange holds."""


@dataclass(slots=True)
class Exchange:
    """One call on its way through the chain."""

    method: Method
    guards: Guards
    room: Room
    receive: Callable[[], bytes]
    metadata: Mapping[str, str | bytes]
    active: Callable[[], bool]
    certificate: Callable[[], bytes | None]
    connection: Callable[[], str]
    request_id: str
    principal: Principal = ANONYMOUS
    request: Any = None
    grants: Grants = field(default_factory=Grants)
    needs: tuple[Need, ...] = ()
    missing: Need | None = None
    visible: Visible | None = None
    status: Status | None = None
    reason: str = ""

    @property
    def call(self) -> Call:
        """What the handler is told."""
        return Call(
            self.method.path,
            self.principal,
            self.request_id,
            self.grants,
            self.active,
            self.recheck,
            self.visible,
        )

    def actor(self) -> Actor:
        """Say on whose behalf the handler works."""
        permission = self.needs[0].permission.value if self.needs else ""
        return Actor(self.principal.member, self.method.path, permission, self.request_id, self.origin)

    @property
    def origin(self) -> str:
        """Whose rights the caller acts with, where that is another."""
        return "" if self.principal.launcher is None else self.principal.launcher.member

    def refusal(self, problem: ApiError) -> Refusal:
        """Say what was refused, for the audit."""
        known = self.principal is not ANONYMOUS
        first = self.needs[0] if known and self.needs else None
        need = self.missing or first
        return Refusal(
            self.principal.member if known else "",
            self.method.path,
            need.permission.value if need else "",
            need.target.project if need else "",
            need.target.domain if need else "",
            problem.reason.value,
            self.origin,
        )

    def recheck(self) -> None:
        """Authenticate and authorize the call once more, with the token's age and the policy of now."""
        if self.method.rule.guard is not Guard.PUBLIC:
            self.principal = self.identify()
            confirm(self)
        authorize(self)

    def identify(self) -> Principal:
        """Find out whom the call names. Raises ApiError."""
        header = self.metadata.get("authorization")
        return self.guards.identify(header if isinstance(header, str) else None, self.certificate)


# --- around the call


@contextlib.contextmanager
def telemetry(exchange: Exchange) -> Iterator[None]:
    """Give the call a span and count its time, by method and code: never by tenant, whose ids know no bound.

    The span belongs to the trace that the caller began, if it says so (W3C trace context).
    """
    started = time.perf_counter()
    name, kind = exchange.method.path[1:], trace.SpanKind.SERVER
    context = propagate.extract(exchange.metadata) if "traceparent" in exchange.metadata else None
    span = _tracer.start_span(name, context, kind)  # nothing in here makes spans: it need not be the current one
    try:
        yield
    finally:
        code = exchange.status.code if exchange.status else 0
        if span.is_recording():
            span.set_attributes(
                {"rpc.system": "grpc", "rpc.grpc.status_code": code, "airspace.request_id": exchange.request_id}
            )
            if code:
                span.set_status(trace.StatusCode.ERROR, exchange.reason)
        span.end()
        _duration.record((time.perf_counter() - started) * 1000, {"rpc.method": exchange.method.path, "code": code})


def metadata_of(context: grpc.ServicerContext) -> dict[str, str | bytes]:
    """Return what goes with a call. Values of one key are joined by commas, as gRPC has it: so two tokens are none."""
    found: dict[str, Any] = {}
    for key, value in context.invocation_metadata() or ():
        if key in found:
            value = found[key] + ("," if isinstance(value, str) else b",") + value
        found[key] = value
    return found


def request_id_of(metadata: Mapping[str, str | bytes]) -> str:
    """Return the request id that the caller gave its call, if it is a good one, or else a new one."""
    given = metadata.get("x-request-id")
    if isinstance(given, str) and _REQUEST_ID.fullmatch(given):
        return given
    return f"{random.getrandbits(128):032x}"


@contextlib.contextmanager
def log(exchange: Exchange) -> Iterator[None]:
    """Write one line about the call when it ends.

    The line says who called what where and how it ended; never what was in the request or the answer.
    """
    started = time.perf_counter()
    try:
        yield
    finally:
        if _log.isEnabledFor(logging.INFO):
            _log.info(
                "call",
                extra={
                    "airspace": {
                        "request_id": exchange.request_id,
                        "method": exchange.method.path,
                        "principal": exchange.principal.member,
                        "scopes": [str(need.target)[:_MAX_SCOPE] for need in exchange.needs],
                        "code": exchange.status.code if exchange.status else 0,
                        "reason": exchange.reason,
                        "ms": round((time.perf_counter() - started) * 1000, 2),
                    }
                },
            )


def count_rationed(method: str, problem: ApiError) -> None:
    """Count a call that was refused because there were too many: by method and limit, never by tenant."""
    _refused.add(1, {"rpc.method": method, "limit": problem.metadata.get("limit", "streams_in_all")})


def told(error: Exception, request_id: str) -> ApiError:
    """Say what a caller is told of an exception; what is not meant for callers is logged and becomes a fixed text."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, DecodeError | RecursionError):
        return ApiError(Reason.MALFORMED_MESSAGE, "something in the request is nested too deeply")
    extra = {"airspace": {"request_id": request_id}}
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        _log.error("the database cannot be used", exc_info=error, extra=extra)
        return ApiError(Reason.UNAVAILABLE, "a part of the server cannot be reached; try again")
    _log.error("a call failed", exc_info=error, extra=extra)
    return _UNFORESEEN


@contextlib.contextmanager
def errors(exchange: Exchange) -> Iterator[None]:
    """Turn whatever is raised into a status: what is known by its reason, everything else into fixed texts."""
    try:
        yield
    except Exception as error:
        problem = told(error, exchange.request_id)
    else:
        return
    exchange.reason = problem.reason.value
    if problem.code in REFUSED:
        exchange.guards.refused(exchange.refusal(problem), exchange.request_id)
    if problem.reason in RATIONED:
        count_rationed(exchange.method.path, problem)
    try:
        exchange.status = status_of(problem, exchange.request_id, exchange.method.translate)
    except Exception:
        _log.exception("an error cannot be said", extra={"airspace": {"request_id": exchange.request_id}})
        exchange.reason = _UNFORESEEN.reason.value
        exchange.status = status_of(_UNFORESEEN, exchange.request_id, native)
    raise Stopped


@contextlib.contextmanager
def rationed(exchange: Exchange) -> Iterator[None]:
    """Find out whom the call names and count it; only public methods go without, which have threads of their own.

    A call has its place until it ends, also while its message is waited for.
    """
    rates = exchange.guards.rates
    if exchange.method.rule.guard is Guard.PUBLIC:
        rates.count_nobody(exchange.connection())
        yield
        return
    exchange.principal = rates.identified(exchange.identify, exchange.connection)
    give_back = exchange.room.take(exchange.principal, streams=exchange.method.streams)
    try:
        rates.count(exchange.principal)
        yield
    finally:
        give_back()


# --- before the handler


def confirm(exchange: Exchange) -> None:
    """Find out who calls: of an execution, whether it runs and on whose behalf."""
    if exchange.method.rule.guard is not Guard.PUBLIC:
        exchange.principal = exchange.guards.confirm(exchange.principal)


def decode(exchange: Exchange) -> None:
    """Wait for the request's bytes and read them."""
    try:
        exchange.request = exchange.method.request.FromString(exchange.receive())
    except DecodeError:
        name = exchange.method.request.DESCRIPTOR.full_name
        raise ApiError(Reason.MALFORMED_MESSAGE, f"the bytes are no {name}", {"message": name}) from None


def authorize(exchange: Exchange) -> None:
    """Let the call pass if the caller holds all that its rule requires, in the scopes that its request names."""
    rule = exchange.method.rule
    if rule.guard is Guard.PUBLIC:
        return
    exchange.grants = exchange.guards.grants()
    if rule.guard is Guard.REQUIRE:
        exchange.needs = tuple(requirement.need(exchange.request) for requirement in rule.requirements)
        exchange.guards.used(exchange.principal, exchange.method.path, exchange.needs)
        exchange.missing = first_missing(exchange.principal, exchange.needs, exchange.grants)
        if exchange.missing is not None:
            raise denial(exchange.missing)
    elif rule.filter is not None:
        exchange.visible = visible(exchange.principal, rule.filter, exchange.grants)


def count(exchange: Exchange) -> None:
    """Count the call to the projects that it is about; only here: who may not call uses up nothing of theirs."""
    projects = {need.target.project for need in exchange.needs}
    for project in projects - {ANY}:
        exchange.guards.rates.count_project(project)


def validate(exchange: Exchange) -> None:
    """Check the request's fields against the contract."""
    exchange.method.validate(exchange.request, "")


def encode(response: Message) -> bytes:
    """Write an answer down. Raises TOO_LARGE for what no client would accept, which grpc would not say so clearly."""
    encoded = response.SerializeToString()
    if len(encoded) > MAX_MESSAGE:
        raise ApiError(
            Reason.TOO_LARGE,
            f"the answer has more than {MAX_MESSAGE} bytes; a list is shorter with a smaller page",
            {"limit": str(MAX_MESSAGE)},
        )
    return encoded


def denial(missing: Need) -> ApiError:
    """Say what is missing and where. It reads the same whether or not anything is there."""
    permission, scope = missing.permission.value, str(missing.target)
    return ApiError(
        Reason.PERMISSION_MISSING,
        f"this needs {permission} in {scope}",
        {"permission": permission, "scope": scope},
    )


AROUND: Final[tuple[Callable[[Exchange], AbstractContextManager[None]], ...]] = (telemetry, log, errors, rationed)
BEFORE: Final[tuple[Callable[[Exchange], None], ...]] = (confirm, decode, authorize, count, validate)


def answer(exchange: Exchange) -> bytes:
    """Take a call with one answer through the chain. Raises Stopped when it ends with a status."""
    telemetry_, log_, errors_, rationed_ = (around(exchange) for around in AROUND)
    with telemetry_, log_, errors_, rationed_:
        for step in BEFORE:
            step(exchange)
        with acting(exchange.actor):
            return encode(exchange.method.handler(exchange.request, exchange.call))


def stream(exchange: Exchange) -> Iterator[bytes]:
    """Take a call with a stream of answers through the same chain. Raises Stopped when it ends with a status."""
    telemetry_, log_, errors_, rationed_ = (around(exchange) for around in AROUND)
    with telemetry_, log_, errors_, rationed_:
        for step in BEFORE:
            step(exchange)
        answers = iter(exchange.method.handler(exchange.request, exchange.call))
        while True:
            with acting(exchange.actor):  # around each step: a generator runs in the context of who asks it
                response = next(answers, None)
            if response is None:
                return
            yield encode(response)


def stop(exchange: Exchange, context: grpc.ServicerContext) -> None:
    """End the call on the wire with the exchange's status. Raises, as grpc's abort does."""
    status = exchange.status
    if status is None:
        raise RuntimeError("a call was stopped without a status")
    end(context, status, exchange.request_id)
