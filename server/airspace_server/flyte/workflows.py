"""Compiles a workflow: what it refers to, whether its graph and its bindings hold, and the closure that is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError
from typing import Final

from flyteidl.admin import launch_plan_pb2
from flyteidl.admin import workflow_pb2 as admin_workflow_pb2
from flyteidl.core import compiler_pb2, identifier_pb2, workflow_pb2

from airspace_server.core.errors import ApiError, Reason, invalid_field
from airspace_server.core.scope import EntityId
from airspace_server.flyte.bindings import BindingCheck, Library, Site, signature
from airspace_server.flyte.digest import digest
from airspace_server.flyte.graph import START, connections, order, top_nodes, upstream, walk
from airspace_server.flyte.identifiers import entity_id, identifier
from airspace_server.flyte.tasks import check_interface

_RESERVED: Final = frozenset({START, "end-node"})


@dataclass(frozen=True, slots=True)
class References:
    """What must be registered before a workflow can be; sub-workflows come along with it and are not among these."""

    tasks: frozenset[EntityId]
    launch_plans: frozenset[EntityId]


def references(workflow: EntityId, spec: admin_workflow_pb2.WorkflowSpec) -> References:
    """Return all that a workflow and its sub-workflows refer to, in branches, maps and failure nodes too.

    Raises:
        ApiError: FOREIGN_REFERENCE for something of another project or domain, sub-workflows included; INVALID_FIELD
            for an identifier that is not one.
    """
    tasks: set[EntityId] = set()
    launch_plans: set[EntityId] = set()
    templates = [("spec.template", spec.template)]
    for index, template in enumerate(spec.sub_workflows):
        path = f"spec.sub_workflows[{index}]"
        _read(template.id, identifier_pb2.WORKFLOW, f"{path}.id", workflow)
        templates.append((path, template))
    for path, template in templates:
        for top in top_nodes(template):
            for node in walk(top):
                here = f"{path}.nodes[{node.id}]"
                if node.task_node.HasField("reference_id"):
                    reference = node.task_node.reference_id
                    tasks.add(_read(reference, identifier_pb2.TASK, f"{here}.task_node.reference_id", workflow))
                elif node.workflow_node.HasField("launchplan_ref"):
                    reference = node.workflow_node.launchplan_ref
                    here = f"{here}.workflow_node.launchplan_ref"
                    launch_plans.add(_read(reference, identifier_pb2.LAUNCH_PLAN, here, workflow))
                elif node.workflow_node.HasField("sub_workflow_ref"):
                    reference = node.workflow_node.sub_workflow_ref
                    _read(reference, identifier_pb2.WORKFLOW, f"{here}.workflow_node.sub_workflow_ref", workflow)
    return References(frozenset(tasks), frozenset(launch_plans))


def _read(
    reference: identifier_pb2.Identifier, kind: identifier_pb2.ResourceType, path: str, workflow: EntityId
) -> EntityId:
    found = entity_id(reference, kind, path)
    if found.scope != workflow.scope:
        raise ApiError(
            Reason.FOREIGN_REFERENCE,
            f"{path} refers to {found}, which is of another project or domain",
            {"reference": str(found), "field": path},
            path,
        )
    return found


def compile_workflow(
    workflow: EntityId,
    spec: admin_workflow_pb2.WorkflowSpec,
    tasks: Mapping[EntityId, compiler_pb2.CompiledTask],
    launch_plans: Mapping[EntityId, launch_plan_pb2.LaunchPlan],
) -> compiler_pb2.CompiledWorkflowClosure:
    """Check a workflow with its sub-workflows and return the closure that executions run and clients read.

    `tasks` and `launch_plans` hold at least those of the workflow's `references` that are registered. The closure holds
    each referenced task once, each sub-workflow once, and the templates as sent but for the workflow's id and for the
    start node, which no node names as upstream. Its connections are between the template's own nodes, and hold what
    bindings imply even where a node does not name it as upstream.

    Raises:
        ApiError: WORKFLOW_INVALID naming the node and variable, when known; INVALID_FIELD for an interface or
            identifier; FOREIGN_REFERENCE as `references` does.
    """
    used = references(workflow, spec).tasks
    if not spec.HasField("template"):
        raise invalid_field("spec.template", "is required")
    primary = _own(spec.template)
    primary.id.CopyFrom(identifier(workflow, identifier_pb2.WORKFLOW))
    subs = _sub_workflows(workflow, spec)
    library = Library(tasks, launch_plans, subs)
    closure = compiler_pb2.CompiledWorkflowClosure(
        primary=_compile(primary, "spec.template", library),
        sub_workflows=[
            _compile(template, f"spec.sub_workflows[{sub.name}]", library) for sub, template in subs.items()
        ],
        tasks=[tasks[task] for task in sorted(used)],
    )
    _check_nesting(subs)
    return closure


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
    for index, sent in enumerate(spec.sub_workflows):
        sub = entity_id(sent.id, identifier_pb2.WORKFLOW, f"spec.sub_workflows[{index}].id")
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
