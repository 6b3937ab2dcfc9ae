"""What programs do through FlyteRemote."""

import json

import grpc
import httpx
import pytest
from e2e_clients import PROJECT
from e2e_server import eventually
from flyteidl.admin import matchable_resource_pb2
from flyteidl.core import identifier_pb2
from flytekit.exceptions.base import FlyteException
from flytekit.models import named_entity
from flytekit.models.core.execution import NodeExecutionPhase, WorkflowExecutionPhase


def test_registered_versions_are_fetched_with_their_interfaces(developer):
    remote = developer.remote

    task = remote.fetch_task(name="flows.quick.describe", version="v1")
    workflow = remote.fetch_workflow(name="flows.quick.double_wf", version="v1")
    plan = remote.fetch_launch_plan(name="double_lp", version="v1")

    assert set(task.interface.inputs) == {"x", "unit"}
    assert set(workflow.interface.inputs) == {"x", "unit"}
    assert [node.id for node in workflow.flyte_nodes] == ["n0", "n1"]
    assert plan.entity_metadata.schedule.cron_schedule.schedule == "0 2 * * *"


def test_a_workflow_is_described_by_its_docstring_and_its_name_can_be_archived(developer, admin):
    name = named_entity.NamedEntityIdentifier(PROJECT, "development", "flows.quick.double_wf")
    here = {"resource_type": "WORKFLOW", "project": PROJECT, "domain": "development"}
    wanted = {"id": {**here, "name": name.name, "version": "v1"}}
    described = developer.grpcurl("flyteidl.service.AdminService/GetDescriptionEntity", wanted)
    admin.remote.client.update_named_entity(
        identifier_pb2.WORKFLOW,
        name,
        named_entity.NamedEntityMetadata("said of all versions", named_entity.NamedEntityState.ARCHIVED),
    )
    listing = {**here, "limit": 100}
    archived = developer.grpcurl(
        "flyteidl.service.AdminService/ListNamedEntities", {**listing, "filters": "eq(state,1)"}
    )

    assert json.loads(described.out)["shortDescription"] == "Double a number of things."
    assert [each["id"]["name"] for each in json.loads(archived.out)["entities"]] == [name.name]
    assert json.loads(archived.out)["entities"][0]["metadata"]["description"] == "said of all versions"


def test_what_is_configured_for_a_workflow_reaches_its_executions_and_only_some_may_change_it(developer, admin):
    admins = "flyteidl.service.AdminService"
    workflow = {"project": PROJECT, "domain": "development", "workflow": "flows.quick.explode_wf"}
    config = {"max_parallelism": 3, "labels": {"values": {"team": "bakery"}}}
    update = {"attributes": {**workflow, "matching_attributes": {"workflow_execution_config": config}}}
    denied = developer.grpcurl(f"{admins}/UpdateWorkflowAttributes", update)
    updated = admin.grpcurl(f"{admins}/UpdateWorkflowAttributes", update)
    spec = developer.launch("explode_wf", reason="none").spec
    resource = matchable_resource_pb2.WORKFLOW_EXECUTION_CONFIG
    found = admin.remote.client.get_workflow_attributes(*workflow.values(), resource)

    assert "this needs settings.update" in denied.text
    assert updated.code == 0, updated.text
    assert (spec.max_parallelism, spec.labels.values) == (3, {"team": "bakery"})
    assert found.attributes.workflow == workflow["workflow"]


def test_fixed_inputs_of_the_launch_plan_stand_and_others_may_be_chosen(finished):
    assert finished.inputs == {"x": 7, "unit": "pears"}
    assert finished.outputs == {"o0": "14 pears"}
    assert finished.spec.metadata.principal == "service-account:developer"


def test_a_fixed_input_cannot_be_chosen(developer):
    plan = developer.remote.fetch_launch_plan(name="double_lp", version="v1")

    with pytest.raises(FlyteException) as refused:
        developer.remote.execute(plan, inputs={"x": 7, "unit": "plums"})

    assert _status(refused) == (grpc.StatusCode.INVALID_ARGUMENT)
    assert "unit" in refused.value.__cause__.details()


def test_every_node_can_be_read_when_it_has_ended(finished):
    nodes = finished.node_executions

    assert {"n0", "n1"} <= nodes.keys()
    assert nodes["n0"].inputs == {"x": 7}
    assert nodes["n0"].outputs == {"o0": 14}
    assert nodes["n1"].inputs == {"x": 14, "unit": "pears"}


@pytest.mark.parametrize(
    ("x", "said", "ran"),
    [(7, "14 dozens", "n1-0-n0"), (1, "2 pieces", "n1-0-n2"), (-1, "-1 owed", "n1-0-n1-0-n0")],
)
def test_of_a_conditional_one_case_is_run_and_its_nodes_can_be_read(developer, x, said, ran):
    chosen = developer.wait(developer.launch("choose_wf", x=x))

    assert chosen.outputs == {"o0": said}
    nodes = {}
    left = list(chosen.node_executions.values())
    while left:
        node = left.pop()
        nodes[node.id.node_id] = node
        left += (node.subworkflow_node_executions or {}).values()
    assert nodes[ran].outputs == {"o0": said}
    assert nodes["n1"].closure.phase == NodeExecutionPhase.SUCCEEDED
    others = {"n1-0-n0", "n1-0-n1", "n1-0-n2"} - {ran, ran[: len("n1-0-n1")]}
    assert {nodes[other].closure.phase for other in others} == {NodeExecutionPhase.SKIPPED}


def test_a_conditional_without_a_case_fails_as_its_author_says(developer):
    failed = developer.wait(developer.launch("choose_wf", x=50))

    assert failed.closure.phase == WorkflowExecutionPhase.FAILED
    assert failed.closure.error.message == "branch n1 (size): that is too many"


def test_a_map_task_runs_for_each_item_and_each_of_them_can_be_read(developer):
    spread = developer.wait(developer.launch("spread_wf", xs=[3, 1, 2]))

    assert spread.outputs == {"o0": [6, 2, 4]}
    node = spread.node_executions["n0"]
    assert node.metadata.is_array
    assert (node.inputs, node.outputs) == ({"x": [3, 1, 2]}, {"o0": [6, 2, 4]})
    second = developer.remote.get(f"flyte://v1/{PROJECT}/development/{spread.id.name}/n0-0-1/o")
    assert second.literals["o0"].scalar.primitive.integer == 2


def test_a_failed_execution_carries_the_text_of_its_tasks_error(developer):
    failed = developer.wait(developer.launch("explode_wf", reason="the oven is cold"))

    assert failed.closure.phase == WorkflowExecutionPhase.FAILED
    assert "ValueError: the oven is cold" in failed.closure.error.message
    assert "flows.quick.explode" in failed.closure.error.message


def test_a_deck_is_fetched_by_its_flyte_url_and_shown_by_a_browser_once(developer, server):
    drawn = developer.wait(developer.launch("draw_wf", title="loaves & fishes"))
    node = drawn.node_executions["n0"]
    title = b"<h1>loaves & fishes</h1>"
    url = f"flyte://v1/{PROJECT}/development/{drawn.id.name}/n0"

    assert drawn.outputs == {"o0": len("loaves & fishes")}
    assert node.closure.deck_uri.endswith("/deck.html")
    assert title in developer.remote.get(f"{url}/d")
    assert title in developer.remote.get(f"{url}/0/d")
    assert developer.remote.get(f"{url}/1/d") is None

    id_ = {"project": PROJECT, "domain": "development", "name": drawn.id.name}
    request = {"artifact_type": "ARTIFACT_TYPE_DECK", "node_execution_id": {"node_id": "n0", "execution_id": id_}}
    link = developer.grpcurl("flyteidl.service.DataProxyService/CreateDownloadLink", request).json()
    with httpx.Client(trust_env=False) as browser:
        shown = browser.get(link["signedUrl"][0])
        again = browser.get(link["signedUrl"][0])
    assert title in shown.content
    assert shown.headers["content-type"].startswith("text/html")
    assert "sandbox allow-scripts;" in shown.headers["content-security-policy"]
    assert again.status_code == 403


def _asked(remote, execution, signal):
    eventually(lambda: signal in {each.id.signal_id for each in remote.list_signals(execution.id.name)})


def test_a_workflow_waits_for_input_and_approval_and_some_time(developer):
    remote, asking = developer.remote, developer.launch("ask_wf", unit="loaves")
    _asked(remote, asking, "how-many")
    remote.set_signal("how-many", asking.id.name, 21)
    _asked(remote, asking, "go")
    remote.approve("go", asking.id.name)
    answered = developer.wait(asking)

    assert answered.outputs == {"o0": "42 loaves"}
    assert {node.closure.phase for node in answered.node_executions.values()} == {NodeExecutionPhase.SUCCEEDED}


def test_a_workflow_that_is_not_approved_fails(developer):
    remote, asking = developer.remote, developer.launch("ask_wf", unit="loaves")
    _asked(remote, asking, "how-many")
    remote.set_input("how-many", asking.id.name, 1)
    _asked(remote, asking, "go")
    remote.reject("go", asking.id.name)
    rejected = developer.wait(asking)

    assert rejected.closure.phase == WorkflowExecutionPhase.FAILED
    assert rejected.closure.error.message.endswith("(go): it was not approved")


def test_a_signal_is_answered_by_those_who_may_and_once(developer, server):
    held = developer.launch("hold_wf", gate=str(server.file(PROJECT)))
    name = held.id.name
    execution = {"project": PROJECT, "domain": "development", "name": name}
    for signal, kind in (("go", "BOOLEAN"), ("loaves", "INTEGER")):
        asked = {"id": {"signal_id": signal, "execution_id": execution}, "type": {"simple": kind}}
        assert developer.grpcurl("flyteidl.service.SignalService/GetOrCreateSignal", asked).code == 0
    remote = developer.remote
    assert {each.id.signal_id for each in remote.list_signals(name)} == {"go", "loaves"}

    remote.approve("go", name)
    with pytest.raises(FlyteException) as otherwise:
        remote.reject("go", name)
    with pytest.raises(FlyteException) as mistyped:
        remote.set_input("loaves", name, "seven")
    remote.set_input("loaves", name, 7)

    assert _status(otherwise) is grpc.StatusCode.FAILED_PRECONDITION
    assert _status(mistyped) is grpc.StatusCode.INVALID_ARGUMENT
    values = {each.id.signal_id: each.value.scalar.primitive for each in remote.list_signals(name)}
    assert (values["go"].boolean, values["loaves"].integer) == (True, 7)
    remote.terminate(held, "enough")
    developer.wait(held)


def test_terminate_ends_the_task_and_all_its_processes(developer, server):
    held = developer.launch("hold_wf", gate=str(server.file(PROJECT)))
    eventually(lambda: server.has_printed(held.id.name, "holding"))
    assert server.processes(held.id.name)

    developer.remote.terminate(held, "enough")
    ended = developer.wait(held)

    assert ended.closure.phase == WorkflowExecutionPhase.ABORTED
    assert ended.closure.abort_metadata.cause == "enough"
    assert ended.closure.abort_metadata.principal == "service-account:developer"
    eventually(lambda: not server.processes(held.id.name), seconds=10)


def test_recent_executions_come_newest_first(developer, finished):
    recent = developer.remote.recent_executions(limit=100)

    created = [execution.closure.created_at for execution in recent]
    assert created == sorted(created, reverse=True)
    assert finished.id.name in {execution.id.name for execution in recent}


def test_a_development_version_cannot_be_run_in_another_domain(developer, releaser):
    """The releaser may launch in production, and still cannot take development's code there without registering it."""
    plan = developer.remote.fetch_launch_plan(name="flows.quick.double_wf", version="v1")

    with pytest.raises(FlyteException) as denied:
        developer.remote.execute(plan, inputs={"x": 1}, domain="production")
    with pytest.raises(FlyteException) as foreign:
        releaser.remote.execute(plan, inputs={"x": 1}, domain="production")

    assert _status(denied) == grpc.StatusCode.PERMISSION_DENIED
    assert denied.value.__cause__.details() == f"this needs execution.launch in {PROJECT}/production"
    assert _status(foreign) == grpc.StatusCode.INVALID_ARGUMENT


def test_what_is_not_there_is_not_found_where_one_may_look_and_refused_where_not(developer):
    with pytest.raises(FlyteException) as missing:
        developer.remote.fetch_execution(name="nothing")
    with pytest.raises(FlyteException) as refused:
        developer.remote.fetch_execution(domain="production", name="nothing")

    assert _status(missing) == grpc.StatusCode.NOT_FOUND
    assert _status(refused) == grpc.StatusCode.PERMISSION_DENIED


def _status(raised):
    return raised.value.__cause__.code()
