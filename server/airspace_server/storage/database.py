"""The engine, transactions, and the guard that keeps every statement inside its scope.

Synchronous drivers and prebuilt Core statements, for speed (DESIGN.md section 6 has the measurements). SQLite runs with
write-ahead logging and synchronous=FULL: a commit that was answered survives a power loss.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from sqlalchemy import (
    Alias,
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    ColumnElement,
    Connection,
    CursorResult,
    Delete,
    Executable,
    Insert,
    Join,
    Row,
    Select,
    Table,
    Text,
    TextClause,
    Update,
    and_,
    bindparam,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.visitors import ExternallyTraversible

from airspace_server.core.scope import ANY, Scope
from airspace_server.storage.changes import NOTHING, Change, digest
from airspace_server.storage.lookups import Lookups, NoShortWayError
from airspace_server.storage.tables import SCOPED

_BUSY_SECONDS: Final = 20
_POOL: Final = 16


_HOLD: Final = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("held_name", type_=Text), 0)))


class ScopeGuardError(RuntimeError):
    """A statement touches a scoped table outside the scope of its transaction: a fault of this program."""


def scoped(table: Table) -> ColumnElement[bool]:
    """Restrict `table` to the scope of the transaction; the guard asks for this on every scoped table."""
    return and_(table.c.project == bindparam("scope_project"), table.c.domain == bindparam("scope_domain"))


class Transaction:
    """A transaction, bound to one scope, to no scope (server-wide tables only) or explicitly across scopes."""

    def __init__(self, connection: Connection, scope: Scope | None) -> None:
        self._connection = connection
        self._scope_values = _scope_values(scope) if scope else {}
        self._row_values: Mapping[str, str] = {"project": scope.project, "domain": scope.domain} if scope else {}
        self._options: Mapping[str, Any] | None = None
        self.scope = scope
        self.written: set[Table] = set()
        """The tables in which a row was inserted, updated or deleted."""
        self.changes: list[Change] = []

    def changed(
        self,
        resource: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any] | None,
        *,
        at: tuple[str, str] | None = None,
    ) -> None:
        """Say that this transaction changes a resource, from and to what describes it; None where it is not there.

        `at` is its project and domain, unless it lies in the transaction's scope. What is the same before and after
        did not change.
        """
        if before == after:
            return
        project, domain = at or ((self.scope.project, self.scope.domain) if self.scope else (ANY, ANY))
        digests = [NOTHING if content is None else digest(content) for content in (before, after)]
        self.changes.append(Change(project, domain, resource, *digests))

    def execute(self, statement: Executable, **values: Any) -> CursorResult[Any]:
        """Run a statement that was built with `scoped`, with its other values."""
        result: CursorResult[Any] = self._connection.execute(
            statement, {**values, **self._scope_values}, execution_options=self._options
        )
        if isinstance(statement, Update | Delete) and result.rowcount:
            self.written.add(cast("Table", statement.table))
        return result

    def one(self, statement: Executable, **values: Any) -> Row[Any] | None:
        """Return the first row, or None."""
        return self.execute(statement, **values).first()

    def all(self, statement: Executable, **values: Any) -> Sequence[Row[Any]]:
        """Return every row."""
        return self.execute(statement, **values).all()

    def insert(self, table: Table, *rows: Mapping[str, Any]) -> None:
        """Insert rows; a scoped table's rows get the scope of the transaction."""
        own = self._row_values if table in SCOPED else {}
        self._connection.execute(table.insert(), [{**row, **own} for row in rows])
        self.written.add(table)

    def insert_new(self, table: Table, row: Mapping[str, Any]) -> bool:
        """Insert a row unless one with its key is there; tell whether it was inserted. Races end in one winner."""
        own = self._row_values if table in SCOPED else {}
        insert = sqlite_insert if self._connection.dialect.name == "sqlite" else postgres_insert
        result = self._connection.execute(
            insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True), {**row, **own}
        )
        if result.rowcount != 1:
            return False
        self.written.add(table)
        return True

    def hold(self, name: str) -> None:
        """Wait until no other transaction holds this name, and hold it until this one ends.

        What is read after it is as the last holder left it, unless the transaction reads one state. On SQLite writers
        wait for one another anyway.
        """
        if self.dialect == "postgresql":
            self._connection.execute(_HOLD, {"held_name": name})

    def beside(self, scope: Scope) -> "Transaction":
        """Read another scope as of the same moment: what it exports to this one (storage/references.py)."""
        other = Transaction(self._connection, scope)
        other._options = {"airspace_scope": scope}
        return other

    @property
    def dialect(self) -> str:
        """The database's kind: "sqlite" or "postgresql"."""
        return self._connection.dialect.name


def _scope_values(scope: Scope) -> Mapping[str, str]:
    """Return the values of what `scoped` compares with."""
    return {"scope_project": scope.project, "scope_domain": scope.domain}


class Database:
    """A pool of connections to one database. Safe to share between threads."""

    def __init__(self, url: str, *, pool_size: int = _POOL) -> None:
        self.url: URL = make_url(url)
        sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=not sqlite,
            connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False} if sqlite else {},
        )
        if sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        event.listen(self.engine, "before_execute", _guard)
        self._lookups = Lookups(self.engine, pool_size // 2)
        self.before_commit: Callable[[Transaction], None] = lambda _: None
        """Called at the end of every `write`; what it raises undoes all of it. Who sets none keeps no audit."""

    def find(self, scope: Scope, statement: Select[Any], **values: Any) -> Any:
        """Return the first row of one prebuilt statement, with columns by name, or None: the cheapest way to read.

        The statement was built with `scoped` and sees the state of one moment; what must agree with a second statement
        belongs in `read`.
        """
        _require_tied(statement)
        try:
            return self._lookups.row(statement, {**values, **_scope_values(scope)})
        except NoShortWayError:
            with self.read(scope) as tx:
                return tx.one(statement, **values)

    @contextmanager
    def read(self, scope: Scope | None = None, *, across: bool = False) -> Iterator[Transaction]:
        """Read one consistent state of a scope, of the server's own tables, or, with `across`, of every scope."""
        options: dict[str, Any] = {"airspace_scope": scope, "airspace_across": across, "airspace_begin": "BEGIN"}
        if self.engine.dialect.name != "sqlite":  # SQLite's transactions see one state anyway
            options["isolation_level"] = "REPEATABLE READ"
        with self.engine.connect() as connection:
            connection = connection.execution_options(**options)
            with connection.begin():
                yield Transaction(connection, scope)

    @contextmanager
    def write(self, scope: Scope | None = None, *, across: bool = False) -> Iterator[Transaction]:
        """Change a scope, the server's own tables, or with `across` several scopes; all of it or nothing.

        On SQLite writers wait for one another from the first statement on, so a read in here cannot go stale; on
        Postgres lock what must not change with `with_for_update`.
        """
        options = {"airspace_scope": scope, "airspace_across": across, "airspace_begin": "BEGIN IMMEDIATE"}
        with self.engine.connect() as connection:
            connection = connection.execution_options(**options)
            with connection.begin():
                tx = Transaction(connection, scope)
                yield tx
                self.before_commit(tx)

    def close(self) -> None:
        """Close the pooled connections."""
        self._lookups.close()
        self.engine.dispose()


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says, not where the driver guesses
    _use_write_ahead_log(connection)
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "case_sensitive_like=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _use_write_ahead_log(connection: Any) -> None:
    """Switch a new file to write-ahead logging; SQLite does not wait for other connections here, so this does."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    statement = connection.get_execution_options().get("airspace_begin", "BEGIN IMMEDIATE")
    connection.connection.dbapi_connection.execute(statement)  # type: ignore[union-attr]


_tied: WeakKeyDictionary[Executable, bool] = WeakKeyDictionary()
"""Statements that tie every scoped table that they touch, and whether they touch any."""


def _guard(
    _connection: Connection,
    statement: Executable,
    multiparams: Sequence[Mapping[str, Any]],
    params: Mapping[str, Any],
    options: Mapping[str, Any],
) -> None:
    """Refuse a statement that reaches a scoped table outside the transaction's scope."""
    if options.get("airspace_across"):
        return
    scope: Scope | None = options.get("airspace_scope")
    if isinstance(statement, Insert):
        if statement.select is not None:
            raise ScopeGuardError("rows from a SELECT cannot be checked; read them and insert them")
        if statement.table in SCOPED:
            rows = multiparams or [params]
            if scope is None or any(
                (row.get("project"), row.get("domain")) != (scope.project, scope.domain) for row in rows
            ):
                raise ScopeGuardError(f"insert into {statement.table.name} outside the scope of its transaction")
        return
    if isinstance(statement, TextClause):
        raise ScopeGuardError("statements in text cannot be checked; build them from the tables")
    if _require_tied(statement) and scope is None:
        raise ScopeGuardError("a statement touches a scoped table in a transaction without a scope")


def _require_tied(statement: Executable) -> bool:
    """Refuse a statement that does not tie a scoped table to the scope of the transaction; tell if it touches any."""
    touches = _tied.get(statement)
    if touches is None:
        unscoped = set(_unscoped_tables(statement))
        if unscoped:
            raise ScopeGuardError(f"a statement touches {', '.join(sorted(unscoped))} without its scope")
        touches = _tied[statement] = bool(_touched(statement))
    return touches


def _elements(statement: Executable) -> Iterator[Any]:
    return visitors.iterate(cast("ExternallyTraversible", statement))


def _touched(statement: Executable) -> set[Table]:
    """Find the scoped tables in a statement. An alias counts as its table, which nothing ties: aliases are refused."""
    return {element for element in _elements(statement) if isinstance(element, Table) and element in SCOPED}


def _unscoped_tables(statement: Executable) -> Iterator[str]:
    """Name the scoped tables that the very SELECT, UPDATE or DELETE they stand in does not tie to the scope."""
    for element in _elements(statement):
        if isinstance(element, Alias) and element.element in SCOPED:
            yield element.element.name  # nothing ties an alias: none is needed, and none is let through
        elif isinstance(element, Select):
            for source in element.get_final_froms():
                yield from _untied(source, frozenset(_ties(element.whereclause)))
        elif isinstance(element, Update | Delete):
            yield from _untied(element.table, frozenset(_ties(element.whereclause)))


def _untied(source: Any, tied: frozenset[tuple[Any, str]]) -> Iterator[str]:
    """Name the scoped tables in a FROM that are not tied, by a condition around them or by an inner join's own.

    The condition of an outer join restricts its right side alone.
    """
    if isinstance(source, Join):
        joined = tied | frozenset(_ties(source.onclause))
        yield from _untied(source.left, tied if source.isouter or source.full else joined)
        yield from _untied(source.right, tied if source.full else joined)
    elif isinstance(source, Table) and source in SCOPED and not {(source, "project"), (source, "domain")} <= tied:
        yield source.name


def _ties(condition: ColumnElement[Any] | None) -> Iterator[tuple[Any, str]]:
    if isinstance(condition, BooleanClauseList) and condition.operator is operators.and_:
        for clause in condition.clauses:
            yield from _ties(clause)
    elif (
        isinstance(condition, BinaryExpression)
        and condition.operator is operators.eq
        and isinstance(condition.right, BindParameter)
        and condition.right.key == f"scope_{getattr(condition.left, 'name', '')}"
    ):
        yield condition.left.table, condition.left.name
