"""What the nodes of workflows refer to, and what of it another project must have exported."""

from collections.abc import Iterator

from flyteidl.core import compiler_pb2, identifier_pb2, workflow_pb2

from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import EntityId, EntityKind, Reference, Scope
from airspace_server.flyte.graph import top_nodes, walk
from airspace_server.flyte.identifiers import entity_id


def foreign_reference(found: EntityId, path: str) -> ApiError:
    """Refuse what stands at `path` of the request: the same words whether or not it exists."""
    return ApiError(
        Reason.FOREIGN_REFERENCE,
        f"{path} refers to {found}, which is of another domain, or of another project that does not export it",
        {"reference": str(found), "field": path},
        path,
    )


def of_template(template: workflow_pb2.WorkflowTemplate, path: str = "") -> Iterator[tuple[Reference, str]]:
    """Give what a workflow's nodes run, in branches, maps and failure nodes too, and the path of each.

    Raises INVALID_FIELD for an identifier that is not one.
    """
    for top in top_nodes(template):
        for node in walk(top):
            found = _of_node(node, f"{path}.nodes[{node.id}]")
            if found is not None:
                yield found


def _of_node(node: workflow_pb2.Node, path: str) -> tuple[Reference, str] | None:
    task, workflow = node.task_node, node.workflow_node
    if task.HasField("reference_id"):
        path = f"{path}.task_node.reference_id"
        return Reference(EntityKind.TASK, entity_id(task.reference_id, identifier_pb2.TASK, path)), path
    if workflow.HasField("launchplan_ref"):
        path = f"{path}.workflow_node.launchplan_ref"
        plan = entity_id(workflow.launchplan_ref, identifier_pb2.LAUNCH_PLAN, path)
        return Reference(EntityKind.LAUNCH_PLAN, plan), path
    if workflow.HasField("sub_workflow_ref"):
        path = f"{path}.workflow_node.sub_workflow_ref"
        inner = entity_id(workflow.sub_workflow_ref, identifier_pb2.WORKFLOW, path)
        return Reference(EntityKind.WORKFLOW, inner), path
    return None


def of_workflow(closure: compiler_pb2.CompiledWorkflowClosure) -> frozenset[Reference]:
    """Return what a compiled workflow refers to itself: not what the workflows of other projects in it do."""
    own = _scope(closure.primary)
    return frozenset(used for owner, used in _all(closure) if owner == own)


def needed(consumer: Scope, closure: compiler_pb2.CompiledWorkflowClosure) -> frozenset[Reference]:
    """Return what must be exported to a scope so that it may run a compiled workflow.

    An export of a workflow brings along what its own project has in it. What a third project has in it that one must
    have exported to the consumer itself: an export does not travel.
    """
    found = {used for owner, used in _all(closure) if used.id.scope not in (owner, consumer)}
    workflow = entity_id(closure.primary.template.id, identifier_pb2.WORKFLOW)
    if workflow.scope != consumer:
        found.add(Reference(EntityKind.WORKFLOW, workflow))
    return frozenset(found)


def _all(closure: compiler_pb2.CompiledWorkflowClosure) -> Iterator[tuple[Scope, Reference]]:
    for workflow in (closure.primary, *closure.sub_workflows):
        for used, _ in of_template(workflow.template):
            yield _scope(workflow), used


def _scope(workflow: compiler_pb2.CompiledWorkflow) -> Scope:
    return entity_id(workflow.template.id, identifier_pb2.WORKFLOW).scope
