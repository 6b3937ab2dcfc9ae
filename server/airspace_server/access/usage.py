"""Who asked for what: counted for each hour, for `PreviewPolicy` to ask again under another policy.

Calls are counted in memory and written now and then, so that no call waits for it. What is counted is what was decided:
a caller, an RPC, a permission and where; let in or not, since a change of the policy can turn either. Lists that show
only what the caller may see are not decided and not counted.
"""

import json
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, select

from airspace_server.access.decide import Need, Reach
from airspace_server.access.identity import Principal
from airspace_server.core import names
from airspace_server.core.clock import MICROSECONDS, Clock
from airspace_server.core.periodic import Periodic
from airspace_server.core.permissions import Permission
from airspace_server.core.scope import ScopePattern
from airspace_server.storage.database import Database
from airspace_server.storage.tables import UsageRow, table

HOUR: Final = 3600 * MICROSECONDS
FLUSH_SECONDS: Final = 10.0
"""How long counts wait to be written; a process that is killed loses those of this time."""
KEPT_HOURS: Final = 30 * 24
"""How long counts are kept."""
KINDS_OF_ONE: Final = 500
"""How many kinds of calls of one member are counted in an hour; further ones are not, which the log says.

Whoever asks about ever new places must not be able to fill the database.
"""
MEMBERS: Final = 10_000
"""How many members are counted in an hour."""

_MAX_GROUPS: Final = 2000
_USAGE: Final = table(UsageRow)
_KEY: Final = ("hour", "member", "groups", "method", "permission", "reach", "project_pattern", "domain_pattern")
_ADD: Final = (
    _USAGE.update()
    .where(*(_USAGE.c[name] == bindparam(f"key_{name}") for name in _KEY))
    .values(calls=_USAGE.c.calls + bindparam("more"))
)
_SINCE: Final = select(_USAGE).where(_USAGE.c.hour >= bindparam("first")).order_by(*(_USAGE.c[name] for name in _KEY))
_OLD: Final = delete(_USAGE).where(_USAGE.c.hour < bindparam("first"))

_log: Final = logging.getLogger(__name__)

_Kind = tuple[str, frozenset[str], str, Need]


@dataclass(frozen=True, slots=True)
class Used:
    """How often a caller asked for a permission somewhere with an RPC in an hour since the epoch."""

    hour: int
    principal: Principal
    method: str
    need: Need
    calls: int


class Usage:
    """Counts calls and writes the counts. Safe to share between threads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._counts: dict[_Kind, int] = {}
        self._hour = 0
        self._kinds: dict[str, set[_Kind]] = {}
        self._missed = 0
        self._lock = threading.Lock()
        self._writing = Periodic("usage", FLUSH_SECONDS, self.flush)

    def count(self, principal: Principal, method: str, needs: Sequence[Need]) -> None:
        """Count a call, let in or not. Never waits for the database, never fails."""
        asker = principal.origin  # what an execution's code asks for is asked for on the rights of its launcher
        with self._lock:
            for need in needs:
                kind = (asker.member, asker.groups, method, need)
                if kind in self._counts:
                    self._counts[kind] += 1
                elif not _is_place(need.target):
                    continue  # it was not validated yet, and may be as long as a message
                elif self._has_room(kind):
                    self._counts[kind] = 1
                else:
                    self._missed += 1

    def _has_room(self, kind: _Kind) -> bool:
        hour = self._clock() // HOUR
        if hour != self._hour:
            self._hour, self._kinds = hour, {}
        kinds = self._kinds.get(kind[0])
        if kinds is None:
            if len(self._kinds) >= MEMBERS:
                return False
            kinds = self._kinds[kind[0]] = set()
        if kind not in kinds and len(kinds) >= KINDS_OF_ONE:
            return False
        kinds.add(kind)
        return True

    def start(self) -> None:
        """Begin to write."""
        self._writing.start()

    def stop(self) -> None:
        """Write what was counted until now, and stop."""
        self._writing.stop()

    def flush(self) -> None:
        """Write what was counted until now, and drop what is too old. Counts that cannot be written are let go."""
        with self._lock:
            taken, self._counts = self._counts, {}
            missed, self._missed = self._missed, 0
        if missed:
            _log.warning("%s calls were not counted: they are of too many kinds", missed)
        hour = self._clock() // HOUR
        rows = [_row(hour, kind, calls) for kind, calls in taken.items()]
        if not rows:
            return
        with self._database.write() as tx:
            for row in sorted(rows, key=lambda each: [str(each[name]) for name in _KEY]):
                if not tx.insert_new(_USAGE, row):
                    tx.execute(_ADD, more=row["calls"], **{f"key_{name}": row[name] for name in _KEY})
            tx.execute(_OLD, first=hour - KEPT_HOURS)

    def since(self, first_hour: int) -> Iterator[Used]:
        """Yield what was counted and written since an hour."""
        with self._database.read() as tx:
            rows = tx.all(_SINCE, first=first_hour)
        for row in rows:
            target = ScopePattern(row.project_pattern, row.domain_pattern)
            need = Need(Permission(row.permission), target, Reach(row.reach))
            yield Used(row.hour, Principal(row.member, frozenset(json.loads(row.groups))), row.method, need, row.calls)


def _is_place(target: ScopePattern) -> bool:
    return not (names.project_or_any(target.project) or names.domain_or_any(target.domain))


def _row(hour: int, kind: _Kind, calls: int) -> dict[str, str | int]:
    """Make the row of a count."""
    member, groups, method, need = kind
    shown = sorted(groups)
    while len(json.dumps(shown)) > _MAX_GROUPS:
        shown.pop()
    return {
        "hour": hour,
        "member": member,
        "groups": json.dumps(shown),
        "method": method,
        "permission": need.permission.value,
        "reach": need.reach.value,
        "project_pattern": need.target.project,
        "domain_pattern": need.target.domain,
        "calls": calls,
    }
