"""Where the time of an execution went, as Flyte's tree of spans. Pure.

What runs below something has spans of its own; what is left of its time are operations: before the first of them its
setup, behind the last of them its teardown. The operations' names are those of Flyte's wire. A span without an end has
not ended.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from flyteidl.core import identifier_pb2, metrics_pb2
from sqlalchemy import Row

from airspace_server.access.messages import timestamp
from airspace_server.core.scope import EntityId, Scope
from airspace_server.execution.store import Execution
from airspace_server.flyte.identifiers import execution_identifier, identifier


def spans(
    execution: Execution, nodes: Sequence[Row[Any]], attempts: Sequence[Row[Any]], depth: int
) -> metrics_pb2.Span:
    """Build the tree of an execution, of which `depth` levels of nodes and attempts are shown; negative shows all.

    `nodes` are in the order in which they came up, `attempts` by node and number.
    """
    return _Tree(execution, nodes, attempts).execution(depth)


class _Tree:
    def __init__(self, execution: Execution, nodes: Sequence[Row[Any]], attempts: Sequence[Row[Any]]) -> None:
        self._execution = execution
        self._id = execution_identifier(execution.id)
        self._inside: Mapping[str, list[Row[Any]]] = defaultdict(list)
        self._attempts: Mapping[str, list[Row[Any]]] = defaultdict(list)
        for node in nodes:
            self._inside[node.parent_id].append(node)
        for attempt in attempts:
            self._attempts[attempt.node_id].append(attempt)

    def execution(self, depth: int) -> metrics_pb2.Span:
        own = self._execution
        span = _span(own.created_at, own.ended_at, workflow_id=self._id)
        inner = [self._node(node, depth - 1) for node in self._inside[""]] if depth else []
        return _with(span, inner, "WORKFLOW")

    def _node(self, node: Row[Any], depth: int) -> metrics_pb2.Span:
        id_ = identifier_pb2.NodeExecutionIdentifier(execution_id=self._id, node_id=node.node_id)
        span = _span(node.created_at, node.ended_at, node_id=id_)
        if not depth:
            return span
        inner = [self._attempt(node, id_, attempt) for attempt in self._attempts[node.node_id]]
        inner += [self._node(each, depth - 1) for each in self._inside[node.node_id]]
        return _with(span, inner, "NODE")

    def _attempt(
        self, node: Row[Any], node_id: identifier_pb2.NodeExecutionIdentifier, attempt: Row[Any]
    ) -> metrics_pb2.Span:
        scope = Scope(node.entity_project, self._execution.id.scope.domain)
        ran = EntityId(scope, node.entity_name, node.entity_version)
        id_ = identifier_pb2.TaskExecutionIdentifier(
            task_id=identifier(ran, identifier_pb2.TASK), node_execution_id=node_id, retry_attempt=attempt.attempt
        )
        span = _span(attempt.created_at, attempt.ended_at, task_id=id_)
        span.spans.append(_span(attempt.created_at, attempt.ended_at, operation_id="TASK_RUNTIME"))
        return span


def _with(span: metrics_pb2.Span, inner: Sequence[metrics_pb2.Span], kind: str) -> metrics_pb2.Span:
    """Add the spans of what ran inside, and the operations around them."""
    if not inner:
        return span
    setup = metrics_pb2.Span(operation_id=f"{kind}_SETUP", start_time=span.start_time, end_time=inner[0].start_time)
    span.spans.extend([setup, *inner])
    if span.HasField("end_time") and all(each.HasField("end_time") for each in inner):
        last = max((each.end_time for each in inner), key=lambda each: each.ToMicroseconds())
        span.spans.add(operation_id=f"{kind}_TEARDOWN", start_time=last, end_time=span.end_time)
    return span


def _span(start: int, end: int | None, **of: Any) -> metrics_pb2.Span:
    span = metrics_pb2.Span(start_time=timestamp(start), **of)
    if end is not None:
        span.end_time.CopyFrom(timestamp(end))
    return span
