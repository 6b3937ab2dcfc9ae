"""What the native front doors of every wing share: between the contract's messages and the domain's words."""

from collections.abc import Iterator, Mapping, Sequence
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
    """Return the message in an Any.

    Raises INVALID_FIELD when it is of another type or unreadable, or has text with a NUL character, which the chain
    refuses everywhere else: it does not look into an Any.
    """
    body = kind()
    try:
        fits = packed.Unpack(body)
    except DecodeError:
        fits = False
    if not fits:
        raise invalid_field(path, f"must hold a {kind.DESCRIPTOR.full_name}")
    if b"\0" in packed.value:
        for place, text in _texts(body, path):
            if "\0" in text:
                raise invalid_field(place, "must not contain a NUL character")
    return body


def _texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Give every text in a message, or in a part of one, and where it is."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Message):
        for field, part in value.ListFields():
            yield from _texts(part, f"{path}.{field.name}")
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _texts(key, path)
            yield from _texts(part, path)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for place, part in enumerate(value):
            yield from _texts(part, f"{path}[{place}]")


def packed(body: Message) -> AnyMessage:
    """Return a message in an Any."""
    wrapped = AnyMessage()
    wrapped.Pack(body)
    return wrapped
