"""Flyte's front door of the admin wing: the methods of flyteidl.service.AdminService about projects and the registry.

The use cases are those of the native front doors. What differs is how Flyte's wire says things: registering the same
content again is ALREADY_EXISTS, an unset resource type means the one that the method is about, INACTIVE is 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version as installed_version
from typing import Any, Final

from flyteidl.admin import (
    common_pb2,
    launch_plan_pb2,
    project_pb2,
    task_pb2,
    version_pb2,
    workflow_pb2,
)
from flyteidl.core import compiler_pb2, identifier_pb2, interface_pb2
from sqlalchemy import Row, Table, bindparam, select

from airspace_server.access.call import Call
from airspace_server.access.messages import timestamp
from airspace_server.admin import projects
from airspace_server.admin.launch_plans import ACTIVE, INACTIVE, LAUNCH_PLANS, LaunchPlan, LaunchPlans
from airspace_server.admin.launch_plans import from_row as launch_plan_from_row
from airspace_server.admin.projects import PROJECTS, Project
from airspace_server.admin.registry import TASKS, WORKFLOWS, Registry, named, row_id, task_from_row
from airspace_server.core import names
from airspace_server.core.clock import Clock
from airspace_server.core.errors import ApiError, Reason, invalid_field
from airspace_server.core.scope import EntityId
from airspace_server.flyte.identifiers import entity_id, identifier, require, require_domain, scope_of
from airspace_server.flyte.listing import Field, Listing, coded, fetch, microseconds
from airspace_server.storage.database import Database, scoped
from airspace_server.storage.paging import Pager
from airspace_server.storage.projects import ACTIVE as PROJECT_ACTIVE
from airspace_server.storage.projects import ARCHIVED as PROJECT_ARCHIVED

_STATES: Final[Mapping[int, str]] = {launch_plan_pb2.INACTIVE: INACTIVE, launch_plan_pb2.ACTIVE: ACTIVE}
_NO_LIMIT: Final = 1000

_VERSION_KEYS: Final = ("name", "version")


def _versions(
    entity: str,
    versions: Table,
    *more: str,
    own: Mapping[str, Field] | None = None,
    related: Mapping[str, Field] | None = None,
) -> Listing:
    text = ("project", "domain", "name", "version", "digest", *more)
    fields = {name: Field(versions.c[name]) for name in text}
    fields["created_at"] = Field(versions.c.created_at, microseconds)
    fields["updated_at"] = Field(
        versions.c.updated_at if "updated_at" in versions.c else versions.c.created_at, microseconds
    )
    return Listing(entity, {**fields, **(own or {})}, tuple(versions.c[key] for key in _VERSION_KEYS), related or {})


_TASK_LIST: Final = _versions("task", TASKS, "type", "short_description")
_WORKFLOW_LIST: Final = _versions("workflow", WORKFLOWS, "short_description")
_LAUNCH_PLAN_LIST: Final = _versions(
    "launch_plan",
    LAUNCH_PLANS,
    own={"state": Field(LAUNCH_PLANS.c.state, coded({"0": INACTIVE, "1": ACTIVE, INACTIVE: INACTIVE, ACTIVE: ACTIVE}))},
    related={
        "workflow.name": Field(LAUNCH_PLANS.c.workflow_name),
        "workflow.version": Field(LAUNCH_PLANS.c.workflow_version),
    },
)
_PROJECT_STATE: Final = coded(
    {"0": PROJECT_ACTIVE, "1": PROJECT_ARCHIVED, "ACTIVE": PROJECT_ACTIVE, "ARCHIVED": PROJECT_ARCHIVED}
)
_PROJECT_LIST: Final = Listing(
    "project",
    {
        "id": Field(PROJECTS.c.id),
        "identifier": Field(PROJECTS.c.id),
        "name": Field(PROJECTS.c.name),
        "description": Field(PROJECTS.c.description),
        "labels": Field(PROJECTS.c.labels),
        "state": Field(PROJECTS.c.state, _PROJECT_STATE),
        "created_at": Field(PROJECTS.c.created_at, microseconds),
        "updated_at": Field(PROJECTS.c.updated_at, microseconds),
    },
    (PROJECTS.c.id,),
)


class AdminFlyte:
    """Serves projects, tasks, workflows and launch plans to Flyte's clients. `domains` are the server's."""

    def __init__(
        self,
        database: Database,
        registry: Registry,
        launch_plans: LaunchPlans,
        pager: Pager,
        clock: Clock,
        domains: Sequence[str],
    ) -> None:
        self._database = database
        self._registry = registry
        self._launch_plans = launch_plans
        self._pager = pager
        self._clock = clock
        self._domains = domains

    # --- projects

    def RegisterProject(
        self, request: project_pb2.ProjectRegisterRequest, _call: Call
    ) -> project_pb2.ProjectRegisterResponse:
        """Create a project, active whatever state the request has."""
        wanted = request.project
        require("project.id", names.project(wanted.id))
        if not wanted.name:
            raise invalid_field("project.name", "is required")
        if wanted.domains:
            raise invalid_field("project.domains", "cannot be set: the domains are the server's")
        with self._database.write() as tx:
            projects.create(
                tx,
                wanted.id,
                name=wanted.name,
                description=wanted.description,
                labels=wanted.labels.values,
                now=self._clock(),
            )
        return project_pb2.ProjectRegisterResponse()

    def UpdateProject(self, request: project_pb2.Project, _call: Call) -> project_pb2.ProjectUpdateResponse:
        """Change a project. Empty texts and labels keep what is there, since no client can leave them out.

        The state is always written: flytectl and flytekit send the current one along.
        """
        require("id", names.project(request.id))
        if request.domains:
            raise invalid_field("domains", "cannot be set: the domains are the server's")
        if request.state not in (project_pb2.Project.ACTIVE, project_pb2.Project.ARCHIVED):
            raise invalid_field("state", "must be ACTIVE or ARCHIVED")
        wanted = projects.Change(
            name=request.name or None,
            description=request.description or None,
            labels=dict(request.labels.values) or None,
            archived=request.state == project_pb2.Project.ARCHIVED,
        )
        with self._database.write() as tx:
            projects.change(tx, request.id, wanted, now=self._clock())
        return project_pb2.ProjectUpdateResponse()

    def GetProject(self, request: project_pb2.ProjectGetRequest, _call: Call) -> project_pb2.Project:
        """Return a project with the server's domains."""
        require("id", names.project(request.id))
        with self._database.read() as tx:
            return self._project(projects.get(tx, request.id))

    def ListProjects(self, request: project_pb2.ProjectListRequest, call: Call) -> project_pb2.Projects:
        """List the projects that the caller may see; without a filter only active ones."""
        statement = select(PROJECTS).where(*projects.shown_to(call.restriction()))
        if not request.filters:
            statement = statement.where(PROJECTS.c.state == PROJECT_ACTIVE)
        with self._database.read() as tx:
            rows, token = fetch(
                tx,
                self._pager,
                statement,
                _PROJECT_LIST,
                list_name=f"projects {call.principal.member}",
                limit=request.limit or _NO_LIMIT,  # 0 asks for all; a token leads on where there are more
                token=request.token,
                filters=request.filters,
                sort_by=request.sort_by,
                default_sort="identifier",
                ascending=True,
            )
        return project_pb2.Projects(projects=[self._project(projects.from_row(row)) for row in rows], token=token)

    def GetDomains(self, _request: project_pb2.GetDomainRequest, _call: Call) -> project_pb2.GetDomainsResponse:
        """List the server's domains."""
        return project_pb2.GetDomainsResponse(domains=self._domain_messages())

    def GetVersion(self, _request: version_pb2.GetVersionRequest, _call: Call) -> version_pb2.GetVersionResponse:
        """Tell this server's version."""
        return version_pb2.GetVersionResponse(
            control_plane_version=version_pb2.Version(Build="airspace", Version=installed_version("airspace"))
        )

    def _project(self, project: Project) -> project_pb2.Project:
        return project_pb2.Project(
            id=project.id,
            name=project.name,
            description=project.description,
            labels=common_pb2.Labels(values=project.labels),
            state=project_pb2.Project.ARCHIVED if project.archived else project_pb2.Project.ACTIVE,
            domains=self._domain_messages(),
        )

    def _domain_messages(self) -> Iterable[project_pb2.Domain]:
        return [project_pb2.Domain(id=domain, name=domain) for domain in self._domains]

    # --- tasks

    def CreateTask(self, request: task_pb2.TaskCreateRequest, _call: Call) -> task_pb2.TaskCreateResponse:
        """Register a version of a task."""
        task = self._create_id(request.id, identifier_pb2.TASK)
        _, created = self._registry.register_task(task, request.spec)
        _require_new(created, "task", task)
        return task_pb2.TaskCreateResponse()

    def GetTask(self, request: common_pb2.ObjectGetRequest, _call: Call) -> task_pb2.Task:
        """Return a version of a task."""
        task = self._registry.task(self._id(request.id, identifier_pb2.TASK))
        return task_pb2.Task(
            id=identifier(task.id, identifier_pb2.TASK),
            closure=task_pb2.TaskClosure.FromString(task.closure),
            short_description=task.short_description,
        )

    def ListTasks(self, request: common_pb2.ResourceListRequest, _call: Call) -> task_pb2.TaskList:
        """List versions of tasks."""
        rows, token = self._list(TASKS, _TASK_LIST, request)
        tasks = [task_from_row(row) for row in rows]
        return task_pb2.TaskList(
            tasks=[
                task_pb2.Task(
                    id=identifier(task.id, identifier_pb2.TASK),
                    closure=task_pb2.TaskClosure.FromString(task.closure),
                    short_description=task.short_description,
                )
                for task in tasks
            ],
            token=token,
        )

    def ListTaskIds(
        self, request: common_pb2.NamedEntityIdentifierListRequest, _call: Call
    ) -> common_pb2.NamedEntityIdentifierList:
        """List the names of tasks."""
        return self._names(TASKS, _TASK_LIST, request)

    # --- workflows

    def CreateWorkflow(
        self, request: workflow_pb2.WorkflowCreateRequest, _call: Call
    ) -> workflow_pb2.WorkflowCreateResponse:
        """Compile and register a version of a workflow."""
        workflow = self._create_id(request.id, identifier_pb2.WORKFLOW)
        _, created = self._registry.register_workflow(workflow, request.spec)
        _require_new(created, "workflow", workflow)
        return workflow_pb2.WorkflowCreateResponse()

    def GetWorkflow(self, request: common_pb2.ObjectGetRequest, _call: Call) -> workflow_pb2.Workflow:
        """Return a version of a workflow with its compiled closure."""
        workflow = self._registry.workflow(self._id(request.id, identifier_pb2.WORKFLOW))
        return workflow_pb2.Workflow(
            id=identifier(workflow.id, identifier_pb2.WORKFLOW),
            closure=workflow_pb2.WorkflowClosure(
                compiled_workflow=compiler_pb2.CompiledWorkflowClosure.FromString(workflow.closure),
                created_at=timestamp(workflow.created_at),
            ),
            short_description=workflow.short_description,
        )

    def ListWorkflows(self, request: common_pb2.ResourceListRequest, _call: Call) -> workflow_pb2.WorkflowList:
        """List versions of workflows, each with its interface alone."""
        rows, token = self._list(WORKFLOWS, _WORKFLOW_LIST, request)
        return workflow_pb2.WorkflowList(workflows=[_listed_workflow(row) for row in rows], token=token)

    def ListWorkflowIds(
        self, request: common_pb2.NamedEntityIdentifierListRequest, _call: Call
    ) -> common_pb2.NamedEntityIdentifierList:
        """List the names of workflows."""
        return self._names(WORKFLOWS, _WORKFLOW_LIST, request)

    # --- launch plans

    def CreateLaunchPlan(
        self, request: launch_plan_pb2.LaunchPlanCreateRequest, _call: Call
    ) -> launch_plan_pb2.LaunchPlanCreateResponse:
        """Register a version of a launch plan."""
        launch_plan = self._create_id(request.id, identifier_pb2.LAUNCH_PLAN)
        _, created = self._launch_plans.register(launch_plan, request.spec)
        _require_new(created, "launch plan", launch_plan)
        return launch_plan_pb2.LaunchPlanCreateResponse()

    def GetLaunchPlan(self, request: common_pb2.ObjectGetRequest, _call: Call) -> launch_plan_pb2.LaunchPlan:
        """Return a version of a launch plan."""
        return _launch_plan(self._launch_plans.get(self._id(request.id, identifier_pb2.LAUNCH_PLAN)))

    def GetActiveLaunchPlan(
        self, request: launch_plan_pb2.ActiveLaunchPlanRequest, _call: Call
    ) -> launch_plan_pb2.LaunchPlan:
        """Return the active version of a name."""
        scope = scope_of(request.id.project, request.id.domain, self._domains, "id.")
        require("id.name", names.entity(request.id.name))
        return _launch_plan(self._launch_plans.active(scope, request.id.name))

    def ListActiveLaunchPlans(
        self, request: launch_plan_pb2.ActiveLaunchPlanListRequest, _call: Call
    ) -> launch_plan_pb2.LaunchPlanList:
        """List active versions."""
        scope = scope_of(request.project, request.domain, self._domains)
        with self._database.read(scope) as tx:
            rows, token = fetch(
                tx,
                self._pager,
                select(LAUNCH_PLANS).where(scoped(LAUNCH_PLANS), LAUNCH_PLANS.c.state == ACTIVE),
                _LAUNCH_PLAN_LIST,
                list_name=f"active launch plans {scope}",
                limit=request.limit,
                token=request.token,
                sort_by=request.sort_by,
            )
        return _launch_plan_list(rows, token)

    def ListLaunchPlans(self, request: common_pb2.ResourceListRequest, _call: Call) -> launch_plan_pb2.LaunchPlanList:
        """List versions of launch plans."""
        return _launch_plan_list(*self._list(LAUNCH_PLANS, _LAUNCH_PLAN_LIST, request))

    def ListLaunchPlanIds(
        self, request: common_pb2.NamedEntityIdentifierListRequest, _call: Call
    ) -> common_pb2.NamedEntityIdentifierList:
        """List the names of launch plans."""
        return self._names(LAUNCH_PLANS, _LAUNCH_PLAN_LIST, request)

    def UpdateLaunchPlan(
        self, request: launch_plan_pb2.LaunchPlanUpdateRequest, call: Call
    ) -> launch_plan_pb2.LaunchPlanUpdateResponse:
        """Activate or deactivate a version; no state on the wire is INACTIVE."""
        launch_plan = self._id(request.id, identifier_pb2.LAUNCH_PLAN)
        if request.state not in _STATES:
            raise invalid_field("state", "must be ACTIVE or INACTIVE")
        if _STATES[request.state] == ACTIVE:
            self._launch_plans.activate(launch_plan, call.principal)
        else:
            self._launch_plans.deactivate(launch_plan, call.principal)
        return launch_plan_pb2.LaunchPlanUpdateResponse()

    # --- what the lists and ids share

    def _list(
        self, versions: Table, listing: Listing, request: common_pb2.ResourceListRequest
    ) -> tuple[Sequence[Row[Any]], str]:
        scope = scope_of(request.id.project, request.id.domain, self._domains, "id.")
        statement = select(versions).where(scoped(versions))
        if request.id.name:
            require("id.name", names.entity(request.id.name))
            statement = statement.where(versions.c.name == bindparam("of_name", request.id.name))
        with self._database.read(scope) as tx:
            return fetch(
                tx,
                self._pager,
                statement,
                listing,
                list_name=f"{versions.name} {scope} {request.id.name}",
                limit=request.limit,
                token=request.token,
                filters=request.filters,
                sort_by=request.sort_by,
            )

    def _names(
        self, versions: Table, listing: Listing, request: common_pb2.NamedEntityIdentifierListRequest
    ) -> common_pb2.NamedEntityIdentifierList:
        """List distinct names in alphabetical order; Flyte's sort keys say nothing about a name without a version."""
        scope = scope_of(request.project, request.domain, self._domains)
        by_name = Listing(listing.entity, listing.fields, (versions.c.name,))
        statement = select(versions.c.name).where(scoped(versions)).group_by(versions.c.name)
        with self._database.read(scope) as tx:
            rows, token = fetch(
                tx,
                self._pager,
                statement,
                by_name,
                list_name=f"{versions.name} names {scope}",
                limit=request.limit,
                token=request.token,
                filters=request.filters,
                default_sort="name",
                ascending=True,
            )
        entities = [
            common_pb2.NamedEntityIdentifier(project=scope.project, domain=scope.domain, name=row.name) for row in rows
        ]
        return common_pb2.NamedEntityIdentifierList(entities=entities, token=token)

    def _id(self, message: identifier_pb2.Identifier, kind: Any) -> EntityId:
        found = entity_id(message, kind)
        require_domain(found.scope.domain, self._domains, "id.domain")
        return found

    def _create_id(self, message: identifier_pb2.Identifier, kind: Any) -> EntityId:
        """Read the id of something new: here the wire wants the resource type to be said."""
        if message.resource_type != kind:
            raise invalid_field("id.resource_type", f"must be {identifier_pb2.ResourceType.Name(kind)}")
        return self._id(message, kind)


def _require_new(created: bool, kind: str, id_: EntityId) -> None:
    """Say ALREADY_EXISTS when nothing was created: Flyte's clients count it as success and rely on the word."""
    if not created:
        raise ApiError(
            Reason.ALREADY_EXISTS, f"{kind} {id_} is registered with this very content", {"kind": kind, **named(id_)}
        )


def _listed_workflow(row: Row[Any]) -> workflow_pb2.Workflow:
    workflow = workflow_pb2.Workflow(
        id=identifier(row_id(row), identifier_pb2.WORKFLOW), short_description=row.short_description
    )
    workflow.closure.created_at.CopyFrom(timestamp(row.created_at))
    interface = interface_pb2.TypedInterface.FromString(row.interface)
    workflow.closure.compiled_workflow.primary.template.interface.CopyFrom(interface)
    return workflow


def _launch_plan(launch_plan: LaunchPlan) -> launch_plan_pb2.LaunchPlan:
    message = launch_plan_pb2.LaunchPlan(
        id=identifier(launch_plan.id, identifier_pb2.LAUNCH_PLAN),
        spec=launch_plan_pb2.LaunchPlanSpec.FromString(launch_plan.spec),
        closure=launch_plan_pb2.LaunchPlanClosure.FromString(launch_plan.closure),
    )
    message.closure.state = launch_plan_pb2.ACTIVE if launch_plan.active else launch_plan_pb2.INACTIVE
    message.closure.created_at.CopyFrom(timestamp(launch_plan.created_at))
    message.closure.updated_at.CopyFrom(timestamp(launch_plan.updated_at))
    return message


def _launch_plan_list(rows: Sequence[Row[Any]], token: str) -> launch_plan_pb2.LaunchPlanList:
    return launch_plan_pb2.LaunchPlanList(
        launch_plans=[_launch_plan(launch_plan_from_row(row)) for row in rows], token=token
    )
