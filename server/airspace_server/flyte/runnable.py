"""What the engine can run today: tasks of Python code in a container, sub-workflows and branches of them, and gates.

A task is run for each item of a list too.
What a task does at run time, such as growing a graph of its own, cannot be told from its template.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from flyteidl.core import compiler_pb2, tasks_pb2, workflow_pb2
from flyteidl.core.identifier_pb2 import TASK, WORKFLOW

from airspace_server.core.scope import EntityId
from airspace_server.flyte.identifiers import entity_id

_PYTHON: Final = "pyflyte-"


def first_unrunnable(closure: compiler_pb2.CompiledWorkflowClosure) -> tuple[str, str] | None:
    """Find the first construct of a compiled workflow that the engine cannot run; None when it can run all of it.

    Returns:
        The node's id, behind those of the sub-workflow nodes that it is in ("n1/n0"), and the construct's name, such as
        "array node" or "task of type spark".
    """
    tasks = {entity_id(task.template.id, TASK): task.template for task in closure.tasks}
    workflows = {entity_id(workflow.template.id, WORKFLOW): workflow.template for workflow in closure.sub_workflows}
    return _first(closure.primary.template, tasks, workflows, set())


def _first(
    workflow: workflow_pb2.WorkflowTemplate,
    tasks: Mapping[EntityId, tasks_pb2.TaskTemplate],
    workflows: Mapping[EntityId, workflow_pb2.WorkflowTemplate],
    seen: set[EntityId],
) -> tuple[str, str] | None:
    failure = [workflow.failure_node] if workflow.HasField("failure_node") else []
    for node in _with_cases([*workflow.nodes, *failure]):
        if node.workflow_node.HasField("sub_workflow_ref"):
            inner = entity_id(node.workflow_node.sub_workflow_ref, WORKFLOW)
            if inner in seen:
                continue
            seen.add(inner)
            found = _first(workflows[inner], tasks, workflows, seen)
            if found is not None:
                return f"{node.id}/{found[0]}", found[1]
        elif node.HasField("task_node") or node.array_node.node.HasField("task_node"):
            runs = node.array_node.node if node.HasField("array_node") else node
            template = tasks[entity_id(runs.task_node.reference_id, TASK)]
            if not _runs_python(template):
                return node.id, f"task of type {template.type}"
        elif not (node.HasField("branch_node") or node.HasField("gate_node")):
            return node.id, "array of launch plans" if node.HasField("array_node") else "launch plan node"
    return None


def _with_cases(nodes: Iterable[workflow_pb2.Node]) -> Iterator[workflow_pb2.Node]:
    """Yield nodes, and behind each branch those of its cases."""
    for node in nodes:
        yield node
        if node.HasField("branch_node"):
            block = node.branch_node.if_else
            yield from _with_cases(case.then_node for case in (block.case, *block.other))
            yield from _with_cases([block.else_node] if block.HasField("else_node") else [])


def _runs_python(template: tasks_pb2.TaskTemplate) -> bool:
    """Tell whether the task's container begins with one of flytekit's own commands, which a runner knows to start."""
    started = [*template.container.command, *template.container.args]
    return bool(started) and started[0].startswith(_PYTHON)
