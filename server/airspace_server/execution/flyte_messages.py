"""Executions, nodes and attempts as Flyte's messages.

What clients rely on is in the comments where it is not plain: which fields must be unset, which must be there, and what
an answer's shape makes flytekit do.
"""

from collections.abc import Mapping
from typing import Any, Final

from flyteidl.admin import execution_pb2, node_execution_pb2, task_execution_pb2
from flyteidl.core import execution_pb2 as core_execution_pb2
from flyteidl.core import identifier_pb2, literals_pb2
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import Row

from airspace_server.access.messages import timestamp
from airspace_server.core.execution import (
    ENDED_EXECUTION,
    FRAMED_NODE,
    AttemptPhase,
    ErrorKind,
    ExecutionError,
    ExecutionPhase,
    NodeKind,
    NodePhase,
)
from airspace_server.core.scope import EntityId, ExecutionId, Scope
from airspace_server.execution.queue import Waiting
from airspace_server.execution.store import Execution, error_of
from airspace_server.flyte.identifiers import execution_identifier, identifier

_PHASES: Final[Mapping[ExecutionPhase, Any]] = {
    phase: core_execution_pb2.WorkflowExecution.Phase.Value(phase.value) for phase in ExecutionPhase
}
_NODE_PHASES: Final[Mapping[NodePhase, Any]] = {
    phase: core_execution_pb2.NodeExecution.Phase.Value(phase.value) for phase in NodePhase
}
_ATTEMPT_PHASES: Final[Mapping[AttemptPhase, Any]] = {
    AttemptPhase.RUNNING: core_execution_pb2.TaskExecution.RUNNING,
    AttemptPhase.SUCCEEDED: core_execution_pb2.TaskExecution.SUCCEEDED,
    AttemptPhase.FAILED: core_execution_pb2.TaskExecution.FAILED,
    AttemptPhase.ABORTED: core_execution_pb2.TaskExecution.ABORTED,
    AttemptPhase.TIMED_OUT: core_execution_pb2.TaskExecution.FAILED,  # Flyte's attempts know no timeout
    AttemptPhase.LOST: core_execution_pb2.TaskExecution.FAILED,
    AttemptPhase.PREEMPTED: core_execution_pb2.TaskExecution.FAILED,
}
_KINDS: Final = {
    ErrorKind.USER: core_execution_pb2.ExecutionError.USER,
    ErrorKind.SYSTEM: core_execution_pb2.ExecutionError.SYSTEM,
}


def literal_map(serialized: bytes | None) -> literals_pb2.LiteralMap:
    """Read serialized literals; nothing is no literals."""
    return literals_pb2.LiteralMap() if serialized is None else literals_pb2.LiteralMap.FromString(serialized)


WAITING: Final = "airspace/waiting"
"""The annotation that says why an execution waits; Flyte has no field for it."""


def execution_message(execution: Execution, waiting: Waiting | None = None) -> execution_pb2.Execution:
    """Say what an execution is, and why it waits."""
    message = execution_pb2.Execution(
        id=execution_identifier(execution.id), spec=execution_pb2.ExecutionSpec.FromString(execution.spec)
    )
    if waiting is not None:
        message.spec.annotations.values[WAITING] = str(waiting)
    closure = message.closure
    closure.phase = _PHASES[execution.phase]
    closure.created_at.CopyFrom(timestamp(execution.created_at))
    closure.updated_at.CopyFrom(timestamp(execution.updated_at))
    closure.started_at.CopyFrom(timestamp(execution.started_at or execution.created_at))
    closure.duration.CopyFrom(_duration(execution.started_at, execution.ended_at))
    closure.state_change_details.state = (
        execution_pb2.EXECUTION_ARCHIVED if execution.archived else execution_pb2.EXECUTION_ACTIVE
    )
    closure.notifications.extend(message.spec.notifications.notifications)
    if execution.workflow is not None:
        closure.workflow_id.CopyFrom(identifier(execution.workflow, identifier_pb2.WORKFLOW))
    # flytekit takes an error that is present, even an empty one, for failure; and closure.outputs must stay unset.
    if execution.phase in ENDED_EXECUTION and execution.error is not None:
        closure.error.CopyFrom(_error(execution.error))
    elif execution.abort_principal is not None:
        closure.abort_metadata.cause = execution.abort_cause or ""
        closure.abort_metadata.principal = execution.abort_principal
    return message


def node_message(execution: ExecutionId, row: Row[Any], deck_uri: str) -> node_execution_pb2.NodeExecution:
    """Say what a node of an execution is, from its row and the URI of its deck, "" for none."""
    message = node_execution_pb2.NodeExecution()
    message.id.node_id = row.node_id
    message.id.execution_id.CopyFrom(execution_identifier(execution))
    message.metadata.spec_node_id = row.spec_node_id
    # flytekit's wait fails where children are listed of anything but sub-workflows and branches.
    kind = NodeKind(row.entity_kind)
    message.metadata.is_parent_node = kind in FRAMED_NODE and kind is not NodeKind.ARRAY
    message.metadata.is_array = kind is NodeKind.ARRAY
    closure = message.closure
    closure.phase = _NODE_PHASES[NodePhase(row.phase)]
    closure.deck_uri = deck_uri
    closure.created_at.CopyFrom(timestamp(row.created_at))
    closure.updated_at.CopyFrom(timestamp(row.updated_at))
    closure.started_at.CopyFrom(timestamp(row.started_at or row.created_at))
    closure.duration.CopyFrom(_duration(row.started_at, row.ended_at))
    error = error_of(row)
    if error is not None:
        closure.error.CopyFrom(_error(error))
    return message


def attempt_message(execution: ExecutionId, node: Row[Any], row: Row[Any]) -> task_execution_pb2.TaskExecution:
    """Say what an attempt of a node's task is, from its row and the node's."""
    message = task_execution_pb2.TaskExecution()
    task = EntityId(Scope(node.entity_project, execution.scope.domain), node.entity_name, node.entity_version)
    message.id.task_id.CopyFrom(identifier(task, identifier_pb2.TASK))
    message.id.node_execution_id.node_id = row.node_id
    message.id.node_execution_id.execution_id.CopyFrom(execution_identifier(execution))
    message.id.retry_attempt = row.attempt
    closure = message.closure
    closure.phase = _ATTEMPT_PHASES[AttemptPhase(row.phase)]
    closure.created_at.CopyFrom(timestamp(row.created_at))
    closure.updated_at.CopyFrom(timestamp(row.updated_at))
    closure.started_at.CopyFrom(timestamp(row.created_at))
    closure.duration.CopyFrom(_duration(row.created_at, row.ended_at))
    error = error_of(row)
    if error is not None:
        closure.error.CopyFrom(_error(error))
    return message


def _error(error: ExecutionError) -> core_execution_pb2.ExecutionError:
    return core_execution_pb2.ExecutionError(code=error.code, message=error.message, kind=_KINDS[error.kind])


def _duration(started_at: int | None, ended_at: int | None) -> Duration:
    duration = Duration()
    if started_at is not None and ended_at is not None:
        duration.FromMicroseconds(ended_at - started_at)
    return duration
