"""Compiles a workflow: what it refers to, whether its graph and its bindings hold, and the closure that is stored."""

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError
from typing import Final

from flyteidl.admin import launch_plan_pb2
from flyteidl.admin import workflow_pb2 as admin_workflow_pb2
from flyteidl.core import compiler_pb2, identifier_pb2, workflow_pb2

from airspace_server.core.errors import invalid_field
from airspace_server.core.scope import EntityId, EntityKind, Reference
from airspace_server.flyte.bindings import BindingCheck, Library, Site, signature
from airspace_server.flyte.digest import digest
from airspace_server.flyte.graph import START, connections, order, top_nodes, upstream, walk
from airspace_server.flyte.identifiers import entity_id, identifier
from airspace_server.flyte.references import foreign_reference, of_template
from airspace_server.flyte.tasks import check_interface

_RESERVED: Final = frozenset({START, "end-node"})


def references(workflow: EntityId, spec: admin_workflow_pb2.WorkflowSpec) -> Mapping[Reference, str]:
    """Return all that a workflow and its sub-workflows refer to, branches and failure nodes included, with its path.

    Of a sub-workflow of another project what was sent is not looked at: it is read from that project's registry.

    Raises:
        ApiError: FOREIGN_REFERENCE for something of another domain, sub-workflows included; INVALID_FIELD for an
            identifier that is not one.
    """
    found: dict[Reference, str] = {}
    for path, template in [("spec.template", spec.template), *_own_sub_workflows(workflow, spec)]:
        for used, place in of_template(template, path):
            if used.id.scope.domain != workflow.scope.domain:
                raise foreign_reference(used.id, place)
            found.setdefault(used, place)
    return found


def _own_sub_workflows(
    workflow: EntityId, spec: admin_workflow_pb2.WorkflowSpec
) -> Iterator[tuple[str, workflow_pb2.WorkflowTemplate]]:
    """Give the sub-workflows of the workflow's own scope, with their paths."""
    for index, template in enumerate(spec.sub_workflows):
        path = f"spec.sub_workflows[{index}]"
        sub = entity_id(template.id, identifier_pb2.WORKFLOW, f"{path}.id")
        if sub.scope.domain != workflow.scope.domain:
            raise foreign_reference(sub, f"{path}.id")
        if sub.scope == workflow.scope:
            yield path, template


def compile_workflow(
    workflow: EntityId,
    spec: admin_workflow_pb2.WorkflowSpec,
    tasks: Mapping[EntityId, compiler_pb2.CompiledTask],
    launch_plans: Mapping[EntityId, launch_plan_pb2.LaunchPlan],
    workflows: Mapping[EntityId, compiler_pb2.CompiledWorkflowClosure],
) -> compiler_pb2.CompiledWorkflowClosure:
    """Check a workflow with its sub-workflows and return the closure that executions run and clients read.

    `tasks` and `launch_plans` hold at least those of the workflow's `references` that are registered, `workflows` those
    of other projects. The closure holds each task once, each sub-workflow once, and the templates as sent but for the
    workflow's id and for the start node, which no node names as upstream. Its connections are between the template's
    own nodes, and hold what bindings imply even where a node does not name it as upstream.

    Raises:
        ApiError: WORKFLOW_INVALID naming the node and variable, when known; INVALID_FIELD for an interface or
            identifier; FOREIGN_REFERENCE as `references` does.
    """
    used = references(workflow, spec)
    if not spec.HasField("template"):
        raise invalid_field("spec.template", "is required")
    primary = _own(spec.template)
    primary.id.CopyFrom(identifier(workflow, identifier_pb2.WORKFLOW))
    subs = _sub_workflows(workflow, spec)
    imported = {
        used.id: workflows[used.id] for used in used if used.id in workflows and used.kind is EntityKind.WORKFLOW
    }
    library = Library(tasks, launch_plans, subs | {id_: each.primary.template for id_, each in imported.items()})
    closure = compiler_pb2.CompiledWorkflowClosure(
        primary=_compile(primary, "spec.template", library),
        sub_workflows=[
            _compile(template, f"spec.sub_workflows[{sub.name}]", library) for sub, template in subs.items()
        ],
        tasks=[tasks[each.id] for each in sorted(used) if each.kind is EntityKind.TASK],
    )
    _import(closure, [imported[id_] for id_ in sorted(imported)])
    _check_nesting(subs)
    return closure


def _import(
    closure: compiler_pb2.CompiledWorkflowClosure, imported: Iterable[compiler_pb2.CompiledWorkflowClosure]
) -> None:
    """Put the workflows of other projects into a closure, with all that is in theirs, each once."""
    workflows = {entity_id(each.template.id, identifier_pb2.WORKFLOW): each for each in closure.sub_workflows}
    tasks = {entity_id(each.template.id, identifier_pb2.TASK): each for each in closure.tasks}
    for other in imported:
        for workflow in (other.primary, *other.sub_workflows):
            id_ = entity_id(workflow.template.id, identifier_pb2.WORKFLOW)
            if id_ in workflows and digest(workflows[id_]) != digest(workflow):
                raise Site(id_.name).error("is part of two sub-workflows with different content")
            workflows[id_] = workflow
        tasks.update({entity_id(each.template.id, identifier_pb2.TASK): each for each in other.tasks})
    del closure.sub_workflows[:], closure.tasks[:]
    closure.sub_workflows.extend(workflows.values())
    closure.tasks.extend(tasks[id_] for id_ in sorted(tasks))


def _own(template: workflow_pb2.WorkflowTemplate) -> workflow_pb2.WorkflowTemplate:
    """Copy a template, without the start node where a node names it as upstream: clients look it up and fail."""
    copy = workflow_pb2.WorkflowTemplate()
    copy.CopyFrom(template)
    for top in top_nodes(copy):
        for node in walk(top):
            kept = [upstream_id for upstream_id in node.upstream_node_ids if upstream_id != START]
            node.upstream_node_ids[:] = kept
    return copy


def _sub_workflows(
    workflow: EntityId, spec: admin_workflow_pb2.WorkflowSpec
) -> dict[EntityId, workflow_pb2.WorkflowTemplate]:
    """Return the sub-workflows by their ids. flytekit sends one once for each node that runs it."""
    found: dict[EntityId, workflow_pb2.WorkflowTemplate] = {}
    for path, sent in _own_sub_workflows(workflow, spec):
        sub = entity_id(sent.id, identifier_pb2.WORKFLOW, f"{path}.id")
        template = _own(sent)
        if sub == workflow:
            raise Site(sub.name).error("is its own sub-workflow")
        if sub in found and digest(found[sub]) != digest(template):
            raise Site(sub.name).error("is sent twice with different content")
        found.setdefault(sub, template)
    return found


def _check_nesting(subs: Mapping[EntityId, workflow_pb2.WorkflowTemplate]) -> None:
    nested = {
        sub: frozenset(
            entity_id(node.workflow_node.sub_workflow_ref, identifier_pb2.WORKFLOW)
            for top in top_nodes(template)
            for node in walk(top)
            if node.workflow_node.HasField("sub_workflow_ref")
        )
        for sub, template in subs.items()
    }
    try:
        order(nested)
    except CycleError as cycle:
        raise Site(cycle.args[1][0].name).error("runs itself in the end") from None


def _compile(template: workflow_pb2.WorkflowTemplate, path: str, library: Library) -> compiler_pb2.CompiledWorkflow:
    site = Site(template.id.name)
    check_interface(template.interface, f"{path}.interface")
    if not template.nodes:
        raise site.error("has no nodes")
    nodes: dict[str, workflow_pb2.Node] = {}
    for node in top_nodes(template):
        if node.id in nodes or node.id in _RESERVED:
            raise Site(template.id.name, node.id).error("a node needs an id of its own")
        nodes[node.id] = node

    graph = {node_id: upstream(node) for node_id, node in nodes.items()}
    there = {node.id for node in template.nodes}  # the failure node is none that another could wait for
    for node_id, waits_for in graph.items():
        for other in sorted(waits_for - there):
            raise Site(template.id.name, node_id).error(f"waits for node {other}, which does not exist")
    check = BindingCheck(template.id.name, library, signature(template.interface).inputs)
    for node_id in _order(graph, site):
        check.check(nodes[node_id])
    check.check_outputs(template.interface, template.outputs)
    return compiler_pb2.CompiledWorkflow(template=template, connections=connections(graph))


def _order(graph: Mapping[str, frozenset[str]], site: Site) -> tuple[str, ...]:
    try:
        return order(graph)
    except CycleError as cycle:
        members: list[str] = cycle.args[1]
        raise Site(site.workflow, members[0]).error(f"waits for itself: {' <- '.join(members)}") from None
