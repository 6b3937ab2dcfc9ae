"""The native front doors of the registry: airspace.registry.v1 and airspace.launchplan.v1.

They turn messages into calls of the use cases and back. The chain has authenticated, authorized and validated.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from flyteidl.admin import launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import compiler_pb2
from google.protobuf.message import Message
from sqlalchemy import ColumnElement, Row, Table, select

from airspace.launchplan.v1 import launch_plan_service_pb2 as plan_pb
from airspace.registry.v1 import registry_service_pb2 as pb
from airspace.type.v1 import identifiers_pb2
from airspace_server.access.call import Call
from airspace_server.access.messages import packed, scope_message, scope_of, timestamp, unpacked
from airspace_server.admin.activations import Activation, Cause
from airspace_server.admin.launch_plans import ACTIVE, LAUNCH_PLANS, LaunchPlan, LaunchPlans, workflow_id
from airspace_server.admin.registry import TASKS, WORKFLOWS, Registry, Task, Workflow, row_id
from airspace_server.core.errors import invalid_field
from airspace_server.core.scope import EntityId
from airspace_server.storage.database import Database, scoped
from airspace_server.storage.paging import Pager, page, page_size
from airspace_server.storage.schedules import Tick

IdMessage = TypeVar("IdMessage", bound=Message)


def _id(message: Any) -> EntityId:
    return EntityId(scope_of(message.scope), message.name, message.version)


def _id_message(kind: type[IdMessage], id_: EntityId) -> IdMessage:
    return kind(scope=scope_message(id_.scope), name=id_.name, version=id_.version)


class VersionLists:
    """Lists the versions of a scope, newest first, without their bodies. Both native registries page alike."""

    def __init__(self, database: Database, pager: Pager) -> None:
        self._database = database
        self._pager = pager

    def page(
        self,
        versions: Table,
        light: Sequence[ColumnElement[Any]],
        request: Any,
        conditions: Sequence[ColumnElement[bool]] = (),
        query: str = "",
    ) -> tuple[Sequence[Row[Any]], str]:
        """Return a page's rows and the token of the next page. `query` names what `conditions` restrict to."""
        scope = scope_of(request.scope)
        of_name = [versions.c.name == request.name] if request.name else []
        listed = f"{versions.name} {scope} {request.name} {query}"
        with self._database.read(scope) as tx:
            rows, end = page(
                tx,
                select(*light).where(scoped(versions), *of_name, *conditions),
                (versions.c.created_at, versions.c.name, versions.c.version),
                size=page_size(request.page_size),
                last=self._pager.position(listed, request.page_token),
                descending=True,
            )
        return rows, self._pager.token(listed, end) if end else ""


_TASK_COLUMNS: Final = tuple(
    TASKS.c[name] for name in ("project", "domain", "name", "version", "digest", "type", "created_at")
)
_WORKFLOW_COLUMNS: Final = tuple(
    WORKFLOWS.c[name] for name in ("project", "domain", "name", "version", "digest", "created_at")
)
_TICKS, _MOST_TICKS = 10, 100
_CAUSES: Final[Mapping[Cause, Any]] = {
    cause: plan_pb.ActivationCause.Value(f"ACTIVATION_CAUSE_{cause.value}") for cause in Cause
}
_LAUNCH_PLAN_COLUMNS: Final = tuple(column for column in LAUNCH_PLANS.c if column.name not in ("spec", "closure"))


class RegistryService:
    """airspace.registry.v1.RegistryService."""

    def __init__(self, registry: Registry, lists: VersionLists) -> None:
        self._registry = registry
        self._lists = lists

    def RegisterTask(self, request: pb.RegisterTaskRequest, _call: Call) -> pb.RegisterTaskResponse:
        """Register a version of a task."""
        spec = unpacked(request.spec, task_pb2.TaskSpec, "spec")
        task, created = self._registry.register_task(_id(request.task), spec)
        return pb.RegisterTaskResponse(task=_task(task), created=created)

    def GetTask(self, request: pb.GetTaskRequest, _call: Call) -> pb.GetTaskResponse:
        """Return a version of a task."""
        task = self._registry.task(_id(request.task))
        message = _task(task)
        message.closure.CopyFrom(packed(task_pb2.TaskClosure.FromString(task.closure)))
        return pb.GetTaskResponse(task=message)

    def ListTasks(self, request: pb.ListTasksRequest, _call: Call) -> pb.ListTasksResponse:
        """List versions of tasks."""
        rows, token = self._lists.page(TASKS, _TASK_COLUMNS, request)
        return pb.ListTasksResponse(tasks=[_task(row) for row in rows], next_page_token=token)

    def RegisterWorkflow(self, request: pb.RegisterWorkflowRequest, _call: Call) -> pb.RegisterWorkflowResponse:
        """Compile and register a version of a workflow."""
        spec = unpacked(request.spec, workflow_pb2.WorkflowSpec, "spec")
        workflow, created = self._registry.register_workflow(_id(request.workflow), spec)
        return pb.RegisterWorkflowResponse(workflow=_workflow(workflow), created=created)

    def GetWorkflow(self, request: pb.GetWorkflowRequest, _call: Call) -> pb.GetWorkflowResponse:
        """Return a version of a workflow."""
        workflow = self._registry.workflow(_id(request.workflow))
        closure = workflow_pb2.WorkflowClosure(
            compiled_workflow=compiler_pb2.CompiledWorkflowClosure.FromString(workflow.closure),
            created_at=timestamp(workflow.created_at),
        )
        message = _workflow(workflow)
        message.closure.CopyFrom(packed(closure))
        return pb.GetWorkflowResponse(workflow=message)

    def ListWorkflows(self, request: pb.ListWorkflowsRequest, _call: Call) -> pb.ListWorkflowsResponse:
        """List versions of workflows."""
        rows, token = self._lists.page(WORKFLOWS, _WORKFLOW_COLUMNS, request)
        return pb.ListWorkflowsResponse(workflows=[_workflow(row) for row in rows], next_page_token=token)


def _task(task: Task | Row[Any]) -> pb.Task:
    id_ = task.id if isinstance(task, Task) else row_id(task)
    return pb.Task(
        id=_id_message(identifiers_pb2.TaskId, id_),
        digest=task.digest,
        type=task.type,
        create_time=timestamp(task.created_at),
    )


def _workflow(workflow: Workflow | Row[Any]) -> pb.Workflow:
    id_ = workflow.id if isinstance(workflow, Workflow) else row_id(workflow)
    return pb.Workflow(
        id=_id_message(identifiers_pb2.WorkflowId, id_),
        digest=workflow.digest,
        create_time=timestamp(workflow.created_at),
    )


class LaunchPlanService:
    """airspace.launchplan.v1.LaunchPlanService."""

    def __init__(self, launch_plans: LaunchPlans, lists: VersionLists, pager: Pager) -> None:
        self._launch_plans = launch_plans
        self._lists = lists
        self._pager = pager

    def RegisterLaunchPlan(
        self, request: plan_pb.RegisterLaunchPlanRequest, _call: Call
    ) -> plan_pb.RegisterLaunchPlanResponse:
        """Register a version of a launch plan."""
        spec = unpacked(request.spec, launch_plan_pb2.LaunchPlanSpec, "spec")
        launch_plan, created = self._launch_plans.register(_id(request.launch_plan), spec)
        return plan_pb.RegisterLaunchPlanResponse(launch_plan=_light(launch_plan), created=created)

    def GetLaunchPlan(self, request: plan_pb.GetLaunchPlanRequest, _call: Call) -> plan_pb.GetLaunchPlanResponse:
        """Return a version of a launch plan."""
        return plan_pb.GetLaunchPlanResponse(launch_plan=_full(self._launch_plans.get(_id(request.launch_plan))))

    def GetActiveLaunchPlan(
        self, request: plan_pb.GetActiveLaunchPlanRequest, _call: Call
    ) -> plan_pb.GetActiveLaunchPlanResponse:
        """Return the active version of a name."""
        return plan_pb.GetActiveLaunchPlanResponse(
            launch_plan=_full(self._launch_plans.active(scope_of(request.scope), request.name))
        )

    def ListLaunchPlans(self, request: plan_pb.ListLaunchPlansRequest, _call: Call) -> plan_pb.ListLaunchPlansResponse:
        """List versions of launch plans."""
        conditions = (LAUNCH_PLANS.c.state == ACTIVE,) if request.active_only else ()
        rows, token = self._lists.page(
            LAUNCH_PLANS, _LAUNCH_PLAN_COLUMNS, request, conditions, "active" if request.active_only else ""
        )
        return plan_pb.ListLaunchPlansResponse(launch_plans=[_light(row) for row in rows], next_page_token=token)

    def ActivateLaunchPlan(
        self, request: plan_pb.ActivateLaunchPlanRequest, call: Call
    ) -> plan_pb.ActivateLaunchPlanResponse:
        """Make a version the active one."""
        return plan_pb.ActivateLaunchPlanResponse(
            launch_plan=_light(self._launch_plans.activate(_id(request.launch_plan), call.principal))
        )

    def DeactivateLaunchPlan(
        self, request: plan_pb.DeactivateLaunchPlanRequest, call: Call
    ) -> plan_pb.DeactivateLaunchPlanResponse:
        """Make a version inactive."""
        return plan_pb.DeactivateLaunchPlanResponse(
            launch_plan=_light(self._launch_plans.deactivate(_id(request.launch_plan), call.principal))
        )

    def RollbackLaunchPlan(
        self, request: plan_pb.RollbackLaunchPlanRequest, call: Call
    ) -> plan_pb.RollbackLaunchPlanResponse:
        """Make the version active that was so before."""
        launch_plan = self._launch_plans.roll_back(scope_of(request.scope), request.name, call.principal)
        return plan_pb.RollbackLaunchPlanResponse(launch_plan=_light(launch_plan))

    def ListScheduleTicks(
        self, request: plan_pb.ListScheduleTicksRequest, _call: Call
    ) -> plan_pb.ListScheduleTicksResponse:
        """List what became of the ticks of a name's schedules."""
        scope = scope_of(request.scope)
        query = f"ticks {scope} {request.name}"
        last = self._pager.position(query, request.page_token)
        found, end = self._launch_plans.ticks(scope, request.name, page_size(request.page_size), last)
        token = self._pager.token(query, end) if end else ""
        return plan_pb.ListScheduleTicksResponse(ticks=map(_tick, found), next_page_token=token)

    def PreviewSchedule(self, request: plan_pb.PreviewScheduleRequest, _call: Call) -> plan_pb.PreviewScheduleResponse:
        """Tell when a schedule would fire next."""
        if not 0 <= request.count <= _MOST_TICKS:
            raise invalid_field("count", f"must be 0 to {_MOST_TICKS}")
        ticks = self._launch_plans.next_ticks(_id(request.launch_plan), request.count or _TICKS)
        return plan_pb.PreviewScheduleResponse(ticks=map(timestamp, ticks))

    def ListActivations(self, request: plan_pb.ListActivationsRequest, _call: Call) -> plan_pb.ListActivationsResponse:
        """List what was active when under a name."""
        scope = scope_of(request.scope)
        query = f"activations {scope} {request.name}"
        last = self._pager.position(query, request.page_token)
        found, end = self._launch_plans.history(scope, request.name, page_size(request.page_size), last)
        token = self._pager.token(query, end) if end else ""
        return plan_pb.ListActivationsResponse(activations=map(_activation, found), next_page_token=token)


def _light(launch_plan: LaunchPlan | Row[Any]) -> plan_pb.LaunchPlan:
    if isinstance(launch_plan, LaunchPlan):
        id_, workflow, active = launch_plan.id, launch_plan.workflow, launch_plan.active
    else:
        id_, active = row_id(launch_plan), launch_plan.state == ACTIVE
        workflow = workflow_id(launch_plan)
    return plan_pb.LaunchPlan(
        id=_id_message(identifiers_pb2.LaunchPlanId, id_),
        digest=launch_plan.digest,
        workflow=_id_message(identifiers_pb2.WorkflowId, workflow),
        state=(plan_pb.LAUNCH_PLAN_STATE_ACTIVE if active else plan_pb.LAUNCH_PLAN_STATE_INACTIVE),
        schedule=launch_plan.schedule,
        create_time=timestamp(launch_plan.created_at),
        update_time=timestamp(launch_plan.updated_at),
    )


def _tick(tick: Tick) -> plan_pb.Tick:
    return plan_pb.Tick(
        due_time=timestamp(tick.due_at),
        last_due_time=timestamp(tick.last_due_at),
        version=tick.version,
        outcome=f"TICK_OUTCOME_{tick.outcome.value}",
        reason=tick.reason,
        execution=tick.execution,
        time=timestamp(tick.at),
    )


def _activation(activation: Activation) -> plan_pb.Activation:
    return plan_pb.Activation(
        sequence=activation.sequence,
        version=activation.version,
        cause=_CAUSES[activation.cause],
        principal=activation.principal,
        time=timestamp(activation.at),
    )


def _full(launch_plan: LaunchPlan) -> plan_pb.LaunchPlan:
    message = _light(launch_plan)
    message.spec.CopyFrom(packed(launch_plan_pb2.LaunchPlanSpec.FromString(launch_plan.spec)))
    message.closure.CopyFrom(packed(launch_plan_pb2.LaunchPlanClosure.FromString(launch_plan.closure)))
    return message
