"""Executions through Flyte's front door: what pyflyte, FlyteRemote and flytectl rely on."""

from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from execution_rows import launch, move, names, node
from execution_rows import request as native
from flyte_samples import chain, double, fan, outer
from flyteidl.admin import common_pb2, event_pb2, execution_pb2, node_execution_pb2, project_pb2, task_execution_pb2
from flyteidl.core import execution_pb2 as core
from flyteidl.core import identifier_pb2, literals_pb2
from flyteidl.service import dataproxy_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from wing_doors import (
    DEV,
    PROD,
    START,
    Doors,
    call,
    detail,
    errors,
    flyte_id,
    flyte_status,
    info,
    integer,
    integers,
    pages,
    together,
    violated,
)

from airspace_server.access.call import Call
from airspace_server.access.identity import Principal
from airspace_server.artifacts.signing import UrlGrant
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.execution import ENDED_EXECUTION, ExecutionPhase, NodePhase
from airspace_server.core.run_as import RunAs
from airspace_server.core.scope import EntityId, ExecutionId, Scope
from airspace_server.execution.flyte import scope_of_flyte_url
from airspace_server.execution.launch import MAX_NESTING

ONE = Struct()
ONE.update({"x": 1})
FAILURE = ("USER:ValueError", "x" * 500, "USER")


@pytest.fixture
def plan(doors: Doors) -> EntityId:
    return doors.plan(doors.register(chain))


def wire(id_: ExecutionId) -> identifier_pb2.WorkflowExecutionIdentifier:
    return identifier_pb2.WorkflowExecutionIdentifier(project=id_.scope.project, domain=id_.scope.domain, name=id_.name)


def wire_node(id_: ExecutionId, node_id: str) -> identifier_pb2.NodeExecutionIdentifier:
    return identifier_pb2.NodeExecutionIdentifier(node_id=node_id, execution_id=wire(id_))


def create(target: EntityId, kind: int = identifier_pb2.LAUNCH_PLAN, **fields) -> execution_pb2.ExecutionCreateRequest:
    fields = {"project": target.scope.project, "domain": target.scope.domain, "inputs": integers(x=1), **fields}
    request = execution_pb2.ExecutionCreateRequest(**fields)
    request.spec.launch_plan.CopyFrom(flyte_id(target, kind))
    return request


def run(doors: Doors, request: execution_pb2.ExecutionCreateRequest, as_: str = "user:ann") -> ExecutionId:
    made = doors.flyte.CreateExecution(request, call(as_)).id
    return ExecutionId(Scope(made.project, made.domain), made.name)


def get(doors: Doors, id_: ExecutionId) -> execution_pb2.Execution:
    return doors.flyte.GetExecution(execution_pb2.WorkflowExecutionGetRequest(id=wire(id_)), call())


def data(doors: Doors, id_: ExecutionId) -> execution_pb2.WorkflowExecutionGetDataResponse:
    return doors.flyte.GetExecutionData(execution_pb2.WorkflowExecutionGetDataRequest(id=wire(id_)), call())


def listing(scope: Scope = DEV, **fields) -> common_pb2.ResourceListRequest:
    fields = {"limit": 100, **fields}
    return common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(project=scope.project, domain=scope.domain), **fields
    )


def listed(doors: Doors, **fields) -> list[str]:
    return [each.id.name for each in doors.flyte.ListExecutions(listing(**fields), call()).executions]


def refused(act) -> ApiError:
    with pytest.raises(ApiError) as caught:
        act()
    return caught.value


# --- creating


def test_what_an_execution_launches_is_its_launchers_and_only_so_deep(doors: Doors, plan: EntityId):
    above = run(doors, create(plan))
    for nesting in range(1, MAX_NESTING + 1):
        child = doors.flyte.CreateExecution(create(plan), called_by(above)).id
        below = ExecutionId(above.scope, child.name)
        metadata = get(doors, below).spec.metadata
        assert (metadata.principal, metadata.nesting) == ("user:ann", nesting)
        assert metadata.parent_node_execution.execution_id == wire(above)
        above = below
    for act in (
        lambda: doors.flyte.CreateExecution(create(plan), called_by(above)),
        lambda: doors.flyte.RelaunchExecution(execution_pb2.ExecutionRelaunchRequest(id=wire(above)), called_by(above)),
        lambda: doors.executions.LaunchExecution(native(plan, inputs=ONE), called_by(above)),
    ):
        assert refused(act).reason is Reason.NESTING_TOO_DEEP
    assert doors.store.launcher_of_running(above) is None  # it is queued
    move(doors, above, ExecutionPhase.RUNNING)
    assert doors.store.launcher_of_running(above) == Principal("user:ann", frozenset({"group:cv"}))
    again = doors.flyte.RelaunchExecution(execution_pb2.ExecutionRelaunchRequest(id=wire(above)), call("user:bob")).id
    metadata = get(doors, ExecutionId(above.scope, again.name)).spec.metadata
    assert (metadata.principal, metadata.nesting) == ("user:bob", 0)  # a person's is nobody's child


def called_by(execution: ExecutionId) -> Call:
    return replace(call(), principal=Principal.of_execution(execution, Principal("user:ann", frozenset({"group:cv"}))))


def test_a_created_execution_is_the_callers_whatever_the_request_says(doors: Doors, plan: EntityId):
    doors.allow(DEV, RunAs(service_accounts=("trainer",)))
    request = create(plan)
    request.spec.metadata.principal = "root"
    request.spec.metadata.mode = execution_pb2.ExecutionMetadata.SCHEDULED
    request.spec.metadata.parent_node_execution.node_id = "n0"
    request.spec.metadata.reference_execution.project = "other"
    request.spec.security_context.run_as.execution_identity = "root"
    request.spec.security_context.run_as.k8s_service_account = "trainer"
    request.spec.labels.values["team"] = "cv"
    request.spec.max_parallelism = 3
    found = get(doors, run(doors, request, "user:bob"))
    metadata = found.spec.metadata
    assert (metadata.principal, metadata.mode) == ("user:bob", execution_pb2.ExecutionMetadata.MANUAL)
    assert not metadata.HasField("parent_node_execution")
    assert not metadata.HasField("reference_execution")
    assert found.spec.security_context.run_as.execution_identity == "user:bob"
    assert found.spec.security_context.run_as.k8s_service_account == "trainer"
    assert dict(found.spec.labels.values) == {"team": "cv"}
    assert found.spec.max_parallelism == 3
    assert found.spec.launch_plan == flyte_id(plan, identifier_pb2.LAUNCH_PLAN)
    assert not found.spec.HasField("inputs")


def test_a_name_that_is_taken_already_exists_and_the_execution_of_that_name_stays(doors: Doors, plan: EntityId):
    run(doors, create(plan, name="nightly"))
    error = refused(lambda: run(doors, create(plan, name="nightly", inputs=integers(x=2))))
    assert (flyte_status(error).code, info(flyte_status(error)).reason) == (6, "ALREADY_EXISTS")
    assert data(doors, ExecutionId(DEV, "nightly")).full_inputs == integers(x=1)


def test_inputs_are_taken_from_either_place_in_which_clients_put_them(doors: Doors, plan: EntityId):
    old = create(plan, inputs=None)
    old.spec.inputs.CopyFrom(integers(x=5))
    assert data(doors, run(doors, old)).full_inputs == integers(x=5)


def test_the_fixed_input_that_pyflyte_sends_along_is_taken_only_as_it_is(doors: Doors):
    plan = doors.plan(doors.register(fan), fixed={"x": integer(7)})
    assert data(doors, run(doors, create(plan, inputs=integers(x=7)))).full_inputs == integers(x=7)
    assert data(doors, run(doors, create(plan, inputs=None))).full_inputs == integers(x=7)
    error = refused(lambda: run(doors, create(plan, inputs=integers(x=8))))
    assert (flyte_status(error).code, info(flyte_status(error)).metadata["input"]) == (3, "x")


def test_a_task_alone_is_run_with_all_of_its_inputs(doors: Doors, plan: EntityId):
    task = EntityId(DEV, double.name, "v1")
    id_ = run(doors, create(task, identifier_pb2.TASK))
    assert get(doors, id_).spec.launch_plan == flyte_id(task, identifier_pb2.TASK)
    assert data(doors, id_).full_inputs == integers(x=1)
    assert refused(lambda: run(doors, create(task, identifier_pb2.TASK, inputs=None))).reason is Reason.INPUT_INVALID
    missing = EntityId(DEV, double.name, "v9")
    assert refused(lambda: run(doors, create(missing, identifier_pb2.TASK))).reason is Reason.NOT_FOUND


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"project": ""}, "project"),
        ({"project": "A"}, "project"),
        ({"domain": ""}, "domain"),
        ({"domain": "qa"}, "domain"),
        ({"name": "Nightly"}, "name"),
        ({"name": "1"}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"name": "a-"}, "name"),
        ({"name": "a\0"}, "name"),
        ({"domain": "production"}, "spec.launch_plan"),
        ({"project": "other"}, "spec.launch_plan"),
    ],
)
def test_a_bad_request_is_refused_with_its_field_and_nothing_is_stored(doors: Doors, plan, fields: dict, field: str):
    doors.project("other")
    status = flyte_status(refused(lambda: run(doors, create(plan, **fields))))
    assert status.code == 3
    assert violated(status) == [field]
    assert names(doors) == []


def test_a_bad_spec_is_refused_with_its_field(doors: Doors, plan: EntityId):
    workflow, elsewhere, nameless, unversioned = create(plan), create(plan), create(plan), create(plan)
    workflow.spec.launch_plan.resource_type = identifier_pb2.WORKFLOW
    elsewhere.spec.raw_output_data_config.output_location_prefix = "s3://theirs"
    nameless.spec.launch_plan.name = ""
    unversioned.spec.launch_plan.version = ""
    for request, field in (
        (workflow, "spec.launch_plan.resource_type"),
        (elsewhere, "spec.raw_output_data_config.output_location_prefix"),
        (nameless, "spec.launch_plan.name"),
        (unversioned, "spec.launch_plan.version"),
    ):
        status = flyte_status(refused(lambda request=request: run(doors, request)))
        assert (status.code, violated(status)) == (3, [field])
    assert names(doors) == []


def test_an_archived_or_missing_project_is_told_as_flytes_clients_expect(doors: Doors, plan: EntityId):
    doors.archive()
    status = flyte_status(refused(lambda: run(doors, create(plan))))
    assert (status.code, info(status).reason) == (3, "PROJECT_ARCHIVED")
    assert detail(status, project_pb2.InactiveProject) == project_pb2.InactiveProject(id="vision")
    nobody = EntityId(Scope("nobody", "development"), "plan", "v1")
    assert flyte_status(refused(lambda: run(doors, create(nobody)))).code == 5


# --- the shape of an execution


@pytest.mark.parametrize("phase", list(ExecutionPhase))
def test_in_every_phase_an_execution_has_what_flytekit_reads_and_nothing_that_breaks_it(
    doors: Doors, plan: EntityId, phase: ExecutionPhase
):
    id_ = run(doors, create(plan))
    if phase is not ExecutionPhase.QUEUED:
        failed = phase in (ExecutionPhase.FAILED, ExecutionPhase.TIMED_OUT, ExecutionPhase.FAILING)
        move(doors, id_, phase, error=FAILURE if failed else None)
    closure = get(doors, id_).closure
    assert closure.phase == core.WorkflowExecution.Phase.Value(phase)
    assert closure.HasField("started_at")
    assert closure.HasField("duration")
    assert not closure.HasField("outputs")
    assert closure.HasField("error") == (phase in (ExecutionPhase.FAILED, ExecutionPhase.TIMED_OUT))
    if closure.HasField("error"):
        assert (closure.error.code, closure.error.message) == FAILURE[:2]
        assert closure.error.kind == core.ExecutionError.USER


def test_data_is_answered_in_full_and_outputs_come_with_success(doors: Doors, plan: EntityId):
    id_ = run(doors, create(plan))
    assert data(doors, id_).full_outputs == literals_pb2.LiteralMap()
    move(doors, id_, ExecutionPhase.SUCCEEDED, outputs=integers(o0=8))
    assert data(doors, id_).full_outputs == integers(o0=8)
    assert data(doors, id_).inputs.url == ""


# --- ending, archiving, launching again


def test_terminating_is_told_and_what_has_ended_says_its_state(doors: Doors, plan: EntityId):
    id_ = run(doors, create(plan))
    request = execution_pb2.ExecutionTerminateRequest(id=wire(id_), cause="stop")
    doors.flyte.TerminateExecution(request, call("user:bob"))
    closure = get(doors, id_).closure
    assert closure.phase == core.WorkflowExecution.ABORTING
    assert (closure.abort_metadata.cause, closure.abort_metadata.principal) == ("stop", "user:bob")
    for phase in sorted(ENDED_EXECUTION):
        move(doors, id_, phase)
        status = flyte_status(refused(lambda: doors.flyte.TerminateExecution(request, call())))
        assert status.code == 9
        reason = detail(status, event_pb2.EventFailureReason)
        assert reason.already_in_terminal_state.current_phase == phase


@pytest.mark.parametrize("cause", ["a\0b", "x" * 1025])
def test_a_cause_that_cannot_be_kept_is_refused(doors: Doors, plan: EntityId, cause: str):
    id_ = run(doors, create(plan))
    request = execution_pb2.ExecutionTerminateRequest(id=wire(id_), cause=cause)
    assert violated(flyte_status(refused(lambda: doors.flyte.TerminateExecution(request, call())))) == ["cause"]
    assert get(doors, id_).closure.phase == core.WorkflowExecution.QUEUED


def test_an_archived_record_leaves_the_usual_lists_and_comes_back(doors: Doors, plan: EntityId):
    kept, archived = run(doors, create(plan)), run(doors, create(plan))

    def update(state: int) -> None:
        doors.flyte.UpdateExecution(execution_pb2.ExecutionUpdateRequest(id=wire(archived), state=state), call())

    update(execution_pb2.EXECUTION_ARCHIVED)
    assert listed(doors) == names(doors) == [kept.name]
    assert listed(doors, filters="eq(state,1)") == [archived.name]
    assert listed(doors, filters="eq(execution.state,EXECUTION_ARCHIVED)") == [archived.name]
    assert listed(doors, filters="value_in(state,0;1)") == [archived.name, kept.name]
    assert get(doors, archived).closure.state_change_details.state == execution_pb2.EXECUTION_ARCHIVED
    update(execution_pb2.EXECUTION_ACTIVE)
    assert listed(doors) == [archived.name, kept.name]
    assert violated(flyte_status(refused(lambda: update(7)))) == ["state"]
    archived = ExecutionId(DEV, "nobody")
    assert refused(lambda: update(execution_pb2.EXECUTION_ARCHIVED)).reason is Reason.NOT_FOUND


def test_relaunching_runs_the_same_again_as_the_caller_of_now(doors: Doors):
    plan = doors.plan(doors.register(fan), defaults={"x": integer(4)}, labels={"team": "cv"})
    source = run(doors, create(plan, inputs=integers(x=9)))
    request = execution_pb2.ExecutionRelaunchRequest(id=wire(source), name="again", overwrite_cache=True)
    made = doors.flyte.RelaunchExecution(request, call("user:bob")).id
    assert made.name == "again"
    found = get(doors, ExecutionId(DEV, "again"))
    assert found.spec.launch_plan == flyte_id(plan, identifier_pb2.LAUNCH_PLAN)
    assert found.spec.metadata.mode == execution_pb2.ExecutionMetadata.RELAUNCH
    assert found.spec.metadata.principal == "user:bob"
    assert found.spec.metadata.reference_execution == wire(source)
    assert found.spec.overwrite_cache
    assert dict(found.spec.labels.values) == {"team": "cv"}
    assert data(doors, ExecutionId(DEV, "again")).full_inputs == integers(x=9)


def test_what_was_launched_natively_or_of_a_task_can_be_relaunched_too(doors: Doors):
    plan = doors.plan(doors.register(chain), fixed={"x": integer(7)})
    sources = [launch(doors, plan), run(doors, create(EntityId(DEV, double.name, "v1"), identifier_pb2.TASK))]
    expected = [integers(x=7), integers(x=1)]
    for source, inputs in zip(sources, expected, strict=True):
        made = doors.flyte.RelaunchExecution(execution_pb2.ExecutionRelaunchRequest(id=wire(source)), call()).id
        again = ExecutionId(DEV, made.name)
        assert data(doors, again).full_inputs == inputs
        assert get(doors, again).spec.launch_plan == get(doors, source).spec.launch_plan


def test_relaunching_keeps_the_rules_of_launching(doors: Doors, plan: EntityId):
    source = run(doors, create(plan))

    def again(id_: ExecutionId, name: str = "") -> ExecutionId:
        request = execution_pb2.ExecutionRelaunchRequest(id=wire(id_), name=name)
        made = doors.flyte.RelaunchExecution(request, call()).id
        return ExecutionId(DEV, made.name)

    assert refused(lambda: again(ExecutionId(DEV, "nobody"))).reason is Reason.NOT_FOUND
    assert refused(lambda: again(ExecutionId(PROD, source.name))).reason is Reason.NOT_FOUND
    assert refused(lambda: again(source, source.name)).reason is Reason.ALREADY_EXISTS
    assert violated(flyte_status(refused(lambda: again(source, "No")))) == ["name"]
    third = again(again(source))
    assert get(doors, third).spec.metadata.mode == execution_pb2.ExecutionMetadata.RELAUNCH
    doors.archive()
    assert refused(lambda: again(source)).reason is Reason.PROJECT_ARCHIVED


def test_of_many_creations_under_one_name_one_succeeds(doors: Doors, plan: EntityId):
    answers = together(*[lambda: run(doors, create(plan, name="nightly"))] * 6)
    assert [flyte_status(error).code for error in errors(answers)] == [6] * 5


# --- lists


def test_lists_are_filtered_as_flytes_clients_do(doors: Doors, plan: EntityId):
    other = doors.plan(EntityId(DEV, chain.name, "v1"), "other")
    queued, failed = run(doors, create(plan, name="aa-queued")), run(doors, create(other, name="bb-failed"), "user:bob")
    task = run(doors, create(EntityId(DEV, double.name, "v1"), identifier_pb2.TASK, name="cc-task"))
    move(doors, failed, ExecutionPhase.FAILED, error=FAILURE)

    def found(filters: str) -> list[str]:
        return sorted(listed(doors, filters=filters))

    assert found("eq(phase,FAILED)") == found("eq(execution.phase,FAILED)") == [failed.name]
    assert found("value_in(phase,UNDEFINED;QUEUED;RUNNING)") == [queued.name, task.name]
    assert found("ne(phase,FAILED)+eq(user,user:ann)") == [queued.name, task.name]
    assert found("eq(launch_plan.name,other)") == [failed.name]
    assert found(f"eq(workflow.name,{chain.name})") == [queued.name, failed.name]
    assert found(f"eq(task.name,{double.name})") == [task.name]
    assert found("contains(execution_name,b-f)") == [failed.name]
    assert found("eq(error_code,USER:ValueError)") == [failed.name]
    assert found("gte(created_at,2020-01-01T00:00:00Z)+eq(name,aa-queued)") == [queued.name]
    assert found("gt(started_at,2020-01-01T00:00:00Z)") == []
    for bad, reason in (
        ("eq(project,vision)", Reason.UNKNOWN_FIELD),
        ("eq(inputs,x)", Reason.UNKNOWN_FIELD),
        ("eq(lease_owner,x)", Reason.UNKNOWN_FIELD),
        ("eq(node_execution.phase,FAILED)", Reason.UNKNOWN_FIELD),
        ("eq(state,7)", Reason.INVALID_FIELD),
        ("eq(phase,A;B)", Reason.INVALID_FIELD),
        ("eq(phase,)", Reason.INVALID_FIELD),
        ("nonsense", Reason.INVALID_FIELD),
    ):
        assert refused(lambda bad=bad: found(bad)).reason is reason


def test_lists_are_light(doors: Doors, plan: EntityId):
    id_ = run(doors, create(plan))
    move(doors, id_, ExecutionPhase.FAILED, error=FAILURE)
    (found,) = doors.flyte.ListExecutions(listing(), call()).executions
    assert len(found.closure.error.message) == 100
    assert not found.spec.HasField("inputs")
    assert not found.closure.HasField("computed_inputs")


def test_every_sort_key_orders_every_execution_in_both_directions_and_pages_keep_the_order(
    doors: Doors, plan: EntityId
):
    made = [run(doors, create(plan, name=f"run{number}")) for number in range(5)]
    move(doors, made[1], ExecutionPhase.RUNNING)
    move(doors, made[3], ExecutionPhase.FAILED, error=FAILURE)
    keys = ["created_at", "updated_at", "started_at", "execution_name", "phase", "user", "error_code", "state", "name"]
    for key in keys:
        for direction in (common_pb2.Sort.DESCENDING, common_pb2.Sort.ASCENDING):
            sort = common_pb2.Sort(key=key, direction=direction)
            everything = listed(doors, sort_by=sort)
            assert sorted(everything) == [id_.name for id_ in made]

            def fetch(token: str, sort: common_pb2.Sort = sort):
                answer = doors.flyte.ListExecutions(listing(limit=2, token=token, sort_by=sort), call())
                return [each.id.name for each in answer.executions], answer.token

            assert [name for page in pages(fetch) for name in page] == everything
            assert [name for row in (0, 2, 4) for name in fetch(str(row))[0]] == everything
    newest = common_pb2.Sort(key="created_at")
    assert listed(doors, sort_by=newest) == [id_.name for id_ in reversed(made)]
    assert listed(doors, sort_by=common_pb2.Sort(key="started_at"))[0] == made[1].name
    assert refused(lambda: listed(doors, sort_by=common_pb2.Sort(key="spec"))).field == "sort_by.key"


def test_a_list_of_an_unknown_domain_and_one_without_a_limit_are_refused(doors: Doors):
    assert refused(lambda: listed(doors, scope=Scope("vision", "qa"))).reason is Reason.UNKNOWN_DOMAIN
    assert violated(flyte_status(refused(lambda: listed(doors, limit=0)))) == ["limit"]
    assert violated(flyte_status(refused(lambda: listed(doors, token="zz")))) == ["token"]


# --- nodes and attempts


@pytest.fixture
def ran(doors: Doors) -> ExecutionId:
    """An execution of a workflow with a sub-workflow, one failed attempt and one failed node."""
    id_ = run(doors, create(doors.plan(doors.register(outer))))
    node(doors, id_, "n0", position=0, workflow=True, entity=chain.name)
    node(doors, id_, "n0-n0", position=1, parent="n0", attempts=("SUCCEEDED",))
    node(doors, id_, "n1", position=2, attempts=("FAILED", "TIMED_OUT", "LOST", "SUCCEEDED"), decks=(0, 2))
    node(doors, id_, "n2", NodePhase.FAILED, position=3, attempts=("FAILED",), error=FAILURE)
    return id_


def nodes(doors: Doors, id_: ExecutionId, **fields) -> list[str]:
    request = node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=wire(id_), **{"limit": 100, **fields})
    return [each.id.node_id for each in doors.flyte.ListNodeExecutions(request, call()).node_executions]


def test_nodes_are_listed_level_by_level(doors: Doors, ran: ExecutionId):
    assert nodes(doors, ran) == ["n0", "n1", "n2"]
    assert nodes(doors, ran, unique_parent_id="n0") == ["n0-n0"]
    assert nodes(doors, ran, unique_parent_id="n1") == []
    ascending = common_pb2.Sort(key="created_at", direction=common_pb2.Sort.ASCENDING)
    assert nodes(doors, ran, sort_by=ascending) == ["n0", "n1", "n2"]
    assert nodes(doors, ran, filters="eq(phase,FAILED)") == nodes(doors, ran, filters="eq(node_execution.phase,FAILED)")
    assert nodes(doors, ran, filters="gt(position,1)") == ["n1", "n2"]
    for bad in (
        "eq(position,x)",
        "gt(position,2147483648)",
        "eq(position,99999999999999999999)",
        "eq(position,1" + "0" * 5000 + ")",
    ):
        assert refused(lambda bad=bad: nodes(doors, ran, filters=bad)).reason is Reason.INVALID_FIELD
    for bad in ("a\0", "a/b", "x" * 256):
        assert violated(flyte_status(refused(lambda bad=bad: nodes(doors, ran, unique_parent_id=bad)))) == [
            "unique_parent_id"
        ]
    assert refused(lambda: nodes(doors, ExecutionId(DEV, "nobody"))).reason is Reason.NOT_FOUND


def test_only_the_node_of_a_sub_workflow_is_a_parent(doors: Doors, ran: ExecutionId):
    request = node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=wire(ran), limit=2)

    def fetch(token: str):
        request.token = token
        answer = doors.flyte.ListNodeExecutions(request, call())
        return list(answer.node_executions), answer.token

    found = [each for page in pages(fetch) for each in page]
    assert [(each.metadata.spec_node_id, each.metadata.is_parent_node) for each in found] == [
        ("n0", True),
        ("n1", False),
        ("n2", False),
    ]
    assert [each.closure.HasField("error") for each in found] == [False, False, True]
    assert all(each.id.execution_id == wire(ran) for each in found)
    get_ = node_execution_pb2.NodeExecutionGetRequest(id=wire_node(ran, "n1"))
    assert doors.flyte.GetNodeExecution(get_, call()) == found[1]
    get_.id.node_id = "n9"
    assert refused(lambda: doors.flyte.GetNodeExecution(get_, call())).reason is Reason.NOT_FOUND
    get_.id.node_id = ""
    assert violated(flyte_status(refused(lambda: doors.flyte.GetNodeExecution(get_, call())))) == ["id.node_id"]


def test_every_attempt_of_a_finished_node_answers_its_data(doors: Doors, ran: ExecutionId):
    request = task_execution_pb2.TaskExecutionListRequest(node_execution_id=wire_node(ran, "n1"), limit=100)
    attempts = doors.flyte.ListTaskExecutions(request, call()).task_executions
    assert [each.id.retry_attempt for each in attempts] == [0, 1, 2, 3]
    phases = [each.closure.phase for each in attempts]
    assert phases == [core.TaskExecution.FAILED] * 3 + [core.TaskExecution.SUCCEEDED]
    assert attempts[0].id.task_id.resource_type == identifier_pb2.TASK
    for attempt in attempts:
        one = doors.flyte.GetTaskExecution(task_execution_pb2.TaskExecutionGetRequest(id=attempt.id), call())
        assert one == attempt
        answer = doors.flyte.GetTaskExecutionData(task_execution_pb2.TaskExecutionGetDataRequest(id=attempt.id), call())
        assert answer.full_inputs == integers(x=2)
        assert bool(answer.full_outputs.literals) == (attempt.closure.phase == core.TaskExecution.SUCCEEDED)
    attempts[0].id.retry_attempt = 9
    for missing in (
        lambda: doors.flyte.GetTaskExecution(task_execution_pb2.TaskExecutionGetRequest(id=attempts[0].id), call()),
        lambda: doors.flyte.GetTaskExecutionData(
            task_execution_pb2.TaskExecutionGetDataRequest(id=attempts[0].id), call()
        ),
    ):
        assert refused(missing).reason is Reason.NOT_FOUND
    huge = "eq(retry_attempt,99999999999999999999)"
    bad = task_execution_pb2.TaskExecutionListRequest(node_execution_id=wire_node(ran, "n1"), limit=100, filters=huge)
    assert refused(lambda: doors.flyte.ListTaskExecutions(bad, call())).reason is Reason.INVALID_FIELD


def test_an_attempt_number_that_no_attempt_can_have_is_not_found(doors: Doors, ran: ExecutionId):
    id_ = identifier_pb2.TaskExecutionIdentifier(node_execution_id=wire_node(ran, "n1"), retry_attempt=2**32 - 1)
    request = task_execution_pb2.TaskExecutionGetRequest(id=id_)
    assert refused(lambda: doors.flyte.GetTaskExecution(request, call())).reason is Reason.NOT_FOUND


def test_a_nodes_data_is_answered_in_full(doors: Doors, ran: ExecutionId):
    def of(node_id: str) -> node_execution_pb2.NodeExecutionGetDataResponse:
        request = node_execution_pb2.NodeExecutionGetDataRequest(id=wire_node(ran, node_id))
        return doors.flyte.GetNodeExecutionData(request, call())

    assert (of("n1").full_inputs, of("n1").full_outputs) == (integers(x=2), integers(o0=4))
    assert (of("n2").full_inputs, of("n2").full_outputs) == (integers(x=3), literals_pb2.LiteralMap())
    assert refused(lambda: of("start-node")).reason is Reason.NOT_FOUND


# --- data by URL


def test_a_flyte_url_leads_to_the_data_of_a_node(doors: Doors, ran: ExecutionId):
    def of(rest: str) -> dataproxy_pb2.GetDataResponse:
        url = f"flyte://v1/vision/development/{ran.name}/{rest}"
        assert scope_of_flyte_url(url) == DEV
        return doors.flyte.GetData(dataproxy_pb2.GetDataRequest(flyte_url=url), call())

    assert of("n1/i").literal_map == integers(x=2)
    assert of("n1/3/o").literal_map == integers(o0=4)
    assert of("n1/o/o0").literal == integer(4)
    for rest in ("n9/i", "n1/9/o"):
        assert refused(lambda rest=rest: of(rest)).reason is Reason.NOT_FOUND
    assert refused(lambda: of("n1/o/o9")).reason is Reason.INVALID_FIELD
    assert refused(lambda: of("n1/d/o0")).reason is Reason.INVALID_FIELD


def granted(doors: Doors, signed: dataproxy_pb2.PreSignedURLs) -> UrlGrant:
    """Read what the one URL allows, and that it is good."""
    (url,) = signed.signed_url
    parts = urlsplit(url)
    project, domain, path = parts.path.removeprefix("/artifacts/").split("/", 2)
    grant = doors.signer.verify("GET", Scope(project, domain), path, parts.query)
    assert grant.expires_at == signed.expires_at.ToSeconds()
    return grant


def test_a_deck_url_shows_the_deck_of_the_last_attempt_that_left_one_or_of_the_one_asked_for(
    doors: Doors, ran: ExecutionId
):
    def of(rest: str) -> dataproxy_pb2.GetDataResponse:
        request = dataproxy_pb2.GetDataRequest(flyte_url=f"flyte://v1/vision/development/{ran.name}/{rest}")
        return doors.flyte.GetData(request, call())

    last, first = granted(doors, of("n1/d").pre_signed_urls), granted(doors, of("n1/0/d").pre_signed_urls)
    assert (last.scope, last.path) == (DEV, f"decks/{ran.name}/n1/2/deck.html")
    assert (first.scope, first.path) == (DEV, f"decks/{ran.name}/n1/0/deck.html")
    assert last.page != first.page
    assert granted(doors, of("n1/d").pre_signed_urls).page not in (None, last.page, first.page)
    for rest in ("n0/d", "n2/d", "n1/1/d", "n1/9/d", "n9/d"):
        assert refused(lambda rest=rest: of(rest)).reason is Reason.NOT_FOUND, rest


def test_a_nodes_deck_uri_is_there_where_the_deck_is(doors: Doors, ran: ExecutionId):
    request = node_execution_pb2.NodeExecutionListRequest(workflow_execution_id=wire(ran), limit=100)
    listed = doors.flyte.ListNodeExecutions(request, call()).node_executions
    uris = {each.id.node_id: each.closure.deck_uri for each in listed}
    assert uris["n0"] == uris["n2"] == ""
    assert doors.artifacts.locate(uris["n1"]) == (DEV, f"decks/{ran.name}/n1/2/deck.html")
    one = node_execution_pb2.NodeExecutionGetRequest(id=wire_node(ran, "n1"))
    assert doors.flyte.GetNodeExecution(one, call()).closure.deck_uri == uris["n1"]


def test_a_download_link_shows_a_nodes_deck_for_as_long_as_was_asked(doors: Doors, ran: ExecutionId):
    def link(node_id: str = "n1", kind: int = dataproxy_pb2.ARTIFACT_TYPE_DECK, **fields):
        request = dataproxy_pb2.CreateDownloadLinkRequest(
            artifact_type=kind, node_execution_id=wire_node(ran, node_id), **fields
        )
        return doors.flyte.CreateDownloadLink(request, call())

    doors.clock.frozen = START
    answer = link(expires_in=Duration(seconds=60))
    grant = granted(doors, answer.pre_signed_urls)
    assert (grant.scope, grant.path) == (DEV, f"decks/{ran.name}/n1/2/deck.html")
    assert grant.expires_at == START // 10**6 + 60
    assert grant.page
    assert (answer.signed_url, answer.expires_at) == (
        answer.pre_signed_urls.signed_url,
        answer.pre_signed_urls.expires_at,
    )
    assert granted(doors, link().pre_signed_urls).expires_at == START // 10**6 + 3600
    assert refused(lambda: link("n2")).reason is Reason.NOT_FOUND
    assert refused(lambda: link("n9")).reason is Reason.NOT_FOUND
    assert refused(lambda: link(kind=dataproxy_pb2.ARTIFACT_TYPE_UNDEFINED)).field == "artifact_type"
    assert refused(lambda: link(kind=7)).field == "artifact_type"
    for asked in (Duration(), Duration(seconds=-1), Duration(seconds=3600, nanos=1)):
        assert refused(lambda asked=asked: link(expires_in=asked)).field == "expires_in"
    assert refused(lambda: link("")).field == "node_execution_id.node_id"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "flyte://v1/vision/development/run/n0",
        "flyte://v2/vision/development/run/n0/i",
        "flyte://v1/vision/development/run/n0/i/",
        "flyte://v1/vision/development/run/n0/i/a/b",
        "flyte://v1//development/run/n0/i",
        "http://v1/vision/development/run/n0/i",
        "flyte://v1/vision/development/run/n0/i\n",
        "flyte://v1/vision/development/run/n0/12345/i",
    ],
)
def test_what_is_no_flyte_url_is_refused(doors: Doors, url: str):
    assert refused(lambda: scope_of_flyte_url(url)).reason is Reason.INVALID_FIELD


@pytest.mark.parametrize(
    "rest",
    ["Vision/development/run/n0/i", "vision/qa/run/n0/i", "vision/development/Run/n0/i", "vision/development/run/\0/i"],
)
def test_a_flyte_url_of_impossible_names_is_refused_and_no_fault(doors: Doors, rest: str):
    request = dataproxy_pb2.GetDataRequest(flyte_url=f"flyte://v1/{rest}")
    error = refused(lambda: doors.flyte.GetData(request, call()))
    assert flyte_status(error).code == 3
