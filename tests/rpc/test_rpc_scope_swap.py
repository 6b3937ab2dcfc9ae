"""One tenant's valid request, each field that says where pointed at another tenant: refused, the same for all, unheard.

Which fields those are is found by walking the requests, so that a field that is added tomorrow is swapped too.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass
from rpc_expected import ADMIN, DATA, NEEDS, REGISTRY, SCOPE, SERVER, SOME_DOMAIN, WHOLE_PROJECT
from rpc_requests import owner, populate, request_for, scope_fields, words, workflow_spec
from rpc_servers import METHODS, OURS, Airspace, Answer, Caller, airspace, copied_sqlite
from sqlalchemy import select

from airspace_server.core.errors import Reason
from airspace_server.core.scope import Scope
from airspace_server.storage.tables import METADATA

THEIRS, NOBODYS = Scope("theirs", "development"), Scope("nobody", "development")
"""Another team's scope, and one that does not exist, of names that are equally long."""
CONFINED = {
    f"{ADMIN}/CreateTask": ("spec.",),
    f"{ADMIN}/CreateWorkflow": ("spec.",),
    f"{ADMIN}/CreateLaunchPlan": ("spec.",),
    f"{ADMIN}/CreateExecution": ("spec.launch_plan.", "spec.metadata."),
    f"{ADMIN}/RecoverExecution": ("metadata.",),
    f"{ADMIN}/CreateNodeEvent": ("event.",),
    f"{ADMIN}/CreateTaskEvent": ("event.",),
    f"{ADMIN}/GetTaskExecution": ("id.task_id.",),
    f"{ADMIN}/GetTaskExecutionData": ("id.task_id.",),
    f"{ADMIN}/ListNodeExecutionsForTask": ("task_execution_id.task_id.",),
}
"""Fields that no permission is asked for: what they may say is decided behind the door, see the tests at the end."""
WITHOUT_PATHS = {
    f"{ADMIN}/GetProject": lambda request, project: setattr(request, "id", project),
    f"{ADMIN}/UpdateProject": lambda request, project: setattr(request, "id", project),
    f"{DATA}/CreateDownloadLocation": lambda request, project: setattr(
        request, "native_url", request.native_url.replace("/ours/", f"/{project}/")
    ),
    f"{DATA}/GetData": lambda request, project: setattr(
        request, "flyte_url", request.flyte_url.replace("/ours/", f"/{project}/")
    ),
}
"""How to point requests at another project that say where in a field that is not called so."""


def swaps() -> Iterator[tuple[str, str]]:
    """Name every RPC and field that is guarded by a permission in a scope."""
    for path, method in METHODS.items():
        if path in WITHOUT_PATHS:
            yield path, ""
        for way in scope_fields(method.input_type):
            own = CONFINED.get(path, ())
            covered = words(way) in ("event.execution_id.project", *_COVERED.get(path, ()))
            if covered or not words(way).startswith(own or "\0"):
                yield path, words(way)


_COVERED = {
    f"{ADMIN}/CreateNodeEvent": ("event.id.execution_id.project",),
    f"{ADMIN}/CreateTaskEvent": ("event.parent_node_execution_id.execution_id.project",),
}
SWAPS = sorted(swaps())


@pytest.fixture(scope="module")
def tenants(migrated_sqlite: Path, folder: Path) -> Iterator[Airspace]:
    """Two teams with the same things in them. "team" may do all in ours, "developer" all in ours/development."""
    with copied_sqlite(migrated_sqlite, folder) as url, airspace(url, folder) as server:
        for scope in (OURS, THEIRS):
            populate(server, scope)
        server.account("team", ("admin", "ours/*"))
        server.account("developer", ("admin", "ours/development"))
        server.account("theirs", ("admin", "theirs/*"))
        yield server


@pytest.fixture(scope="module")
def heard() -> list[str]:
    return []


@pytest.fixture(scope="module")
def caller(tenants: Airspace, heard: list[str]) -> Iterator[Callable[[str], Caller]]:
    """Doors that write down every call that gets as far as them."""

    def door(path: str, response: type) -> Callable[[Any, Any], Any]:
        def answer(_request: Any, _call: Any) -> Any:
            heard.append(path)
            return iter([response()]) if METHODS[path].server_streaming else response()

        return answer

    doors = [
        replace(method, handler=door(path, GetMessageClass(METHODS[path].output_type)))
        for path, method in tenants.methods.items()
    ]
    with tenants.served(doors) as made:
        yield made


def pointed(path: str, where: str, field: str, value: str, server: Airspace) -> Any:
    """Make a valid request and point one place in it somewhere else."""
    request = request_for(path, OURS, server)
    if not where:
        WITHOUT_PATHS[path](request, value)
        return request
    (way,) = [each for each in scope_fields(METHODS[path].input_type) if words(each) == where]
    setattr(owner(request, way), field, value)
    return request


def without_names(answer: Answer) -> tuple[grpc.StatusCode, str, bytes]:
    code, text, status = answer.wire
    return code, text.replace("theirs", "nobody"), status.replace(b"theirs", b"nobody")


def test_every_scoped_rpc_is_swapped():
    scoped = {path for path, needs in NEEDS.items() if any(where != SERVER for _, where in needs)}
    # Attributes, and the lists of names, among them; only what is asked for everywhere has nothing to swap.
    assert {path for path, _ in SWAPS} >= scoped


@pytest.mark.parametrize(("path", "where"), SWAPS)
def test_another_tenant_is_out_of_reach(path: str, where: str, tenants: Airspace, caller, heard: list[str]):
    everywhere = any(place == SERVER for _, place in NEEDS[path])
    team = caller("team")
    if not everywhere:
        assert not team(path, request_for(path, OURS, tenants)).status
    heard.clear()
    there = team(path, pointed(path, where, "project", "theirs", tenants), request_id="same")
    absent = team(path, pointed(path, where, "project", "nobody", tenants), request_id="same")
    assert there.reason == absent.reason == "PERMISSION_MISSING"
    assert without_names(there) == without_names(absent)
    assert heard == []


@pytest.mark.parametrize(("path", "where"), SWAPS)
def test_another_domain_of_the_same_project_is_out_of_reach(path: str, where: str, tenants, caller, heard: list[str]):
    places = {place for _, place in NEEDS[path]}
    developer = caller("developer")
    heard.clear()
    if places <= {SERVER, WHOLE_PROJECT}:
        assert developer(path, request_for(path, OURS, tenants)).reason == "PERMISSION_MISSING"
    elif places == {SCOPE}:
        if where:
            request = pointed(path, where, "domain", "production", tenants)
        else:
            request = request_for(path, OURS, tenants)
            name = "native_url" if hasattr(request, "native_url") else "flyte_url"
            setattr(request, name, getattr(request, name).replace("/development/", "/production/"))
        assert developer(path, request).reason == "PERMISSION_MISSING"
    else:
        assert places == {SOME_DOMAIN}
        assert not developer(path, request_for(path, OURS, tenants)).status
        heard.clear()
    assert heard == []


@pytest.mark.parametrize("path", sorted({path for path, _ in SWAPS}))
@pytest.mark.parametrize("value", ["", "*", "OURS", "ours/development", "ours\0", "o" * 64])
def test_what_is_no_name_is_no_way_in(path: str, value: str, tenants: Airspace, caller, heard: list[str]):
    """Above all "*", which stands for every project in a binding and must never in a request."""
    for own, where in SWAPS:
        # A slash in a URL parts it elsewhere, which makes it a good one.
        if own == path and not (value == "ours/development" and path.startswith(DATA)):
            heard.clear()
            answer = caller("team")(path, pointed(path, where, "project", value, tenants))
            assert answer.reason in ("PERMISSION_MISSING", "INVALID_FIELD"), where
            assert heard == []


# --- fields that are decided on behind the door


def confined() -> Iterator[tuple[str, str]]:
    for path, prefixes in CONFINED.items():
        for way in scope_fields(METHODS[path].input_type):
            where = words(way)
            if where.startswith(prefixes) and where not in _COVERED.get(path, ()) and "{}" not in where:
                yield path, where


def theirs(server: Airspace) -> dict[str, list[tuple]]:
    """Read all that the other team has."""
    with server.parts.database.read(across=True) as tx:
        return {
            name: [tuple(row) for row in tx.all(select(table).where(table.c.project == THEIRS.project))]
            for name, table in METADATA.tables.items()
            if "project" in table.c
        }


@pytest.fixture(scope="module")
def real(tenants: Airspace) -> Iterator[Callable[[str], Caller]]:
    """The doors of the server itself."""
    with tenants.served() as made:
        yield made


@pytest.mark.parametrize(("path", "where"), sorted(confined()))
def test_a_reference_into_another_tenant_gets_nothing_out_of_it(path: str, where: str, tenants: Airspace, real):
    before = theirs(tenants)
    answers = []
    for place, project in enumerate(("theirs", "nobody")):
        request = pointed(path, where, "project", project, tenants)
        way = next(each for each in scope_fields(METHODS[path].input_type) if words(each) == where)
        reference = owner(request, way)
        for field in ("domain", "name", "version"):
            if field in reference.DESCRIPTOR.fields_by_name and not getattr(reference, field):
                setattr(reference, field, {"domain": "development", "name": "thing", "version": "v1"}[field])
        if path.startswith(f"{ADMIN}/Create") and hasattr(request, "spec") and "Execution" not in path:
            request.id.version = f"{sum(map(ord, where))}-{len(where)}-{place}"
        answer = real("team")(path, request, request_id="same")
        answers.append((answer, request))
    (there, request), (absent, _) = answers
    assert there.reason == absent.reason
    if there.status:
        code, text, status = without_names(there)
        assert (code, text.replace("-0", "-1"), status.replace(b"-0", b"-1")) == absent.wire
    elif "/Get" in path:
        assert there.messages == absent.messages
    elif not path.endswith("/CreateExecution"):  # whose name the server chose; what it stored is looked at below
        getter = path.replace("/Create", "/Get")
        asked = request_for(getter, OURS, tenants)
        asked.id.CopyFrom(request.id)
        stored = real("team")(getter, asked)
        assert not stored.status
        assert b"theirs" not in stored.messages[0]
    assert theirs(tenants) == before


def test_what_a_client_says_about_other_executions_is_not_kept(tenants: Airspace, real):
    create, read = f"{ADMIN}/CreateExecution", f"{ADMIN}/GetExecution"
    request = request_for(create, OURS, tenants)
    request.name = "keeps-nothing"
    request.spec.metadata.reference_execution.project = "theirs"
    request.spec.metadata.parent_node_execution.execution_id.project = "theirs"
    request.spec.metadata.principal = "service-account:theirs"
    request.spec.security_context.run_as.execution_identity = "service-account:theirs"
    assert not real("team")(create, request).status
    asked = request_for(read, OURS, tenants)
    asked.id.name = "keeps-nothing"
    (stored,) = real("team")(read, asked).messages
    assert b"theirs" not in stored
    assert b"service-account:team" in stored


@pytest.mark.parametrize("field", ["project", "domain"])
def test_a_native_workflow_cannot_refer_to_another_scope(tenants: Airspace, real, field: str):

    path = f"{REGISTRY}/RegisterWorkflow"
    request = request_for(path, OURS, tenants)
    spec = workflow_spec(OURS)
    setattr(spec.template.nodes[0].task_node.reference_id, field, {"project": "theirs", "domain": "staging"}[field])
    request.spec.Pack(spec)
    request.workflow.version = f"foreign-{field}"
    assert real("admin")(path, request).reason == Reason.FOREIGN_REFERENCE
