"""The registry: immutable versions of tasks and workflows.

A version is compiled, digested and inserted once. The same content again is no error and no second row; other content
under the same version is refused. Compiling happens outside the write: what it reads can never change.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from flyteidl.admin import launch_plan_pb2, matchable_resource_pb2, task_pb2, workflow_pb2
from flyteidl.core import compiler_pb2, tasks_pb2
from google.protobuf.message import Message
from sqlalchemy import Row, Select, Table, bindparam, select

from airspace_server.admin import descriptions
from airspace_server.admin.descriptions import Description
from airspace_server.admin.gates import require_open
from airspace_server.core.clock import Clock
from airspace_server.core.errors import ApiError, Reason, invalid_field, not_found
from airspace_server.core.run_as import NamedIdentity, require_allowed
from airspace_server.core.scope import EntityId, EntityKind, Reference, Scope
from airspace_server.flyte.attributes import TASK_RESOURCE, limits
from airspace_server.flyte.compiler import compile_task, compile_workflow, references
from airspace_server.flyte.digest import digest
from airspace_server.flyte.references import foreign_reference, needed, of_workflow
from airspace_server.flyte.run_as import named_by_task
from airspace_server.flyte.tasks import require_within
from airspace_server.storage import attributes
from airspace_server.storage.database import Database, Transaction, scoped
from airspace_server.storage.projects import require_active
from airspace_server.storage.references import may_refer, require_exported
from airspace_server.storage.settings import run_as
from airspace_server.storage.tables import LaunchPlanRow, ReferenceRow, TaskRow, WorkflowRow, table

TASKS: Final = table(TaskRow)
WORKFLOWS: Final = table(WorkflowRow)
_LAUNCH_PLANS: Final = table(LaunchPlanRow)
_REFERENCES: Final = table(ReferenceRow)
_MAX_TYPE: Final = 255


def one_version(versions: Table) -> Select[Any]:
    """Select one version of a scope by its "name" and "version"."""
    return select(versions).where(
        scoped(versions), versions.c.name == bindparam("name"), versions.c.version == bindparam("version")
    )


_TASK: Final = one_version(TASKS)
_WORKFLOW: Final = one_version(WORKFLOWS)
ONE_OF: Final = {
    EntityKind.TASK: _TASK,
    EntityKind.WORKFLOW: _WORKFLOW,
    EntityKind.LAUNCH_PLAN: one_version(_LAUNCH_PLANS),
}


@dataclass(frozen=True, slots=True)
class Task:
    """A version of a task. `closure` is a serialized flyteidl.admin.TaskClosure. Time in microseconds, UTC."""

    id: EntityId
    type: str
    short_description: str
    digest: str
    closure: bytes
    created_at: int


@dataclass(frozen=True, slots=True)
class Workflow:
    """A version of a workflow.

    `closure` is a serialized flyteidl.core.CompiledWorkflowClosure, `interface` a flyteidl.core.TypedInterface.
    """

    id: EntityId
    short_description: str
    digest: str
    interface: bytes
    closure: bytes
    created_at: int


def task_from_row(row: Row[Any]) -> Task:
    """Read a task from its row."""
    return Task(row_id(row), row.type, row.short_description, row.digest, row.closure, row.created_at)


def workflow_from_row(row: Row[Any]) -> Workflow:
    """Read a workflow from its row."""
    return Workflow(row_id(row), row.short_description, row.digest, row.interface, row.closure, row.created_at)


def row_id(row: Row[Any]) -> EntityId:
    """Read the id of a version from its row."""
    return EntityId(Scope(row.project, row.domain), row.name, row.version)


def insert_version(tx: Transaction, versions: Table, kind: str, id_: EntityId, row: Mapping[str, Any]) -> bool:
    """Insert a version unless this very content is there; tell whether it was inserted.

    Raises DIFFERENT_CONTENT when the version holds other content.
    """
    if tx.insert_new(versions, {"name": id_.name, "version": id_.version, **row}):
        tx.changed(f"{kind} {id_}", None, {"digest": row["digest"]})
        return True
    there = tx.one(one_version(versions), name=id_.name, version=id_.version)
    if there is not None and there.digest == row["digest"]:
        return False
    kept = there.digest if there else ""
    raise ApiError(
        Reason.DIFFERENT_CONTENT,
        f"{kind} {id_} is registered with other content (digest {kept}), and a version never changes",
        {"kind": kind, **named(id_), "digest": kept},
    )


@dataclass(frozen=True, slots=True)
class New:
    """A version that is to be inserted: its row, and what its scope must allow."""

    id: EntityId
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewTask(New):
    """A version of a task."""

    template: tasks_pb2.TaskTemplate
    named: tuple[NamedIdentity, ...]
    description: Description


@dataclass(frozen=True, slots=True)
class NewWorkflow(New):
    """A version of a workflow."""

    needs: frozenset[Reference]
    refers: frozenset[Reference]
    description: Description


def new_task(id_: EntityId, task: compiler_pb2.CompiledTask, description: Description, now: int) -> NewTask:
    """Write a compiled task down. Raises what flyte/run_as.py raises of identities that are none."""
    closure = task_pb2.TaskClosure(compiled_task=task)
    closure.created_at.FromMicroseconds(now)
    row = {
        "type": task.template.type,
        "short_description": description.short,
        "digest": digest(task),
        "closure": readable(closure),
        "created_at": now,
    }
    return NewTask(id_, row, task.template, tuple(named_by_task(task.template, "spec.template")), description)


def insert_task(tx: Transaction, new: NewTask) -> bool:
    """Insert a version of a task in a transaction of its scope; tell whether it is new.

    Raises RUN_AS_FORBIDDEN, DIFFERENT_CONTENT and INVALID_FIELD for resources beyond the scope's limits.
    """
    scope = new.id.scope
    require_allowed(run_as(tx, scope), scope, new.named)
    require_within(new.template, _most(tx, scope))
    created = insert_version(tx, TASKS, "task", new.id, new.row)
    if created:
        descriptions.insert(tx, EntityKind.TASK, new.id, new.description, new.row["created_at"])
    return created


def new_workflow(
    id_: EntityId, closure: compiler_pb2.CompiledWorkflowClosure, description: Description, now: int
) -> NewWorkflow:
    """Write a compiled workflow down."""
    row = {
        "short_description": description.short,
        "digest": digest(closure),
        "interface": closure.primary.template.interface.SerializeToString(deterministic=True),
        "closure": readable(closure),
        "created_at": now,
    }
    return NewWorkflow(id_, row, needed(id_.scope, closure), of_workflow(closure), description)


def insert_workflow(tx: Transaction, new: NewWorkflow) -> bool:
    """Insert a version of a workflow in a transaction of its scope; tell whether it is new.

    Raises EXPORT_MISSING and DIFFERENT_CONTENT.
    """
    require_exported(tx, new.id.scope, new.needs)
    created = insert_version(tx, WORKFLOWS, "workflow", new.id, new.row)
    if created:
        insert_references(tx, EntityKind.WORKFLOW, new.id, new.refers)
        descriptions.insert(tx, EntityKind.WORKFLOW, new.id, new.description, new.row["created_at"])
    return created


def insert_references(tx: Transaction, kind: EntityKind, id_: EntityId, used: Iterable[Reference]) -> None:
    """Note what a version that was just inserted refers to: what ListDependents reads."""
    rows = [
        {
            "kind": kind.name,
            "name": id_.name,
            "version": id_.version,
            "used_project": each.id.scope.project,
            "used_kind": each.kind.name,
            "used_name": each.id.name,
            "used_version": each.id.version,
        }
        for each in sorted(used)
    ]
    if rows:
        tx.insert(_REFERENCES, *rows)


def readable(message: Message) -> bytes:
    """Serialize a message that will be read again. Raises DecodeError for one that is nested too deeply for that."""
    serialized = message.SerializeToString(deterministic=True)
    type(message).FromString(serialized)
    return serialized


def named(id_: EntityId) -> dict[str, str]:
    """Return the parts of an id as an error's metadata has them."""
    return {"project": id_.scope.project, "domain": id_.scope.domain, "name": id_.name, "version": id_.version}


class Registry:
    """Registers and reads tasks and workflows. Authorization has happened before any of this is called."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def register_task(self, task: EntityId, spec: task_pb2.TaskSpec) -> tuple[Task, bool]:
        """Register a version of a task; tell whether it is new.

        Raises PROJECT_MISSING, PROJECT_ARCHIVED, DOMAIN_CLOSED, RUN_AS_FORBIDDEN, DIFFERENT_CONTENT, and what
        flyte/compiler.py and flyte/run_as.py raise of a bad spec.
        """
        closure = compile_task(task, spec)
        type_ = closure.compiled_task.template.type
        if len(type_) > _MAX_TYPE or "\0" in type_:
            raise invalid_field("spec.template.type", f"must have at most {_MAX_TYPE} characters, and no NUL")
        new = new_task(task, closure.compiled_task, Description.of(spec.description), self._clock())
        with self._database.write(task.scope) as tx:
            require_active(tx, task.scope.project)
            require_open(tx, task.scope)
            created = insert_task(tx, new)
            return self._task(tx, task), created

    def task(self, task: EntityId) -> Task:
        """Return a version of a task. Raises NOT_FOUND."""
        with self._database.read(task.scope) as tx:
            return self._task(tx, task)

    def register_workflow(self, workflow: EntityId, spec: workflow_pb2.WorkflowSpec) -> tuple[Workflow, bool]:
        """Compile and register a version of a workflow; tell whether it is new.

        What it refers to of other projects must be exported to its own: that is asked before they are read.

        Raises PROJECT_MISSING, PROJECT_ARCHIVED, DOMAIN_CLOSED, DIFFERENT_CONTENT, FOREIGN_REFERENCE, EXPORT_MISSING
        and WORKFLOW_INVALID.
        """
        wanted = references(workflow, spec)
        with self._database.read(workflow.scope) as tx:
            for used, path in wanted.items():
                if not may_refer(tx, workflow.scope, used):
                    raise foreign_reference(used.id, path)
            tasks = {id_: _compiled_task(row) for id_, row in _found(tx, EntityKind.TASK, wanted)}
            launch_plans = {id_: _launch_plan(row) for id_, row in _found(tx, EntityKind.LAUNCH_PLAN, wanted)}
            # Those of its own scope come along with the registration.
            others = [used for used in wanted if used.id.scope != workflow.scope]
            workflows = {id_: _closure(row) for id_, row in _found(tx, EntityKind.WORKFLOW, others)}
        closure = compile_workflow(workflow, spec, tasks, launch_plans, workflows)
        new = new_workflow(workflow, closure, Description.of(spec.description), self._clock())
        with self._database.write(workflow.scope) as tx:
            require_active(tx, workflow.scope.project)
            require_open(tx, workflow.scope)
            created = insert_workflow(tx, new)
            return self._workflow(tx, workflow), created

    def workflow(self, workflow: EntityId) -> Workflow:
        """Return a version of a workflow. Raises NOT_FOUND."""
        with self._database.read(workflow.scope) as tx:
            return self._workflow(tx, workflow)

    def _task(self, tx: Transaction, task: EntityId) -> Task:
        row = tx.one(_TASK, name=task.name, version=task.version)
        if row is None:
            raise not_found("task", str(task))
        return task_from_row(row)

    def _workflow(self, tx: Transaction, workflow: EntityId) -> Workflow:
        row = tx.one(_WORKFLOW, name=workflow.name, version=workflow.version)
        if row is None:
            raise not_found("workflow", str(workflow))
        return workflow_from_row(row)


def _most(tx: Transaction, scope: Scope) -> Mapping[str, Fraction]:
    """Return the most of each resource that a task may ask for in a scope."""
    found = attributes.effective(tx, TASK_RESOURCE, scope)
    content = b"" if found is None else found.content
    return limits(matchable_resource_pb2.MatchingAttributes.FromString(content).task_resource_attributes)


def _found(tx: Transaction, kind: EntityKind, used: Iterable[Reference]) -> list[tuple[EntityId, Row[Any]]]:
    """Read those of a kind that are there; what is missing the compiler reports, with its place."""
    ids = [each.id for each in used if each.kind is kind]
    rows = ((id_, tx.beside(id_.scope).one(ONE_OF[kind], name=id_.name, version=id_.version)) for id_ in ids)
    return [(id_, row) for id_, row in rows if row is not None]


def _compiled_task(row: Row[Any]) -> compiler_pb2.CompiledTask:
    return task_pb2.TaskClosure.FromString(row.closure).compiled_task


def _closure(row: Row[Any]) -> compiler_pb2.CompiledWorkflowClosure:
    return compiler_pb2.CompiledWorkflowClosure.FromString(row.closure)


def _launch_plan(row: Row[Any]) -> launch_plan_pb2.LaunchPlan:
    return launch_plan_pb2.LaunchPlan(
        spec=launch_plan_pb2.LaunchPlanSpec.FromString(row.spec),
        closure=launch_plan_pb2.LaunchPlanClosure.FromString(row.closure),
    )
