"""Tasks, workflows and launch plans: immutable versions, registered once.

Bodies are Flyte's own messages: give `register` a flyteidl.admin.TaskSpec, WorkflowSpec or LaunchPlanSpec, or one in a
google.protobuf.Any. Registering the same content again is not an error, other content raises AlreadyExists.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from google.protobuf.message import Message

from airspace.launchplan.v1 import launch_plan_service_pb2 as launch_plan_pb
from airspace.registry.v1 import registry_service_pb2 as registry_pb
from airspace.type.v1.identifiers_pb2 import LaunchPlanId, TaskId, WorkflowId
from airspace_client import _wire
from airspace_client._model import Activation, LaunchPlan, Registered, Task, Tick, Workflow
from airspace_client._service import Service


class Tasks:
    """Versions of tasks."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def register(self, project: str, domain: str, name: str, version: str, spec: Message) -> Registered[Task]:
        """Register a version; an id inside `spec` is replaced."""
        request = registry_pb.RegisterTaskRequest(
            task=TaskId(scope=_wire.scope(project, domain), name=name, version=version), spec=_wire.packed(spec)
        )
        response: registry_pb.RegisterTaskResponse = self._service.call("RegisterTask", request)
        return Registered(_wire.task(response.task), response.created)

    def get(self, project: str, domain: str, name: str, version: str) -> Task:
        """Return a version with its closure."""
        request = registry_pb.GetTaskRequest(
            task=TaskId(scope=_wire.scope(project, domain), name=name, version=version)
        )
        response: registry_pb.GetTaskResponse = self._service.call("GetTask", request)
        return _wire.task(response.task)

    def list(self, project: str, domain: str, *, name: str = "") -> Iterator[Task]:
        """Yield the versions of a scope, or only of one name, newest first and without closures."""
        request = registry_pb.ListTasksRequest(scope=_wire.scope(project, domain), name=name)
        return map(_wire.task, self._service.pages("ListTasks", request, "tasks"))


class Workflows:
    """Versions of workflows."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def register(self, project: str, domain: str, name: str, version: str, spec: Message) -> Registered[Workflow]:
        """Compile and register a version. What it refers to must be registered in the same scope."""
        request = registry_pb.RegisterWorkflowRequest(
            workflow=WorkflowId(scope=_wire.scope(project, domain), name=name, version=version), spec=_wire.packed(spec)
        )
        response: registry_pb.RegisterWorkflowResponse = self._service.call("RegisterWorkflow", request)
        return Registered(_wire.workflow(response.workflow), response.created)

    def get(self, project: str, domain: str, name: str, version: str) -> Workflow:
        """Return a version with its closure."""
        request = registry_pb.GetWorkflowRequest(
            workflow=WorkflowId(scope=_wire.scope(project, domain), name=name, version=version)
        )
        response: registry_pb.GetWorkflowResponse = self._service.call("GetWorkflow", request)
        return _wire.workflow(response.workflow)

    def list(self, project: str, domain: str, *, name: str = "") -> Iterator[Workflow]:
        """Yield the versions of a scope, or only of one name, newest first and without closures."""
        request = registry_pb.ListWorkflowsRequest(scope=_wire.scope(project, domain), name=name)
        return map(_wire.workflow, self._service.pages("ListWorkflows", request, "workflows"))


class LaunchPlans:
    """Versions of launch plans. Of the versions of one name at most one is active in a scope."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def register(self, project: str, domain: str, name: str, version: str, spec: Message) -> Registered[LaunchPlan]:
        """Register a version, inactive."""
        request = launch_plan_pb.RegisterLaunchPlanRequest(
            launch_plan=_launch_plan_id(project, domain, name, version), spec=_wire.packed(spec)
        )
        response: launch_plan_pb.RegisterLaunchPlanResponse = self._service.call("RegisterLaunchPlan", request)
        return Registered(_wire.launch_plan(response.launch_plan), response.created)

    def get(self, project: str, domain: str, name: str, version: str) -> LaunchPlan:
        """Return a version with its spec and closure."""
        request = launch_plan_pb.GetLaunchPlanRequest(launch_plan=_launch_plan_id(project, domain, name, version))
        response: launch_plan_pb.GetLaunchPlanResponse = self._service.call("GetLaunchPlan", request)
        return _wire.launch_plan(response.launch_plan)

    def get_active(self, project: str, domain: str, name: str) -> LaunchPlan:
        """Return the active version of a name. Raises NotFound when none is active."""
        request = launch_plan_pb.GetActiveLaunchPlanRequest(scope=_wire.scope(project, domain), name=name)
        response: launch_plan_pb.GetActiveLaunchPlanResponse = self._service.call("GetActiveLaunchPlan", request)
        return _wire.launch_plan(response.launch_plan)

    def list(self, project: str, domain: str, *, name: str = "", active_only: bool = False) -> Iterator[LaunchPlan]:
        """Yield the versions of a scope, or only of one name, newest first and without specs."""
        request = launch_plan_pb.ListLaunchPlansRequest(
            scope=_wire.scope(project, domain), name=name, active_only=active_only
        )
        return map(_wire.launch_plan, self._service.pages("ListLaunchPlans", request, "launch_plans"))

    def activate(self, project: str, domain: str, name: str, version: str) -> LaunchPlan:
        """Make a version the active one and the one before it inactive, in one step."""
        request = launch_plan_pb.ActivateLaunchPlanRequest(launch_plan=_launch_plan_id(project, domain, name, version))
        response: launch_plan_pb.ActivateLaunchPlanResponse = self._service.call("ActivateLaunchPlan", request)
        return _wire.launch_plan(response.launch_plan)

    def deactivate(self, project: str, domain: str, name: str, version: str) -> LaunchPlan:
        """Make a version inactive; its name has no active version then."""
        request = launch_plan_pb.DeactivateLaunchPlanRequest(
            launch_plan=_launch_plan_id(project, domain, name, version)
        )
        response: launch_plan_pb.DeactivateLaunchPlanResponse = self._service.call("DeactivateLaunchPlan", request)
        return _wire.launch_plan(response.launch_plan)

    def rollback(self, project: str, domain: str, name: str) -> LaunchPlan:
        """Make the version active that was so before; done twice it is as it was. Raises FailedPrecondition if none."""
        request = launch_plan_pb.RollbackLaunchPlanRequest(scope=_wire.scope(project, domain), name=name)
        response: launch_plan_pb.RollbackLaunchPlanResponse = self._service.call("RollbackLaunchPlan", request)
        return _wire.launch_plan(response.launch_plan)

    def ticks(self, project: str, domain: str, name: str) -> Iterator[Tick]:
        """Yield what became of the ticks of a name's schedules, newest first."""
        request = launch_plan_pb.ListScheduleTicksRequest(scope=_wire.scope(project, domain), name=name)
        return map(_wire.tick, self._service.pages("ListScheduleTicks", request, "ticks"))

    def next_ticks(self, project: str, domain: str, name: str, version: str, *, count: int = 10) -> Sequence[datetime]:
        """Return when the schedule of a version would fire next, active or not."""
        request = launch_plan_pb.PreviewScheduleRequest(
            launch_plan=_launch_plan_id(project, domain, name, version), count=count
        )
        response: launch_plan_pb.PreviewScheduleResponse = self._service.call("PreviewSchedule", request)
        return [_wire.moment(each) for each in response.ticks]

    def activations(self, project: str, domain: str, name: str) -> Iterator[Activation]:
        """Yield what was active when under a name, newest first."""
        request = launch_plan_pb.ListActivationsRequest(scope=_wire.scope(project, domain), name=name)
        return map(_wire.activation, self._service.pages("ListActivations", request, "activations"))


def _launch_plan_id(project: str, domain: str, name: str, version: str) -> LaunchPlanId:
    return LaunchPlanId(scope=_wire.scope(project, domain), name=name, version=version)
