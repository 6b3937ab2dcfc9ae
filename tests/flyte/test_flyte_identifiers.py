import pytest
from flyteidl.core import identifier_pb2
from flyteidl.core.identifier_pb2 import LAUNCH_PLAN, TASK, UNSPECIFIED, WORKFLOW

from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.scope import EntityId, ExecutionId, Scope
from airspace_server.flyte.identifiers import entity_id, execution_id, execution_identifier, identifier

SCOPE = Scope("vision", "development")
ENTITY = EntityId(SCOPE, "flows.train", "v1")


def test_ids_are_read_as_they_are_written():
    assert entity_id(identifier(ENTITY, TASK), TASK) == ENTITY
    execution = ExecutionId(SCOPE, "f1")
    assert execution_id(execution_identifier(execution)) == execution


def test_a_resource_type_may_be_left_out_but_not_be_another():
    assert entity_id(identifier(ENTITY, UNSPECIFIED), WORKFLOW) == ENTITY
    with pytest.raises(ApiError) as caught:
        entity_id(identifier(ENTITY, TASK), LAUNCH_PLAN)
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, "id.resource_type")


@pytest.mark.parametrize("bad", ["", "*", "a/b", " ", "a" * 256])
@pytest.mark.parametrize("part", ["project", "domain", "name", "version"])
def test_a_part_that_is_missing_or_badly_formed_is_named_by_its_path(part, bad):
    changed = identifier(ENTITY, TASK)
    setattr(changed, part, bad)
    with pytest.raises(ApiError) as caught:
        entity_id(changed, TASK, "spec.workflow_id")
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, f"spec.workflow_id.{part}")


@pytest.mark.parametrize(("part", "bad"), [("project", ""), ("domain", "Dev"), ("name", "F1"), ("org", "acme")])
def test_the_parts_of_an_executions_id_are_checked_too(part, bad):
    changed = identifier_pb2.WorkflowExecutionIdentifier(project="vision", domain="development", name="f1")
    setattr(changed, part, bad)
    with pytest.raises(ApiError) as caught:
        execution_id(changed)
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, f"id.{part}")


def test_an_organisation_is_refused_rather_than_ignored():
    changed = identifier(ENTITY, TASK)
    changed.org = "acme"
    with pytest.raises(ApiError) as caught:
        entity_id(changed, TASK)
    assert caught.value.field == "id.org"
