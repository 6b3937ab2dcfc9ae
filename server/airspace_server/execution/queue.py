"""What waits and what runs in a scope, and whether one more may be launched there.

Nothing is counted up or down: the rows of the executions themselves are counted, each time, so that no count can be
wrong for longer than a statement takes. Whoever launches in a scope waits for whoever else does; workers wait for each
other (engine/admission.py). A worker that takes something meanwhile only makes the queue shorter.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import and_, bindparam, func, literal_column, or_, select

from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.execution import ENDED_EXECUTION, ExecutionPhase
from airspace_server.core.quotas import Limit, Quota
from airspace_server.core.scope import ExecutionId, Scope, ScopePattern
from airspace_server.storage.database import Transaction, scoped
from airspace_server.storage.settings import quotas
from airspace_server.storage.tables import ExecutionRow, table

MINUTE_US: Final = 60_000_000
"""The time that launches are counted over, in microseconds."""
_QUEUE_RETRY_US: Final = 10_000_000  # nobody knows when others end; this is how often it is worth asking

_executions: Final = table(ExecutionRow)

# Written out into the statements, so that the planners see that the partial indexes of executions apply.
OPEN: Final = _executions.c.phase.in_(
    bindparam(
        "open_phases",
        [phase.value for phase in ExecutionPhase if phase not in ENDED_EXECUTION],
        expanding=True,
        literal_execute=True,
    )
)
"""That an execution has not ended."""
GIVEN_BACK: Final = 1
"""What lease_expires_at is when somebody gave the lease back: long over, so that what was admitted stays so."""
PARKED: Final = and_(_executions.c.lease_owner.is_(None), _executions.c.lease_expires_at > GIVEN_BACK)
"""That nothing of an execution can go on before its lease, which nobody has, expires, or somebody ends it."""
WAITING: Final = and_(
    _executions.c.phase == literal_column(f"'{ExecutionPhase.QUEUED}'"),
    _executions.c.lease_expires_at == literal_column("0"),
)
"""That no worker has taken an execution yet, and that its end was not asked for."""
ADMITTED: Final = and_(
    OPEN,
    _executions.c.lease_expires_at > literal_column("0"),
    or_(_executions.c.phase != ExecutionPhase.ABORTING.value, _executions.c.started_at.is_not(None)),
)
"""That a worker has taken an execution, whatever became of the worker, and that it has not ended.

One whose end was asked for before it began is not among them: it is only brought to its end.
"""

_WAITING: Final = select(func.count()).select_from(_executions).where(scoped(_executions), WAITING)
_OWN_TIME: Final = select(_executions.c.created_at).where(
    scoped(_executions), _executions.c.name == bindparam("own_name"), WAITING
)
_AHEAD: Final = _WAITING.where(
    or_(
        _executions.c.created_at < bindparam("own_time"),
        and_(_executions.c.created_at == bindparam("own_time"), _executions.c.name < bindparam("own_name")),
    )
)
_RUNNING: Final = select(func.count()).select_from(_executions).where(scoped(_executions), ADMITTED)
_AHEAD_AND_RUNNING: Final = select(_AHEAD.scalar_subquery().label("ahead"), _RUNNING.scalar_subquery().label("running"))
_RECENT: Final = (
    select(_executions.c.created_at)
    .where(scoped(_executions), _executions.c.created_at > bindparam("since"))
    .order_by(_executions.c.created_at.desc())
    .limit(1)
    .offset(bindparam("before"))
)
_LAUNCHED: Final = (
    select(func.count())
    .select_from(_executions)
    .where(scoped(_executions), _executions.c.created_at > bindparam("since"))
)


class Wait(StrEnum):
    """What a waiting execution waits for."""

    QUOTA = "QUOTA"
    """That another one of its scope ends: as many run as may."""
    SLOT = "SLOT"
    """That a worker has a free slot."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why an execution waits. `position` is its place among those of its scope that wait, from 1 on."""

    scope: Scope
    position: int
    running: int
    limit: int

    @property
    def reason(self) -> Wait:
        """What it waits for."""
        return Wait.QUOTA if self.running >= self.limit else Wait.SLOT

    def __str__(self) -> str:
        """Say it in a sentence."""
        place = f"number {self.position} in the queue of {self.scope}"
        if self.reason is Wait.QUOTA:
            return f"{place}, where {self.running} executions run of at most {self.limit}"
        return f"{place}, waiting for a free slot of a worker"


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """How much of a limit is used."""

    quota: Quota
    limit: Limit
    used: int


def admit(tx: Transaction, scope: Scope, now: int) -> None:
    """Let the transaction launch one execution in a scope, and others there only after it. `now` is in microseconds.

    Raises QUOTA_EXCEEDED when as many wait as may, or as many were launched within the last minute as may be.
    """
    tx.hold(f"launches in {scope}")
    limits = quotas(tx, ScopePattern(scope.project, scope.domain))
    rate, depth = limits[Quota.LAUNCHES_PER_MINUTE].value, limits[Quota.EXECUTIONS_QUEUED].value
    if rate == 0:
        raise _exceeded(Quota.LAUNCHES_PER_MINUTE, scope, rate, "takes no launches", MINUTE_US)
    if first := tx.one(_RECENT, since=now - MINUTE_US, before=rate - 1):
        problem = f"takes at most {rate} launches within 60 seconds"
        raise _exceeded(Quota.LAUNCHES_PER_MINUTE, scope, rate, problem, first.created_at + MINUTE_US - now)
    if tx.execute(_WAITING).scalar_one() >= depth:
        problem = f"has {depth} executions in its queue already, as many as may wait"
        raise _exceeded(Quota.EXECUTIONS_QUEUED, scope, depth, problem, _QUEUE_RETRY_US)


def waiting(tx: Transaction, execution: ExecutionId) -> Waiting | None:
    """Say why an execution waits; None when it does not."""
    own = tx.one(_OWN_TIME, own_name=execution.name)
    if own is None:
        return None
    counted = tx.execute(_AHEAD_AND_RUNNING, own_time=own.created_at, own_name=execution.name).one()
    limits = quotas(tx, ScopePattern(execution.scope.project, execution.scope.domain))
    return Waiting(execution.scope, counted.ahead + 1, counted.running, limits[Quota.EXECUTIONS_RUNNING].value)


def usage(tx: Transaction, scope: Scope, now: int) -> tuple[QuotaUsage, ...]:
    """Tell how much of each limit is used in a scope. `now` is in microseconds."""
    limits = quotas(tx, ScopePattern(scope.project, scope.domain))
    used = {
        Quota.EXECUTIONS_RUNNING: tx.execute(_RUNNING),
        Quota.EXECUTIONS_QUEUED: tx.execute(_WAITING),
        Quota.LAUNCHES_PER_MINUTE: tx.execute(_LAUNCHED, since=now - MINUTE_US),
    }
    return tuple(QuotaUsage(quota, limits[quota], used[quota].scalar_one()) for quota in Quota)


def _exceeded(quota: Quota, scope: Scope, limit: int, problem: str, retry_after_us: int) -> ApiError:
    seconds = max(1, -(-retry_after_us // 1_000_000))
    return ApiError(
        Reason.QUOTA_EXCEEDED,
        f"{scope} {problem}; try again in {seconds} s",
        {"quota": quota.value, "limit": str(limit), "scope": str(scope), "retry_after_seconds": str(seconds)},
        retry_after=seconds,
    )
