"""Flyte's matchable attributes: which resource they are about, whether their values make sense, and what they change.

What a value must look like is what would be made of it: quantities are Kubernetes', labels and variables are those of
executions. The reference server takes any text and finds out when something is run.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

from flyteidl.admin import common_pb2, execution_pb2, matchable_resource_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from airspace_server.core import names
from airspace_server.core.errors import invalid_field
from airspace_server.core.run_as import NamedIdentity
from airspace_server.flyte import quantities
from airspace_server.flyte.run_as import named_by_execution

MAX_ATTRIBUTES: Final = 64 * 1024
"""Most bytes of the attributes of one resource."""
MAX_TEXT: Final = 1024
"""Longest text in them, in characters."""
EXECUTION_CONFIG: Final = "WORKFLOW_EXECUTION_CONFIG"
TASK_RESOURCE: Final = "TASK_RESOURCE"
PLUGIN_OVERRIDE: Final = "PLUGIN_OVERRIDE"

_RESOURCES: Final[Mapping[str, str]] = {
    "task_resource_attributes": TASK_RESOURCE,
    "cluster_resource_attributes": "CLUSTER_RESOURCE",
    "execution_queue_attributes": "EXECUTION_QUEUE",
    "execution_cluster_label": "EXECUTION_CLUSTER_LABEL",
    "plugin_overrides": PLUGIN_OVERRIDE,
    "workflow_execution_config": EXECUTION_CONFIG,
    "cluster_assignment": "CLUSTER_ASSIGNMENT",
}
RESOURCES: Final = frozenset(_RESOURCES.values())
"""The resources that attributes can be set of, by Flyte's names."""
_AMOUNTS: Final = ("cpu", "gpu", "memory", "storage", "ephemeral_storage")


def resource_of(attributes: matchable_resource_pb2.MatchingAttributes, path: str) -> str:
    """Return the name of the resource that attributes are about. Raises INVALID_FIELD."""
    target = attributes.WhichOneof("target")
    if target not in _RESOURCES:
        raise invalid_field(path, f"must have one of {', '.join(sorted(_RESOURCES))}")
    return _RESOURCES[target]


def check(attributes: matchable_resource_pb2.MatchingAttributes, path: str) -> list[NamedIdentity]:
    """Check every value; return the identities that are named. Raises INVALID_FIELD."""
    if attributes.ByteSize() > MAX_ATTRIBUTES:
        raise invalid_field(path, f"must have at most {MAX_ATTRIBUTES} bytes")
    for where, text in _texts(attributes, path):
        if "\0" in text or len(text) > MAX_TEXT:
            raise invalid_field(where, f"must have at most {MAX_TEXT} characters, and no NUL")
    resource = resource_of(attributes, path)
    if resource == TASK_RESOURCE:
        _check_task_resources(attributes.task_resource_attributes, f"{path}.task_resource_attributes")
    if resource == EXECUTION_CONFIG:
        return _check_config(attributes.workflow_execution_config, f"{path}.workflow_execution_config")
    return []


def merged(
    before: matchable_resource_pb2.MatchingAttributes, after: matchable_resource_pb2.MatchingAttributes
) -> matchable_resource_pb2.MatchingAttributes:
    """Return what an update makes of attributes: the new ones, and the old plugins of task types that it leaves out."""
    if not after.HasField("plugin_overrides"):
        return after
    overrides = {each.task_type: each for one in (before, after) for each in one.plugin_overrides.overrides}
    return matchable_resource_pb2.MatchingAttributes(
        plugin_overrides=matchable_resource_pb2.PluginOverrides(
            overrides=[overrides[task_type] for task_type in sorted(overrides)]
        )
    )


def identities(config: matchable_resource_pb2.WorkflowExecutionConfig, path: str) -> list[NamedIdentity]:
    """Return the identities that the configuration of executions names."""
    spec = execution_pb2.ExecutionSpec(
        security_context=config.security_context, labels=config.labels, annotations=config.annotations
    )
    return list(named_by_execution(spec, path))


def configured(spec: execution_pb2.ExecutionSpec, config: matchable_resource_pb2.WorkflowExecutionConfig) -> None:
    """Fill in what neither caller nor launch plan says of an execution; not its labels and whom it runs as."""
    if not spec.max_parallelism:
        spec.max_parallelism = config.max_parallelism
    if not spec.HasField("interruptible") and config.HasField("interruptible"):
        spec.interruptible.CopyFrom(config.interruptible)
    spec.overwrite_cache = spec.overwrite_cache or config.overwrite_cache
    if not spec.annotations.values:
        spec.annotations.CopyFrom(config.annotations)
    if not spec.envs.values:
        spec.envs.CopyFrom(config.envs)


def limits(attributes: matchable_resource_pb2.TaskResourceAttributes) -> Mapping[str, Fraction]:
    """Return the most of each resource that a task may ask for, by the names of its fields."""
    found = {name: quantities.parse(getattr(attributes.limits, name)) for name in _AMOUNTS}
    return {name: amount for name, amount in found.items() if amount is not None}


def _check_task_resources(attributes: matchable_resource_pb2.TaskResourceAttributes, path: str) -> None:
    amounts: dict[str, dict[str, Fraction]] = {"defaults": {}, "limits": {}}
    for side, found in amounts.items():
        for name in _AMOUNTS:
            text = getattr(getattr(attributes, side), name)
            if not text:
                continue
            amount = quantities.parse(text)
            if amount is None:
                raise invalid_field(f"{path}.{side}.{name}", 'must be a Kubernetes quantity such as "500m" or "2Gi"')
            if name == "gpu" and amount.denominator != 1:
                raise invalid_field(f"{path}.{side}.gpu", "must be a whole number")
            found[name] = amount
    for name, limit in amounts["limits"].items():
        if amounts["defaults"].get(name, limit) > limit:
            raise invalid_field(f"{path}.defaults.{name}", "must not be above its limit")


def _check_config(config: matchable_resource_pb2.WorkflowExecutionConfig, path: str) -> list[NamedIdentity]:
    if config.max_parallelism < 0:
        raise invalid_field(f"{path}.max_parallelism", "must not be negative")
    if config.raw_output_data_config.output_location_prefix:
        where = f"{path}.raw_output_data_config.output_location_prefix"
        raise invalid_field(where, "cannot be set: outputs stay in their own scope")
    for field, labels in (("labels", config.labels), ("annotations", config.annotations)):
        problem = names.labels(labels.values) if field == "labels" else None
        if problem:
            raise invalid_field(f"{path}.{field}", problem)
    _check_envs(config.envs, f"{path}.envs")
    return identities(config, path)


def _check_envs(envs: common_pb2.Envs, path: str) -> None:
    for place, pair in enumerate(envs.values):
        if not pair.key or "=" in pair.key:
            raise invalid_field(f"{path}.values[{place}].key", "must be the name of a variable, without =")


def _texts(message: Message, path: str) -> Iterator[tuple[str, str]]:
    """Yield every text in a message with its path."""
    for field, value in message.ListFields():
        where = f"{path}.{field.name}"
        values: Any = value if field.is_repeated else [value]
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for key, text in value.items():
                yield where, key
                yield where, text
        elif field.type == FieldDescriptor.TYPE_STRING:
            yield from ((where, text) for text in values)
        elif field.message_type is not None:
            for each in values:
                yield from _texts(each, where)
