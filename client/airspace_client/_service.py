"""How calls are made: with a token, within a deadline, and again when that is safe.

What is safe is read from the contract. A call that failed with UNAVAILABLE is repeated when its RPC has no side
effects, when its request has a `request_id` (filled here) or when the contract says that repeating changes nothing.
Nothing else is ever repeated, except once after UNAUTHENTICATED with a new token: such a call did nothing.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias, cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

from airspace_client._auth import Token, TokenSource
from airspace_client._errors import ERRORS, AirspaceError, Unauthenticated, Unavailable

ERROR_DOMAIN: Final = "airspace"
"""The domain of the ErrorInfo of every error that an Airspace server gives."""
PAGE_SIZE: Final = 200
"""How many things a list asks for at once."""
CALL_REPEATS: Final = 5
"""How often a call is repeated at most: about 3 seconds in all."""
STREAM_REPEATS: Final = 10
"""How often a stream is taken up again without any progress: about 26 seconds, enough for a server to restart."""
# Stubs have no types; the methods that call RPCs by name say what they send and get.
Request: TypeAlias = Any
Response: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Transport:
    """Where a client's calls go, as whom, and how long one may take, in seconds."""

    target: str
    channel: grpc.Channel
    credentials: TokenSource | None
    timeout: float


class Service:
    """One service of the contract: its raw stub, and its calls with all that this module promises."""

    def __init__(
        self, transport: Transport, descriptor: ServiceDescriptor, stub: Callable[[grpc.Channel], object]
    ) -> None:
        self.stub = stub(transport.channel)
        self._transport = transport
        self._rpcs = descriptor.methods_by_name

    def call(self, rpc: str, request: Request) -> Response:
        """Call a unary RPC. Raises the AirspaceError of the last attempt."""
        keyed = "request_id" in request.DESCRIPTOR.fields_by_name
        if keyed and not request.request_id:
            request.request_id = str(uuid.uuid4())
        method = getattr(self.stub, rpc)
        attempts = _Attempts(
            self._transport,
            repeats=CALL_REPEATS if keyed or self._repeatable(rpc) else 0,
            timeout=self._transport.timeout,
        )
        while True:
            try:
                return method(request, **attempts.arguments())
            except grpc.RpcError as error:
                attempts.recover(error_of(error, self._transport.target))
            except AirspaceError as error:  # no token
                attempts.recover(error)

    def pages(self, rpc: str, request: Request, items: str) -> Iterator[Any]:
        """Call a list RPC page by page, as the items are asked for."""
        request.page_size = PAGE_SIZE
        while True:
            page = self.call(rpc, request)
            yield from getattr(page, items)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def stream(
        self, rpc: str, request: Request, seen: Callable[[Response], None], timeout: float | None
    ) -> Iterator[Response]:
        """Call a streaming read, and take it up again where it broke.

        `seen` gets each response before it is given out, and changes `request` so that it asks for what comes after.
        """
        method = getattr(self.stub, rpc)
        attempts = _Attempts(self._transport, repeats=STREAM_REPEATS, timeout=timeout)
        while True:
            call = None
            try:
                call = method(request, **attempts.arguments())
                for response in call:
                    attempts.progressed()
                    seen(response)
                    yield response
            except grpc.RpcError as error:
                attempts.recover(error_of(error, self._transport.target))
            except AirspaceError as error:  # no token
                attempts.recover(error)
            else:
                return
            finally:
                if call is not None:
                    call.cancel()  # the caller may have gone away in the middle

    def _repeatable(self, rpc: str) -> bool:
        """Tell whether the contract says that repeating a call changes nothing."""
        return self._rpcs[rpc].GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN


class _Attempts:
    """The attempts at one call: what each is made with, and whether there is another one."""

    def __init__(self, transport: Transport, *, repeats: int, timeout: float | None) -> None:
        self._credentials = transport.credentials
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._repeats = repeats
        self._token: Token | None = None
        self.progressed()

    def progressed(self) -> None:
        """Start counting again: the call has got somewhere."""
        self._delays = islice(delays(random.random), self._repeats)
        self._renewed = False

    def arguments(self) -> dict[str, Any]:
        """Return what the next attempt is made with. Raises what the token source raises."""
        self._token = None
        if self._credentials is not None:
            self._token = self._credentials.token()
        return {"metadata": bearer(self._token), "timeout": self._remaining()}

    def recover(self, error: AirspaceError) -> None:
        """Make ready for another attempt, or raise the error."""
        if isinstance(error, Unauthenticated) and self._replace_token():
            return
        if isinstance(error, Unavailable) and (delay := next(self._delays, None)) is not None:
            remaining = self._remaining()
            if remaining is None or delay < remaining:
                time.sleep(delay)
                return
        raise error

    def _replace_token(self) -> bool:
        if self._credentials is None or self._token is None or self._renewed:
            return False
        self._renewed = True
        return self._credentials.renew(self._token) is not None

    def _remaining(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())


def delays(chance: Callable[[], float]) -> Iterator[float]:
    """Yield the seconds to wait before each repeat: doubling from 0.1 to 5, each cut by `chance` to no less than half.

    The cut keeps clients that failed together from coming back together.
    """
    delay = 0.1
    while True:
        yield delay * (1 + chance()) / 2
        delay = min(2 * delay, 5.0)


def bearer(token: Token | None) -> tuple[tuple[str, str], ...]:
    """Return the metadata that carries a token."""
    return () if token is None else (("authorization", f"Bearer {token.value}"),)


def error_of(error: grpc.RpcError, target: str) -> AirspaceError:
    """Turn a failed call into its exception: by the code, with what ErrorInfo and BadRequest say."""
    code, message = error.code().name, error.details() or ""
    info, field = _details(error)
    if info is None:  # not an answer of Airspace: say at least who gave it
        return ERRORS[code](f"{target}: {message}", code=code)
    return ERRORS[code](
        message,
        code=code,
        reason=info.reason,
        metadata=info.metadata,
        field=field or info.metadata.get("field", ""),
        request_id=info.metadata.get("request_id", ""),
    )


def _details(error: grpc.RpcError) -> tuple[ErrorInfo | None, str]:
    try:
        status = rpc_status.from_call(cast("grpc.Call", error))  # a failed call is both
    except (ValueError, DecodeError):  # something between here and the server has changed one half of it
        status = None
    info, field = None, ""
    for detail in status.details if status is not None else ():
        if detail.Is(ErrorInfo.DESCRIPTOR):
            said = ErrorInfo.FromString(detail.value)
            info = said if said.domain == ERROR_DOMAIN else info
        elif detail.Is(BadRequest.DESCRIPTOR):
            violations = BadRequest.FromString(detail.value).field_violations
            field = violations[0].field if violations else ""
    return info, field
