import flyte_samples as samples
import pytest
from flyte_samples import compiled

from airspace_server.flyte.runnable import first_unrunnable


@pytest.mark.parametrize(
    "entity",
    [
        samples.chain,
        samples.fan,
        samples.outermost,
        samples.typed,
        samples.growing,
        samples.nightly,
        samples.mapped,
        samples.mapped_partly,
    ],
)
def test_python_tasks_and_sub_workflows_of_them_can_run(entity):
    assert first_unrunnable(compiled(entity)) is None


@pytest.mark.parametrize(
    ("entity", "found"),
    [
        (samples.choice, None),
        (samples.gated, None),
        (samples.guarded, None),
        (samples.launching, ("n0", "launch plan node")),
    ],
)
def test_the_first_construct_that_cannot_run_is_named_with_its_node_if_there_is_one(entity, found):
    assert first_unrunnable(compiled(entity)) == found


def test_a_construct_within_a_sub_workflow_is_named_with_the_nodes_around_it():
    closure = compiled(samples.outermost)
    inner = next(sub for sub in closure.sub_workflows if sub.template.id.name == samples.chain.name)
    inner.template.nodes[1].array_node.node.workflow_node.launchplan_ref.name = "plan"
    assert first_unrunnable(closure) == ("n0/n0/n1", "array of launch plans")


@pytest.mark.parametrize(
    "change",
    [
        lambda template: template.ClearField("container"),
        lambda template: template.container.ClearField("args"),
        lambda template: template.container.args.insert(0, "bash"),
        lambda template: template.container.command.append("bash"),
        lambda template: template.k8s_pod.SetInParent(),
        lambda template: template.sql.SetInParent(),
    ],
)
def test_a_task_that_is_not_python_in_a_container_cannot_run(change):
    closure = compiled(samples.chain)
    template = closure.tasks[0].template
    template.type = "spark"
    assert first_unrunnable(closure) is None
    change(template)
    assert first_unrunnable(closure) == ("n0", "task of type spark")
