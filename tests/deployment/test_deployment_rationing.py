"""A tenant that storms a real server from many connections: it is refused, and every call of another is answered."""

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from deployment_processes import DEADLINE, Deployment, Wire, until
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2

from airspace.execution.v1 import execution_service_pb2 as pb
from airspace.project.v1 import project_service_pb2 as project_v1

LIST = "/airspace.project.v1.ProjectService/ListProjects"
GET = "/airspace.execution.v1.ExecutionService/GetExecution"
HEALTH = "/grpc.health.v1.Health/Check"
CONNECTIONS = 20
HELD = 3
CALM = 60
BURST = 10


@pytest.fixture(params=["all in one", "apart"])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """A server whose calls, as far as rates go, are as many as anybody likes."""
    deployment = Deployment(tmp_path, calls_per_second="100000", project_calls_per_second="100000")
    try:
        deployment.start(*(["admin", "execution"] if request.param == "apart" else ["all"]))
        yield deployment
    finally:
        deployment.discard()


def test_a_storm_from_many_connections_is_refused_and_another_tenant_answered(deployment: Deployment):
    storm, calm = deployment.token("developer"), deployment.token("releaser")
    release = threading.Event()

    def nothing() -> Iterator[bytes]:
        release.wait(DEADLINE)
        yield from ()

    about = [("authorization", f"Bearer {storm}")]
    # Without a pool of its own each channel would share one connection with the others.
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(deployment.admin, options) for _ in range(CONNECTIONS)]
    try:
        # Both methods: where the processes are apart one of them is forwarded.
        held = [
            channel.stream_unary(method).future(nothing(), metadata=about)
            for channel in channels
            for method in (LIST, GET)
            for _ in range(HELD)
        ]
        until(lambda: any(each.done() for each in held))
        assert {_reason(each) for each in held if each.done()} == {("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS", True)}
        with Wire(deployment.admin, calm) as wire:
            for _ in range(CALM):
                wire.call(LIST, project_v1.ListProjectsRequest(), project_v1.ListProjectsResponse)
                request = pb.GetExecutionRequest()
                request.execution.scope.project, request.execution.scope.domain = "none", "production"
                request.execution.name = "e1"
                assert wire.raw(GET, request).code is grpc.StatusCode.NOT_FOUND
                wire.call(HEALTH, health_pb2.HealthCheckRequest(), health_pb2.HealthCheckResponse)
        refused = Counter(_reason(each) for each in held if each.done())
        assert refused[("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS", True)] >= len(held) - 2 * 48 // 3
    finally:
        release.set()
        for channel in channels:
            channel.close()


def _reason(call: grpc.Future) -> tuple[str, str, bool]:
    """Say how a call ended: its code, its reason, and whether it was told when to try again."""
    details = dict(call.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    info, retry = ErrorInfo(), RetryInfo()
    packed = Status.FromString(details).details
    told = any(each.Is(RetryInfo.DESCRIPTOR) and each.Unpack(retry) for each in packed)
    _ = [each.Unpack(info) for each in packed if each.Is(ErrorInfo.DESCRIPTOR)]
    return call.code().name, info.reason, told and retry.retry_delay.seconds > 0


def test_a_forwarded_call_counts_to_its_callers_rate_once_and_behind(tmp_path: Path):
    deployment = Deployment(tmp_path, calls_per_second="1", project_calls_per_second="100000")
    try:
        deployment.start("admin", "execution")
        with Wire(deployment.admin, deployment.token("releaser")) as wire:
            request = pb.GetExecutionRequest()
            request.execution.scope.project, request.execution.scope.domain = "none", "production"
            request.execution.name = "e1"
            codes = [wire.raw(GET, request).code for _ in range(BURST)]
            assert codes == [grpc.StatusCode.NOT_FOUND] * BURST
            until(lambda: wire.raw(GET, request).code is grpc.StatusCode.RESOURCE_EXHAUSTED)
            for _ in range(BURST):  # nothing of it was counted in front
                wire.call(LIST, project_v1.ListProjectsRequest(), project_v1.ListProjectsResponse)
    finally:
        deployment.discard()
