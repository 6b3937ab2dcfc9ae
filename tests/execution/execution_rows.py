"""What an engine leaves behind, written by hand: transitions, nodes, attempts, ends."""

from typing import Any

from flyteidl.core import literals_pb2
from sqlalchemy import bindparam
from wing_doors import DEV, Doors, call, integers, scope_message

from airspace.execution.v1 import execution_service_pb2 as pb
from airspace.type.v1 import identifiers_pb2
from airspace_server.core.execution import ENDED_EXECUTION, ENDED_NODE, ExecutionPhase, NodePhase
from airspace_server.core.scope import EntityId, ExecutionId, Scope
from airspace_server.storage.database import scoped
from airspace_server.storage.tables import ExecutionRow, NodeExecutionRow, TaskAttemptRow, TransitionRow, table

_EXECUTIONS = table(ExecutionRow)
_MOVE = _EXECUTIONS.update().where(scoped(_EXECUTIONS), _EXECUTIONS.c.name == bindparam("own_name"))


def execution_id(id_: ExecutionId) -> identifiers_pb2.ExecutionId:
    return identifiers_pb2.ExecutionId(scope=scope_message(id_.scope), name=id_.name)


def request(plan: EntityId, **fields: Any) -> pb.LaunchExecutionRequest:
    """A launch of a launch plan's version, natively; `version=""` launches the active one."""
    fields = {"version": plan.version, **fields}
    return pb.LaunchExecutionRequest(scope=scope_message(plan.scope), launch_plan=plan.name, **fields)


def launch(doors: Doors, plan: EntityId, *, as_: str = "user:ann", **fields: Any) -> ExecutionId:
    """Launch natively."""
    made = doors.executions.LaunchExecution(request(plan, **fields), call(as_)).execution
    return ExecutionId(plan.scope, made.id.name)


def names(doors: Doors, scope: Scope = DEV) -> list[str]:
    """The names of all executions of a scope, newest first."""
    answer = doors.executions.ListExecutions(
        pb.ListExecutionsRequest(scope=scope_message(scope), page_size=1000), call()
    )
    assert not answer.next_page_token
    return [execution.id.name for execution in answer.executions]


def move(
    doors: Doors,
    id_: ExecutionId,
    phase: ExecutionPhase,
    *,
    outputs: literals_pb2.LiteralMap | None = None,
    error: tuple[str, str, str] | None = None,
) -> None:
    """Move an execution to a phase with its transition, in one transaction."""
    now = doors.clock()
    failed = dict(zip(("error_code", "error_message", "error_kind"), error, strict=True)) if error else {}
    with doors.database.write(id_.scope) as tx:
        sequence = _next(tx, id_)
        ended = {"ended_at": now} if phase in ENDED_EXECUTION else {"started_at": now}
        data = {"outputs": outputs.SerializeToString()} if outputs is not None else {}
        tx.execute(
            _MOVE.values(phase=phase, sequence=sequence, updated_at=now, **ended, **failed, **data), own_name=id_.name
        )
        row = {"execution": id_.name, "sequence": sequence, "node_id": None, "attempt": 0, "phase": phase, "at": now}
        tx.insert(table(TransitionRow), {**row, **failed})


def node(
    doors: Doors,
    id_: ExecutionId,
    node_id: str,
    phase: NodePhase = NodePhase.SUCCEEDED,
    *,
    position: int,
    parent: str = "",
    entity: str = "double",
    workflow: bool = False,
    attempts: tuple[str, ...] = (),
    decks: tuple[int, ...] = (),
    error: tuple[str, str, str] | None = None,
) -> None:
    """Put a node where an engine would have, with its transition and the attempts of its task."""
    now = doors.clock()
    failed = dict(zip(("error_code", "error_message", "error_kind"), error, strict=True)) if error else {}
    done = phase is NodePhase.SUCCEEDED
    own = {
        "execution": id_.name,
        "node_id": node_id,
        "position": position,
        "spec_node_id": node_id.rpartition("-")[2] if parent else node_id,
        "parent_id": parent,
        "entity_kind": "WORKFLOW" if workflow else "TASK",
        "entity_project": id_.scope.project,
        "entity_name": entity,
        "entity_version": "v1",
        "phase": phase,
        "attempts": len(attempts),
        "inputs": integers(x=position).SerializeToString(),
        "outputs": integers(o0=2 * position).SerializeToString() if done else None,
        "created_at": now,
        "started_at": now,
        "updated_at": now + 1000,
        "ended_at": now + 1000 if phase in ENDED_NODE else None,
        **failed,
    }
    with doors.database.write(id_.scope) as tx:
        tx.insert(table(NodeExecutionRow), own)
        for number, attempt in enumerate(attempts):
            tx.insert(
                table(TaskAttemptRow),
                {
                    "execution": id_.name,
                    "node_id": node_id,
                    "attempt": number,
                    "phase": attempt,
                    "handle": "",
                    "outputs_uri": "",
                    "deck": number in decks,
                    "created_at": now,
                    "updated_at": now,
                    "ended_at": None if attempt == "RUNNING" else now + 1000,
                },
            )
        sequence = _next(tx, id_)
        tx.execute(_MOVE.values(sequence=sequence), own_name=id_.name)
        row = {"execution": id_.name, "sequence": sequence, "node_id": node_id, "attempt": len(attempts)}
        tx.insert(table(TransitionRow), {**row, "phase": phase, "at": now, **failed})


def _next(tx: Any, id_: ExecutionId) -> int:
    statement = _EXECUTIONS.select().where(scoped(_EXECUTIONS), _EXECUTIONS.c.name == bindparam("own_name"))
    row = tx.one(statement, own_name=id_.name)
    return row.sequence + 1
