"""What the execution wing reads of the registry: read-only, and kept: it never changes."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from flyteidl.admin import launch_plan_pb2, task_pb2
from flyteidl.core import compiler_pb2
from sqlalchemy import bindparam, select

from airspace_server.core.errors import ApiError, Reason, not_found
from airspace_server.core.run_as import NamedIdentity
from airspace_server.core.scope import EntityId, Reference, Scope
from airspace_server.flyte.references import needed
from airspace_server.flyte.run_as import named_by_closure, named_by_launch_plan
from airspace_server.flyte.runnable import first_unrunnable
from airspace_server.storage.database import Transaction, scoped
from airspace_server.storage.tables import LaunchPlanRow, TaskRow, WorkflowRow, table

_LAUNCH_PLANS: Final = table(LaunchPlanRow)
_WORKFLOWS: Final = table(WorkflowRow)
_TASKS: Final = table(TaskRow)

_LAUNCH_PLAN: Final = select(
    _LAUNCH_PLANS.c.workflow_project,
    _LAUNCH_PLANS.c.workflow_name,
    _LAUNCH_PLANS.c.workflow_version,
    _LAUNCH_PLANS.c.spec,
    _LAUNCH_PLANS.c.closure,
).where(
    scoped(_LAUNCH_PLANS),
    _LAUNCH_PLANS.c.name == bindparam("name"),
    _LAUNCH_PLANS.c.version == bindparam("version"),
)
_ACTIVE_VERSION: Final = (
    select(_LAUNCH_PLANS.c.version)
    .where(scoped(_LAUNCH_PLANS), _LAUNCH_PLANS.c.name == bindparam("name"), _LAUNCH_PLANS.c.state == "ACTIVE")
    .with_for_update(read=True)
)
_CLOSURE: Final = select(_WORKFLOWS.c.closure).where(
    scoped(_WORKFLOWS), _WORKFLOWS.c.name == bindparam("name"), _WORKFLOWS.c.version == bindparam("version")
)
_TASK: Final = select(_TASKS.c.closure).where(
    scoped(_TASKS), _TASKS.c.name == bindparam("name"), _TASKS.c.version == bindparam("version")
)
_KEPT: Final = 2048

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Plan:
    """A version of a launch plan, ready to be launched; `unrunnable` is a node and a construct the engine lacks.

    `needs` is what of other projects must be exported to its own for every launch, `named` as whom it and its tasks
    want to run.
    """

    id: EntityId
    workflow: EntityId
    spec: launch_plan_pb2.LaunchPlanSpec
    closure: launch_plan_pb2.LaunchPlanClosure
    unrunnable: tuple[str, str] | None
    needs: frozenset[Reference]
    named: tuple[NamedIdentity, ...]


class Catalog:
    """Reads launch plans and tasks. Shared between threads; nobody may change what it returns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, EntityId], Any] = OrderedDict()

    def active_version(self, tx: Transaction, scope: Scope, name: str) -> EntityId:
        """Return the id of a name's active version. Raises NO_ACTIVE_VERSION."""
        row = tx.one(_ACTIVE_VERSION, name=name)
        if row is None:
            raise ApiError(
                Reason.NO_ACTIVE_VERSION,
                f"launch plan {name} has no active version in {scope}; name a version or activate one",
                {"launch_plan": name, "scope": str(scope)},
            )
        return EntityId(scope, name, row.version)

    def plan(self, tx: Transaction, launch_plan: EntityId) -> Plan:
        """Return a version of a launch plan. Raises NOT_FOUND."""
        return self._keep("launch plan", launch_plan, lambda: self._read_plan(tx, launch_plan))

    def task(self, tx: Transaction, task: EntityId) -> compiler_pb2.CompiledTask:
        """Return a version of a task. Raises NOT_FOUND."""
        return self._keep("task", task, lambda: self._read_task(tx, task))

    def _read_plan(self, tx: Transaction, launch_plan: EntityId) -> Plan:
        row = tx.one(_LAUNCH_PLAN, name=launch_plan.name, version=launch_plan.version)
        if row is None:
            raise not_found("launch plan", str(launch_plan))
        scope = Scope(row.workflow_project, launch_plan.scope.domain)
        workflow = EntityId(scope, row.workflow_name, row.workflow_version)
        stored = tx.beside(scope).execute(_CLOSURE, name=workflow.name, version=workflow.version).scalar_one()
        closure = compiler_pb2.CompiledWorkflowClosure.FromString(stored)
        spec = launch_plan_pb2.LaunchPlanSpec.FromString(row.spec)
        return Plan(
            launch_plan,
            workflow,
            spec,
            launch_plan_pb2.LaunchPlanClosure.FromString(row.closure),
            first_unrunnable(closure),
            needed(launch_plan.scope, closure),
            (*named_by_launch_plan(spec, f"launch plan {launch_plan.name}"), *named_by_closure(closure)),
        )

    def _read_task(self, tx: Transaction, task: EntityId) -> compiler_pb2.CompiledTask:
        row = tx.one(_TASK, name=task.name, version=task.version)
        if row is None:
            raise not_found("task", str(task))
        return task_pb2.TaskClosure.FromString(row.closure).compiled_task

    def _keep(self, kind: str, id_: EntityId, read: Callable[[], Kept]) -> Kept:
        key = (kind, id_)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                kept: Kept = self._kept[key]
                return kept
        found = read()
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found
