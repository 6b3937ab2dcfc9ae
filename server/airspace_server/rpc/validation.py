"""Checks requests against the rules that the contract gives for their fields.

Compiled once for each message type. Three options of our own instead of protovalidate, which brings an expression
language and copies every message (docs/adr/0003-validation.md).
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from airspace.options.v1 import options_pb2
from airspace_server.core import names
from airspace_server.core.errors import ApiError, Reason, invalid_field
from airspace_server.core.scope import ANY

_RULES: Final[Any] = options_pb2.rules

FORMATS: Final[Mapping[int, Callable[[str], str | None]]] = {
    options_pb2.FORMAT_PROJECT: names.project,
    options_pb2.FORMAT_DOMAIN: names.domain,
    options_pb2.FORMAT_ENTITY: names.entity,
    options_pb2.FORMAT_VERSION: names.version,
    options_pb2.FORMAT_EXECUTION: names.execution,
    options_pb2.FORMAT_UUID: names.canonical_uuid,
    options_pb2.FORMAT_MEMBER: names.member,
    options_pb2.FORMAT_ACCOUNT: names.account,
    options_pb2.FORMAT_PROJECT_OR_ANY: names.project_or_any,
    options_pb2.FORMAT_DOMAIN_OR_ANY: names.domain_or_any,
    options_pb2.FORMAT_ENTITY_OR_ANY: names.entity_or_any,
    options_pb2.FORMAT_OTHER_PROJECT: names.project,
}
"""The rule of each format."""

Check = Callable[[Any, str], None]
"""Checks a value that stands at a path; raises ApiError."""


class Validator:
    """Checks requests. `domains` are the server's: a field that names another one is refused."""

    def __init__(self, domains: Collection[str]) -> None:
        self._domains = frozenset(domains)
        self._listed = ",".join(domains)
        self._compiled: dict[str, Check] = {}

    def compile(self, message: Descriptor) -> Check:
        """Return the check of a message type. Raises ValueError for a rule that no field of this kind can have."""
        known = self._compiled.get(message.full_name)
        if known is not None:
            return known
        checks: list[tuple[str, Check]] = []

        def check(value: Any, path: str) -> None:
            prefix = f"{path}." if path else ""
            for name, own in checks:
                own(value, prefix + name)

        self._compiled[message.full_name] = check  # before its fields: a message may contain itself
        for field in message.fields:
            checks.extend((field.name, own) for own in self._field(field))
        return check

    def _field(self, field: FieldDescriptor) -> Iterator[Check]:
        rules = field.GetOptions().Extensions[_RULES]
        name = field.name
        if rules.required:
            yield _required(field)
        if rules.max:
            yield _longest(name, rules.max)
        one = self._value(field, rules.format)
        if one is None:
            return
        if field.is_repeated and field.message_type is not None and field.message_type.GetOptions().map_entry:
            keys, values = (self._value(part, 0) for part in field.message_type.fields)
            yield _each_entry(name, keys, values)
        elif field.is_repeated:
            yield _each(name, one)
        elif field.message_type is not None:
            yield _inside(name, one)
        else:
            yield _scalar(name, one)

    def _value(self, field: FieldDescriptor, wanted: int) -> Check | None:
        if field.type == FieldDescriptor.TYPE_STRING:
            if wanted in (options_pb2.FORMAT_DOMAIN, options_pb2.FORMAT_DOMAIN_OR_ANY):
                return self._domain(FORMATS[wanted])
            return _format(FORMATS[wanted]) if wanted else _plain_text
        if wanted:
            raise ValueError(f"{field.full_name} has a format and is no string")
        if field.enum_type is not None:
            return _known(frozenset(field.enum_type.values_by_number))
        # Google's own types have no rules of ours; Struct and Any are read by those who know what must be in them.
        if field.message_type is not None and not field.message_type.full_name.startswith("google."):
            return self.compile(field.message_type)
        return None

    def _domain(self, well_formed: Callable[[str], str | None]) -> Check:
        def check(value: str, path: str) -> None:
            if not value:
                return
            problem = well_formed(value)
            if problem:
                raise invalid_field(path, problem)
            if value != ANY and value not in self._domains:
                raise ApiError(
                    Reason.UNKNOWN_DOMAIN,
                    f"{path} is {value!r}; this server's domains are {self._listed}",
                    {"field": path, "domain": value, "domains": self._listed},
                    path,
                )

        return check


def _required(field: FieldDescriptor) -> Check:
    name = field.name
    if field.message_type is not None and not field.is_repeated:

        def set_message(owner: Message, path: str) -> None:
            if not owner.HasField(name):
                raise invalid_field(path, "is required")

        return set_message

    def not_empty(owner: Message, path: str) -> None:
        if not getattr(owner, name):
            raise invalid_field(path, "is required")

    return not_empty


def _longest(name: str, most: int) -> Check:
    def check(owner: Message, path: str) -> None:
        if len(getattr(owner, name)) > most:
            raise invalid_field(path, f"must have at most {most} characters or entries")

    return check


def _scalar(name: str, one: Check) -> Check:
    return lambda owner, path: one(getattr(owner, name), path)


def _inside(name: str, one: Check) -> Check:
    def check(owner: Message, path: str) -> None:
        if owner.HasField(name):
            one(getattr(owner, name), path)

    return check


def _each(name: str, one: Check) -> Check:
    def check(owner: Message, path: str) -> None:
        for place, value in enumerate(getattr(owner, name)):
            one(value, f"{path}[{place}]")

    return check


def _each_entry(name: str, keys: Check | None, values: Check | None) -> Check:
    def check(owner: Message, path: str) -> None:
        for key, value in getattr(owner, name).items():
            if keys:
                keys(key, path)
            if values:
                values(value, path)

    return check


def _format(rule: Callable[[str], str | None]) -> Check:
    def check(value: str, path: str) -> None:
        problem = rule(value) if value else None  # whether it may be empty is what `required` says
        if problem:
            raise invalid_field(path, problem)

    return check


def _plain_text(value: str, path: str) -> None:
    if "\0" in value:  # Postgres cannot store it, and no text for people has it
        raise invalid_field(path, "must not contain a NUL character")


def _known(numbers: frozenset[int]) -> Check:
    def check(value: int, path: str) -> None:
        if value not in numbers:
            raise invalid_field(path, f"has no value {value}")

    return check
