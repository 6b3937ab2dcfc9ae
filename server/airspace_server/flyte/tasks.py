"""Checks a task as it is registered."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Final

from flyteidl.admin import task_pb2
from flyteidl.core import compiler_pb2, identifier_pb2, interface_pb2, tasks_pb2
from google.protobuf import struct_pb2

from airspace_server.core import names
from airspace_server.core.errors import invalid_field
from airspace_server.core.scope import EntityId
from airspace_server.flyte import quantities, types
from airspace_server.flyte.identifiers import identifier

_TEMPLATE: Final = "spec.template"
_RESOURCES: Final = {
    tasks_pb2.Resources.CPU: "cpu",
    tasks_pb2.Resources.GPU: "gpu",
    tasks_pb2.Resources.MEMORY: "memory",
    tasks_pb2.Resources.STORAGE: "storage",
    tasks_pb2.Resources.EPHEMERAL_STORAGE: "ephemeral-storage",
}


def compile_task(task: EntityId, spec: task_pb2.TaskSpec) -> task_pb2.TaskClosure:
    """Check a task and return its closure, the template under the given id; the time is the caller's to set.

    Raises:
        ApiError: INVALID_FIELD naming the part of the spec that is missing or wrong.
    """
    template = spec.template
    _require(spec.HasField("template"), _TEMPLATE, "is required")
    _require(bool(template.type), f"{_TEMPLATE}.type", "is required")
    _require(template.HasField("metadata"), f"{_TEMPLATE}.metadata", "is required")
    if template.metadata.HasField("runtime"):
        _require(bool(template.metadata.runtime.version), f"{_TEMPLATE}.metadata.runtime.version", "is required")
    _require(template.HasField("interface"), f"{_TEMPLATE}.interface", "is required")
    check_interface(template.interface, f"{_TEMPLATE}.interface")
    match template.WhichOneof("target"):
        case "container":
            _check_container(template)
        case "k8s_pod":
            _check_pod(template.k8s_pod, f"{_TEMPLATE}.k8s_pod")
        case "sql":
            _require(bool(template.sql.statement), f"{_TEMPLATE}.sql.statement", "is required")
        case _:
            pass  # a connector's task: all there is to it stands in `custom`, whose form only the connector knows

    compiled = compiler_pb2.CompiledTask(template=template)
    compiled.template.id.CopyFrom(identifier(task, identifier_pb2.TASK))
    return task_pb2.TaskClosure(compiled_task=compiled)


def check_interface(interface: interface_pb2.TypedInterface, path: str) -> None:
    """Check that every variable of an interface has a name and a type that can be taken.

    Raises:
        ApiError: INVALID_FIELD naming the variable below `path`.
    """
    for side, variables in (("inputs", interface.inputs.variables), ("outputs", interface.outputs.variables)):
        for name, variable in variables.items():
            _require(bool(name), f"{path}.{side}", "has a variable without a name")
            problem = types.problem(variable.type)
            _require(problem is None, f"{path}.{side}[{name}].type", str(problem))


def _require(good: bool, path: str, problem: str) -> None:
    if not good:
        raise invalid_field(path, problem)


def _check_container(template: tasks_pb2.TaskTemplate) -> None:
    path, container = f"{_TEMPLATE}.container", template.container
    _require(bool(container.image), f"{path}.image", "is required")
    if template.interface.inputs.variables or template.interface.outputs.variables:
        given = bool(container.command or container.args)
        _require(given, f"{path}.args", "or a command is required of a task with inputs or outputs")
    requests = _amounts(container.resources.requests, f"{path}.resources.requests")
    limits = _amounts(container.resources.limits, f"{path}.resources.limits")
    _check_limits(requests, limits, f"{path}.resources")
    _check_gpus(requests.get("gpu"), limits.get("gpu"), f"{path}.resources")


def _amounts(entries: Iterable[tasks_pb2.Resources.ResourceEntry], path: str) -> dict[str, Fraction]:
    amounts: dict[str, Fraction] = {}
    for entry in entries:
        resource = _RESOURCES.get(entry.name)
        if resource is None:
            raise invalid_field(path, "has a resource that this server does not know")
        _require(resource not in amounts, path, f"has {resource} twice")
        amounts[resource] = _amount(entry.value, f"{path}[{resource}]")
    return amounts


def _amount(text: str, path: str) -> Fraction:
    amount = quantities.parse(text)
    if amount is None:
        raise invalid_field(path, 'must be a Kubernetes quantity such as "500m" or "2Gi"')
    return amount


def require_within(template: tasks_pb2.TaskTemplate, most: Mapping[str, Fraction]) -> None:
    """Raise INVALID_FIELD for the first resource of a container of which it asks for more than the most."""
    resources = template.container.resources
    for side, entries in (("requests", resources.requests), ("limits", resources.limits)):
        for name, amount in _amounts(entries, f"{_TEMPLATE}.container.resources.{side}").items():
            limit = most.get(name.replace("-", "_"))
            if limit is not None and amount > limit:
                where = f"{_TEMPLATE}.container.resources.{side}[{name}]"
                raise invalid_field(where, f"must be at most {float(limit):g} in this project and domain")


def _check_limits(requests: Mapping[str, Fraction], limits: Mapping[str, Fraction], path: str) -> None:
    for resource in sorted(requests.keys() & limits.keys()):
        _require(requests[resource] <= limits[resource], f"{path}.requests[{resource}]", "must not be above its limit")


def _check_gpus(request: Fraction | None, limit: Fraction | None, path: str) -> None:
    for amount, side in ((request, "requests"), (limit, "limits")):
        _require(amount is None or amount.denominator == 1, f"{path}.{side}[gpu]", "must be a whole number")
    # Kubernetes does not share a GPU, so there is no range between what is asked for and what is allowed.
    same = request is None or limit is None or request == limit
    _require(same, f"{path}.requests[gpu]", "must equal its limit")


def _check_pod(pod: tasks_pb2.K8sPod, path: str) -> None:
    containers = _field(pod.pod_spec, "containers").list_value.values
    _require(bool(containers), f"{path}.pod_spec.containers", "is required")
    _check_pod_containers(containers, f"{path}.pod_spec.containers")
    init_containers = _field(pod.pod_spec, "initContainers").list_value.values
    _check_pod_containers(init_containers, f"{path}.pod_spec.initContainers")


def _check_pod_containers(containers: Iterable[struct_pb2.Value], path: str) -> None:
    for index, value in enumerate(containers):
        here, container = f"{path}[{index}]", value.struct_value
        problem = names.project(_field(container, "name").string_value)  # a DNS label, as a project is one
        _require(problem is None, f"{here}.name", problem or "")
        resources = _field(container, "resources").struct_value
        requests = _pod_amounts(_field(resources, "requests").struct_value, f"{here}.resources.requests")
        limits = _pod_amounts(_field(resources, "limits").struct_value, f"{here}.resources.limits")
        _check_limits(requests, limits, f"{here}.resources")


def _pod_amounts(amounts: struct_pb2.Struct, path: str) -> dict[str, Fraction]:
    return {resource: _amount(_pod_text(amount), f"{path}[{resource}]") for resource, amount in amounts.fields.items()}


def _pod_text(amount: struct_pb2.Value) -> str:
    """Return a quantity's text; YAML lets people write whole ones as numbers."""
    return f"{amount.number_value:g}" if amount.HasField("number_value") else amount.string_value


def _field(struct: struct_pb2.Struct, name: str) -> struct_pb2.Value:
    """Return a field's value, or one that is not set; asking the map for what it does not hold would add it."""
    return struct.fields[name] if name in struct.fields else struct_pb2.Value()
