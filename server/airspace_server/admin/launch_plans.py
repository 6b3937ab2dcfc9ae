"""Launch plans: immutable versions, of which at most one of a name is active in a scope.

That is a partial unique index, not a convention (storage/tables.py): whoever activates takes the old one's place in the
same transaction, and of two who race one waits for the other.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from flyteidl.admin import launch_plan_pb2
from flyteidl.core import compiler_pb2, identifier_pb2, interface_pb2
from sqlalchemy import Row, bindparam, select

from airspace_server.access.identity import Principal
from airspace_server.admin import activations
from airspace_server.admin.activations import Activation, Cause
from airspace_server.admin.gates import require_open
from airspace_server.admin.registry import (
    New,
    Registry,
    insert_references,
    insert_version,
    one_version,
    readable,
    row_id,
)
from airspace_server.core.clock import Clock
from airspace_server.core.errors import ApiError, Reason, not_found
from airspace_server.core.run_as import NamedIdentity, require_allowed
from airspace_server.core.scope import EntityId, EntityKind, Reference, Scope
from airspace_server.flyte.digest import digest
from airspace_server.flyte.identifiers import entity_id
from airspace_server.flyte.launch_plans import compile_launch_plan
from airspace_server.flyte.references import foreign_reference, needed
from airspace_server.flyte.run_as import named_by_closure, named_by_launch_plan
from airspace_server.flyte.schedules import Ticks, describe, is_scheduled
from airspace_server.storage import schedules
from airspace_server.storage.database import Database, Transaction, scoped
from airspace_server.storage.projects import require_active
from airspace_server.storage.references import may_refer, require_exported
from airspace_server.storage.schedules import Tick, TickOutcome
from airspace_server.storage.settings import run_as
from airspace_server.storage.tables import LaunchPlanRow, table

LAUNCH_PLANS: Final = table(LaunchPlanRow)
ACTIVE: Final = "ACTIVE"
INACTIVE: Final = "INACTIVE"

_ONE: Final = one_version(LAUNCH_PLANS)
_OF_NAME: Final = (
    select(LAUNCH_PLANS.c.version, LAUNCH_PLANS.c.state)
    .where(scoped(LAUNCH_PLANS), LAUNCH_PLANS.c.name == bindparam("name"))
    .order_by(LAUNCH_PLANS.c.version)  # one order for all, so that two activations cannot wait for each other
    .with_for_update(key_share=True)  # who launches one of them need not wait, and who fires one holds its schedule
)
_ACTIVE_ONE: Final = select(LAUNCH_PLANS).where(
    scoped(LAUNCH_PLANS), LAUNCH_PLANS.c.name == bindparam("name"), LAUNCH_PLANS.c.state == ACTIVE
)
_SET_STATE: Final = (
    LAUNCH_PLANS.update()
    .where(
        scoped(LAUNCH_PLANS),
        LAUNCH_PLANS.c.name == bindparam("own_name"),
        LAUNCH_PLANS.c.version == bindparam("own_version"),
    )
    .values(state=bindparam("new_state"), updated_at=bindparam("now"))
)


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """A version of a launch plan.

    `spec` and `closure` are serialized flyteidl.admin.LaunchPlanSpec and LaunchPlanClosure; of the state in the closure
    nothing is true, `active` is. Times in microseconds, UTC.
    """

    id: EntityId
    workflow: EntityId
    active: bool
    schedule: str
    digest: str
    spec: bytes
    closure: bytes
    created_at: int
    updated_at: int


def from_row(row: Row[Any]) -> LaunchPlan:
    """Read a launch plan from its row."""
    id_ = row_id(row)
    return LaunchPlan(
        id_,
        workflow_id(row),
        row.state == ACTIVE,
        row.schedule,
        row.digest,
        row.spec,
        row.closure,
        row.created_at,
        row.updated_at,
    )


def workflow_id(row: Row[Any]) -> EntityId:
    """Read the id of a launch plan's workflow from its row: of some project, in the launch plan's domain."""
    return EntityId(Scope(row.workflow_project, row.domain), row.workflow_name, row.workflow_version)


class LaunchPlans:
    """Registers, reads and activates launch plans. Authorization has happened before any of this is called."""

    def __init__(self, database: Database, registry: Registry, clock: Clock) -> None:
        self._database = database
        self._registry = registry
        self._clock = clock

    def register(self, launch_plan: EntityId, spec: launch_plan_pb2.LaunchPlanSpec) -> tuple[LaunchPlan, bool]:
        """Register a version, inactive; tell whether it is new.

        Raises FOREIGN_REFERENCE for a workflow of another domain, or of another project that does not export it,
        NOT_FOUND for one that is not registered, INVALID_FIELD, INPUT_INVALID and SCHEDULE_INVALID for a bad spec,
        EXPORT_MISSING, RUN_AS_FORBIDDEN, PROJECT_MISSING, PROJECT_ARCHIVED, DOMAIN_CLOSED and DIFFERENT_CONTENT.
        """
        workflow = entity_id(spec.workflow_id, identifier_pb2.WORKFLOW, "spec.workflow_id")
        used = Reference(EntityKind.WORKFLOW, workflow)
        with self._database.read(launch_plan.scope) as tx:
            if not may_refer(tx, launch_plan.scope, used):
                raise foreign_reference(workflow, "spec.workflow_id")
        runs = self._registry.workflow(workflow)
        interface = interface_pb2.TypedInterface.FromString(runs.interface)
        compiled, closure = compile_launch_plan(launch_plan, spec, interface)
        ran = compiler_pb2.CompiledWorkflowClosure.FromString(runs.closure)
        new = new_launch_plan(launch_plan, compiled, closure, ran, self._clock())
        with self._database.write(launch_plan.scope) as tx:
            require_active(tx, launch_plan.scope.project)
            require_open(tx, launch_plan.scope)
            created = insert_launch_plan(tx, new)
            return self._one(tx, launch_plan), created

    def get(self, launch_plan: EntityId) -> LaunchPlan:
        """Return a version. Raises NOT_FOUND."""
        with self._database.read(launch_plan.scope) as tx:
            return self._one(tx, launch_plan)

    def active(self, scope: Scope, name: str) -> LaunchPlan:
        """Return the active version of a name. Raises NOT_FOUND when none is active."""
        with self._database.read(scope) as tx:
            row = tx.one(_ACTIVE_ONE, name=name)
        if row is None:
            raise not_found("active launch plan", f"{scope}/{name}")
        return from_row(row)

    def activate(self, launch_plan: EntityId, by: Principal) -> LaunchPlan:
        """Make a version the active one of its name, and the one before it inactive.

        Raises NOT_FOUND, PROJECT_MISSING and PROJECT_ARCHIVED: an archived project gets no new schedules.
        """
        with self._database.write(launch_plan.scope) as tx:
            require_active(tx, launch_plan.scope.project)
            make_active(tx, launch_plan, by, Cause.ACTIVATE, self._clock())
            return self._one(tx, launch_plan)

    def deactivate(self, launch_plan: EntityId, by: Principal) -> LaunchPlan:
        """Make a version inactive, in an archived project too. Raises NOT_FOUND."""
        with self._database.write(launch_plan.scope) as tx:
            active = _held(tx, launch_plan)
            if active == launch_plan.version:
                now = self._clock()
                _set(tx, launch_plan, INACTIVE, now)
                _settle(tx, launch_plan.name, now)
                schedules.disarm(tx, launch_plan.name)
                activations.record(tx, launch_plan.name, "", by, Cause.DEACTIVATE, now)
            return self._one(tx, launch_plan)

    def roll_back(self, scope: Scope, name: str, by: Principal) -> LaunchPlan:
        """Activate the version that was active before the one that is, or last of all where none is.

        Raises WRONG_STATE when there is none, PROJECT_MISSING and PROJECT_ARCHIVED.
        """
        with self._database.write(scope) as tx:
            require_active(tx, scope.project)
            active = next((row.version for row in tx.all(_OF_NAME, name=name) if row.state == ACTIVE), "")
            version = activations.before(tx, name, active)
            if version is None:
                raise ApiError(
                    Reason.WRONG_STATE,
                    f"no version of launch plan {scope}/{name} was active before",
                    {"state": f"active {active}" if active else "never active", "name": f"{scope}/{name}"},
                )
            launch_plan = EntityId(scope, name, version)
            make_active(tx, launch_plan, by, Cause.ROLLBACK, self._clock())
            return self._one(tx, launch_plan)

    def ticks(
        self, scope: Scope, name: str, size: int, last: tuple[Any, ...] | None
    ) -> tuple[Sequence[Tick], tuple[Any, ...] | None]:
        """Return a page of what became of the ticks of a name's schedules, newest first, and where the next begins."""
        with self._database.read(scope) as tx:
            return schedules.history(tx, name, size, last)

    def next_ticks(self, launch_plan: EntityId, count: int) -> Sequence[int]:
        """Return when the schedule of a version would fire next, in microseconds, UTC. Raises NOT_FOUND."""
        now = self._clock()
        with self._database.read(launch_plan.scope) as tx:
            plan, armed = self._one(tx, launch_plan), schedules.get(tx, launch_plan.name)
        anchor = armed.anchor_at if armed is not None and armed.version == launch_plan.version else now
        ticks = Ticks(launch_plan_pb2.LaunchPlanSpec.FromString(plan.spec).entity_metadata.schedule, anchor)
        if not is_scheduled(ticks.schedule):
            return ()
        # After a clock that was ahead, what is in force waits for a tick that is later than the next one would be.
        ahead = armed.next_at - 1 if armed is not None and armed.version == launch_plan.version else 0
        found = [ticks.after(max(now, ahead))]
        while len(found) < count:
            found.append(ticks.after(found[-1]))
        return found

    def history(
        self, scope: Scope, name: str, size: int, last: tuple[Any, ...] | None
    ) -> tuple[Sequence[Activation], tuple[Any, ...] | None]:
        """Return a page of what was active when under a name, newest first, and where the next one begins."""
        with self._database.read(scope) as tx:
            return activations.history(tx, name, size, last)

    def _one(self, tx: Transaction, launch_plan: EntityId) -> LaunchPlan:
        row = tx.one(_ONE, name=launch_plan.name, version=launch_plan.version)
        if row is None:
            raise not_found("launch plan", str(launch_plan))
        return from_row(row)


@dataclass(frozen=True, slots=True)
class NewLaunchPlan(New):
    """A version of a launch plan that is to be inserted."""

    workflow: EntityId
    needs: frozenset[Reference]
    named: tuple[NamedIdentity, ...]


def new_launch_plan(
    id_: EntityId,
    spec: launch_plan_pb2.LaunchPlanSpec,
    closure: launch_plan_pb2.LaunchPlanClosure,
    runs: compiler_pb2.CompiledWorkflowClosure,
    now: int,
) -> NewLaunchPlan:
    """Write a compiled launch plan of a compiled workflow down.

    Raises INVALID_FIELD and what flyte/run_as.py raises of identities that are none.
    """
    workflow = entity_id(spec.workflow_id, identifier_pb2.WORKFLOW, "spec.workflow_id")
    row = {
        "workflow_project": workflow.scope.project,
        "workflow_name": workflow.name,
        "workflow_version": workflow.version,
        "state": INACTIVE,
        "schedule": describe(spec.entity_metadata.schedule),
        "digest": digest(spec),
        "spec": readable(spec),
        "closure": readable(closure),
        "created_at": now,
        "updated_at": now,
    }
    named = (*named_by_launch_plan(spec, "spec"), *named_by_closure(runs))
    return NewLaunchPlan(id_, row, workflow, needed(id_.scope, runs), named)


def insert_launch_plan(tx: Transaction, new: NewLaunchPlan) -> bool:
    """Insert a version, inactive, in a transaction of its scope; tell whether it is new.

    Raises EXPORT_MISSING, RUN_AS_FORBIDDEN and DIFFERENT_CONTENT.
    """
    require_exported(tx, new.id.scope, new.needs)
    require_allowed(run_as(tx, new.id.scope), new.id.scope, new.named)
    created = insert_version(tx, LAUNCH_PLANS, "launch plan", new.id, new.row)
    if created:
        insert_references(tx, EntityKind.LAUNCH_PLAN, new.id, [Reference(EntityKind.WORKFLOW, new.workflow)])
    return created


def make_active(tx: Transaction, launch_plan: EntityId, by: Principal, cause: Cause, now: int) -> None:
    """Make a version the active one of its name and its schedule the one in force, in a transaction of its scope.

    Activating what is active again changes nothing but whose rights its schedule is fired with. Raises NOT_FOUND.
    """
    active = _held(tx, launch_plan)
    if active == launch_plan.version:
        _hand_over(tx, launch_plan, by, now)
        return
    if active:
        _set(tx, replace(launch_plan, version=active), INACTIVE, now)
    _set(tx, launch_plan, ACTIVE, now)
    _schedule(tx, launch_plan, by, now)
    activations.record(tx, launch_plan.name, launch_plan.version, by, cause, now)


def _hand_over(tx: Transaction, launch_plan: EntityId, by: Principal, now: int) -> None:
    """Let the schedule of what is active be fired from now on with the rights of who has activated it again."""
    row, groups = schedules.hold(tx, launch_plan.name), json.dumps(sorted(by.groups))
    if row is None or (row.principal, row.principal_groups) == (by.member, groups):
        return
    schedules.hand_over(tx, launch_plan.name, by.member, groups)
    activations.record(tx, launch_plan.name, launch_plan.version, by, Cause.ACTIVATE, now)
    tx.changed(f"schedule of launch plan {launch_plan}", {"by": row.principal}, {"by": by.member})


def _settle(tx: Transaction, name: str, now: int) -> None:
    """Write down what is due of a schedule that is about to be out of force."""
    row = schedules.hold(tx, name)
    if row is None or not 0 < row.next_at <= now:
        return
    plan = tx.execute(_ONE, name=name, version=row.version).one()
    ticks = Ticks(launch_plan_pb2.LaunchPlanSpec.FromString(plan.spec).entity_metadata.schedule, row.anchor_at)
    why = "the version was not active any more when it could have been fired"
    tick = Tick(row.next_at, ticks.until(now), row.version, TickOutcome.SUPPRESSED, why, "", now)
    schedules.record(tx, name, [tick], ticks.after(now))


def _schedule(tx: Transaction, launch_plan: EntityId, by: Principal, now: int) -> None:
    """Put the schedule of a version into force; without one, none of its name is."""
    _settle(tx, launch_plan.name, now)
    row = tx.execute(_ONE, name=launch_plan.name, version=launch_plan.version).one()
    ticks = Ticks(launch_plan_pb2.LaunchPlanSpec.FromString(row.spec).entity_metadata.schedule, now)
    if is_scheduled(ticks.schedule):
        groups = json.dumps(sorted(by.groups))
        first = ticks.after(max(now, schedules.last_tick(tx, launch_plan.name)))  # clocks can differ, and go back
        schedules.arm(tx, launch_plan.name, launch_plan.version, now, first, by.member, groups)
    else:
        schedules.disarm(tx, launch_plan.name)


def _held(tx: Transaction, launch_plan: EntityId) -> str:
    """Hold all versions of a launch plan's name, and return the active one's, "" for none. Raises NOT_FOUND."""
    states = {row.version: row.state for row in tx.all(_OF_NAME, name=launch_plan.name)}
    if launch_plan.version not in states:
        raise not_found("launch plan", str(launch_plan))
    return next((version for version, state in states.items() if state == ACTIVE), "")


def _set(tx: Transaction, launch_plan: EntityId, state: str, now: int) -> None:
    tx.execute(_SET_STATE, own_name=launch_plan.name, own_version=launch_plan.version, new_state=state, now=now)
    before = INACTIVE if state == ACTIVE else ACTIVE
    tx.changed(f"state of launch plan {launch_plan}", {"state": before}, {"state": state})
