"""Keyset pages: opaque, signed tokens that name the last row of a page and the very list that they belong to."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, or_

from airspace_server.core.errors import ApiError, Reason, invalid_field
from airspace_server.storage.database import Transaction

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 1000
_MAC_BYTES: Final = 16


def page_size(asked: int) -> int:
    """Return how many rows a page holds: the default for 0, never more than the maximum.

    Raises INVALID_FIELD for a negative size.
    """
    if asked < 0:
        raise invalid_field("page_size", "must not be negative")
    return min(asked, MAX_PAGE_SIZE) or DEFAULT_PAGE_SIZE


@dataclass(frozen=True, slots=True)
class Pager:
    """Makes and reads page tokens. `key` is secret to the server's processes.

    A token carries no authority: every page is authorized anew. The signature only keeps a token inside the list that
    it was given for, so that nobody can walk one list with the position of another.
    """

    key: bytes

    def token(self, query: str, last: tuple[Any, ...]) -> str:
        """Make the token of the page behind the row `last`; `query` says which list, with all that restricts it."""
        body = json.dumps(last, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(query, body) + body).decode()

    def position(self, query: str, token: str, field: str = "page_token") -> tuple[Any, ...] | None:
        """Return the row that `token` stands behind, None for the first page. `field` is where the request has it.

        Raises INVALID_PAGE_TOKEN for a token of another list, another server or nobody.
        """
        if not token:
            return None
        try:
            raw = base64.b64decode(token, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not body or not hmac.compare_digest(mac, self._mac(query, body)):
            raise ApiError(Reason.INVALID_PAGE_TOKEN, "the page token does not belong to this list", field=field)
        return tuple(json.loads(body))

    def _mac(self, query: str, body: bytes) -> bytes:
        message = f"page\0{query}\0".encode() + body
        return hmac.new(self.key, message, hashlib.sha256).digest()[:_MAC_BYTES]


def behind(columns: tuple[ColumnElement[Any], ...], last: tuple[Any, ...], *, descending: bool) -> ColumnElement[bool]:
    """Restrict a list ordered by `columns` to the rows behind `last`.

    Written out instead of as a row comparison, which SQLite and Postgres can both use an index for: the first column's
    bound alone is stated again so that either planner sees a range.
    """
    alternatives = []
    for place, column in enumerate(columns):
        further = column < last[place] if descending else column > last[place]
        alternatives.append(and_(*(columns[i] == last[i] for i in range(place)), further))
    bound = columns[0] <= last[0] if descending else columns[0] >= last[0]
    return and_(bound, or_(*alternatives))


def ordered(statement: Select[Any], columns: tuple[ColumnElement[Any], ...], *, descending: bool) -> Select[Any]:
    """Order a list by `columns`, which must end in a key so that no two rows are alike."""
    return statement.order_by(*(column.desc() if descending else column.asc() for column in columns))


def page(
    tx: Transaction,
    statement: Select[Any],
    columns: tuple[ColumnElement[Any], ...],
    *,
    size: int,
    last: tuple[Any, ...] | None,
    descending: bool,
    offset: int = 0,
    **values: Any,
) -> tuple[Sequence[Row[Any]], tuple[Any, ...] | None]:
    """Read one page of a list ordered by `columns`: its rows, and where the next page begins if there is one.

    `columns` must end in a key, so that no two rows are alike. `offset` skips rows instead of seeking and is only for
    clients that count pages themselves.
    """
    labelled = statement.add_columns(*(column.label(f"key_{place}") for place, column in enumerate(columns)))
    if last is not None:
        labelled = labelled.where(behind(columns, last, descending=descending))
    rows = tx.all(ordered(labelled, columns, descending=descending).limit(size + 1).offset(offset or None), **values)
    if len(rows) <= size:
        return rows, None
    end = rows[size - 1]._mapping  # noqa: SLF001 -- SQLAlchemy's documented name
    return rows[:size], tuple(end[f"key_{place}"] for place in range(len(columns)))
