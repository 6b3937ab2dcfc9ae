"""Promotions: a version and all that it needs go to a later domain of their project, as they are, or nothing does.

What is promoted is read in the source, where versions never change, before anything is written. Files are copied before
the transaction that needs them: copying again changes nothing, and what a crash leaves is of no use to anybody. All
else happens in one transaction of the target, with the gates asked in it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, BinaryIO, Final

from sqlalchemy import bindparam, func, select

from airspace_server.access.identity import Principal
from airspace_server.admin import promotion_store
from airspace_server.admin.activations import Cause
from airspace_server.admin.closures import Move, Version, content, gather
from airspace_server.admin.gates import gates
from airspace_server.admin.launch_plans import ACTIVE, LAUNCH_PLANS, NewLaunchPlan, insert_launch_plan, make_active
from airspace_server.admin.promotion_store import (
    Approval,
    Entry,
    EntryState,
    Promotion,
    State,
    Wanted,
    described,
    require_waiting,
)
from airspace_server.admin.registry import ONE_OF, New, NewTask, NewWorkflow, insert_task, insert_workflow
from airspace_server.artifacts.store import ArtifactStore
from airspace_server.core.clock import Clock
from airspace_server.core.errors import ApiError, Reason, invalid_field, not_found
from airspace_server.core.gates import Facts, Gate, check
from airspace_server.core.notifications import Event, Notice
from airspace_server.core.scope import EntityId, EntityKind, Reference, Scope
from airspace_server.storage.database import Database, Transaction, scoped
from airspace_server.storage.notifications import notify
from airspace_server.storage.projects import require_active
from airspace_server.storage.references import may_refer, require_exported
from airspace_server.storage.tables import ExecutionRow, table

_EXECUTIONS: Final = table(ExecutionRow)
_CHUNK: Final = 1 << 20
_WITH: Final = {True: "with", False: "without"}

_SUCCEEDED: Final = select(func.count()).where(
    scoped(_EXECUTIONS), _EXECUTIONS.c.phase == "SUCCEEDED", _EXECUTIONS.c.ended_at >= bindparam("since")
)
_SUCCESSES: Final = {
    EntityKind.LAUNCH_PLAN: _SUCCEEDED.where(
        _EXECUTIONS.c.launch_plan_name == bindparam("entity"),
        _EXECUTIONS.c.launch_plan_version == bindparam("version"),
    ),
    EntityKind.WORKFLOW: _SUCCEEDED.where(
        _EXECUTIONS.c.workflow_project == bindparam("of_project"),
        _EXECUTIONS.c.workflow_name == bindparam("entity"),
        _EXECUTIONS.c.workflow_version == bindparam("version"),
    ),
}
_ACTIVE: Final = select(LAUNCH_PLANS.c.version).where(
    scoped(LAUNCH_PLANS), LAUNCH_PLANS.c.name == bindparam("name"), LAUNCH_PLANS.c.state == ACTIVE
)


class DifferenceKind(StrEnum):
    """How something differs from what is active in the target."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in which a promoted launch plan differs from the active one; "" is the version of what one lacks."""

    kind: EntityKind
    name: str
    difference: DifferenceKind
    active_version: str
    promoted_version: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a promotion would do."""

    entries: tuple[Entry, ...]
    artifacts: tuple[str, ...]
    gates: tuple[Gate, ...]
    active_version: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be written: versions as they will be in the target, and the paths of the files that come along.

    `registered_at` is since when the version itself is in the source.
    """

    entries: tuple[Entry, ...]
    new: tuple[New, ...]
    artifacts: tuple[str, ...]
    registered_at: int


class Promotions:
    """Promotes versions. Authorization, in both scopes, has happened before any of this is called.

    `domains` are the server's, in the order in which versions move; `most` is the largest
    file that is copied, in bytes.
    """

    def __init__(
        self, database: Database, store: ArtifactStore, clock: Clock, domains: Sequence[str], most: int
    ) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._domains = domains
        self._most = most

    def preview(self, wanted: Wanted) -> Preview:
        """Tell what a promotion would do, and change nothing. Raises NOT_FOUND, FOREIGN_REFERENCE, INVALID_FIELD."""
        self._require_forward(wanted)
        plan, versions = self._plan(wanted)
        with self._database.read(wanted.target) as tx:
            found = self._gates(tx, wanted, plan, promotion_store.pending(tx, wanted))
            active = tx.one(_ACTIVE, name=wanted.version.id.name)
            differences: tuple[Difference, ...] = ()
            if wanted.version.kind is EntityKind.LAUNCH_PLAN and active is not None:
                there = EntityId(wanted.target, wanted.version.id.name, active.version)
                running = gather(tx, Reference(EntityKind.LAUNCH_PLAN, there)).versions
                differences = tuple(_differences(running, versions))
        version = "" if active is None or wanted.version.kind is not EntityKind.LAUNCH_PLAN else str(active.version)
        return Preview(plan.entries, plan.artifacts, found, version, differences)

    def request(self, wanted: Wanted, *, activate: bool, comment: str, by: Principal) -> Promotion:
        """Promote a version if all gates are passed, and else leave a promotion that waits; one that does stays.

        Raises INVALID_FIELD, NOT_FOUND, FOREIGN_REFERENCE, DIFFERENT_CONTENT, EXPORT_MISSING, RUN_AS_FORBIDDEN,
        PROJECT_MISSING and PROJECT_ARCHIVED, ALREADY_EXISTS for a file that is there with other content, and
        WRONG_STATE when one waits that is to be activated and this is not, or the other way round.
        """
        self._require_forward(wanted)
        if activate and wanted.version.kind is not EntityKind.LAUNCH_PLAN:
            raise invalid_field("activate", "must be false: only launch plans are active")
        plan = self._sound(wanted)
        with self._database.read(wanted.target) as tx:
            ready = _passed(self._gates(tx, wanted, plan, promotion_store.pending(tx, wanted)))
        if ready:
            self._copy(wanted, plan)
        with self._database.write(wanted.target) as tx:
            require_active(tx, wanted.target.project)
            promotion, made = promotion_store.waiting(
                tx, wanted, self._clock(), activate=activate, comment=comment, requester=by.member
            )
            if promotion.activate != activate:
                raise ApiError(
                    Reason.WRONG_STATE,
                    f"promotion {promotion.scope}/{promotion.name} waits {_WITH[promotion.activate]} activation: "
                    "ask for the same, or reject it first",
                    {"state": promotion.state.value, "name": f"{promotion.scope}/{promotion.name}"},
                )
            return self._settle(tx, None if made else promotion, promotion, plan, by, copied=ready)

    def approve(self, scope: Scope, name: str, comment: str, by: Principal) -> Promotion:
        """Approve a promotion that waits, and promote if all its gates are passed then.

        Raises NOT_FOUND, WRONG_STATE, OWN_APPROVAL, and what `request` raises.
        """
        asked = self.get(scope, name)
        require_waiting(asked)
        if by.member == asked.requester:
            raise ApiError(Reason.OWN_APPROVAL, "whoever asks for a promotion cannot approve it")
        plan = self._sound(asked.wanted)
        # Whether this was the last that was missing is known only in the transaction; files lie unused until then.
        self._copy(asked.wanted, plan)
        with self._database.write(scope) as tx:
            require_active(tx, scope.project)
            before = promotion_store.held(tx, scope, name, self._clock())
            promotion_store.approve(tx, name, Approval(by.member, comment, self._clock()))
            promotion = promotion_store.read(tx, scope, name, self._clock())
            return self._settle(tx, before, promotion, plan, by, copied=True)

    def reject(self, scope: Scope, name: str, comment: str, by: Principal) -> Promotion:
        """Refuse a promotion that waits, for good. Raises NOT_FOUND and WRONG_STATE."""
        with self._database.write(scope) as tx:
            promotion = promotion_store.held(tx, scope, name, self._clock())
            return self._decide(tx, promotion, promotion, State.REJECTED, by, comment)

    def override(self, scope: Scope, name: str, reason: str, by: Principal) -> Promotion:
        """Promote what waits whatever its gates say. Raises NOT_FOUND, WRONG_STATE, and what `request` raises."""
        asked = self.get(scope, name)
        require_waiting(asked)
        plan = self._sound(asked.wanted)
        self._copy(asked.wanted, plan)
        with self._database.write(scope) as tx:
            require_active(tx, scope.project)
            before = promotion_store.held(tx, scope, name, self._clock())
            found = self._gates(tx, asked.wanted, plan, name)
            promotion = replace(before, gates=found, overridden=not _passed(found))
            return self._promote(tx, before, promotion, plan, by, reason)

    def get(self, scope: Scope, name: str) -> Promotion:
        """Return a promotion. Raises NOT_FOUND."""
        with self._database.read(scope) as tx:
            return promotion_store.read(tx, scope, name, self._clock())

    def list(
        self, scope: Scope, *, pending_only: bool, size: int, last: tuple[Any, ...] | None
    ) -> tuple[Sequence[Promotion], tuple[Any, ...] | None]:
        """Return a page of the promotions into a scope, newest first, without who approved them."""
        with self._database.read(scope) as tx:
            return promotion_store.newest(tx, self._clock(), pending_only=pending_only, size=size, last=last)

    # --- what a promotion consists of

    def _require_forward(self, wanted: Wanted) -> None:
        source, target = wanted.version.id.scope, wanted.target
        if source.project != target.project:
            raise invalid_field("target.project", "must be the project of the source: versions stay in their project")
        if self._domains.index(target.domain) <= self._domains.index(source.domain):
            raise invalid_field("target.domain", f"must be a later one than {source.domain}")

    def _plan(self, wanted: Wanted) -> tuple[_Plan, tuple[Version, ...]]:
        """Read what a promotion consists of, and what of it is in the target."""
        source, target = wanted.version.id.scope, wanted.target
        move = Move(self._store, source, target, self._clock())
        new: dict[Reference, New] = {}
        entries = []
        with self._database.read(source) as tx:
            closure = gather(tx, wanted.version)
            there = tx.beside(target)
            for version in closure.versions:
                made = move.new(tx, version, new)
                new[version.reference] = made
                row = there.one(ONE_OF[version.reference.kind], name=made.id.name, version=made.id.version)
                state = EntryState.NEW
                if row is not None:
                    state = EntryState.SAME if row.digest == made.row["digest"] else EntryState.DIFFERENT
                entries.append(_entry(version.reference, version.row.digest, made.row["digest"], state))
            entries += [_foreign(tx, move, target, reference) for reference in sorted(closure.foreign)]
        registered = closure.versions[-1].row.created_at
        plan = _Plan(tuple(entries), tuple(sorted(new.values(), key=_place)), tuple(sorted(move.artifacts)), registered)
        return plan, closure.versions

    def _sound(self, wanted: Wanted) -> _Plan:
        """Return what is to be written. Raises DIFFERENT_CONTENT, EXPORT_MISSING and NOT_FOUND for what cannot be."""
        plan, _ = self._plan(wanted)
        for entry in plan.entries:
            id_ = EntityId(Scope(entry.project, wanted.target.domain), entry.name, entry.version)
            if entry.state is EntryState.DIFFERENT:
                raise ApiError(
                    Reason.DIFFERENT_CONTENT,
                    f"{entry.kind.value} {id_} is registered with other content, and a version never changes",
                    {"kind": entry.kind.value, "reference": str(id_)},
                )
            if entry.state is EntryState.MISSING:
                with self._database.read(wanted.target) as tx:
                    require_exported(tx, wanted.target, [Reference(entry.kind, id_)])
                raise not_found(entry.kind.value, str(id_))
        return plan

    def _copy(self, wanted: Wanted, plan: _Plan) -> None:
        for path in plan.artifacts:
            with self._store.open(wanted.version.id.scope, path) as file:
                self._store.write(wanted.target, path, _chunks(file), self._most)

    def _gates(self, tx: Transaction, wanted: Wanted, plan: _Plan, name: str | None) -> tuple[Gate, ...]:
        """Ask the gates of the target about what is in the source, for a promotion of this name if there is one."""
        source, target, now = wanted.version.id.scope, wanted.target, self._clock()
        asked = gates(tx, target)
        first, last = self._domains.index(source.domain), self._domains.index(target.domain)
        approved = promotion_store.approvals(tx, name) if name else ()
        successes = tx.beside(source).execute(
            _SUCCESSES[wanted.version.kind],
            entity=wanted.version.id.name,
            version=wanted.version.id.version,
            since=asked.since(now),
            **({"of_project": source.project} if wanted.version.kind is EntityKind.WORKFLOW else {}),
        )
        facts = Facts(
            tuple(self._domains[first + 1 : last]),
            successes.scalar_one(),
            plan.registered_at,
            len(approved),
            now,
        )
        return tuple(check(asked, facts))

    # --- one promotion

    def _settle(
        self,
        tx: Transaction,
        before: Promotion | None,
        promotion: Promotion,
        plan: _Plan,
        by: Principal,
        *,
        copied: bool,
    ) -> Promotion:
        """Ask the gates, and promote if all are passed and the files are there. `before` is as the audit knows it."""
        promotion = replace(promotion, gates=self._gates(tx, promotion.wanted, plan, promotion.name))
        if copied and _passed(promotion.gates):
            return self._promote(tx, before, promotion, plan, by, "")
        return self._keep(tx, before, promotion)

    def _promote(
        self,
        tx: Transaction,
        before: Promotion | None,
        promotion: Promotion,
        plan: _Plan,
        by: Principal,
        comment: str,
    ) -> Promotion:
        for new in plan.new:
            if isinstance(new, NewTask):
                insert_task(tx, new)
            elif isinstance(new, NewWorkflow):
                insert_workflow(tx, new)
            elif isinstance(new, NewLaunchPlan):
                insert_launch_plan(tx, new)
        if promotion.activate:
            launch_plan = EntityId(promotion.scope, promotion.entity, promotion.version)
            make_active(tx, launch_plan, by, Cause.PROMOTE, self._clock())
        promotion = replace(promotion, entries=plan.entries, artifacts=plan.artifacts)
        return self._decide(tx, before, promotion, State.PROMOTED, by, comment)

    def _decide(
        self,
        tx: Transaction,
        before: Promotion | None,
        promotion: Promotion,
        state: State,
        by: Principal,
        comment: str,
    ) -> Promotion:
        decided = replace(promotion, state=state, decider=by.member, decision_comment=comment, decided_at=self._clock())
        kept = self._keep(tx, before, decided)
        notify(tx, _decided(decided, self._clock()))
        return kept

    def _keep(self, tx: Transaction, before: Promotion | None, promotion: Promotion) -> Promotion:
        """Write down what a promotion is now, unless nothing that counts has changed."""
        was, now = None if before is None else described(before), described(promotion)
        if was != now:
            promotion_store.update(tx, promotion)
            tx.changed(f"promotion {promotion.scope}/{promotion.name}", was, now)
        return promotion


def _place(new: New) -> tuple[int, EntityId]:
    """Return where a version comes among those that are inserted: behind those that its row leads to.

    It is one order for all promotions, so that two with versions in common cannot wait for each other.
    """
    return (NewTask, NewWorkflow, NewLaunchPlan).index(type(new)), new.id


_DECIDED: Final = {
    State.PROMOTED: (Event.PROMOTION_PROMOTED, "promoted"),
    State.REJECTED: (Event.PROMOTION_REJECTED, "rejected"),
}


def _decided(promotion: Promotion, now: int) -> Notice:
    event, what = _DECIDED[promotion.state]
    facts = {
        "kind": promotion.kind.value,
        "name": promotion.entity,
        "version": promotion.version,
        "from": promotion.source_domain,
        "activated": "yes" if promotion.activate and promotion.state is State.PROMOTED else "",
        "gates_overridden": "yes" if promotion.overridden else "",
        "requested_by": promotion.requester,
        "decided_by": promotion.decider,
        "comment": promotion.decision_comment,
    }
    title = f"{promotion.kind.value} {promotion.entity} {promotion.version} was {what}"
    return Notice(event, f"promotions/{promotion.name}", title, facts, now)


def _passed(found: Iterable[Gate]) -> bool:
    return all(gate.passed for gate in found)


def _entry(reference: Reference, source_digest: str, digest: str, state: EntryState) -> Entry:
    id_ = reference.id
    return Entry(reference.kind, id_.scope.project, id_.name, id_.version, source_digest, digest, state)


def _foreign(tx: Transaction, move: Move, target: Scope, reference: Reference) -> Entry:
    """Look for what another project must have in the target domain; what is not exported is as if it were not there."""
    kind, id_ = reference.kind, reference.id
    there = replace(id_, scope=Scope(id_.scope.project, target.domain))
    here = tx.beside(id_.scope).one(ONE_OF[kind], name=id_.name, version=id_.version)
    exported = may_refer(tx, target, Reference(kind, there))
    found = tx.beside(there.scope).one(ONE_OF[kind], name=id_.name, version=id_.version) if exported else None
    if here is None or found is None:
        return _entry(reference, "" if here is None else here.digest, "", EntryState.MISSING)
    same = move.digest(reference, here) == found.digest
    return _entry(reference, here.digest, found.digest, EntryState.SAME if same else EntryState.DIFFERENT)


def _differences(active: Sequence[Version], promoted: Sequence[Version]) -> Iterator[Difference]:
    """Compare by what things are called."""
    before = {(each.reference.kind, each.reference.id.name): each for each in active}
    after = {(each.reference.kind, each.reference.id.name): each for each in promoted}
    for kind, name in sorted(before.keys() | after.keys()):
        old, new = before.get((kind, name)), after.get((kind, name))
        if old is None and new is not None:
            yield Difference(kind, name, DifferenceKind.ADDED, "", new.reference.id.version)
        elif new is None and old is not None:
            yield Difference(kind, name, DifferenceKind.REMOVED, old.reference.id.version, "")
        elif old is not None and new is not None and content(old) != content(new):
            versions = (old.reference.id.version, new.reference.id.version)
            yield Difference(kind, name, DifferenceKind.CHANGED, *versions)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_CHUNK):
        yield block
