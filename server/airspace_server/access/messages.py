"""What the native front doors of every wing share: between the contract's messages and the domain's words."""

from typing import TypeVar

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from airspace.type.v1 import identifiers_pb2
from airspace_server.core.errors import invalid_field
from airspace_server.core.scope import Scope

Body = TypeVar("Body", bound=Message)


def scope_of(message: identifiers_pb2.Scope) -> Scope:
    """Read a scope."""
    return Scope(message.project, message.domain)


def scope_message(scope: Scope) -> identifiers_pb2.Scope:
    """Write a scope."""
    return identifiers_pb2.Scope(project=scope.project, domain=scope.domain)


def timestamp(microseconds: int) -> Timestamp:
    """Write a time of ours."""
    stamp = Timestamp()
    stamp.FromMicroseconds(microseconds)
    return stamp


def unpacked(packed: AnyMessage, kind: type[Body], path: str) -> Body:
    """Return the message in an Any. Raises INVALID_FIELD when it is of another type or unreadable."""
    body = kind()
    try:
        fits = packed.Unpack(body)
    except DecodeError:
        fits = False
    if not fits:
        raise invalid_field(path, f"must hold a {kind.DESCRIPTOR.full_name}")
    return body


def packed(body: Message) -> AnyMessage:
    """Return a message in an Any."""
    wrapped = AnyMessage()
    wrapped.Pack(body)
    return wrapped
