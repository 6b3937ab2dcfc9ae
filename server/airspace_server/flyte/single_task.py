"""The workflow of one node that a task alone is run as."""

import re
from typing import Final

from flyteidl.core import compiler_pb2, identifier_pb2, interface_pb2, literals_pb2, types_pb2

_MAX_NODE_ID: Final = 63


def node_id(task_name: str) -> str:
    """Name the node of a task that runs alone: letters, digits and hyphens of its name, as Flyte's clients expect."""
    name = re.sub(r"[^a-zA-Z0-9-]", "", task_name)[-_MAX_NODE_ID:].strip("-")
    return "task" if name in ("", "start-node", "end-node") else name


def single_task_workflow(task: compiler_pb2.CompiledTask) -> compiler_pb2.CompiledWorkflowClosure:
    """Make the workflow: the task's inputs in, one node, the task's outputs out."""
    template = task.template
    closure = compiler_pb2.CompiledWorkflowClosure(tasks=[task])
    workflow = closure.primary.template
    workflow.id.CopyFrom(template.id)
    workflow.id.resource_type = identifier_pb2.WORKFLOW
    workflow.interface.CopyFrom(template.interface)
    node = workflow.nodes.add(id=node_id(template.id.name))
    node.task_node.reference_id.CopyFrom(template.id)
    for name in sorted(template.interface.inputs.variables):
        node.inputs.append(_bound(name, "", name))
    for name in sorted(template.interface.outputs.variables):
        workflow.outputs.append(_bound(name, node.id, name))
    return closure


def task_inputs(task: compiler_pb2.CompiledTask) -> interface_pb2.ParameterMap:
    """Return what a task that runs alone must be given: all of its inputs, none with a default."""
    return interface_pb2.ParameterMap(
        parameters={
            name: interface_pb2.Parameter(var=variable, required=True)
            for name, variable in task.template.interface.inputs.variables.items()
        }
    )


def _bound(name: str, node: str, variable: str) -> literals_pb2.Binding:
    promise = types_pb2.OutputReference(node_id=node, var=variable)
    return literals_pb2.Binding(var=name, binding=literals_pb2.BindingData(promise=promise))
