"""The messages that are to be sent, and what became of each.

A message is written in the transaction of what it tells, so there is none about what did not happen and none is lost.
Its id is chosen then and stays: whoever is told twice can tell by it.
"""

import json
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, select

from airspace_server.core.notifications import Channel, DeliveryState, Event, Notice, Rules, Target, told
from airspace_server.core.scope import ANY, Scope, ScopePattern
from airspace_server.storage.database import Transaction, scoped
from airspace_server.storage.paging import page
from airspace_server.storage.settings import effective
from airspace_server.storage.tables import DeliveryRow, table

NOTIFICATIONS: Final = "notifications"
"""The name of the setting that says who is told what."""
LEASE_US: Final = 120_000_000
"""How long whoever sends a message has it for itself, in microseconds; sending takes less."""

_DELIVERIES: Final = table(DeliveryRow)
_WAITING: Final = _DELIVERIES.c.state == DeliveryState.WAITING.value
_TURN: Final = func.row_number().over(
    partition_by=(_DELIVERIES.c.project, _DELIVERIES.c.domain), order_by=(_DELIVERIES.c.next_at, _DELIVERIES.c.id)
)
_DUE: Final = (
    select(_DELIVERIES)
    .where(_WAITING, _DELIVERIES.c.next_at <= bindparam("now"))
    .order_by(_TURN, _DELIVERIES.c.next_at, _DELIVERIES.c.id)
    .limit(bindparam("limit"))
)
_NEW: Final = _DUE.where(_DELIVERIES.c.attempts == 0)
_TRIED: Final = _DUE.where(_DELIVERIES.c.attempts > 0)
_OWN: Final = (
    _DELIVERIES.c.project == bindparam("of_project"),
    _DELIVERIES.c.domain == bindparam("of_domain"),
    _DELIVERIES.c.id == bindparam("of_id"),
    _DELIVERIES.c.epoch == bindparam("of_epoch"),
    _WAITING,
)
_LEASE: Final = (
    _DELIVERIES.update().where(*_OWN).values(epoch=_DELIVERIES.c.epoch + 1, next_at=bindparam("leased_until"))
)
_SETTLE: Final = (
    _DELIVERIES.update()
    .where(
        scoped(_DELIVERIES),
        _DELIVERIES.c.id == bindparam("of_id"),
        _DELIVERIES.c.epoch == bindparam("of_epoch"),
        _WAITING,
    )
    .values(
        state=bindparam("new_state"),
        attempts=_DELIVERIES.c.attempts + 1,
        reason=bindparam("new_reason"),
        next_at=bindparam("then"),
        updated_at=bindparam("at"),
    )
)
_SINCE: Final = (
    select(_DELIVERIES.c.id)
    .where(
        scoped(_DELIVERIES),
        _DELIVERIES.c.created_at > bindparam("since"),
        _DELIVERIES.c.event == bindparam("event"),
        _DELIVERIES.c.subject == bindparam("subject"),
    )
    .limit(1)
)
_LISTED: Final = select(_DELIVERIES).where(scoped(_DELIVERIES))


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to one target, and what became of it. Times in microseconds, UTC.

    `secret` is the path of a file below the server's secrets. `reason` says why the last attempt failed. `next_at` is
    when it is tried (again), or until when somebody sends it; `epoch` counts who did.
    """

    scope: Scope
    id: str
    notice: Notice
    target: Target
    state: DeliveryState
    attempts: int
    reason: str
    next_at: int
    epoch: int
    created_at: int
    updated_at: int


def notify(tx: Transaction, notice: Notice, further: Iterable[Target] = ()) -> None:
    """Write down, in a transaction of its scope, whom to tell what happens in it: by the rules there, and `further`."""
    if tx.scope is None:
        raise RuntimeError("a notification needs the scope that it is about")
    found = effective(tx, NOTIFICATIONS, ScopePattern(tx.scope.project, tx.scope.domain))
    targets = [] if found is None else [_kept(each, found[1]) for each in Rules.loads(found[0]).targets(notice.event)]
    rows = [
        {
            "id": secrets.token_hex(16),
            "event": notice.event,
            "subject": notice.subject,
            "title": told(notice.title),
            "facts": json.dumps({name: told(fact) for name, fact in notice.facts.items() if fact}),
            "channel": target.channel,
            "address": target.address,
            "secret": target.secret,
            "state": DeliveryState.WAITING,
            "attempts": 0,
            "reason": "",
            "next_at": notice.at,
            "epoch": 0,
            "created_at": notice.at,
            "updated_at": notice.at,
        }
        for target in dict.fromkeys((*targets, *further))
    ]
    if rows:
        tx.insert(_DELIVERIES, *rows)


def told_since(tx: Transaction, event: Event, subject: str, since: int) -> bool:
    """Tell whether somebody is told of an event about a subject, in the transaction's scope, since a moment."""
    return tx.one(_SINCE, since=since, event=event, subject=subject) is not None


def due(tx: Transaction, now: int, limit: int) -> Sequence[Delivery]:
    """Return messages that are to be sent, across scopes, which take turns: first so many that were never tried."""
    return [_delivery(row) for which in (_NEW, _TRIED) for row in tx.all(which, now=now, limit=limit)]


def lease(tx: Transaction, delivery: Delivery, now: int) -> bool:
    """Take a message for a while, across scopes; tell whether it was free."""
    return bool(tx.execute(_LEASE, **_key(delivery, delivery.epoch), leased_until=now + LEASE_US).rowcount)


def settle(
    tx: Transaction, leased: Delivery, state: DeliveryState, reason: str, now: int, then: int | None = None
) -> bool:
    """Write down what became of an attempt, in a transaction of its scope; tell whether it was still this sender's.

    `leased` is the message as it was before the lease; `then` is when it is tried again, if it still waits.
    """
    values = {"new_state": state, "new_reason": told(reason), "then": now if then is None else then, "at": now}
    return bool(tx.execute(_SETTLE, of_id=leased.id, of_epoch=leased.epoch + 1, **values).rowcount)


def newest(
    tx: Transaction, states: Collection[DeliveryState], size: int, last: tuple[Any, ...] | None
) -> tuple[Sequence[Delivery], tuple[Any, ...] | None]:
    """Return a page of the messages of a scope, newest first, of some states or any, and where the next begins."""
    statement = _LISTED.where(_DELIVERIES.c.state.in_(sorted(states))) if states else _LISTED
    key = (_DELIVERIES.c.created_at, _DELIVERIES.c.id)
    rows, end = page(tx, statement, key, size=size, last=last, descending=True)
    return [_delivery(row) for row in rows], end


def _kept(target: Target, origin: ScopePattern) -> Target:
    """Say where a rule's secret lies: with those of the project that the rule is set for, or of the server."""
    if not target.secret or origin.project == ANY:
        return target
    return Target(target.channel, target.address, f"{origin.project}/{target.secret}")


def _key(delivery: Delivery, epoch: int) -> Mapping[str, Any]:
    scope = delivery.scope
    return {"of_project": scope.project, "of_domain": scope.domain, "of_id": delivery.id, "of_epoch": epoch}


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        Scope(row.project, row.domain),
        row.id,
        Notice(Event(row.event), row.subject, row.title, json.loads(row.facts), row.created_at),
        Target(Channel(row.channel), row.address, row.secret),
        DeliveryState(row.state),
        row.attempts,
        row.reason,
        row.next_at,
        row.epoch,
        row.created_at,
        row.updated_at,
    )
