"""Flyte's lists over our tables: its filters, sort keys and page tokens become statements here.

Tokens that we give are our own keyset tokens. Decimal ones are accepted too: flytectl computes (page - 1) * limit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from flyteidl.admin import common_pb2
from sqlalchemy import ColumnElement, Row, Select, and_, func, not_

from airspace_server.core.errors import ApiError, Reason, invalid_field
from airspace_server.flyte.filters import Filter, Function, parse
from airspace_server.storage.database import Transaction
from airspace_server.storage.paging import MAX_PAGE_SIZE, Pager, page

_MAX_OFFSET: Final = 1_000_000
_INT32: Final = range(-(2**31), 2**31)

Convert = Callable[[str], Any]
"""Turns a filter's value into what the column holds. Raises ValueError."""


def microseconds(text: str) -> int:
    """Read a time in RFC 3339 as microseconds since the epoch. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)


def whole(text: str) -> int:
    """Read a whole number that fits into 32 bits, which is what a column of them holds. Raises ValueError."""
    number = int(text)
    if number not in _INT32:
        raise ValueError(text)
    return number


def coded(values: Mapping[str, str]) -> Convert:
    """Read an enum's number or name, as clients send either, into what the column holds."""

    def convert(text: str) -> str:
        if text not in values:
            raise ValueError(text)
        return values[text]

    return convert


@dataclass(frozen=True, slots=True)
class Field:
    """A column that a list can be filtered and sorted by."""

    column: ColumnElement[Any]
    convert: Convert = str
    optional: object = None
    """For a column that may be null: the value that null is sorted as."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list can be filtered and sorted by.

    `entity` is what filters call the listed kind, where they call it anything. `fields` are its own, `related` ones
    stand under "entity.field"; `keys` end every order: no two rows are alike.
    """

    entity: str
    fields: Mapping[str, Field]
    keys: tuple[ColumnElement[Any], ...]
    related: Mapping[str, Field] = field(default_factory=dict)

    def conditions(self, filters: str) -> list[ColumnElement[bool]]:
        """Turn the filters of a request into conditions. Raises INVALID_FIELD and UNKNOWN_FIELD."""
        return [self._condition(each) for each in parse(filters)]

    def sort_column(self, key: str) -> ColumnElement[Any]:
        """Return what to sort by. Raises UNKNOWN_FIELD."""
        found = self.fields.get(key)
        if found is None:
            raise ApiError(
                Reason.UNKNOWN_FIELD,
                f"sort_by names {key!r}; this list has {', '.join(sorted(self.fields))}",
                {"field": key},
                "sort_by.key",
            )
        return found.column if found.optional is None else func.coalesce(found.column, found.optional)

    def _condition(self, wanted: Filter) -> ColumnElement[bool]:
        name = f"{wanted.entity}.{wanted.field}" if wanted.entity else wanted.field
        own = wanted.entity in ("", self.entity)
        found = self.fields.get(wanted.field) if own else self.related.get(name)
        if found is None:
            known = ", ".join(sorted({*self.fields, *self.related}))
            raise ApiError(
                Reason.UNKNOWN_FIELD, f"filters name {name!r}; this list has {known}", {"field": name}, "filters"
            )
        if wanted.function in (Function.CONTAINS, Function.NOT_LIKE) and found.convert is not str:
            raise invalid_field("filters", f"cannot look for text in {name}")
        try:
            values = [found.convert(value) for value in wanted.values]
        except ValueError:
            raise invalid_field("filters", f"have a value for {name} that it cannot have") from None
        if any("\0" in value for value in wanted.values):
            raise invalid_field("filters", "must not contain a NUL character")
        return _COMPARE[wanted.function](found.column, values)


_COMPARE: Final[Mapping[Function, Callable[[ColumnElement[Any], list[Any]], ColumnElement[bool]]]] = {
    Function.EQ: lambda column, values: column == values[0],
    Function.NE: lambda column, values: column != values[0],
    Function.GT: lambda column, values: column > values[0],
    Function.GTE: lambda column, values: column >= values[0],
    Function.LT: lambda column, values: column < values[0],
    Function.LTE: lambda column, values: column <= values[0],
    Function.CONTAINS: lambda column, values: column.contains(values[0], autoescape=True),
    # A backslash stands for itself, on every database: as an escape Postgres refuses one at the end of a pattern.
    Function.NOT_LIKE: lambda column, values: not_(column.like(values[0].replace("\\", r"\\"), escape="\\")),
    Function.VALUE_IN: lambda column, values: column.in_(values),
    Function.VALUE_NOT_IN: lambda column, values: column.not_in(values),
}


def fetch(
    tx: Transaction,
    pager: Pager,
    statement: Select[Any],
    listing: Listing,
    *,
    list_name: str,
    limit: int,
    token: str,
    filters: str = "",
    sort_by: common_pb2.Sort | None = None,
    default_sort: str = "created_at",
    ascending: bool = False,
    **values: Any,
) -> tuple[Sequence[Row[Any]], str]:
    """Read one page of a list: its rows and the token of the next page, "" on the last one.

    `list_name` says which list it is, with its scope. Without a sort key the list is in its own order, by
    `default_sort` and `ascending`. More than 1000 rows are never given at once.

    Raises INVALID_FIELD for a limit below 1, INVALID_PAGE_TOKEN, and what Listing raises.
    """
    if limit < 1:
        raise invalid_field("limit", "must be at least 1")
    given = sort_by is not None and bool(sort_by.key)
    key = sort_by.key if sort_by is not None and given else default_sort
    descending = sort_by.direction == common_pb2.Sort.DESCENDING if sort_by is not None and given else not ascending
    query = f"flyte {list_name} {filters} {key} {descending}"
    # flytectl numbers its pages by rows; our own tokens are longer than any such number.
    counted = token.isascii() and token.isdigit() and len(token) <= len(str(_MAX_OFFSET))
    if counted and int(token) > _MAX_OFFSET:
        raise ApiError(Reason.INVALID_PAGE_TOKEN, f"no page begins behind row {_MAX_OFFSET}", field="token")
    rows, end = page(
        tx,
        statement.where(and_(*listing.conditions(filters))) if filters else statement,
        (listing.sort_column(key), *listing.keys),
        size=min(limit, MAX_PAGE_SIZE),
        last=None if counted else pager.position(query, token, "token"),
        descending=descending,
        offset=int(token) if counted else 0,
        **values,
    )
    return rows, pager.token(query, end) if end else ""
