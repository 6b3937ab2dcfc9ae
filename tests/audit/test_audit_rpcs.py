"""Every mutation of every RPC leaves one record, every refusal one too, and none of them tells what it must not."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from flyteidl.admin import execution_pb2, launch_plan_pb2
from google.protobuf.descriptor_pb2 import MethodOptions
from rpc_expected import (
    ACCESS,
    ADMIN,
    AUDIT,
    DATA,
    EXECUTIONS,
    NEEDS,
    PLANS,
    PROJECT,
    PROMOTIONS,
    REFERENCES,
    REGISTRY,
    SETTINGS,
    SIGNALS,
)
from rpc_requests import ATTRIBUTES_UPDATES, THING, VERSION, integer, request_for
from rpc_servers import FLYTE, NATIVE, OURS, Airspace, Answer, Caller
from sqlalchemy import select

from airspace.audit.v1 import audit_service_pb2 as pb
from airspace_server.audit import store
from airspace_server.audit.chain import Kind
from airspace_server.audit.store import Wanted
from airspace_server.core.permissions import Permission
from airspace_server.core.scope import Scope, ScopePattern
from airspace_server.storage.database import scoped
from airspace_server.storage.tables import AuditRecordRow, ExecutionRow, PromotionRow, table

CANARY = "canary-8d1f"
STAGING = Scope("ours", "staging")
READS = ("Get", "List", "UserInfo", "CreateDownload")
"""How those of Flyte's RPCs begin that change nothing; ours say so in the contract. One gets or creates."""
Change = Callable[[Any], None]


def setting(**values: Any) -> Change:
    def change(request: Any) -> None:
        for path, value in values.items():
            owner, _, name = path.rpartition("__")
            target = request
            for step in filter(None, owner.split("__")):
                target = getattr(target, step)
            setattr(target, name, value)

    return change


def inputs(request: Any) -> None:
    """Put the canary where values of tenants are: an input, a variable of the environment, an annotation."""
    request.name = "flyte-run"
    request.inputs.literals["x"].CopyFrom(integer(4))
    request.spec.envs.values.add(key="SECRET", value=CANARY)
    request.spec.annotations.values["note"] = CANARY


def native_inputs(request: Any) -> None:
    request.name = "native-run"
    request.inputs.update({"x": 4})


def told(request: Any) -> None:
    request.notifications.rules.add(events=[1]).email.recipients.append("ops@example.com")


STEPS: list[tuple[str, Scope, Change]] = [
    (f"{PROJECT}/CreateProject", Scope("fresh", "development"), setting(description=CANARY)),
    (f"{PROJECT}/UpdateProject", OURS, setting(description=CANARY)),
    (f"{PROJECT}/ArchiveProject", OURS, setting()),
    (f"{PROJECT}/RestoreProject", OURS, setting()),
    (f"{REGISTRY}/RegisterTask", OURS, setting(task__version="v2")),
    (f"{REGISTRY}/RegisterWorkflow", OURS, setting(workflow__version="v2")),
    (f"{PLANS}/RegisterLaunchPlan", OURS, setting(launch_plan__version="v2")),
    (f"{PLANS}/ActivateLaunchPlan", OURS, setting(launch_plan__version="v2")),
    (f"{ACCESS}/CreateRole", OURS, setting(name="watch")),
    (f"{ACCESS}/DeleteRole", OURS, setting(name="watch")),
    (f"{ACCESS}/CreateBinding", OURS, setting()),
    (f"{ACCESS}/DeleteBinding", OURS, setting(role="viewer")),
    (f"{ACCESS}/CreateServiceAccount", OURS, setting(name="robot")),
    (f"{ACCESS}/RotateServiceAccountSecret", OURS, setting(name="robot")),
    (f"{ACCESS}/DisableServiceAccount", OURS, setting(name="robot")),
    (f"{ACCESS}/EnableServiceAccount", OURS, setting(name="robot")),
    (f"{SETTINGS}/UpdateRunAs", OURS, lambda request: request.run_as.service_accounts.append("sa")),
    (f"{SETTINGS}/UpdateQuotas", OURS, lambda request: setattr(request.quotas, "executions_running", 7)),
    (f"{REFERENCES}/CreateExport", OURS, setting(consumer="theirs")),
    (f"{REFERENCES}/DeleteExport", OURS, setting(consumer="theirs")),
    (f"{EXECUTIONS}/LaunchExecution", OURS, native_inputs),
    (f"{EXECUTIONS}/TerminateExecution", OURS, setting(execution__name="native-run", cause=CANARY)),
    (f"{PLANS}/RollbackLaunchPlan", OURS, setting()),
    (f"{PLANS}/DeactivateLaunchPlan", OURS, setting()),
    (f"{ADMIN}/RegisterProject", Scope("newer", "development"), setting()),
    (f"{ADMIN}/UpdateProject", OURS, setting(description="another")),
    (f"{ADMIN}/CreateTask", OURS, setting(id__version="v3")),
    (f"{ADMIN}/CreateWorkflow", OURS, setting(id__version="v3")),
    (f"{ADMIN}/CreateLaunchPlan", OURS, setting(id__version="v3")),
    (f"{SETTINGS}/UpdateGates", OURS, setting(pattern__domain="staging", gates__approvals=1)),
    (f"{SETTINGS}/UpdateNotifications", OURS, told),
    (f"{PROMOTIONS}/RequestPromotion", OURS, setting(target__domain="staging", version="v3", comment=CANARY)),
    (f"{PROMOTIONS}/ApprovePromotion", STAGING, setting(name="approved", comment=CANARY)),
    (f"{PROMOTIONS}/RejectPromotion", STAGING, setting(name="rejected", comment=CANARY)),
    (f"{PROMOTIONS}/OverridePromotion", STAGING, setting(name="overridden", reason=CANARY)),
    (f"{ADMIN}/UpdateLaunchPlan", OURS, setting(id__version="v3", state=launch_plan_pb2.ACTIVE)),
    *((f"{ADMIN}/{name}", OURS, setting()) for name in ATTRIBUTES_UPDATES),
    *((f"{ADMIN}/{name.replace('Update', 'Delete')}", OURS, setting()) for name in ATTRIBUTES_UPDATES),
    (f"{ADMIN}/UpdateNamedEntity", OURS, setting(metadata__description="said")),
    (f"{ADMIN}/CreateExecution", OURS, inputs),
    (f"{SIGNALS}/GetOrCreateSignal", OURS, setting(id__execution_id__name="flyte-run", id__signal_id="asked")),
    (
        f"{SIGNALS}/SetSignal",
        OURS,
        setting(id__execution_id__name="flyte-run", id__signal_id="asked", value__scalar__primitive__boolean=False),
    ),
    (f"{ADMIN}/UpdateExecution", OURS, setting(state=execution_pb2.EXECUTION_ARCHIVED)),
    (f"{ADMIN}/RelaunchExecution", OURS, setting(name="again")),
    (f"{ADMIN}/RecoverExecution", OURS, setting(name="recovered")),
    (f"{ADMIN}/TerminateExecution", OURS, setting(id__name="again")),
    (f"{DATA}/CreateUploadLocation", OURS, setting()),
]
"""A request for each RPC that changes something, in an order in which each does."""


def ended(server: Airspace) -> None:
    """End the execution, so that it can be recovered."""
    with server.parts.database.write(OURS) as tx:
        executions = table(ExecutionRow)
        tx.execute(executions.update().where(scoped(executions), executions.c.name == THING).values(phase="SUCCEEDED"))


def waiting(server: Airspace) -> None:
    """Let promotions wait that somebody else asked for."""
    texts = dict.fromkeys(("comment", "decider", "decision_comment"), "")
    lists = dict.fromkeys(("gates", "entries", "artifacts"), "[]")
    values = {"source_domain": "development", "kind": "LAUNCH_PLAN", "entity": THING, "requester": "user:x"}
    times = {"created_at": 1, "expires_at": 4 * 10**15, "decided_at": None, "activate": False, "overridden": False}
    with server.parts.database.write(STAGING) as tx:
        for name, version in (("approved", VERSION), ("rejected", "v9"), ("overridden", "v2")):
            row = {"name": name, "version": version, "state": "PENDING"}
            tx.insert(table(PromotionRow), {**row, **texts, **lists, **values, **times})


def records(server: Airspace, kind: Kind) -> list[store.Link]:
    return [
        each for each in store.export(server.parts.database, Wanted(ScopePattern("*", "*"))) if each.record.kind is kind
    ]


def mutating() -> Iterator[str]:
    for path, method in NATIVE.items():
        if method.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS:
            yield path
    for path in FLYTE:
        name = path.rpartition("/")[2]
        if not name.startswith(READS) or name.startswith("GetOrCreate"):
            yield path


def test_every_mutation_leaves_one_record_of_its_own(audited: Airspace):
    served = {path for path in mutating() if hasattr(audited.methods[path].handler, "__self__")}  # by a front door
    assert {path for path, _, _ in STEPS} == served  # whoever adds an RPC adds it above
    with audited.served() as caller:
        for place, (path, scope, change) in enumerate(STEPS):
            if path.endswith("RecoverExecution"):
                ended(audited)
            if path.endswith("ApprovePromotion"):
                waiting(audited)
            before = records(audited, Kind.MUTATION)
            request = request_for(path, scope, audited)
            change(request)
            answer = caller("admin")(path, request, request_id=f"step-{place}")
            assert not answer.status, (path, answer.text)
            new = [each.record for each in records(audited, Kind.MUTATION) if each not in before]
            assert [(each.principal, each.method, each.request_id) for each in new] == [
                ("service-account:admin", path, f"step-{place}")
            ], path
            assert new[0].permission in {permission.value for permission, _ in NEEDS[path]}
            assert new[0].changes
            assert new[0].count == 1
        verdicts = caller("admin")(f"{AUDIT}/VerifyChains", pb.VerifyChainsRequest(project="*")).messages
    broken = [verdict for verdict in map(pb.VerifyChainsResponse.FromString, verdicts) if verdict.problem]
    # The fixture put that project there behind the server's back, which is what the audit says of it.
    assert [(each.head.chain, each.problem_sequence) for each in broken] == [("ours", 1)]
    with audited.parts.database.read() as tx:
        assert CANARY not in str([tuple(row) for row in tx.all(select(table(AuditRecordRow)))])


def test_a_repetition_that_changes_nothing_leaves_none(audited: Airspace):
    paths = [f"{REGISTRY}/RegisterTask", f"{ACCESS}/CreateBinding", f"{PLANS}/ActivateLaunchPlan"]
    with audited.served() as caller:
        caller("admin")(paths[1], request_for(paths[1], OURS, audited))
        before = records(audited, Kind.MUTATION)
        for path in paths:
            assert not caller("admin")(path, request_for(path, OURS, audited)).status
        launch = request_for(f"{EXECUTIONS}/LaunchExecution", OURS, audited)
        launch.request_id = "123e4567-e89b-42d3-a456-426614174000"
        for _ in range(2):
            assert not caller("admin")(f"{EXECUTIONS}/LaunchExecution", launch).status
    assert len(records(audited, Kind.MUTATION)) == len(before) + 1


def test_every_refusal_is_recorded(audited: Airspace):
    audited.account("stranger")
    paths = sorted(NEEDS)
    with audited.served() as caller:
        for path in paths:
            assert caller("stranger")(path, request_for(path, OURS, audited)).reason == "PERMISSION_MISSING"
            audited.parts.ledger.flush()
        assert caller("")(paths[0]).reason == "TOKEN_MISSING"
        audited.parts.ledger.flush()
    denials = [each.record for each in records(audited, Kind.DENIAL)]
    assert sorted(each.method for each in denials if each.principal == "service-account:stranger") == paths
    assert [(each.method, each.reason, each.chain) for each in denials if not each.principal] == [
        (paths[0], "TOKEN_MISSING", "*")
    ]


def test_a_refusal_names_the_permission_that_was_missing(audited: Airspace):
    audited.role("admin", "exporter", Permission.EXPORT_MANAGE)
    audited.account("half", ("exporter", "ours/development"))
    path = f"{REFERENCES}/CreateExport"
    with audited.served() as caller:
        answer = caller("half")(path, request_for(path, OURS, audited))
        audited.parts.ledger.flush()
    (denial,) = [each.record for each in records(audited, Kind.DENIAL)]
    assert f"this needs {denial.permission} in ours/development" == answer.text
    assert denial.permission != Permission.EXPORT_MANAGE


# --- who sees what


@pytest.fixture
def auditors(audited: Airspace) -> Iterator[Callable[[str], Caller]]:
    audited.account("auditor", ("admin", "ours/*"))
    audited.account("narrow", ("admin", "ours/development"))
    audited.account("stranger")
    with audited.served() as caller:
        for path in (f"{PROJECT}/GetProject", f"{REGISTRY}/ListTasks"):
            caller("stranger")(path, request_for(path, OURS, audited))
        create = request_for(f"{PROJECT}/CreateProject", Scope("theirs", "development"), audited)
        assert not caller("admin")(f"{PROJECT}/CreateProject", create).status
        audited.parts.ledger.flush()
        yield caller


def wanted(project: str, domain: str = "*", **more: Any) -> pb.RecordFilter:
    found = pb.RecordFilter(**more)
    found.pattern.project, found.pattern.domain = project, domain
    return found


def listed(caller: Caller, filter_: pb.RecordFilter, size: int = 2) -> list[pb.Record]:
    found: list[pb.Record] = []
    token = ""
    while True:
        request = pb.ListRecordsRequest(filter=filter_, page_size=size, page_token=token)
        answer: Answer = caller(f"{AUDIT}/ListRecords", request)
        assert not answer.status, answer.text
        page = pb.ListRecordsResponse.FromString(answer.messages[0])
        found.extend(page.records)
        token = page.next_page_token
        if not token:
            return found


def test_records_are_seen_where_the_caller_may_and_nowhere_else(auditors: Callable[[str], Caller]):
    everything = listed(auditors("admin"), wanted("*"))
    assert {each.chain for each in everything} == {"*", "ours", "theirs"}
    ours = listed(auditors("auditor"), wanted("ours"))
    assert ours == [each for each in everything if each.chain == "ours"]
    narrow = listed(auditors("narrow"), wanted("ours", "development"))
    assert narrow == [each for each in ours if each.domain == "development"]
    assert narrow
    for name, filter_ in (("auditor", wanted("*")), ("auditor", wanted("theirs")), ("narrow", wanted("ours"))):
        for path, request in (
            ("ListRecords", pb.ListRecordsRequest(filter=filter_)),
            ("ExportRecords", pb.ExportRecordsRequest(filter=filter_)),
        ):
            answer = auditors(name)(f"{AUDIT}/{path}", request)
            assert (answer.code, answer.messages) == (grpc.StatusCode.PERMISSION_DENIED, ())
    for project in ("*", "theirs"):
        request = pb.VerifyChainsRequest(project=project)
        assert auditors("auditor")(f"{AUDIT}/VerifyChains", request).reason == "PERMISSION_MISSING"


def test_lists_are_narrowed_by_who_what_and_when_and_exported_in_order(auditors: Callable[[str], Caller]):
    admin = auditors("admin")
    everything = listed(admin, wanted("*"))
    times = [each.time.ToMicroseconds() for each in everything]
    assert times == sorted(times, reverse=True)
    by_stranger = listed(admin, wanted("*", principal="service-account:stranger"))
    assert {each.kind for each in by_stranger} == {pb.RECORD_KIND_DENIAL}
    assert by_stranger == listed(admin, wanted("ours", kind=pb.RECORD_KIND_DENIAL))
    method = by_stranger[0].method
    assert {each.method for each in listed(admin, wanted("*", method=method))} == {method}
    middle = everything[len(everything) // 2].time
    newer, older = (listed(admin, wanted("*", **{word: middle})) for word in ("since", "until"))
    assert newer + older == everything
    messages = admin(f"{AUDIT}/ExportRecords", pb.ExportRecordsRequest(filter=wanted("*"))).messages
    exported = [pb.ExportRecordsResponse.FromString(each).record for each in messages]
    assert exported == sorted(everything, key=lambda each: (each.chain, each.sequence))
    request = pb.ExportRecordsRequest(filter=wanted("*"))
    request.after.chain, request.after.sequence = exported[3].chain, exported[3].sequence
    rest = admin(f"{AUDIT}/ExportRecords", request).messages
    assert [pb.ExportRecordsResponse.FromString(each).record for each in rest] == exported[4:]


def test_a_head_kept_elsewhere_is_held_against_its_chain(auditors: Callable[[str], Caller]):
    path, admin = f"{AUDIT}/VerifyChains", auditors("admin")
    (message,) = admin(path, pb.VerifyChainsRequest(project="theirs")).messages
    kept = pb.VerifyChainsResponse.FromString(message).head
    assert not pb.VerifyChainsResponse.FromString(message).problem
    for head, problem in (
        (kept, False),
        (pb.ChainHead(chain="theirs", sequence=kept.sequence, hash="0" * 64), True),
        (pb.ChainHead(chain="theirs", sequence=kept.sequence + 1, hash=kept.hash), True),
    ):
        (message,) = admin(path, pb.VerifyChainsRequest(project="theirs", expected=[head])).messages
        assert bool(pb.VerifyChainsResponse.FromString(message).problem) == problem
    gone = pb.ChainHead(chain="gone", sequence=1, hash="0" * 64)
    verdicts = map(
        pb.VerifyChainsResponse.FromString, admin(path, pb.VerifyChainsRequest(project="*", expected=[gone])).messages
    )
    assert [each.head.chain for each in verdicts if each.problem] == ["gone", "ours"]
    answer = auditors("auditor")(path, pb.VerifyChainsRequest(project="ours", expected=[kept]))
    assert (answer.reason, answer.fields) == ("INVALID_FIELD", ["expected[0].chain"])
