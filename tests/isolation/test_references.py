"""References between projects: only what is exported, never across domains, and nothing told of what is not."""

from dataclasses import replace

import pytest
from execution_rows import request
from flyte_samples import add, chain, double, launching, outer, workflow_spec
from flyteidl.admin import execution_pb2, workflow_pb2
from flyteidl.core import compiler_pb2, identifier_pb2
from google.protobuf.struct_pb2 import Struct
from sqlalchemy import text
from wing_doors import (
    Doors,
    call,
    export_of,
    flyte_id,
    flyte_status,
    integers,
    moved,
    plan_spec,
    register_plan,
    register_workflow,
    scope_message,
    together,
    workflow_id,
)

from airspace.execution.v1 import execution_service_pb2 as execution_v1
from airspace.reference.v1 import reference_service_pb2 as reference_pb
from airspace.registry.v1 import registry_service_pb2 as registry_pb
from airspace_server.access.decide import Grant, Grants
from airspace_server.admin.references import users
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.permissions import BUILT_IN_ROLES
from airspace_server.core.scope import EntityId, EntityKind, ExecutionId, Reference, Scope, ScopePattern
from airspace_server.engine.plan import parse
from airspace_server.flyte.references import needed
from airspace_server.rpc.status import native, status_of

OURS, THEIRS, THIRD = (Scope(project, "development") for project in ("vision", "maps", "ads"))
WORKFLOW = EntityId(OURS, chain.name, "v1")


@pytest.fixture
def projects(doors: Doors) -> Doors:
    for scope in (THEIRS, THIRD):
        doors.project(scope.project)
    return doors


def borrowing(name: str = double.name, of: Scope = THEIRS, version: str = "v1") -> workflow_pb2.WorkflowSpec:
    """A workflow of our own whose task is another scope's."""
    spec = moved(workflow_spec(chain), OURS, "v1")
    for node in spec.template.nodes:
        node.task_node.reference_id.CopyFrom(flyte_id(EntityId(of, name, version), identifier_pb2.TASK))
    return spec


def register(doors: Doors, spec: workflow_pb2.WorkflowSpec, id_: EntityId = WORKFLOW) -> bool:
    return doors.registry.RegisterWorkflow(register_workflow(id_, spec), call()).created


def register_flyte(doors: Doors, spec: workflow_pb2.WorkflowSpec, id_: EntityId = WORKFLOW) -> None:
    doors.admin.CreateWorkflow(
        workflow_pb2.WorkflowCreateRequest(id=flyte_id(id_, identifier_pb2.WORKFLOW), spec=spec), call()
    )


def closure(doors: Doors, id_: EntityId = WORKFLOW) -> compiler_pb2.CompiledWorkflowClosure:
    answer = doors.registry.GetWorkflow(registry_pb.GetWorkflowRequest(workflow=workflow_id(id_)), call())
    found = workflow_pb2.WorkflowClosure()
    answer.workflow.closure.Unpack(found)
    return found.compiled_workflow


def refused(act) -> ApiError:
    with pytest.raises(ApiError) as caught:
        act()
    return caught.value


def launch(doors: Doors, plan: EntityId) -> str:
    inputs = Struct()
    inputs.update({"x": 3})
    return doors.executions.LaunchExecution(request(plan, inputs=inputs), call()).execution.id.name


# --- registering


def test_what_another_project_exports_can_be_used_on_both_wires(projects: Doors):
    projects.register(chain, THEIRS)
    projects.export("TASK", double.name, of=THEIRS, to=OURS.project)

    assert register(projects, borrowing())
    register_flyte(projects, borrowing(), replace(WORKFLOW, version="v2"))

    assert {(task.template.id.project, task.template.id.name) for task in closure(projects).tasks} == {
        ("maps", double.name)
    }


def test_all_of_a_kind_can_be_exported_those_to_come_included(projects: Doors):
    projects.export("TASK", "*", of=THEIRS, to=OURS.project)
    assert refused(lambda: register(projects, borrowing())).reason is Reason.WORKFLOW_INVALID  # not there yet
    projects.register(chain, THEIRS)
    assert register(projects, borrowing())


USELESS_EXPORTS = {
    "none": (),
    "of another name": (("TASK", add.name, THEIRS, OURS.project),),
    "of another kind": (("WORKFLOW", "*", THEIRS, OURS.project), ("LAUNCH_PLAN", "*", THEIRS, OURS.project)),
    "to another project": (("TASK", "*", THEIRS, THIRD.project),),
    "of another project": (("TASK", "*", THIRD, OURS.project),),
    "of another domain": (("TASK", "*", replace(THEIRS, domain="production"), OURS.project),),
    "the other way round": (("TASK", "*", OURS, THEIRS.project),),
}


@pytest.mark.parametrize("exports", USELESS_EXPORTS.values(), ids=USELESS_EXPORTS.keys())
@pytest.mark.parametrize("act", [register, register_flyte])
def test_what_is_not_exported_is_refused_in_the_same_bytes_whether_or_not_it_exists(projects: Doors, act, exports):
    for kind, name, of, to in exports:
        projects.export(kind, name, of=of, to=to)
    missing = refused(lambda: act(projects, borrowing()))
    projects.register(chain, THEIRS)
    there = refused(lambda: act(projects, borrowing()))

    assert there.reason is Reason.FOREIGN_REFERENCE
    for answer in (flyte_status, lambda error: status_of(error, "r-1", native)):
        assert answer(missing).SerializeToString() == answer(there).SerializeToString()


def test_a_thing_that_is_not_exported_is_refused_before_what_is_missing_of_an_exported_one(projects: Doors):
    projects.export("TASK", "not-there", of=THEIRS, to=OURS.project)
    spec = borrowing()
    spec.template.nodes[0].task_node.reference_id.name = "not-there"
    before = refused(lambda: register(projects, spec))
    projects.register(chain, THEIRS)
    assert refused(lambda: register(projects, spec)) == before
    assert before.reason is Reason.FOREIGN_REFERENCE


@pytest.mark.parametrize("elsewhere", [replace(OURS, domain="production"), replace(THEIRS, domain="production")])
def test_nothing_is_referred_to_across_domains_whatever_is_exported(projects: Doors, elsewhere: Scope):
    projects.register(chain, elsewhere)
    for exporter in (THEIRS, replace(THEIRS, domain="production")):
        for kind in ("TASK", "WORKFLOW", "LAUNCH_PLAN"):
            projects.export(kind, of=exporter, to=OURS.project)
    for act in (register, register_flyte):
        assert refused(lambda act=act: act(projects, borrowing(of=elsewhere))).reason is Reason.FOREIGN_REFERENCE
    plan = EntityId(OURS, "plan", "v1")
    spec = plan_spec(EntityId(elsewhere, chain.name, "v1"))
    error = refused(lambda: projects.plans.RegisterLaunchPlan(register_plan(plan, spec), call()))
    assert error.reason is Reason.FOREIGN_REFERENCE


def test_a_launch_plan_runs_another_projects_workflow_only_where_that_is_exported(projects: Doors):
    theirs = EntityId(THEIRS, chain.name, "v1")
    missing = refused(lambda: projects.plan(theirs, scope=OURS))
    projects.register(chain, THEIRS)
    there = refused(lambda: projects.plan(theirs, scope=OURS))
    assert missing == there
    assert there.reason is Reason.FOREIGN_REFERENCE

    projects.export("WORKFLOW", chain.name, of=THEIRS, to=OURS.project)
    plan = projects.plan(theirs, scope=OURS)

    launched = launch(projects, plan)
    assert _executions(projects, THEIRS) == []  # nothing of it lands in the exporter's scope
    assert _executions(projects, OURS) == [launched]


def _executions(doors: Doors, scope: Scope) -> list[str]:
    answer = doors.executions.ListExecutions(execution_v1.ListExecutionsRequest(scope=scope_message(scope)), call())
    return [one.id.name for one in answer.executions]


def test_a_launch_plan_node_of_another_project_needs_an_export_of_the_launch_plan(projects: Doors):
    workflow = projects.register(chain, THEIRS)
    projects.plan(workflow, "samples.chain_lp", defaults=dict(integers(x=4).literals))
    projects.register(chain)
    projects.plan(WORKFLOW, "samples.chain_lp", defaults=dict(integers(x=4).literals))
    projects.register(launching)
    spec = moved(workflow_spec(launching), OURS, "v1")
    for node in spec.template.nodes:
        if node.workflow_node.HasField("launchplan_ref"):
            node.workflow_node.launchplan_ref.project = THEIRS.project
    id_ = EntityId(OURS, launching.name, "v2")
    projects.export("WORKFLOW", of=THEIRS, to=OURS.project)
    projects.export("TASK", of=THEIRS, to=OURS.project)
    error = refused(lambda: register(projects, spec, id_))
    assert error.reason is Reason.FOREIGN_REFERENCE
    assert error.field.endswith(".workflow_node.launchplan_ref")
    projects.export("LAUNCH_PLAN", "samples.chain_lp", of=THEIRS, to=OURS.project)
    assert register(projects, spec, id_)


def test_a_sub_workflow_of_another_project_is_what_that_project_registered_whatever_is_sent(projects: Doors):
    projects.register(chain, THEIRS)
    projects.register(outer)
    spec = moved(workflow_spec(outer), OURS, "v1")
    for sub in spec.sub_workflows:
        if sub.id.name == chain.name:
            sub.id.project = THEIRS.project
            del sub.nodes[1:]  # forged
    for node in spec.template.nodes:
        if node.workflow_node.HasField("sub_workflow_ref"):
            node.workflow_node.sub_workflow_ref.project = THEIRS.project
    id_ = EntityId(OURS, outer.name, "v2")
    assert refused(lambda: register(projects, spec, id_)).reason is Reason.FOREIGN_REFERENCE

    projects.export("WORKFLOW", chain.name, of=THEIRS, to=OURS.project)
    assert register(projects, spec, id_)

    registered = closure(projects, EntityId(THEIRS, chain.name, "v1"))
    kept = [sub for sub in closure(projects, id_).sub_workflows if sub.template.id.project == THEIRS.project]
    assert kept == [registered.primary]
    # Its own project's tasks came along with it, though no task is exported.
    assert {task.template.id.project for task in closure(projects, id_).tasks} == {"vision", "maps"}


def test_tasks_of_two_projects_with_one_name_and_version_are_kept_apart(projects: Doors):
    projects.register(chain, THEIRS)
    projects.register(chain)
    projects.export("TASK", of=THEIRS, to=OURS.project)
    spec = moved(workflow_spec(chain), OURS, "v1")
    spec.template.nodes[0].task_node.reference_id.project = THEIRS.project
    register(projects, spec, replace(WORKFLOW, version="v2"))

    plan = parse(closure(projects, replace(WORKFLOW, version="v2")))

    ran = [plan.task(node).id.project for node in plan.nodes.values()]
    assert sorted(ran) == ["maps", "vision", "vision"]


# --- an export does not travel


def test_what_a_third_project_has_in_a_workflow_it_must_have_exported_to_the_consumer_itself(projects: Doors):
    projects.register(chain, THIRD)
    projects.export("TASK", double.name, of=THIRD, to=THEIRS.project)
    theirs = EntityId(THEIRS, chain.name, "v1")
    register(projects, _in_scope(borrowing(of=THIRD), THEIRS), theirs)
    projects.export("WORKFLOW", chain.name, of=THEIRS, to=OURS.project)

    error = refused(lambda: projects.plan(theirs, scope=OURS))
    assert (error.reason, error.metadata["reference"]) == (
        Reason.EXPORT_MISSING,
        f"ads/development/{double.name}:v1",
    )
    projects.export("TASK", double.name, of=THIRD, to=OURS.project)
    plan = projects.plan(theirs, scope=OURS)
    assert launch(projects, plan)
    projects.take_back("TASK", double.name, of=THIRD, to=OURS.project)
    assert refused(lambda: launch(projects, plan)).reason is Reason.EXPORT_MISSING


def _in_scope(spec: workflow_pb2.WorkflowSpec, scope: Scope) -> workflow_pb2.WorkflowSpec:
    spec.template.id.project, spec.template.id.domain = scope.project, scope.domain
    return spec


def test_what_a_compiled_workflow_needs_is_told_from_it_alone(projects: Doors):
    projects.register(chain, THEIRS)
    projects.export("TASK", of=THEIRS, to=OURS.project)
    register(projects, borrowing())
    task = Reference(EntityKind.TASK, EntityId(THEIRS, double.name, "v1"))
    assert needed(OURS, closure(projects)) == {task}
    assert needed(THIRD, closure(projects)) == {task, Reference(EntityKind.WORKFLOW, WORKFLOW)}
    assert needed(THEIRS, closure(projects)) == {Reference(EntityKind.WORKFLOW, WORKFLOW)}


# --- taking an export back


def test_taking_an_export_back_keeps_what_is_registered_and_stops_its_launches(projects: Doors):
    projects.register(chain, THEIRS)
    projects.export("TASK", double.name, of=THEIRS, to=OURS.project)
    register(projects, borrowing())
    plan = projects.plan(WORKFLOW)
    running = launch(projects, plan)

    projects.take_back("TASK", double.name, of=THEIRS, to=OURS.project)

    before = projects.store.get(_execution(running)).phase
    assert closure(projects).tasks
    error = refused(lambda: launch(projects, plan))
    assert (error.reason, error.metadata["reference"]) == (
        Reason.EXPORT_MISSING,
        f"maps/development/{double.name}:v1",
    )
    flyte = execution_pb2.ExecutionCreateRequest(project=OURS.project, domain=OURS.domain, inputs=integers(x=3))
    flyte.spec.launch_plan.CopyFrom(flyte_id(plan, identifier_pb2.LAUNCH_PLAN))
    assert refused(lambda: projects.flyte.CreateExecution(flyte, call())).reason is Reason.EXPORT_MISSING
    again = execution_pb2.ExecutionRelaunchRequest()
    again.id.project, again.id.domain, again.id.name = OURS.project, OURS.domain, running
    assert refused(lambda: projects.flyte.RelaunchExecution(again, call())).reason is Reason.EXPORT_MISSING
    assert refused(lambda: register(projects, borrowing())).reason is Reason.FOREIGN_REFERENCE
    assert projects.store.get(_execution(running)).phase is before
    assert _executions(projects, OURS) == [running]

    projects.export("TASK", "*", of=THEIRS, to=OURS.project)
    assert launch(projects, plan)


def _execution(name: str):
    return ExecutionId(OURS, name)


def test_nothing_of_another_project_is_launched_directly_even_if_it_is_exported(projects: Doors):
    theirs = projects.plan(projects.register(chain, THEIRS))
    for kind in ("TASK", "WORKFLOW", "LAUNCH_PLAN"):
        projects.export(kind, of=THEIRS, to=OURS.project)
    for launched in (
        flyte_id(theirs, identifier_pb2.LAUNCH_PLAN),
        flyte_id(EntityId(THEIRS, double.name, "v1"), identifier_pb2.TASK),
    ):
        asked = execution_pb2.ExecutionCreateRequest(project=OURS.project, domain=OURS.domain, inputs=integers(x=3))
        asked.spec.launch_plan.CopyFrom(launched)
        assert refused(lambda asked=asked: projects.flyte.CreateExecution(asked, call())).reason is (
            Reason.FOREIGN_REFERENCE
        )


def test_an_export_that_is_taken_back_as_something_is_launched_is_gone_before_or_after_it(projects: Doors):
    projects.register(chain, THEIRS)
    projects.export("TASK", double.name, of=THEIRS, to=OURS.project)
    register(projects, borrowing())
    plan = projects.plan(WORKFLOW)
    for _ in range(5):
        before = len(_executions(projects, OURS))
        launched, taken = together(
            lambda: launch(projects, plan), lambda: projects.take_back("TASK", double.name, of=THEIRS, to=OURS.project)
        )
        assert taken is None
        made = len(_executions(projects, OURS)) - before
        assert made == 1 if isinstance(launched, str) else (made, launched.reason) == (0, Reason.EXPORT_MISSING)
        assert refused(lambda: launch(projects, plan)).reason is Reason.EXPORT_MISSING
        projects.export("TASK", double.name, of=THEIRS, to=OURS.project)


# --- exports


def exports(doors: Doors, scope: Scope = THEIRS, size: int = 0) -> list[tuple[int, str, str]]:
    found, token = [], ""
    while True:
        answer = doors.references.ListExports(
            reference_pb.ListExportsRequest(scope=scope_message(scope), page_size=size, page_token=token), call()
        )
        found += [(each.kind, each.name, each.consumer) for each in answer.exports]
        token = answer.next_page_token
        if not token:
            return found


def test_exports_are_listed_in_pages_and_those_of_one_scope_alone(projects: Doors):
    wanted = [("LAUNCH_PLAN", "*"), ("TASK", "a"), ("TASK", "b"), ("WORKFLOW", "a")]
    for kind, name in reversed(wanted):
        projects.export(kind, name, of=THEIRS, to=OURS.project)
    projects.export("TASK", "a", of=THIRD, to=OURS.project)
    projects.export("TASK", "a", of=replace(THEIRS, domain="staging"), to=OURS.project)
    expected = [(reference_pb.EntityKind.Value(f"ENTITY_KIND_{kind}"), name, "vision") for kind, name in wanted]
    assert exports(projects) == exports(projects, size=1) == exports(projects, size=3) == expected


def test_exporting_again_changes_nothing_and_keeps_who_did_it_first(projects: Doors):
    asked = export_of(reference_pb.CreateExportRequest, "TASK", "a", of=THEIRS, to="nobody-knows")
    first = projects.references.CreateExport(asked, call("user:ann"))
    assert projects.references.CreateExport(asked, call("user:bob")) == first
    assert first.export.creator == "user:ann"


def test_an_export_that_is_not_there_cannot_be_taken_back(projects: Doors):
    projects.export("TASK", "*", of=THEIRS, to=OURS.project)
    assert refused(lambda: projects.take_back("TASK", "a", of=THEIRS, to="vision")).reason is Reason.NOT_FOUND
    assert len(exports(projects)) == 1


def test_an_export_to_oneself_means_nothing_and_is_refused(projects: Doors):
    error = refused(lambda: projects.export("TASK", of=THEIRS, to=THEIRS.project))
    assert (error.reason, error.field) == (Reason.INVALID_FIELD, "consumer")


def test_what_an_archived_project_exports_can_still_be_launched_by_others(projects: Doors):
    projects.register(chain, THEIRS)
    projects.export("TASK", of=THEIRS, to=OURS.project)
    register(projects, borrowing())
    plan = projects.plan(WORKFLOW)
    projects.archive(THEIRS.project)
    assert launch(projects, plan)


def test_an_archived_project_takes_exports_back_and_gives_none(projects: Doors):
    projects.export("TASK", "a", of=THEIRS, to=OURS.project)
    projects.archive(THEIRS.project)
    error = refused(lambda: projects.export("TASK", "b", of=THEIRS, to=OURS.project))
    assert error.reason is Reason.PROJECT_ARCHIVED
    projects.take_back("TASK", "a", of=THEIRS, to=OURS.project)
    assert exports(projects) == []


# --- who depends on this


def dependents(doors: Doors, kind: str, id_: EntityId, *patterns: str, version: str = "", size: int = 0) -> list[str]:
    grants = Grants.compile(
        Grant("user:ann", ScopePattern(*pattern.split("/")), BUILT_IN_ROLES["viewer"]) for pattern in patterns
    )
    found, token = [], ""
    while True:
        answer = doors.references.ListDependents(
            reference_pb.ListDependentsRequest(
                scope=scope_message(id_.scope),
                kind=f"ENTITY_KIND_{kind}",
                name=id_.name,
                version=version,
                page_size=size,
                page_token=token,
            ),
            call(grants=grants),
        )
        assert not size or len(answer.dependents) <= size
        for each in answer.dependents:
            what = reference_pb.EntityKind.Name(each.kind).removeprefix("ENTITY_KIND_")
            found.append(f"{each.scope.project} {what} {each.name}:{each.version} uses {each.uses_version}")
        token = answer.next_page_token
        if not token:
            return found


@pytest.fixture
def used(projects: Doors) -> Doors:
    """A task of theirs that workflows of all three projects use, and a workflow that launch plans of two have."""
    projects.register(chain, THEIRS)
    for kind in ("TASK", "WORKFLOW"):
        for consumer in (OURS, THIRD):
            projects.export(kind, of=THEIRS, to=consumer.project)
    register(projects, borrowing())
    register(projects, borrowing(), replace(WORKFLOW, version="v2"))
    register(projects, _in_scope(borrowing(), THIRD), replace(WORKFLOW, scope=THIRD))
    projects.plan(EntityId(THEIRS, chain.name, "v1"), scope=OURS)
    projects.plan(EntityId(THEIRS, chain.name, "v1"), "own")
    return projects


TASK = EntityId(THEIRS, double.name, "v1")


def test_dependents_are_those_in_the_scopes_that_the_caller_may_read_and_nothing_of_the_rest(used: Doors):
    in_ours = [f"vision WORKFLOW {chain.name}:v{number} uses v1" for number in (1, 2)]
    in_theirs = [f"maps WORKFLOW {chain.name}:v1 uses v1"]
    in_third = [f"ads WORKFLOW {chain.name}:v1 uses v1"]
    assert dependents(used, "TASK", TASK, "maps/*") == in_theirs
    assert dependents(used, "TASK", TASK, "maps/development", "vision/development") == in_theirs + in_ours
    assert dependents(used, "TASK", TASK, "*/development") == in_third + in_theirs + in_ours
    assert dependents(used, "TASK", TASK, "*/*", size=1) == in_third + in_theirs + in_ours
    assert dependents(used, "TASK", TASK, "maps/development", "*/production", "vision/staging", size=1) == in_theirs


def test_the_pages_of_a_caller_do_not_show_how_much_is_hidden_between_its_own_rows(used: Doors):
    """With one row a page, the last page has no token though rows of others follow it."""
    grants = Grants.compile([Grant("user:ann", ScopePattern("maps", "development"), BUILT_IN_ROLES["viewer"])])
    answer = used.references.ListDependents(
        reference_pb.ListDependentsRequest(
            scope=scope_message(THEIRS), kind=reference_pb.ENTITY_KIND_TASK, name=double.name, page_size=1
        ),
        call(grants=grants),
    )
    assert (len(answer.dependents), answer.next_page_token) == (1, "")


def test_launch_plans_depend_on_their_workflow_in_whatever_project_they_are(used: Doors):
    workflow = EntityId(THEIRS, chain.name, "v1")
    assert dependents(used, "WORKFLOW", workflow, "*/*") == [
        "maps LAUNCH_PLAN own:v1 uses v1",
        "vision LAUNCH_PLAN plan:v1 uses v1",
    ]


def test_dependents_of_one_version_are_those_of_that_version(used: Doors):
    assert dependents(used, "TASK", TASK, "maps/*", version="v1") == dependents(used, "TASK", TASK, "maps/*")
    assert dependents(used, "TASK", TASK, "*/*", version="v2") == []
    assert dependents(used, "WORKFLOW", TASK, "*/*") == []
    assert dependents(used, "TASK", replace(TASK, scope=OURS), "*/*") == []


def test_a_page_token_of_one_list_is_none_of_another(used: Doors):
    grants = Grants.compile([Grant("user:ann", ScopePattern("*", "*"), BUILT_IN_ROLES["viewer"])])
    asked = reference_pb.ListDependentsRequest(
        scope=scope_message(THEIRS), kind=reference_pb.ENTITY_KIND_TASK, name=double.name, page_size=1
    )
    token = used.references.ListDependents(asked, call(grants=grants)).next_page_token
    asked.page_token, asked.name = token, add.name
    error = refused(lambda: used.references.ListDependents(asked, call(grants=grants)))
    assert error.reason is Reason.INVALID_PAGE_TOKEN


@pytest.mark.parametrize("seen", [None, ["maps", "vision"]])
def test_dependents_are_found_by_an_index_and_not_by_reading_all_references(used: Doors, seen: list[str] | None):
    statement = users(Scope("maps", "development"), EntityKind.TASK, double.name, "", seen)
    if used.database.engine.dialect.name == "sqlite":
        with used.database.engine.connect() as connection:
            connection = connection.execution_options(airspace_across=True)
            compiled = statement.compile(connection, compile_kwargs={"literal_binds": True})
            plan = connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}")).all()
        assert all("SEARCH" in row.detail and "version_references_by_use" in row.detail for row in plan)
    names = [column.name for index in statement.get_final_froms()[0].indexes for column in index.columns]
    assert names[:4] == ["domain", "used_project", "used_kind", "used_name"]
