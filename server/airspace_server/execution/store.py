"""Reads executions, their nodes, attempts and transitions, and asks for their end. The engine's writes are its own."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, bindparam, case, func, select

from airspace_server.access.identity import Principal
from airspace_server.core.clock import Clock
from airspace_server.core.errors import ApiError, Reason, not_found
from airspace_server.core.execution import ENDED_EXECUTION, ErrorKind, ExecutionError, ExecutionPhase, ExecutionState
from airspace_server.core.scope import EntityId, ExecutionId, Scope
from airspace_server.execution.queue import GIVEN_BACK, PARKED, Waiting, waiting
from airspace_server.storage.database import Database, Transaction, scoped
from airspace_server.storage.tables import ExecutionRow, NodeExecutionRow, TaskAttemptRow, TransitionRow, table

EXECUTIONS: Final = table(ExecutionRow)
NODES: Final = table(NodeExecutionRow)
ATTEMPTS: Final = table(TaskAttemptRow)
_TRANSITIONS: Final = table(TransitionRow)

_MAX_ATTEMPT: Final = 2**31 - 1  # what the column can hold, and Postgres be asked for; the wire has 32 bits
_BLOBS: Final = ("inputs", "user_inputs", "outputs")
_INTERNAL: Final = ("lease_owner", "lease_epoch", "lease_expires_at", "principal_groups")
LIGHT: Final = tuple(column for column in EXECUTIONS.c if column.name not in (*_BLOBS, *_INTERNAL))
"""The columns of an execution that are small and of interest outside the engine."""
_DECK_ATTEMPT: Final = (
    select(func.max(ATTEMPTS.c.attempt))
    .where(
        scoped(ATTEMPTS),
        scoped(NODES),  # for the guard, which does not know that these are the nodes around it
        ATTEMPTS.c.execution == NODES.c.execution,
        ATTEMPTS.c.node_id == NODES.c.node_id,
        ATTEMPTS.c.deck,
    )
    .correlate(NODES)
)
NODE_LIGHT: Final = (
    *(column for column in NODES.c if column.name not in ("inputs", "outputs")),
    _DECK_ATTEMPT.scalar_subquery().label("deck_attempt"),
)
"""The small columns of a node, and its last attempt that left a deck, if one did."""

_NAMED: Final = (scoped(EXECUTIONS), EXECUTIONS.c.name == bindparam("own_name"))
_ONE: Final = select(*LIGHT).where(*_NAMED)
_LOCKED: Final = _ONE.with_for_update()
_LAUNCHER: Final = select(EXECUTIONS.c.principal, EXECUTIONS.c.principal_groups).where(
    *_NAMED, EXECUTIONS.c.phase == ExecutionPhase.RUNNING
)
_DATA: Final = select(EXECUTIONS.c.inputs, EXECUTIONS.c.user_inputs, EXECUTIONS.c.outputs).where(*_NAMED)
_ABORT: Final = (
    EXECUTIONS.update()
    .where(*_NAMED)
    .values(
        phase=ExecutionPhase.ABORTING,
        sequence=bindparam("new_sequence"),
        abort_cause=bindparam("cause"),
        abort_principal=bindparam("by"),
        lease_expires_at=case((PARKED, GIVEN_BACK), else_=EXECUTIONS.c.lease_expires_at),
        updated_at=bindparam("now"),
    )
)
_SET_STATE: Final = EXECUTIONS.update().where(*_NAMED).values(state=bindparam("new_state"), updated_at=bindparam("now"))
_AFTER: Final = (
    select(_TRANSITIONS)
    .where(
        scoped(_TRANSITIONS),
        _TRANSITIONS.c.execution == bindparam("own_name"),
        _TRANSITIONS.c.sequence > bindparam("after"),
    )
    .order_by(_TRANSITIONS.c.sequence)
)
_OF_EXECUTION: Final = (scoped(NODES), NODES.c.execution == bindparam("own_name"))
_NODE: Final = select(*NODE_LIGHT).where(*_OF_EXECUTION, NODES.c.node_id == bindparam("node"))
_NODE_DATA: Final = select(NODES.c.inputs, NODES.c.outputs).where(*_OF_EXECUTION, NODES.c.node_id == bindparam("node"))
_NODES_OF: Final = select(*NODE_LIGHT).where(*_OF_EXECUTION).order_by(NODES.c.position)
_ATTEMPTS_OF: Final = (
    select(ATTEMPTS)
    .where(scoped(ATTEMPTS), ATTEMPTS.c.execution == bindparam("own_name"))
    .order_by(ATTEMPTS.c.node_id, ATTEMPTS.c.attempt)
)
_ATTEMPT: Final = select(ATTEMPTS).where(
    scoped(ATTEMPTS),
    ATTEMPTS.c.execution == bindparam("own_name"),
    ATTEMPTS.c.node_id == bindparam("node"),
    ATTEMPTS.c.attempt == bindparam("own_attempt"),
)


@dataclass(frozen=True, slots=True)
class Execution:
    """A run of a launch plan, or of a task alone: `launch_plan` or `task` is set. Times in microseconds, UTC.

    `spec` is a serialized flyteidl.admin.ExecutionSpec without inputs.
    """

    id: ExecutionId
    launch_plan: EntityId | None
    task: EntityId | None
    workflow: EntityId | None
    phase: ExecutionPhase
    archived: bool
    error: ExecutionError | None
    principal: str
    abort_cause: str | None
    abort_principal: str | None
    labels: Mapping[str, str]
    spec: bytes
    created_at: int
    started_at: int | None
    updated_at: int
    ended_at: int | None


@dataclass(frozen=True, slots=True)
class Data:
    """Serialized flyteidl.core.LiteralMaps. `given` are the inputs as the caller sent them; outputs come at the end."""

    inputs: bytes
    given: bytes
    outputs: bytes | None


def error_of(row: Row[Any]) -> ExecutionError | None:
    """Read the error of an execution, node, attempt or transition from its row."""
    if row.error_code is None:
        return None
    return ExecutionError(row.error_code, row.error_message or "", ErrorKind(row.error_kind))


def from_row(row: Row[Any]) -> Execution:
    """Read an execution from its row."""
    scope = Scope(row.project, row.domain)
    return Execution(
        ExecutionId(scope, row.name),
        _entity(scope, row.launch_plan_name, row.launch_plan_version),
        _entity(scope, row.task_name, row.task_version),
        _entity(Scope(row.workflow_project or row.project, row.domain), row.workflow_name, row.workflow_version),
        ExecutionPhase(row.phase),
        row.state == ExecutionState.ARCHIVED,
        error_of(row),
        row.principal,
        row.abort_cause,
        row.abort_principal,
        json.loads(row.labels),
        row.spec,
        row.created_at,
        row.started_at,
        row.updated_at,
        row.ended_at,
    )


def _entity(scope: Scope, name: str | None, version: str | None) -> EntityId | None:
    return EntityId(scope, name, version) if name is not None and version is not None else None


def _found(id_: ExecutionId, row: Row[Any] | None) -> Execution:
    if row is None:
        raise not_found("execution", str(id_))
    return from_row(row)


class Executions:
    """Reads executions and asks for their end. Authorization has happened before any of this is called."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def get(self, execution: ExecutionId) -> Execution:
        """Return an execution. Raises NOT_FOUND."""
        return _found(execution, self._database.find(execution.scope, _ONE, own_name=execution.name))

    def waiting(self, execution: Execution) -> Waiting | None:
        """Return why an execution waits; None for one that a worker has taken, or that has ended."""
        if execution.phase is not ExecutionPhase.QUEUED:
            return None
        with self._database.read(execution.id.scope) as tx:
            return waiting(tx, execution.id)

    def launcher_of_running(self, execution: ExecutionId) -> Principal | None:
        """Return who launched an execution, in the groups of then; None when it does not run, or is not there."""
        row = self._database.find(execution.scope, _LAUNCHER, own_name=execution.name)
        if row is None:
            return None
        return Principal(row.principal, frozenset(json.loads(row.principal_groups or "[]")))

    def read(self, tx: Transaction, execution: ExecutionId) -> Execution:
        """Return an execution, inside a transaction. Raises NOT_FOUND."""
        return _found(execution, tx.one(_ONE, own_name=execution.name))

    def data(self, execution: ExecutionId) -> Data:
        """Return inputs and outputs. Raises NOT_FOUND."""
        with self._database.read(execution.scope) as tx:
            row = tx.one(_DATA, own_name=execution.name)
        if row is None:
            raise not_found("execution", str(execution))
        return Data(row.inputs, row.user_inputs, row.outputs)

    def terminate(self, execution: ExecutionId, *, cause: str, principal: str) -> Execution:
        """Ask for the end of an execution; asking again while it is ABORTING changes nothing.

        Raises NOT_FOUND, and WRONG_STATE when it has ended.
        """
        with self._database.write(execution.scope) as tx:
            row = tx.one(_LOCKED, own_name=execution.name)
            if row is None:
                raise not_found("execution", str(execution))
            phase = ExecutionPhase(row.phase)
            if phase in ENDED_EXECUTION:
                raise ApiError(
                    Reason.WRONG_STATE,
                    f"execution {execution} has ended: it is {phase.value}",
                    {"name": execution.name, "state": phase.value},
                )
            if phase is not ExecutionPhase.ABORTING:
                now, sequence = self._clock(), row.sequence + 1
                tx.changed(f"phase of execution {execution}", {"phase": phase}, {"phase": ExecutionPhase.ABORTING})
                tx.execute(_ABORT, own_name=execution.name, new_sequence=sequence, cause=cause, by=principal, now=now)
                tx.insert(
                    _TRANSITIONS,
                    {
                        "execution": execution.name,
                        "sequence": sequence,
                        "node_id": None,
                        "attempt": 0,
                        "phase": ExecutionPhase.ABORTING,
                        "at": now,
                    },
                )
            return self.read(tx, execution)

    def set_archived(self, execution: ExecutionId, *, archived: bool) -> None:
        """Take the record of an execution out of the usual lists, or back into them. Raises NOT_FOUND."""
        with self._database.write(execution.scope) as tx:
            before = _state(self.read(tx, execution).archived)
            state = _state(archived)
            if state == before:
                return
            tx.changed(f"state of execution {execution}", {"state": before}, {"state": state})
            tx.execute(_SET_STATE, own_name=execution.name, new_state=state, now=self._clock())

    def transitions(self, execution: ExecutionId, after: int) -> Sequence[Row[Any]]:
        """Return the transitions behind the sequence `after`, in order."""
        with self._database.read(execution.scope) as tx:
            return tx.all(_AFTER, own_name=execution.name, after=after)

    def all_of(self, execution: ExecutionId) -> tuple[Execution, Sequence[Row[Any]], Sequence[Row[Any]]]:
        """Return an execution as it stands, with its nodes as they came up and their attempts. Raises NOT_FOUND."""
        with self._database.read(execution.scope) as tx:
            name = execution.name
            return self.read(tx, execution), tx.all(_NODES_OF, own_name=name), tx.all(_ATTEMPTS_OF, own_name=name)

    def node(self, execution: ExecutionId, node: str) -> Row[Any]:
        """Return a node without its data. Raises NOT_FOUND."""
        return self._of_node(_NODE, execution, node)

    def node_data(self, execution: ExecutionId, node: str) -> Row[Any]:
        """Return a node's `inputs` and `outputs`, either None while it has none. Raises NOT_FOUND."""
        return self._of_node(_NODE_DATA, execution, node)

    def attempt(self, execution: ExecutionId, node: str, attempt: int) -> Row[Any]:
        """Return one attempt of a node's task. Raises NOT_FOUND."""
        row = None
        if attempt <= _MAX_ATTEMPT:
            with self._database.read(execution.scope) as tx:
                row = tx.one(_ATTEMPT, own_name=execution.name, node=node, own_attempt=attempt)
        if row is None:
            raise not_found("task execution", f"{execution}/{node}/{attempt}")
        return row

    def _of_node(self, statement: Any, execution: ExecutionId, node: str) -> Row[Any]:
        with self._database.read(execution.scope) as tx:
            row = tx.one(statement, own_name=execution.name, node=node)
        if row is None:
            raise not_found("node execution", f"{execution}/{node}")
        return row


def _state(archived: bool) -> ExecutionState:
    return ExecutionState.ARCHIVED if archived else ExecutionState.ACTIVE
