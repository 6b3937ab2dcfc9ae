"""What the tests of both wings share: every front door over one database, and short words for what goes through."""

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from flyte_samples import serialize
from flyteidl.admin import launch_plan_pb2, project_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from airspace.launchplan.v1 import launch_plan_service_pb2 as plan_pb
from airspace.project.v1 import project_service_pb2 as project_v1
from airspace.reference.v1 import reference_service_pb2 as reference_pb
from airspace.registry.v1 import registry_service_pb2 as registry_pb
from airspace.type.v1 import identifiers_pb2
from airspace_server.access.call import Call
from airspace_server.access.decide import Grants, Visible
from airspace_server.access.identity import Principal
from airspace_server.access.policy import PolicyStore
from airspace_server.admin.flyte import AdminFlyte
from airspace_server.admin.flyte_attributes import AttributesFlyte
from airspace_server.admin.flyte_entities import EntitiesFlyte
from airspace_server.admin.launch_plans import LaunchPlans
from airspace_server.admin.project_service import ProjectService
from airspace_server.admin.reference_service import ReferenceService
from airspace_server.admin.references import References
from airspace_server.admin.registry import Registry
from airspace_server.admin.registry_service import LaunchPlanService, RegistryService, VersionLists
from airspace_server.artifacts.local import LocalArtifactStore
from airspace_server.artifacts.signing import UrlSigner
from airspace_server.core.errors import ApiError
from airspace_server.core.run_as import RunAs
from airspace_server.core.scope import EntityId, Scope, ScopePattern
from airspace_server.execution.catalog import Catalog
from airspace_server.execution.decks import Decks
from airspace_server.execution.flyte import ExecutionFlyte
from airspace_server.execution.flyte_signals import SignalsFlyte
from airspace_server.execution.launch import Launcher
from airspace_server.execution.notices import Refusals
from airspace_server.execution.service import ExecutionService
from airspace_server.execution.signals import Signals
from airspace_server.execution.store import Executions
from airspace_server.execution.watch import Watcher
from airspace_server.flyte.errors import translate
from airspace_server.rpc.status import status_of
from airspace_server.storage.database import Database
from airspace_server.storage.paging import Pager
from airspace_server.storage.settings import RUN_AS, put

DOMAINS = ("development", "staging", "production")
DEV = Scope("vision", "development")
PROD = Scope("vision", "production")
EVERYTHING = Visible(frozenset({("*", "*")}))
START = 1_800_000_000_000_000
DEADLINE = 20.0
"""Seconds after which a test stops to wait for another thread."""

Answer = TypeVar("Answer")


class Clock:
    """Tells another microsecond at every call, the same one while it is frozen."""

    def __init__(self) -> None:
        self._ticks = itertools.count(START)
        self.frozen: int | None = None

    def __call__(self) -> int:
        return next(self._ticks) if self.frozen is None else self.frozen


def call(
    member: str = "user:ann",
    *,
    method: str = "/test",
    visible: Visible | None = None,
    active: Callable[[], bool] = lambda: True,
    recheck: Callable[[], None] = lambda: None,
    grants: Grants | None = None,
) -> Call:
    """An authorized call, as the chain hands it to a front door."""
    return Call(method, Principal(member), "r-1", grants or Grants(), active, recheck, visible)


class Doors:
    """Every front door of both wings over one database."""

    def __init__(self, database: Database, artifacts: Path, *, streams: int = 24) -> None:
        self.database = database
        self.clock = Clock()
        pager = Pager(b"k" * 32)
        registry = Registry(database, self.clock)
        launch_plans = LaunchPlans(database, registry, self.clock)
        lists = VersionLists(database, pager)
        self.store = Executions(database, self.clock)
        self.watcher = Watcher(self.store, streams)
        self.refusals = Refusals(database, self.clock)
        launcher = Launcher(database, Catalog(), self.clock, self.refusals)
        self.signer = UrlSigner(b"k" * 32, self.clock)
        self.artifacts = LocalArtifactStore(artifacts)
        decks = Decks(self.store, self.artifacts, self.signer, "http://127.0.0.1:1", self.clock)
        self.projects = ProjectService(database, pager, self.clock, DOMAINS)
        self.registry = RegistryService(registry, lists)
        self.plans = LaunchPlanService(launch_plans, lists, pager)
        self.executions = ExecutionService(database, launcher, self.store, self.watcher, pager, self.clock)
        self.references = ReferenceService(References(database, self.clock), PolicyStore(database), pager)
        self.admin = AdminFlyte(database, registry, launch_plans, pager, self.clock, DOMAINS)
        self.attributes = AttributesFlyte(database, DOMAINS)
        self.entities = EntitiesFlyte(database, pager, DOMAINS)
        self.signals = SignalsFlyte(database, Signals(database, self.clock), self.store, pager, DOMAINS)
        self.flyte = ExecutionFlyte(database, launcher, self.store, decks, pager, DOMAINS)

    def project(self, project: str) -> None:
        """Create an active project."""
        self.projects.CreateProject(project_v1.CreateProjectRequest(project=project), call())

    def archive(self, project: str = "vision") -> None:
        """Archive a project."""
        self.projects.ArchiveProject(project_v1.ArchiveProjectRequest(project=project), call())

    def register(self, workflow: Any, scope: Scope = DEV, version: str = "v1") -> EntityId:
        """Register a workflow with all of its tasks."""
        spec, tasks = serialize(workflow)
        for task, body in tasks.items():
            id_ = replace(task, scope=scope, version=version)
            self.registry.RegisterTask(register_task(id_, moved(body, scope, version)), call())
        id_ = EntityId(scope, workflow.name, version)
        self.registry.RegisterWorkflow(register_workflow(id_, moved(spec, scope, version)), call())
        return id_

    def export(self, kind: str, name: str = "*", *, of: Scope, to: str) -> None:
        """Let a project refer to what is another's; `kind` is TASK, WORKFLOW or LAUNCH_PLAN."""
        self.references.CreateExport(export_of(reference_pb.CreateExportRequest, kind, name, of=of, to=to), call())

    def take_back(self, kind: str, name: str = "*", *, of: Scope, to: str) -> None:
        """Take an export back."""
        self.references.DeleteExport(export_of(reference_pb.DeleteExportRequest, kind, name, of=of, to=to), call())

    def allow(self, scope: ScopePattern | Scope, run_as: RunAs | None) -> None:
        """Set as whom tasks may run somewhere; None takes away what is set."""
        pattern = ScopePattern(scope.project, scope.domain)
        with self.database.write() as tx:
            put(tx, RUN_AS, pattern, None if run_as is None else run_as.dumps())

    def plan(
        self,
        workflow: EntityId,
        name: str = "plan",
        version: str = "v1",
        *,
        active: bool = False,
        scope: Scope | None = None,
        **inputs: Any,
    ) -> EntityId:
        """Register a launch plan of a workflow, in its scope or another; `inputs` are parts of its spec."""
        id_ = EntityId(scope or workflow.scope, name, version)
        self.plans.RegisterLaunchPlan(register_plan(id_, plan_spec(workflow, **inputs)), call())
        if active:
            self.plans.ActivateLaunchPlan(plan_pb.ActivateLaunchPlanRequest(launch_plan=plan_id(id_)), call())
        return id_


# --- messages


def scope_message(scope: Scope) -> identifiers_pb2.Scope:
    return identifiers_pb2.Scope(project=scope.project, domain=scope.domain)


def task_id(id_: EntityId) -> identifiers_pb2.TaskId:
    return identifiers_pb2.TaskId(scope=scope_message(id_.scope), name=id_.name, version=id_.version)


def workflow_id(id_: EntityId) -> identifiers_pb2.WorkflowId:
    return identifiers_pb2.WorkflowId(scope=scope_message(id_.scope), name=id_.name, version=id_.version)


def plan_id(id_: EntityId) -> identifiers_pb2.LaunchPlanId:
    return identifiers_pb2.LaunchPlanId(scope=scope_message(id_.scope), name=id_.name, version=id_.version)


def flyte_id(id_: EntityId, kind: Any = identifier_pb2.UNSPECIFIED) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(
        resource_type=kind, project=id_.scope.project, domain=id_.scope.domain, name=id_.name, version=id_.version
    )


def export_of(request: Any, kind: str, name: str, *, of: Scope, to: str) -> Any:
    """Make a request that names an export."""
    return request(scope=scope_message(of), kind=f"ENTITY_KIND_{kind}", name=name, consumer=to)


def packed(message: Message) -> AnyMessage:
    wrapped = AnyMessage()
    wrapped.Pack(message)
    return wrapped


def register_task(id_: EntityId, spec: task_pb2.TaskSpec) -> registry_pb.RegisterTaskRequest:
    return registry_pb.RegisterTaskRequest(task=task_id(id_), spec=packed(spec))


def register_workflow(id_: EntityId, spec: workflow_pb2.WorkflowSpec) -> registry_pb.RegisterWorkflowRequest:
    return registry_pb.RegisterWorkflowRequest(workflow=workflow_id(id_), spec=packed(spec))


def register_plan(id_: EntityId, spec: launch_plan_pb2.LaunchPlanSpec) -> plan_pb.RegisterLaunchPlanRequest:
    return plan_pb.RegisterLaunchPlanRequest(launch_plan=plan_id(id_), spec=packed(spec))


def create_project(project: str, **fields: Any) -> project_pb2.ProjectRegisterRequest:
    return project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id=project, **fields))


def plan_spec(
    workflow: EntityId,
    *,
    defaults: dict[str, literals_pb2.Literal] | None = None,
    fixed: dict[str, literals_pb2.Literal] | None = None,
    labels: dict[str, str] | None = None,
) -> launch_plan_pb2.LaunchPlanSpec:
    """What a client sends of a launch plan; inputs that are not named are required."""
    spec = launch_plan_pb2.LaunchPlanSpec(workflow_id=flyte_id(workflow, identifier_pb2.WORKFLOW))
    for name, literal in (defaults or {}).items():
        spec.default_inputs.parameters[name].CopyFrom(interface_pb2.Parameter(default=literal))
    for name, literal in (fixed or {}).items():
        spec.fixed_inputs.literals[name].CopyFrom(literal)
    spec.labels.values.update(labels or {})
    return spec


def integer(value: int) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=value)))


def integers(**values: int) -> literals_pb2.LiteralMap:
    return literals_pb2.LiteralMap(literals={name: integer(value) for name, value in values.items()})


Moved = TypeVar("Moved", bound=Message)


def moved(message: Moved, scope: Scope, version: str) -> Moved:
    """Copy what flytekit serialized, with every id in it in another scope and version."""
    copy = type(message)()
    copy.CopyFrom(message)
    for id_ in _identifiers(copy):
        id_.project, id_.domain, id_.version = scope.project, scope.domain, version
    return copy


def _identifiers(message: Message) -> Iterable[identifier_pb2.Identifier]:
    if isinstance(message, identifier_pb2.Identifier):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            children = value.values() if field.message_type.fields_by_name["value"].message_type else ()
        else:
            children = value if field.is_repeated else (value,)
        for child in children:
            yield from _identifiers(child)


# --- errors


def flyte_status(error: ApiError) -> Status:
    """The status that Flyte's clients get for an error."""
    return status_of(error, "r-1", translate)


Detail = TypeVar("Detail", bound=Message)


def detail(status: Status, kind: type[Detail]) -> Detail | None:
    """The one detail of a kind that a status has, None when it has none."""
    found = [each for each in status.details if each.Is(kind.DESCRIPTOR)]
    if not found:
        return None
    (only,) = found
    message = kind()
    only.Unpack(message)
    return message


def info(status: Status) -> ErrorInfo:
    found = detail(status, ErrorInfo)
    assert found is not None
    return found


def violated(status: Status) -> list[str]:
    found = detail(status, BadRequest)
    return [each.field for each in found.field_violations] if found else []


# --- threads


def together(*acts: Callable[[], Answer]) -> list[Answer | ApiError]:
    """Run all at the same moment, each in its own thread; an ApiError is an answer, any other one fails the test."""
    gate = threading.Barrier(len(acts))

    def run(act: Callable[[], Answer]) -> Answer | ApiError:
        gate.wait(DEADLINE)
        try:
            return act()
        except ApiError as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result(DEADLINE) for future in [pool.submit(run, act) for act in acts]]


def errors(answers: Sequence[object]) -> list[ApiError]:
    return [answer for answer in answers if isinstance(answer, ApiError)]


def pages(fetch: Callable[[str], tuple[Sequence[Answer], str]]) -> list[list[Answer]]:
    """Read every page of a list, from the first one to that without a token."""
    read, token = [], ""
    while True:
        rows, token = fetch(token)
        read.append(list(rows))
        if not token:
            return read
        assert len(read) < 1000, "a list without an end"
