import functools

import flyte_samples as samples
import pytest
from flyte_samples import SCOPE, compiled, id_of, library, named, serialize, workflow_spec
from flyteidl.admin import launch_plan_pb2, schedule_pb2, task_pb2
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2
from flytekit.models.core.compiler import CompiledWorkflowClosure
from flytekit.models.core.identifier import Identifier
from flytekit.models.launch_plan import LaunchPlanSpec
from flytekit.remote.entities import FlyteLaunchPlan, FlyteWorkflow

from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import EntityId, EntityKind, Reference, Scope
from airspace_server.flyte import types
from airspace_server.flyte.bindings import BindingCheck, Library
from airspace_server.flyte.compiler import compile_launch_plan, compile_task, compile_workflow, references
from airspace_server.flyte.digest import digest
from airspace_server.flyte.identifiers import identifier


def integer(value: int) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=value)))


def refused(call, reason: Reason) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call()
    assert caught.value.reason is reason, caught.value
    return caught.value


# What flytekit writes


@pytest.mark.parametrize("entity", samples.WORKFLOWS, ids=lambda entity: entity.name)
def test_every_kind_of_workflow_that_flytekit_writes_compiles(entity):
    closure = compiled(entity)
    assert closure.primary.template.id == identifier(id_of(entity), identifier_pb2.WORKFLOW)
    assert [node.id for node in closure.primary.template.nodes] == [
        node.id for node in workflow_spec(entity).template.nodes
    ]


@pytest.mark.parametrize("entity", samples.WORKFLOWS, ids=lambda entity: entity.name)
def test_flytekits_own_client_can_read_every_closure(entity):
    chain_lp = samples.launch_plan(samples.chain_lp)
    lp_id = Identifier.from_flyte_idl(chain_lp.id)
    launch_plan = FlyteLaunchPlan.promote_from_model(lp_id, LaunchPlanSpec.from_flyte_idl(chain_lp.spec))
    closure = CompiledWorkflowClosure.from_flyte_idl(compiled(entity))
    read = FlyteWorkflow.promote_from_closure(closure, node_launch_plans={lp_id: launch_plan})
    nodes = {node.id for node in workflow_spec(entity).template.nodes}
    assert {node.id for node in read.flyte_nodes} - {"fn0"} == nodes


def test_a_closure_holds_the_tasks_of_sub_workflows_too_and_each_one_once():
    closure = compiled(samples.outermost)
    assert [task.template.id.name for task in closure.tasks] == sorted([samples.add.name, samples.double.name])
    assert {sub.template.id.name for sub in closure.sub_workflows} == {samples.outer.name, samples.chain.name}


def test_references_are_found_in_branches_maps_and_failure_nodes():
    def tasks(entity):
        return {
            used.id.name for used in references(id_of(entity), workflow_spec(entity)) if used.kind is EntityKind.TASK
        }

    assert tasks(samples.choice) == {samples.double.name, samples.add.name}
    assert tasks(samples.guarded) == {samples.double.name, samples.cleanup.name}
    assert any("map_add" in task for task in tasks(samples.mapped))
    found = references(id_of(samples.launching), workflow_spec(samples.launching))
    assert Reference(EntityKind.LAUNCH_PLAN, named("samples.chain_lp")) in found


def test_connections_say_who_waits_for_whom():
    connections = compiled(samples.fan).primary.connections
    assert {node: set(ids.ids) for node, ids in connections.upstream.items()} == {
        "n1": {"n0"},
        "n2": {"n0"},
        "n3": {"n1", "n2"},
    }
    assert {node: set(ids.ids) for node, ids in connections.downstream.items()} == {
        "n0": {"n1", "n2"},
        "n1": {"n3"},
        "n2": {"n3"},
    }


def test_a_branch_waits_for_what_its_inner_nodes_take():
    spec = workflow_spec(samples.choice)
    branch = spec.template.nodes[2]
    del branch.upstream_node_ids[:]
    compiled_spec = compile_workflow(id_of(samples.choice), spec, *library(samples.choice))
    assert set(compiled_spec.primary.connections.upstream["n2"].ids) == {"n0", "n1"}


def test_upstream_ids_are_kept_as_sent_but_never_name_the_start_node():
    spec = workflow_spec(samples.fan)
    spec.template.nodes[3].upstream_node_ids[:] = ["n2", "start-node", "n1"]
    closure = compile_workflow(id_of(samples.fan), spec, *library(samples.fan))
    assert list(closure.primary.template.nodes[3].upstream_node_ids) == ["n2", "n1"]


def test_compiling_leaves_what_was_sent_as_it_was():
    spec, tasks = serialize(samples.choice)
    before = spec.SerializeToString(deterministic=True)
    compile_workflow(id_of(samples.choice), spec, *library(samples.choice))
    assert spec.SerializeToString(deterministic=True) == before
    for task_id, task in tasks.items():
        sent = task.SerializeToString(deterministic=True)
        compile_task(task_id, task)
        assert task.SerializeToString(deterministic=True) == sent


# Workflows that are wrong


def wrong(entity, change) -> ApiError:
    spec = workflow_spec(entity)
    known = library(entity)
    change(spec)
    return refused(functools.partial(compile_workflow, id_of(entity), spec, *known), Reason.WORKFLOW_INVALID)


def test_a_workflow_needs_a_node():
    def change(spec):
        del spec.template.nodes[:]

    assert "no nodes" in wrong(samples.chain, change).message


@pytest.mark.parametrize("node_id", ["", "start-node", "end-node", "a/b", "..", "N0"])
def test_node_ids_are_plain(node_id):
    def change(spec):
        spec.template.nodes[2].id = node_id
        spec.template.outputs[0].binding.promise.node_id = "n1"

    error = wrong(samples.chain, change)
    assert error.metadata.get("node", "") == node_id


def test_node_ids_are_unique():
    def change(spec):
        spec.template.nodes[1].id = "n0"

    assert wrong(samples.chain, change).metadata == {"workflow": samples.chain.name, "node": "n0"}


def test_an_unregistered_task_is_named_with_its_node():
    spec = workflow_spec(samples.chain)
    error = refused(lambda: compile_workflow(id_of(samples.chain), spec, {}, {}, {}), Reason.WORKFLOW_INVALID)
    assert error.metadata["node"] == "n0"
    assert samples.double.name in error.message


def test_an_unregistered_launch_plan_is_named_with_its_node():
    spec = workflow_spec(samples.launching)
    error = refused(
        lambda: compile_workflow(id_of(samples.launching), spec, library(samples.launching)[0], {}, {}),
        Reason.WORKFLOW_INVALID,
    )
    assert "samples.chain_lp" in error.message


def test_a_sub_workflow_must_come_along():
    def change(spec):
        del spec.sub_workflows[:]

    assert wrong(samples.outer, change).metadata["node"] == "n0"


def test_the_same_sub_workflow_may_come_twice_but_not_in_two_forms():
    spec = workflow_spec(samples.outer)
    spec.sub_workflows.append(spec.sub_workflows[0])
    closure = compile_workflow(id_of(samples.outer), spec, *library(samples.outer))
    assert len(closure.sub_workflows) == 1

    def change(spec):
        spec.sub_workflows.append(spec.sub_workflows[0])
        spec.sub_workflows[-1].nodes[0].metadata.name = "other"

    assert "twice" in wrong(samples.outer, change).message


def test_a_workflow_cannot_run_itself():
    def change(spec):
        inner = spec.sub_workflows[0].nodes[0]
        inner.workflow_node.sub_workflow_ref.CopyFrom(spec.sub_workflows[0].id)

    assert "runs itself" in wrong(samples.outer, change).message


def test_a_bad_sub_workflow_is_refused_under_its_own_name():
    def change(spec):
        del spec.sub_workflows[0].nodes[0].inputs[:]

    error = wrong(samples.outer, change)
    assert error.metadata == {"workflow": samples.chain.name, "node": "n0", "variable": "x"}


def test_every_input_is_bound_exactly_once():
    def unbound(spec):
        del spec.template.nodes[1].inputs[0]

    assert wrong(samples.fan, unbound).metadata == {"workflow": samples.fan.name, "node": "n1", "variable": "a"}

    def twice(spec):
        spec.template.nodes[1].inputs.append(spec.template.nodes[1].inputs[0])

    assert wrong(samples.fan, twice).metadata["variable"] == "a"

    def unknown(spec):
        spec.template.nodes[1].inputs[0].var = "c"

    assert wrong(samples.fan, unknown).metadata["variable"] == "c"


def test_a_binding_must_be_of_the_variables_type():
    def constant(spec):
        spec.template.nodes[1].inputs[1].binding.scalar.primitive.string_value = "one"

    error = wrong(samples.fan, constant)
    assert (error.metadata["node"], error.metadata["variable"]) == ("n1", "b")
    assert "must be integer" in error.message

    def output(spec):
        spec.template.nodes[0].task_node.reference_id.CopyFrom(
            identifier(id_of(samples.make_size), identifier_pb2.TASK)
        )
        spec.template.nodes[0].inputs[0].var = "width"

    spec = workflow_spec(samples.fan)
    output(spec)
    tasks = library(samples.fan)[0] | library(samples.typed)[0]
    error = refused(lambda: compile_workflow(id_of(samples.fan), spec, tasks, {}, {}), Reason.WORKFLOW_INVALID)
    assert error.message.endswith("must be integer, and output n0.o0 is struct")


def test_a_list_binding_is_checked_item_by_item():
    def change(spec):
        item = spec.template.nodes[0].inputs[0].binding.collection.bindings.add()
        item.scalar.primitive.string_value = "three"

    assert wrong(samples.mapped, change).metadata["variable"] == "a"


def test_a_field_of_a_dataclass_has_its_own_type():
    def change(spec):
        spec.template.nodes[1].inputs[0].binding.promise.attr_path[0].string_value = "name"

    assert "must be integer" in wrong(samples.typed, change).message

    def into_a_number(spec):
        binding = spec.template.nodes[1].inputs[0].binding.promise
        binding.attr_path.add().string_value = "deeper"

    assert "no such item or field" in wrong(samples.typed, into_a_number).message


def test_a_promise_must_name_an_output_that_is_there():
    def no_node(spec):
        spec.template.nodes[1].inputs[0].binding.promise.node_id = "n9"

    assert wrong(samples.chain, no_node).metadata["node"] == "n1"

    def no_output(spec):
        spec.template.nodes[1].inputs[0].binding.promise.var = "o7"

    assert "no output n0.o7" in wrong(samples.chain, no_output).message

    def no_input(spec):
        spec.template.nodes[0].inputs[0].binding.promise.var = "y"

    assert "no workflow input y" in wrong(samples.chain, no_input).message


def test_a_cycle_is_refused():
    def named_upstream(spec):
        spec.template.nodes[0].upstream_node_ids.append("n2")

    assert "waits for itself" in wrong(samples.chain, named_upstream).message

    def through_a_branch(spec):
        inner = spec.template.nodes[2].branch_node.if_else.case.then_node
        inner.inputs[0].binding.promise.node_id = "n2"

    assert "waits for itself" in wrong(samples.choice, through_a_branch).message


def test_nothing_waits_for_the_failure_node():
    def change(spec):
        spec.template.nodes[0].upstream_node_ids.append("fn0")

    assert "fn0" in wrong(samples.guarded, change).message


def test_the_workflows_outputs_are_bound_and_fit():
    def unbound(spec):
        del spec.template.outputs[:]

    assert wrong(samples.chain, unbound).metadata == {"workflow": samples.chain.name, "variable": "o0"}

    def other_type(spec):
        spec.template.interface.outputs.variables["o0"].type.simple = types_pb2.STRING

    assert "must be string" in wrong(samples.chain, other_type).message


def test_what_a_branch_compares_must_be_bound_to_it():
    def change(spec):
        del spec.template.nodes[2].inputs[:]

    assert "compared but not bound" in wrong(samples.choice, change).message


def test_a_branch_needs_an_else():
    def change(spec):
        spec.template.nodes[2].branch_node.if_else.ClearField("else_node")

    assert "else" in wrong(samples.choice, change).message


def test_an_output_that_not_every_branch_gives_cannot_be_taken():
    def change(spec):
        inner = spec.template.nodes[2].branch_node.if_else.else_node
        del inner.inputs[:]
        inner.task_node.reference_id.CopyFrom(identifier(id_of(samples.cleanup), identifier_pb2.TASK))
        bound = inner.inputs.add(var="x")
        bound.binding.promise.node_id, bound.binding.promise.var = "n0", "o0"

    spec = workflow_spec(samples.choice)
    change(spec)
    tasks = library(samples.choice)[0] | library(samples.guarded)[0]
    error = refused(lambda: compile_workflow(id_of(samples.choice), spec, tasks, {}, {}), Reason.WORKFLOW_INVALID)
    assert "no output n2.o0" in error.message


@pytest.mark.parametrize(
    "change",
    [
        lambda node: node.gate_node.ClearField("condition"),
        lambda node: node.gate_node.signal.ClearField("output_variable_name"),
        lambda node: setattr(node.gate_node.signal, "signal_id", "x" * 256),
        lambda node: setattr(node.gate_node.signal, "signal_id", "a\0b"),
        lambda node: node.ClearField("gate_node"),
    ],
)
def test_a_gate_must_be_whole(change):
    assert wrong(samples.gated, lambda spec: change(spec.template.nodes[0])).metadata["node"] == "n0"


def test_a_map_needs_something_to_run():
    def change(spec):
        spec.template.nodes[0].array_node.node.ClearField("task_node")

    assert wrong(samples.mapped, change).metadata["node"] == "n0"


def test_a_map_over_a_launch_plan_takes_lists():
    def change(spec):
        node = next(node for node in spec.template.nodes if node.HasField("array_node"))
        node.inputs[0].binding.scalar.primitive.integer = 1

    assert "must be list of integer" in wrong(samples.launching, change).message


def test_a_required_input_of_a_launch_plan_node_must_be_bound_and_a_defaulted_one_need_not():
    plan = samples.launch_plan(samples.chain_lp)
    tasks, _, _ = library(samples.launching)
    spec = workflow_spec(samples.launching)
    for node in spec.template.nodes:
        if node.HasField("workflow_node"):
            del node.inputs[:]
    compile_workflow(id_of(samples.launching), spec, tasks, {named("samples.chain_lp"): plan}, {})
    plan.closure.expected_inputs.parameters["x"].required = True
    error = refused(
        lambda: compile_workflow(id_of(samples.launching), spec, tasks, {named("samples.chain_lp"): plan}, {}),
        Reason.WORKFLOW_INVALID,
    )
    assert error.metadata["variable"] == "x"


def test_a_reference_to_another_project_is_told_with_its_place():
    spec = workflow_spec(samples.foreign)
    theirs = Reference(EntityKind.LAUNCH_PLAN, EntityId(Scope("other", samples.SCOPE.domain), "theirs", "v1"))
    assert references(id_of(samples.foreign), spec) == {theirs: "spec.template.nodes[n0].workflow_node.launchplan_ref"}


@pytest.mark.parametrize(
    "find",
    [
        lambda spec: spec.template.nodes[0].workflow_node.sub_workflow_ref,
        lambda spec: spec.sub_workflows[0].id,
        lambda spec: spec.sub_workflows[0].nodes[0].task_node.reference_id,
    ],
)
def test_a_reference_into_another_domain_is_foreign_wherever_it_stands(find):
    spec = workflow_spec(samples.outer)
    find(spec).domain = "production"
    refused(lambda: references(id_of(samples.outer), spec), Reason.FOREIGN_REFERENCE)


@pytest.mark.parametrize("entity", [samples.choice, samples.mapped, samples.guarded])
def test_no_reference_within_a_node_is_overlooked(entity):
    """Every identifier anywhere in the spec, found by walking the message, is refused when it is foreign."""

    def identifiers(message):
        for field, value in message.ListFields():
            if field.message_type is None or field.message_type.GetOptions().map_entry:
                continue
            for each in value if field.is_repeated else [value]:
                if isinstance(each, identifier_pb2.Identifier):
                    yield each
                else:
                    yield from identifiers(each)

    count = len(list(identifiers(workflow_spec(entity))))
    for index in range(1, count):  # 0 is the workflow's own id, which the caller gives
        spec = workflow_spec(entity)
        list(identifiers(spec))[index].domain = "production"
        refused(lambda spec=spec: references(id_of(entity), spec), Reason.FOREIGN_REFERENCE)


# Tasks


def changed_task(change) -> task_pb2.TaskSpec:
    spec = samples.task_spec(samples.double)
    change(spec.template)
    return spec


def task_problem(change) -> str:
    return refused(lambda: compile_task(id_of(samples.double), changed_task(change)), Reason.INVALID_FIELD).field


def resources(container, requests=(), limits=()):
    container.resources.Clear()
    for name, value in requests:
        container.resources.requests.add(name=name, value=value)
    for name, value in limits:
        container.resources.limits.add(name=name, value=value)


CPU, GPU = tasks_pb2.Resources.CPU, tasks_pb2.Resources.GPU


def test_a_task_is_stored_under_the_id_that_it_is_registered_with():
    other = EntityId(SCOPE, "other", "v9")
    closure = compile_task(other, samples.task_spec(samples.double))
    assert closure.compiled_task.template.id == identifier(other, identifier_pb2.TASK)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("spec.template.type", lambda template: template.ClearField("type")),
        ("spec.template.metadata", lambda template: template.ClearField("metadata")),
        ("spec.template.metadata.runtime.version", lambda template: template.metadata.runtime.ClearField("version")),
        ("spec.template.interface", lambda template: template.ClearField("interface")),
        (
            "spec.template.interface.inputs[x].type",
            lambda template: template.interface.inputs.variables["x"].ClearField("type"),
        ),
        ("spec.template.container.image", lambda template: template.container.ClearField("image")),
        ("spec.template.container.args", lambda template: template.container.ClearField("args")),
        (
            "spec.template.container.resources.requests[cpu]",
            lambda template: resources(template.container, [(CPU, "lots")]),
        ),
        (
            "spec.template.container.resources.requests",
            lambda template: resources(template.container, [(CPU, "1"), (CPU, "2")]),
        ),
        (
            "spec.template.container.resources.limits",
            lambda template: resources(template.container, [], [(tasks_pb2.Resources.UNKNOWN, "1")]),
        ),
        (
            "spec.template.container.resources.requests[cpu]",
            lambda template: resources(template.container, [(CPU, "901m")], [(CPU, "900m")]),
        ),
        (
            "spec.template.container.resources.requests[gpu]",
            lambda template: resources(template.container, [(GPU, "1")], [(GPU, "2")]),
        ),
        (
            "spec.template.container.resources.limits[gpu]",
            lambda template: resources(template.container, [], [(GPU, "500m")]),
        ),
        ("spec.template.sql.statement", lambda template: template.sql.SetInParent()),
        ("spec.template.k8s_pod.pod_spec.containers", lambda template: template.k8s_pod.SetInParent()),
    ],
)
def test_a_task_that_lacks_something_is_refused_with_the_path_of_it(field, change):
    assert task_problem(change) == field


def test_a_task_needs_a_template():
    error = refused(lambda: compile_task(id_of(samples.double), task_pb2.TaskSpec()), Reason.INVALID_FIELD)
    assert error.field == "spec.template"


def pod(containers, init=()):
    def change(template):
        template.k8s_pod.pod_spec.update({"containers": containers, "initContainers": list(init)})

    return change


def test_a_pods_containers_are_checked_too_init_containers_included():
    good = {"name": "primary", "image": "img", "resources": {"requests": {"cpu": 1}, "limits": {"cpu": "1000m"}}}
    compile_task(id_of(samples.double), changed_task(pod([good])))
    path = "spec.template.k8s_pod.pod_spec"
    assert task_problem(pod([good | {"name": "Primary"}])) == f"{path}.containers[0].name"
    above = good | {"resources": {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}}
    assert task_problem(pod([good, above])) == f"{path}.containers[1].resources.requests[cpu]"
    assert task_problem(pod([good], [above])) == f"{path}.initContainers[0].resources.requests[cpu]"
    nonsense = good | {"resources": {"requests": {"example.com/fpga": "many"}}}
    assert task_problem(pod([nonsense])) == f"{path}.containers[0].resources.requests[example.com/fpga]"


def test_a_connectors_task_has_no_target_and_is_taken():
    compile_task(id_of(samples.double), changed_task(lambda template: template.ClearField("container")))


# Launch plans

INTERFACE = samples.task_spec(samples.add).template.interface


def plan(**changes) -> launch_plan_pb2.LaunchPlanSpec:
    return launch_plan_pb2.LaunchPlanSpec(workflow_id=identifier(named("wf"), identifier_pb2.WORKFLOW), **changes)


def compile_plan(spec, interface=INTERFACE):
    return compile_launch_plan(named("lp"), spec, interface)


def test_a_launch_plan_expects_what_is_not_fixed_with_its_default_or_as_required():
    spec = plan(fixed_inputs=literals_pb2.LiteralMap(literals={"b": integer(5)}))
    spec, closure = compile_plan(spec)
    assert list(closure.expected_inputs.parameters) == ["a"]
    assert closure.expected_inputs.parameters["a"].required
    assert spec.default_inputs == closure.expected_inputs
    assert closure.expected_outputs == INTERFACE.outputs
    assert closure.state == launch_plan_pb2.INACTIVE


def test_flytekits_launch_plans_compile_with_their_schedules_and_fixed_inputs():
    nightly = samples.launch_plan(samples.cron_lp)
    assert list(nightly.closure.expected_inputs.parameters) == ["when"]
    assert nightly.spec.fixed_inputs.literals["x"] == integer(7)
    fan = samples.launch_plan(samples.rate_lp)
    assert fan.closure.expected_inputs.parameters["x"].default == integer(9)


def test_compiling_a_compiled_launch_plan_changes_nothing():
    spec, closure = compile_plan(plan())
    again, closure_again = compile_plan(spec)
    assert digest(again) == digest(spec)
    assert closure_again == closure


@pytest.mark.parametrize(
    "changes",
    [
        {"fixed_inputs": literals_pb2.LiteralMap(literals={"c": integer(1)})},
        {"default_inputs": {"parameters": {"c": {"default": integer(1)}}}},
        {"fixed_inputs": literals_pb2.LiteralMap(literals={"a": literals_pb2.Literal()})},
        {"default_inputs": {"parameters": {"a": {}}}},
        {"default_inputs": {"parameters": {"a": {"artifact_query": {"uri": "u"}}}}},
        {"default_inputs": {"parameters": {"a": {"default": literals_pb2.Literal()}}}},
        {"default_inputs": {"parameters": {"a": {"var": {"type": {"simple": "STRING"}}, "required": True}}}},
        {
            "default_inputs": {"parameters": {"a": {"default": integer(1)}}},
            "fixed_inputs": {"literals": {"a": integer(1)}},
        },
    ],
)
def test_inputs_that_do_not_fit_the_workflow_are_refused_by_name(changes):
    error = refused(lambda: compile_plan(plan(**changes)), Reason.INPUT_INVALID)
    assert error.metadata["input"] in ("a", "c")


def test_a_launch_plan_binds_a_workflow_of_its_own_domain_only():
    spec = plan()
    spec.workflow_id.domain = "production"
    assert refused(lambda: compile_plan(spec), Reason.FOREIGN_REFERENCE).metadata["reference"].startswith("vision/prod")


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("spec.labels", {"labels": {"values": {"bad key": "x"}}}),
        ("spec.max_parallelism", {"max_parallelism": -1}),
        ("spec.entity_metadata.launch_conditions", {"entity_metadata": {"launch_conditions": {}}}),
    ],
)
def test_settings_of_a_launch_plan_are_checked(field, changes):
    assert refused(lambda: compile_plan(plan(**changes)), Reason.INVALID_FIELD).field == field


def scheduled(kickoff="", **changes) -> launch_plan_pb2.LaunchPlanSpec:
    cron = schedule_pb2.CronSchedule(schedule="0 2 * * *")
    schedule = schedule_pb2.Schedule(cron_schedule=cron, kickoff_time_input_arg=kickoff)
    return plan(entity_metadata={"schedule": schedule}, **changes)


def test_a_schedule_must_know_every_input():
    interface = workflow_spec(samples.nightly).template.interface
    default_x = {"parameters": {"x": {"default": integer(1)}}}
    fixed_x = {"literals": {"x": integer(1)}}
    compile_plan(scheduled("when", default_inputs=default_x), interface)
    compile_plan(scheduled("when", fixed_inputs=fixed_x), interface)
    for spec, name in [
        (scheduled(default_inputs=default_x), "when"),
        (scheduled("when"), "x"),
        (scheduled("x", fixed_inputs=fixed_x), "x"),
        (scheduled("x", default_inputs=default_x), "x"),
        (scheduled("there_is_none", default_inputs=default_x), "there_is_none"),
    ]:
        error = refused(lambda spec=spec: compile_plan(spec, interface), Reason.SCHEDULE_INVALID)
        assert error.metadata["input"] == name


def test_an_interface_with_a_type_of_too_many_variants_is_refused():
    spec = workflow_spec(samples.chain)
    many = types_pb2.LiteralType(union_type={"variants": [types_pb2.LiteralType(simple=types_pb2.INTEGER)] * 65})
    spec.template.interface.inputs.variables["x"].type.CopyFrom(many)
    error = refused(lambda: compile_workflow(id_of(samples.chain), spec, *library(samples.chain)), Reason.INVALID_FIELD)
    assert error.field == "spec.template.interface.inputs[x].type"


def test_types_are_compared_once_however_often_an_output_is_taken(monkeypatch):
    compared = []
    castable = types.castable
    monkeypatch.setattr(types, "castable", lambda one, other: compared.append(one) or castable(one, other))
    kind = types_pb2.LiteralType(simple=types_pb2.INTEGER)
    check = BindingCheck("w", Library({}, {}, {}), {"x": kind})
    taken = literals_pb2.BindingData(promise=types_pb2.OutputReference(var="x"))
    lists = literals_pb2.BindingData(collection={"bindings": [taken] * 100})
    many = literals_pb2.BindingData(collection={"bindings": [lists] * 10})
    wanted = types_pb2.LiteralType(collection_type={"collection_type": kind})
    interface = interface_pb2.TypedInterface(outputs={"variables": {"o": {"type": wanted}}})
    check.check_outputs(interface, [literals_pb2.Binding(var="o", binding=many)])
    assert len(compared) == 1
