"""The schedules that are in force, which activations change, and the ledger of their ticks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, select

from airspace_server.core.notifications import Event, Notice
from airspace_server.core.scope import Scope
from airspace_server.storage.database import Transaction, scoped
from airspace_server.storage.notifications import notify
from airspace_server.storage.paging import page
from airspace_server.storage.tables import ScheduleRow, TickRow, table

_SCHEDULES: Final = table(ScheduleRow)
_TICKS: Final = table(TickRow)
_OWN: Final = (scoped(_SCHEDULES), _SCHEDULES.c.name == bindparam("own_name"))
_DELETE: Final = _SCHEDULES.delete().where(*_OWN)
_GET: Final = select(_SCHEDULES).where(*_OWN)
_HOLD: Final = _GET.with_for_update()
_HOLD_FREE: Final = _GET.with_for_update(skip_locked=True)
_MOVE: Final = _SCHEDULES.update().where(*_OWN).values(next_at=bindparam("then"))
_TURN: Final = func.row_number().over(
    partition_by=(_SCHEDULES.c.project, _SCHEDULES.c.domain), order_by=(_SCHEDULES.c.next_at, _SCHEDULES.c.name)
)
_DUE: Final = (
    select(_SCHEDULES.c.project, _SCHEDULES.c.domain, _SCHEDULES.c.name)
    .where(_SCHEDULES.c.next_at <= bindparam("now"))
    .order_by(_TURN, _SCHEDULES.c.next_at, _SCHEDULES.c.project, _SCHEDULES.c.domain)
    .limit(bindparam("limit"))
)
_HAND_OVER: Final = (
    _SCHEDULES.update()
    .where(*_OWN)
    .values(principal=bindparam("new_principal"), principal_groups=bindparam("new_groups"))
)
_LAST: Final = select(func.max(_TICKS.c.last_due_at)).where(scoped(_TICKS), _TICKS.c.name == bindparam("name"))
_OF_NAME: Final = select(_TICKS).where(scoped(_TICKS), _TICKS.c.name == bindparam("name"))


class TickOutcome(StrEnum):
    """What became of a tick."""

    FIRED = "FIRED"
    """An execution was launched."""
    CAUGHT_UP = "CAUGHT_UP"
    """An execution was launched late: no scheduler was there when it was due."""
    SKIPPED = "SKIPPED"
    """A later one of the same schedule was due too, or a quota was used up."""
    SUPPRESSED = "SUPPRESSED"
    """The project is archived, or nobody may have it fired any more."""
    FAILED = "FAILED"
    """It could not be launched."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What became of a tick, or of all of a schedule from `due_at` until `last_due_at`. In microseconds, UTC."""

    due_at: int
    last_due_at: int
    version: str
    outcome: TickOutcome
    reason: str
    execution: str
    at: int


_TOLD: Final = {
    TickOutcome.FAILED: (Event.TICK_FAILED, "could not be launched"),
    TickOutcome.SUPPRESSED: (Event.TICK_SUPPRESSED, "was suppressed"),
}


def arm(tx: Transaction, name: str, version: str, anchor: int, first: int, principal: str, groups: str) -> None:
    """Put a schedule into force, in place of the one that is."""
    disarm(tx, name)
    row = {"name": name, "version": version, "anchor_at": anchor, "next_at": first}
    tx.insert(_SCHEDULES, {**row, "principal": principal, "principal_groups": groups})


def disarm(tx: Transaction, name: str) -> None:
    """Take a name's schedule out of force, if one is."""
    tx.execute(_DELETE, own_name=name)


def hand_over(tx: Transaction, name: str, principal: str, groups: str) -> None:
    """Let a schedule that is in force be fired with the rights of somebody else."""
    tx.execute(_HAND_OVER, own_name=name, new_principal=principal, new_groups=groups)


def last_tick(tx: Transaction, name: str) -> int:
    """Return the last tick of a name that the ledger has, 0 for none: what is put into force begins after it."""
    return tx.execute(_LAST, name=name).scalar_one() or 0


def due(tx: Transaction, now: int, limit: int) -> Sequence[tuple[Scope, str]]:
    """Return whose schedules have ticks due; across scopes, which take turns, the longest waiting first in each."""
    return [(Scope(row.project, row.domain), row.name) for row in tx.all(_DUE, now=now, limit=limit)]


def get(tx: Transaction, name: str) -> Row[Any] | None:
    """Return a name's schedule."""
    return tx.one(_GET, own_name=name)


def hold(tx: Transaction, name: str) -> Row[Any] | None:
    """Return a name's schedule and hold it: before its ticks are written, by whomever."""
    return tx.one(_HOLD, own_name=name)


def hold_free(tx: Transaction, name: str) -> Row[Any] | None:
    """Return a name's schedule and hold it, unless somebody else holds it now."""
    return tx.one(_HOLD_FREE, own_name=name)


def record(tx: Transaction, name: str, ticks: Sequence[Tick], then: int) -> None:
    """Write down what became of ticks, and when the next one is due."""
    rows = [
        {
            "name": name,
            "due_at": tick.due_at,
            "last_due_at": tick.last_due_at,
            "version": tick.version,
            "outcome": tick.outcome,
            "reason": tick.reason,
            "execution": tick.execution,
            "at": tick.at,
        }
        for tick in ticks
    ]
    if rows:
        tx.insert(_TICKS, *rows)
        for tick in ticks:
            what = {"outcome": tick.outcome, "reason": tick.reason, "execution": tick.execution}
            tx.changed(f"tick of {tx.scope}/{name} at {tick.due_at}", None, what)
            _tell(tx, name, tick)
    tx.execute(_MOVE, own_name=name, then=then)


def _tell(tx: Transaction, name: str, tick: Tick) -> None:
    if (told := _TOLD.get(tick.outcome)) is None:
        return
    event, what = told
    due = datetime.fromtimestamp(tick.due_at // 1_000_000, UTC).isoformat()
    facts = {"launch_plan": name, "version": tick.version, "due_time": due, "reason": tick.reason}
    title = f"{name}: the tick of {due} {what}"
    notify(tx, Notice(event, f"launch-plans/{name}/ticks/{tick.due_at}", title, facts, tick.at))


def history(
    tx: Transaction, name: str, size: int, last: tuple[Any, ...] | None
) -> tuple[Sequence[Tick], tuple[Any, ...] | None]:
    """Return a page of what became of a name's ticks, newest first, and where the next one begins."""
    rows, end = page(tx, _OF_NAME, (_TICKS.c.due_at,), size=size, last=last, descending=True, name=name)
    return [
        Tick(row.due_at, row.last_due_at, row.version, TickOutcome(row.outcome), row.reason, row.execution, row.at)
        for row in rows
    ], end
