"""Admin, execution and worker as separate processes: one endpoint, one truth, one decision about each call."""

import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import psycopg
import pytest
from deployment_processes import (
    DEADLINE,
    READY,
    Deployment,
    Ended,
    Process,
    Wire,
    follow,
    free_ports,
    login,
    until,
)
from flyte_samples import double, task_spec
from flyteidl.admin import common_pb2, execution_pb2, project_pb2
from flyteidl.core import identifier_pb2
from flyteidl.service import dataproxy_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from wing_doors import DEV, PROD, flyte_id, integers, moved, register_task, scope_message

from airspace.access.v1 import access_service_pb2 as access_pb
from airspace.execution.v1 import execution_service_pb2 as pb
from airspace.project.v1 import project_service_pb2 as project_v1
from airspace.registry.v1 import registry_service_pb2 as registry_pb
from airspace.type.v1 import identifiers_pb2
from airspace_server.core.scope import EntityId, Scope

ADMIN = "/flyteidl.service.AdminService"
EXECUTIONS = "/airspace.execution.v1.ExecutionService"
PROJECTS = "/airspace.project.v1.ProjectService"
ACCESS = "/airspace.access.v1.AccessService"
AGING = Path(__file__).with_name("aging_server.py")
TASK = EntityId(DEV, double.name, "v1")
NATIVE = {"airspace.project.v1.ProjectService", "airspace.registry.v1.RegistryService"}


class Team:
    """A project with one registered task, and the tokens of everybody."""

    def __init__(self, split: Deployment) -> None:
        self.tokens = {account: split.token(account) for account in ("admin", "developer", "releaser")}
        spec = moved(task_spec(double), DEV, "v1")
        spec.template.metadata.retries.retries = 0
        with Wire(split.admin, self.tokens["admin"]) as wire:
            wire.call(
                f"{PROJECTS}/CreateProject",
                project_v1.CreateProjectRequest(project="vision"),
                project_v1.CreateProjectResponse,
            )
            wire.call(
                "/airspace.registry.v1.RegistryService/RegisterTask",
                register_task(TASK, spec),
                registry_pb.RegisterTaskResponse,
            )


@pytest.fixture(scope="module")
def team(split: Deployment) -> Team:
    return Team(split)


@pytest.fixture
def admin(split: Deployment, team: Team) -> Iterator[Wire]:
    """The administrator at the endpoint that Flyte's clients know."""
    with Wire(split.admin, team.tokens["admin"]) as wire:
        yield wire


@pytest.fixture
def direct(split: Deployment, team: Team) -> Iterator[Wire]:
    """The administrator at the execution listener itself."""
    with Wire(split.execution, team.tokens["admin"]) as wire:
        yield wire


def create(name: str = "", scope: Scope = DEV) -> execution_pb2.ExecutionCreateRequest:
    request = execution_pb2.ExecutionCreateRequest(
        project=scope.project, domain=scope.domain, name=name, inputs=integers(x=1)
    )
    request.spec.launch_plan.CopyFrom(flyte_id(EntityId(scope, TASK.name, TASK.version), identifier_pb2.TASK))
    return request


def launch(wire: Wire) -> str:
    return wire.call(f"{ADMIN}/CreateExecution", create(), execution_pb2.ExecutionCreateResponse).id.name


def native_id(name: str) -> identifiers_pb2.ExecutionId:
    return identifiers_pb2.ExecutionId(scope=scope_message(DEV), name=name)


def get(name: str) -> pb.GetExecutionRequest:
    return pb.GetExecutionRequest(execution=native_id(name))


def ended_phase(wire: Wire, name: str) -> int:
    until(
        lambda: wire.call(f"{EXECUTIONS}/GetExecution", get(name), pb.GetExecutionResponse).execution.HasField(
            "end_time"
        ),
        60,
    )
    return wire.call(f"{EXECUTIONS}/GetExecution", get(name), pb.GetExecutionResponse).execution.phase


def unavailable(answer: bytes | Ended) -> bool:
    return isinstance(answer, Ended) and answer.code is grpc.StatusCode.UNAVAILABLE


# --- one endpoint


@pytest.fixture(scope="module")
def finished(split: Deployment, team: Team) -> str:
    """An execution that the worker has brought to its end: its task's module is nowhere, so it failed."""
    with Wire(split.admin, team.tokens["admin"]) as wire:
        name = launch(wire)
        assert ended_phase(wire, name) == pb.EXECUTION_PHASE_FAILED
    return name


def test_every_answer_through_the_admin_endpoint_is_byte_for_byte_the_execution_services(
    admin: Wire, direct: Wire, finished: str
):
    listing = common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(project="vision", domain="development"), limit=10
    )
    wire_id = identifier_pb2.WorkflowExecutionIdentifier(project="vision", domain="development", name=finished)
    missing = identifier_pb2.WorkflowExecutionIdentifier(project="vision", domain="development", name="nobody")
    answers = []
    for method, request in (
        (f"{EXECUTIONS}/GetExecution", get(finished)),
        (f"{EXECUTIONS}/GetExecution", get("nobody")),
        (f"{EXECUTIONS}/GetExecution", pb.GetExecutionRequest()),
        (f"{EXECUTIONS}/ListExecutions", pb.ListExecutionsRequest(scope=scope_message(DEV))),
        (f"{EXECUTIONS}/ListExecutions", pb.ListExecutionsRequest(scope=scope_message(DEV), page_token="zz")),
        (f"{EXECUTIONS}/GetExecutionData", pb.GetExecutionDataRequest(execution=native_id(finished))),
        (f"{EXECUTIONS}/TerminateExecution", pb.TerminateExecutionRequest(execution=native_id(finished))),
        (f"{ADMIN}/GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=wire_id)),
        (f"{ADMIN}/GetExecution", execution_pb2.WorkflowExecutionGetRequest(id=missing)),
        (f"{ADMIN}/GetExecutionData", execution_pb2.WorkflowExecutionGetDataRequest(id=wire_id)),
        (f"{ADMIN}/ListExecutions", listing),
        (f"{ADMIN}/TerminateExecution", execution_pb2.ExecutionTerminateRequest(id=wire_id)),
        (f"{ADMIN}/CreateExecution", create("No")),
        (f"{ADMIN}/CreateExecution", create(finished)),
        ("/flyteidl.service.DataProxyService/GetData", dataproxy_pb2.GetDataRequest(flyte_url="flyte://v1/x")),
        (f"{EXECUTIONS}/GetExecution", project_pb2.Project(id="\x7f", name="no message of this method")),
    ):
        forwarded = admin.raw(method, request)
        assert forwarded == direct.raw(method, request), method
        answers.append(forwarded)
    ends = [answer for answer in answers if isinstance(answer, Ended)]
    assert len(ends) >= 7
    assert all(end.info.metadata["request_id"] == "same" for end in ends)
    assert grpc.StatusCode.UNAVAILABLE not in {end.code for end in ends}


def test_a_watch_through_the_admin_endpoint_is_the_execution_services_from_begin_to_end(
    admin: Wire, direct: Wire, finished: str
):
    method, request = f"{EXECUTIONS}/WatchExecution", pb.WatchExecutionRequest(execution=native_id(finished))
    forwarded = list(follow(admin.stream(method, request)))
    assert forwarded == list(follow(direct.stream(method, request)))
    sequences = [pb.WatchExecutionResponse.FromString(each).sequence for each in forwarded]
    assert sequences == list(range(1, len(sequences) + 1))
    last = pb.WatchExecutionResponse.FromString(forwarded[-1])
    assert last.execution.phase == pb.EXECUTION_PHASE_FAILED
    assert last.execution.error.code
    nobody = pb.WatchExecutionRequest(execution=native_id("nobody"))
    (refused,) = follow(admin.stream(method, nobody))
    assert [refused] == list(follow(direct.stream(method, nobody)))
    assert refused.code is grpc.StatusCode.NOT_FOUND


def test_the_execution_service_decides_about_the_real_caller(split: Deployment, team: Team, finished: str):
    production = pb.ListExecutionsRequest(scope=scope_message(PROD))
    for token, code in (
        (team.tokens["developer"], grpc.StatusCode.PERMISSION_DENIED),
        ("", grpc.StatusCode.UNAUTHENTICATED),
        ("no.valid.token", grpc.StatusCode.UNAUTHENTICATED),
        (team.tokens["developer"] + "x", grpc.StatusCode.UNAUTHENTICATED),
    ):
        with Wire(split.admin, token) as forwarded, Wire(split.execution, token) as direct:
            answer = forwarded.raw(f"{EXECUTIONS}/ListExecutions", production)
            assert answer == direct.raw(f"{EXECUTIONS}/ListExecutions", production)
            assert answer.code is code
            assert answer.info.reason
            refused = forwarded.raw(f"{ADMIN}/CreateExecution", create(scope=PROD))
            assert refused == direct.raw(f"{ADMIN}/CreateExecution", create(scope=PROD))
            assert refused.code is code
    with Wire(split.admin, team.tokens["developer"]) as forwarded:
        found = forwarded.call(f"{EXECUTIONS}/GetExecution", get(finished), pb.GetExecutionResponse)
        assert found.execution.principal == "service-account:admin"


def test_each_listener_says_of_each_of_its_services_that_it_serves_and_describes_it(split: Deployment, team: Team):
    served = {}
    for target in (split.admin, split.execution):
        with grpc.insecure_channel(target) as channel:
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            asked = reflection_pb2.ServerReflectionRequest(list_services="")
            (answer,) = stub.ServerReflectionInfo(iter([asked]), timeout=DEADLINE)
            served[target] = {each.name for each in answer.list_services_response.service}
            for service in served[target]:
                wanted = reflection_pb2.ServerReflectionRequest(file_containing_symbol=service)
                (described,) = stub.ServerReflectionInfo(iter([wanted]), timeout=DEADLINE)
                assert described.file_descriptor_response.file_descriptor_proto, service
            health = health_pb2_grpc.HealthStub(channel)
            named = {each for each in served[target] if not each.startswith("grpc.")}
            for service in ("", *named):
                checked = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=DEADLINE)
                assert checked.status == health_pb2.HealthCheckResponse.SERVING
            with pytest.raises(grpc.RpcError) as caught:
                health.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=DEADLINE)
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert {"airspace.execution.v1.ExecutionService", "flyteidl.service.AdminService"} <= served[split.execution]
    assert not served[split.execution] & NATIVE
    assert served[split.execution] | NATIVE <= served[split.admin]


def test_no_answer_of_the_http_port_is_held_back_on_a_connection_that_is_kept(split: Deployment):
    def seconds(client: httpx.Client) -> float:
        started = time.monotonic()
        assert client.get(f"{split.http}/healthz").text == "ok"
        return time.monotonic() - started

    with httpx.Client(trust_env=False) as client:
        assert min(seconds(client) for _ in range(20)) < 0.03  # Nagle's algorithm holds each one back for 40 ms


# --- one truth


def test_a_revocation_in_the_admin_process_reaches_the_execution_process_within_a_second(
    split: Deployment, team: Team, admin: Wire, direct: Wire
):
    pattern = identifiers_pb2.ScopePattern(project="vision", domain="production")
    binding = {"member": "service-account:developer", "role": "viewer", "pattern": pattern}
    admin.call(f"{ACCESS}/CreateBinding", access_pb.CreateBindingRequest(**binding), access_pb.CreateBindingResponse)
    production = pb.ListExecutionsRequest(scope=scope_message(PROD))
    with Wire(split.execution, team.tokens["developer"]) as developer:

        def allowed() -> bool:
            return isinstance(developer.raw(f"{EXECUTIONS}/ListExecutions", production), bytes)

        until(allowed)
        admin.call(
            f"{ACCESS}/DeleteBinding", access_pb.DeleteBindingRequest(**binding), access_pb.DeleteBindingResponse
        )
        revoked = time.monotonic()
        until(lambda: not allowed())
        assert time.monotonic() - revoked < 2  # a second, and what a busy machine needs for the call that sees it


def test_a_process_that_cannot_read_the_policy_any_more_lets_nobody_in_until_it_can(split: Deployment, team: Team):
    port = free_ports(1)[0]
    settings = {**split.settings, "execution_port": str(port)}
    command = (str(AGING), "serve", "execution")
    process = Process(command, settings, split.data.parent / "aging.log", program=Path(sys.executable))
    process.start(READY["execution"])
    listed = pb.ListExecutionsRequest(scope=scope_message(DEV))

    def answer(developer: Wire) -> str:
        said = developer.raw(f"{EXECUTIONS}/ListExecutions", listed)
        return said.info.reason if isinstance(said, Ended) else "allowed"

    try:
        with Wire(f"127.0.0.1:{port}", team.tokens["developer"]) as developer:
            assert answer(developer) == "allowed"
            with policy_out_of_reach(split):
                until(lambda: answer(developer) == "UNAVAILABLE")
                assert answer(developer) == "UNAVAILABLE"
            until(lambda: answer(developer) == "allowed")
        assert process.stop() == 0
    finally:
        process.discard()


@contextmanager
def policy_out_of_reach(split: Deployment) -> Iterator[None]:
    """Keep every process from telling whether the policy that it knows is still the current one."""
    url, there, gone = split.settings.get("database_url"), "policy_revision", "policy_revision_away"
    connection: Any = (
        psycopg.connect(url, autocommit=True) if url else sqlite3.connect(split.data / "airspace.db", timeout=20)
    )
    try:
        connection.execute(f"ALTER TABLE {there} RENAME TO {gone}")
        yield
    finally:
        connection.execute(f"ALTER TABLE {gone} RENAME TO {there}")
        connection.close()


def test_a_secret_and_an_account_end_in_the_execution_process_within_a_second(
    split: Deployment, team: Team, admin: Wire
):
    viewer = {"member": "service-account:robot", "role": "viewer"}
    viewer["pattern"] = identifiers_pb2.ScopePattern(project="vision", domain="*")
    created = access_pb.CreateServiceAccountRequest(name="robot")
    secret = admin.call(f"{ACCESS}/CreateServiceAccount", created, access_pb.CreateServiceAccountResponse).secret
    admin.call(f"{ACCESS}/CreateBinding", access_pb.CreateBindingRequest(**viewer), access_pb.CreateBindingResponse)
    listed = pb.ListExecutionsRequest(scope=scope_message(DEV))

    def answer(robot: Wire) -> str:
        said = robot.raw(f"{EXECUTIONS}/ListExecutions", listed)
        return said.info.reason if isinstance(said, Ended) else ""

    with Wire(split.execution, login(split.http, "robot", secret)) as robot:
        until(lambda: not answer(robot))
        rotate = access_pb.RotateServiceAccountSecretRequest(name="robot")
        kind = access_pb.RotateServiceAccountSecretResponse
        secret = admin.call(f"{ACCESS}/RotateServiceAccountSecret", rotate, kind).secret
        ended = time.monotonic()
        until(lambda: answer(robot) == "TOKEN_INVALID")
        assert time.monotonic() - ended < 2  # a second, and what a busy machine needs for the call that sees it
    with Wire(split.execution, login(split.http, "robot", secret)) as robot:
        until(lambda: not answer(robot))
        disable = access_pb.DisableServiceAccountRequest(name="robot")
        admin.call(f"{ACCESS}/DisableServiceAccount", disable, access_pb.DisableServiceAccountResponse)
        ended = time.monotonic()
        until(lambda: answer(robot) == "ACCOUNT_DISABLED")
        assert time.monotonic() - ended < 2


def test_a_binding_ends_by_itself_in_the_execution_process_at_its_time(split: Deployment, team: Team, admin: Wire):
    pattern = identifiers_pb2.ScopePattern(project="vision", domain="production")
    request = access_pb.CreateBindingRequest(member="service-account:developer", role="viewer", pattern=pattern)
    expires = time.time() + 3
    request.expire_time.FromMicroseconds(int(expires * 1_000_000))
    production = pb.ListExecutionsRequest(scope=scope_message(PROD))
    with Wire(split.execution, team.tokens["developer"]) as developer:

        def allowed() -> bool:
            return isinstance(developer.raw(f"{EXECUTIONS}/ListExecutions", production), bytes)

        assert not allowed()
        admin.call(f"{ACCESS}/CreateBinding", request, access_pb.CreateBindingResponse)
        until(allowed)
        until(lambda: not allowed())
        assert 0 <= time.time() - expires < 1


def test_a_project_archived_in_the_admin_process_launches_nothing_in_the_execution_process(admin: Wire, direct: Wire):
    admin.call(
        f"{PROJECTS}/ArchiveProject",
        project_v1.ArchiveProjectRequest(project="vision"),
        project_v1.ArchiveProjectResponse,
    )
    refused = direct.raw(f"{ADMIN}/CreateExecution", create())
    assert refused.info.reason == "PROJECT_ARCHIVED"
    assert refused == admin.raw(f"{ADMIN}/CreateExecution", create())
    admin.call(
        f"{PROJECTS}/RestoreProject",
        project_v1.RestoreProjectRequest(project="vision"),
        project_v1.RestoreProjectResponse,
    )
    assert isinstance(direct.raw(f"{ADMIN}/CreateExecution", create()), bytes)


# --- ends and new beginnings (these come last: they stop processes)


@contextmanager
def locked(split: Deployment) -> Iterator[None]:
    """Hold what every launch and every change of the project vision needs."""
    url = split.settings.get("database_url")
    if url:
        with psycopg.connect(url) as connection:
            connection.execute("SELECT 1 FROM projects WHERE id = 'vision' FOR UPDATE")
            yield
        return
    connection = sqlite3.connect(split.data / "airspace.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


def in_a_thread(act: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(act()))
    thread.start()
    return thread, answers


@pytest.fixture(scope="module")
def queued(split: Deployment, team: Team, finished: str) -> str:
    """An execution that nothing moves: the worker has ended, cleanly, after all that needed one."""
    assert split.stop("worker") == 0
    with Wire(split.admin, team.tokens["admin"]) as wire:
        return launch(wire)


def stop_while_busy(split: Deployment, team: Team, process: str, queued: str) -> None:
    """Stop a process in the middle of a launch, which waits for the database, and of a watch."""
    target = split.admin if process == "admin" else split.execution
    token, launched = team.tokens["admin"], f"under-way-{process}"
    with Wire(target, token) as wire, Wire(target, token) as later, Wire(split.admin, token) as watcher:
        request = pb.WatchExecutionRequest(execution=native_id(queued))
        watched = follow(watcher.stream(f"{EXECUTIONS}/WatchExecution", request))
        assert pb.WatchExecutionResponse.FromString(next(watched)).sequence == 1
        later.call(f"{EXECUTIONS}/GetExecution", get(queued), pb.GetExecutionResponse)
        with locked(split):
            under_way, answers = in_a_thread(lambda: wire.raw(f"{ADMIN}/CreateExecution", create(launched)))
            under_way.join(0.5)
            assert answers == []
            split.processes[process].signal()
            started = time.monotonic()
            (end,) = watched
            assert (end.code, end.info.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
            assert "watch again" in end.message
            until(lambda: unavailable(later.raw(f"{EXECUTIONS}/GetExecution", get(queued))))
            assert time.monotonic() - started < 8  # not only when what is under way is cut off
            assert answers == []
        under_way.join(DEADLINE)
    assert split.processes.pop(process).ended() == 0
    assert isinstance(answers[0], bytes), answers


def test_a_stopped_execution_process_finishes_its_calls_is_told_of_and_can_come_back(
    split: Deployment, team: Team, admin: Wire, queued: str
):
    stop_while_busy(split, team, "execution", queued)

    down = admin.raw(f"{EXECUTIONS}/GetExecution", get(queued))
    assert (down.code, down.info.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
    assert "execution service" in down.message
    assert down.info.metadata["request_id"]
    assert unavailable(admin.raw(f"{ADMIN}/CreateExecution", create()))
    request = pb.WatchExecutionRequest(execution=native_id(queued))
    (end,) = follow(admin.stream(f"{EXECUTIONS}/WatchExecution", request))
    assert end.info.reason == "UNAVAILABLE"
    admin.call(f"{PROJECTS}/GetProject", project_v1.GetProjectRequest(project="vision"), project_v1.GetProjectResponse)

    split.start("execution")
    until(lambda: not unavailable(admin.raw(f"{EXECUTIONS}/GetExecution", get(queued))), 5)
    admin.call(f"{EXECUTIONS}/GetExecution", get("under-way-execution"), pb.GetExecutionResponse)


def test_a_stopped_admin_process_finishes_its_calls_and_comes_back_with_the_same_tokens_and_secrets(
    split: Deployment, team: Team, direct: Wire, queued: str
):
    files = {path: path.read_bytes() for path in (split.data / "clients").iterdir()}
    stop_while_busy(split, team, "admin", queued)
    direct.call(f"{EXECUTIONS}/GetExecution", get("under-way-admin"), pb.GetExecutionResponse)

    split.start("admin")
    assert {path: path.read_bytes() for path in (split.data / "clients").iterdir()} == files
    for token in (team.tokens["developer"], split.token("developer")):
        for target in (split.admin, split.execution):
            with Wire(target, token) as wire:
                wire.call(f"{EXECUTIONS}/GetExecution", get(queued), pb.GetExecutionResponse)
