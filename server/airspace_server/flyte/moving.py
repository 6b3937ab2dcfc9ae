"""Moves what is compiled to another domain: the same content, but for where it says that it is. Pure."""

from collections.abc import Callable, MutableMapping, MutableSequence
from typing import Any, Final, TypeVar

from flyteidl.core import identifier_pb2
from google.protobuf.message import Message

Body = TypeVar("Body", bound=Message)
Relocate = Callable[[str, str], str]

_IDENTIFIER: Final = identifier_pb2.Identifier.DESCRIPTOR.full_name


def moved(body: Body, source: str, target: str, relocate: Relocate) -> Body:
    """Return a copy of a message in which every identifier of the domain `source` is of the domain `target`.

    Projects stay: a reference to another project leads to what that one has in the target domain. Every other text is
    given to `relocate` with its path, which returns what stands there instead.
    """

    def move(identifier: identifier_pb2.Identifier) -> None:
        if identifier.domain == source:
            identifier.domain = target

    return _copied(body, move, relocate)


def without_versions(body: Body) -> Body:
    """Return a copy of a message that is the same for two versions with the same content."""

    def forget(identifier: identifier_pb2.Identifier) -> None:
        identifier.version = ""

    return _copied(body, forget, lambda text, _: text)


def _copied(body: Body, name: Callable[[identifier_pb2.Identifier], None], relocate: Relocate) -> Body:
    copy = type(body)()
    copy.CopyFrom(body)
    _walk(copy, name, relocate, "")
    return copy


def _walk(message: Any, name: Callable[[identifier_pb2.Identifier], None], relocate: Relocate, path: str) -> None:
    if message.DESCRIPTOR.full_name == _IDENTIFIER:
        name(message)
        return

    def of(value: Any, place: str) -> Any:
        if isinstance(value, str):
            return relocate(value, place)
        if isinstance(value, Message):
            _walk(value, name, relocate, place)
        return value

    for field, value in message.ListFields():
        place = f"{path}.{field.name}" if path else field.name
        if isinstance(value, str):
            setattr(message, field.name, of(value, place))
        elif isinstance(value, Message):  # before mappings: a Struct is both
            of(value, place)
        elif isinstance(value, MutableMapping):
            for key, each in list(value.items()):
                changed = of(each, f"{place}[{key}]")
                if isinstance(each, str):
                    value[key] = changed
        elif isinstance(value, MutableSequence):
            for number, each in enumerate(value):
                changed = of(each, f"{place}[{number}]")
                if isinstance(each, str):
                    value[number] = changed
