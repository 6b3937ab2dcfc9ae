import msgpack
import pytest
from engine_rows import constant, integer, literals, promise, several
from flyteidl.core import literals_pb2
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from airspace_server.engine import packed
from airspace_server.engine.bindings import MAX_RESOLVED, UnresolvedError, resolve, resolve_all


def no_values(_):
    return None


def given_output(literal):
    known = literals_pb2.LiteralMap(literals={"o": literal})
    return lambda node_id: known if node_id == "n0" else None


def struct(value):
    made = struct_pb2.Struct()
    made.update(value)
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(generic=made))


def msgpacked(value):
    binary = literals_pb2.Binary(value=msgpack.packb(value), tag="msgpack")
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(binary=binary))


def test_constants_lists_and_maps_are_built_as_they_are_written():
    data = literals_pb2.BindingData(map=literals_pb2.BindingDataMap(bindings={"a": several(constant(1), constant(2))}))
    made = resolve(data, no_values)
    assert [one.scalar.primitive.integer for one in made.map.literals["a"].collection.literals] == [1, 2]


def test_promises_give_inputs_and_outputs():
    values = {"": literals(x=1), "n0": literals(o=2)}
    made = resolve_all({"a": promise("", "x"), "b": promise("n0", "o")}, values.get)
    assert made == literals(a=1, b=2)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (promise("n0", "z"), "v is bound to output z of node n0, which has no value"),
        (promise("n9", "o"), "v is bound to output o of node n9, which has no value"),
        (promise("", "x"), "v is bound to input x, which has no value"),
        (promise("n0", "o", "k"), "v is bound to a part of output o of node n0, which has no 'k'"),
        (literals_pb2.BindingData(), "v is bound to nothing"),
    ],
)
def test_what_has_no_value_is_an_error_that_says_why(data, problem):
    with pytest.raises(UnresolvedError) as raised:
        resolve_all({"v": data}, given_output(integer(1)))
    assert str(raised.value) == problem


def test_parts_of_maps_and_lists_are_reached():
    inner = literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=[integer(4), integer(5)]))
    whole = literals_pb2.Literal(map=literals_pb2.LiteralMap(literals={"k": inner}))
    assert resolve(promise("n0", "o", "k", 1), given_output(whole)) == integer(5)
    union = literals_pb2.Literal(scalar=literals_pb2.Scalar(union=literals_pb2.Union(value=whole)))
    assert resolve(promise("n0", "o", "k", 0), given_output(union)) == integer(4)
    for path in (("k", 2), ("k", -1), (0,), ("k", "k")):
        with pytest.raises(UnresolvedError):
            resolve(promise("n0", "o", *path), given_output(whole))


def test_parts_of_structs_become_values_of_their_kind():
    values = given_output(struct({"s": "x", "b": True, "n": 1.5, "l": [1, {"d": None}], "m": {"k": "v"}}))
    assert resolve(promise("n0", "o", "s"), values).scalar.primitive.string_value == "x"
    assert resolve(promise("n0", "o", "b"), values).scalar.primitive.boolean is True
    assert resolve(promise("n0", "o", "n"), values).scalar.primitive.float_value == 1.5
    assert resolve(promise("n0", "o", "l", 1, "d"), values).scalar.HasField("none_type")
    assert len(resolve(promise("n0", "o", "l"), values).collection.literals) == 2
    assert resolve(promise("n0", "o", "m"), values).scalar.generic["k"] == "v"
    for path in (("z",), ("s", "t"), ("l", 2), (0,)):
        with pytest.raises(UnresolvedError):
            resolve(promise("n0", "o", *path), values)


def test_parts_of_dataclasses_stay_msgpack():
    made = resolve(promise("n0", "o", "l", 1, "d"), given_output(msgpacked({"s": "x", "l": [1, {"d": 2.5}]})))
    assert made.scalar.binary.tag == "msgpack"
    assert msgpack.unpackb(made.scalar.binary.value) == 2.5
    with pytest.raises(UnresolvedError, match="has no 'z'"):
        resolve(promise("n0", "o", "z"), given_output(msgpacked({"s": "x"})))


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=40,
)


@given(documents, st.data())
def test_any_part_of_any_msgpack_document_is_found(document, data):
    keys, value = [], document
    while isinstance(value, list | dict) and value and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        keys.append(key)
        value = value[key]
    assert msgpack.unpackb(packed.part(msgpack.packb(document), keys)) == value


@given(st.binary(max_size=60), st.lists(st.text(max_size=2) | st.integers(0, 3), max_size=3))
def test_broken_msgpack_is_refused_and_never_worse(data, keys):
    try:
        part = packed.part(data, keys)
    except packed.NoPartError:
        return
    assert part in data


def test_large_values_and_extensions_are_passed_over():
    document = {
        "big": "x" * 70_000,
        "list": list(range(70_000)),
        "bytes": b"y" * 300,
        "time": msgpack.ExtType(5, b"z" * 70),
    }
    data = msgpack.packb(document | {"last": 1})
    assert packed.part(data, ["last"]) == msgpack.packb(1)
    assert msgpack.unpackb(packed.part(data, ["list", 69_999])) == 69_999
    fixed = msgpack.packb([msgpack.ExtType(1, b"a" * size) for size in (1, 2, 4, 8, 16)] + [True])
    assert packed.part(fixed, [5]) == b"\xc3"


def test_what_a_binding_multiplies_is_bounded():
    large = literals_pb2.Literal()
    large.scalar.primitive.string_value = "x" * (MAX_RESOLVED // 10)
    values = {"": literals_pb2.LiteralMap(literals={"x": large})}
    assert resolve_all({"a": several(*[promise("", "x")] * 9)}, values.get)
    with pytest.raises(UnresolvedError, match="more than"):
        resolve_all({"a": several(*[promise("", "x")] * 11)}, values.get)


def test_what_could_never_be_read_again_is_refused():
    deep = integer(1)
    for _ in range(40):
        deep = literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=[deep]))
    nested = promise("", "x")
    for _ in range(12):
        nested = several(nested)
    with pytest.raises(UnresolvedError, match="nested too deeply"):
        resolve_all({"a": nested}, {"": literals_pb2.LiteralMap(literals={"x": deep})}.get)
