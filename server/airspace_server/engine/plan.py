"""What there is to run: a compiled workflow, parsed once, its sub-workflows laid out under unique node ids.

A frame is a workflow where it is used: the root one, or one for each sub-workflow node. The cases of a branch node are
a frame too, of which one node at most is run; and the items of an array, whose nodes are not in the plan, because how
many there are shows in a run. A frame has the id of its node, "" for the root. The plan says nothing about a run;
graph.py does.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from typing import Final

from flyteidl.core import compiler_pb2, condition_pb2, identifier_pb2, literals_pb2, tasks_pb2, types_pb2, workflow_pb2

from airspace_server.core.execution import NodeKind
from airspace_server.engine.arrays import Array

ROOT: Final = ""
"""The id of the frame of the execution's own workflow."""
MAX_NODES: Final = 10_000
"""Most nodes of one plan, those in sub-workflows included. Sub-workflows of sub-workflows multiply."""
MAX_DEPTH: Final = 32
"""Most sub-workflows inside one another."""

_BOUNDARY: Final = frozenset({"", "start-node", "end-node"})
_MAX_ID: Final = 63
_MAX_NAME: Final = 255
# Node ids become names of folders and pods, and come from whoever registered the workflow.
_NODE_ID: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")

Bindings = Mapping[str, literals_pb2.BindingData]
"""What each variable is bound to."""
Reference = tuple[str, str, str]
"""Project, name and version of a task or workflow; its domain is that of the execution."""


class NotRunnableError(Exception):
    """A workflow has a construct that this engine cannot run. The text is for the owner of the execution."""


@dataclass(frozen=True, slots=True)
class Entity:
    """What a node runs; `project` is its own, in the domain of the execution.

    A branch is no entity of its own: it has the name that its author gave it, and neither project nor version. Nor is a
    gate, which has that of the signal that it waits for. An array has that of the task that is run for its items.
    """

    kind: NodeKind
    project: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Node:
    """A node where it stands in the plan: `frame` is the id of the frame that it is in.

    `retries` and `timeout_us` (0 for none) are those of its task with the node's own on top. `gate` is set for a gate,
    and says what it waits for; `array` for an array, whose items have its retries and timeout. `told` are the inputs of
    a failure node, with their types, by which it is told what has failed.
    """

    id: str
    spec_id: str
    frame: str
    entity: Entity
    inputs: Bindings
    upstream: tuple[str, ...]
    retries: int = 0
    timeout_us: int = 0
    gate: workflow_pb2.GateNode | None = None
    array: Array | None = None
    told: Mapping[str, types_pb2.LiteralType] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Branch:
    """What a branch node decides: the node of the first condition that holds is run, else `otherwise`.

    Without that, "", the branch fails with `error`.
    """

    conditions: tuple[condition_pb2.BooleanExpression, ...]
    nodes: tuple[str, ...]
    otherwise: str
    error: str


@dataclass(frozen=True, slots=True)
class Frame:
    """A workflow where it is used: its nodes, and what its outputs are bound to.

    The nodes are in the order of the workflow, but that each stands behind all that it waits for: so one look at each
    moves all that can move. Whoever wrote them in another order would have them looked at once for each node.

    `scope` is the frame whose nodes and inputs its bindings name: itself, but for the cases of a branch, which name
    those around the branch. Its outputs are those of the node that is run.

    `failure` is run when the frame has failed and nothing else of it runs any more; it is none of the nodes.
    """

    id: str
    scope: str
    nodes: tuple[Node, ...]
    outputs: Bindings
    fails_at_once: bool
    branch: Branch | None = None
    failure: Node | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Every node but the items of arrays, and every frame, by its id; and the tasks by their references."""

    nodes: Mapping[str, Node]
    frames: Mapping[str, Frame]
    tasks: Mapping[Reference, tasks_pb2.TaskTemplate]

    def node(self, id_: str, frame: str, spec_id: str) -> Node:
        """Return a node, which may be one of the items of an array: then its frame is that, and its spec its place."""
        found = self.nodes.get(id_)
        if found is not None:
            return found
        array = self.nodes[frame]
        entity = replace(array.entity, kind=NodeKind.TASK)
        return Node(id_, spec_id, frame, entity, {}, (), array.retries, array.timeout_us)

    def task(self, node: Node) -> tasks_pb2.TaskTemplate:
        """Return the task that a node of kind TASK runs, or an array for its items."""
        return self.tasks[node.entity.project, node.entity.name, node.entity.version]


def unique_id(frame: str, spec_id: str) -> str:
    """Return the id of a node in an execution: readable where it fits 63 characters, else a hash, always the same."""
    if frame == ROOT:
        return spec_id
    full = f"{frame}-0-{spec_id}"
    return full if len(full) <= _MAX_ID else f"h{hashlib.sha256(full.encode()).hexdigest()[:31]}"


@lru_cache(256)
def item_ids(array: str, size: int) -> tuple[str, ...]:
    """Return the ids of the nodes for the items of an array."""
    return tuple(unique_id(array, str(index)) for index in range(size))


def signal_id(gate: workflow_pb2.GateNode) -> str:
    """Name the signal whose answer a gate waits for; "" for one that only sleeps."""
    return gate.signal.signal_id or gate.approve.signal_id


def parse(closure: compiler_pb2.CompiledWorkflowClosure) -> Plan:
    """Lay out a compiled workflow. Raises NotRunnableError."""
    return _Layout(closure).plan()


@dataclass
class _Layout:
    closure: compiler_pb2.CompiledWorkflowClosure
    nodes: dict[str, Node] = field(default_factory=dict)
    frames: dict[str, Frame] = field(default_factory=dict)

    def plan(self) -> Plan:
        self._tasks = {_reference(task.template.id): task.template for task in self.closure.tasks}
        self._workflows = {_reference(one.template.id): one.template for one in self.closure.sub_workflows}
        self._frame(ROOT, self.closure.primary.template, 0)
        self._require_items_apart()
        return Plan(self.nodes, self.frames, self._tasks)

    def _frame(self, frame: str, workflow: workflow_pb2.WorkflowTemplate, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise NotRunnableError(f"sub-workflows stand more than {MAX_DEPTH} deep in one another")
        specs = [spec for spec in workflow.nodes if spec.id not in _BOUNDARY]
        nodes = tuple(self._node(frame, spec, self._upstream(frame, spec)) for spec in specs)
        self.frames[frame] = Frame(
            frame,
            frame,
            _ordered(frame, nodes),
            {binding.var: binding.binding for binding in workflow.outputs},
            workflow.metadata.on_failure == workflow_pb2.WorkflowMetadata.FAIL_IMMEDIATELY,
            failure=self._failure(frame, workflow),
        )
        for spec, node in zip(specs, nodes, strict=True):
            self._inside(frame, spec, node, depth)
        failure = self.frames[frame].failure
        if failure is not None:
            self._inside(frame, workflow.failure_node, failure, depth)

    def _failure(self, frame: str, workflow: workflow_pb2.WorkflowTemplate) -> Node | None:
        if not workflow.HasField("failure_node"):
            return None
        node = self._node(frame, workflow.failure_node, ())
        entity = (node.entity.project, node.entity.name, node.entity.version)
        runs = (self._tasks if node.entity.kind is NodeKind.TASK else self._workflows).get(entity)
        if runs is None:
            raise NotRunnableError(f"failure node {node.id} runs neither a task nor a workflow")
        told = {name: each.type for name, each in runs.interface.inputs.variables.items() if _takes_errors(each.type)}
        self.nodes[node.id] = node = replace(node, told=told)
        return node

    def _inside(self, scope: str, spec: workflow_pb2.Node, node: Node, depth: int) -> None:
        """Lay out what is inside a node that stands in, or in a branch of, the frame `scope`."""
        if node.entity.kind is NodeKind.WORKFLOW:
            inner = self._workflows[_reference(spec.workflow_node.sub_workflow_ref)]
            self._frame(node.id, inner, depth + 1)
        elif node.entity.kind is NodeKind.BRANCH:
            self._branch(scope, node.id, spec.branch_node.if_else, depth + 1)
        elif node.entity.kind is NodeKind.ARRAY:
            self.frames[node.id] = Frame(node.id, scope, (), {}, fails_at_once=True)

    def _require_items_apart(self) -> None:
        """Refuse a node that has the id of an item of an array, which only a run will have."""
        for node in self.nodes.values():
            array, _, index = node.id.rpartition("-0-")
            if array in self.nodes and self.nodes[array].array is not None and index.isdecimal():
                raise NotRunnableError(f"node {node.id} is called as an item of {array} would be")

    def _branch(self, scope: str, frame: str, block: workflow_pb2.IfElseBlock, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise NotRunnableError(f"branches and sub-workflows stand more than {MAX_DEPTH} deep in one another")
        cases = (block.case, *block.other)
        specs = [case.then_node for case in cases]
        if block.HasField("else_node"):
            specs.append(block.else_node)
        nodes = tuple(self._node(frame, spec, ()) for spec in specs)  # what they wait for, the branch has waited for
        ids = [node.id for node in nodes]
        branch = Branch(
            tuple(case.condition for case in cases),
            tuple(ids[: len(cases)]),
            ids[-1] if block.HasField("else_node") else "",
            block.error.message if block.HasField("error") else "none of its conditions holds",
        )
        self.frames[frame] = Frame(frame, scope, nodes, {}, fails_at_once=True, branch=branch)
        for spec, node in zip(specs, nodes, strict=True):
            self._inside(scope, spec, node, depth)

    def _upstream(self, frame: str, spec: workflow_pb2.Node) -> tuple[str, ...]:
        """Name what a node waits for: what it says and is bound to, and of a branch also what its cases are."""
        found: set[str] = set()
        left = [spec]
        while left:
            one = left.pop()
            found |= {*one.upstream_node_ids, *_promised(one.inputs)}
            if one.HasField("branch_node"):
                block = one.branch_node.if_else
                left += [case.then_node for case in (block.case, *block.other)]
                left += [block.else_node] if block.HasField("else_node") else []
        return tuple(sorted(unique_id(frame, one) for one in found - _BOUNDARY))

    def _node(self, frame: str, spec: workflow_pb2.Node, upstream: tuple[str, ...]) -> Node:
        if not _NODE_ID.fullmatch(spec.id):
            raise NotRunnableError("a node's id is not 1 to 63 letters, digits and inner hyphens, dots and underscores")
        if len(self.nodes) >= MAX_NODES:
            raise NotRunnableError(f"the workflow has more than {MAX_NODES} nodes")
        node = Node(
            unique_id(frame, spec.id),
            spec.id,
            frame,
            self._entity(spec),
            {binding.var: binding.binding for binding in spec.inputs},
            upstream,
            *self._limits(spec),
            spec.gate_node if spec.HasField("gate_node") else None,
            Array.of(spec.array_node) if spec.HasField("array_node") else None,
        )
        if node.id in self.nodes:
            raise NotRunnableError(f"two nodes of the workflow would be {node.id}")
        self.nodes[node.id] = node
        return node

    def _entity(self, spec: workflow_pb2.Node) -> Entity:
        if spec.HasField("task_node"):
            kind, reference = NodeKind.TASK, _reference(spec.task_node.reference_id)
            known = reference in self._tasks
        elif spec.HasField("workflow_node") and spec.workflow_node.HasField("sub_workflow_ref"):
            kind, reference = NodeKind.WORKFLOW, _reference(spec.workflow_node.sub_workflow_ref)
            known = reference in self._workflows
        elif spec.HasField("branch_node"):
            return Entity(NodeKind.BRANCH, "", spec.metadata.name[:_MAX_NAME], "")
        elif spec.HasField("gate_node"):
            return Entity(NodeKind.GATE, "", (signal_id(spec.gate_node) or "sleep")[:_MAX_NAME], "")
        elif spec.HasField("array_node") and spec.array_node.node.HasField("task_node"):
            kind, reference = NodeKind.ARRAY, _reference(spec.array_node.node.task_node.reference_id)
            known = reference in self._tasks
        else:
            construct = spec.workflow_node.WhichOneof("reference") or spec.WhichOneof("target") or "empty node"
            raise NotRunnableError(f"node {spec.id} is a {construct}, which cannot be run yet")
        if not known:
            raise NotRunnableError(f"node {spec.id} runs {':'.join(reference)}, which the workflow does not hold")
        return Entity(kind, *reference)

    def _limits(self, spec: workflow_pb2.Node) -> tuple[int, int]:
        """Find retries and timeout. Clients always send both with a node, so that 0 there means: as the task has it."""
        runs = spec.array_node.node if spec.HasField("array_node") else spec
        own = runs.metadata
        task = self._tasks[_reference(runs.task_node.reference_id)] if runs.HasField("task_node") else None
        of_task = task.metadata if task else tasks_pb2.TaskMetadata()
        retries = own.retries.retries or of_task.retries.retries
        return retries, own.timeout.ToMicroseconds() or of_task.timeout.ToMicroseconds()


def _takes_errors(kind: types_pb2.LiteralType) -> bool:
    return kind.simple == types_pb2.ERROR or any(each.simple == types_pb2.ERROR for each in kind.union_type.variants)


def _reference(identifier: identifier_pb2.Identifier) -> Reference:
    return identifier.project, identifier.name, identifier.version


def _promised(bindings: Sequence[literals_pb2.Binding]) -> Iterator[str]:
    """Name the nodes whose outputs the bindings use."""
    left = [binding.binding for binding in bindings]
    while left:
        data = left.pop()
        if data.HasField("promise"):
            yield data.promise.node_id
        left.extend(data.collection.bindings)
        left.extend(data.map.bindings.values())


def _ordered(frame: str, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Sort a frame's nodes; of those that wait for nothing any more the first in the workflow is next.

    Refuses nodes that wait for one another in a circle, or for a node that is not there.
    """
    places = {node.id: place for place, node in enumerate(nodes)}
    for node in nodes:
        for missing in node.upstream:
            if missing not in places:
                raise NotRunnableError(f"node {node.id} waits for {missing}, which its workflow does not have")
    sorter = TopologicalSorter({node.id: node.upstream for node in nodes})
    try:
        sorter.prepare()
    except CycleError:
        where = f"sub-workflow node {frame}" if frame else "the workflow"
        raise NotRunnableError(f"the nodes of {where} wait for one another in a circle") from None
    ready: list[int] = []
    found = []
    while sorter.is_active():
        for each in sorter.get_ready():
            heappush(ready, places[each])
        node = nodes[heappop(ready)]
        found.append(node)
        sorter.done(node.id)
    return tuple(found)
