"""The audit of real processes: across both of them, over a crash, and for an auditor with the command line."""

import hashlib
import json
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from deployment_processes import BIN, DEADLINE, Deployment, Ended, Wire, environment, until
from flyte_samples import double, task_spec
from flyteidl.admin import execution_pb2
from flyteidl.core import identifier_pb2
from sqlalchemy import create_engine, text
from wing_doors import DEV, flyte_id, integers, moved, register_task

from airspace.project.v1 import project_service_pb2 as project_v1
from airspace.registry.v1 import registry_service_pb2 as registry_pb
from airspace_server.core.scope import EntityId

ADMIN = "/flyteidl.service.AdminService"
CREATE = f"{ADMIN}/CreateExecution"
TASK = EntityId(DEV, double.name, "v1")


@pytest.fixture(scope="module")
def deployed(empty_database: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Admin and execution apart, without a worker, and a project with a task."""
    deployment = Deployment(tmp_path_factory.mktemp("audit"), **empty_database)
    try:
        deployment.start("admin", "execution")
        with Wire(deployment.admin, deployment.token("admin")) as wire:
            created = project_v1.CreateProjectRequest(project="vision")
            wire.call("/airspace.project.v1.ProjectService/CreateProject", created, project_v1.CreateProjectResponse)
            wire.call(
                "/airspace.registry.v1.RegistryService/RegisterTask",
                register_task(TASK, moved(task_spec(double), DEV, "v1")),
                registry_pb.RegisterTaskResponse,
            )
        yield deployment
    finally:
        deployment.discard()


def launch(name: str) -> execution_pb2.ExecutionCreateRequest:
    request = execution_pb2.ExecutionCreateRequest(project=DEV.project, domain=DEV.domain, name=name)
    request.spec.launch_plan.CopyFrom(flyte_id(TASK, identifier_pb2.TASK))
    request.inputs.CopyFrom(integers(x=1))
    return request


def audit(deployment: Deployment, *arguments: str, status: int = 0) -> str:
    """Run `airspace audit` as the administrator."""
    config = str(deployment.data / "clients" / "admin.yaml")
    command = [BIN / "airspace", "--config", config, "audit", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment({}), timeout=60, check=False)
    assert ran.returncode == status, ran.stdout + ran.stderr
    return ran.stdout


def exported(deployment: Deployment, *arguments: str) -> list[dict]:
    return [json.loads(line) for line in audit(deployment, "export", *arguments).splitlines()]


def own_hash(record: dict, microseconds: int) -> str:
    """The hash of a record, by docs/adr/0008 and not by the code: whoever has an export can do this."""
    content = {
        **{key: record[key] for key in ("chain", "sequence", "kind", "principal", "origin", "method", "permission")},
        **{key: record[key] for key in ("domain", "reason", "request_id", "count")},
        "at": microseconds,
        "changes": [[each["domain"], each["resource"], each["before"], each["after"]] for each in record["changes"]],
    }
    written = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256((record["previous_hash"] + written).encode()).hexdigest()


def test_an_auditor_sees_both_processes_and_whatever_is_done_to_the_rows(deployed: Deployment):
    with Wire(deployed.admin, deployed.token("developer")) as wire:
        assert not isinstance(wire.raw(CREATE, launch("first")), Ended)
        elsewhere = launch("second")
        elsewhere.domain = elsewhere.spec.launch_plan.domain = "production"
        assert isinstance(wire.raw(CREATE, elsewhere, request_id="no-way"), Ended)
    with Wire(deployed.admin) as nobody:
        assert isinstance(nobody.raw(CREATE, launch("third")), Ended)  # the admin process tells it off itself
    denials = until(lambda: found if len(found := exported(deployed, "--kind", "DENIAL")) == 2 else None)
    assert [(each["chain"], each["domain"], each["principal"], each["reason"]) for each in denials] == [
        ("*", "*", "", "TOKEN_MISSING"),
        ("vision", "production", "service-account:developer", "PERMISSION_MISSING"),
    ]
    made = exported(deployed, "-p", "vision", "--kind", "MUTATION")
    assert [each["changes"][0]["resource"] for each in made] == [
        "project vision",
        f"task {TASK}",
        "execution vision/development/first",
    ]
    verdicts = json.loads(audit(deployed, "verify", "-o", "json"))
    assert [(each["chain"], each["problem"]) for each in verdicts] == [("*", ""), ("vision", "")]
    head = "vision:{sequence}:{hash}".format(**verdicts[1])
    audit(deployed, "verify", "--expect-head", head)
    tampering = "UPDATE audit_records SET principal = '{}' WHERE chain = 'vision' AND sequence = 3"
    _execute(deployed, tampering.format("user:eve"))
    found = json.loads(audit(deployed, "verify", "-o", "json", status=1))
    assert [(each["chain"], each["problem_sequence"]) for each in found if each["problem"]] == [("vision", 3)]
    _execute(deployed, tampering.format("service-account:developer"))
    audit(deployed, "verify")


def test_what_was_answered_before_a_crash_is_recorded_and_the_chain_goes_on(deployed: Deployment):
    answered: list[str] = []
    enough = threading.Event()

    def keep_launching(worker: int) -> None:
        with Wire(deployed.execution, token) as wire:
            for place in range(1_000):
                name = f"w{worker}-{place}"
                if isinstance(wire.raw(CREATE, launch(name), timeout=DEADLINE), Ended):
                    return
                answered.append(name)
                if len(answered) > 30:
                    enough.set()

    token = deployed.token("admin")
    workers = [threading.Thread(target=keep_launching, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    assert enough.wait(DEADLINE)
    crashed = deployed.processes.pop("execution")
    crashed.process.kill()
    for worker in workers:
        worker.join()
    crashed.ended()
    deployed.start("execution")
    with Wire(deployed.execution, token) as wire:
        assert not isinstance(wire.raw(CREATE, launch("afterwards")), Ended)
    audit(deployed, "verify")
    records = exported(deployed, "-p", "vision", "-d", "development")
    recorded = {change["resource"].rpartition("/")[2] for each in records for change in each["changes"]}
    assert recorded >= {*answered, "afterwards"}
    rows = _execute(deployed, "SELECT name FROM executions")
    assert {row[0] for row in rows} == recorded - {f"{double.name}:v1"}  # and none without a record
    times = dict(_execute(deployed, "SELECT sequence, at FROM audit_records WHERE chain = 'vision'"))
    assert records
    assert all(own_hash(each, times[each["sequence"]]) == each["hash"] for each in records)


def test_refused_logins_and_urls_are_recorded_as_of_nobody(deployed: Deployment):
    url = deployed.http
    wrong = {"grant_type": "client_credentials", "client_id": "admin", "client_secret": "guessed"}
    query = f"expires=99999999999&limit=0&signature={'0' * 64}"
    with httpx.Client(base_url=url, timeout=DEADLINE) as client:
        assert [client.post("/oauth2/token", data=wrong).status_code for _ in range(2)] == [401, 401]
        assert client.get(f"/artifacts/vision/production/model?{query}").status_code == 403
        assert client.put(f"/artifacts/vision/production/model?{query}", content=b"x").status_code == 403
        assert client.get(f"/artifacts/no-such-team/production/model?{query}").status_code == 403
        assert client.get("/oauth2/jwks").status_code == 200
    artifacts = "/artifacts/{project}/{domain}/{path}"
    expected = {
        ("*", "*", "POST /oauth2/token", "LOGIN_REFUSED"): 2,
        ("*", "production", f"GET {artifacts}", "PERMISSION_MISSING"): 1,
        ("vision", "production", f"GET {artifacts}", "PERMISSION_MISSING"): 1,
        ("vision", "production", f"PUT {artifacts}", "PERMISSION_MISSING"): 1,
    }

    def told() -> Counter[tuple[str, ...]]:
        counts: Counter[tuple[str, ...]] = Counter()
        for each in exported(deployed, "--kind", "DENIAL"):
            if not each["method"].startswith("/"):
                assert each["principal"] == ""
                counts[each["chain"], each["domain"], each["method"], each["reason"]] += each["count"]
        return counts

    until(lambda: told() == expected)


def _execute(deployed: Deployment, statement: str) -> list[tuple]:
    """Run a statement on the database behind the server's back, and return its rows."""
    url = deployed.settings.get("database_url") or f"sqlite:///{deployed.data / 'airspace.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        rows = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows
