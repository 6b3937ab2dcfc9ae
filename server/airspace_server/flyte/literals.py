"""Values: from JSON by the types of an interface, back to JSON, and the inputs of a launch.

The JSON of each type, in both directions unless said otherwise:

- integer: a number without a fraction; beyond 2^53, where JSON numbers are no longer exact, its decimal digits as text;
- float: a number, or "NaN", "Infinity", "-Infinity"; string, boolean, none: as they are; enum: one of its values;
- datetime: RFC 3339 with a zone, "2024-05-01T10:00:00Z"; written in UTC;
- duration: a number of seconds, or text such as "1h30m", "90s", "1.5d" (d h m s ms us); written as "5400s";
- struct (dataclasses and dicts): an object; list and map: an array and an object;
- union: a value of the first variant that it fits; file, directory and structured dataset: their URI;
- binary, and structs that a task wrote as msgpack: read only, as {"base64": ..., "tag": ...};
- a value stored elsewhere: read only, as {"uri": ..., "size_bytes": ...}; an error: read only, as {"message": ...}.
"""

import base64
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, Never

from flyteidl.core import interface_pb2, literals_pb2, types_pb2
from google.protobuf import duration_pb2, struct_pb2, timestamp_pb2

from airspace_server.core.errors import ApiError, Reason
from airspace_server.flyte import types
from airspace_server.flyte.types import castable, mismatch

__all__ = ["castable", "expected_inputs", "merge_inputs", "mismatch", "to_json", "to_literals"]

_INT64: Final = range(-(2**63), 2**63)
_EXACT: Final = 2**53
_DIGITS: Final = re.compile(r"-?[0-9]{1,19}")
_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_NANOS: Final = {
    "d": 86_400 * 10**9,
    "h": 3_600 * 10**9,
    "m": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 10**3,
}
_PART: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(ms|us|[dhms])")
_DURATION: Final = re.compile(rf"-?(?:{_PART.pattern})+")
_LONGEST_DURATION: Final = 315_576_000_000 * 10**9
"""In nanoseconds; google.protobuf.Duration holds no more."""


class _UnfitError(Exception):
    """A value is not of its type; the argument says why, fit for the caller, behind the place of a nested value."""


def to_literals(
    values: Mapping[str, object], variables: Mapping[str, interface_pb2.Variable]
) -> literals_pb2.LiteralMap:
    """Bring JSON values, as google.protobuf.Struct holds them, to the types of the variables of the same names.

    Raises:
        ApiError: INPUT_INVALID naming a value that no variable has the name of, or that is not of its variable's type.
    """
    literals = literals_pb2.LiteralMap()
    for name, value in values.items():
        if name not in variables:
            raise _input_invalid(name, "is not an input")
        try:
            literals.literals[name].CopyFrom(_literal(value, variables[name].type))
        except _UnfitError as unfit:
            raise _input_invalid(name, str(unfit)) from None
    return literals


def _input_invalid(name: str, problem: str) -> ApiError:
    return ApiError(Reason.INPUT_INVALID, f"input {name}: {problem}", {"input": name}, f"inputs.{name}")


def _unfit(literal_type: types_pb2.LiteralType) -> Never:
    raise _UnfitError(f"must be {types.name(literal_type)}")


def _literal(value: object, wanted: types_pb2.LiteralType) -> literals_pb2.Literal:
    match wanted.WhichOneof("type"):
        case "union_type":
            return _union(value, wanted)
        case "collection_type" if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            items = [_at(f"[{index}]", item, wanted.collection_type) for index, item in enumerate(value)]
            return literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=items))
        case "map_value_type" if isinstance(value, Mapping):
            entries = {key: _at(f"[{key!r}]", item, wanted.map_value_type) for key, item in value.items()}
            return literals_pb2.Literal(map=literals_pb2.LiteralMap(literals=entries))
        case _:
            return literals_pb2.Literal(scalar=_scalar(value, wanted))


def _at(where: str, value: object, wanted: types_pb2.LiteralType) -> literals_pb2.Literal:
    try:
        return _literal(value, wanted)
    except _UnfitError as unfit:
        raise _UnfitError(f"{where} {unfit}") from None


def _union(value: object, wanted: types_pb2.LiteralType) -> literals_pb2.Literal:
    for variant in wanted.union_type.variants:
        try:
            chosen = _literal(value, variant)
        except _UnfitError:
            continue
        union = literals_pb2.Union(value=chosen, type=variant)
        return literals_pb2.Literal(scalar=literals_pb2.Scalar(union=union))
    _unfit(wanted)


def _scalar(value: object, wanted: types_pb2.LiteralType) -> literals_pb2.Scalar:
    match wanted.WhichOneof("type"), value:
        case "simple", _:
            return _simple(value, wanted)
        case "enum_type", str() if value in wanted.enum_type.values:
            return literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value=value))
        case "blob", str() if value:
            metadata = literals_pb2.BlobMetadata(type=wanted.blob)
            return literals_pb2.Scalar(blob=literals_pb2.Blob(uri=value, metadata=metadata))
        case "schema", str() if value:
            return literals_pb2.Scalar(schema=literals_pb2.Schema(uri=value, type=wanted.schema))
        case "structured_dataset_type", str() if value:
            kind = literals_pb2.StructuredDatasetMetadata(structured_dataset_type=wanted.structured_dataset_type)
            return literals_pb2.Scalar(structured_dataset=literals_pb2.StructuredDataset(uri=value, metadata=kind))
        case _:
            _unfit(wanted)


def _simple(value: object, wanted: types_pb2.LiteralType) -> literals_pb2.Scalar:
    if wanted.simple == types_pb2.NONE and value is None:
        return literals_pb2.Scalar(none_type=literals_pb2.Void())
    if wanted.simple == types_pb2.STRUCT and isinstance(value, Mapping):
        generic = struct_pb2.Struct()
        generic.update(value)
        return literals_pb2.Scalar(generic=generic)
    return literals_pb2.Scalar(primitive=_primitive(value, wanted))


def _primitive(value: object, wanted: types_pb2.LiteralType) -> literals_pb2.Primitive:
    match wanted.simple, value:
        case types_pb2.BOOLEAN, bool():
            return literals_pb2.Primitive(boolean=value)
        case _, bool():  # which Python counts among the integers
            _unfit(wanted)
        case types_pb2.INTEGER, int() | float() | str():
            return literals_pb2.Primitive(integer=_integer(value, wanted))
        case types_pb2.FLOAT, int() | float():
            return literals_pb2.Primitive(float_value=_float(value, wanted))
        case types_pb2.FLOAT, str() if value in _NOT_FINITE:
            return literals_pb2.Primitive(float_value=_NOT_FINITE[value])
        case types_pb2.STRING, str():
            return literals_pb2.Primitive(string_value=value)
        case types_pb2.DATETIME, str():
            return literals_pb2.Primitive(datetime=_datetime(value))
        case types_pb2.DURATION, int() | float() | str():
            return literals_pb2.Primitive(duration=_duration(value))
        case _:
            _unfit(wanted)


def _integer(value: float | str, wanted: types_pb2.LiteralType) -> int:
    if isinstance(value, str):
        # Text only where a number could not say it: elsewhere "12" for 12 is a mistake to tell, not to mend.
        if not _DIGITS.fullmatch(value) or abs(int(value)) <= _EXACT:
            _unfit(wanted)
    elif isinstance(value, float) and not value.is_integer():
        _unfit(wanted)
    number = int(value)
    if number not in _INT64:
        raise _UnfitError("must fit into 64 bits")
    return number


def _float(value: float, wanted: types_pb2.LiteralType) -> float:
    try:
        return float(value)
    except OverflowError:
        _unfit(wanted)


def _datetime(value: str) -> timestamp_pb2.Timestamp:
    timestamp = timestamp_pb2.Timestamp()
    try:
        timestamp.FromJsonString(value)
    except (ValueError, OverflowError):
        raise _UnfitError("must be a datetime with its zone, such as 2024-05-01T10:00:00Z") from None
    return timestamp


def _duration(value: float | str) -> duration_pb2.Duration:
    if isinstance(value, str):
        if not _DURATION.fullmatch(value):
            raise _UnfitError('must be a duration: seconds, or text such as "1h30m"')
        total = sum((Decimal(number) * _NANOS[unit] for number, unit in _PART.findall(value)), Decimal())
        nanos = -round(total) if value.startswith("-") else round(total)
    elif math.isfinite(value):
        nanos = round(Decimal(str(value)) * 10**9)
    else:
        raise _UnfitError("must be finite")
    if abs(nanos) > _LONGEST_DURATION:
        raise _UnfitError("must be at most 10,000 years")
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(nanos)
    return duration


def to_json(literals: literals_pb2.LiteralMap) -> dict[str, object]:
    """Write values as JSON for people to read: dicts with text keys, lists, str, float, int, bool and None only."""
    return {name: _json(literal) for name, literal in literals.literals.items()}


def _json(literal: literals_pb2.Literal) -> object:
    match literal.WhichOneof("value"):
        case "collection":
            return [_json(item) for item in literal.collection.literals]
        case "map":
            return to_json(literal.map)
        case "offloaded_metadata":
            return {"uri": literal.offloaded_metadata.uri, "size_bytes": literal.offloaded_metadata.size_bytes}
        case "scalar":
            return _scalar_json(literal.scalar)
        case _:
            return None


def _scalar_json(scalar: literals_pb2.Scalar) -> object:
    match scalar.WhichOneof("value"):
        case "primitive":
            return _primitive_json(scalar.primitive)
        case "union":
            return _json(scalar.union.value)
        case "generic":
            return _struct_json(scalar.generic)
        case "blob":
            return scalar.blob.uri
        case "schema":
            return scalar.schema.uri
        case "structured_dataset":
            return scalar.structured_dataset.uri
        case "binary":
            return {"base64": base64.b64encode(scalar.binary.value).decode(), "tag": scalar.binary.tag}
        case "error":
            return {"message": scalar.error.message}
        case _:
            return None


def _primitive_json(primitive: literals_pb2.Primitive) -> object:
    match primitive.WhichOneof("value"):
        case "integer":
            return primitive.integer if abs(primitive.integer) <= _EXACT else str(primitive.integer)
        case "float_value":
            return _number_json(primitive.float_value)
        case "string_value":
            return primitive.string_value
        case "boolean":
            return primitive.boolean
        case "datetime":
            return primitive.datetime.ToJsonString()
        case "duration":
            return primitive.duration.ToJsonString()
        case _:
            return None


def _number_json(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _struct_json(struct: struct_pb2.Struct) -> dict[str, object]:
    return {key: _value_json(value) for key, value in struct.fields.items()}


def _value_json(value: struct_pb2.Value) -> object:
    match value.WhichOneof("kind"):
        case "number_value":
            return _number_json(value.number_value)
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _struct_json(value.struct_value)
        case "list_value":
            return [_value_json(item) for item in value.list_value.values]
        case _:
            return None


def expected_inputs(
    interface: interface_pb2.TypedInterface,
    default_inputs: interface_pb2.ParameterMap,
    fixed_inputs: literals_pb2.LiteralMap,
) -> interface_pb2.ParameterMap:
    """Return what a launch may set: each input of the interface with its default or as required, but no fixed one.

    The type of each is the interface's own. A default input that is only marked as required has no default.

    Raises:
        ApiError: INPUT_INVALID naming an input that the interface does not have, that has both a default and a fixed
            value, whose type or value does not fit, or that is neither required nor given a default.
    """
    variables = interface.inputs.variables
    for name in (*default_inputs.parameters, *fixed_inputs.literals):
        if name not in variables:
            raise _input_invalid(name, "the workflow has no such input")
    for name, literal in fixed_inputs.literals.items():
        if name in default_inputs.parameters:
            raise _input_invalid(name, "has both a default and a fixed value")
        _check_value(name, literal, variables[name].type)

    expected = interface_pb2.ParameterMap()
    for name, variable in variables.items():
        if name in fixed_inputs.literals:
            continue
        parameter = interface_pb2.Parameter(var=variable, required=True)
        if name in default_inputs.parameters:
            parameter = _default(name, default_inputs.parameters[name], variable)
        expected.parameters[name].CopyFrom(parameter)
    return expected


def _default(
    name: str, parameter: interface_pb2.Parameter, variable: interface_pb2.Variable
) -> interface_pb2.Parameter:
    if parameter.HasField("var") and not castable(parameter.var.type, variable.type):
        raise _input_invalid(name, f"must be {types.name(variable.type)}")
    match parameter.WhichOneof("behavior"):
        case "default":
            _check_value(name, parameter.default, variable.type)
            return interface_pb2.Parameter(var=variable, default=parameter.default)
        case "required" if parameter.required:
            return interface_pb2.Parameter(var=variable, required=True)
        case "artifact_query" | "artifact_id":
            raise _input_invalid(name, "artifacts as defaults are not supported")
        case _:
            raise _input_invalid(name, "must be required or have a default")


def merge_inputs(
    expected: interface_pb2.ParameterMap, fixed: literals_pb2.LiteralMap, given: literals_pb2.LiteralMap
) -> literals_pb2.LiteralMap:
    """Return all inputs of an execution: those given, the defaults of those not given, and the fixed ones.

    `expected` and `fixed` are a compiled launch plan's. A given value of a fixed input is taken only when it is the
    fixed value itself: `pyflyte run` of a launch plan sends it along.

    Raises:
        ApiError: INPUT_INVALID naming an input that is unknown, missing, fixed to another value or of another type.
    """
    merged = literals_pb2.LiteralMap()
    for name, literal in given.literals.items():
        if name in fixed.literals:
            if not _same(literal, fixed.literals[name]):
                raise _input_invalid(name, "is fixed by the launch plan")
            continue
        if name not in expected.parameters:
            raise _input_invalid(name, "the launch plan has no such input")
        _check_value(name, literal, expected.parameters[name].var.type)
        merged.literals[name].CopyFrom(literal)
    for name, parameter in expected.parameters.items():
        if name in merged.literals:
            continue
        if not parameter.HasField("default"):
            raise _input_invalid(name, "is required")
        merged.literals[name].CopyFrom(parameter.default)
    merged.MergeFrom(fixed)
    return merged


def _check_value(name: str, literal: literals_pb2.Literal, literal_type: types_pb2.LiteralType) -> None:
    problem = mismatch(literal, literal_type)
    if problem is not None:
        raise _input_invalid(name, problem)


def _same(one: literals_pb2.Literal, other: literals_pb2.Literal) -> bool:
    """Tell whether two values are the same, whether or not they say which variant of a union they are."""
    return _bare(one).SerializeToString(deterministic=True) == _bare(other).SerializeToString(deterministic=True)


def _bare(literal: literals_pb2.Literal) -> literals_pb2.Literal:
    while literal.scalar.WhichOneof("value") == "union":
        literal = literal.scalar.union.value
    return literal
