"""Checks what flows into and out of the nodes of one workflow."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from flyteidl.admin import launch_plan_pb2
from flyteidl.core import (
    compiler_pb2,
    condition_pb2,
    identifier_pb2,
    interface_pb2,
    literals_pb2,
    types_pb2,
    workflow_pb2,
)

from airspace_server.core import names
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import EntityId
from airspace_server.flyte import types
from airspace_server.flyte.graph import START, branches
from airspace_server.flyte.identifiers import entity_id

Types: TypeAlias = Mapping[str, types_pb2.LiteralType | None]
"""Variables and their types; None is a type that only a running task will tell."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where in a workflow something is wrong; "" for what does not apply."""

    workflow: str
    node: str = ""
    variable: str = ""

    def error(self, problem: str) -> ApiError:
        """Say what is wrong here, in words that fit behind the place and a colon."""
        parts = {"workflow": self.workflow, "node": self.node, "variable": self.variable}
        known = {part: value for part, value in parts.items() if value}
        place = ", ".join(f"{part} {value}" for part, value in known.items())
        return ApiError(Reason.WORKFLOW_INVALID, f"{place}: {problem}", known)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a node may and must be given, and what it gives."""

    inputs: Types
    required: frozenset[str]
    outputs: Types


def signature(interface: interface_pb2.TypedInterface) -> Signature:
    """Return the signature of a task or workflow: all of its inputs are required but those that may be none."""
    inputs = {name: variable.type for name, variable in interface.inputs.variables.items()}
    required = frozenset(name for name, kind in inputs.items() if not types.optional(kind))
    return Signature(inputs, required, _types(interface.outputs))


def _types(variables: interface_pb2.VariableMap) -> Types:
    return {name: variable.type for name, variable in variables.variables.items()}


def _launch_plan_signature(launch_plan: launch_plan_pb2.LaunchPlan) -> Signature:
    parameters = launch_plan.closure.expected_inputs.parameters
    return Signature(
        {name: parameter.var.type for name, parameter in parameters.items()},
        frozenset(name for name, parameter in parameters.items() if parameter.required),
        _types(launch_plan.closure.expected_outputs),
    )


@dataclass(frozen=True, slots=True)
class Library:
    """All that the nodes of a workflow and of its sub-workflows may refer to."""

    tasks: Mapping[EntityId, compiler_pb2.CompiledTask]
    launch_plans: Mapping[EntityId, launch_plan_pb2.LaunchPlan]
    workflows: Mapping[EntityId, workflow_pb2.WorkflowTemplate]

    def signature(self, node: workflow_pb2.Node, site: Site) -> Signature | None:
        """Return the signature of the entity that a node runs; None for a node that runs none.

        Raises:
            ApiError: WORKFLOW_INVALID when the entity is not there.
        """
        if node.task_node.HasField("reference_id"):
            task = entity_id(node.task_node.reference_id, identifier_pb2.TASK)
            if task not in self.tasks:
                raise site.error(f"the task {task} is not registered")
            return signature(self.tasks[task].template.interface)
        if node.workflow_node.HasField("launchplan_ref"):
            launch_plan = entity_id(node.workflow_node.launchplan_ref, identifier_pb2.LAUNCH_PLAN)
            if launch_plan not in self.launch_plans:
                raise site.error(f"the launch plan {launch_plan} is not registered")
            return _launch_plan_signature(self.launch_plans[launch_plan])
        if node.workflow_node.HasField("sub_workflow_ref"):
            workflow = entity_id(node.workflow_node.sub_workflow_ref, identifier_pb2.WORKFLOW)
            if workflow not in self.workflows:
                raise site.error(f"the sub-workflow {workflow} is not part of the registration")
            return signature(self.workflows[workflow].interface)
        return None


@dataclass(slots=True)
class BindingCheck:
    """Checks the nodes of one workflow; each node's upstream nodes must have been checked before it."""

    workflow: str
    library: Library
    inputs: Types
    _outputs: dict[str, Types] = field(default_factory=dict)
    _compared: dict[tuple[int, int], tuple[types_pb2.LiteralType, types_pb2.LiteralType, bool]] = field(
        default_factory=dict
    )

    def check(self, node: workflow_pb2.Node) -> None:
        """Check a node of the workflow's top level and remember its outputs.

        Raises:
            ApiError: WORKFLOW_INVALID naming the node and, when known, the variable.
        """
        self._outputs[node.id] = self._check(node)

    def check_outputs(self, interface: interface_pb2.TypedInterface, outputs: Iterable[literals_pb2.Binding]) -> None:
        """Check that the workflow's outputs are all bound; every node must have been checked.

        Raises:
            ApiError: WORKFLOW_INVALID naming the variable.
        """
        wanted = _types(interface.outputs)
        self._check_bindings(outputs, wanted, frozenset(wanted), Site(self.workflow))

    def _check(self, node: workflow_pb2.Node) -> Types:
        site = Site(self.workflow, node.id)
        # The id becomes part of pod names and of the paths of outputs; flytekit writes only such ids.
        problem = names.project(node.id)
        if problem is not None:
            raise site.error(f"the id {problem}")
        found = self.library.signature(node, site)
        if found is None:
            match node.WhichOneof("target"):
                case "branch_node":
                    return self._check_branch(node, site)
                case "gate_node":
                    return self._check_gate(node, site)
                case "array_node":
                    found = self._array_signature(node.array_node, site)
                case _:
                    raise site.error("refers to nothing that it could run")
        self._check_bindings(node.inputs, found.inputs, found.required, site)
        return found.outputs

    def _check_bindings(
        self, bindings: Iterable[literals_pb2.Binding], wanted: Types, required: frozenset[str], site: Site
    ) -> None:
        bound: set[str] = set()
        for here, binding in _once(bindings, site):
            bound.add(binding.var)
            if binding.var not in wanted:
                raise here.error("there is no such variable to bind")
            kind = wanted[binding.var]
            problem = None if kind is None else self._problem(binding.binding, kind, here)
            if problem is not None:
                raise here.error(problem)
        for variable in sorted(required - bound):
            raise Site(site.workflow, site.node, variable).error("is not bound")

    def _problem(self, data: literals_pb2.BindingData, wanted: types_pb2.LiteralType, site: Site) -> str | None:
        """Say why the value that will be bound is not of the type wanted; None when it is."""
        match data.WhichOneof("value"), wanted.WhichOneof("type"):
            case "promise", _:
                given = self._promised(data.promise, site)
                if given is None or self._castable(given, wanted):
                    return None
                return f"must be {types.name(wanted)}, and {_text(data.promise)} is {types.name(given)}"
            case "scalar", _:
                return types.mismatch(literals_pb2.Literal(scalar=data.scalar), wanted)
            case "offloaded_metadata", _:
                stored = literals_pb2.Literal(offloaded_metadata=data.offloaded_metadata)
                return types.mismatch(stored, wanted)
            case "collection" | "map", "union_type":
                problems = (self._problem(data, variant, site) for variant in wanted.union_type.variants)
                return None if None in problems else f"must be {types.name(wanted)}"
            case "collection", "collection_type":
                return self._first_problem(data.collection.bindings, wanted.collection_type, site)
            case "map", "map_value_type":
                return self._first_problem(data.map.bindings.values(), wanted.map_value_type, site)
            case None, _:
                return "has no value"
            case _:
                return f"must be {types.name(wanted)}"

    def _castable(self, given: types_pb2.LiteralType, wanted: types_pb2.LiteralType) -> bool:
        """Compare two types, once: a list can name one output a million times. Kept, types keep their ids."""
        key = (id(given), id(wanted))
        if key not in self._compared:
            self._compared[key] = (given, wanted, types.castable(given, wanted))
        return self._compared[key][2]

    def _first_problem(
        self, items: Iterable[literals_pb2.BindingData], wanted: types_pb2.LiteralType, site: Site
    ) -> str | None:
        problems = (self._problem(item, wanted, site) for item in items)
        return next((problem for problem in problems if problem is not None), None)

    def _promised(self, promise: types_pb2.OutputReference, site: Site) -> types_pb2.LiteralType | None:
        outputs = self.inputs if promise.node_id in ("", START) else self._outputs.get(promise.node_id)
        if outputs is None or promise.var not in outputs:
            raise site.error(f"there is no {_text(promise)}")
        kind = outputs[promise.var]
        for attribute in promise.attr_path:
            if kind is None:
                return None
            kind = _attribute(kind, attribute, site)
        return kind

    def _given(self, data: literals_pb2.BindingData, site: Site) -> types_pb2.LiteralType | None:
        """Return the type of the output that is bound; None for a constant, which its literal tells better."""
        return self._promised(data.promise, site) if data.HasField("promise") else None

    def _check_branch(self, node: workflow_pb2.Node, site: Site) -> Types:
        bound = {binding.var: self._given(binding.binding, here) for here, binding in _once(node.inputs, site)}
        block = node.branch_node.if_else
        if not block.case.HasField("then_node") or block.WhichOneof("default") is None:
            raise site.error("a branch needs a case and an else")
        for case in (block.case, *block.other):
            for variable in _operands(case.condition):
                if variable not in bound:
                    raise Site(site.workflow, site.node, variable).error("is compared but not bound")
        return _common([self._check(inner) for inner in branches(node.branch_node)])

    def _check_gate(self, node: workflow_pb2.Node, site: Site) -> Types:
        gate = node.gate_node
        problem = names.signal(gate.signal.signal_id or gate.approve.signal_id or "none")
        if problem is not None:
            raise site.error(f"its signal's id {problem}")
        match gate.WhichOneof("condition"):
            case "signal":
                if not gate.signal.signal_id or not gate.signal.output_variable_name:
                    raise site.error("a signal needs an id and the name of its output")
                if (bad := types.problem(gate.signal.type)) is not None:
                    raise site.error(f"its signal's type {bad}")
                self._check_bindings(node.inputs, {}, frozenset(), site)
                return {gate.signal.output_variable_name: gate.signal.type}
            case "approve":
                if not gate.approve.signal_id:
                    raise site.error("an approval needs an id")
                # An approval lets what it is given pass.
                return {binding.var: self._given(binding.binding, here) for here, binding in _once(node.inputs, site)}
            case "sleep":
                self._check_bindings(node.inputs, {}, frozenset(), site)
                return {}
            case _:
                raise site.error("a gate needs a condition")

    def _array_signature(self, array: workflow_pb2.ArrayNode, site: Site) -> Signature:
        inner = self.library.signature(array.node, site)
        if inner is None:
            raise site.error("maps over a node that runs no task, workflow or launch plan")
        for variable in sorted(set(array.bound_inputs) - inner.inputs.keys()):
            raise Site(site.workflow, site.node, variable).error("is the same for every item but is not an input")
        if not array.is_original_sub_node_interface.value:
            return inner  # flytekit's map tasks: the task itself says that it takes and gives lists
        partial = array.HasField("min_successes") or (
            array.HasField("min_success_ratio") and array.min_success_ratio < 1
        )
        return Signature(
            {name: kind if name in array.bound_inputs else _list_of(kind) for name, kind in inner.inputs.items()},
            inner.required,
            {name: _list_of(_or_none(kind) if partial else kind) for name, kind in inner.outputs.items()},
        )


def _once(bindings: Iterable[literals_pb2.Binding], site: Site) -> Iterator[tuple[Site, literals_pb2.Binding]]:
    """Give each binding with its place.

    Raises:
        ApiError: WORKFLOW_INVALID when a variable is bound twice.
    """
    bound: set[str] = set()
    for binding in bindings:
        here = Site(site.workflow, site.node, binding.var)
        if binding.var in bound:
            raise here.error("is bound twice")
        bound.add(binding.var)
        yield here, binding


def _attribute(
    kind: types_pb2.LiteralType, attribute: types_pb2.PromiseAttribute, site: Site
) -> types_pb2.LiteralType | None:
    """Return the type of an item or field of a value; None when only the value itself will tell."""
    by_name = attribute.WhichOneof("value") == "string_value"
    match kind.WhichOneof("type"):
        case "collection_type" if not by_name:
            return kind.collection_type
        case "map_value_type" if by_name:
            return kind.map_value_type
        case "simple" if kind.simple == types_pb2.STRUCT:
            fields = kind.structure.dataclass_type
            return fields[attribute.string_value] if by_name and attribute.string_value in fields else None
        case "union_type":
            return None
        case _:
            raise site.error(f"{types.name(kind)} has no such item or field")


def _operands(condition: condition_pb2.BooleanExpression) -> Iterator[str]:
    """Give the variables that a condition compares."""
    if condition.HasField("conjunction"):
        yield from _operands(condition.conjunction.left_expression)
        yield from _operands(condition.conjunction.right_expression)
    for operand in (condition.comparison.left_value, condition.comparison.right_value):
        if operand.HasField("var"):
            yield operand.var


def _common(branch_outputs: list[Types]) -> Types:
    """Return the outputs that every branch gives, in a type that holds for all of them."""
    first, *others = branch_outputs
    return {
        name: kind
        for name, kind in first.items()
        if all(name in other and _agree(other[name], kind) for other in others)
    }


def _agree(one: types_pb2.LiteralType | None, other: types_pb2.LiteralType | None) -> bool:
    return one is None or other is None or types.castable(one, other)


def _list_of(kind: types_pb2.LiteralType | None) -> types_pb2.LiteralType | None:
    return None if kind is None else types_pb2.LiteralType(collection_type=kind)


def _or_none(kind: types_pb2.LiteralType | None) -> types_pb2.LiteralType | None:
    if kind is None:
        return None
    none = types_pb2.LiteralType(simple=types_pb2.NONE)
    return types_pb2.LiteralType(union_type=types_pb2.UnionType(variants=[kind, none]))


def _text(promise: types_pb2.OutputReference) -> str:
    if promise.node_id in ("", START):
        return f"workflow input {promise.var}"
    return f"output {promise.node_id}.{promise.var}"
