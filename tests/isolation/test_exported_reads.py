"""What is exported can be read, by its exact id, by those who may read the registry of a consumer. Nothing else can."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from rpc_expected import ADMIN, PLANS, REFERENCES, REGISTRY
from rpc_requests import THING, populate, request_for
from rpc_servers import OURS, Airspace, Caller, airspace, copied_sqlite

from airspace.reference.v1 import reference_service_pb2 as pb
from airspace.type.v1.identifiers_pb2 import Scope as ScopeMessage

READS = {
    f"{REGISTRY}/GetTask": pb.ENTITY_KIND_TASK,
    f"{REGISTRY}/GetWorkflow": pb.ENTITY_KIND_WORKFLOW,
    f"{PLANS}/GetLaunchPlan": pb.ENTITY_KIND_LAUNCH_PLAN,
    f"{ADMIN}/GetTask": pb.ENTITY_KIND_TASK,
    f"{ADMIN}/GetWorkflow": pb.ENTITY_KIND_WORKFLOW,
    f"{ADMIN}/GetLaunchPlan": pb.ENTITY_KIND_LAUNCH_PLAN,
}
CONSUMERS = {"reader": "consumer/development", "everywhere": "consumer/*"}
OTHERS = {"third": "third/*", "staging": "consumer/staging", "nobody": "elsewhere/*"}


@pytest.fixture(scope="module")
def exporting(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airspace]:
    """A server with one of everything in ours/development, and viewers of other places."""
    folder = tmp_path_factory.mktemp("exporting")
    with copied_sqlite(migrated_sqlite, folder) as url, airspace(url, folder) as server:
        populate(server, OURS)
        for name, pattern in {**CONSUMERS, **OTHERS}.items():
            server.account(name, ("viewer", pattern))
        yield server


def export(kind: int, name: str = THING, consumer: str = "consumer", request=pb.CreateExportRequest):
    scope = ScopeMessage(project=OURS.project, domain=OURS.domain)
    return request(scope=scope, kind=kind, name=name, consumer=consumer)


def create(admin: Caller, kind: int, name: str = THING, consumer: str = "consumer") -> None:
    assert not admin(f"{REFERENCES}/CreateExport", export(kind, name, consumer)).status


def delete(admin: Caller, kind: int, name: str = THING, consumer: str = "consumer") -> None:
    assert not admin(f"{REFERENCES}/DeleteExport", export(kind, name, consumer, pb.DeleteExportRequest)).status


def named(server: Airspace, path: str, name: str):
    """Make the request that reads something of this name."""
    request = request_for(path, OURS, server)
    held = request.id if path.startswith(ADMIN) else getattr(request, request.DESCRIPTOR.fields[0].name)
    held.name = name
    return request


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("exported", [THING, "*"])
def test_what_is_exported_is_read_by_readers_of_the_consumer_until_it_is_taken_back(exporting, path, exported):
    with exporting.served() as caller:
        admin = caller("admin")
        there, missing = named(exporting, path, THING), named(exporting, path, "missing")
        # Exports that do not count: of another kind, to another project.
        for kind in set(READS.values()) - {READS[path]}:
            create(admin, kind)
        create(admin, READS[path], exported, "nobody-is-here")
        for name in (*CONSUMERS, *OTHERS):
            refused = [caller(name)(path, request, request_id="same") for request in (there, missing)]
            assert refused[0].reason == "PERMISSION_MISSING"
            assert refused[0].wire == refused[1].wire

        create(admin, READS[path], exported)
        for name in CONSUMERS:
            assert caller(name)(path, there).code is grpc.StatusCode.OK
            assert caller(name)(path, missing).reason == ("NOT_FOUND" if exported == "*" else "PERMISSION_MISSING")
        for name in OTHERS:
            assert caller(name)(path, there).reason == "PERMISSION_MISSING"

        delete(admin, READS[path], exported)
        for name in CONSUMERS:  # at once in the process that wrote it
            assert caller(name)(path, there).reason == "PERMISSION_MISSING"
        for kind in set(READS.values()) - {READS[path]}:
            delete(admin, kind)
        delete(admin, READS[path], exported, "nobody-is-here")


def test_an_export_opens_no_list_and_nothing_else_of_the_scope(exporting: Airspace):
    with exporting.served() as caller:
        for kind in set(READS.values()):
            create(caller("admin"), kind, "*")
        for path in exporting.methods:
            if path in READS or exporting.methods[path].rule.guard.name != "REQUIRE":
                continue
            answer = caller("reader")(path, request_for(path, OURS, exporting))
            assert answer.reason == "PERMISSION_MISSING", path
        for kind in set(READS.values()):
            delete(caller("admin"), kind, "*")
