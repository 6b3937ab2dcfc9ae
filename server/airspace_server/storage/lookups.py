"""Single rows, straight from the driver: the short way for the reads that are most of all calls.

One statement sees one state of the database without a transaction around it, and SQLAlchemy's own way of running a
statement costs several times what SQLite needs to answer it (`make bench`). So a lookup is compiled by SQLAlchemy once
and from then on given to the driver as it is. Whatever is not plain about it is left to the long way.
"""

from collections import deque, namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, Integer, LargeBinary, PoolProxiedConnection, Select, String
from sqlmodel import AutoString

_PLAIN: Final = (AutoString, String, Integer, LargeBinary)
"""What both drivers give as it is; SQLAlchemy converts other types, and this does not."""


class NoShortWayError(Exception):
    """A lookup did not come to an answer here. Nothing is lost: it is to be asked again in a transaction."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    constants: Mapping[str, Any]
    row: Callable[[Any], Any]


class Lookups:
    """Answers lookups over a few connections of an engine's pool, which it keeps. Safe to share between threads.

    Only for statements that were checked by the scope guard: nothing is guarded here.
    """

    def __init__(self, engine: Engine, connections: int) -> None:
        kind: Any = type(engine.dialect)
        self._dialect = kind(paramstyle="named" if kind.name == "sqlite" else "pyformat")
        self._engine = engine
        self._error = engine.dialect.loaded_dbapi.Error
        self._compiled: WeakKeyDictionary[Select[Any], _Compiled] = WeakKeyDictionary()
        self._idle: deque[PoolProxiedConnection | None] = deque([None] * connections)  # None: not opened yet

    def row(self, statement: Select[Any], values: Mapping[str, Any]) -> Any:
        """Return the first row as a named tuple, or None.

        Raises NoShortWayError when every connection is busy and when the driver fails, whatever of: the long way knows
        the errors by their names. Raises TypeError for a statement that needs more than the driver.
        """
        compiled = self._compiled.get(statement)
        if compiled is None:
            compiled = self._compiled[statement] = self._compile(statement)
        try:
            connection = self._idle.pop()
        except IndexError:
            raise NoShortWayError from None
        try:
            if connection is None:
                connection = self._open()
            driver: Any = connection.dbapi_connection
            found = driver.execute(compiled.sql, {**compiled.constants, **values}).fetchone()
        except self._error:
            if connection is not None:
                _drop(connection)
                connection = None
            raise NoShortWayError from None
        finally:
            self._idle.append(connection)
        return None if found is None else compiled.row(found)

    def close(self) -> None:
        """Close the connections; new ones are opened when there is another lookup."""
        for place, connection in enumerate(self._idle):
            if connection is not None:
                _drop(connection)
                self._idle[place] = None

    def _open(self) -> PoolProxiedConnection:
        connection = self._engine.raw_connection()
        driver: Any = connection.dbapi_connection
        if self._dialect.name != "sqlite":
            driver.autocommit = True
        return connection

    def _compile(self, statement: Select[Any]) -> _Compiled:
        columns = statement.selected_columns
        compiled: Any = statement.compile(dialect=self._dialect)
        if any(not isinstance(column.type, _PLAIN) for column in columns) or any(
            bind.expanding for bind in compiled.binds.values()
        ):
            raise TypeError("a lookup selects text, integers and bytes and has no lists in it")
        found: Any = namedtuple("Found", columns.keys())  # type: ignore[misc]
        return _Compiled(
            compiled.string,
            {key: bind.effective_value for key, bind in compiled.binds.items() if not bind.required},
            found._make,
        )


def _drop(connection: PoolProxiedConnection) -> None:
    """Close a connection for good and give its place back to the pool."""
    connection.invalidate()
    connection.close()
