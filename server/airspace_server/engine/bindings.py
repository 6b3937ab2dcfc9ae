"""From what a variable is bound to, to its value."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from flyteidl.core import literals_pb2, types_pb2
from google.protobuf import struct_pb2
from google.protobuf.message import DecodeError, EncodeError

from airspace_server.engine import packed

Values = Callable[[str], literals_pb2.LiteralMap | None]
"""Gives the values of a promise's node: its outputs, or for "" and "start-node" the inputs around it."""

_MSGPACK: Final = "msgpack"


MAX_RESOLVED: Final = 10 * 1024 * 1024
"""Most bytes that the values of a node or the outputs of a workflow may have together."""


class UnresolvedError(Exception):
    """A binding has no value. The text is for the owner of the execution."""


Spend = Callable[[int], None]
"""Is told of bytes before they are worked on. Raises UnresolvedError when they are too many."""


def _freely(_: int) -> None:
    return


def error_literal(node_id: str, message: str, kind: types_pb2.LiteralType) -> literals_pb2.Literal:
    """Return what has failed, as a value of a type that is or can be an error."""
    error = literals_pb2.Literal(
        scalar=literals_pb2.Scalar(error=types_pb2.Error(failed_node_id=node_id, message=message))
    )
    for variant in kind.union_type.variants:
        if variant.simple == types_pb2.ERROR:
            return literals_pb2.Literal(scalar=literals_pb2.Scalar(union=literals_pb2.Union(value=error, type=variant)))
    return error


def resolve_all(
    bindings: Mapping[str, literals_pb2.BindingData],
    values: Values,
    most: int = MAX_RESOLVED,
    look: Spend = _freely,
) -> literals_pb2.LiteralMap:
    """Resolve every binding to at most `most` bytes together. Raises UnresolvedError naming the variable.

    `look` is told the bytes of every value that has to be looked through for a part of it.

    A binding can take the same value many times, and nest what is nested already: what comes out is bounded, and is
    read back once, so that nothing is stored that cannot be read again.
    """
    left = most

    def spend(size: int) -> None:
        nonlocal left
        left -= size
        if left < 0:
            raise UnresolvedError(f"and the values with it have more than the {most} bytes that are left for them")

    resolved = {}
    for name, data in bindings.items():
        try:
            resolved[name] = resolve(data, values, spend, look)
            literals_pb2.Literal.FromString(resolved[name].SerializeToString())
        except UnresolvedError as error:
            raise UnresolvedError(f"{name} {error}") from None
        except (DecodeError, EncodeError, ValueError, RecursionError):
            raise UnresolvedError(f"{name} is nested too deeply") from None
    together = literals_pb2.LiteralMap(literals=resolved)
    try:
        literals_pb2.LiteralMap.FromString(together.SerializeToString())
    except (DecodeError, EncodeError):
        raise UnresolvedError("a value is nested too deeply") from None
    return together


def resolve(
    data: literals_pb2.BindingData, values: Values, spend: Spend = _freely, look: Spend = _freely
) -> literals_pb2.Literal:
    """Return the value of one binding; `spend` is told the bytes of every value that goes into it, `look` as above.

    Raises UnresolvedError, in words that fit behind the variable's name.
    """
    match data.WhichOneof("value"):
        case "scalar":
            return literals_pb2.Literal(scalar=data.scalar)
        case "offloaded_metadata":
            return literals_pb2.Literal(offloaded_metadata=data.offloaded_metadata)
        case "collection":
            items = [resolve(one, values, spend, look) for one in data.collection.bindings]
            return literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=items))
        case "map":
            entries = {key: resolve(one, values, spend, look) for key, one in data.map.bindings.items()}
            return literals_pb2.Literal(map=literals_pb2.LiteralMap(literals=entries))
        case "promise":
            literal = _promised(data.promise, values, look)
            spend(literal.ByteSize())
            return literal
        case _:
            raise UnresolvedError("is bound to nothing")


def _promised(promise: types_pb2.OutputReference, values: Values, look: Spend) -> literals_pb2.Literal:
    source = f"output {promise.var} of node {promise.node_id}" if promise.node_id else f"input {promise.var}"
    known = values(promise.node_id)
    if known is None or promise.var not in known.literals:
        raise UnresolvedError(f"is bound to {source}, which has no value")
    literal = known.literals[promise.var]
    try:
        return _attribute(literal, promise.attr_path, look)
    except UnresolvedError as error:
        raise UnresolvedError(f"is bound to a part of {source}, which {error}") from None


def _attribute(
    literal: literals_pb2.Literal, path: Iterable[types_pb2.PromiseAttribute], look: Spend
) -> literals_pb2.Literal:
    keys: list[str | int] = [one.string_value if one.HasField("string_value") else one.int_value for one in path]
    for place, key in enumerate(keys):
        literal = _inside_union(literal)
        if literal.HasField("map") and isinstance(key, str) and key in literal.map.literals:
            literal = literal.map.literals[key]
        elif literal.HasField("collection") and isinstance(key, int) and 0 <= key < len(literal.collection.literals):
            literal = literal.collection.literals[key]
        elif literal.scalar.HasField("generic"):
            look(literal.scalar.generic.ByteSize())
            return _of_struct(struct_pb2.Value(struct_value=literal.scalar.generic), keys[place:])
        elif literal.scalar.HasField("binary") and literal.scalar.binary.tag == _MSGPACK:
            look(len(literal.scalar.binary.value))
            return _of_msgpack(literal.scalar.binary.value, keys[place:])
        else:
            raise UnresolvedError(f"has no {key!r}")
    return literal


def _inside_union(literal: literals_pb2.Literal) -> literals_pb2.Literal:
    while literal.scalar.HasField("union"):
        literal = literal.scalar.union.value
    return literal


def _of_struct(value: struct_pb2.Value, keys: Iterable[str | int]) -> literals_pb2.Literal:
    for key in keys:
        if value.HasField("struct_value") and isinstance(key, str) and key in value.struct_value.fields:
            value = value.struct_value.fields[key]
        elif value.HasField("list_value") and isinstance(key, int) and 0 <= key < len(value.list_value.values):
            value = value.list_value.values[key]
        else:
            raise UnresolvedError(f"has no {key!r}")
    return _from_value(value)


def _from_value(value: struct_pb2.Value) -> literals_pb2.Literal:
    """Make a JSON value a literal. JSON knows one kind of number; flytekit takes a float for an int where it must."""
    match value.WhichOneof("kind"):
        case "struct_value":
            return literals_pb2.Literal(scalar=literals_pb2.Scalar(generic=value.struct_value))
        case "list_value":
            items = [_from_value(one) for one in value.list_value.values]
            return literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=items))
        case "string_value":
            primitive = literals_pb2.Primitive(string_value=value.string_value)
        case "bool_value":
            primitive = literals_pb2.Primitive(boolean=value.bool_value)
        case "number_value":
            primitive = literals_pb2.Primitive(float_value=value.number_value)
        case _:
            return literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=primitive))


def _of_msgpack(data: bytes, keys: Iterable[str | int]) -> literals_pb2.Literal:
    """Cut the part out and leave it as it is: flytekit reads msgpack for every type."""
    try:
        part = packed.part(data, keys)
    except packed.NoPartError as error:
        raise UnresolvedError(str(error)) from None
    binary = literals_pb2.Binary(value=part, tag=_MSGPACK)
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(binary=binary))
