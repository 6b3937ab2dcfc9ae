"""Which of the executions that wait may begin: the worker's side of quotas.

The decision is made from the rows themselves, in the transaction that takes the leases, while no other worker makes
one.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import bindparam, func, not_, select

from airspace_server.core.quotas import Quota
from airspace_server.core.scope import ExecutionId, Scope
from airspace_server.core.shares import Shares
from airspace_server.execution.queue import ADMITTED, PARKED, WAITING
from airspace_server.storage.database import Transaction
from airspace_server.storage.settings import limits
from airspace_server.storage.tables import ExecutionRow, table

_executions: Final = table(ExecutionRow)
_SCOPE: Final = (_executions.c.project, _executions.c.domain)
_QUEUES: Final = (
    select(*_SCOPE, func.count().label("waiting"), func.min(_executions.c.created_at).label("oldest"))
    .where(WAITING)
    .group_by(*_SCOPE)
)
_RUNNING: Final = (
    select(*_SCOPE, func.count().label("running"), func.count().filter(not_(PARKED)).label("worked_on"))
    .where(ADMITTED)
    .group_by(*_SCOPE)
)
_NEXT: Final = (
    select(_executions.c.name)
    .where(_executions.c.project == bindparam("of_project"), _executions.c.domain == bindparam("of_domain"), WAITING)
    .order_by(_executions.c.created_at, _executions.c.name)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits in a scope and may begin, and what runs there. `oldest` is when the first of it was launched."""

    scope: Scope
    admissible: int
    running: int
    oldest: int


@dataclass(frozen=True, slots=True)
class Room:
    """How many executions a worker can take: so many of any domain, and more of those of which it holds too few.

    Of the latter only what was launched until `launched_until`: what is newer a worker may take that has room.
    """

    any: int
    held: Mapping[str, int]
    shares: Shares
    launched_until: int

    def takes(self, domain: str, chosen: Sequence[Scope], oldest: int = 0) -> bool:
        """Tell whether it takes one more of a domain, launched at `oldest`, when it has these already."""
        if len(chosen) < self.any:
            return True
        own = sum(scope.domain == domain for scope in chosen)
        return self.held.get(domain, 0) + own < self.shares.holds(domain) and oldest <= self.launched_until


def choose(
    queues: Collection[Queue], room: Room, running: Mapping[str, int], turns: Mapping[Scope, int]
) -> Sequence[Scope]:
    """Say whose executions begin, one after the other, as long as there is room.

    The domain that runs the least of its share comes first; in it the scope with the fewest running ones, and of those
    the one whose last turn is the longest ago. `running` counts the executions of whole domains.
    """
    turns, running = dict(turns), dict(running)
    left = {queue.scope: queue for queue in queues if queue.admissible > 0}
    chosen: list[Scope] = []

    def place(one: Queue) -> tuple[object, ...]:
        rank = room.shares.rank(one.scope.domain, running.get(one.scope.domain, 0))
        return rank, one.running, turns.get(one.scope, 0), one.oldest, one.scope

    while candidates := [one for one in left.values() if room.takes(one.scope.domain, chosen, one.oldest)]:
        first = min(candidates, key=place)
        chosen.append(first.scope)
        running[first.scope.domain] = running.get(first.scope.domain, 0) + 1
        turns[first.scope] = max(turns.values(), default=0) + 1
        if first.admissible == 1:
            del left[first.scope]
        else:
            left[first.scope] = replace(first, admissible=first.admissible - 1, running=first.running + 1)
    return chosen


class Admission:
    """Decides for one worker, which remembers whose turn it was."""

    def __init__(self) -> None:
        self._turns: dict[Scope, int] = {}

    def possible(self, tx: Transaction, room: Room) -> bool:
        """Tell whether anything that waits may begin, as things are now."""
        queues, _ = _queues(tx)
        return any(queue.admissible > 0 and room.takes(queue.scope.domain, (), queue.oldest) for queue in queues)

    def next(self, tx: Transaction, room: Room) -> Sequence[ExecutionId]:
        """Choose what begins as long as there is room; other workers choose after this transaction."""
        tx.hold("admission of executions")
        executions = []
        queues, running = _queues(tx)
        chosen = choose(queues, room, running, self._turns)
        for scope in dict.fromkeys(chosen):
            rows = tx.all(_NEXT, of_project=scope.project, of_domain=scope.domain, limit=chosen.count(scope))
            executions += [ExecutionId(scope, row.name) for row in rows]
        for scope in chosen:
            self._turns[scope] = max(self._turns.values(), default=0) + 1
        return executions


def _queues(tx: Transaction) -> tuple[Sequence[Queue], Mapping[str, int]]:
    """Return what waits in each scope, and how many executions of each domain run, those aside that wait for people."""
    waiting = tx.all(_QUEUES)
    if not waiting:
        return (), {}
    scopes = [Scope(row.project, row.domain) for row in waiting]
    most = limits(tx, Quota.EXECUTIONS_RUNNING, scopes)
    running: dict[Scope, int] = {}
    of_domain: Counter[str] = Counter()
    for row in tx.all(_RUNNING):
        running[Scope(row.project, row.domain)] = row.running
        of_domain[row.domain] += row.worked_on
    return [
        Queue(scope, min(row.waiting, most[scope] - running.get(scope, 0)), running.get(scope, 0), row.oldest)
        for scope, row in zip(scopes, waiting, strict=True)
    ], of_domain
