"""Bad requests, made from valid ones by their descriptors: every field of every message, changed one at a time."""

import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from flyteidl.core import literals_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from rpc_requests import any_of, rules_of

from airspace.options.v1 import options_pb2

LONG, NUL, ALPHABET = "x" * 70_000, "a\0b", "Not A Näme!"
_FREE_FORMATS = (options_pb2.FORMAT_ENTITY, options_pb2.FORMAT_VERSION)


@dataclass(frozen=True)
class Bad:
    """A changed request. `field` is what must be refused by name; "" where it may be let in, if only it is answered.

    "*" is any field.
    """

    label: str
    request: Any
    field: str = ""
    reason: str = "INVALID_FIELD"


Change = Callable[[Any, str], None]


def _setting(value: Any) -> Change:
    return lambda owner, name: setattr(owner, name, value)


def _clearing(owner: Any, name: str) -> None:
    owner.ClearField(name)


def _changed(request: Any, steps: tuple[str, ...], name: str, change: Change) -> Any:
    copy = deepcopy(request)
    here = copy
    for step in steps:
        here = getattr(here, step)
    change(here, name)
    return copy


# --- the contract's own requests: what is wrong with a value is said by the rules of its field


def native_mutations(request: Any, steps: tuple[str, ...] = ()) -> Iterator[Bad]:
    """Change every field of a request and of the messages in it."""
    message = request
    for step in steps:
        message = getattr(message, step)
    for field in message.DESCRIPTOR.fields:
        where = ".".join((*steps, field.name))
        for label, change, refused, reason in _native_changes(field, where):
            yield Bad(f"{where} {label}", _changed(request, steps, field.name, change), refused, reason)
        inner = field.message_type
        if inner and not field.is_repeated and inner.full_name.startswith("airspace.") and message.HasField(field.name):
            yield from native_mutations(request, (*steps, field.name))


def _native_changes(field: FieldDescriptor, where: str) -> Iterator[tuple[str, Change, str, str]]:
    rules, invalid = rules_of(field), "INVALID_FIELD"
    if rules.required:
        yield "missing", _clearing, where, invalid
    if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
        yield "too long", _setting(LONG), where if rules.format or rules.max else "", invalid
        yield "of the wrong alphabet", _setting(ALPHABET), where if rules.format else "", _OWN.get(field.name, invalid)
        yield "with NUL", _setting(NUL), where, invalid
        if options_pb2.Format.Name(rules.format).startswith("FORMAT_DOMAIN"):
            yield "unknown", _setting("no-such-domain"), where, "UNKNOWN_DOMAIN"
        if field.name == "page_token":
            for token in ("5", "AAAA", "not base64!", "é", "_" * 100):
                yield f"{token}", _setting(token), where, "INVALID_PAGE_TOKEN"
    elif field.enum_type is not None and not field.is_repeated:
        for number in (99, -1):
            yield f"{number}", _setting(number), where, invalid
    elif field.enum_type is not None:
        for number in (99, -1, 0):
            if field.is_repeated:
                yield f"{number}", lambda owner, name, number=number: getattr(owner, name).append(number), "*", invalid
            else:
                yield f"{number}", _setting(number), where, invalid
    elif field.name == "page_size":
        yield "negative", _setting(-1), where, invalid
        yield "huge", _setting(2**31 - 1), "", ""
    elif field.type == FieldDescriptor.TYPE_INT64:
        for number in (-1, -(2**63), 2**63 - 1):
            yield f"{number}", _setting(number), "", ""
    elif field.message_type is not None:
        yield from _native_message_changes(field, where)


_OWN = {"page_token": "INVALID_PAGE_TOKEN"}


def _native_message_changes(field: FieldDescriptor, where: str) -> Iterator[tuple[str, Change, str, str]]:
    kind, invalid = field.message_type.full_name, "INVALID_FIELD"
    if field.message_type.GetOptions().map_entry:
        for label, labels in {
            "many": {f"k{n}": "v" for n in range(17)},
            "bad key": {"no spaces": "v"},
            "empty key": {"": "v"},
            "NUL in key": {NUL: "v"},
            "NUL in value": {"k": NUL},
            "bad value": {"k": "no spaces"},
            "long key": {LONG: "v"},
            "long value": {"k": LONG},
        }.items():
            yield label, lambda owner, name, labels=labels: getattr(owner, name).update(labels), where, invalid
    elif kind == "google.protobuf.Any":
        wrong, garbage = any_of(options_pb2.Rules(max=7)), any_of(literals_pb2.LiteralMap())
        garbage.value = b"\xff\xff\xff"
        for label, value in {"of another type": wrong, "garbage": garbage, "of no type": any_of(wrong)}.items():
            yield label, lambda owner, name, value=value: getattr(owner, name).CopyFrom(value), where, invalid
        yield "garbage of its type", _spoil, where, invalid
        yield (
            "of an unknown type",
            lambda owner, name: setattr(getattr(owner, name), "type_url", "x/y.Z"),
            where,
            invalid,
        )
    elif kind == "google.protobuf.FieldMask":
        for path in ("nothing", "project", "name.first", "", "*", NUL, LONG):
            paths = lambda owner, name, path=path: getattr(owner, name).paths.append(path)  # noqa: E731
            yield f"{path[:9]}", paths, where, "UNKNOWN_FIELD"
        yield "empty", lambda owner, name: getattr(owner, name).Clear(), "", ""
    elif kind == "google.protobuf.Struct":
        for label, value in {
            "NaN": float("nan"),
            "infinite": float("inf"),
            "text": "x",
            "list": [1],
            "none": None,
        }.items():
            yield label, lambda owner, name, value=value: getattr(owner, name).update({"x": value}), "", ""
        yield "another", lambda owner, name: getattr(owner, name).update({"nothing": 1}), "", ""
        yield "NUL", lambda owner, name: getattr(owner, name).update({NUL: NUL}), "", ""
        yield "no kind", lambda owner, name: getattr(owner, name).fields["x"].SetInParent(), "", ""
        yield "deep", _deepen, "", ""


def _spoil(owner: Any, name: str) -> None:
    getattr(owner, name).value = b"\x0a\xff\xff\xff"


def _deepen(owner: Any, name: str) -> None:
    here = getattr(owner, name)
    for _ in range(20):
        here = here.fields["x"].struct_value
    here.SetInParent()


# --- Flyte's requests, whose fields have no rules: every kind of value in every field


TEXTS = ("", LONG, NUL, ALPHABET, "*", "..", "x/y", "thing")
_NUMBERS = {
    FieldDescriptor.TYPE_INT32: (-1, -(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-1, -(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_DOUBLE: (float("nan"), float("inf"), -1e308),
    FieldDescriptor.TYPE_FLOAT: (float("nan"), float("inf"), -1.0),
    FieldDescriptor.TYPE_BOOL: (True,),
    FieldDescriptor.TYPE_BYTES: (b"", b"\0\xff", b"x" * 70_000),
}
FILTERS = (
    "bad(",
    "eq(name,thing)",
    "eq(name,)",
    "eq(nothing,1)",
    "eq(workflow.name,thing)",
    "eq(nothing.name,thing)",
    "no_such(name,thing)",
    "eq(created_at,yesterday)",
    "gt(created_at,0001-01-01T00:00:00Z)",
    "lt(created_at,9999-12-31T23:59:59.999999-23:59)",
    "gt(updated_at,2024-01-01)+lt(updated_at,2025-01-01)",
    "eq(retry_attempt,99999999999999999999999)",
    "eq(position,99999999999999999999999)",
    "eq(position,-99999999999999999999999)",
    "eq(position,one)",
    "eq(state,7)",
    "eq(state,0)+eq(phase,QUEUED)",
    "gt(phase,x)+ne(phase,y)",
    "not_like(name,a\\)",
    "not_like(name,%\\%_[)",
    "not_like(identifier,a\\)",
    "not_like(execution_name,a\\)",
    "not_like(node_id,a\\)",
    "not_like(created_at,a\\)",
    "contains(created_at,1)",
    "contains(retry_attempt,1)",
    "contains(position,1)",
    "contains(name,%_\\/)",
    "contains(state,1)",
    "value_in(phase,A;B;QUEUED)+value_not_in(phase,C)",
    "value_in(created_at,2024-01-01;x)",
    f"eq(name,{NUL})",
    f"contains(name,{NUL})",
    "+".join(["eq(name,a)"] * 740),
    "+".join(["contains(id,a)"] * 540),
    "+".join(["ne(node_id,a)"] * 580),
    "value_in(name," + ";".join("a" * 4000) + ")",
    "eq(name," + "x" * 8150 + ")",
    "x" * 9000,
)
TOKENS = ("5", "0", "-1", "1000000", "1000001", "9" * 30, "٣", "AAAA", "not base64!", NUL, LONG)
URLS = (
    "flyte://v1/ours/development/thing/thing/o",
    "flyte://v1/ours/development/thing/thing/i/x",
    "flyte://v1/ours/development/thing/thing/i/nothing",
    "flyte://v1/ours/development/thing/thing/d",
    "flyte://v1/ours/development/thing/thing/0/o",
    "flyte://v1/ours/development/thing/thing/9999/o",
    "flyte://v1/ours/development/thing/nothing/o",
    "flyte://v1/ours/development/NOT A NAME/thing/o",
    "flyte://v1/ours/no-such-domain/thing/thing/o",
    "flyte://v1/NOT A NAME/development/thing/thing/o",
    f"flyte://v1/ours/development/{NUL}/thing/o",
    f"flyte://v1/ours/development/thing/{NUL}/o",
    f"flyte://v1/ours/development/thing/thing/o/{NUL}",
    f"flyte://v1/{NUL}/development/thing/thing/o",
    f"flyte://v1/ours/development/thing/{'x' * 70_000}/o",
    "flyte://v1/ours/development/../thing/o",
    "file:///etc/passwd",
    "s3://bucket/key",
    "/etc/passwd",
)
_SPECIAL = {"filters": FILTERS, "token": TOKENS, "flyte_url": URLS}


def flyte_mutations(request: Any, steps: tuple[Any, ...] = (), spare: int = 1) -> Iterator[Bad]:
    """Change every field of every message that is set, and of those that are not, `spare` levels deep."""
    message = _at(request, steps)
    for field in message.DESCRIPTOR.fields:
        where = ".".join(map(str, (*steps, field.name)))
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            for key in ("", NUL, "x", LONG):
                yield Bad(f"{where}[{key[:9]!r}]", _with_entry(request, steps, field, key))
            if inner.fields_by_name["value"].message_type is not None:
                for key in sorted(getattr(message, field.name)):
                    yield from flyte_mutations(request, (*steps, field.name, key), spare)
        elif inner is not None and field.is_repeated:
            yield Bad(f"{where} one more", _flyte(request, steps, lambda here, f=field: getattr(here, f.name).add()))
            for place in range(len(getattr(message, field.name))):
                yield from flyte_mutations(request, (*steps, field.name, place), spare)
        elif inner is not None and message.HasField(field.name):
            yield Bad(f"{where} missing", _flyte(request, steps, lambda here, f=field: here.ClearField(f.name)))
            yield from flyte_mutations(request, (*steps, field.name), spare)
        elif inner is not None:
            empty = _flyte(request, steps, lambda here, f=field: getattr(here, f.name).SetInParent())
            yield Bad(f"{where} empty", empty)
            if spare and not inner.full_name.startswith("google.protobuf.Struct"):
                yield from flyte_mutations(empty, (*steps, field.name), spare - 1)
        else:
            for value in _values(field):
                change = _put(field, value)
                yield Bad(f"{where} = {str(value)[:60]!r}", _flyte(request, steps, change))


def _values(field: FieldDescriptor) -> tuple[Any, ...]:
    if field.enum_type is not None:
        return (*field.enum_type.values_by_number, 99, -1)
    return _SPECIAL.get(field.name, TEXTS) if field.type == FieldDescriptor.TYPE_STRING else _NUMBERS[field.type]


def _put(field: FieldDescriptor, value: Any) -> Callable[[Any], None]:
    if field.is_repeated:
        return lambda here: getattr(here, field.name).append(value)
    return lambda here: setattr(here, field.name, value)


def _at(message: Any, steps: tuple[Any, ...]) -> Any:
    for step in steps:
        message = getattr(message, step) if isinstance(step, str) and step in _names(message) else message[step]
    return message


def _names(message: Any) -> set[str]:
    return {field.name for field in message.DESCRIPTOR.fields} if hasattr(message, "DESCRIPTOR") else set()


def _flyte(request: Any, steps: tuple[Any, ...], change: Callable[[Any], None]) -> Any:
    copy = deepcopy(request)
    change(_at(copy, steps))
    return copy


def _with_entry(request: Any, steps: tuple[Any, ...], field: FieldDescriptor, key: str) -> Any:
    value = field.message_type.fields_by_name["value"]

    def change(here: Any) -> None:
        if value.message_type is not None:
            getattr(here, field.name)[key].SetInParent()
        else:
            getattr(here, field.name)[key] = NUL if key == "x" else "v"

    return _flyte(request, steps, change)


# --- messages that nobody would write


def scrambled(message: Any, chance: random.Random, depth: int = 5) -> Any:
    """Fill a message at random, with values that are sometimes right: `chance` decides, and always the same way."""
    for field in message.DESCRIPTOR.fields:
        if chance.random() < 0.55:
            continue
        _scramble(message, field, chance, depth)
    return message


def _scramble(message: Any, field: FieldDescriptor, chance: random.Random, depth: int) -> None:
    inner: Descriptor | None = field.message_type
    if inner is None:
        value = chance.choice(
            (*_values(field), "x", "o0", "n0", "v1", "ours", "development") if _text(field) else _values(field)
        )
        _put(field, value)(message)
    elif depth == 0 or inner.full_name.startswith("google.protobuf.Struct"):
        return
    elif inner.GetOptions().map_entry:
        key, value = chance.choice(("x", "y", "")), inner.fields_by_name["value"]
        if value.message_type is not None:
            scrambled(getattr(message, field.name)[key], chance, depth - 1)
        elif value.type == FieldDescriptor.TYPE_STRING:
            getattr(message, field.name)[key] = chance.choice(TEXTS)
    elif field.is_repeated:
        for _ in range(chance.randint(1, 2)):
            scrambled(getattr(message, field.name).add(), chance, depth - 1)
    else:
        getattr(message, field.name).SetInParent()
        scrambled(getattr(message, field.name), chance, depth - 1)


def _text(field: FieldDescriptor) -> bool:
    return field.type == FieldDescriptor.TYPE_STRING
