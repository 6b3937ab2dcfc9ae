"""Writes the chains: mutations in their own transactions, refusals soon after, many of a kind as one.

`Ledger.keep` runs at the end of every transaction that a call commits. A call that writes without saying what it
changes is a fault of this program and undone, so nobody can add a mutation and forget the audit.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import bindparam, select

from airspace_server.audit.chain import Head, Kind, Record, SealedHead, is_sealed, seal
from airspace_server.core import names
from airspace_server.core.clock import Clock
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.periodic import Periodic
from airspace_server.core.scope import ANY
from airspace_server.storage.changes import Change
from airspace_server.storage.database import Database, Transaction
from airspace_server.storage.tables import (
    AnsweredRequestRow,
    AuditHeadRow,
    AuditRecordRow,
    PolicyRevisionRow,
    ProjectRow,
    table,
)

SYSTEM: Final = "system"
"""The principal of what the server does by itself, such as making the first accounts. No member is called so."""
LOGIN_REFUSED: Final = "LOGIN_REFUSED"
"""Why a login was refused, for the audit alone: an error of OAuth and none of the contract."""
FLUSH_SECONDS: Final = 1.0
"""How long refusals wait to be written; a process that is killed loses those of this time."""
KINDS_OF_ONE: Final = 16
"""How many kinds of refusals of one caller are told apart between two writings; further ones count as one kind."""
CALLERS: Final = 1_000
"""How many callers are told apart between two writings; the refusals of further ones count as of nobody known."""

_RECORDS: Final = table(AuditRecordRow)
_HEADS: Final = table(AuditHeadRow)
_PROJECTS: Final = table(ProjectRow)
_BOOKKEEPING: Final = frozenset({table(AnsweredRequestRow), table(PolicyRevisionRow)})
"""What a call may write although nothing changes for anybody."""
_OF_CHAIN: Final = _HEADS.c.chain == bindparam("own_chain")
_HEAD: Final = select(_HEADS.c.sequence, _HEADS.c.hash, _HEADS.c.seal).where(_OF_CHAIN).with_for_update()
_MOVE_HEAD: Final = (
    _HEADS.update()
    .where(_OF_CHAIN)
    .values(sequence=bindparam("new_sequence"), hash=bindparam("new_hash"), seal=bindparam("new_seal"))
)
_KNOWN_PROJECTS: Final = select(_PROJECTS.c.id).where(_PROJECTS.c.id.in_(bindparam("asked", expanding=True)))

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Actor:
    """On whose behalf something happens: the caller, its RPC, and the permission that let it in."""

    principal: str
    method: str
    permission: str = ""
    request_id: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A kind of refused calls. `project` and `domain` are what the callers named, whether or not it is there."""

    principal: str
    method: str
    permission: str
    project: str
    domain: str
    reason: str
    origin: str = ""


@dataclass(slots=True)
class _Counted:
    count: int
    at: int
    request_id: str


_acting: ContextVar[Callable[[], Actor] | None] = ContextVar("acting", default=None)


@contextmanager
def acting(actor: Callable[[], Actor]) -> Iterator[None]:
    """Say on whose behalf everything happens in here. `actor` is asked only if something changes."""
    before = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(before)


class Ledger:
    """Appends to the chains of one database. `key` seals their heads. Safe to share between threads."""

    def __init__(self, database: Database, key: bytes, clock: Clock) -> None:
        self._database = database
        self._key = key
        self._clock = clock
        self._refusals: dict[str, dict[Refusal, _Counted]] = {}
        self._lock = threading.Lock()
        self._writing = Periodic("audit", FLUSH_SECONDS, self.flush)

    # --- mutations

    def keep(self, tx: Transaction) -> None:
        """Record what a transaction has changed, at its end.

        Raises RuntimeError for a call that wrote and does not say what, and UNAVAILABLE for a chain whose head is not
        as this server left it: nothing more is changed there until an operator has looked.
        """
        actor = _acting.get()
        if not tx.changes:
            if actor is not None and tx.written - _BOOKKEEPING:
                tables = sorted(each.name for each in tx.written)
                raise RuntimeError(f"{actor().method} wrote to {', '.join(tables)} and does not say what it changed")
            return
        who = actor() if actor is not None else Actor(SYSTEM, "")
        for chain in sorted({change.project for change in tx.changes}):  # in one order, so that no two wait crosswise
            changes = tuple(change for change in tx.changes if change.project == chain)
            domains = {change.domain for change in changes}
            domain = domains.pop() if len(domains) == 1 else ANY
            self._append(tx, chain, who, Kind.MUTATION, domain=domain, at=self._clock(), changes=changes)

    def _append(
        self,
        tx: Transaction,
        chain: str,
        who: Actor,
        kind: Kind,
        *,
        domain: str,
        at: int,
        reason: str = "",
        count: int = 1,
        changes: tuple[Change, ...] = (),
    ) -> None:
        head = self._head(tx, chain)
        record = Record(
            chain,
            head.sequence + 1,
            at,
            kind,
            who.principal,
            who.origin,
            who.method,
            who.permission,
            domain,
            reason,
            who.request_id,
            count,
            changes,
        )
        moved = Head(record.sequence, record.hash(head.hash))
        tx.insert(
            _RECORDS,
            {
                "chain": record.chain,
                "sequence": record.sequence,
                "at": record.at,
                "kind": record.kind,
                "principal": record.principal,
                "origin": record.origin,
                "method": record.method,
                "permission": record.permission,
                "domain": record.domain,
                "reason": record.reason,
                "request_id": record.request_id,
                "count": record.count,
                "changes": json.dumps([[each.domain, each.resource, each.before, each.after] for each in changes]),
                "previous": head.hash,
                "hash": moved.hash,
            },
        )
        new_seal = seal(self._key, chain, moved)
        tx.execute(_MOVE_HEAD, own_chain=chain, new_sequence=moved.sequence, new_hash=moved.hash, new_seal=new_seal)

    def _head(self, tx: Transaction, chain: str) -> Head:
        """Return the head and hold it: whoever else wants to append waits until this transaction ends."""
        row = tx.one(_HEAD, own_chain=chain)
        if row is None:
            first = Head()
            new = {"chain": chain, "sequence": 0, "hash": first.hash, "seal": seal(self._key, chain, first)}
            tx.insert_new(_HEADS, new)
            row = tx.execute(_HEAD, own_chain=chain).one()
        head = Head(row.sequence, row.hash)
        if not is_sealed(self._key, chain, SealedHead(head, row.seal)):
            _log.critical("the audit's chain %s does not end as this server left it; verify it", chain)
            raise ApiError(Reason.UNAVAILABLE, "the audit of this project cannot be continued")
        return head

    # --- refusals

    def refused(self, refusal: Refusal, request_id: str) -> None:
        """Count a refused call; it is written within about a second. Never waits for the database, never fails."""
        # What no project can be called may be as long as a message, and must not be kept until it is written.
        if names.project(refusal.project):
            refusal = replace(refusal, project="")
        if names.domain(refusal.domain):
            refusal = replace(refusal, domain=ANY)
        counted = _Counted(1, self._clock(), request_id)
        with self._lock:
            self._count(refusal, counted)

    def _count(self, refusal: Refusal, counted: _Counted) -> None:
        """Add to what waits to be written, which has a bound whoever is refused what."""
        kinds = self._refusals.get(refusal.principal)
        if kinds is None:
            if len(self._refusals) >= CALLERS:
                refusal = Refusal("", ANY, "", "", ANY, refusal.reason)
            kinds = self._refusals.setdefault(refusal.principal, {})
        if refusal not in kinds and len(kinds) >= KINDS_OF_ONE:
            refusal = Refusal(refusal.principal, ANY, "", "", ANY, refusal.reason)
        waiting = kinds.setdefault(refusal, counted)
        if waiting is not counted:
            newest = max(waiting, counted, key=lambda each: each.at)
            kinds[refusal] = _Counted(waiting.count + counted.count, newest.at, newest.request_id)

    def start(self) -> None:
        """Begin to write refusals."""
        self._writing.start()

    def stop(self) -> None:
        """Write what was refused until now, and stop."""
        self._writing.stop()

    def flush(self) -> None:
        """Write what was refused until now. What cannot be written is kept for the next time.

        A chain that cannot be continued holds up no other; its UNAVAILABLE is raised at the end.
        """
        with self._lock:
            taken, self._refusals = self._refusals, {}
        left = {refusal: counted for kinds in taken.values() for refusal, counted in kinds.items()}
        if not left:
            return
        broken: ApiError | None = None
        try:
            asked = sorted({refusal.project for refusal in left})
            with self._database.read() as tx:
                known = {row.id for row in tx.all(_KNOWN_PROJECTS, asked=asked)}
            for chain in sorted({ANY, *known}):
                here = [each for each in left if (each.project if each.project in known else ANY) == chain]
                if not here:
                    continue
                try:
                    with self._database.write() as tx:
                        for refusal in here:
                            self._append_refusals(tx, chain, refusal, left[refusal])
                except ApiError as error:
                    broken = error
                    continue
                for refusal in here:
                    del left[refusal]
        finally:
            with self._lock:
                for refusal, counted in left.items():
                    self._count(refusal, counted)
        if broken is not None:
            raise broken

    def _append_refusals(self, tx: Transaction, chain: str, refusal: Refusal, counted: _Counted) -> None:
        self._append(
            tx,
            chain,
            Actor(refusal.principal, refusal.method, refusal.permission, counted.request_id, refusal.origin),
            Kind.DENIAL,
            domain=refusal.domain,
            at=counted.at,
            reason=refusal.reason,
            count=counted.count,
        )
