"""Which conditions hold, for the values that flytekit compiles comparisons of."""

from datetime import timedelta

import pytest
from flyteidl.core import condition_pb2, literals_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from airspace_server.engine.conditions import UndecidedError, first, holds

OPERATORS = dict(condition_pb2.ComparisonExpression.Operator.items())
AND, OR = condition_pb2.ConjunctionExpression.AND, condition_pb2.ConjunctionExpression.OR


def literal(value: object) -> literals_pb2.Literal:
    made = literals_pb2.Literal()
    if value is None:
        made.scalar.none_type.SetInParent()
    elif isinstance(value, timedelta):
        made.scalar.primitive.duration.FromTimedelta(value)
    elif isinstance(value, Timestamp):
        made.scalar.primitive.datetime.CopyFrom(value)
    else:
        kinds = {bool: "boolean", int: "integer", float: "float_value", str: "string_value"}
        setattr(made.scalar.primitive, kinds[type(value)], value)
    return made


def compare(left: object, word: str, right: object) -> condition_pb2.BooleanExpression:
    """Compare the input "x", which has the left value, with a constant."""
    comparison = condition_pb2.ComparisonExpression(operator=OPERATORS[word])
    comparison.left_value.var = "x"
    comparison.right_value.scalar.CopyFrom(literal(right).scalar)
    return condition_pb2.BooleanExpression(comparison=comparison)


def decided(left: object, word: str, right: object) -> bool:
    return holds(compare(left, word, right), literals_pb2.LiteralMap(literals={"x": literal(left)}))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 2),
        (1.5, 2),
        (-2, 1.0),
        ("a", "b"),
        (timedelta(1), timedelta(2)),
        (Timestamp(seconds=1), Timestamp(seconds=2)),
    ],
)
def test_values_of_one_kind_are_compared_by_their_order(left: object, right: object):
    holding = {word for word in OPERATORS if decided(left, word, right)}
    assert holding == {"NEQ", "LT", "LTE"}
    assert {word for word in OPERATORS if decided(left, word, left)} == {"EQ", "GTE", "LTE"}
    assert {word for word in OPERATORS if decided(right, word, left)} == {"NEQ", "GT", "GTE"}


def test_what_is_none_and_what_is_true_are_equal_or_not():
    assert [decided(left, "EQ", None) for left in (None, 0, "")] == [True, False, False]
    assert [decided(left, "EQ", True) for left in (True, False)] == [True, False]
    assert decided(False, "NEQ", True)


@pytest.mark.parametrize(
    ("left", "word", "right", "why"),
    [
        (1, "LT", "a", "a number cannot be compared with a str"),
        (True, "EQ", 1, "a bool cannot be compared with a number"),
        (True, "GT", False, "neither less nor more"),
        (None, "LT", 1, "neither less nor more"),
    ],
)
def test_what_cannot_be_compared_is_said_to_be_so(left: object, word: str, right: object, why: str):
    with pytest.raises(UndecidedError, match=why):
        decided(left, word, right)


def test_conditions_that_say_nothing_and_values_that_are_not_there_or_not_plain_are_undecided():
    empty, missing = condition_pb2.BooleanExpression(), compare(1, "EQ", 1)
    structured = literals_pb2.LiteralMap(literals={"x": literals_pb2.Literal(map=literals_pb2.LiteralMap())})
    for condition, values in (
        (empty, literals_pb2.LiteralMap()),
        (missing, literals_pb2.LiteralMap()),
        (missing, structured),
    ):
        with pytest.raises(UndecidedError):
            holds(condition, values)


def test_a_value_in_a_union_is_compared_as_it_is():
    union = literals_pb2.Literal()
    union.scalar.union.value.CopyFrom(literal(3))
    assert holds(compare(3, "EQ", 3), literals_pb2.LiteralMap(literals={"x": union}))


@pytest.mark.parametrize(
    ("operator", "left", "right", "answer"),
    [(AND, 1, 2, False), (AND, 1, 1, True), (OR, 2, 1, True), (OR, 2, 3, False)],
)
def test_conditions_are_joined(operator: int, left: int, right: int, answer: bool):
    values = literals_pb2.LiteralMap(literals={"x": literal(1)})
    joined = condition_pb2.BooleanExpression()
    joined.conjunction.operator = operator
    joined.conjunction.left_expression.CopyFrom(compare(1, "EQ", left))
    joined.conjunction.right_expression.CopyFrom(compare(1, "EQ", right))
    assert holds(joined, values) is answer


def test_what_does_not_matter_any_more_is_not_looked_at():
    values = literals_pb2.LiteralMap(literals={"x": literal(1)})
    joined = condition_pb2.BooleanExpression()
    joined.conjunction.operator = OR
    joined.conjunction.left_expression.CopyFrom(compare(1, "EQ", 1))
    assert holds(joined, values)
    assert first([compare(1, "EQ", 1), condition_pb2.BooleanExpression()], values) == 0
    assert first([compare(1, "EQ", 2)], values) is None
