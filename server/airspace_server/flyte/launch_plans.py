"""Checks a launch plan against the interface of its workflow as it is registered."""

from flyteidl.admin import launch_plan_pb2, schedule_pb2
from flyteidl.core import identifier_pb2, interface_pb2, types_pb2

from airspace_server.core import names
from airspace_server.core.errors import ApiError, Reason, invalid_field
from airspace_server.core.scope import EntityId
from airspace_server.flyte.identifiers import entity_id, identifier
from airspace_server.flyte.literals import expected_inputs
from airspace_server.flyte.notifications import check_notifications
from airspace_server.flyte.references import foreign_reference
from airspace_server.flyte.schedules import check_schedule


def compile_launch_plan(
    launch_plan: EntityId, spec: launch_plan_pb2.LaunchPlanSpec, workflow_interface: interface_pb2.TypedInterface
) -> tuple[launch_plan_pb2.LaunchPlanSpec, launch_plan_pb2.LaunchPlanClosure]:
    """Check a launch plan; return its spec with all that a launch may set as its default inputs, and its closure.

    The closure is INACTIVE; its times are the caller's to set. `workflow_interface` is that of `spec.workflow_id`.

    Raises:
        ApiError: INVALID_FIELD for a part of the spec; FOREIGN_REFERENCE for a workflow of another domain;
            INPUT_INVALID naming an input; SCHEDULE_INVALID for a schedule that cannot fire, or not without an input.
    """
    workflow = entity_id(spec.workflow_id, identifier_pb2.WORKFLOW, "spec.workflow_id")
    if workflow.scope.domain != launch_plan.scope.domain:
        raise foreign_reference(workflow, "spec.workflow_id")
    _check_settings(spec)
    expected = expected_inputs(workflow_interface, spec.default_inputs, spec.fixed_inputs)
    _check_kickoff(spec.entity_metadata.schedule, expected)

    normalised = launch_plan_pb2.LaunchPlanSpec()
    normalised.CopyFrom(spec)
    normalised.workflow_id.CopyFrom(identifier(workflow, identifier_pb2.WORKFLOW))
    normalised.default_inputs.CopyFrom(expected)
    closure = launch_plan_pb2.LaunchPlanClosure(
        state=launch_plan_pb2.INACTIVE, expected_inputs=expected, expected_outputs=workflow_interface.outputs
    )
    return normalised, closure


def _check_settings(spec: launch_plan_pb2.LaunchPlanSpec) -> None:
    problem = names.labels(spec.labels.values)
    if problem is not None:
        raise invalid_field("spec.labels", problem)
    if spec.max_parallelism < 0:
        raise invalid_field("spec.max_parallelism", "must not be negative")
    if spec.entity_metadata.HasField("launch_conditions"):
        raise invalid_field("spec.entity_metadata.launch_conditions", "is not supported")
    check_notifications(spec.entity_metadata.notifications, "spec.entity_metadata.notifications")


def _check_kickoff(schedule: schedule_pb2.Schedule, expected: interface_pb2.ParameterMap) -> None:
    """Check the schedule, and that a firing knows every input: the defaults, and the time that it was due."""
    check_schedule(schedule)
    if schedule.WhichOneof("ScheduleExpression") is None:
        return
    kickoff = schedule.kickoff_time_input_arg
    if kickoff:
        kind = expected.parameters[kickoff].var.type if kickoff in expected.parameters else types_pb2.LiteralType()
        if kind.WhichOneof("type") != "simple" or kind.simple != types_pb2.DATETIME:
            raise _schedule_invalid(kickoff, "takes the kickoff time and must be a free input of type datetime")
    for name, parameter in sorted(expected.parameters.items()):
        if parameter.required and name != kickoff:
            raise _schedule_invalid(name, "is required, so a firing could not be launched; give it a default")


def _schedule_invalid(name: str, problem: str) -> ApiError:
    return ApiError(Reason.SCHEDULE_INVALID, f"input {name} {problem}", {"input": name})
