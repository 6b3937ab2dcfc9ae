"""The policy as a process knows it: read from the database, compiled, kept current, and never trusted for too long.

What changes it is in store.py.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, func, or_, select

from airspace_server.access.decide import Grant, Grants
from airspace_server.access.identity import account_of
from airspace_server.core import clock
from airspace_server.core.clock import Clock
from airspace_server.core.errors import ApiError, Reason, invalid_field
from airspace_server.core.permissions import BUILT_IN_ROLES, Permission
from airspace_server.core.scope import EntityKind, ScopePattern
from airspace_server.storage.database import Database, Transaction
from airspace_server.storage.references import EXPORTS
from airspace_server.storage.tables import BindingRow, PolicyRevisionRow, RoleRow, ServiceAccountRow, table

MAX_AGE: Final = 30.0
"""Longest time, in seconds, that a policy is trusted since it was last known to be the current one."""
POLL_SECONDS: Final = 0.5
"""How often a process looks for changes that another one made."""

FOREVER: Final = 2**62
"""Later than any time, in microseconds."""
THE_ROW: Final = 1
"""The id of the one row of policy_revision."""

_KNOWN: Final[Mapping[str, Permission]] = {permission.value: permission for permission in Permission}

_REVISION: Final = table(PolicyRevisionRow)
_ROLES: Final = table(RoleRow)
_BINDINGS: Final = table(BindingRow)
_ACCOUNTS: Final = table(ServiceAccountRow)

READ_REVISION: Final = select(_REVISION.c.revision).where(_REVISION.c.id == THE_ROW)
"""The revision; with `with_for_update` whoever changes the policy waits here for the others."""
READ_ROLES: Final = select(_ROLES.c.name, _ROLES.c.permissions).order_by(_ROLES.c.name)
"""The roles of the operator's own."""
_read_exports: Final = select(
    EXPORTS.c.exporter, EXPORTS.c.export_domain, EXPORTS.c.kind, EXPORTS.c.name, EXPORTS.c.consumer
)
_read_accounts: Final = select(_ACCOUNTS.c.name, _ACCOUNTS.c.generation).where(_ACCOUNTS.c.disabled.is_(False))
# Bindings and their roles come from one statement and so from one moment, on every database.
READ_GRANTS: Final = (
    select(
        _BINDINGS.c.member,
        _BINDINGS.c.project_pattern,
        _BINDINGS.c.domain_pattern,
        _BINDINGS.c.role,
        _ROLES.c.permissions,
    )
    .select_from(_BINDINGS.outerjoin(_ROLES, _BINDINGS.c.role == _ROLES.c.name))
    .where(or_(_BINDINGS.c.expires_at.is_(None), _BINDINGS.c.expires_at >= bindparam("until")))
)
"""What bindings that hold at least until `until` give, as `grants_of` reads it."""
_next_expiry: Final = select(func.min(_BINDINGS.c.expires_at)).where(_BINDINGS.c.expires_at >= bindparam("until"))

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may do what, at one revision and until `until`, when the next binding expires (microseconds, UTC).

    `service_accounts` are those that are not disabled, each with the generation of its secret.
    """

    revision: int
    until: int
    grants: Grants
    roles: Mapping[str, frozenset[Permission]]
    service_accounts: Mapping[str, int]

    def shuts_out(self, member: str) -> bool:
        """Tell whether a member is a service account that is disabled or does not exist."""
        account = account_of(member)
        return account is not None and account not in self.service_accounts


@dataclass(frozen=True, slots=True)
class _Checked:
    policy: Policy
    at: float


class PolicyStore:
    """The current policy in this process. Safe to share between threads.

    `clock` counts seconds and never goes back: set by hand, the time of day could make an old policy look fresh. `now`
    is that time of day, by which bindings expire.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float] = time.monotonic,
        max_age: float = MAX_AGE,
        now: Clock = clock.now,
    ) -> None:
        self._database = database
        self._clock = clock
        self._now = now
        self._max_age = max_age
        self._checked: _Checked | None = None
        self._refreshing = threading.Lock()
        self._stopping = threading.Event()
        self._poller: threading.Thread | None = None

    def snapshot(self) -> Policy:
        """Return the policy that holds now.

        Raises UNAVAILABLE when nobody could tell for `max_age` whether it still does: an old policy allows nothing.
        """
        checked = self._checked
        if checked is not None and self._now() >= checked.policy.until:
            self.refresh()
            checked = self._checked
        if checked is None or self._clock() - checked.at > self._max_age:
            raise ApiError(Reason.UNAVAILABLE, "the access policy cannot be read at the moment")
        return checked.policy

    def at_least(self, revision: int) -> Policy:
        """Return the policy that holds now, which is of this revision or a newer one.

        Raises UNAVAILABLE as `snapshot` does, and INVALID_FIELD for a revision that has not been made.
        """
        if self.snapshot().revision < revision:
            self.refresh()
        policy = self.snapshot()
        if policy.revision < revision:
            raise invalid_field("min_revision", f"has not been made yet: the newest is {policy.revision}")
        return policy

    def refresh(self) -> None:
        """Bring the snapshot up to date now. Whoever committed a change calls this before answering.

        When that fails there is no policy until it can be read again, because the one at hand is known to be old.
        Raises what the database raises.
        """
        try:
            self._check()
        except Exception:
            self._checked = None
            raise

    def start(self) -> None:
        """Read the policy, then watch for changes until `stop`. Raises what the database raises."""
        self.refresh()
        self._stopping.clear()
        self._poller = threading.Thread(target=self._poll, name="policy", daemon=True)
        self._poller.start()

    def stop(self) -> None:
        """Stop watching; the snapshot grows too old by itself."""
        self._stopping.set()
        if self._poller is not None:
            self._poller.join()
            self._poller = None

    def _poll(self) -> None:
        failing = False
        while not self._stopping.wait(POLL_SECONDS):
            try:
                self._check()
            except Exception:  # whatever it is: the next look may succeed, and the policy expires if none does
                if not failing:
                    _log.exception(
                        "the policy cannot be read; it expires %s s after it was last current", self._max_age
                    )
                failing = True
            else:
                failing = False

    def _check(self) -> None:
        # One at a time, or a slow reader could put an older policy back in the place of a newer one.
        with self._refreshing:
            at = self._clock()
            with self._database.read() as tx:
                row = tx.one(READ_REVISION)
                if row is None:
                    self._checked = None
                    _log.error("the policy has no revision: the database was not set up, or was damaged")
                    return
                policy = self._checked.policy if self._checked is not None else None
                now = self._now()
                if policy is None or policy.revision != row.revision or now >= policy.until:
                    policy = load(tx, row.revision, now)
            self._checked = _Checked(policy, at)


def load(tx: Transaction, revision: int, now: int) -> Policy:
    """Read and compile the whole policy as of `now`, in microseconds.

    `revision` was read before, so that nothing newer goes by that number.
    """
    expiry: int | None = tx.execute(_next_expiry, until=now + 1).scalar_one()
    own = {row.name: permissions_of(row.permissions) for row in tx.all(READ_ROLES)}
    return Policy(
        revision=revision,
        until=FOREVER if expiry is None else expiry,
        grants=Grants.compile(grants_of(tx.all(READ_GRANTS, until=now + 1)), _exports(tx)),
        roles={**BUILT_IN_ROLES, **{name: held for name, held in own.items() if name not in BUILT_IN_ROLES}},
        service_accounts={row.name: row.generation for row in tx.all(_read_accounts)},
    )


def _exports(tx: Transaction) -> Iterator[tuple[tuple[str, str, EntityKind, str], str]]:
    for row in tx.all(_read_exports):
        yield (row.exporter, row.export_domain, EntityKind[row.kind], row.name), row.consumer


def grants_of(rows: Sequence[Any]) -> Iterator[Grant]:
    """Say what bindings give. A binding to a role that does not exist gives nothing."""
    read: dict[str | None, frozenset[Permission]] = {None: frozenset()}
    patterns: dict[tuple[str, str], ScopePattern] = {}
    for member, project, domain, role, text in rows:
        permissions = BUILT_IN_ROLES.get(role)
        if permissions is None:
            permissions = read.get(text)
            if permissions is None:
                permissions = read[text] = permissions_of(text)
        pattern = patterns.get((project, domain))
        if pattern is None:
            pattern = patterns[project, domain] = ScopePattern(project, domain)
        yield Grant(member, pattern, permissions)


def permissions_of(text: str) -> frozenset[Permission]:
    """Read a role's permissions. What this version does not know, because another one wrote it, gives nothing."""
    return frozenset(_KNOWN[name] for name in json.loads(text) if name in _KNOWN)
