import uuid
from datetime import UTC, datetime

import pytest
from client_samples import BODY, CASES, EXECUTION_PB, D, P, struct
from client_servers import RPCS, ScriptedServer
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from airspace.execution.v1 import execution_service_pb2 as execution_pb
from airspace.project.v1 import project_service_pb2 as project_pb
from airspace_client import (
    AirspaceClient,
    ErrorKind,
    ExecutionPhase,
    InvalidArgument,
    NodePhase,
    ProjectState,
    _model,
    _wire,
)


def test_every_rpc_of_the_contract_has_a_method() -> None:
    assert set(CASES) | {name for name, rpc in RPCS.items() if rpc.server_streaming} == set(RPCS)


@pytest.mark.parametrize("rpc", CASES)
def test_a_method_sends_what_it_was_given_and_gives_what_the_server_holds(
    rpc: str, server: ScriptedServer, client: AirspaceClient
) -> None:
    answer, call, sent, given_back = CASES[rpc]
    server.script(rpc, answer)
    assert call(client) == given_back
    (made,) = server.calls
    if "request_id" in sent.DESCRIPTOR.fields_by_name:
        assert uuid.UUID(made.request.request_id).version == 4
        made.request.request_id = ""
    assert made.rpc == rpc
    assert made.request == sent


def test_lists_go_on_to_the_last_page_as_they_are_read(server: ScriptedServer, client: AirspaceClient) -> None:
    server.script(
        "ListProjects",
        project_pb.ListProjectsResponse(projects=[{"id": "a"}, {"id": "b"}], next_page_token="t1"),
        project_pb.ListProjectsResponse(next_page_token="t2"),
        project_pb.ListProjectsResponse(projects=[{"id": "c"}]),
    )
    projects = client.projects.list()
    assert next(projects).id == "a"
    assert len(server.calls) == 1
    assert [project.id for project in projects] == ["b", "c"]
    assert [call.request.page_token for call in server.calls] == ["", "t1", "t2"]


def test_literals_and_specs_may_be_any_message(server: ScriptedServer, client: AirspaceClient) -> None:
    stamp = Timestamp(seconds=5)  # stands for a flyteidl message, which this package does not know
    client.executions.launch(P, D, "lp", literals=stamp)
    client.tasks.register(P, D, "t", "v", stamp)
    launch, register = server.calls
    for box in (launch.request.literals, register.request.spec):
        unpacked = Timestamp()
        assert box.Unpack(unpacked)
        assert unpacked == stamp
    assert launch.request.WhichOneof("inputs_as") == "literals"
    assert _wire.packed(BODY) is BODY
    with pytest.raises(TypeError):
        client.executions.launch(P, D, "lp", inputs={}, literals=AnyMessage())


def test_a_handle_is_where_the_server_put_the_execution(server: ScriptedServer, client: AirspaceClient) -> None:
    server.script("LaunchExecution", execution_pb.LaunchExecutionResponse(execution=EXECUTION_PB))
    server.script(
        "GetExecutionData",
        *[execution_pb.GetExecutionDataResponse(inputs=struct({"a": 1}), outputs=struct({"o0": "x"}))] * 2,
    )
    handle = client.executions.launch(P, D, "w.nightly")
    assert (handle.project, handle.domain, handle.name) == (P, D, "run-1")
    assert repr(handle) == "<ExecutionHandle recommendation-engine/development/run-1>"
    assert handle.inputs() == {"a": 1}
    assert handle.outputs() == {"o0": "x"}


def test_outputs_are_none_until_there_are_any(server: ScriptedServer, client: AirspaceClient) -> None:
    server.script("GetExecutionData", execution_pb.GetExecutionDataResponse(inputs=struct({})))
    assert client.executions.handle(P, D, "run-1").outputs() is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.text()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_json_values_come_back_as_they_were_sent(values: dict[str, object]) -> None:
    response = execution_pb.GetExecutionDataResponse(inputs=_wire.struct(values))
    assert _wire.data(execution_pb.GetExecutionDataResponse.FromString(response.SerializeToString())).inputs == values


@pytest.mark.parametrize("value", [datetime.now(UTC), float("nan"), float("inf"), 2**53 + 1, [{"a": object()}], b"x"])
def test_an_input_that_json_cannot_hold_is_refused_before_anything_is_sent(
    value: object, server: ScriptedServer, client: AirspaceClient
) -> None:
    with pytest.raises(InvalidArgument, match="input 'rate'") as caught:
        client.executions.launch(P, D, "lp", inputs={"rate": value})
    assert caught.value.field == "inputs"
    assert not server.calls


def test_a_word_that_is_no_permission_is_refused_with_the_words_that_are(client: AirspaceClient) -> None:
    with pytest.raises(InvalidArgument, match=r"'execution\.fly' is not a permission.*execution\.launch"):
        client.access.create_role("r", ["execution.fly"])


def test_a_phase_that_nothing_can_be_in_is_refused(client: AirspaceClient) -> None:
    with pytest.raises(InvalidArgument):
        list(client.executions.list(P, D, phases=[ExecutionPhase.UNKNOWN]))


@pytest.mark.parametrize(
    ("mine", "wire", "prefix"),
    [
        (ExecutionPhase, execution_pb.ExecutionPhase, "EXECUTION_PHASE_"),
        (NodePhase, execution_pb.NodePhase, "NODE_PHASE_"),
        (ErrorKind, execution_pb.ErrorKind, "ERROR_KIND_"),
        (ProjectState, project_pb.ProjectState, "PROJECT_STATE_"),
        (_model.LaunchPlanState, _wire.launch_plan_pb.LaunchPlanState, "LAUNCH_PLAN_STATE_"),
    ],
)
def test_every_state_and_phase_of_the_contract_has_its_name(mine, wire, prefix: str) -> None:
    assert {prefix + member for member in mine} - {prefix + "UNKNOWN"} == set(wire.keys()) - {prefix + "UNSPECIFIED"}


def test_what_a_newer_server_knows_does_not_break_this_client(server: ScriptedServer, client: AirspaceClient) -> None:
    newer = execution_pb.Execution()
    newer.MergeFromString(bytes([3 << 3, 99]))  # phase = 99
    server.script("GetExecution", execution_pb.GetExecutionResponse(execution=newer))
    execution = client.executions.get(P, D, "run-1")
    assert execution.phase is ExecutionPhase.UNKNOWN
    assert not execution.ended


def test_the_raw_stubs_are_there(server: ScriptedServer) -> None:
    with AirspaceClient.connect(server.target, credentials="t") as client:
        response = client.project_service.GetProject(
            project_pb.GetProjectRequest(project=P), metadata=client.metadata(), timeout=10
        )
    assert response == project_pb.GetProjectResponse()
    assert server.calls[0].metadata["authorization"] == "Bearer t"
    assert server.calls[0].metadata["user-agent"].startswith("airspace-client/")


def test_what_is_secret_does_not_show_in_a_repr() -> None:
    from airspace_client import ServiceAccountSecret, Token

    assert "hunter2" not in repr(ServiceAccountSecret("ci", "hunter2")) + repr(Token("hunter2"))
