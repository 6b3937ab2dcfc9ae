"""What is there to call: a project with a launch plan that has been registered and activated as clients do it."""

import uuid
from collections.abc import Sequence
from typing import Any

from flyteidl.admin import launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2, interface_pb2, types_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

from airspace.execution.v1 import execution_service_pb2 as execution_pb
from airspace.execution.v1 import execution_service_pb2_grpc as execution_grpc
from airspace.launchplan.v1 import launch_plan_service_pb2 as plan_pb
from airspace.launchplan.v1 import launch_plan_service_pb2_grpc as plan_grpc
from airspace.project.v1 import project_service_pb2 as project_pb
from airspace.project.v1 import project_service_pb2_grpc as project_grpc
from airspace.registry.v1 import registry_service_pb2 as registry_pb
from airspace.registry.v1 import registry_service_pb2_grpc as registry_grpc
from airspace.settings.v1 import settings_service_pb2 as settings_pb
from airspace.settings.v1 import settings_service_pb2_grpc as settings_grpc
from airspace.type.v1 import identifiers_pb2
from bench.load import Loaded

GET = "/airspace.execution.v1.ExecutionService/GetExecution"
LAUNCH = "/airspace.execution.v1.ExecutionService/LaunchExecution"

_PROJECT, _DOMAIN, _VERSION = "recommendation-engine", "development", "v1"
_SCOPE = identifiers_pb2.Scope(project=_PROJECT, domain=_DOMAIN)
_INPUT = "learning_rate"


def prepare(server: Loaded) -> None:
    """Register a task, a workflow of it and a launch plan, and activate the launch plan."""
    channel, metadata = server.channel, server.metadata
    quotas = settings_pb.Quotas(executions_queued=1_000_000, launches_per_minute=1_000_000)
    everywhere = identifiers_pb2.ScopePattern(project="*", domain="*")
    settings_grpc.SettingsServiceStub(channel).UpdateQuotas(
        settings_pb.UpdateQuotasRequest(pattern=everywhere, quotas=quotas), metadata=metadata
    )
    project_grpc.ProjectServiceStub(channel).CreateProject(
        project_pb.CreateProjectRequest(project=_PROJECT, name="Recommendation Engine"), metadata=metadata
    )
    inputs = {_INPUT: interface_pb2.Variable(type=types_pb2.LiteralType(simple=types_pb2.FLOAT))}
    interface = interface_pb2.TypedInterface(inputs=interface_pb2.VariableMap(variables=inputs))

    task = task_pb2.TaskSpec()
    task.template.id.CopyFrom(_flyte_id(identifier_pb2.TASK, "fit"))
    task.template.type = "python-task"
    task.template.metadata.runtime.version = "1.16.0"
    task.template.interface.CopyFrom(interface)
    task.template.container.image = "none"
    task.template.container.args.append("pyflyte-execute")

    workflow = workflow_pb2.WorkflowSpec()
    workflow.template.id.CopyFrom(_flyte_id(identifier_pb2.WORKFLOW, "train"))
    workflow.template.interface.CopyFrom(interface)
    workflow.template.metadata.SetInParent()
    workflow.template.metadata_defaults.SetInParent()
    node = workflow.template.nodes.add(id="n0")
    node.metadata.SetInParent()
    node.task_node.reference_id.CopyFrom(task.template.id)
    binding = node.inputs.add(var=_INPUT)
    binding.binding.promise.node_id, binding.binding.promise.var = "start-node", _INPUT

    plan = launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow.template.id)
    plan.default_inputs.parameters[_INPUT].var.CopyFrom(inputs[_INPUT])
    plan.default_inputs.parameters[_INPUT].required = True

    registry, plans = registry_grpc.RegistryServiceStub(channel), plan_grpc.LaunchPlanServiceStub(channel)
    registry.RegisterTask(
        registry_pb.RegisterTaskRequest(task=_id(identifiers_pb2.TaskId, "fit"), spec=_packed(task)),
        metadata=metadata,
    )
    registry.RegisterWorkflow(
        registry_pb.RegisterWorkflowRequest(workflow=_id(identifiers_pb2.WorkflowId, "train"), spec=_packed(workflow)),
        metadata=metadata,
    )
    plan_id = _id(identifiers_pb2.LaunchPlanId, "train")
    plans.RegisterLaunchPlan(
        plan_pb.RegisterLaunchPlanRequest(launch_plan=plan_id, spec=_packed(plan)), metadata=metadata
    )
    plans.ActivateLaunchPlan(plan_pb.ActivateLaunchPlanRequest(launch_plan=plan_id), metadata=metadata)


def launches(count: int) -> Sequence[bytes]:
    """Return requests that each launch one execution, with a request_id as our client sends it."""
    return [_launch().SerializeToString() for _ in range(count)]


def reads(server: Loaded, executions: int, count: int, *, waiting: bool) -> Sequence[bytes]:
    """Launch some executions and return requests that read them in turn; without `waiting` their end was asked for.

    An answer about one that waits says its place in the queue as well.
    """
    stub = execution_grpc.ExecutionServiceStub(server.channel)
    ids = [stub.LaunchExecution(_launch(), metadata=server.metadata).execution.id for _ in range(executions)]
    if not waiting:
        for id_ in ids:
            stub.TerminateExecution(
                execution_pb.TerminateExecutionRequest(execution=id_, cause="read"), metadata=server.metadata
            )
    requests = [execution_pb.GetExecutionRequest(execution=id_).SerializeToString() for id_ in ids]
    return [requests[n % executions] for n in range(count)]


def _launch() -> execution_pb.LaunchExecutionRequest:
    request = execution_pb.LaunchExecutionRequest(
        scope=_SCOPE, launch_plan="train", labels={"team": "ranking"}, request_id=str(uuid.uuid4())
    )
    request.inputs[_INPUT] = 0.01
    return request


def _flyte_id(kind: "identifier_pb2.ResourceType", name: str) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(resource_type=kind, project=_PROJECT, domain=_DOMAIN, name=name, version=_VERSION)


def _id(kind: type[Any], name: str) -> Any:
    return kind(scope=_SCOPE, name=name, version=_VERSION)


def _packed(body: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(body)
    return packed
