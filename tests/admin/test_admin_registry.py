"""Tasks and workflows: versions that are registered once and never change, through both front doors."""

from dataclasses import replace

import pytest
from flyte_samples import add, chain, double, fan, foreign, outer, serialize, task_spec, workflow_spec
from flyteidl.admin import common_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2
from wing_doors import (
    DEV,
    PROD,
    Doors,
    call,
    detail,
    errors,
    flyte_id,
    flyte_status,
    info,
    moved,
    pages,
    register_task,
    register_workflow,
    scope_message,
    task_id,
    together,
    violated,
    workflow_id,
)

from airspace.registry.v1 import registry_service_pb2 as pb
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import EntityId, Scope

DOUBLE = EntityId(DEV, double.name, "v1")
CHAIN = EntityId(DEV, chain.name, "v1")


def changed(spec: task_pb2.TaskSpec) -> task_pb2.TaskSpec:
    other = task_pb2.TaskSpec()
    other.CopyFrom(spec)
    other.template.container.image = "another:1"
    return other


def create_task(id_: EntityId, spec: task_pb2.TaskSpec) -> task_pb2.TaskCreateRequest:
    return task_pb2.TaskCreateRequest(id=flyte_id(id_, identifier_pb2.TASK), spec=spec)


def create_workflow(id_: EntityId, spec: workflow_pb2.WorkflowSpec) -> workflow_pb2.WorkflowCreateRequest:
    return workflow_pb2.WorkflowCreateRequest(id=flyte_id(id_, identifier_pb2.WORKFLOW), spec=spec)


def rows(doors: Doors, name: str = "") -> list[tuple[str, str]]:
    answer = doors.registry.ListTasks(pb.ListTasksRequest(scope=scope_message(DEV), name=name), call())
    return [(task.id.name, task.id.version) for task in answer.tasks]


# --- registering


def test_the_same_content_again_is_no_error_and_no_second_version(doors: Doors):
    first = doors.registry.RegisterTask(register_task(DOUBLE, task_spec(double)), call())
    again = doors.registry.RegisterTask(register_task(DOUBLE, task_spec(double)), call("user:bob"))
    assert (first.created, again.created) == (True, False)
    assert first.task == again.task
    assert rows(doors) == [(double.name, "v1")]


def test_other_content_under_the_same_version_is_refused_and_changes_nothing(doors: Doors):
    first = doors.registry.RegisterTask(register_task(DOUBLE, task_spec(double)), call()).task
    with pytest.raises(ApiError) as caught:
        doors.registry.RegisterTask(register_task(DOUBLE, changed(task_spec(double))), call())
    assert caught.value.reason is Reason.DIFFERENT_CONTENT
    assert caught.value.metadata["digest"] == first.digest
    assert doors.registry.GetTask(pb.GetTaskRequest(task=task_id(DOUBLE)), call()).task.digest == first.digest


def test_on_flytes_wire_the_same_content_already_exists_and_other_content_is_an_invalid_argument(doors: Doors):
    doors.admin.CreateTask(create_task(DOUBLE, task_spec(double)), call())
    with pytest.raises(ApiError) as same:
        doors.admin.CreateTask(create_task(DOUBLE, task_spec(double)), call())
    with pytest.raises(ApiError) as other:
        doors.admin.CreateTask(create_task(DOUBLE, changed(task_spec(double))), call())
    assert (flyte_status(same.value).code, info(flyte_status(same.value)).reason) == (6, "ALREADY_EXISTS")
    assert (flyte_status(other.value).code, info(flyte_status(other.value)).reason) == (3, "DIFFERENT_CONTENT")


def test_on_flytes_wire_a_workflow_says_whether_its_structure_is_identical_or_different(doors: Doors):
    doors.register(chain)
    spec = workflow_spec(chain)
    expected = flyte_id(CHAIN, identifier_pb2.WORKFLOW)
    with pytest.raises(ApiError) as same:
        doors.admin.CreateWorkflow(create_workflow(CHAIN, spec), call())
    status = flyte_status(same.value)
    assert status.code == 6
    assert detail(status, workflow_pb2.CreateWorkflowFailureReason).exists_identical_structure.id == expected
    spec.template.nodes[0].metadata.retries.retries = 5
    with pytest.raises(ApiError) as other:
        doors.admin.CreateWorkflow(create_workflow(CHAIN, spec), call())
    status = flyte_status(other.value)
    assert status.code == 3
    assert detail(status, workflow_pb2.CreateWorkflowFailureReason).exists_different_structure.id == expected


def test_what_one_front_door_registered_the_other_knows(doors: Doors):
    doors.admin.CreateTask(create_task(DOUBLE, task_spec(double)), call())
    assert not doors.registry.RegisterTask(register_task(DOUBLE, task_spec(double)), call()).created
    native = doors.registry.GetTask(pb.GetTaskRequest(task=task_id(DOUBLE)), call()).task
    closure = task_pb2.TaskClosure()
    native.closure.Unpack(closure)
    flyte = doors.admin.GetTask(common_pb2.ObjectGetRequest(id=flyte_id(DOUBLE)), call())
    assert flyte.closure == closure
    assert flyte.closure.compiled_task.template.interface == task_spec(double).template.interface
    assert flyte.id.resource_type == identifier_pb2.TASK


def test_the_order_in_which_flytekit_names_upstream_nodes_makes_no_other_content(doors: Doors):
    doors.register(fan)
    spec = workflow_spec(fan)
    for node in spec.template.nodes:
        turned = list(node.upstream_node_ids)[::-1]
        del node.upstream_node_ids[:]
        node.upstream_node_ids.extend(turned)
    id_ = EntityId(DEV, fan.name, "v1")
    assert not doors.registry.RegisterWorkflow(register_workflow(id_, spec), call()).created


def test_one_version_registered_from_many_threads_is_created_once(doors: Doors):
    spec = task_spec(double)
    for version in ("v1", "v2", "v3"):
        request = register_task(replace(DOUBLE, version=version), spec)
        answers = together(*[lambda request=request: doors.registry.RegisterTask(request, call())] * 6)
        assert errors(answers) == []
        assert sorted(answer.created for answer in answers) == [False] * 5 + [True]
        assert all(answer.task == answers[0].task for answer in answers)


def test_of_many_contents_for_one_version_at_the_same_moment_one_wins(doors: Doors):
    requests = []
    for number in range(6):
        spec = task_spec(double)
        spec.template.container.image = f"image:{number}"
        requests.append(register_task(DOUBLE, spec))
    answers = together(*(lambda request=request: doors.registry.RegisterTask(request, call()) for request in requests))
    assert [error.reason for error in errors(answers)] == [Reason.DIFFERENT_CONTENT] * 5
    (winner,) = (answer for answer in answers if not isinstance(answer, ApiError))
    assert {error.metadata["digest"] for error in errors(answers)} == {winner.task.digest}
    assert doors.registry.GetTask(pb.GetTaskRequest(task=task_id(DOUBLE)), call()).task.digest == winner.task.digest


def test_a_workflow_registered_from_many_threads_is_created_once(doors: Doors):
    doors.register(chain)
    request = register_workflow(replace(CHAIN, version="v2"), moved(workflow_spec(chain), DEV, "v1"))
    answers = together(*[lambda: doors.registry.RegisterWorkflow(request, call())] * 6)
    assert errors(answers) == []
    assert sum(answer.created for answer in answers) == 1


# --- references


def test_a_workflow_whose_task_is_not_registered_is_refused_and_not_stored(doors: Doors):
    with pytest.raises(ApiError) as caught:
        doors.registry.RegisterWorkflow(register_workflow(CHAIN, workflow_spec(chain)), call())
    assert caught.value.reason is Reason.WORKFLOW_INVALID
    assert double.name in caught.value.message
    with pytest.raises(ApiError) as missing:
        doors.registry.GetWorkflow(pb.GetWorkflowRequest(workflow=workflow_id(CHAIN)), call())
    assert missing.value.reason is Reason.NOT_FOUND


def test_a_task_of_another_version_is_not_the_one_that_is_referred_to(doors: Doors):
    doors.registry.RegisterTask(register_task(replace(DOUBLE, version="v2"), task_spec(double)), call())
    with pytest.raises(ApiError) as caught:
        doors.registry.RegisterWorkflow(register_workflow(CHAIN, workflow_spec(chain)), call())
    assert caught.value.reason is Reason.WORKFLOW_INVALID


@pytest.mark.parametrize("elsewhere", [PROD, Scope("other", "development")])
def test_a_reference_out_of_the_scope_is_refused_even_if_the_target_is_registered(doors: Doors, elsewhere: Scope):
    doors.project("other")
    doors.register(chain, elsewhere)
    doors.register(chain)
    spec = moved(workflow_spec(chain), elsewhere, "v1")  # refers to the task of the other scope
    for act in (
        lambda: doors.registry.RegisterWorkflow(register_workflow(replace(CHAIN, version="v2"), spec), call()),
        lambda: doors.admin.CreateWorkflow(create_workflow(replace(CHAIN, version="v2"), spec), call()),
    ):
        with pytest.raises(ApiError) as caught:
            act()
        assert caught.value.reason is Reason.FOREIGN_REFERENCE
        assert flyte_status(caught.value).code == 3


def test_a_reference_to_a_launch_plan_of_another_project_is_refused(doors: Doors):
    with pytest.raises(ApiError) as caught:
        doors.registry.RegisterWorkflow(
            register_workflow(EntityId(DEV, foreign.name, "v1"), workflow_spec(foreign)), call()
        )
    assert caught.value.reason is Reason.FOREIGN_REFERENCE


def test_the_same_names_and_versions_in_two_domains_are_two_things(doors: Doors):
    doors.register(chain)
    doors.register(chain, PROD)
    found = [
        doors.registry.GetWorkflow(pb.GetWorkflowRequest(workflow=workflow_id(replace(CHAIN, scope=scope))), call())
        for scope in (DEV, PROD)
    ]
    assert found[0].workflow.digest != found[1].workflow.digest  # its references are part of a workflow's content
    for answer, scope in zip(found, (DEV, PROD), strict=True):
        closure = workflow_pb2.WorkflowClosure()
        answer.workflow.closure.Unpack(closure)
        assert {task.template.id.domain for task in closure.compiled_workflow.tasks} == {scope.domain}


# --- where nothing can be registered


def test_an_archived_project_takes_no_registration_and_can_still_be_read(doors: Doors):
    doors.register(chain)
    doors.archive()
    for act in (
        lambda: doors.registry.RegisterTask(register_task(DOUBLE, task_spec(double)), call()),
        lambda: doors.registry.RegisterTask(register_task(replace(DOUBLE, version="v2"), task_spec(double)), call()),
        lambda: doors.registry.RegisterWorkflow(register_workflow(CHAIN, workflow_spec(chain)), call()),
        lambda: doors.admin.CreateTask(create_task(replace(DOUBLE, version="v2"), task_spec(double)), call()),
    ):
        with pytest.raises(ApiError) as caught:
            act()
        assert caught.value.reason is Reason.PROJECT_ARCHIVED
    assert rows(doors) == [(double.name, "v1")]
    assert doors.registry.GetWorkflow(pb.GetWorkflowRequest(workflow=workflow_id(CHAIN)), call()).workflow.digest


def test_a_project_that_is_not_there_takes_no_registration(doors: Doors):
    elsewhere = EntityId(Scope("nobody", "development"), double.name, "v1")
    for act in (
        lambda: doors.registry.RegisterTask(register_task(elsewhere, task_spec(double)), call()),
        lambda: doors.admin.CreateTask(create_task(elsewhere, task_spec(double)), call()),
    ):
        with pytest.raises(ApiError) as caught:
            act()
        assert caught.value.reason is Reason.PROJECT_MISSING
        assert caught.value.code.value == 9
        assert flyte_status(caught.value).code == 3


def test_no_task_is_registered_after_the_archiving_was_answered(doors: Doors):
    spec, archived, late = task_spec(double), [], []

    def register() -> None:
        for number in range(40):
            after = bool(archived)
            version = f"{id(late)}-{number}-{id(object())}"
            try:
                doors.registry.RegisterTask(register_task(replace(DOUBLE, version=version), spec), call())
            except ApiError as error:
                assert error.reason is Reason.PROJECT_ARCHIVED  # noqa: PT017 -- either end is one that is tested
                return
            late.append(after)

    def archive() -> None:
        doors.archive()
        archived.append(True)

    together(register, register, archive)
    assert not any(late)


# --- ids and texts on Flyte's wire


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"resource_type": identifier_pb2.UNSPECIFIED}, "id.resource_type"),
        ({"resource_type": identifier_pb2.WORKFLOW}, "id.resource_type"),
        ({"resource_type": 17}, "id.resource_type"),
        ({"project": ""}, "id.project"),
        ({"project": "Vision"}, "id.project"),
        ({"domain": ""}, "id.domain"),
        ({"domain": "qa"}, "id.domain"),
        ({"domain": "*"}, "id.domain"),
        ({"name": ""}, "id.name"),
        ({"name": "a/b"}, "id.name"),
        ({"name": "x" * 256}, "id.name"),
        ({"version": ""}, "id.version"),
        ({"version": ".."}, "id.version"),
        ({"version": "v 1"}, "id.version"),
        ({"org": "acme"}, "id.org"),
    ],
)
def test_an_id_that_is_not_one_is_refused_with_its_field(doors: Doors, change: dict, field: str):
    request = create_task(DOUBLE, task_spec(double))
    for name, value in change.items():
        setattr(request.id, name, value)
    with pytest.raises(ApiError) as caught:
        doors.admin.CreateTask(request, call())
    assert flyte_status(caught.value).code == 3
    assert violated(flyte_status(caught.value)) == [field]
    assert rows(doors) == []


def test_texts_that_a_database_cannot_hold_are_refused_on_every_database(doors: Doors):
    long, nul, described = task_spec(double), task_spec(double), task_spec(double)
    long.template.type = "t" * 256
    nul.template.type = "python\0task"
    described.description.short_description = "a\0b"
    for spec, field in (
        (long, "spec.template.type"),
        (nul, "spec.template.type"),
        (described, "spec.description.short_description"),
    ):
        with pytest.raises(ApiError) as caught:
            doors.registry.RegisterTask(register_task(DOUBLE, spec), call())
        assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, field)
    doors.register(chain)
    spec = workflow_spec(chain)
    spec.description.short_description = "a\0b"
    with pytest.raises(ApiError) as caught:
        doors.registry.RegisterWorkflow(register_workflow(replace(CHAIN, version="v2"), spec), call())
    assert caught.value.field == "spec.description.short_description"


def test_a_spec_of_another_type_is_refused(doors: Doors):
    request = register_task(DOUBLE, workflow_spec(chain))
    with pytest.raises(ApiError) as caught:
        doors.registry.RegisterTask(request, call())
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, "spec")


# --- reading


def test_flytekit_gets_every_task_and_sub_workflow_of_a_compiled_workflow(doors: Doors):
    id_ = doors.register(outer)
    for kind in (identifier_pb2.UNSPECIFIED, identifier_pb2.WORKFLOW):
        answer = doors.admin.GetWorkflow(common_pb2.ObjectGetRequest(id=flyte_id(id_, kind)), call())
        compiled = answer.closure.compiled_workflow
        assert {task.template.id.name for task in compiled.tasks} == {double.name, add.name}
        assert [sub.template.id.name for sub in compiled.sub_workflows] == [chain.name]
        nodes = [node for node in compiled.primary.template.nodes if node.id not in ("start-node", "end-node")]
        assert len(nodes) == len(workflow_spec(outer).template.nodes)
        assert all("start-node" not in node.upstream_node_ids for node in nodes)


def test_what_is_not_registered_is_not_found(doors: Doors):
    for act in (
        lambda: doors.registry.GetTask(pb.GetTaskRequest(task=task_id(DOUBLE)), call()),
        lambda: doors.registry.GetWorkflow(pb.GetWorkflowRequest(workflow=workflow_id(CHAIN)), call()),
        lambda: doors.admin.GetTask(common_pb2.ObjectGetRequest(id=flyte_id(DOUBLE)), call()),
        lambda: doors.admin.GetWorkflow(common_pb2.ObjectGetRequest(id=flyte_id(CHAIN)), call()),
    ):
        with pytest.raises(ApiError) as caught:
            act()
        assert caught.value.reason is Reason.NOT_FOUND


def test_the_native_list_has_every_version_once_newest_first(doors: Doors):
    doors.clock.frozen = 1_800_000_000_000_000  # all at one moment: the name and the version decide
    spec = task_spec(double)
    ids = [EntityId(DEV, name, version) for name in ("a", "b") for version in ("1", "10", "2")]
    for id_ in ids:
        doors.registry.RegisterTask(register_task(id_, spec), call())
    doors.clock.frozen += 1
    doors.registry.RegisterTask(register_task(EntityId(DEV, "a", "0"), spec), call())
    expected = [("a", "0"), ("b", "2"), ("b", "10"), ("b", "1"), ("a", "2"), ("a", "10"), ("a", "1")]
    for size in (1, 2, 3, 7, 0):

        def fetch(token: str, size: int = size):
            request = pb.ListTasksRequest(scope=scope_message(DEV), page_size=size, page_token=token)
            answer = doors.registry.ListTasks(request, call())
            return [(task.id.name, task.id.version) for task in answer.tasks], answer.next_page_token

        assert [row for page in pages(fetch) for row in page] == expected
    assert rows(doors, "a") == [("a", "0"), ("a", "2"), ("a", "10"), ("a", "1")]
    assert rows(doors, "nobody") == []


def test_a_page_token_of_one_scope_or_kind_is_none_of_another(doors: Doors):
    doors.register(outer)
    doors.register(outer, PROD)
    token = doors.registry.ListTasks(pb.ListTasksRequest(scope=scope_message(DEV), page_size=1), call()).next_page_token
    assert token
    for act in (
        lambda: doors.registry.ListTasks(pb.ListTasksRequest(scope=scope_message(PROD), page_token=token), call()),
        lambda: doors.registry.ListTasks(
            pb.ListTasksRequest(scope=scope_message(DEV), name=add.name, page_token=token), call()
        ),
        lambda: doors.registry.ListWorkflows(
            pb.ListWorkflowsRequest(scope=scope_message(DEV), page_token=token), call()
        ),
    ):
        with pytest.raises(ApiError) as caught:
            act()
        assert caught.value.reason is Reason.INVALID_PAGE_TOKEN


def listing(scope: Scope = DEV, name: str = "", **fields) -> common_pb2.ResourceListRequest:
    fields = {"limit": 100, **fields}
    return common_pb2.ResourceListRequest(
        id=common_pb2.NamedEntityIdentifier(project=scope.project, domain=scope.domain, name=name), **fields
    )


NEWEST = common_pb2.Sort(key="created_at")
BY_NAME = common_pb2.Sort(key="name")


def test_flytekit_finds_the_newest_version_with_an_unset_direction(doors: Doors):
    for version in ("v9", "v1", "v5"):
        doors.register(chain, version=version)
    task = doors.admin.ListTasks(listing(name=double.name, limit=1, sort_by=NEWEST), call()).tasks
    assert [each.id.version for each in task] == ["v5"]
    workflow = doors.admin.ListWorkflows(listing(name=chain.name, limit=1, sort_by=NEWEST), call()).workflows
    assert [each.id.version for each in workflow] == ["v5"]
    assert workflow[0].closure.compiled_workflow.primary.template.interface == workflow_spec(chain).template.interface
    oldest = common_pb2.Sort(key="created_at", direction=common_pb2.Sort.ASCENDING)
    assert [each.id.version for each in doors.admin.ListTasks(listing(sort_by=oldest), call()).tasks] == [
        "v9",
        "v1",
        "v5",
    ]


def test_flytes_lists_are_filtered_as_its_clients_do(doors: Doors):
    for version in ("v1", "v2", "w1"):
        doors.register(outer, version=version)

    def versions(filters: str) -> list[str]:
        answer = doors.admin.ListTasks(listing(name=double.name, filters=filters), call())
        return sorted(task.id.version for task in answer.tasks)

    assert versions("eq(version,v1)") == ["v1"]
    assert versions("eq(task.version,v1)") == ["v1"]
    assert versions("ne(version,v1)") == ["v2", "w1"]
    assert versions("value_in(version,v1;w1;x)") == ["v1", "w1"]
    assert versions("value_not_in(version,v1;w1)") == ["v2"]
    assert versions("contains(version,V)") == []  # letter by letter, on every database
    assert versions("contains(version,_)") == []  # and not as a pattern
    assert versions("not_like(version,v%)") == ["w1"]
    assert versions("gt(version,v1)+lt(version,w1)") == ["v2"]
    assert versions("gte(created_at,2020-01-01T00:00:00Z)") == ["v1", "v2", "w1"]
    assert versions("lt(created_at,2020-01-01T00:00:00+01:00)") == []
    assert versions(f"eq(name,{add.name})") == []
    for bad, reason in (
        ("eq(version,v1", Reason.INVALID_FIELD),
        ("eq(version,v1;v2)", Reason.INVALID_FIELD),
        ("eq(closure,x)", Reason.UNKNOWN_FIELD),
        ("eq(workflow.name,x)", Reason.UNKNOWN_FIELD),
        ("gt(created_at,1)", Reason.INVALID_FIELD),
    ):
        with pytest.raises(ApiError) as caught:
            versions(bad)
        assert caught.value.reason is reason


def test_flytes_pages_go_through_all_versions_by_token_and_by_number(doors: Doors):
    for number in range(7):
        doors.register(chain, version=f"v{number}")
    everything = [f"v{number}" for number in reversed(range(7))]

    def fetch(token: str):
        answer = doors.admin.ListWorkflows(listing(limit=3, token=token, sort_by=NEWEST), call())
        return [workflow.id.version for workflow in answer.workflows], answer.token

    assert pages(fetch) == [everything[:3], everything[3:6], everything[6:]]
    assert [fetch(str(row))[0] for row in (0, 3, 6, 9)] == [everything[:3], everything[3:6], everything[6:], []]
    _, token = fetch("")
    for other in (listing(limit=3, token=token, sort_by=BY_NAME), listing(PROD, limit=3, token=token, sort_by=NEWEST)):
        with pytest.raises(ApiError) as caught:
            doors.admin.ListWorkflows(other, call())
        assert caught.value.reason is Reason.INVALID_PAGE_TOKEN
        assert violated(flyte_status(caught.value)) == ["token"]
    with pytest.raises(ApiError) as caught:
        doors.admin.ListWorkflows(listing(limit=0), call())
    assert violated(flyte_status(caught.value)) == ["limit"]


def test_the_list_of_names_has_each_once_in_alphabetical_order(doors: Doors):
    for version in ("v1", "v2"):
        doors.register(outer, version=version)
    request = common_pb2.NamedEntityIdentifierListRequest(project="vision", domain="development", limit=50)
    assert [each.name for each in doors.admin.ListTaskIds(request, call()).entities] == sorted([add.name, double.name])
    assert [each.name for each in doors.admin.ListWorkflowIds(request, call()).entities] == [outer.name]

    def fetch(token: str):
        one = common_pb2.NamedEntityIdentifierListRequest(project="vision", domain="development", limit=1, token=token)
        answer = doors.admin.ListTaskIds(one, call())
        return [each.name for each in answer.entities], answer.token

    assert pages(fetch) == [[name] for name in sorted([add.name, double.name])]
    assert fetch("1")[0] == sorted([add.name, double.name])[1:]


def test_a_list_of_an_unknown_domain_is_refused_and_not_empty(doors: Doors):
    for act in (
        lambda: doors.admin.ListTasks(listing(Scope("vision", "qa")), call()),
        lambda: doors.admin.ListWorkflowIds(
            common_pb2.NamedEntityIdentifierListRequest(project="vision", domain="qa", limit=1), call()
        ),
    ):
        with pytest.raises(ApiError) as caught:
            act()
        assert caught.value.reason is Reason.UNKNOWN_DOMAIN
        assert caught.value.metadata["domains"] == "development,staging,production"


def test_serializing_with_flytekit_again_gives_the_same_content(doors: Doors):
    """What `pyflyte register` does in a new process with the same files."""
    doors.register(outer)
    for id_, body in serialize(outer)[1].items():
        assert not doors.registry.RegisterTask(register_task(id_, body), call()).created
