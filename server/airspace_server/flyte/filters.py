"""The filter language of Flyte's lists.

A filter is `function(field,value)`, several are joined by "+" and all must hold; a field may carry the kind of thing
that it belongs to (`workflow.name`), and the values of a set are parted by ";". Which fields there are, and what a
value must look like, each list decides for itself.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from airspace_server.core.errors import invalid_field

MAX_LENGTH: Final = 8192
"""Longest text of filters, in characters: it bounds the number of filters and of their values too."""


class Function(StrEnum):
    """What must hold between the field and the value."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    CONTAINS = "contains"
    """The value is somewhere in the field, letter by letter."""
    NOT_LIKE = "not_like"
    """The field does not match the value, an SQL LIKE pattern."""
    VALUE_IN = "value_in"
    """The field is one of the values."""
    VALUE_NOT_IN = "value_not_in"
    """The field is none of the values."""


_SETS: Final = frozenset({Function.VALUE_IN, Function.VALUE_NOT_IN})
# A value may hold "+" and ",", which names and times of Flyte do, but no parentheses.
_FILTER: Final = re.compile(
    r"(?P<function>[a-z_]+)\((?:(?P<entity>[a-z_]+)\.)?(?P<field>[a-z_]+), ?(?P<value>[^()]+)\)(?:\+(?=[a-z_]+\()|\Z)"
)


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition of a list."""

    entity: str
    """The kind of thing that the field belongs to; "" is the listed kind itself."""
    field: str
    function: Function
    values: tuple[str, ...]
    """Exactly one value, or for VALUE_IN and VALUE_NOT_IN one or more; none of them empty."""


def parse(text: str) -> list[Filter]:
    """Read the `filters` of a list request; the empty text has none.

    Raises:
        ApiError: INVALID_FIELD at "filters" when the text is too long or cannot be read.
    """
    if len(text) > MAX_LENGTH:
        raise invalid_field("filters", f"must have at most {MAX_LENGTH} characters")
    found = []
    position = 0
    while position < len(text):
        match = _FILTER.match(text, position)
        if match is None:
            raise invalid_field(
                "filters", f"cannot be read from character {position + 1} on: use function(field,value)"
            )
        found.append(_filter(match))
        position = match.end()
    return found


def _filter(match: re.Match[str]) -> Filter:
    try:
        function = Function(match["function"])
    except ValueError:
        known = ", ".join(Function)
        raise invalid_field(
            "filters", f"has a function at character {match.start() + 1} that is not of: {known}"
        ) from None
    values = tuple(match["value"].split(";"))
    if "" in values:
        raise invalid_field("filters", f"has an empty value in the filter at character {match.start() + 1}")
    if len(values) > 1 and function not in _SETS:
        raise invalid_field(
            "filters", f"has several values for {function} at character {match.start() + 1}; use value_in"
        )
    return Filter(match["entity"] or "", match["field"], function, values)
