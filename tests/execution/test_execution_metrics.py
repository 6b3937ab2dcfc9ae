"""Where the time of an execution went: Flyte's tree of spans, for a real client's eyes."""

import pytest
from execution_rows import launch, move, node
from flyte_samples import chain
from flyteidl.admin import execution_pb2, node_execution_pb2
from flyteidl.core import identifier_pb2, metrics_pb2
from google.protobuf.struct_pb2 import Struct
from wing_doors import PROD, Doors, call

from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.execution import ExecutionPhase, NodePhase
from airspace_server.core.scope import ExecutionId
from airspace_server.flyte.identifiers import execution_identifier

ONE = Struct()
ONE.update({"x": 1})


@pytest.fixture
def ran(doors: Doors) -> ExecutionId:
    """An execution of two nodes, the second of them with a node inside, the first tried twice."""
    id_ = launch(doors, doors.plan(doors.register(chain)), inputs=ONE)
    move(doors, id_, ExecutionPhase.RUNNING)
    node(doors, id_, "n0", position=0, attempts=("FAILED", "SUCCEEDED"))
    node(doors, id_, "n1", position=1, workflow=True)
    node(doors, id_, "n1-0-n0", position=2, parent="n1", attempts=("SUCCEEDED",))
    move(doors, id_, ExecutionPhase.SUCCEEDED)
    return id_


def spans(doors: Doors, id_: ExecutionId, depth: int = -1) -> metrics_pb2.Span:
    request = execution_pb2.WorkflowExecutionGetMetricsRequest(id=execution_identifier(id_), depth=depth)
    return doors.flyte.GetExecutionMetrics(request, call()).span


def tree(span: metrics_pb2.Span) -> object:
    """Write a tree of spans down by their names."""
    name = {
        "workflow_id": span.workflow_id.name,
        "node_id": span.node_id.node_id,
        "task_id": f"attempt {span.task_id.retry_attempt}",
        "operation_id": span.operation_id,
    }[span.WhichOneof("id")]
    return (name, [tree(each) for each in span.spans]) if span.spans else name


def test_the_tree_has_every_node_and_attempt_and_what_is_around_them(doors: Doors, ran: ExecutionId):
    def attempt(number: int) -> object:
        return (f"attempt {number}", ["TASK_RUNTIME"])

    inner = ("n1-0-n0", ["NODE_SETUP", attempt(0), "NODE_TEARDOWN"])
    assert tree(spans(doors, ran)) == (
        ran.name,
        [
            "WORKFLOW_SETUP",
            ("n0", ["NODE_SETUP", attempt(0), attempt(1), "NODE_TEARDOWN"]),
            ("n1", ["NODE_SETUP", inner, "NODE_TEARDOWN"]),
            "WORKFLOW_TEARDOWN",
        ],
    )


def test_operations_fill_the_time_around_what_they_surround(doors: Doors, ran: ExecutionId):
    span = spans(doors, ran)
    setup, *inner, teardown = span.spans
    assert (setup.start_time, setup.end_time) == (span.start_time, inner[0].start_time)
    assert teardown.end_time == span.end_time
    assert teardown.start_time.ToMicroseconds() == max(each.end_time.ToMicroseconds() for each in inner)


def test_only_as_many_levels_are_shown_as_were_asked_for(doors: Doors, ran: ExecutionId):
    assert tree(spans(doors, ran, 0)) == ran.name
    assert tree(spans(doors, ran, 1)) == (ran.name, ["WORKFLOW_SETUP", "n0", "n1", "WORKFLOW_TEARDOWN"])
    assert tree(spans(doors, ran, 99)) == tree(spans(doors, ran))


def test_what_has_not_ended_has_no_end_and_no_teardown(doors: Doors):
    id_ = launch(doors, doors.plan(doors.register(chain)), inputs=ONE)
    assert tree(spans(doors, id_)) == id_.name
    move(doors, id_, ExecutionPhase.RUNNING)
    node(doors, id_, "n0", NodePhase.RUNNING, position=0, attempts=("RUNNING",))
    span = spans(doors, id_)
    assert not span.HasField("end_time")
    assert tree(span) == (id_.name, ["WORKFLOW_SETUP", ("n0", ["NODE_SETUP", ("attempt 0", ["TASK_RUNTIME"])])])


def test_of_another_scope_nothing_is_there(doors: Doors, ran: ExecutionId):
    with pytest.raises(ApiError) as caught:
        spans(doors, ExecutionId(PROD, ran.name))
    assert caught.value.reason is Reason.NOT_FOUND


def test_no_node_made_a_workflow_of_its_own(doors: Doors, ran: ExecutionId):
    of = identifier_pb2.NodeExecutionIdentifier(execution_id=execution_identifier(ran), node_id="n0")
    made = node_execution_pb2.NodeExecutionForTaskListRequest(limit=10)
    made.task_execution_id.node_execution_id.CopyFrom(of)
    assert not doors.flyte.ListNodeExecutionsForTask(made, call()).node_executions
    made.task_execution_id.retry_attempt = 7
    for act in (
        lambda: doors.flyte.ListNodeExecutionsForTask(made, call()),
        lambda: doors.flyte.GetDynamicNodeWorkflow(node_execution_pb2.GetDynamicNodeWorkflowRequest(id=of), call()),
    ):
        with pytest.raises(ApiError) as caught:
            act()
        assert caught.value.reason is Reason.NOT_FOUND
