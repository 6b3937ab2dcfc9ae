"""From the contract's messages to the values of `_model`, and back where there is anything to convert."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Protocol, TypeVar

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import NullValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from airspace.access.v1 import access_service_pb2 as access_pb
from airspace.audit.v1 import audit_service_pb2 as audit_pb
from airspace.execution.v1 import execution_service_pb2 as execution_pb
from airspace.launchplan.v1 import launch_plan_service_pb2 as launch_plan_pb
from airspace.options.v1 import options_pb2
from airspace.project.v1 import project_service_pb2 as project_pb
from airspace.reference.v1 import reference_service_pb2 as reference_pb
from airspace.registry.v1 import registry_service_pb2 as registry_pb
from airspace.type.v1.identifiers_pb2 import Scope, ScopePattern
from airspace_client._errors import InvalidArgument
from airspace_client._model import (
    AccessAnswer,
    Activation,
    ActivationCause,
    AuditRecord,
    Binding,
    Change,
    Data,
    Dependent,
    Domain,
    EntityKind,
    ErrorKind,
    Execution,
    ExecutionError,
    ExecutionPhase,
    Export,
    FlippedCalls,
    Identity,
    LaunchPlan,
    LaunchPlanState,
    NodeExecution,
    NodePhase,
    Project,
    ProjectState,
    QuotaUsage,
    RecordKind,
    Role,
    ServiceAccount,
    ServiceAccountSecret,
    Task,
    Tick,
    TickOutcome,
    Transition,
    Verdict,
    Waiting,
    WaitReason,
    Workflow,
)

MAX_EXACT_INTEGER: Final = 2**53
"""Beyond it not every integer is a double."""


class _WireEnum(Protocol):
    def Name(self, number: int) -> str: ...


_Member = TypeVar("_Member", bound=StrEnum)


def member(kind: type[_Member], wire: _WireEnum, prefix: str, number: int) -> _Member:
    """Convert a member of an enum; UNKNOWN for one of a newer server, or that is not said."""
    try:
        return kind(wire.Name(number).removeprefix(prefix))
    except ValueError:
        return kind("UNKNOWN")


def phase_names(phases: Iterable[ExecutionPhase]) -> list[str]:
    """Return the contract's names of phases. Raises InvalidArgument for UNKNOWN, which cannot be asked for."""
    names = [f"EXECUTION_PHASE_{phase}" for phase in phases]
    if unknown := set(names).difference(execution_pb.ExecutionPhase.keys()):
        raise InvalidArgument(f"{min(unknown)} is not a phase that can be asked for", field="phases")
    return names


def moment(stamp: Timestamp) -> datetime:
    """Convert a time."""
    return stamp.ToDatetime(tzinfo=UTC)


def _moment_if_any(message: Message, field: str) -> datetime | None:
    return moment(getattr(message, field)) if message.HasField(field) else None


def _any_if_any(message: Message, field: str) -> AnyMessage | None:
    return getattr(message, field) if message.HasField(field) else None


def packed(body: Message) -> AnyMessage:
    """Return a message in an Any; an Any as it is."""
    if isinstance(body, AnyMessage):
        return body
    box = AnyMessage()
    box.Pack(body)
    return box


def scope(project: str, domain: str) -> Scope:
    """Return the contract's form of a scope."""
    return Scope(project=project, domain=domain)


def project(message: project_pb.Project) -> Project:
    """Convert a project."""
    return Project(
        id=message.id,
        name=message.name,
        description=message.description,
        labels=dict(message.labels),
        state=member(ProjectState, project_pb.ProjectState, "PROJECT_STATE_", message.state),
        etag=message.etag,
        create_time=moment(message.create_time),
        update_time=moment(message.update_time),
    )


def domain(message: project_pb.Domain) -> Domain:
    """Convert a domain."""
    return Domain(id=message.id, name=message.name)


def task(message: registry_pb.Task) -> Task:
    """Convert a task version."""
    return Task(
        project=message.id.scope.project,
        domain=message.id.scope.domain,
        name=message.id.name,
        version=message.id.version,
        digest=message.digest,
        type=message.type,
        create_time=moment(message.create_time),
        closure=_any_if_any(message, "closure"),
    )


def workflow(message: registry_pb.Workflow) -> Workflow:
    """Convert a workflow version."""
    return Workflow(
        project=message.id.scope.project,
        domain=message.id.scope.domain,
        name=message.id.name,
        version=message.id.version,
        digest=message.digest,
        create_time=moment(message.create_time),
        closure=_any_if_any(message, "closure"),
    )


def activation(message: launch_plan_pb.Activation) -> Activation:
    """Convert a change of the active version."""
    return Activation(
        sequence=message.sequence,
        version=message.version,
        cause=member(ActivationCause, launch_plan_pb.ActivationCause, "ACTIVATION_CAUSE_", message.cause),
        principal=message.principal,
        time=moment(message.time),
    )


def tick(message: launch_plan_pb.Tick) -> Tick:
    """Convert what became of a tick."""
    return Tick(
        due_time=moment(message.due_time),
        last_due_time=moment(message.last_due_time),
        version=message.version,
        outcome=member(TickOutcome, launch_plan_pb.TickOutcome, "TICK_OUTCOME_", message.outcome),
        reason=message.reason,
        execution=message.execution,
        time=moment(message.time),
    )


def launch_plan(message: launch_plan_pb.LaunchPlan) -> LaunchPlan:
    """Convert a launch plan version."""
    return LaunchPlan(
        project=message.id.scope.project,
        domain=message.id.scope.domain,
        name=message.id.name,
        version=message.id.version,
        digest=message.digest,
        workflow=message.workflow.name,
        workflow_version=message.workflow.version,
        state=member(LaunchPlanState, launch_plan_pb.LaunchPlanState, "LAUNCH_PLAN_STATE_", message.state),
        schedule=message.schedule,
        create_time=moment(message.create_time),
        update_time=moment(message.update_time),
        spec=_any_if_any(message, "spec"),
        closure=_any_if_any(message, "closure"),
    )


def _execution_phase(number: int) -> ExecutionPhase:
    return member(ExecutionPhase, execution_pb.ExecutionPhase, "EXECUTION_PHASE_", number)


def _node_phase(number: int) -> NodePhase:
    return member(NodePhase, execution_pb.NodePhase, "NODE_PHASE_", number)


def _error_if_any(message: Message) -> ExecutionError | None:
    if not message.HasField("error"):
        return None
    error: execution_pb.ExecutionError = getattr(message, "error")  # noqa: B009 -- three kinds of message have one
    return ExecutionError(
        code=error.code,
        message=error.message,
        kind=member(ErrorKind, execution_pb.ErrorKind, "ERROR_KIND_", error.kind),
    )


def execution(message: execution_pb.Execution) -> Execution:
    """Convert an execution."""
    return Execution(
        project=message.id.scope.project,
        domain=message.id.scope.domain,
        name=message.id.name,
        launch_plan=message.launch_plan.name,
        launch_plan_version=message.launch_plan.version,
        phase=_execution_phase(message.phase),
        error=_error_if_any(message),
        principal=message.principal,
        abort_cause=message.abort_cause,
        abort_principal=message.abort_principal,
        create_time=moment(message.create_time),
        start_time=_moment_if_any(message, "start_time"),
        end_time=_moment_if_any(message, "end_time"),
        labels=dict(message.labels),
        task=message.task.name,
        task_version=message.task.version,
        waiting=_waiting(message.waiting) if message.HasField("waiting") else None,
    )


def _waiting(message: execution_pb.Waiting) -> Waiting:
    reason = member(WaitReason, execution_pb.WaitReason, "WAIT_REASON_", message.reason)
    return Waiting(message.position, reason, message.message)


def node_execution(message: execution_pb.NodeExecution) -> NodeExecution:
    """Convert a node."""
    return NodeExecution(
        id=message.id,
        spec_node_id=message.spec_node_id,
        parent_id=message.parent_id,
        phase=_node_phase(message.phase),
        entity=message.entity,
        attempts=message.attempts,
        error=_error_if_any(message),
        create_time=moment(message.create_time),
        start_time=_moment_if_any(message, "start_time"),
        end_time=_moment_if_any(message, "end_time"),
    )


def transition(message: execution_pb.WatchExecutionResponse) -> Transition:
    """Convert a transition."""
    if message.HasField("node"):
        return Transition(
            sequence=message.sequence,
            time=moment(message.time),
            node_id=message.node.node_id,
            phase=_node_phase(message.node.phase),
            attempt=message.node.attempt,
            error=_error_if_any(message.node),
        )
    return Transition(
        sequence=message.sequence,
        time=moment(message.time),
        node_id=None,
        phase=_execution_phase(message.execution.phase),
        attempt=0,
        error=_error_if_any(message.execution),
    )


def data(message: execution_pb.GetExecutionDataResponse | execution_pb.GetNodeExecutionDataResponse) -> Data:
    """Convert inputs and outputs."""
    return Data(
        inputs=_object(message.inputs), outputs=_object(message.outputs) if message.HasField("outputs") else None
    )


def _object(struct: Struct) -> dict[str, object]:
    return {key: _plain(value) for key, value in sorted(struct.fields.items())}


def _plain(value: Value) -> object:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _object(value.struct_value)
        case "list_value":
            return [_plain(item) for item in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def struct(values: Mapping[str, object]) -> Struct:
    """Return plain JSON values as a Struct. Raises InvalidArgument for what JSON cannot hold."""
    message = Struct()
    for key, value in values.items():
        try:
            _set(message.fields[key], value)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"input {key!r} is not a JSON value: {error}", field="inputs") from error
    return message


def _set(target: Value, value: object) -> None:
    match value:
        case None:
            target.null_value = NullValue.NULL_VALUE
        case bool():
            target.bool_value = value
        case str():
            target.string_value = value
        # A Struct keeps every number as a double: refuse what it would change in silence.
        case int() if abs(value) > MAX_EXACT_INTEGER:
            raise ValueError(f"{value} cannot be kept exactly; give such integers as literals")
        case float() if not math.isfinite(value):
            raise ValueError(f"JSON has no {value}")
        case int() | float():
            target.number_value = value
        case list() | tuple():
            target.list_value.SetInParent()
            for item in value:
                _set(target.list_value.values.add(), item)
        case Mapping():
            target.struct_value.SetInParent()
            for key, item in value.items():
                _set(target.struct_value.fields[key], item)
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form")


def role(message: access_pb.Role) -> Role:
    """Convert a role."""
    return Role(
        name=message.name,
        permissions=tuple(_permission(number) for number in message.permissions),
        built_in=message.built_in,
    )


def _permission(number: int) -> str:
    try:
        name = options_pb2.Permission.Name(number)
    except ValueError:
        return f"unknown.{number}"  # of a newer server
    return name.removeprefix("PERMISSION_").lower().replace("_", ".", 1)


def permission_names(names: Iterable[str]) -> list[str]:
    """Return the contract's names of permissions. Raises InvalidArgument for a word that is none."""
    known = {_permission(number): name for name, number in options_pb2.Permission.items() if number}
    try:
        return [known[name] for name in names]
    except KeyError as error:
        raise InvalidArgument(
            f"{error.args[0]!r} is not a permission; permissions are {', '.join(known)}", field="permissions"
        ) from None


def binding(message: access_pb.Binding) -> Binding:
    """Convert a binding."""
    return Binding(
        member=message.member,
        role=message.role,
        project=message.pattern.project,
        domain=message.pattern.domain,
        creator=message.creator,
        create_time=moment(message.create_time),
        expire_time=_moment_if_any(message, "expire_time"),
    )


def entity_kind(kind: EntityKind) -> Any:
    """Return the contract's number of a kind. Raises InvalidArgument for UNKNOWN."""
    try:
        return reference_pb.EntityKind.Value(f"ENTITY_KIND_{kind}")
    except ValueError:
        raise InvalidArgument(f"{kind} is not a kind that can be asked for", field="kind") from None


def export(message: reference_pb.Export) -> Export:
    """Convert an export."""
    return Export(
        project=message.scope.project,
        domain=message.scope.domain,
        kind=member(EntityKind, reference_pb.EntityKind, "ENTITY_KIND_", message.kind),
        name=message.name,
        consumer=message.consumer,
        creator=message.creator,
        create_time=moment(message.create_time),
    )


def dependent(message: reference_pb.Dependent) -> Dependent:
    """Convert a version that refers to something."""
    return Dependent(
        project=message.scope.project,
        domain=message.scope.domain,
        kind=member(EntityKind, reference_pb.EntityKind, "ENTITY_KIND_", message.kind),
        name=message.name,
        version=message.version,
        uses_version=message.uses_version,
    )


def identity(message: access_pb.WhoAmIResponse) -> Identity:
    """Convert who the caller is."""
    return Identity(
        principal=message.principal,
        groups=tuple(message.groups),
        bindings=tuple(binding(one) for one in message.bindings),
    )


def service_account_secret(
    message: access_pb.CreateServiceAccountResponse | access_pb.RotateServiceAccountSecretResponse,
) -> ServiceAccountSecret:
    """Convert a service account's new secret."""
    return ServiceAccountSecret(name=message.name, secret=message.secret)


def service_account(message: access_pb.ServiceAccount) -> ServiceAccount:
    """Convert a service account."""
    return ServiceAccount(
        name=message.name,
        disabled=message.disabled,
        creator=message.creator,
        create_time=moment(message.create_time),
    )


def access_answer(message: access_pb.TestAccessResponse) -> AccessAnswer:
    """Convert whether somebody may do something."""
    return AccessAnswer(
        allowed=message.allowed,
        bindings=tuple(map(binding, message.bindings)),
        could_grant=tuple(message.could_grant),
        shut_out=message.shut_out,
        revision=message.revision,
    )


def stamp(moment: datetime | None) -> Timestamp | None:
    """Return the contract's form of a time."""
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment)
    return made


def audit_record(message: audit_pb.Record) -> AuditRecord:
    """Convert a record."""
    return AuditRecord(
        chain=message.chain,
        sequence=message.sequence,
        time=moment(message.time),
        kind=member(RecordKind, audit_pb.RecordKind, "RECORD_KIND_", message.kind),
        principal=message.principal,
        origin=message.origin,
        method=message.method,
        permission=message.permission,
        domain=message.domain,
        reason=message.reason,
        request_id=message.request_id,
        count=message.count,
        changes=tuple(Change(each.domain, each.resource, each.before, each.after) for each in message.changes),
        previous_hash=message.previous_hash,
        hash=message.hash,
    )


def verdict(message: audit_pb.VerifyChainsResponse) -> Verdict:
    """Convert how a chain was found."""
    head = message.head
    return Verdict(head.chain, head.sequence, head.hash, message.problem, message.problem_sequence)


def quota_usage(message: execution_pb.GetQuotaUsageResponse) -> tuple[QuotaUsage, ...]:
    """Convert how much of the quotas is used."""
    return tuple(
        QuotaUsage(field.name, each.limit, each.used, origin(each.origin) if each.HasField("origin") else None)
        for field, each in message.ListFields()
    )


def origin(pattern: ScopePattern) -> tuple[str, str]:
    """Convert the pattern that a setting is made for."""
    return pattern.project, pattern.domain


def flipped_calls(message: access_pb.FlippedCalls) -> FlippedCalls:
    """Convert calls that another policy would have answered otherwise."""
    return FlippedCalls(
        member=message.member,
        method=message.method,
        permission=_permission(message.permission),
        project=message.pattern.project,
        domain=message.pattern.domain,
        calls=message.calls,
        last_hour=moment(message.last_hour),
        allowed=message.allowed,
    )
