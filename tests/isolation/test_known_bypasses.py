"""The nine ways around the one serious attempt at isolation in Flyte (flyteorg/flyte pull request 6190), each refused.

That attempt matched rules to the names of methods and filtered in the database. Its defects were found by reading it.
"""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
from flyteidl.admin import execution_pb2, project_pb2, task_execution_pb2
from flyteidl.service import dataproxy_pb2
from rpc_expected import ADMIN, AUDIT, DATA, EXECUTIONS, NEEDS, PROJECT, SIGNALS
from rpc_requests import THING, VERSION, populate, request_for
from rpc_servers import METHODS, OURS, Airspace, Answer, Caller, airspace
from sqlalchemy import delete
from starlette.applications import Starlette

from airspace.audit.v1 import audit_service_pb2 as audit_pb
from airspace_server.core.scope import Scope
from airspace_server.storage.tables import NodeExecutionRow, PolicyRevisionRow, table

PRODUCTION, THEIRS = Scope("ours", "production"), Scope("theirs", "development")


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Airspace]:
    """Two teams with one of everything, and who they are."""
    with airspace(database_url, tmp_path) as built:
        for scope in (OURS, PRODUCTION, THEIRS):
            populate(built, scope)
        built.account("developer", ("admin", "ours/development"))
        built.account("team", ("admin", "ours/*"))
        built.account("theirs", ("admin", "theirs/*"))
        built.account("release", ("contributor", "*/production"))
        built.account("viewer", ("viewer", "ours/*"))
        built.account("nobody")
        yield built


@pytest.fixture
def caller(server: Airspace) -> Iterator[Callable[[str], Caller]]:
    with server.served() as callers:
        yield callers


def refused(answer: Answer) -> bool:
    return answer.code is grpc.StatusCode.PERMISSION_DENIED and answer.reason == "PERMISSION_MISSING"


def put(server: Airspace, target: str) -> int:
    """Upload something to the HTTP port, and return the status."""

    async def send() -> httpx.Response:
        app = httpx.ASGITransport(Starlette(routes=server.parts.routes()))
        async with httpx.AsyncClient(transport=app, base_url=server.parts.url) as client:
            return await client.put(target, content=b"x")

    return asyncio.run(send()).status_code


def launch(scope: Scope, launched: Scope) -> execution_pb2.ExecutionCreateRequest:
    request = execution_pb2.ExecutionCreateRequest(project=scope.project, domain=scope.domain, name="attempt")
    plan = request.spec.launch_plan
    plan.resource_type, plan.name, plan.version = 3, THING, VERSION
    plan.project, plan.domain = launched.project, launched.domain
    return request


def test_1_no_side_effect_comes_before_the_check(server: Airspace, caller: Callable[[str], Caller], tmp_path: Path):
    """It stored inputs and started the workflow, and only then looked at the scope of what it had started."""

    def files() -> set[Path]:
        return {path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()}

    rows, stored = server.rows(), files()
    for launched in (OURS, PRODUCTION):
        assert refused(caller("developer")(f"{ADMIN}/CreateExecution", launch(PRODUCTION, launched)))
    foreign = caller("developer")(f"{ADMIN}/CreateExecution", launch(OURS, PRODUCTION))
    assert foreign.reason == "FOREIGN_REFERENCE"
    assert (server.rows(), files()) == (rows, stored)


def test_2_who_holds_one_domain_cannot_change_the_project(server: Airspace, caller: Callable[[str], Caller]):
    """A project has no domain, and a role in one domain of it was let in where the domain was left out."""
    for path in (f"{PROJECT}/UpdateProject", f"{PROJECT}/ArchiveProject", f"{ADMIN}/UpdateProject"):
        assert refused(caller("developer")(path, request_for(path, OURS, server)))
    archive = project_pb2.Project(id="ours", state=project_pb2.Project.ARCHIVED)
    assert refused(caller("developer")(f"{ADMIN}/UpdateProject", archive))
    assert not caller("team")(f"{ADMIN}/UpdateProject", archive).status


def test_3_a_rule_of_a_domain_holds_in_that_domain_of_every_project(server: Airspace, caller: Callable[[str], Caller]):
    """A rule of a domain alone was refused as invalid, and one of every project never looked at the domain."""
    list_ = f"{EXECUTIONS}/ListExecutions"
    for scope in (PRODUCTION, Scope("theirs", "production")):
        assert not caller("release")(list_, request_for(list_, scope, server)).status
    for scope in (OURS, THEIRS, Scope("ours", "staging")):
        assert refused(caller("release")(list_, request_for(list_, scope, server)))
    assert refused(
        caller("release")(f"{PROJECT}/ArchiveProject", request_for(f"{PROJECT}/ArchiveProject", OURS, server))
    )


def test_4_a_name_that_begins_like_a_read_is_no_read(server: Airspace, caller: Callable[[str], Caller]):
    """Rules matched the names of methods: "Get.*" let GetOrCreateSignal in, which writes."""
    write = f"{SIGNALS}/GetOrCreateSignal"
    assert refused(caller("viewer")(write, request_for(write, OURS, server)))
    permissions = {permission.value for permission, _ in NEEDS[write]}
    assert permissions == {"execution.signal"}


def test_5_what_is_missing_never_means_allowed(server: Airspace, caller: Callable[[str], Caller]):
    """An empty list of scopes meant that nothing was checked."""
    for path in NEEDS:
        assert refused(caller("nobody")(path, request_for(path, OURS, server))), path
    lists = (f"{PROJECT}/ListProjects", f"{ADMIN}/ListProjects")
    assert all(not b"".join(caller("nobody")(path).messages) for path in lists)
    with server.parts.database.write() as tx:
        tx.execute(delete(table(PolicyRevisionRow)))
    server.parts.policy.refresh()
    for path in NEEDS:
        answer = caller("admin")(path, request_for(path, OURS, server))
        assert (answer.code, answer.messages) == (grpc.StatusCode.UNAVAILABLE, ()), path


def test_6_files_are_guarded_as_calls_are(server: Airspace, caller: Callable[[str], Caller]):
    """Whoever might call the data proxy at all might write below every project's prefix."""
    path = f"{DATA}/CreateUploadLocation"
    for scope in (PRODUCTION, THEIRS):
        assert refused(caller("developer")(path, request_for(path, scope, server)))
    answer = caller("developer")(path, request_for(path, OURS, server))
    signed = urlsplit(dataproxy_pb2.CreateUploadLocationResponse.FromString(answer.messages[0]).signed_url)
    for own, other in (("/development/", "/production/"), ("/ours/", "/theirs/")):
        assert own in signed.path
        assert put(server, f"{signed.path.replace(own, other)}?{signed.query}") == 403
    assert put(server, f"{signed.path}?{signed.query}") != 403


def test_7_a_task_execution_belongs_to_the_execution_and_not_to_the_tasks_project(
    server: Airspace, caller: Callable[[str], Caller]
):
    """They were filtered by the project of the task: to run another team's task hid one's own execution of it."""
    nodes = table(NodeExecutionRow)
    with server.parts.database.write(across=True) as tx:
        tx.execute(nodes.update().where(nodes.c.project == OURS.project).values(entity_project=THEIRS.project))
    path = f"{ADMIN}/ListTaskExecutions"
    mine = caller("team")(path, request_for(path, OURS, server))
    listed = task_execution_pb2.TaskExecutionList.FromString(mine.messages[0]).task_executions
    assert [each.id.task_id.project for each in listed] == [THEIRS.project]
    assert [each.id.node_execution_id.execution_id.project for each in listed] == [OURS.project]
    assert refused(caller("theirs")(path, request_for(path, OURS, server)))


def test_8_the_name_for_people_is_no_key(server: Airspace, caller: Callable[[str], Caller]):
    """Projects were checked by their display name, which anybody might give to a project of any id."""
    for name in ("team", "developer"):
        wanted = project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id="new", name="ours"))
        assert refused(caller(name)(f"{ADMIN}/RegisterProject", wanted))
    renamed = project_pb2.Project(id="theirs", name="ours", state=project_pb2.Project.ACTIVE)
    assert not caller("theirs")(f"{ADMIN}/UpdateProject", renamed).status
    get = f"{PROJECT}/GetProject"
    assert refused(caller("team")(get, request_for(get, THEIRS, server)))
    assert not caller("theirs")(get, request_for(get, THEIRS, server)).status
    assert refused(caller("theirs")(get, request_for(get, OURS, server)))


def test_9_a_refusal_says_what_is_missing_is_recorded_and_is_the_same_for_streams(
    server: Airspace, caller: Callable[[str], Caller]
):
    """It said nothing, nothing was kept of it, and streams were not looked at."""
    for path in (f"{EXECUTIONS}/GetExecution", f"{EXECUTIONS}/WatchExecution"):
        answer = caller("theirs")(path, request_for(path, OURS, server), request_id=f"try-{path[-5:]}")
        assert refused(answer)
        assert answer.text == "this needs execution.view in ours/development"
        assert answer.info.metadata["permission"] == "execution.view"
        server.parts.ledger.flush()
    assert METHODS[f"{EXECUTIONS}/WatchExecution"].server_streaming
    wanted = audit_pb.ListRecordsRequest()
    wanted.filter.pattern.project = wanted.filter.pattern.domain = "*"
    wanted.filter.pattern.project, wanted.filter.kind = "ours", audit_pb.RECORD_KIND_DENIAL
    records = audit_pb.ListRecordsResponse.FromString(
        caller("team")(f"{AUDIT}/ListRecords", wanted).messages[0]
    ).records
    assert {(each.principal, each.method.rpartition("/")[2], each.permission) for each in records} == {
        ("service-account:theirs", name, "execution.view") for name in ("GetExecution", "WatchExecution")
    }
