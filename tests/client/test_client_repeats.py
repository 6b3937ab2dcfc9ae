import itertools
import threading
import time

import pytest
from client_samples import CASES, PROJECT, PROJECT_PB, P
from client_servers import RPCS, ScriptedServer, fail
from google.protobuf.descriptor_pb2 import MethodOptions

from airspace.project.v1 import project_service_pb2 as project_pb
from airspace_client import AirspaceClient, DeadlineExceeded, Unavailable
from airspace_client._service import delays

REPEATABLE = {
    name for name, rpc in RPCS.items() if rpc.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN
}
KEYED = {name for name, rpc in RPCS.items() if "request_id" in rpc.input_type.fields_by_name}


@pytest.mark.parametrize("rpc", CASES)
def test_a_call_is_repeated_only_when_that_is_safe(rpc: str, server: ScriptedServer, client: AirspaceClient) -> None:
    answer, call, _, given_back = CASES[rpc]
    server.script(rpc, fail("UNAVAILABLE", "UNAVAILABLE"), answer)
    if rpc in KEYED | REPEATABLE:
        assert call(client) == given_back
        assert len(server.calls) == 2
        assert server.calls[0].request == server.calls[1].request  # the same request_id, above all
    else:
        with pytest.raises(Unavailable):
            call(client)
        assert len(server.calls) == 1


def test_what_is_never_repeated_is_a_known_list() -> None:
    assert set(RPCS) - KEYED - REPEATABLE == {
        "TerminateExecution",  # a repeat after success would say that it has ended
        "CreateRole",
        "DeleteRole",
        "DeleteBinding",
        "DeleteExport",
        "CreateServiceAccount",
        "RotateServiceAccountSecret",
        "RollbackLaunchPlan",
        "RequestPromotion",
        "ApprovePromotion",
        "RejectPromotion",
        "OverridePromotion",
    }


@pytest.mark.parametrize(
    "code",
    ["INTERNAL", "UNKNOWN", "RESOURCE_EXHAUSTED", "ABORTED", "DEADLINE_EXCEEDED", "PERMISSION_DENIED", "NOT_FOUND"],
)
def test_only_unavailable_is_repeated(code: str, server: ScriptedServer, client: AirspaceClient) -> None:
    server.always("GetProject", fail(code))
    with pytest.raises(Exception, match="because"):
        client.projects.get(P)
    assert len(server.calls) == 1


def test_a_call_outlives_a_restart_of_the_server(server: ScriptedServer, client: AirspaceClient) -> None:
    server.script("GetProject", *[project_pb.GetProjectResponse(project=PROJECT_PB)] * 2)
    assert client.projects.get(P) == PROJECT
    server.stop()
    server.start()
    assert client.projects.get(P) == PROJECT


def test_repeats_end_and_the_last_error_is_raised(server: ScriptedServer) -> None:
    server.always("GetProject", fail("UNAVAILABLE", "UNAVAILABLE"))
    with AirspaceClient.connect(server.target, timeout=60) as client, pytest.raises(Unavailable):
        client.projects.get(P)
    assert len(server.calls) == 6


def test_repeats_stay_within_the_deadline(server: ScriptedServer) -> None:
    server.always("GetProject", fail("UNAVAILABLE", "UNAVAILABLE"))
    started = time.monotonic()
    with AirspaceClient.connect(server.target, timeout=0.5) as client, pytest.raises((Unavailable, DeadlineExceeded)):
        client.projects.get(P)
    assert time.monotonic() - started < 2
    assert 1 < len(server.calls) < 6
    remaining = [call.time_remaining for call in server.calls]
    assert all(left <= 0.51 for left in remaining)  # grpc rounds what it sends
    assert remaining == sorted(remaining, reverse=True)  # one deadline for all attempts


def test_a_server_that_does_not_answer_is_given_up(server: ScriptedServer) -> None:
    def silent(_request, context) -> project_pb.GetProjectResponse:
        gone = threading.Event()
        context.add_callback(gone.set)
        gone.wait(20)
        return project_pb.GetProjectResponse()

    server.always("GetProject", silent)
    with AirspaceClient.connect(server.target, timeout=0.2) as client, pytest.raises(DeadlineExceeded) as caught:
        client.projects.get(P)
    assert caught.value.message.startswith(server.target)


def test_a_server_that_is_not_there_is_unavailable(server: ScriptedServer) -> None:
    server.stop()
    with AirspaceClient.connect(server.target) as client, pytest.raises(Unavailable, match=server.target):
        client.projects.get(P)


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_waits_double_up_to_five_seconds_and_jitter_takes_at_most_half(chance: float) -> None:
    full = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    waits = list(itertools.islice(delays(lambda: chance), len(full)))
    assert waits == pytest.approx([wait * (1 + chance) / 2 for wait in full])
