"""Fires the schedules of active launch plans: each tick once, however many schedulers there are and whatever ends them.

A tick and the execution that it launches are one transaction, which holds the schedule. What is written says what
became of every tick: none is lost without a word, none is fired twice. Where several ticks of one schedule are due,
because no scheduler was there, the last one is caught up and the others are skipped.

A schedule is fired with the rights of who activated it, as they are at the tick. Whoever activates a version answers
for what it then launches: it is the permission to activate that must still be held.
"""

import json
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from flyteidl.admin import execution_pb2, launch_plan_pb2
from flyteidl.core import literals_pb2
from sqlalchemy import Row, bindparam, select
from sqlalchemy.exc import InterfaceError, OperationalError

from airspace_server.access.decide import Need, first_missing
from airspace_server.access.identity import Principal
from airspace_server.access.policy import Policy, PolicyStore
from airspace_server.core.clock import Clock
from airspace_server.core.errors import ApiError, Reason
from airspace_server.core.permissions import Permission
from airspace_server.core.scope import Scope, ScopePattern
from airspace_server.execution.launch import Launch, Launcher, LaunchPlanRef, Prepared
from airspace_server.flyte.schedules import Ticks
from airspace_server.storage import schedules
from airspace_server.storage.database import Database, Transaction, scoped
from airspace_server.storage.schedules import Tick, TickOutcome
from airspace_server.storage.tables import LaunchPlanRow, table

LOOK_SECONDS: Final = 1.0
"""How often a scheduler looks for ticks that are due."""
LATE: Final = 60_000_000
"""From how many microseconds on a tick that is launched counts as caught up."""
PERMISSION: Final = Permission.LAUNCHPLAN_ACTIVATE
"""What who activated a schedule must hold for as long as it is fired."""
_AT_ONCE: Final = 200
_OUTCOMES: Final = {
    Reason.QUOTA_EXCEEDED: TickOutcome.SKIPPED,
    Reason.PROJECT_ARCHIVED: TickOutcome.SUPPRESSED,
    Reason.PROJECT_MISSING: TickOutcome.SUPPRESSED,
}
_LAUNCH_PLANS: Final = table(LaunchPlanRow)
_SPEC: Final = select(_LAUNCH_PLANS.c.spec).where(
    scoped(_LAUNCH_PLANS), _LAUNCH_PLANS.c.name == bindparam("name"), _LAUNCH_PLANS.c.version == bindparam("version")
)

_log: Final = logging.getLogger(__name__)


class Scheduler:
    """Fires what is due whenever `fire` is called. Safe to run in several processes.

    Everything that it writes is written inside of `on_behalf_of` whoever activated the schedule.
    """

    def __init__(
        self,
        database: Database,
        launcher: Launcher,
        policy: PolicyStore,
        clock: Clock,
        on_behalf_of: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        self._database = database
        self._launcher = launcher
        self._policy = policy
        self._clock = clock
        self._on_behalf_of = on_behalf_of

    def fire(self) -> None:
        """Fire what is due now, of each schedule at most one tick: none keeps another's waiting.

        Raises UNAVAILABLE while the policy cannot be had, and what the database raises: then nothing was fired, and all
        of it is due the next time.
        """
        settled = _AT_ONCE
        while settled:  # until there is no more, or nothing but what cannot be written down
            settled = self._fire_some()

    def _fire_some(self) -> int:
        """Fire some of what is due, and return of how many ticks it was written down what became of them."""
        now = self._clock()
        policy = self._policy.snapshot()
        with self._database.read(across=True) as tx:
            found = schedules.due(tx, now, _AT_ONCE)
        settled = 0
        for scope, name in found:
            try:
                settled += self._fire(scope, name, now, policy)
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                _log.exception("a tick of %s/%s could not be written down; it stays due", scope, name)
        return settled

    def _fire(self, scope: Scope, name: str, now: int, policy: Policy) -> bool:
        """Fire the tick of a schedule that is due; tell whether this scheduler did, and not another one."""
        with self._database.read(scope) as tx:
            row = schedules.get(tx, name)
            if row is None or row.next_at > now:
                return False  # another scheduler was faster
            spec = tx.execute(_SPEC, name=name, version=row.version).scalar_one()
        schedule = launch_plan_pb2.LaunchPlanSpec.FromString(spec).entity_metadata.schedule
        ticks = Ticks(schedule, row.anchor_at)
        if row.next_at == 0:  # from before there was a scheduler: nothing was promised for the time until now
            return self._record(scope, name, row, [], ticks.after(now))
        due = ticks.until(now)
        missed = [_missed(row, ticks, due, now)] if due > row.next_at else []
        principal = Principal(row.principal, frozenset(json.loads(row.principal_groups)))
        refused = _refusal(principal, scope, policy)
        if refused:
            tick = Tick(due, due, row.version, TickOutcome.SUPPRESSED, refused, "", now)
            return self._record(scope, name, row, [*missed, tick], ticks.after(due))
        launch = _launch(scope, name, row.version, principal, schedule.kickoff_time_input_arg, due)
        try:
            prepared = self._launcher.prepare(launch)
            outcome = TickOutcome.CAUGHT_UP if now - due >= LATE else TickOutcome.FIRED
            tick = Tick(due, due, row.version, outcome, "", prepared.id.name, now)
            return self._record(scope, name, row, [*missed, tick], ticks.after(due), prepared)
        except ApiError as error:
            if error.reason is Reason.UNAVAILABLE:
                raise
            outcome = _OUTCOMES.get(error.reason, TickOutcome.FAILED)
            tick = Tick(due, due, row.version, outcome, f"{error.reason.value}: {error.message}", "", now)
            return self._record(scope, name, row, [*missed, tick], ticks.after(due))
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            _log.exception("a tick of %s/%s could not be fired", scope, name)
            why = "INTERNAL: a fault of the server, which its log has"
            tick = Tick(due, due, row.version, TickOutcome.FAILED, why, "", now)
            return self._record(scope, name, row, [*missed, tick], ticks.after(due))

    def _record(
        self,
        scope: Scope,
        name: str,
        read: Row[Any],
        ticks: list[Tick],
        then: int,
        prepared: Prepared | None = None,
    ) -> bool:
        """Write down what became of ticks, with the execution that one launches, unless the schedule has changed."""
        with self._on_behalf_of(read.principal), self._database.write(scope) as tx:
            if not _still(tx, name, read):
                return False
            if prepared is not None:
                self._launcher.store(tx, prepared)
            schedules.record(tx, name, ticks, then)
            if not ticks:
                tx.changed(f"schedule of {scope}/{name}", None, {"next": then})
        return True


def _still(tx: Transaction, name: str, read: Row[Any]) -> bool:
    """Hold a schedule and tell whether it is as it was read."""
    held = schedules.hold_free(tx, name)
    return held is not None and (held.version, held.anchor_at, held.next_at) == (
        read.version,
        read.anchor_at,
        read.next_at,
    )


def _missed(row: Row[Any], ticks: Ticks, due: int, now: int) -> Tick:
    last = ticks.until(due - 1_000_000)
    return Tick(row.next_at, last, row.version, TickOutcome.SKIPPED, "missed; a later tick was due too", "", now)


def _refusal(principal: Principal, scope: Scope, policy: Policy) -> str:
    """Say why somebody may not have a schedule fired; "" if they may."""
    if not principal.member:
        return "it is not known who activated it: activate it again"
    if policy.shuts_out(principal.member):
        return f"{principal.member}, who activated it, is disabled"
    need = Need(PERMISSION, ScopePattern(scope.project, scope.domain))
    if first_missing(principal, (need,), policy.grants) is not None:
        return f"{principal.member}, who activated it, does not hold {need.permission.value} here any more"
    return ""


def _launch(scope: Scope, name: str, version: str, principal: Principal, kickoff: str, due: int) -> Launch:
    inputs = literals_pb2.LiteralMap()
    if kickoff:
        inputs.literals[kickoff].scalar.primitive.datetime.FromMicroseconds(due)
    return Launch(
        scope,
        LaunchPlanRef(name, version),
        principal,
        inputs=inputs,
        mode=execution_pb2.ExecutionMetadata.SCHEDULED,
        scheduled_at=due,
    )
