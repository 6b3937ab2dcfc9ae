"""What is told of executions and launches."""

import threading
from collections.abc import Mapping
from typing import Any, Final

from flyteidl.admin import execution_pb2
from sqlalchemy import bindparam, select

from airspace_server.core.clock import Clock
from airspace_server.core.errors import ApiError
from airspace_server.core.execution import ExecutionError, ExecutionPhase
from airspace_server.core.notifications import Event, Notice
from airspace_server.core.scope import ExecutionId, Scope
from airspace_server.flyte.notifications import recipients
from airspace_server.storage.database import Database, Transaction, scoped
from airspace_server.storage.notifications import notify, told_since
from airspace_server.storage.tables import ExecutionRow, table

REFUSALS_SECONDS: Final = 1.0
"""How long refused launches wait to be told of; a process that is killed forgets those of this time."""
QUIET_US: Final = 600_000_000
"""For how many microseconds a quota's refusals in a scope are told of once."""

_EXECUTIONS: Final = table(ExecutionRow)
_TOLD: Final = select(
    _EXECUTIONS.c.launch_plan_name,
    _EXECUTIONS.c.launch_plan_version,
    _EXECUTIONS.c.task_name,
    _EXECUTIONS.c.task_version,
    _EXECUTIONS.c.principal,
    _EXECUTIONS.c.abort_principal,
    _EXECUTIONS.c.abort_cause,
    _EXECUTIONS.c.spec,
).where(scoped(_EXECUTIONS), _EXECUTIONS.c.name == bindparam("own_name"))

_ENDS: Final = {
    ExecutionPhase.SUCCEEDED: (Event.EXECUTION_SUCCEEDED, "has succeeded"),
    ExecutionPhase.FAILED: (Event.EXECUTION_FAILED, "has failed"),
    ExecutionPhase.TIMED_OUT: (Event.EXECUTION_TIMED_OUT, "has timed out"),
    ExecutionPhase.ABORTED: (Event.EXECUTION_ABORTED, "was terminated"),
}


def execution_ended(
    tx: Transaction, execution: ExecutionId, phase: ExecutionPhase, error: ExecutionError | None, now: int
) -> None:
    """Tell that an execution has come to its last phase, in the transaction that brings it there."""
    row = tx.execute(_TOLD, own_name=execution.name).one()
    event, what = _ENDS[phase]
    runs = row.launch_plan_name or row.task_name
    facts = {
        "execution": execution.name,
        "phase": phase.value,
        "launch_plan" if row.launch_plan_name else "task": runs,
        "version": row.launch_plan_version or row.task_version,
        "launched_by": row.principal,
        "terminated_by": row.abort_principal or "",
        "cause": row.abort_cause or "",
        "error_code": error.code if error else "",
        "error": error.message if error else "",
    }
    notice = Notice(event, f"executions/{execution.name}", f"{runs}: {execution.name} {what}", facts, now)
    spec = execution_pb2.ExecutionSpec.FromString(row.spec)
    notify(tx, notice, recipients(spec.notifications.notifications, phase))


class Refusals:
    """Collects launches that quotas refused, and tells of them: what is refused leaves nothing else that could.

    However many are refused, one message is written for each quota of a scope in ten minutes. Safe to share between
    threads.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[tuple[Scope, str], ApiError] = {}

    def refused(self, scope: Scope, error: ApiError) -> None:
        """Note a refusal. Never waits for the database."""
        with self._lock:
            self._last[scope, error.metadata["quota"]] = error

    def tell(self) -> None:
        """Write down whom to tell. What cannot be written is kept for the next time."""
        with self._lock:
            taken, self._last = self._last, {}
        try:
            for scope, quota in list(taken):
                self._tell(scope, quota, taken[scope, quota])
                del taken[scope, quota]
        finally:
            with self._lock:
                self._last = {**taken, **self._last}

    def _tell(self, scope: Scope, quota: str, error: ApiError) -> None:
        now, subject = self._clock(), f"quotas/{quota}"
        with self._database.write(scope) as tx:
            tx.hold(f"refusals in {scope}")
            if told_since(tx, Event.LAUNCH_REFUSED, subject, now - QUIET_US):
                return
            facts: Mapping[str, Any] = {"quota": quota, "limit": error.metadata["limit"]}
            title = f"a launch was refused: {error.message.partition(';')[0]}"
            notify(tx, Notice(Event.LAUNCH_REFUSED, subject, title, facts, now))
