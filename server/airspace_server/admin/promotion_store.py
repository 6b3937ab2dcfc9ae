"""Promotions as they are kept."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Row, bindparam, select

from airspace_server.core.errors import ApiError, Reason, not_found
from airspace_server.core.gates import Gate
from airspace_server.core.scope import EntityId, EntityKind, Reference, Scope
from airspace_server.storage.database import Transaction, scoped
from airspace_server.storage.paging import page
from airspace_server.storage.tables import PromotionApprovalRow, PromotionRow, table

WAITS: Final = 7 * 24 * 3_600_000_000
"""How long a promotion waits for its gates, in microseconds."""

_PROMOTIONS: Final = table(PromotionRow)
_APPROVALS: Final = table(PromotionApprovalRow)
_ONE: Final = select(_PROMOTIONS).where(scoped(_PROMOTIONS), _PROMOTIONS.c.name == bindparam("name"))
_HELD: Final = _ONE.with_for_update()
_PENDING: Final = select(_PROMOTIONS).where(
    scoped(_PROMOTIONS),
    _PROMOTIONS.c.source_domain == bindparam("source_domain"),
    _PROMOTIONS.c.kind == bindparam("kind"),
    _PROMOTIONS.c.entity == bindparam("entity"),
    _PROMOTIONS.c.version == bindparam("version"),
    _PROMOTIONS.c.state == "PENDING",
)
_PENDING_HELD: Final = _PENDING.with_for_update()
_UPDATE: Final = (
    _PROMOTIONS.update()
    .where(scoped(_PROMOTIONS), _PROMOTIONS.c.name == bindparam("own_name"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                *("activate", "state", "gates", "entries", "artifacts", "overridden"),
                *("decider", "decision_comment", "decided_at"),
            )
        }
    )
)
_APPROVED: Final = (
    select(_APPROVALS)
    .where(scoped(_APPROVALS), _APPROVALS.c.promotion == bindparam("promotion"))
    .order_by(_APPROVALS.c.at, _APPROVALS.c.principal)
)


class State(StrEnum):
    """Where a promotion is; EXPIRED is one that waited for too long, whether or not that was written down yet."""

    PENDING = "PENDING"
    PROMOTED = "PROMOTED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class EntryState(StrEnum):
    """How a version that is promoted relates to what is in the target."""

    NEW = "NEW"
    SAME = "SAME"
    DIFFERENT = "DIFFERENT"
    MISSING = "MISSING"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version, and the scope that it is to go to."""

    version: Reference
    target: Scope


@dataclass(frozen=True, slots=True)
class Entry:
    """A version that is promoted, or that must be there because it is another project's.

    Both digests are SHA-256 in hex; they differ by the domain alone. `source_digest` is "" for what is nowhere.
    """

    kind: EntityKind
    project: str
    name: str
    version: str
    source_digest: str
    digest: str
    state: EntryState


@dataclass(frozen=True, slots=True)
class Approval:
    """That somebody agreed. Time in microseconds, UTC."""

    principal: str
    comment: str
    at: int


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion into a scope. Times in microseconds, UTC; `decided_at` is None while it waits."""

    scope: Scope
    name: str
    source_domain: str
    kind: EntityKind
    entity: str
    version: str
    activate: bool
    state: State
    requester: str
    comment: str
    gates: tuple[Gate, ...]
    entries: tuple[Entry, ...]
    artifacts: tuple[str, ...]
    overridden: bool
    decider: str
    decision_comment: str
    created_at: int
    expires_at: int
    decided_at: int | None
    approvals: tuple[Approval, ...] = ()

    @property
    def wanted(self) -> Wanted:
        """What is promoted, and where to."""
        source = Scope(self.scope.project, self.source_domain)
        return Wanted(Reference(self.kind, EntityId(source, self.entity, self.version)), self.scope)


def waiting(
    tx: Transaction, wanted: Wanted, now: int, *, activate: bool, comment: str, requester: str
) -> tuple[Promotion, bool]:
    """Hold the promotion of a version that waits, made now if none does; tell whether it was."""
    made = False
    row = tx.one(_PENDING_HELD, **of(wanted))
    if row is not None and row.expires_at <= now:
        update(tx, replace(_promotion(row, now), state=State.EXPIRED, decided_at=now))
        row = None
    while row is None:
        new = {
            "name": f"p{secrets.token_hex(9)}",
            **of(wanted),
            "activate": activate,
            "state": State.PENDING,
            "requester": requester,
            "comment": comment,
            **dict.fromkeys(("gates", "entries", "artifacts"), "[]"),
            "overridden": False,
            **dict.fromkeys(("decider", "decision_comment"), ""),
            "created_at": now,
            "expires_at": now + WAITS,
            "decided_at": None,
        }
        made = tx.insert_new(_PROMOTIONS, new)
        # Somebody else may have been faster, and that one may be decided by now.
        row = tx.one(_PENDING_HELD, **of(wanted))
    return read(tx, wanted.target, row.name, now), made


def pending(tx: Transaction, wanted: Wanted) -> str | None:
    """Return the name of the promotion of a version that waits."""
    row = tx.one(_PENDING, **of(wanted))
    return None if row is None else str(row.name)


def held(tx: Transaction, scope: Scope, name: str, now: int) -> Promotion:
    """Hold a promotion that waits. Raises NOT_FOUND and WRONG_STATE."""
    if tx.one(_HELD, name=name) is None:
        raise not_found("promotion", f"{scope}/{name}")
    promotion = read(tx, scope, name, now)
    require_waiting(promotion)
    return promotion


def require_waiting(promotion: Promotion) -> None:
    """Raise WRONG_STATE for a promotion that was decided or has expired."""
    if promotion.state is not State.PENDING:
        name = f"{promotion.scope}/{promotion.name}"
        raise ApiError(
            Reason.WRONG_STATE,
            f"promotion {name} does not wait any more: it is {promotion.state.value}",
            {"state": promotion.state.value, "name": name},
        )


def read(tx: Transaction, scope: Scope, name: str, now: int) -> Promotion:
    """Return a promotion with who approved it. Raises NOT_FOUND."""
    row = tx.one(_ONE, name=name)
    if row is None:
        raise not_found("promotion", f"{scope}/{name}")
    return replace(_promotion(row, now), approvals=approvals(tx, name))


def approvals(tx: Transaction, name: str) -> tuple[Approval, ...]:
    """Return who approved a promotion."""
    return tuple(Approval(each.principal, each.comment, each.at) for each in tx.all(_APPROVED, promotion=name))


def approve(tx: Transaction, name: str, approval: Approval) -> bool:
    """Note an approval; tell whether it is the first by that principal."""
    return tx.insert_new(_APPROVALS, {"promotion": name, **asdict(approval)})


def newest(
    tx: Transaction, now: int, *, pending_only: bool, size: int, last: tuple[Any, ...] | None
) -> tuple[Sequence[Promotion], tuple[Any, ...] | None]:
    """Return a page of the promotions into the scope, newest first, without who approved them."""
    statement = select(_PROMOTIONS).where(scoped(_PROMOTIONS))
    if pending_only:
        statement = statement.where(_PROMOTIONS.c.state == State.PENDING, _PROMOTIONS.c.expires_at > now)
    columns = (_PROMOTIONS.c.created_at, _PROMOTIONS.c.name)
    rows, end = page(tx, statement, columns, size=size, last=last, descending=True)
    return [_promotion(row, now) for row in rows], end


def update(tx: Transaction, promotion: Promotion) -> None:
    """Write down what of a promotion can change."""
    tx.execute(
        _UPDATE,
        own_name=promotion.name,
        new_activate=promotion.activate,
        new_state=promotion.state,
        new_gates=json.dumps([asdict(gate) for gate in promotion.gates]),
        new_entries=json.dumps([asdict(entry) for entry in promotion.entries]),
        new_artifacts=json.dumps(promotion.artifacts),
        new_overridden=promotion.overridden,
        new_decider=promotion.decider,
        new_decision_comment=promotion.decision_comment,
        new_decided_at=promotion.decided_at,
    )


def described(promotion: Promotion) -> dict[str, Any]:
    """Return what the audit digests of a promotion."""
    return {
        "state": promotion.state,
        "what": f"{promotion.kind.value} {promotion.entity}:{promotion.version} of {promotion.source_domain}",
        "activate": promotion.activate,
        "requester": promotion.requester,
        "decider": promotion.decider,
        "overridden": promotion.overridden,
        "gates": {gate.name: gate.passed for gate in promotion.gates},
        "approvals": [approval.principal for approval in promotion.approvals],
        "digests": [entry.digest for entry in promotion.entries],
    }


def of(wanted: Wanted) -> dict[str, str]:
    """Return the columns that say what is promoted."""
    id_ = wanted.version.id
    return {
        "source_domain": id_.scope.domain,
        "kind": wanted.version.kind.name,
        "entity": id_.name,
        "version": id_.version,
    }


def _promotion(row: Row[Any], now: int) -> Promotion:
    state = State(row.state)
    return Promotion(
        Scope(row.project, row.domain),
        row.name,
        row.source_domain,
        EntityKind[row.kind],
        row.entity,
        row.version,
        row.activate,
        State.EXPIRED if state is State.PENDING and row.expires_at <= now else state,
        row.requester,
        row.comment,
        tuple(Gate(**each) for each in json.loads(row.gates)),
        tuple(
            Entry(**{**each, "kind": EntityKind(each["kind"]), "state": EntryState(each["state"])})
            for each in json.loads(row.entries)
        ),
        tuple(json.loads(row.artifacts)),
        row.overridden,
        row.decider,
        row.decision_comment,
        row.created_at,
        row.expires_at,
        row.decided_at,
    )
