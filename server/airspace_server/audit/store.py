"""Reads the chains: lists and exports their records, and verifies them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, bindparam, select

from airspace_server.audit.chain import Head, Kind, Link, Problem, Record, SealedHead, Verification
from airspace_server.core.clock import MICROSECONDS
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import ANY, ScopePattern
from airspace_server.storage.changes import NOTHING, Change
from airspace_server.storage.database import Database, Transaction
from airspace_server.storage.paging import page
from airspace_server.storage.tables import AuditHeadRow, AuditRecordRow, ProjectRow, table

_RECORDS: Final = table(AuditRecordRow)
_HEADS: Final = table(AuditHeadRow)
_PROJECTS: Final = table(ProjectRow)
_NEWEST: Final = (_RECORDS.c.at, _RECORDS.c.chain, _RECORDS.c.sequence)
_IN_ORDER: Final = (_RECORDS.c.chain, _RECORDS.c.sequence)
_ALL: Final = select(_RECORDS)
_READ: Final = 1_000
"""How many records are read at a time."""
_NEXT: Final = (
    _ALL.where(_RECORDS.c.chain == bindparam("own_chain"), _RECORDS.c.sequence > bindparam("after"))
    .order_by(_RECORDS.c.sequence)
    .limit(_READ)
)
_BEFORE_ALL: Final = -(2**63)
"""Before every sequence that a row can have, those that no record has too."""
_AFTER_ALL: Final = 253_402_300_800 * MICROSECONDS
"""The first time that no message has: the year 10000."""
_PROJECT: Final = select(_PROJECTS.c.id).where(_PROJECTS.c.id == bindparam("own_project"))
_HEAD: Final = select(_HEADS).where(_HEADS.c.chain == bindparam("own_chain"))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records: of the chains and domains of `pattern`; in the rest, empty or 0 is every one.

    `since` and `until` are in microseconds since the epoch, the first included and the second not.
    """

    pattern: ScopePattern
    principal: str = ""
    method: str = ""
    kind: Kind | None = None
    since: int = 0
    until: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a chain was found: where it ends, and the first problem, None when it holds."""

    chain: str
    head: Head
    problem: Problem | None


def newest(
    tx: Transaction, wanted: Wanted, position: tuple[Any, ...] | None, size: int
) -> tuple[Sequence[Link], tuple[Any, ...] | None]:
    """Return a page of records, newest first, and where the next begins."""
    rows, end = page(tx, _ALL.where(*_conditions(wanted)), _NEWEST, size=size, last=position, descending=True)
    return [link(row) for row in rows], end


def export(database: Database, wanted: Wanted, position: tuple[Any, ...] | None = None) -> Iterator[Link]:
    """Yield the records in the order of their chains, from the beginning or behind a chain and sequence."""
    statement = _ALL.where(*_conditions(wanted))
    while True:
        with database.read() as tx:
            rows, position = page(tx, statement, _IN_ORDER, size=_READ, last=position, descending=False)
        yield from map(link, rows)
        if position is None:
            return


def verify(database: Database, key: bytes, project: str, expected: Mapping[str, Sequence[Head]]) -> Iterator[Verdict]:
    """Verify the chain of a project, or with "*" all and the server's own. `expected` are heads kept elsewhere."""
    for chain in sorted({*_chains(database), *expected}) if project == ANY else [project]:
        with database.read() as tx:
            yield _verified(tx, key, chain, expected.get(chain, ()))


def _verified(tx: Transaction, key: bytes, chain: str, expected: Sequence[Head]) -> Verdict:
    row = tx.one(_HEAD, own_chain=chain)
    sealed = None if row is None else SealedHead(Head(row.sequence, row.hash), row.seal)
    verification = Verification(expected)
    rows = tx.all(_NEXT, own_chain=chain, after=_BEFORE_ALL)
    exists = tx.one(_PROJECT, own_project=chain) is not None
    if sealed is None and not (rows or exists or expected):
        return Verdict(chain, Head(), None)  # nothing has happened there
    try:
        if exists and not (rows and _creates(link(rows[0]).record)):
            return Verdict(chain, Head(), Problem(1, "the chain does not begin with the creation of its project"))
        while rows:
            verification.follow(map(link, rows))
            rows = tx.all(_NEXT, own_chain=chain, after=rows[-1].sequence)
    except ApiError:
        following = verification.head.sequence + 1
        problem = verification.problem or Problem(following, f"record {following} cannot be read")
        return Verdict(chain, verification.head, problem)
    return Verdict(chain, verification.head, verification.end(chain, key, sealed))


def _creates(record: Record) -> bool:
    return any(each.before == NOTHING and each.resource == f"project {record.chain}" for each in record.changes)


def _chains(database: Database) -> set[str]:
    """Name every chain that is there or should be."""
    with database.read() as tx:
        named = {row[0] for each in (_HEADS.c.chain, _PROJECTS.c.id) for row in tx.all(select(each))}
        named |= {row[0] for row in tx.all(select(_RECORDS.c.chain).distinct())}
    return {ANY, *named}


def link(row: Row[Any]) -> Link:
    """Read a record from its row. Raises UNAVAILABLE for a row that this server has not written so."""
    try:
        return _link(row)
    except (TypeError, ValueError):
        message = f"record {row.sequence} of the chain {row.chain} cannot be read; verify the chain"
        raise ApiError(Reason.UNAVAILABLE, message) from None


def _link(row: Row[Any]) -> Link:
    written = json.loads(row.changes)
    if not (all(isinstance(text, str) for change in written for text in change) and 0 <= row.at < _AFTER_ALL):
        raise ValueError(row.sequence)
    changes = tuple(Change(row.chain, *change) for change in written)
    record = Record(
        row.chain,
        row.sequence,
        row.at,
        Kind(row.kind),
        row.principal,
        row.origin,
        row.method,
        row.permission,
        row.domain,
        row.reason,
        row.request_id,
        row._mapping["count"],  # noqa: SLF001 -- SQLAlchemy's documented name; a row's own count() is another
        changes,
    )
    return Link(record, row.previous, row.hash)


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    given: list[tuple[ColumnElement[bool], bool]] = [
        (_RECORDS.c.chain == wanted.pattern.project, wanted.pattern.project != ANY),
        (_RECORDS.c.domain == wanted.pattern.domain, wanted.pattern.domain != ANY),
        (_RECORDS.c.principal == wanted.principal, wanted.principal != ""),
        (_RECORDS.c.method == wanted.method, wanted.method != ""),
        (_RECORDS.c.kind == wanted.kind, wanted.kind is not None),
        (_RECORDS.c.at >= wanted.since, wanted.since > 0),
        (_RECORDS.c.at < wanted.until, wanted.until > 0),
    ]
    return [condition for condition, asked in given if asked]
