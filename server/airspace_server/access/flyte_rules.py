"""The rule of every Flyte v1 RPC: one table of the same shape as the options of our own contract.

All 66 methods stand here, served or not, so that an unserved one answers UNIMPLEMENTED only to those who may call it.
`elsewhere` lists the fields of a request that name a scope and that are confined after authorization, each with the
place that does it; any other such field that no requirement reads stops the server from starting.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, ServiceDescriptor
from google.protobuf.message import Message

from airspace_server.access.decide import Reach
from airspace_server.access.rules import Guard, Requirement, Rule, RuleError, method_path, or_where_exported
from airspace_server.core.permissions import Permission
from airspace_server.core.scope import ANY, EntityKind, Scope, ScopePattern

Locate = Callable[[str], Scope]
"""Tells which scope a URL lies in; raises ApiError INVALID_FIELD when in none."""


@dataclass(frozen=True, slots=True)
class _Flyte:
    """A line of the table. Paths lead to a message with project and domain fields; "" is the request itself.

    `exported` is the kind of what `scope` leads to, where an export of it counts.
    """

    permission: Permission | None = None
    also: Permission | None = None
    scope: str | None = None
    project: str | None = None
    any_domain_of: str | None = None
    server: bool = False
    url: str | None = None
    exported: EntityKind | None = None
    guard: Guard = Guard.REQUIRE
    elsewhere: Mapping[str, str] = field(default_factory=dict)


_P = Permission
_OWN_REFERENCES: Final = {
    "spec": "registered ids replace those inside; admin/registry.py refuses what is not exported",
}
_TASK_ID: Final = {"id.task_id": "compared with the task that the node ran, never used to look anything up"}

_ADMIN: Final[Mapping[str, _Flyte]] = {
    "CreateTask": _Flyte(_P.REGISTRY_REGISTER, scope="id", elsewhere=_OWN_REFERENCES),
    "GetTask": _Flyte(_P.REGISTRY_VIEW, scope="id", exported=EntityKind.TASK),
    "ListTaskIds": _Flyte(_P.REGISTRY_VIEW, scope=""),
    "ListTasks": _Flyte(_P.REGISTRY_VIEW, scope="id"),
    "CreateWorkflow": _Flyte(_P.REGISTRY_REGISTER, scope="id", elsewhere=_OWN_REFERENCES),
    "GetWorkflow": _Flyte(_P.REGISTRY_VIEW, scope="id", exported=EntityKind.WORKFLOW),
    "ListWorkflowIds": _Flyte(_P.REGISTRY_VIEW, scope=""),
    "ListWorkflows": _Flyte(_P.REGISTRY_VIEW, scope="id"),
    "CreateLaunchPlan": _Flyte(
        _P.REGISTRY_REGISTER,
        scope="id",
        elsewhere={"spec": "admin/launch_plans.py refuses a workflow that is not exported here"},
    ),
    "GetLaunchPlan": _Flyte(_P.REGISTRY_VIEW, scope="id", exported=EntityKind.LAUNCH_PLAN),
    "GetActiveLaunchPlan": _Flyte(_P.REGISTRY_VIEW, scope="id"),
    "ListActiveLaunchPlans": _Flyte(_P.REGISTRY_VIEW, scope=""),
    "ListLaunchPlanIds": _Flyte(_P.REGISTRY_VIEW, scope=""),
    "ListLaunchPlans": _Flyte(_P.REGISTRY_VIEW, scope="id"),
    "UpdateLaunchPlan": _Flyte(_P.LAUNCHPLAN_ACTIVATE, scope="id"),
    "CreateExecution": _Flyte(
        _P.EXECUTION_LAUNCH,
        scope="",
        elsewhere={
            "spec.launch_plan": "execution/flyte.py refuses a launch plan or task of another scope",
            "spec.metadata": "execution/flyte.py sets mode and principal itself and keeps nothing else",
        },
    ),
    "RelaunchExecution": _Flyte(_P.EXECUTION_LAUNCH, scope="id"),
    "RecoverExecution": _Flyte(
        _P.EXECUTION_LAUNCH, scope="id", elsewhere={"metadata": "execution/launch.py keeps none of a client's metadata"}
    ),
    "GetExecution": _Flyte(_P.EXECUTION_VIEW, scope="id"),
    "UpdateExecution": _Flyte(_P.EXECUTION_TERMINATE, scope="id"),
    "GetExecutionData": _Flyte(_P.EXECUTION_VIEW, scope="id"),
    "ListExecutions": _Flyte(_P.EXECUTION_VIEW, scope="id"),
    "TerminateExecution": _Flyte(_P.EXECUTION_TERMINATE, scope="id"),
    "GetNodeExecution": _Flyte(_P.EXECUTION_VIEW, scope="id.execution_id"),
    "GetDynamicNodeWorkflow": _Flyte(_P.EXECUTION_VIEW, scope="id.execution_id"),
    "ListNodeExecutions": _Flyte(_P.EXECUTION_VIEW, scope="workflow_execution_id"),
    "ListNodeExecutionsForTask": _Flyte(
        _P.EXECUTION_VIEW,
        scope="task_execution_id.node_execution_id.execution_id",
        elsewhere={"task_execution_id.task_id": _TASK_ID["id.task_id"]},
    ),
    "GetNodeExecutionData": _Flyte(_P.EXECUTION_VIEW, scope="id.execution_id"),
    "GetTaskExecution": _Flyte(_P.EXECUTION_VIEW, scope="id.node_execution_id.execution_id", elsewhere=_TASK_ID),
    "ListTaskExecutions": _Flyte(_P.EXECUTION_VIEW, scope="node_execution_id.execution_id"),
    "GetTaskExecutionData": _Flyte(_P.EXECUTION_VIEW, scope="id.node_execution_id.execution_id", elsewhere=_TASK_ID),
    "GetExecutionMetrics": _Flyte(_P.EXECUTION_VIEW, scope="id"),
    "RegisterProject": _Flyte(_P.PROJECT_CREATE, server=True),
    "UpdateProject": _Flyte(_P.PROJECT_UPDATE, also=_P.PROJECT_ARCHIVE, project="id"),
    "GetProject": _Flyte(_P.PROJECT_VIEW, any_domain_of="id"),
    "ListProjects": _Flyte(_P.PROJECT_VIEW, guard=Guard.FILTERED),
    "GetDomains": _Flyte(guard=Guard.AUTHENTICATED),
    "GetVersion": _Flyte(guard=Guard.AUTHENTICATED),
    "CreateWorkflowEvent": _Flyte(_P.EXECUTION_TERMINATE, scope="event.execution_id"),
    "CreateNodeEvent": _Flyte(
        _P.EXECUTION_TERMINATE,
        scope="event.id.execution_id",
        elsewhere={"event": "never served: the engine is ours; nothing reads it"},
    ),
    "CreateTaskEvent": _Flyte(
        _P.EXECUTION_TERMINATE,
        scope="event.parent_node_execution_id.execution_id",
        elsewhere={"event": "never served: the engine is ours; nothing reads it"},
    ),
    "UpdateProjectDomainAttributes": _Flyte(_P.SETTINGS_UPDATE, scope="attributes"),
    "GetProjectDomainAttributes": _Flyte(_P.SETTINGS_VIEW, scope=""),
    "DeleteProjectDomainAttributes": _Flyte(_P.SETTINGS_UPDATE, scope=""),
    "UpdateProjectAttributes": _Flyte(_P.SETTINGS_UPDATE, project="attributes.project"),
    "GetProjectAttributes": _Flyte(_P.SETTINGS_VIEW, project="project"),
    "DeleteProjectAttributes": _Flyte(_P.SETTINGS_UPDATE, project="project"),
    "UpdateWorkflowAttributes": _Flyte(_P.SETTINGS_UPDATE, scope="attributes"),
    "GetWorkflowAttributes": _Flyte(_P.SETTINGS_VIEW, scope=""),
    "DeleteWorkflowAttributes": _Flyte(_P.SETTINGS_UPDATE, scope=""),
    "ListMatchableAttributes": _Flyte(_P.SETTINGS_VIEW, guard=Guard.FILTERED),
    "ListNamedEntities": _Flyte(_P.REGISTRY_VIEW, scope=""),
    "GetNamedEntity": _Flyte(_P.REGISTRY_VIEW, scope="id"),
    "UpdateNamedEntity": _Flyte(_P.REGISTRY_UPDATE, scope="id"),
    "GetDescriptionEntity": _Flyte(_P.REGISTRY_VIEW, scope="id"),
    "ListDescriptionEntities": _Flyte(_P.REGISTRY_VIEW, scope="id"),
}
_DATA_PROXY: Final[Mapping[str, _Flyte]] = {
    "CreateUploadLocation": _Flyte(_P.ARTIFACT_WRITE, scope=""),
    "CreateDownloadLocation": _Flyte(_P.ARTIFACT_READ, url="native_url"),
    "CreateDownloadLink": _Flyte(_P.EXECUTION_VIEW, scope="node_execution_id.execution_id"),
    "GetData": _Flyte(_P.EXECUTION_VIEW, url="flyte_url"),
}
_SIGNAL: Final[Mapping[str, _Flyte]] = {
    "GetOrCreateSignal": _Flyte(_P.EXECUTION_SIGNAL, scope="id.execution_id"),
    "ListSignals": _Flyte(_P.EXECUTION_VIEW, scope="workflow_execution_id"),
    "SetSignal": _Flyte(_P.EXECUTION_SIGNAL, scope="id.execution_id"),
}
_AUTH_METADATA: Final[Mapping[str, _Flyte]] = {
    "GetOAuth2Metadata": _Flyte(guard=Guard.PUBLIC),
    "GetPublicClientConfig": _Flyte(guard=Guard.PUBLIC),
}
_IDENTITY: Final[Mapping[str, _Flyte]] = {"UserInfo": _Flyte(guard=Guard.AUTHENTICATED)}

_TABLE: Final[Mapping[str, Mapping[str, _Flyte]]] = {
    "flyteidl.service.AdminService": _ADMIN,
    "flyteidl.service.DataProxyService": _DATA_PROXY,
    "flyteidl.service.SignalService": _SIGNAL,
    "flyteidl.service.AuthMetadataService": _AUTH_METADATA,
    "flyteidl.service.IdentityService": _IDENTITY,
}


def flyte_rules(services: Iterable[ServiceDescriptor], locate: Mapping[str, Locate]) -> Mapping[str, Rule]:
    """Build the rules of flyteidl services.

    `locate` tells for each URL field ("native_url", "flyte_url") which scope a URL lies in. Raises RuleError for a
    method without a line, a line without a method, or a scope in a request that is neither read nor confined elsewhere.
    """
    rules: dict[str, Rule] = {}
    for service in services:
        lines = _TABLE.get(service.full_name, {})
        methods = {method.name: method for method in service.methods}
        if lines.keys() != methods.keys():
            raise RuleError(f"{service.full_name}: rules and methods differ in {sorted(lines.keys() ^ methods.keys())}")
        for name, line in lines.items():
            rules[method_path(methods[name])] = _rule(methods[name].input_type, line, locate)
    return rules


def _rule(request: Descriptor, line: _Flyte, locate: Mapping[str, Locate]) -> Rule:
    for path in _scope_paths(request):
        if path not in (line.scope, line.project) and not any(
            path == place or path.startswith(f"{place}.") for place in line.elsewhere
        ):
            raise RuleError(f"{request.full_name}: nothing checks {path or 'project and domain'}")
    if (line.guard in (Guard.REQUIRE, Guard.FILTERED)) != (line.permission is not None):
        raise RuleError(f"{request.full_name}: a permission and a guard that asks for it go together")
    if line.guard is Guard.FILTERED:
        return Rule(Guard.FILTERED, filter=line.permission)
    if line.guard is not Guard.REQUIRE:
        return Rule(line.guard)
    permissions = (permission for permission in (line.permission, line.also) if permission is not None)
    return Rule(Guard.REQUIRE, tuple(_requirement(permission, line, locate) for permission in permissions))


def _requirement(permission: Permission, line: _Flyte, locate: Mapping[str, Locate]) -> Requirement:
    if line.server:
        return Requirement(permission, "everywhere", lambda _: ScopePattern(ANY, ANY))
    if line.url is not None:
        get_url, find = attrgetter(line.url), locate[line.url]

        def read_url(request: Message) -> ScopePattern:
            scope = find(get_url(request))
            return ScopePattern(scope.project, scope.domain)

        return Requirement(permission, line.url, read_url)
    if line.scope is not None:
        get: Callable[[Message], Any] = attrgetter(line.scope) if line.scope else _itself

        def read_scope(request: Message) -> ScopePattern:
            value = get(request)
            return ScopePattern(value.project, value.domain)

        made = Requirement(permission, line.scope or "project, domain", read_scope)
        return or_where_exported(made, line.exported, line.scope) if line.exported else made
    path = line.project or line.any_domain_of
    if path is None:
        raise RuleError(f"a rule for {permission.value} says nowhere where it must be held")
    reach = Reach.SOME if line.any_domain_of else Reach.ALL
    get_project = attrgetter(path)
    words = f"{path}, {'any' if reach is Reach.SOME else 'every'} domain"
    return Requirement(permission, words, lambda request: ScopePattern(get_project(request), ANY), reach)


def _itself(request: Message) -> Message:
    return request


def _scope_paths(message: Descriptor, path: tuple[str, ...] = (), seen: tuple[str, ...] = ()) -> Iterator[str]:
    """Name every message of a request that has a project and a domain, itself included, and every project alone."""
    names = {own.name for own in message.fields if own.message_type is None}
    if "project" in names:
        yield ".".join(path if "domain" in names else (*path, "project"))
    for own in message.fields:
        inner = own.message_type
        # An artifact key is of Flyte's artifact service, which this server does not have: nothing reads one.
        if inner is not None and inner.full_name not in (*seen, "flyteidl.core.ArtifactKey"):
            yield from _scope_paths(inner, (*path, own.name), (*seen, message.full_name, inner.full_name))
