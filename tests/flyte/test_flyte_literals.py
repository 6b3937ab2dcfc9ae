import datetime
import json
import math

import flyte_samples as samples
import pytest
from flyteidl.core import interface_pb2, literals_pb2, types_pb2
from flytekit import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import LiteralMap as KitLiteralMap
from google.protobuf import json_format, struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from airspace_server.core.errors import ApiError, Reason
from airspace_server.flyte import types
from airspace_server.flyte.literals import castable, expected_inputs, merge_inputs, mismatch, to_json, to_literals

SIMPLE = {name: types_pb2.LiteralType(simple=value) for name, value in types_pb2.SimpleType.items()}
INTEGER, FLOAT, STRING, BOOLEAN, NONE = (SIMPLE[n] for n in ("INTEGER", "FLOAT", "STRING", "BOOLEAN", "NONE"))
DATETIME, DURATION, STRUCT, BINARY = (SIMPLE[n] for n in ("DATETIME", "DURATION", "STRUCT", "BINARY"))
COLOR = types_pb2.LiteralType(enum_type={"values": ["red", "blue"]})
FILE = types_pb2.LiteralType(blob={"format": ""})
CSV = types_pb2.LiteralType(blob={"format": "csv"})
PARQUET_FILE = types_pb2.LiteralType(blob={"format": "parquet"})
DIRECTORY = types_pb2.LiteralType(blob={"dimensionality": types_pb2.BlobType.MULTIPART})
TABLE = types_pb2.LiteralType(structured_dataset_type={})
PARQUET = types_pb2.LiteralType(structured_dataset_type={"format": "parquet"})
SCHEMA = types_pb2.LiteralType(schema={})
UNSET = types_pb2.LiteralType()


def list_of(kind):
    return types_pb2.LiteralType(collection_type=kind)


def map_of(kind):
    return types_pb2.LiteralType(map_value_type=kind)


def union(*kinds):
    return types_pb2.LiteralType(union_type={"variants": kinds})


def table(**columns):
    return types_pb2.LiteralType(
        structured_dataset_type={"columns": [{"name": name, "literal_type": kind} for name, kind in columns.items()]}
    )


def literal(value, kind):
    return to_literals({"x": value}, {"x": interface_pb2.Variable(type=kind)}).literals["x"]


def back(value, kind):
    return to_json(literals_pb2.LiteralMap(literals={"x": literal(value, kind)}))["x"]


def refused(value, kind) -> str:
    with pytest.raises(ApiError) as caught:
        literal(value, kind)
    assert caught.value.reason is Reason.INPUT_INVALID
    assert caught.value.metadata == {"input": "x"}
    return caught.value.message


# From JSON and back


@pytest.mark.parametrize(
    ("value", "kind", "read"),
    [
        (3, INTEGER, 3),
        (3.0, INTEGER, 3),
        (-0.0, INTEGER, 0),
        ("9223372036854775807", INTEGER, "9223372036854775807"),
        (3, FLOAT, 3.0),
        ("NaN", FLOAT, "NaN"),
        ("-Infinity", FLOAT, "-Infinity"),
        (math.inf, FLOAT, "Infinity"),
        ("", STRING, ""),
        (False, BOOLEAN, False),
        (None, NONE, None),
        ("2024-05-01T10:00:00Z", DATETIME, "2024-05-01T10:00:00Z"),
        ("2024-05-01T10:00:00.25+02:00", DATETIME, "2024-05-01T08:00:00.250Z"),
        (90, DURATION, "90s"),
        (0.5, DURATION, "0.500s"),
        (-1, DURATION, "-1s"),
        ("1h30m", DURATION, "5400s"),
        ("1.5d", DURATION, "129600s"),
        ("-250ms", DURATION, "-0.250s"),
        ("0.000001s", DURATION, "0.000001s"),
        ("red", COLOR, "red"),
        ("s3://b/k", FILE, "s3://b/k"),
        ("s3://b/k/", DIRECTORY, "s3://b/k/"),
        ("s3://b/t", PARQUET, "s3://b/t"),
        ("s3://b/t", SCHEMA, "s3://b/t"),
        ({"a": [1.0, {"b": None}], "c": True, "d": "x"}, STRUCT, {"a": [1.0, {"b": None}], "c": True, "d": "x"}),
        ([], list_of(INTEGER), []),
        ([[1], [2, 3]], list_of(list_of(INTEGER)), [[1], [2, 3]]),
        ({"a": {"b": "red"}}, map_of(map_of(COLOR)), {"a": {"b": "red"}}),
        (None, union(INTEGER, NONE), None),
        ("q", union(INTEGER, STRING), "q"),
        ([{"a": None}], list_of(map_of(union(INTEGER, NONE))), [{"a": None}]),
    ],
)
def test_json_is_brought_to_the_type_and_read_back(value, kind, read):
    made = literal(value, kind)
    assert mismatch(made, kind) is None
    assert back(value, kind) == read
    assert json.loads(json.dumps(back(value, kind), allow_nan=False)) == read


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, INTEGER),
        (1.5, INTEGER),
        ("12", INTEGER),
        ("1e30", INTEGER),
        (2**63, INTEGER),
        ("9223372036854775808", INTEGER),
        (math.nan, INTEGER),
        (math.inf, INTEGER),
        (10**400, FLOAT),
        ("1.5", FLOAT),
        (True, FLOAT),
        (1, STRING),
        (1, BOOLEAN),
        ("true", BOOLEAN),
        (0, NONE),
        ("2024-05-01", DATETIME),
        ("2024-05-01T10:00:00", DATETIME),
        ("2024-13-01T10:00:00Z", DATETIME),
        ("0000-01-01T00:00:00Z", DATETIME),
        (1714557600, DATETIME),
        ("1h 30m", DURATION),
        ("PT1H", DURATION),
        ("90", DURATION),
        ("", DURATION),
        (math.nan, DURATION),
        (1e300, DURATION),
        ("999999999999999999d", DURATION),
        ("green", COLOR),
        (1, COLOR),
        ("", FILE),
        (None, TABLE),
        ([1], STRUCT),
        ("a", list_of(STRING)),
        ({"0": 1}, list_of(INTEGER)),
        ([1], map_of(INTEGER)),
        ("x", BINARY),
        ("x", SIMPLE["ERROR"]),
        ([], union(INTEGER, NONE)),
        (None, INTEGER),
        (1, UNSET),
    ],
)
def test_a_value_of_another_type_is_refused_with_the_inputs_name(value, kind):
    refused(value, kind)


def test_a_refusal_says_where_in_the_value_it_is_wrong_but_not_the_value():
    message = refused({"a": [1, "secret"]}, map_of(list_of(INTEGER)))
    assert message == "input x: ['a'] [1] must be integer"


def test_an_unknown_input_is_refused():
    with pytest.raises(ApiError) as caught:
        to_literals({"y": 1}, {"x": interface_pb2.Variable(type=INTEGER)})
    assert caught.value.metadata == {"input": "y"}


def test_the_first_variant_of_a_union_that_fits_is_chosen_and_said():
    first = types_pb2.LiteralType(simple=types_pb2.FLOAT, structure={"tag": "float"})
    chosen = literal(1, union(first, INTEGER)).scalar.union
    assert chosen.type == first
    assert chosen.value.scalar.primitive.float_value == 1.0


def test_values_come_straight_out_of_a_protobuf_struct():
    given_inputs = json_format.Parse('{"n": 3, "xs": [1, 2], "d": {"a": [{}]}}', struct_pb2.Struct())
    variables = {
        "n": interface_pb2.Variable(type=INTEGER),
        "xs": interface_pb2.Variable(type=list_of(INTEGER)),
        "d": interface_pb2.Variable(type=STRUCT),
    }
    assert to_json(to_literals(given_inputs, variables)) == {"n": 3, "xs": [1, 2], "d": {"a": [{}]}}


def test_what_has_no_json_of_its_own_is_shown_for_reading():
    scalar = literals_pb2.Scalar
    shown = to_json(
        literals_pb2.LiteralMap(
            literals={
                "packed": {"scalar": scalar(binary={"value": b"\x80", "tag": "msgpack"})},
                "error": {"scalar": scalar(error={"message": "no"})},
                "stored": {"offloaded_metadata": {"uri": "s3://b/k", "size_bytes": 7}},
                "empty": {},
            }
        )
    )
    assert shown == {
        "packed": {"base64": "gA==", "tag": "msgpack"},
        "error": {"message": "no"},
        "stored": {"uri": "s3://b/k", "size_bytes": 7},
        "empty": None,
    }


def test_flytekit_reads_the_literals_that_are_made_from_json():
    variables = samples.task_spec(samples.many).template.interface.inputs.variables
    given_inputs = {
        "i": 2,
        "f": 1,
        "s": "t",
        "b": False,
        "when": "2024-05-01T10:00:00Z",
        "span": "1h30m",
        "maybe": None,
        "either": "r",
        "color": "blue",
    }
    made = KitLiteralMap.from_flyte_idl(to_literals(given_inputs, variables))
    read = TypeEngine.literal_map_to_kwargs(
        FlyteContextManager.current_context(), made, samples.many.python_interface.inputs
    )
    assert read == {
        "i": 2,
        "f": 1.0,
        "s": "t",
        "b": False,
        "when": datetime.datetime(2024, 5, 1, 10, tzinfo=datetime.UTC),
        "span": datetime.timedelta(minutes=90),
        "maybe": None,
        "either": "r",
        "color": samples.Color.BLUE,
    }


def test_flytekit_reads_structs_lists_and_maps_that_are_made_from_json():
    variables = samples.task_spec(samples.use).template.interface.inputs.variables
    size = {"width": 3, "name": "n", "tags": ["a"]}
    given_inputs = {"size": size, "sizes": [size], "by_name": {"a": 1}, "names": ["b"], "any_": {"k": [1, None]}}
    made = KitLiteralMap.from_flyte_idl(to_literals(given_inputs, variables))
    wanted = {name: samples.use.python_interface.inputs[name] for name in given_inputs}
    read = TypeEngine.literal_map_to_kwargs(FlyteContextManager.current_context(), made, wanted)
    expected = samples.Size(3, "n", ["a"])
    assert read == {
        "size": expected,
        "sizes": [expected],
        "by_name": {"a": 1},
        "names": ["b"],
        "any_": {"k": [1, None]},
    }


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (samples.Size(1), samples.Size),
        ({"a": 1}, dict),
        ([samples.Size(1)], list[samples.Size]),
        (None, int | None),
        (3, int | None),
        ("a", int | str),
        ([1, None], list[int | None]),
        (samples.Color.RED, samples.Color),
        (datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), datetime.datetime),
        (datetime.timedelta(1), datetime.timedelta),
        ({"a": [1.5]}, dict[str, list[float]]),
        ([], list[int]),
    ],
)
def test_what_flytekit_writes_is_of_the_type_that_flytekit_declares(value, kind):
    declared = TypeEngine.to_literal_type(kind)
    written = TypeEngine.to_literal(FlyteContextManager.current_context(), value, kind, declared)
    assert mismatch(written.to_flyte_idl(), declared.to_flyte_idl()) is None


# What fits


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (list_of(union(*[INTEGER] * 65)), "has more than 64 variants in its unions"),
        (union(*[map_of(union(*[INTEGER] * 15))] * 5), "has more than 64 variants in its unions"),
        (table(a=union(*[INTEGER] * 40), b=union(*[INTEGER] * 40)), "has more than 64 variants in its unions"),
        (types_pb2.LiteralType(enum_type={"values": map(str, range(1025))}), "has more than 1024 values in its enums"),
        (list_of(UNSET), "is not a type that this server knows"),
        (list_of(union(*[INTEGER] * 64)), None),
        (types_pb2.LiteralType(enum_type={"values": map(str, range(1024))}), None),
    ],
)
def test_a_type_that_values_would_be_held_against_for_hours_is_refused(kind, said):
    # 24 KB of a union and a list took 13 seconds of a listener's thread, and ten times that a hundred times as long.
    assert types.problem(kind) == said


@pytest.mark.parametrize(
    ("given_type", "wanted", "fits"),
    [
        (INTEGER, INTEGER, True),
        (INTEGER, FLOAT, False),
        (FLOAT, INTEGER, False),
        (COLOR, STRING, True),
        (STRING, COLOR, True),
        (COLOR, types_pb2.LiteralType(enum_type={"values": ["red", "blue", "green"]}), True),
        (types_pb2.LiteralType(enum_type={"values": ["green"]}), COLOR, False),
        (INTEGER, COLOR, False),
        (INTEGER, union(INTEGER, NONE), True),
        (NONE, union(INTEGER, NONE), True),
        (STRING, union(INTEGER, NONE), False),
        (union(INTEGER, NONE), union(NONE, INTEGER, STRING), True),
        (union(INTEGER, NONE), INTEGER, False),
        (union(INTEGER), INTEGER, False),
        (union(), INTEGER, False),
        (union(), union(), False),
        (NONE, INTEGER, False),
        (list_of(INTEGER), list_of(INTEGER), True),
        (list_of(INTEGER), list_of(FLOAT), False),
        (list_of(NONE), list_of(FLOAT), False),
        (list_of(INTEGER), list_of(union(INTEGER, NONE)), True),
        (list_of(INTEGER), map_of(INTEGER), False),
        (map_of(STRING), map_of(COLOR), True),
        (map_of(INTEGER), map_of(STRING), False),
        (STRUCT, STRUCT, True),
        (STRUCT, map_of(STRING), False),
        (FILE, CSV, True),
        (CSV, FILE, True),
        (CSV, PARQUET_FILE, False),
        (FILE, DIRECTORY, False),
        (FILE, STRING, False),
        (TABLE, PARQUET, True),
        (PARQUET, types_pb2.LiteralType(structured_dataset_type={"format": "csv"}), False),
        (TABLE, SCHEMA, True),
        (SCHEMA, TABLE, True),
        (FILE, TABLE, False),
        (table(a=INTEGER, b=STRING), table(a=INTEGER), True),
        (table(a=INTEGER), table(b=INTEGER), False),
        (table(a=INTEGER), table(a=STRING), False),
        (TABLE, table(a=INTEGER), True),
        (UNSET, UNSET, False),
        (UNSET, union(INTEGER, NONE), False),
    ],
)
def test_castable(given_type, wanted, fits):
    assert castable(given_type, wanted) is fits


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({}, INTEGER),
        ({"scalar": {}}, INTEGER),
        ({"scalar": {"primitive": {}}}, INTEGER),
        ({"scalar": {"primitive": {"string_value": "green"}}}, COLOR),
        ({"scalar": {"primitive": {"integer": 1}}}, FLOAT),
        ({"scalar": {"primitive": {"integer": 1}}}, COLOR),
        ({"scalar": {"none_type": {}}}, INTEGER),
        ({"scalar": {"none_type": {}}}, list_of(NONE)),
        ({"scalar": {"binary": {"tag": "pickle"}}}, STRUCT),
        ({"scalar": {"binary": {"tag": "msgpack"}}}, INTEGER),
        ({"scalar": {"generic": {}}}, map_of(STRING)),
        ({"scalar": {"blob": {"metadata": {"type": {"dimensionality": "MULTIPART"}}}}}, FILE),
        ({"collection": {}}, map_of(INTEGER)),
        ({"collection": {"literals": [{}]}}, list_of(INTEGER)),
        ({"map": {"literals": {"a": {"scalar": {"none_type": {}}}}}}, map_of(INTEGER)),
        ({"scalar": {"union": {"value": {"scalar": {"none_type": {}}}, "type": NONE}}}, INTEGER),
        ({"scalar": {"union": {"value": {"scalar": {"none_type": {}}}, "type": INTEGER}}}, union(INTEGER, STRING)),
        ({"scalar": {"union": {"value": {"scalar": {"none_type": {}}}}}}, union(INTEGER, NONE)),
        ({"offloaded_metadata": {"uri": "u", "inferred_type": STRING}}, INTEGER),
        ({"offloaded_metadata": {"uri": "u"}}, INTEGER),
        ({"scalar": {"error": {}}}, STRING),
    ],
)
def test_a_value_that_is_not_of_the_type_says_so(value, kind):
    assert mismatch(literals_pb2.Literal(**value), kind)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"scalar": {"primitive": {"integer": 1}}, "hash": "h"}, INTEGER),
        ({"scalar": {"none_type": {}}}, union(INTEGER, NONE)),
        ({"scalar": {"union": {"value": {"scalar": {"none_type": {}}}, "type": NONE}}}, union(INTEGER, NONE)),
        ({"offloaded_metadata": {"uri": "u", "inferred_type": list_of(INTEGER)}}, list_of(INTEGER)),
        ({"scalar": {"binary": {"tag": "msgpack"}}}, STRUCT),
        ({"scalar": {"binary": {"tag": "anything"}}}, BINARY),
        ({"scalar": {"generic": {}}}, STRUCT),
        ({"scalar": {"error": {}}}, SIMPLE["ERROR"]),
        ({"scalar": {"schema": {}}}, SCHEMA),
        ({"scalar": {"structured_dataset": {}}}, TABLE),
        ({"scalar": {"blob": {}}}, CSV),
    ],
)
def test_a_value_that_is_of_the_type_has_no_mismatch(value, kind):
    assert mismatch(literals_pb2.Literal(**value), kind) is None


# Rules that hold for all types and values

NAMES = st.text(st.characters(categories=["Ll", "Nd"]), min_size=1, max_size=5)
SCALARS = st.sampled_from([INTEGER, FLOAT, STRING, BOOLEAN, DURATION, DATETIME, STRUCT, COLOR, FILE, TABLE, NONE])
TYPES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(list_of, inner),
        st.builds(map_of, inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda t: union(*t)),
    ),
    max_leaves=5,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(-(2**53), 2**53).map(float),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
FINITE_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def values(kind):
    """Return the JSON values, in the form that they are read back in, of a type."""
    match kind.WhichOneof("type"):
        case "collection_type":
            return st.lists(values(kind.collection_type), max_size=3)
        case "map_value_type":
            return st.dictionaries(NAMES, values(kind.map_value_type), max_size=3)
        case "union_type":
            return values(kind.union_type.variants[0])
        case "enum_type":
            return st.sampled_from(list(kind.enum_type.values))
        case "blob" | "structured_dataset_type":
            return NAMES.map(lambda name: f"s3://bucket/{name}")
    return {
        types_pb2.INTEGER: st.integers(-(2**63), 2**63 - 1).map(lambda n: n if abs(n) <= 2**53 else str(n)),
        types_pb2.FLOAT: st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["NaN", "Infinity"]),
        types_pb2.STRING: st.text(max_size=5),
        types_pb2.BOOLEAN: st.booleans(),
        types_pb2.NONE: st.none(),
        types_pb2.DURATION: st.integers(-(10**9), 10**9).map(lambda n: f"{n}s"),
        types_pb2.DATETIME: st.datetimes(
            datetime.datetime(1, 1, 2),
            datetime.datetime(9999, 12, 30),
        ).map(lambda when: when.replace(microsecond=0).isoformat() + "Z"),
        types_pb2.STRUCT: st.dictionaries(NAMES, FINITE_JSON, max_size=3),
    }[kind.simple]


TYPED = TYPES.flatmap(lambda kind: st.tuples(st.just(kind), values(kind)))


@given(TYPED)
def test_every_json_value_of_a_type_round_trips(typed):
    kind, value = typed
    assert back(value, kind) == value


@given(TYPES, JSON)
def test_a_json_value_becomes_a_literal_of_the_type_or_is_refused(kind, value):
    try:
        made = literal(value, kind)
    except ApiError:
        return
    assert mismatch(made, kind) is None


@given(TYPED, TYPES)
def test_the_values_of_a_type_are_of_every_type_that_it_can_be_cast_to(typed, wanted):
    kind, value = typed
    text_for_enum = "enum_type" in str(wanted)  # the one case where only the value tells
    if castable(kind, wanted) and not text_for_enum:
        assert mismatch(literal(value, kind), wanted) is None


@given(TYPES)
def test_every_type_can_be_cast_to_itself(kind):
    assert castable(kind, kind)


# Inputs


def interface(**inputs):
    variables = {name: interface_pb2.Variable(type=kind) for name, kind in inputs.items()}
    return interface_pb2.TypedInterface(inputs={"variables": variables})


def literal_map(**literals):
    return literals_pb2.LiteralMap(literals=literals)


ONE, TWO = literal(1, INTEGER), literal(2, INTEGER)
DEFAULTS = interface_pb2.ParameterMap(parameters={"b": {"default": ONE}})


def rejected(call) -> str:
    with pytest.raises(ApiError) as caught:
        call()
    assert caught.value.reason is Reason.INPUT_INVALID
    return caught.value.metadata["input"]


def test_an_execution_gets_what_is_given_the_defaults_and_what_is_fixed():
    fixed = literal_map(c=TWO)
    expected = expected_inputs(interface(a=INTEGER, b=INTEGER, c=INTEGER), DEFAULTS, fixed)
    assert merge_inputs(expected, fixed, literal_map(a=TWO)) == literal_map(a=TWO, b=ONE, c=TWO)
    assert merge_inputs(expected, fixed, literal_map(a=TWO, b=TWO)) == literal_map(a=TWO, b=TWO, c=TWO)


def test_inputs_that_are_unknown_missing_or_of_another_type_are_refused_by_name():
    expected = expected_inputs(interface(a=INTEGER, b=INTEGER), DEFAULTS, literal_map())
    assert rejected(lambda: merge_inputs(expected, literal_map(), literal_map())) == "a"
    assert rejected(lambda: merge_inputs(expected, literal_map(), literal_map(a=ONE, z=ONE))) == "z"
    text = literal("1", STRING)
    assert rejected(lambda: merge_inputs(expected, literal_map(), literal_map(a=ONE, b=text))) == "b"


def test_a_fixed_input_cannot_be_changed_but_may_be_repeated():
    fixed = literal_map(a=ONE)
    expected = expected_inputs(interface(a=INTEGER), interface_pb2.ParameterMap(), fixed)
    assert rejected(lambda: merge_inputs(expected, fixed, literal_map(a=TWO))) == "a"
    assert merge_inputs(expected, fixed, literal_map(a=ONE)) == fixed


def test_a_fixed_value_of_a_union_may_be_repeated_with_or_without_its_variant():
    optional = union(INTEGER, NONE)
    fixed = literal_map(a=ONE)
    expected = expected_inputs(interface(a=optional), interface_pb2.ParameterMap(), fixed)
    assert merge_inputs(expected, fixed, literal_map(a=literal(1, optional))) == fixed
    assert rejected(lambda: merge_inputs(expected, fixed, literal_map(a=literal(2, optional)))) == "a"


@st.composite
def launches(draw):
    """Draw an interface, a launch plan's inputs and those of a launch, each of the right type or not."""
    types = draw(st.dictionaries(NAMES, TYPES, max_size=4))
    default_inputs, fixed, sent = interface_pb2.ParameterMap(), literal_map(), literal_map()
    for name, kind in types.items():
        other = draw(st.just(kind) | TYPES)
        made = st.deferred(lambda other=other: values(other).map(lambda value: literal(value, other)))
        place = draw(st.sampled_from(["default", "fixed", "none"]))
        if place == "default":
            default_inputs.parameters[name].default.CopyFrom(draw(made))
        elif place == "fixed":
            fixed.literals[name].CopyFrom(draw(made))
        if draw(st.booleans()):
            sent.literals[name].CopyFrom(draw(made))
    if draw(st.integers(0, 5)) == 0:
        sent.literals[draw(NAMES)].CopyFrom(ONE)
    return types, default_inputs, fixed, sent


@given(launches())
def test_an_execution_never_gets_an_input_that_is_not_of_the_workflows_type(launch):
    types, default_inputs, fixed, sent = launch
    try:
        expected = expected_inputs(interface(**types), default_inputs, fixed)
        merged = merge_inputs(expected, fixed, sent)
    except ApiError:
        return
    assert merged.literals.keys() == types.keys()
    for name, kind in types.items():
        assert mismatch(merged.literals[name], kind) is None
    for name, value in fixed.literals.items():
        assert merged.literals[name] == value
