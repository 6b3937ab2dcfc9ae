"""Which case of a branch holds. Pure: conditions are comparisons of a branch's inputs with each other and constants."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from flyteidl.core import condition_pb2, literals_pb2

_Comparison = condition_pb2.ComparisonExpression
_OPERATORS: Final[Mapping[int, Callable[[Any, Any], bool]]] = {
    _Comparison.EQ: operator.eq,
    _Comparison.NEQ: operator.ne,
    _Comparison.GT: operator.gt,
    _Comparison.GTE: operator.ge,
    _Comparison.LT: operator.lt,
    _Comparison.LTE: operator.le,
}
_EQUALITY: Final = frozenset({_Comparison.EQ, _Comparison.NEQ})


class UndecidedError(Exception):
    """A condition has no answer. The text is for the owner of the execution."""


def first(conditions: Sequence[condition_pb2.BooleanExpression], values: literals_pb2.LiteralMap) -> int | None:
    """Return the place of the first condition that holds, None if none does. Raises UndecidedError."""
    for place, condition in enumerate(conditions):
        if holds(condition, values):
            return place
    return None


def holds(condition: condition_pb2.BooleanExpression, values: literals_pb2.LiteralMap) -> bool:
    """Tell whether a condition holds for these values. What does not matter any more is not looked at."""
    match condition.WhichOneof("expr"):
        case "conjunction":
            both = condition.conjunction
            left = holds(both.left_expression, values)
            if both.operator == condition_pb2.ConjunctionExpression.AND:
                return left and holds(both.right_expression, values)
            return left or holds(both.right_expression, values)
        case "comparison":
            return _compare(condition.comparison, values)
        case _:
            raise UndecidedError("it has a condition that says nothing")


def _compare(comparison: condition_pb2.ComparisonExpression, values: literals_pb2.LiteralMap) -> bool:
    left, right = _value(comparison.left_value, values), _value(comparison.right_value, values)
    compare = _OPERATORS.get(comparison.operator)
    if compare is None:
        raise UndecidedError("it has a comparison of an unknown kind")
    if left is None or right is None:
        if comparison.operator in _EQUALITY:
            return compare(left, right)
        raise UndecidedError("None is neither less nor more than anything")
    if _kind(left) != _kind(right):
        raise UndecidedError(f"a {_kind(left)} cannot be compared with a {_kind(right)}")
    if isinstance(left, bool) and comparison.operator not in _EQUALITY:
        raise UndecidedError("a bool is neither less nor more than another")
    return compare(left, right)


def _kind(value: object) -> str:
    """Name a value's kind. Whole numbers and others are compared as numbers."""
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def _value(operand: condition_pb2.Operand, values: literals_pb2.LiteralMap) -> Any:
    match operand.WhichOneof("val"):
        case "primitive":
            return _primitive(operand.primitive)
        case "var":
            if operand.var not in values.literals:
                raise UndecidedError(f"it compares {operand.var}, which has no value")
            return _literal(operand.var, values.literals[operand.var])
        case "scalar":
            return _literal("a constant", literals_pb2.Literal(scalar=operand.scalar))
        case _:
            raise UndecidedError("it compares nothing")


def _literal(name: str, literal: literals_pb2.Literal) -> Any:
    while literal.scalar.HasField("union"):
        literal = literal.scalar.union.value
    if literal.scalar.HasField("none_type"):
        return None
    if not literal.scalar.HasField("primitive"):
        raise UndecidedError(f"it compares {name}, which is no plain value")
    return _primitive(literal.scalar.primitive)


def _primitive(primitive: literals_pb2.Primitive) -> Any:
    match primitive.WhichOneof("value"):
        case "datetime":
            return primitive.datetime.ToDatetime()
        case "duration":
            return primitive.duration.ToTimedelta()
        case None:
            raise UndecidedError("it compares nothing")
        case kind:
            return getattr(primitive, kind)
