"""Which types and values fit which types.

The rules are those of Flyte's type system as its compiler applies them, with no implicit change of a number's kind: an
integer is not a float. A union takes each of its variants but stands for none of them, since a task reads its values in
another way; a string and an enum take each other, and whether the text is one of the enum's values shows when there is
a value; an empty format or column list stands for any.
"""

from collections.abc import Iterable
from typing import Final

from flyteidl.core import literals_pb2, types_pb2

MSGPACK: Final = "msgpack"
"""The tag of a binary literal that holds a struct, as flytekit writes dataclasses and dicts."""

_SIMPLE: Final = {
    types_pb2.NONE: "none",
    types_pb2.INTEGER: "integer",
    types_pb2.FLOAT: "float",
    types_pb2.STRING: "string",
    types_pb2.BOOLEAN: "boolean",
    types_pb2.DATETIME: "datetime",
    types_pb2.DURATION: "duration",
    types_pb2.BINARY: "binary",
    types_pb2.ERROR: "error",
    types_pb2.STRUCT: "struct",
}
_PRIMITIVE: Final = {
    "integer": types_pb2.INTEGER,
    "float_value": types_pb2.FLOAT,
    "string_value": types_pb2.STRING,
    "boolean": types_pb2.BOOLEAN,
    "datetime": types_pb2.DATETIME,
    "duration": types_pb2.DURATION,
}
MAX_VARIANTS: Final = 64
"""Most variants that the unions of a type may have together."""
MAX_ENUM: Final = 1024
"""Most values that the enums of a type may have together."""
_SHOWN: Final = 8
_LONGEST: Final = 200


def name(literal_type: types_pb2.LiteralType) -> str:
    """Name a type for people, in at most about 200 characters: "list of integer", "integer or none"."""
    return _name(literal_type)[:_LONGEST]


def _name(literal_type: types_pb2.LiteralType) -> str:
    match literal_type.WhichOneof("type"):
        case "simple":
            return _SIMPLE.get(literal_type.simple, "a type that this server does not know")
        case "collection_type":
            return f"list of {_name(literal_type.collection_type)}"
        case "map_value_type":
            return f"map of {_name(literal_type.map_value_type)}"
        case "union_type":
            return " or ".join(_name(variant) for variant in literal_type.union_type.variants[:_SHOWN])
        case "enum_type":
            return f"one of {', '.join(literal_type.enum_type.values[:_SHOWN])}"
        case "blob":
            return "file" if literal_type.blob.dimensionality == types_pb2.BlobType.SINGLE else "directory"
        case "schema" | "structured_dataset_type":
            return "structured dataset"
        case _:
            return "a type that this server does not know"


def problem(literal_type: types_pb2.LiteralType) -> str | None:
    """Say why a type cannot be taken, in words that fit behind its name; None when it can.

    Each part of a value is held against each variant: a type of many, for a value of many parts, would keep this server
    from everything else for hours.
    """
    if not known(literal_type):
        return "is not a type that this server knows"
    variants, values = _alternatives(literal_type)
    if variants > MAX_VARIANTS:
        return f"has more than {MAX_VARIANTS} variants in its unions"
    if values > MAX_ENUM:
        return f"has more than {MAX_ENUM} values in its enums"
    return None


def _alternatives(literal_type: types_pb2.LiteralType) -> tuple[int, int]:
    """Count the variants of all unions of a type, and the values of all its enums; those of columns too."""
    own, inside = 0, list[types_pb2.LiteralType]()
    match literal_type.WhichOneof("type"):
        case "collection_type":
            inside = [literal_type.collection_type]
        case "map_value_type":
            inside = [literal_type.map_value_type]
        case "union_type":
            inside = list(literal_type.union_type.variants)
            own = len(inside)
        case "structured_dataset_type":
            inside = [column.literal_type for column in literal_type.structured_dataset_type.columns]
        case "enum_type":
            return 0, len(literal_type.enum_type.values)
    counted = [_alternatives(each) for each in inside]
    return own + sum(variants for variants, _ in counted), sum(values for _, values in counted)


def known(literal_type: types_pb2.LiteralType) -> bool:
    """Tell whether a type is written out in full and this server knows all of it."""
    match literal_type.WhichOneof("type"):
        case "simple":
            return literal_type.simple in _SIMPLE
        case "collection_type":
            return known(literal_type.collection_type)
        case "map_value_type":
            return known(literal_type.map_value_type)
        case "union_type":
            return bool(literal_type.union_type.variants) and all(map(known, literal_type.union_type.variants))
        case kind:
            return kind is not None


def optional(literal_type: types_pb2.LiteralType) -> bool:
    """Tell whether none is a value of the type."""
    return castable(types_pb2.LiteralType(simple=types_pb2.NONE), literal_type)


def castable(upstream: types_pb2.LiteralType, downstream: types_pb2.LiteralType) -> bool:
    """Tell whether the values of `upstream` may be given where `downstream` is wanted."""
    given, wanted = upstream.WhichOneof("type"), downstream.WhichOneof("type")
    match wanted:
        case "union_type" if given == "union_type":
            given_variants, wanted_variants = upstream.union_type.variants, downstream.union_type.variants
            return bool(given_variants) and all(
                any(castable(variant, other) for other in wanted_variants) for variant in given_variants
            )
        case "union_type":
            return any(castable(upstream, variant) for variant in downstream.union_type.variants)
        case "simple":
            if given == "enum_type":
                return downstream.simple == types_pb2.STRING
            return given == wanted and upstream.simple == downstream.simple
        case "enum_type":
            if given == "simple":
                return upstream.simple == types_pb2.STRING
            return given == wanted and set(upstream.enum_type.values) <= set(downstream.enum_type.values)
        case "collection_type":
            return given == wanted and castable(upstream.collection_type, downstream.collection_type)
        case "map_value_type":
            return given == wanted and castable(upstream.map_value_type, downstream.map_value_type)
        case "blob":
            return (
                given == wanted
                and upstream.blob.dimensionality == downstream.blob.dimensionality
                and _format_fits(upstream.blob.format, downstream.blob.format)
            )
        case "schema" | "structured_dataset_type":
            return _table_castable(upstream, downstream)
        case _:
            return False


def _format_fits(upstream: str, downstream: str) -> bool:
    return not upstream or not downstream or upstream == downstream


def _table_castable(upstream: types_pb2.LiteralType, downstream: types_pb2.LiteralType) -> bool:
    given, wanted = upstream.WhichOneof("type"), downstream.WhichOneof("type")
    if given == wanted == "structured_dataset_type":
        here, there = upstream.structured_dataset_type, downstream.structured_dataset_type
        columns = {column.name: column.literal_type for column in here.columns}
        return _format_fits(here.format, there.format) and (
            not columns
            or all(
                column.name in columns and castable(columns[column.name], column.literal_type)
                for column in there.columns
            )
        )
    if given == wanted == "schema":
        types = {column.name: column.type for column in upstream.schema.columns}
        return not types or all(types.get(column.name) == column.type for column in downstream.schema.columns)
    # Between the two kinds flytekit reads the one as the other, and the columns' types are not comparable.
    return given in ("schema", "structured_dataset_type")


def mismatch(literal: literals_pb2.Literal, literal_type: types_pb2.LiteralType) -> str | None:
    """Say why a value is not of a type, in words that fit behind its name and a colon; None when it is.

    A union takes both a value that says which variant it is and a bare value of one, as flytekit writes defaults.
    A value stored elsewhere is judged by the type that it was stored with; a value's hash plays no part.
    """
    kind = literal.WhichOneof("value")
    if kind is None:
        return "has no value"
    wanted = literal_type.WhichOneof("type")
    if wanted == "union_type":
        fits = _fits_union(literal, literal_type.union_type.variants)
    elif kind == "collection" and wanted == "collection_type":
        return _first(
            (f"[{index}]", mismatch(item, literal_type.collection_type))
            for index, item in enumerate(literal.collection.literals)
        )
    elif kind == "map" and wanted == "map_value_type":
        return _first(
            (f"[{key!r}]", mismatch(item, literal_type.map_value_type))
            for key, item in sorted(literal.map.literals.items())
        )
    elif kind == "offloaded_metadata":
        fits = castable(literal.offloaded_metadata.inferred_type, literal_type)
    else:
        fits = kind == "scalar" and _scalar_fits(literal.scalar, literal_type)
    return None if fits else f"must be {name(literal_type)}"


def _first(problems: Iterable[tuple[str, str | None]]) -> str | None:
    return next((f"{where} {problem}" for where, problem in problems if problem is not None), None)


def _fits_union(literal: literals_pb2.Literal, variants: Iterable[types_pb2.LiteralType]) -> bool:
    if literal.scalar.WhichOneof("value") != "union":
        return any(mismatch(literal, variant) is None for variant in variants)
    chosen = literal.scalar.union
    return any(castable(chosen.type, variant) and mismatch(chosen.value, variant) is None for variant in variants)


def _scalar_fits(scalar: literals_pb2.Scalar, literal_type: types_pb2.LiteralType) -> bool:
    wanted = literal_type.simple if literal_type.WhichOneof("type") == "simple" else None
    match scalar.WhichOneof("value"):
        case "primitive":
            if literal_type.HasField("enum_type"):
                return (
                    scalar.primitive.WhichOneof("value") == "string_value"
                    and scalar.primitive.string_value in literal_type.enum_type.values
                )
            return wanted is not None and wanted == _PRIMITIVE.get(scalar.primitive.WhichOneof("value") or "")
        case "none_type":
            return wanted == types_pb2.NONE
        case "generic":
            return wanted == types_pb2.STRUCT
        case "binary":
            return wanted == types_pb2.BINARY or (wanted == types_pb2.STRUCT and scalar.binary.tag == MSGPACK)
        case "error":
            return wanted == types_pb2.ERROR
        case "blob":
            return castable(types_pb2.LiteralType(blob=scalar.blob.metadata.type), literal_type)
        case "schema":
            return castable(types_pb2.LiteralType(schema=scalar.schema.type), literal_type)
        case "structured_dataset":
            stored = scalar.structured_dataset.metadata.structured_dataset_type
            return castable(types_pb2.LiteralType(structured_dataset_type=stored), literal_type)
        case _:
            return False
