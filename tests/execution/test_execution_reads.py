"""Reading and ending executions through the native front door: lists, nodes, data, terminate."""

import pytest
from execution_rows import execution_id, launch, move, node, request
from flyte_samples import chain, outer
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from wing_doors import DEV, PROD, Doors, call, integers, pages, scope_message, together

from airspace.execution.v1 import execution_service_pb2 as pb
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.execution import ENDED_EXECUTION, ExecutionPhase, NodePhase
from airspace_server.core.scope import EntityId, ExecutionId

ONE = Struct()
ONE.update({"x": 1})
MISSING = ExecutionId(DEV, "nobody")


@pytest.fixture
def plan(doors: Doors) -> EntityId:
    return doors.plan(doors.register(chain))


def get(doors: Doors, id_: ExecutionId) -> pb.Execution:
    return doors.executions.GetExecution(pb.GetExecutionRequest(execution=execution_id(id_)), call()).execution


def terminate(doors: Doors, id_: ExecutionId, cause: str = "", by: str = "user:ann") -> pb.Execution:
    wanted = pb.TerminateExecutionRequest(execution=execution_id(id_), cause=cause)
    return doors.executions.TerminateExecution(wanted, call(by)).execution


def transitions(doors: Doors, id_: ExecutionId) -> list[tuple[int, str]]:
    return [(row.sequence, row.phase) for row in doors.store.transitions(id_, 0)]


def listed(doors: Doors, *, size: int = 0, scope=DEV, **fields) -> list[str]:
    def fetch(token: str):
        wanted = pb.ListExecutionsRequest(scope=scope_message(scope), page_size=size, page_token=token, **fields)
        answer = doors.executions.ListExecutions(wanted, call())
        return [execution.id.name for execution in answer.executions], answer.next_page_token

    return [name for page in pages(fetch) for name in page]


# --- lists


def test_the_list_has_every_execution_once_newest_first_whatever_the_page_size(doors: Doors, plan: EntityId):
    doors.clock.frozen = 1_800_000_000_000_000  # all at one moment: the names decide
    same = [launch(doors, plan, name=name, inputs=ONE).name for name in ("b", "a", "d", "c")]
    doors.clock.frozen += 1
    newer = launch(doors, plan, name="a-newer", inputs=ONE).name
    for size in (1, 2, 4, 5, 1000, 0):
        assert listed(doors, size=size) == [newer, *sorted(same, reverse=True)]
    assert listed(doors, scope=PROD) == []


def test_executions_that_come_while_a_list_is_read_neither_repeat_nor_hide_others(doors: Doors, plan: EntityId):
    old = [launch(doors, plan, inputs=ONE).name for _ in range(6)]

    def fetch(token: str):
        wanted = pb.ListExecutionsRequest(scope=scope_message(DEV), page_size=2, page_token=token)
        answer = doors.executions.ListExecutions(wanted, call())
        launch(doors, plan, inputs=ONE)
        return [execution.id.name for execution in answer.executions], answer.next_page_token

    assert [name for page in pages(fetch) for name in page] == old[::-1]


def test_the_list_is_filtered_by_phase_and_launch_plan_together(doors: Doors, plan: EntityId):
    other = doors.plan(EntityId(DEV, chain.name, "v1"), "other")
    queued = launch(doors, plan, inputs=ONE)
    running, done = launch(doors, plan, inputs=ONE), launch(doors, other, inputs=ONE)
    move(doors, running, ExecutionPhase.RUNNING)
    move(doors, done, ExecutionPhase.SUCCEEDED, outputs=integers(o0=8))
    assert listed(doors, phases=[pb.EXECUTION_PHASE_RUNNING]) == [running.name]
    assert listed(doors, phases=[pb.EXECUTION_PHASE_QUEUED, pb.EXECUTION_PHASE_SUCCEEDED], size=1) == [
        done.name,
        queued.name,
    ]
    assert listed(doors, launch_plan="plan") == [running.name, queued.name]
    assert listed(doors, launch_plan="plan", phases=[pb.EXECUTION_PHASE_SUCCEEDED]) == []
    assert listed(doors, launch_plan="nobody") == []


def test_an_unspecified_phase_is_no_phase_to_filter_by(doors: Doors):
    with pytest.raises(ApiError) as caught:
        listed(doors, phases=[pb.EXECUTION_PHASE_QUEUED, pb.EXECUTION_PHASE_UNSPECIFIED])
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, "phases")


def test_a_page_token_belongs_to_its_scope_and_filter(doors: Doors, plan: EntityId):
    for _ in range(3):
        launch(doors, plan, inputs=ONE)
    first = pb.ListExecutionsRequest(scope=scope_message(DEV), page_size=1)
    token = doors.executions.ListExecutions(first, call()).next_page_token
    for fields in (
        {"scope": scope_message(PROD)},
        {"scope": scope_message(DEV), "launch_plan": "plan"},
        {"scope": scope_message(DEV), "phases": [pb.EXECUTION_PHASE_QUEUED]},
    ):
        with pytest.raises(ApiError) as caught:
            doors.executions.ListExecutions(pb.ListExecutionsRequest(page_token=token, **fields), call())
        assert caught.value.reason is Reason.INVALID_PAGE_TOKEN
    with pytest.raises(ApiError) as caught:
        listed(doors, size=-1)
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, "page_size")


# --- the end of an execution


def test_terminating_asks_for_the_end_and_says_who_and_why(doors: Doors, plan: EntityId):
    id_ = launch(doors, plan, inputs=ONE)
    ended = terminate(doors, id_, "a wrong learning rate", "user:bob")
    assert ended.phase == pb.EXECUTION_PHASE_ABORTING
    assert (ended.principal, ended.abort_principal, ended.abort_cause) == (
        "user:ann",
        "user:bob",
        "a wrong learning rate",
    )
    assert transitions(doors, id_) == [(1, "QUEUED"), (2, "ABORTING")]
    again = terminate(doors, id_, "another reason", "user:eve")
    assert again == ended
    assert transitions(doors, id_) == [(1, "QUEUED"), (2, "ABORTING")]


def test_many_terminations_at_the_same_moment_are_one(doors: Doors, plan: EntityId):
    id_ = launch(doors, plan, inputs=ONE)
    answers = together(*(lambda who=who: terminate(doors, id_, who, f"user:{who}") for who in "abcdef"))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0].abort_principal == f"user:{answers[0].abort_cause}"
    assert transitions(doors, id_) == [(1, "QUEUED"), (2, "ABORTING")]


@pytest.mark.parametrize("phase", sorted(ENDED_EXECUTION))
def test_what_has_ended_cannot_be_terminated(doors: Doors, plan: EntityId, phase: ExecutionPhase):
    id_ = launch(doors, plan, inputs=ONE)
    move(doors, id_, phase)
    with pytest.raises(ApiError) as caught:
        terminate(doors, id_)
    assert (caught.value.reason, caught.value.metadata["state"]) == (Reason.WRONG_STATE, phase.value)
    assert transitions(doors, id_) == [(1, "QUEUED"), (2, phase.value)]


def test_an_archived_project_can_still_end_its_executions(doors: Doors, plan: EntityId):
    id_ = launch(doors, plan, inputs=ONE)
    doors.archive()
    assert terminate(doors, id_).phase == pb.EXECUTION_PHASE_ABORTING


def test_a_failed_execution_says_why_natively(doors: Doors, plan: EntityId):
    id_ = launch(doors, plan, inputs=ONE)
    move(doors, id_, ExecutionPhase.FAILED, error=("USER:ValueError", "Traceback ...", "USER"))
    found = get(doors, id_)
    assert found.error == pb.ExecutionError(code="USER:ValueError", message="Traceback ...", kind=pb.ERROR_KIND_USER)
    assert found.HasField("end_time")


# --- data and nodes


def test_outputs_are_absent_until_there_are_some(doors: Doors, plan: EntityId):
    id_ = launch(doors, plan, inputs=ONE)

    def data() -> pb.GetExecutionDataResponse:
        return doors.executions.GetExecutionData(pb.GetExecutionDataRequest(execution=execution_id(id_)), call())

    assert (data().HasField("inputs"), data().HasField("outputs"), data().HasField("output_literals")) == (
        True,
        False,
        False,
    )
    move(doors, id_, ExecutionPhase.SUCCEEDED, outputs=integers(o0=8))
    assert MessageToDict(data().outputs) == {"o0": 8.0}
    stored = type(integers())()
    data().output_literals.Unpack(stored)
    assert stored == integers(o0=8)


def test_nodes_are_listed_in_the_order_in_which_they_came_up_with_those_inside(doors: Doors):
    plan = doors.plan(doors.register(outer))
    id_ = launch(doors, plan, inputs=ONE)
    node(doors, id_, "n1", position=0, attempts=("FAILED", "SUCCEEDED"))
    node(doors, id_, "n0", position=1, workflow=True, entity="chain")
    node(doors, id_, "n0-n0", position=2, parent="n0")
    error = ("USER:ValueError", "no", "USER")
    node(doors, id_, "n2", NodePhase.FAILED, position=3, attempts=("FAILED",), error=error)

    def fetch(token: str):
        wanted = pb.ListNodeExecutionsRequest(execution=execution_id(id_), page_size=3, page_token=token)
        answer = doors.executions.ListNodeExecutions(wanted, call())
        return list(answer.node_executions), answer.next_page_token

    nodes = [each for page in pages(fetch) for each in page]
    assert [(each.id, each.parent_id, each.spec_node_id, each.entity) for each in nodes] == [
        ("n1", "", "n1", "double"),
        ("n0", "", "n0", "chain"),
        ("n0-n0", "n0", "n0", "double"),
        ("n2", "", "n2", "double"),
    ]
    assert [each.attempts for each in nodes] == [2, 0, 0, 1]
    assert nodes[3].error.message == "no"
    assert [each.HasField("error") for each in nodes] == [False, False, False, True]
    wanted = pb.GetNodeExecutionDataRequest(execution=execution_id(id_), node_id="n1")
    data = doors.executions.GetNodeExecutionData(wanted, call())
    assert (MessageToDict(data.inputs), MessageToDict(data.outputs)) == ({"x": 0.0}, {"o0": 0.0})
    wanted.node_id = "n2"
    assert not doors.executions.GetNodeExecutionData(wanted, call()).HasField("outputs")


def test_what_is_not_there_is_not_found(doors: Doors, plan: EntityId):
    id_ = launch(doors, plan, inputs=ONE)
    there = ExecutionId(PROD, id_.name)
    for missing in (MISSING, there):
        for act in (
            lambda missing=missing: get(doors, missing),
            lambda missing=missing: terminate(doors, missing),
            lambda missing=missing: doors.executions.GetExecutionData(
                pb.GetExecutionDataRequest(execution=execution_id(missing)), call()
            ),
            lambda missing=missing: doors.executions.ListNodeExecutions(
                pb.ListNodeExecutionsRequest(execution=execution_id(missing)), call()
            ),
            lambda missing=missing: doors.executions.GetNodeExecutionData(
                pb.GetNodeExecutionDataRequest(execution=execution_id(missing), node_id="n0"), call()
            ),
            lambda missing=missing: next(
                doors.executions.WatchExecution(pb.WatchExecutionRequest(execution=execution_id(missing)), call())
            ),
        ):
            with pytest.raises(ApiError) as caught:
                act()
            assert caught.value.reason is Reason.NOT_FOUND
    with pytest.raises(ApiError) as caught:
        doors.executions.GetNodeExecutionData(
            pb.GetNodeExecutionDataRequest(execution=execution_id(id_), node_id="n9"), call()
        )
    assert caught.value.reason is Reason.NOT_FOUND


def test_a_launch_of_a_plan_is_what_its_request_says(doors: Doors, plan: EntityId):
    """The helper that every test here uses launches a version, not the active one."""
    assert request(plan).version == "v1"
