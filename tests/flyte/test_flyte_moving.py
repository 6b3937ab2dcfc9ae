"""What is compiled is moved whole: nothing in it leads back, and what cannot be moved is refused."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flyteidl.admin import description_entity_pb2, launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import compiler_pb2, identifier_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from airspace_server.core.errors import ApiError, Reason
from airspace_server.flyte.moving import alike_everywhere, moved

STORED = (
    compiler_pb2.CompiledTask,
    compiler_pb2.CompiledWorkflowClosure,
    description_entity_pb2.DescriptionEntity,
    launch_plan_pb2.LaunchPlanClosure,
    launch_plan_pb2.LaunchPlanSpec,
    task_pb2.TaskClosure,
    workflow_pb2.WorkflowClosure,
)
"""What is kept of what is registered."""

ADDRESS = "/data/vision/development/x"


def relocate(text: str, _place: str) -> str:
    return text.replace("/development/", "/staging/")


def move(body: Any) -> Any:
    return moved(body, "development", "staging", relocate)


def binary(plan: launch_plan_pb2.LaunchPlanSpec) -> None:
    scalar = plan.default_inputs.parameters["model"].default.scalar
    scalar.binary.value = b"\xa4path\xba" + ADDRESS.encode()
    scalar.binary.tag = "msgpack"


def schema(plan: launch_plan_pb2.LaunchPlanSpec) -> None:
    kind = plan.default_inputs.parameters["frame"].var.type.structured_dataset_type
    kind.external_schema_bytes = ADDRESS.encode()


def key(plan: launch_plan_pb2.LaunchPlanSpec) -> None:
    plan.labels.values[ADDRESS] = "1"


def inner_key(plan: launch_plan_pb2.LaunchPlanSpec) -> None:
    plan.fixed_inputs.literals["inputs"].map.literals[ADDRESS].scalar.none_type.SetInParent()


def struct_key(plan: launch_plan_pb2.LaunchPlanSpec) -> None:
    plan.fixed_inputs.literals["inputs"].scalar.generic.update({"outer": [{ADDRESS: 1}]})


def unknown(plan: launch_plan_pb2.LaunchPlanSpec) -> None:
    # Field 999 of a newer flyteidl, a text.
    plan.fixed_inputs.literals["x"].MergeFromString(b"\xba\x3e" + bytes([len(ADDRESS)]) + ADDRESS.encode())


def artifact(plan: launch_plan_pb2.LaunchPlanSpec) -> None:
    query = plan.default_inputs.parameters["model"].artifact_query
    query.artifact_id.artifact_key.domain = "development"


def conditions(plan: launch_plan_pb2.LaunchPlanSpec) -> None:
    plan.entity_metadata.launch_conditions.Pack(identifier_pb2.Identifier(domain="development"))


@pytest.mark.parametrize(
    ("put", "field"),
    [
        (binary, "default_inputs.parameters[model].default.scalar.binary.value"),
        (schema, "default_inputs.parameters[frame].var.type.structured_dataset_type.external_schema_bytes"),
        (key, f"labels.values[{ADDRESS}]"),
        (inner_key, f"fixed_inputs.literals[inputs].map.literals[{ADDRESS}]"),
        (struct_key, f"scalar.generic.fields[outer].list_value.values[0].struct_value.fields[{ADDRESS}]"),
        (unknown, "fixed_inputs.literals[x].999"),
        (artifact, "default_inputs.parameters[model].artifact_query.artifact_id.artifact_key"),
        (conditions, "entity_metadata.launch_conditions"),
    ],
)
def test_what_leads_back_and_cannot_be_rewritten_is_refused_with_its_place(
    put: Callable[[launch_plan_pb2.LaunchPlanSpec], None], field: str
):
    plan = launch_plan_pb2.LaunchPlanSpec()
    put(plan)
    with pytest.raises(ApiError) as refused:
        move(plan)
    assert refused.value.reason is Reason.FOREIGN_REFERENCE
    assert refused.value.metadata["field"].endswith(field)
    assert alike_everywhere(plan) == plan


def test_texts_are_rewritten_wherever_they_stand_and_nothing_else_changes():
    plan = launch_plan_pb2.LaunchPlanSpec()
    plan.workflow_id.project, plan.workflow_id.domain, plan.workflow_id.version = "vision", "development", "v1"
    plan.labels.values["where"] = ADDRESS
    plan.annotations.values["development"] = "development"
    plan.fixed_inputs.literals["list"].collection.literals.add().scalar.primitive.string_value = ADDRESS
    plan.fixed_inputs.literals["struct"].scalar.generic.update({"a": [ADDRESS, 1.5, {"b": ADDRESS}]})
    plan.fixed_inputs.literals["bytes"].scalar.binary.value = b"\xff\x00development"
    before = plan.SerializeToString(deterministic=True)
    found = move(plan)
    there = relocate(ADDRESS, "")
    assert plan.SerializeToString(deterministic=True) == before
    assert found.workflow_id.domain == "staging"
    assert found.labels.values["where"] == there
    assert found.annotations.values["development"] == "development"
    assert found.fixed_inputs.literals["list"].collection.literals[0].scalar.primitive.string_value == there
    assert found.fixed_inputs.literals["struct"].scalar.generic["a"][2]["b"] == there
    assert found.fixed_inputs.literals["bytes"] == plan.fixed_inputs.literals["bytes"]


def fields_of(kinds: tuple[Any, ...]) -> Iterator[FieldDescriptor]:
    """Every field of every message that can be in those that are stored, once."""
    seen: set[str] = set()
    waiting: list[Descriptor] = [kind.DESCRIPTOR for kind in kinds]
    while waiting:
        kind = waiting.pop()
        if kind.full_name not in seen:
            seen.add(kind.full_name)
            yield from kind.fields
            waiting += [field.message_type for field in kind.fields if field.message_type is not None]


def test_every_field_that_can_name_a_domain_has_been_thought_of():
    """Fails when a newer flyteidl brings a field that `moving` does not know what to do with."""
    fields = list(fields_of(STORED))
    assert {field.full_name for field in fields if field.name == "domain"} == {
        "flyteidl.core.Identifier.domain",
        "flyteidl.core.ArtifactKey.domain",
    }
    assert {field.full_name for field in fields if field.type == FieldDescriptor.TYPE_BYTES} == {
        "flyteidl.core.Binary.value",
        "flyteidl.core.StructuredDatasetType.external_schema_bytes",
        "google.protobuf.Any.value",
    }
    assert not [field.full_name for field in fields if field.type == FieldDescriptor.TYPE_BYTES and field.is_repeated]
