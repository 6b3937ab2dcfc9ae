"""The nodes of a workflow and what each of them waits for."""

from collections.abc import Iterator, Mapping, Set
from graphlib import TopologicalSorter
from typing import Final, TypeVar

from flyteidl.core import compiler_pb2, literals_pb2, types_pb2, workflow_pb2

from airspace_server.core.scope import EntityId

_Id = TypeVar("_Id", str, EntityId)

START: Final = "start-node"
"""The id under which Flyte knows the workflow's own inputs; flytekit writes "" for it."""


def branches(branch: workflow_pb2.BranchNode) -> Iterator[workflow_pb2.Node]:
    """Give the nodes that a branch node chooses from."""
    yield branch.if_else.case.then_node
    for block in branch.if_else.other:
        yield block.then_node
    if branch.if_else.HasField("else_node"):
        yield branch.if_else.else_node


def walk(node: workflow_pb2.Node) -> Iterator[workflow_pb2.Node]:
    """Give a node and every node within it, whose ids may repeat those of the top level."""
    yield node
    if node.HasField("branch_node"):
        for inner in branches(node.branch_node):
            yield from walk(inner)
    elif node.HasField("array_node"):
        yield from walk(node.array_node.node)


def top_nodes(template: workflow_pb2.WorkflowTemplate) -> Iterator[workflow_pb2.Node]:
    """Give the nodes of a workflow's top level, the failure node last."""
    yield from template.nodes
    if template.HasField("failure_node"):
        yield template.failure_node


def promises(data: literals_pb2.BindingData) -> Iterator[types_pb2.OutputReference]:
    """Give the outputs that a binding takes its value from."""
    if data.HasField("promise"):
        yield data.promise
    for item in data.collection.bindings:
        yield from promises(item)
    for item in data.map.bindings.values():
        yield from promises(item)


def upstream(node: workflow_pb2.Node) -> frozenset[str]:
    """Return the ids that a node waits for: those it names and those it or a node within it takes a value from.

    All of them are of the node's own workflow's top level: that is what nodes within a branch refer to.
    """
    found: set[str] = set()
    for each in walk(node):
        found.update(each.upstream_node_ids)
        for binding in each.inputs:
            found.update(promise.node_id for promise in promises(binding.binding))
    return frozenset(found - {"", START})


def order(graph: Mapping[_Id, Set[_Id]]) -> tuple[_Id, ...]:
    """Sort so that each stands behind all that it waits for, and deterministically.

    Raises:
        CycleError: when there is a cycle: `args[1]` lists its members, the first one again at the end.
    """
    sorter: TopologicalSorter[_Id] = TopologicalSorter()
    for each in graph:
        sorter.add(each, *sorted(graph[each]))
    return tuple(sorter.static_order())


def connections(graph: Mapping[str, Set[str]]) -> compiler_pb2.ConnectionSet:
    """Write a graph of waiting nodes as Flyte's connections, in both directions."""
    connected = compiler_pb2.ConnectionSet()
    for node, waits_for in sorted(graph.items()):
        for other in sorted(waits_for):
            connected.upstream[node].ids.append(other)
            connected.downstream[other].ids.append(node)
    return connected
