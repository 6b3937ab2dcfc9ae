"""Moves what is compiled to another domain: the same content, but for where it says that it is. Pure."""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from flyteidl.core import artifact_id_pb2, identifier_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from airspace_server.core.errors import ApiError, Reason

Body = TypeVar("Body", bound=Message)
Relocate = Callable[[str, str], str]

_IDENTIFIER: Final = identifier_pb2.Identifier.DESCRIPTOR
_ARTIFACT_KEY: Final = artifact_id_pb2.ArtifactKey.DESCRIPTOR
_ANY: Final = AnyMessage.DESCRIPTOR


def moved(body: Body, source: str, target: str, relocate: Relocate) -> Body:
    """Return a copy of a message in which every identifier of the domain `source` is of the domain `target`.

    Projects stay: a reference to another project leads to what that one has in the target domain. Every other text is
    given to `relocate` with its path, which returns what stands there instead.

    Raises FOREIGN_REFERENCE for what leads into the source and cannot be rewritten, because nobody here can say what
    reads it: a key of a map, bytes, or a field that this server does not know, in which `relocate` would change
    something; an artifact that is named by its domain; a message of any kind.
    """
    copy = _copy(body)
    for message, path in _messages(copy, ""):
        if message.DESCRIPTOR is _IDENTIFIER:
            if message.domain == source:
                message.domain = target
        elif message.DESCRIPTOR is _ANY or (message.DESCRIPTOR is _ARTIFACT_KEY and message.domain == source):
            raise _foreign(path, source)
        else:
            _rewrite(message, path, relocate)
            for text, place in _fixed(message, path):
                if relocate(text, place) != text:
                    raise _foreign(place, source)
    return copy


def alike_everywhere(body: Body) -> Body:
    """Return a copy of a message that is the same for two versions with the same content, in whatever domains."""
    copy = _copy(body)
    for message, _ in _messages(copy, ""):
        if message.DESCRIPTOR is _IDENTIFIER:
            message.ClearField("domain")
            message.ClearField("version")
    return copy


def _copy(body: Body) -> Body:
    copy = type(body)()
    copy.CopyFrom(body)
    return copy


def _foreign(path: str, domain: str) -> ApiError:
    return ApiError(
        Reason.FOREIGN_REFERENCE,
        f"{path} may lead into {domain}, and nothing can be put in its place",
        {"reference": domain, "field": path},
    )


def _messages(message: Any, path: str) -> Iterator[tuple[Any, str]]:
    """Give a message and every message in it, with their paths."""
    yield message, path
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        place = _join(path, field.name)
        if not field.is_repeated:
            yield from _messages(value, place)
        elif field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for key, each in value.items():
                    yield from _messages(each, f"{place}[{key}]")
        else:
            for number, each in enumerate(value):
                yield from _messages(each, f"{place}[{number}]")


def _rewrite(message: Any, path: str, relocate: Relocate) -> None:
    """Rewrite the texts of a message itself."""
    for field, value in message.ListFields():
        place = _join(path, field.name)
        if field.message_type is not None:
            entry = field.message_type
            if entry.GetOptions().map_entry and entry.fields_by_name["value"].type == FieldDescriptor.TYPE_STRING:
                for key, each in list(value.items()):
                    value[key] = relocate(each, f"{place}[{key}]")
        elif field.type == FieldDescriptor.TYPE_STRING:
            if field.is_repeated:
                value[:] = [relocate(each, f"{place}[{number}]") for number, each in enumerate(value)]
            else:
                setattr(message, field.name, relocate(value, place))


def _fixed(message: Any, path: str) -> Iterator[tuple[str, str]]:
    """Give what of a message itself may be an address and is no text that stands by itself."""
    for field, value in message.ListFields():
        place = _join(path, field.name)
        if field.type == FieldDescriptor.TYPE_BYTES:
            yield _text(value), place
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            yield from ((str(key), f"{place}[{key}]") for key in value)
    unknown = UnknownFieldSet(message)
    for number in range(len(unknown)):
        if isinstance(unknown[number].data, bytes):
            yield _text(unknown[number].data), _join(path, str(unknown[number].field_number))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
