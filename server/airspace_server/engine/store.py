"""Executions as a worker sees them: leased, loaded whole, and moved one step at a time.

A lease is an owner, an expiry and an epoch. Whoever takes the lease raises the epoch, and every write names the epoch
that it was taken under: a worker that slept through its lease finds it gone and changes nothing any more.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from flyteidl.admin import execution_pb2, task_pb2
from flyteidl.core import compiler_pb2, literals_pb2, types_pb2
from sqlalchemy import Row, Update, bindparam, func, select

from airspace_server.core.execution import (
    ENDED_EXECUTION,
    ENDED_NODE,
    AttemptPhase,
    ExecutionError,
    ExecutionPhase,
    NodeKind,
    NodePhase,
)
from airspace_server.core.scope import ExecutionId, Scope
from airspace_server.engine.admission import Admission, Room
from airspace_server.engine.gate_nodes import Known
from airspace_server.engine.graph import Attempt, NodeState, State, Step
from airspace_server.engine.plan import Entity
from airspace_server.execution.notices import execution_ended
from airspace_server.execution.queue import GIVEN_BACK, OPEN
from airspace_server.execution.signals import SIGNALS
from airspace_server.execution.store import error_of
from airspace_server.flyte.single_task import single_task_workflow
from airspace_server.storage.database import Database, Transaction, scoped
from airspace_server.storage.tables import (
    ExecutionRow,
    NodeExecutionRow,
    TaskAttemptRow,
    TaskRow,
    TransitionRow,
    WorkflowRow,
    table,
)

LEASE_US: Final = 20_000_000
"""How long a lease lasts, in microseconds."""

_executions: Final = table(ExecutionRow)
_nodes: Final = table(NodeExecutionRow)
_attempts: Final = table(TaskAttemptRow)
_transitions: Final = table(TransitionRow)
_workflows: Final = table(WorkflowRow)
_tasks: Final = table(TaskRow)

_ABORTING_AT_ONCE: Final = 100
_NEVER: Final = 0
"""What lease_expires_at is until somebody has the lease for the first time."""
_FOREVER: Final = 2**62
"""What it is while nothing but an answer can let the execution go on."""

_KEY: Final = (_executions.c.project, _executions.c.domain, _executions.c.name)

_EXPIRED: Final = (
    select(*_KEY)
    .where(OPEN, _executions.c.lease_expires_at > _NEVER, _executions.c.lease_expires_at < bindparam("now"))
    .order_by(_executions.c.lease_expires_at)
    .limit(bindparam("limit"))
)
_UNHELD_ABORTING: Final = (
    select(*_KEY)
    .where(
        OPEN, _executions.c.phase == ExecutionPhase.ABORTING.value, _executions.c.lease_expires_at < bindparam("now")
    )
    .limit(bindparam("limit"))
)
_HELD_ABORTING: Final = select(*_KEY).where(
    OPEN,
    _executions.c.phase == ExecutionPhase.ABORTING.value,
    _executions.c.lease_expires_at >= bindparam("now"),
    _executions.c.lease_owner == bindparam("owner"),
)
_EXPIRED_OF: Final = _EXPIRED.where(_executions.c.domain == bindparam("of_domain"))
_LOCK_ABORTING, _LOCK_EXPIRED, _LOCK_EXPIRED_OF = (
    scan.with_for_update(skip_locked=True) for scan in (_UNHELD_ABORTING, _EXPIRED, _EXPIRED_OF)
)


def _of_key(statement: Update) -> Update:
    return statement.where(
        _executions.c.project == bindparam("of_project"),
        _executions.c.domain == bindparam("of_domain"),
        _executions.c.name == bindparam("of_name"),
    )


_TAKE: Final = (
    _of_key(_executions.update())
    .values(
        lease_owner=bindparam("owner"),
        lease_epoch=_executions.c.lease_epoch + 1,
        lease_expires_at=bindparam("expires_at"),
    )
    .returning(_executions.c.lease_epoch)
)
_EXTEND: Final = (
    _of_key(_executions.update())
    .where(_executions.c.lease_epoch == bindparam("epoch"))
    .values(lease_expires_at=bindparam("expires_at"))
)
_RELEASE: Final = (
    _executions.update()
    .where(
        scoped(_executions),
        _executions.c.name == bindparam("execution"),
        _executions.c.lease_epoch == bindparam("epoch"),
    )
    .values(lease_owner=None, lease_expires_at=GIVEN_BACK)
)

_PARK: Final = (
    _executions.update()
    .where(
        scoped(_executions),
        _executions.c.name == bindparam("execution"),
        _executions.c.lease_epoch == bindparam("epoch"),
    )
    .values(lease_owner=None, lease_expires_at=bindparam("until"))
)
_GATES: Final = select(_nodes.c.node_id, _nodes.c.started_at).where(
    scoped(_nodes),
    _nodes.c.execution == bindparam("execution"),
    _nodes.c.entity_kind == NodeKind.GATE.value,
    _nodes.c.phase == NodePhase.RUNNING.value,
)
_ANSWERS: Final = select(SIGNALS.c.signal_id, SIGNALS.c.value).where(
    scoped(SIGNALS),
    SIGNALS.c.execution == bindparam("execution"),
    SIGNALS.c.value.is_not(None),
    SIGNALS.c.signal_id.in_(
        select(_nodes.c.entity_name).where(
            scoped(_nodes),
            _nodes.c.execution == bindparam("execution"),
            _nodes.c.entity_kind == NodeKind.GATE.value,
            _nodes.c.phase == NodePhase.RUNNING.value,
        )
    ),
)
_LOAD: Final = select(
    _executions.c.phase,
    _executions.c.launch_plan_name,
    _executions.c.workflow_project,
    _executions.c.workflow_name,
    _executions.c.workflow_version,
    _executions.c.task_name,
    _executions.c.task_version,
    _executions.c.spec,
    _executions.c.inputs,
    _executions.c.error_code,
    _executions.c.error_message,
    _executions.c.error_kind,
).where(
    scoped(_executions),
    _executions.c.name == bindparam("execution"),
    _executions.c.lease_epoch == bindparam("epoch"),
)
_LOAD_NODES: Final = (
    select(_nodes).where(scoped(_nodes), _nodes.c.execution == bindparam("execution")).order_by(_nodes.c.position)
)
_LOAD_ATTEMPTS: Final = (
    select(_attempts)
    .where(scoped(_attempts), _attempts.c.execution == bindparam("execution"))
    .order_by(_attempts.c.attempt)
)
_CLOSURE: Final = select(_workflows.c.closure).where(
    scoped(_workflows), _workflows.c.name == bindparam("workflow"), _workflows.c.version == bindparam("version")
)

_TASK: Final = select(_tasks.c.closure).where(
    scoped(_tasks), _tasks.c.name == bindparam("task"), _tasks.c.version == bindparam("version")
)

_LOCK: Final = (
    select(_executions.c.phase, _executions.c.sequence, _executions.c.lease_epoch)
    .where(scoped(_executions), _executions.c.name == bindparam("execution"))
    .with_for_update()
)
_STEP_EXECUTION: Final = (
    _executions.update()
    .where(
        scoped(_executions),
        _executions.c.name == bindparam("execution"),
        _executions.c.lease_epoch == bindparam("epoch"),
    )
    .values(
        phase=bindparam("to_phase"),
        outputs=bindparam("to_outputs"),
        error_code=bindparam("to_error_code"),
        error_message=bindparam("to_error_message"),
        error_kind=bindparam("to_error_kind"),
        sequence=bindparam("to_sequence"),
        started_at=func.coalesce(_executions.c.started_at, bindparam("to_started_at")),
        ended_at=bindparam("to_ended_at"),
        updated_at=bindparam("now"),
    )
)
_FORGET_NODE: Final = _nodes.delete().where(
    scoped(_nodes), _nodes.c.execution == bindparam("of_execution"), _nodes.c.node_id == bindparam("of_node")
)
_STEP_NODE: Final = (
    _nodes.update()
    .where(scoped(_nodes), _nodes.c.execution == bindparam("of_execution"), _nodes.c.node_id == bindparam("of_node"))
    .values(
        phase=bindparam("to_phase"),
        attempts=bindparam("to_attempts"),
        outputs=bindparam("to_outputs"),
        error_code=bindparam("to_error_code"),
        error_message=bindparam("to_error_message"),
        error_kind=bindparam("to_error_kind"),
        started_at=func.coalesce(_nodes.c.started_at, bindparam("to_started_at")),
        ended_at=bindparam("to_ended_at"),
        updated_at=bindparam("now"),
    )
)
_STEP_ATTEMPT: Final = (
    _attempts.update()
    .where(
        scoped(_attempts),
        _attempts.c.execution == bindparam("of_execution"),
        _attempts.c.node_id == bindparam("of_node"),
        _attempts.c.attempt == bindparam("of_attempt"),
    )
    .values(
        phase=bindparam("to_phase"),
        deck=bindparam("to_deck"),
        error_code=bindparam("to_error_code"),
        error_message=bindparam("to_error_message"),
        error_kind=bindparam("to_error_kind"),
        ended_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
)


class LeaseLostError(Exception):
    """Another worker has taken the execution: drop it, and write nothing more about it."""


class AbortAskedError(Exception):
    """Someone asked for the end of the execution since its state was loaded; nothing was written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """An execution, and the epoch under which it may be changed."""

    execution: ExecutionId
    epoch: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """An execution as it is stored. `runs` is its workflow, or the task that it runs alone, without a launch plan."""

    state: State
    launch_plan: str
    runs: Entity
    spec: execution_pb2.ExecutionSpec


@dataclass(frozen=True, slots=True)
class Polled:
    """What a worker has to know of the executions around it: is there one to take, and whose end was asked for."""

    open: bool
    aborting: frozenset[ExecutionId]


class EngineStore:
    """The rows of executions, under leases. Times are microseconds since the epoch, given by the caller."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner
        self._admission = Admission()

    def poll(self, now: int, room: Room | None) -> Polled:
        """Look, without a write: cheap enough for many times a second.

        `open` tells of an execution that can be leased: one to be aborted, or any one that there is room for.
        """
        with self._database.read(across=True) as tx:
            found = tx.one(_UNHELD_ABORTING, now=now, limit=1) is not None
            found = found or (room is not None and self._may_go_on(tx, now, room))
            aborting = frozenset(_id(row) for row in tx.all(_HELD_ABORTING, now=now, owner=self._owner))
        return Polled(found, aborting)

    def _may_go_on(self, tx: Transaction, now: int, room: Room) -> bool:
        """Tell whether there is an execution that a worker has left, or one that may begin, and room for it."""
        if room.any > 0 and tx.one(_EXPIRED, now=now, limit=1):
            return True
        short = [domain for domain in room.shares.slots if room.takes(domain, ())]
        if any(tx.one(_EXPIRED_OF, now=now, of_domain=domain, limit=1) for domain in short):
            return True
        return self._admission.possible(tx, room)

    def lease(self, now: int, room: Room | None) -> Sequence[Lease]:
        """Take executions that nobody has: those that are to be aborted, and others that there is room for.

        Those whose worker went away come before those that have not begun; of these only as many as the quota of their
        scope lets run (engine/admission.py), in a scope in the order of their launch.
        """
        leases: list[Lease] = []
        with self._database.write(across=True) as tx:
            rows = tx.all(_LOCK_ABORTING, now=now, limit=_ABORTING_AT_ONCE)
            leases.extend(self._take(tx, _id(row), now) for row in rows)
            if room is not None:
                left = self._left_behind(tx, now, room)
                leases.extend(self._take(tx, execution, now) for execution in left)
                held = Counter(room.held) + Counter(execution.scope.domain for execution in left)
                room = replace(room, any=max(0, room.any - len(left)), held=held)
                leases.extend(self._take(tx, execution, now) for execution in self._admission.next(tx, room))
        return leases

    def _left_behind(self, tx: Transaction, now: int, room: Room) -> Sequence[ExecutionId]:
        """Lock executions whose worker went away, as many as there is room for."""
        found = [_id(row) for row in tx.all(_LOCK_EXPIRED, now=now, limit=room.any)] if room.any > 0 else []
        for domain in room.shares.slots:
            own = room.held.get(domain, 0) + sum(execution.scope.domain == domain for execution in found)
            if room.any <= len(found) and own < room.shares.holds(domain):
                limit = room.shares.holds(domain) - own
                more = (_id(row) for row in tx.all(_LOCK_EXPIRED_OF, now=now, of_domain=domain, limit=limit))
                found.extend(execution for execution in more if execution not in found)
        return found

    def renew(self, leases: Collection[Lease], now: int) -> frozenset[Lease]:
        """Extend the leases and return those that are lost."""
        lost = set()
        with self._database.write(across=True) as tx:
            for lease in leases:
                key = _of(lease.execution)
                if not tx.execute(_EXTEND, **key, epoch=lease.epoch, expires_at=now + LEASE_US).rowcount:
                    lost.add(lease)
        return frozenset(lost)

    def release(self, lease: Lease) -> None:
        """Let another worker have the execution at once."""
        with self._database.write(lease.execution.scope) as tx:
            tx.execute(_RELEASE, execution=lease.execution.name, epoch=lease.epoch)

    def load(self, lease: Lease) -> Loaded:
        """Read all of an execution. Raises LeaseLostError."""
        name = lease.execution.name
        with self._database.read(lease.execution.scope) as tx:
            row = tx.one(_LOAD, execution=name, epoch=lease.epoch)
            if row is None:
                raise LeaseLostError
            attempts: dict[str, list[Attempt]] = {}
            for attempt in tx.all(_LOAD_ATTEMPTS, execution=name):
                attempts.setdefault(attempt.node_id, []).append(_attempt(attempt))
            nodes = {
                node.node_id: _node(node, tuple(attempts.get(node.node_id, ())))
                for node in tx.all(_LOAD_NODES, execution=name)
            }
        inputs = literals_pb2.LiteralMap.FromString(row.inputs)
        state = State(ExecutionPhase(row.phase), inputs, nodes, None, error_of(row))
        spec = execution_pb2.ExecutionSpec.FromString(row.spec)
        if row.task_name is not None:
            task = Entity(NodeKind.TASK, lease.execution.scope.project, row.task_name, row.task_version)
            return Loaded(state, "", task, spec)
        workflow = Entity(NodeKind.WORKFLOW, row.workflow_project, row.workflow_name, row.workflow_version)
        return Loaded(state, row.launch_plan_name, workflow, spec)

    def closure(self, domain: str, runs: Entity) -> compiler_pb2.CompiledWorkflowClosure:
        """Read what an execution of a domain runs, which never changes. A foreign key of executions keeps it there."""
        with self._database.read(Scope(runs.project, domain)) as tx:
            if runs.kind is NodeKind.TASK:
                task = tx.execute(_TASK, task=runs.name, version=runs.version).scalar_one()
                return single_task_workflow(task_pb2.TaskClosure.FromString(task).compiled_task)
            workflow = tx.execute(_CLOSURE, workflow=runs.name, version=runs.version).scalar_one()
        return compiler_pb2.CompiledWorkflowClosure.FromString(workflow)

    def gates(self, lease: Lease) -> Known:
        """Read what is known of the gates that wait."""
        with self._database.read(lease.execution.scope) as tx:
            since = {row.node_id: row.started_at for row in tx.all(_GATES, execution=lease.execution.name)}
            return Known(since, _answers(tx, lease.execution.name))

    def park(self, lease: Lease, known: Known, until: int | None) -> bool:
        """Let go of an execution until this moment, or until a signal is answered or its end is asked for.

        Tells whether it is let go: not if one of these has happened since `known` was read. Raises LeaseLostError.
        """
        name = lease.execution.name
        with self._database.write(lease.execution.scope) as tx:
            locked = tx.one(_LOCK, execution=name)
            if locked is None or locked.lease_epoch != lease.epoch:
                raise LeaseLostError
            if locked.phase == ExecutionPhase.ABORTING or _answers(tx, name).keys() != known.answers.keys():
                return False
            tx.execute(_PARK, execution=name, epoch=lease.epoch, until=min(until or _FOREVER, _FOREVER))
        return True

    def commit(
        self, lease: Lease, before: State, step: Step, now: int, asked: Iterable[tuple[str, types_pb2.LiteralType]] = ()
    ) -> None:
        """Store a step, all of it or nothing, with the signals that it asks for.

        Raises LeaseLostError, and AbortAskedError for a step that knows nothing of it: an execution that is ABORTING
        goes nowhere but to its end.
        """
        name, after = lease.execution.name, step.state
        with self._database.write(lease.execution.scope) as tx:
            locked = tx.one(_LOCK, execution=name)
            if locked is None or locked.lease_epoch != lease.epoch:
                raise LeaseLostError
            aborting = locked.phase == ExecutionPhase.ABORTING
            if aborting and after.phase not in (ExecutionPhase.ABORTING, ExecutionPhase.ABORTED):
                raise AbortAskedError
            for forgotten in before.nodes.keys() - after.nodes.keys():
                tx.execute(_FORGET_NODE, of_execution=name, of_node=forgotten)
            for node in after.nodes.values():
                if before.nodes.get(node.id) is not node:
                    _write_node(tx, name, before.nodes.get(node.id), node, now)
            for signal, kind in asked:
                written = kind.SerializeToString(deterministic=True)
                row = {"execution": name, "signal_id": signal, "type": written, "created_at": now, "updated_at": now}
                tx.insert_new(SIGNALS, row)
            transitions = [
                {
                    "execution": name,
                    "sequence": sequence,
                    "node_id": one.node_id,
                    "attempt": one.attempt,
                    "phase": one.phase.value,
                    **_error_columns(one.error),
                    "at": now,
                }
                for sequence, one in enumerate(step.transitions, locked.sequence + 1)
            ]
            if transitions:
                tx.insert(_transitions, *transitions)
            ended = after.phase in ENDED_EXECUTION
            tx.execute(
                _STEP_EXECUTION,
                execution=name,
                epoch=lease.epoch,
                to_phase=after.phase.value,
                to_outputs=_bytes(after.outputs),
                to_sequence=locked.sequence + len(transitions),
                to_started_at=now if after.phase is ExecutionPhase.RUNNING else None,
                to_ended_at=now if ended else None,
                now=now,
                **_prefixed(_error_columns(after.error)),
            )
            if ended:
                tx.execute(_RELEASE, execution=name, epoch=lease.epoch)
                execution_ended(tx, lease.execution, after.phase, after.error, now)

    def _take(self, tx: Transaction, execution: ExecutionId, now: int) -> Lease:
        taken = tx.execute(_TAKE, **_of(execution), owner=self._owner, expires_at=now + LEASE_US).one()
        return Lease(execution, taken.lease_epoch)


def _answers(tx: Transaction, execution: str) -> Mapping[str, literals_pb2.Literal]:
    rows = tx.all(_ANSWERS, execution=execution)
    return {row.signal_id: literals_pb2.Literal.FromString(row.value) for row in rows}


def _write_node(tx: Transaction, execution: str, before: NodeState | None, node: NodeState, now: int) -> None:
    started = now if node.phase is NodePhase.RUNNING else None
    ended = now if node.phase in ENDED_NODE else None
    moving = {
        "phase": node.phase.value,
        "attempts": len(node.attempts),
        "outputs": _bytes(node.outputs),
        **_error_columns(node.error),
        "started_at": started,
        "ended_at": ended,
    }
    if before is None:
        fixed = {
            "execution": execution,
            "node_id": node.id,
            "position": node.position,
            "spec_node_id": node.spec_id,
            "parent_id": node.frame,
            "entity_kind": node.entity.kind,
            "entity_project": node.entity.project,
            "entity_name": node.entity.name,
            "entity_version": node.entity.version,
            "inputs": _bytes(node.inputs),
            "created_at": now,
            "updated_at": now,
        }
        tx.insert(_nodes, {**fixed, **moving})
    else:
        tx.execute(_STEP_NODE, of_execution=execution, of_node=node.id, now=now, **_prefixed(moving))
    known = before.attempts if before else ()
    for attempt in node.attempts:
        if attempt.number >= len(known):
            _insert_attempt(tx, execution, node.id, attempt, now)
        elif known[attempt.number] is not attempt:
            tx.execute(
                _STEP_ATTEMPT,
                of_execution=execution,
                of_node=node.id,
                of_attempt=attempt.number,
                to_phase=attempt.phase.value,
                to_deck=attempt.deck,
                now=now,
                **_prefixed(_error_columns(attempt.error)),
            )


def _insert_attempt(tx: Transaction, execution: str, node_id: str, attempt: Attempt, now: int) -> None:
    row = {
        "execution": execution,
        "node_id": node_id,
        "attempt": attempt.number,
        "phase": attempt.phase.value,
        "handle": attempt.handle,
        "outputs_uri": attempt.outputs_uri,
        "deck": attempt.deck,
        **_error_columns(attempt.error),
        "created_at": now,
        "updated_at": now,
        "ended_at": None,
    }
    tx.insert(_attempts, row)


def _of(execution: ExecutionId) -> Mapping[str, str]:
    scope = execution.scope
    return {"of_project": scope.project, "of_domain": scope.domain, "of_name": execution.name}


def _prefixed(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return {f"to_{name}": value for name, value in values.items()}


def _id(row: Row[Any]) -> ExecutionId:
    return ExecutionId(Scope(row.project, row.domain), row.name)


def _error_columns(error: ExecutionError | None) -> Mapping[str, str | None]:
    return {
        "error_code": error.code if error else None,
        "error_message": error.message if error else None,
        "error_kind": error.kind.value if error else None,
    }


def _bytes(values: literals_pb2.LiteralMap | None) -> bytes | None:
    return None if values is None else values.SerializeToString(deterministic=True)


def _literals(data: bytes | None) -> literals_pb2.LiteralMap | None:
    return None if data is None else literals_pb2.LiteralMap.FromString(data)


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(row.attempt, AttemptPhase(row.phase), row.handle, row.outputs_uri, error_of(row), row.deck)


def _node(row: Row[Any], attempts: tuple[Attempt, ...]) -> NodeState:
    return NodeState(
        row.node_id,
        row.spec_node_id,
        row.parent_id,
        Entity(NodeKind(row.entity_kind), row.entity_project, row.entity_name, row.entity_version),
        row.position,
        NodePhase(row.phase),
        _literals(row.inputs),
        _literals(row.outputs),
        error_of(row),
        attempts,
    )
