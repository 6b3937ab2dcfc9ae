"""What changes the policy: roles, bindings, and who may grant what. How a process knows it is in policy.py.

Every change holds the one row of policy_revision from its first statement to its commit. So changes happen one after
another, each sees all before it, and each is a new revision, which the other processes watch. What a caller may grant
is read in the same transaction: a grant that was revoked elsewhere a moment ago cannot be passed on any more.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    false,
    or_,
    select,
    true,
    tuple_,
    update,
)

from airspace_server.access.decide import Grants, Need, Visible, holds
from airspace_server.access.identity import Principal, account_of, service_account
from airspace_server.access.policy import (
    FOREVER,
    READ_GRANTS,
    READ_REVISION,
    READ_ROLES,
    THE_ROW,
    grants_of,
    permissions_of,
)
from airspace_server.core.errors import ApiError, Reason, invalid_field, not_found
from airspace_server.core.permissions import ADMIN, BUILT_IN_ROLES, Permission
from airspace_server.core.scope import ANY, ScopePattern
from airspace_server.storage.database import Transaction
from airspace_server.storage.paging import ordered, page
from airspace_server.storage.tables import BindingRow, PolicyRevisionRow, RoleRow, ServiceAccountRow, table

_ACCOUNT: Final = service_account("")
_EVERYWHERE: Final = ScopePattern(ANY, ANY)

_REVISION: Final = table(PolicyRevisionRow)
_ROLES: Final = table(RoleRow)
_BINDINGS: Final = table(BindingRow)
_ACCOUNTS: Final = table(ServiceAccountRow)
_KEY: Final = (_BINDINGS.c.member, _BINDINGS.c.role, _BINDINGS.c.project_pattern, _BINDINGS.c.domain_pattern)

_hold_revision: Final = READ_REVISION.with_for_update()
_next_revision: Final = update(_REVISION).where(_REVISION.c.id == THE_ROW).values(revision=bindparam("next_revision"))
_read_role: Final = select(_ROLES.c.permissions).where(_ROLES.c.name == bindparam("role_name"))
_delete_role: Final = delete(_ROLES).where(_ROLES.c.name == bindparam("role_name"))
_role_in_use: Final = select(_BINDINGS.c.member).where(_BINDINGS.c.role == bindparam("role_name")).limit(1)
_any_binding: Final = select(_BINDINGS.c.member).limit(1)
_this_binding: Final = and_(*(column == bindparam(f"key_{column.name}") for column in _KEY))
_read_binding: Final = select(_BINDINGS).where(_this_binding)
_delete_binding: Final = delete(_BINDINGS).where(_this_binding)
_members: Final = _BINDINGS.c.member.in_(bindparam("members", expanding=True))
_bindings_of_members: Final = ordered(select(_BINDINGS).where(_members), _KEY, descending=False)
_read_keyed_grants: Final = (
    select(*_KEY, _ROLES.c.permissions)
    .select_from(_BINDINGS.outerjoin(_ROLES, _BINDINGS.c.role == _ROLES.c.name))
    .where(or_(_BINDINGS.c.expires_at.is_(None), _BINDINGS.c.expires_at >= bindparam("until")))
)
_read_grants_of_members: Final = READ_GRANTS.where(_members)
_other_admins: Final = (
    select(_BINDINGS.c.member)
    .select_from(_BINDINGS.outerjoin(_ACCOUNTS, _BINDINGS.c.member == _ACCOUNT + _ACCOUNTS.c.name))
    .where(
        _BINDINGS.c.role == ADMIN,
        _BINDINGS.c.project_pattern == ANY,
        _BINDINGS.c.domain_pattern == ANY,
        _BINDINGS.c.expires_at.is_(None),
        _BINDINGS.c.member != bindparam("leaving"),
        or_(_BINDINGS.c.member.not_like(f"{_ACCOUNT}%"), _ACCOUNTS.c.disabled.is_(False)),
    )
    .limit(1)
)
_enabled_account: Final = select(_ACCOUNTS.c.name).where(
    _ACCOUNTS.c.name == bindparam("account_name"), _ACCOUNTS.c.disabled.is_(False)
)


@dataclass(frozen=True, slots=True)
class Binding:
    """A member's role at a pattern. Times are in microseconds since 1970, UTC.

    From `expires_at` on it gives nothing; None is for good.
    """

    member: str
    role: str
    pattern: ScopePattern
    creator: str
    created_at: int
    expires_at: int | None = None

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What names it; lists are in this order."""
        return (self.member, self.role, self.pattern.project, self.pattern.domain)


def establish(tx: Transaction) -> None:
    """Give the policy its first revision, unless it has one. Without it every policy is refused."""
    tx.insert_new(_REVISION, {"id": THE_ROW, "revision": 1})


def change(tx: Transaction) -> int:
    """Begin a change of the policy: wait for the others, count one revision on and return it.

    Raises UNAVAILABLE when the policy has no revision.
    """
    row = tx.one(_hold_revision)
    if row is None:
        raise ApiError(Reason.UNAVAILABLE, "the access policy cannot be changed at the moment")
    revision: int = row.revision + 1
    tx.execute(_next_revision, next_revision=revision)
    return revision


def create_role(tx: Transaction, caller: Principal, name: str, permissions: Collection[Permission], at: int) -> int:
    """Create a role and return the revision that has it. `at` is in microseconds since 1970, UTC.

    Raises GRANT_EXCEEDS_OWN unless the caller holds each permission everywhere, and ALREADY_EXISTS.
    """
    revision = change(tx)
    _require_own(tx, caller, [Need(permission, _EVERYWHERE) for permission in sorted(set(permissions))], at + 1)
    row = {"name": name, "permissions": json.dumps(sorted(set(permissions))), "created_at": at}
    if name in BUILT_IN_ROLES or not tx.insert_new(_ROLES, row):
        raise ApiError(Reason.ALREADY_EXISTS, f"role {name} exists", {"kind": "role", "name": name})
    tx.changed(f"role {name}", None, {"permissions": row["permissions"]})
    return revision


def delete_role(tx: Transaction, name: str) -> int:
    """Delete a role and return the revision without it.

    Raises INVALID_FIELD for a built-in role, IN_USE while a binding names it, and NOT_FOUND.
    """
    if name in BUILT_IN_ROLES:
        raise invalid_field("name", "is a role that comes with the server")
    revision = change(tx)
    if tx.one(_role_in_use, role_name=name) is not None:
        raise ApiError(Reason.IN_USE, f"role {name} is bound", {"kind": "role", "name": name})
    row = tx.one(_read_role, role_name=name)
    if row is None:
        raise not_found("role", name)
    tx.execute(_delete_role, role_name=name)
    tx.changed(f"role {name}", {"permissions": row.permissions}, None)
    return revision


def create_binding(
    tx: Transaction,
    caller: Principal,
    member: str,
    role: str,
    pattern: ScopePattern,
    at: int,
    expires_at: int | None = None,
) -> tuple[Binding, int]:
    """Bind a member to a role at a pattern; return the binding, or the one that is there, and a revision with it.

    Times are in microseconds since 1970, UTC. One that has expired is made anew. Raises INVALID_FIELD when there is no
    such role, ALREADY_EXISTS for one that is there with another expiry, and GRANT_EXCEEDS_OWN unless the caller holds
    each permission of the role in all of the pattern, and for as long.
    """
    revision = change(tx)
    permissions = BUILT_IN_ROLES.get(role)
    if permissions is None:
        row = tx.one(_read_role, role_name=role)
        if row is None:
            raise invalid_field("role", "is not the name of a role")
        permissions = permissions_of(row.permissions)
    until = FOREVER if expires_at is None else expires_at
    _require_own(tx, caller, [Need(permission, pattern) for permission in sorted(permissions)], until)
    binding = Binding(member, role, pattern, caller.member, at, expires_at)
    row = tx.one(_read_binding, **_named(member, role, pattern))
    if row is not None and row.expires_at is not None and row.expires_at <= at:
        tx.execute(_delete_binding, **_named(member, role, pattern))
        _changed(tx, _binding(row), None)
        row = None
    if row is None:
        insert_binding(tx, binding)
        return binding, revision
    if row.expires_at != expires_at:
        raise ApiError(
            Reason.ALREADY_EXISTS,
            f"{member} is bound to {role} at {pattern} with another expiry; delete that binding first",
            {"member": member, "role": role, "scope": str(pattern)},
            "expire_time",
        )
    return _binding(row), revision


def insert_binding(tx: Transaction, binding: Binding) -> bool:
    """Insert a binding without asking who grants it, inside a `change`; tell whether it is new."""
    inserted = tx.insert_new(
        _BINDINGS,
        {
            "member": binding.member,
            "role": binding.role,
            "project_pattern": binding.pattern.project,
            "domain_pattern": binding.pattern.domain,
            "creator": binding.creator,
            "created_at": binding.created_at,
            "expires_at": binding.expires_at,
        },
    )
    if inserted:
        _changed(tx, None, binding)
    return inserted


def delete_binding(tx: Transaction, member: str, role: str, pattern: ScopePattern) -> int:
    """Remove a binding and return the revision without it.

    Raises NOT_FOUND, and LAST_ADMIN when nobody who can log in would be left with the role admin everywhere.
    """
    revision = change(tx)
    row = tx.one(_read_binding, **_named(member, role, pattern))
    if row is None:
        raise not_found("binding", f"of {member} to {role} at {pattern}")
    tx.execute(_delete_binding, **_named(member, role, pattern))
    _changed(tx, _binding(row), None)
    if (role, pattern) == (ADMIN, _EVERYWHERE) and row.expires_at is None and _can_log_in(tx, member):
        _require_admins_beside(tx, member)
    return revision


def require_another_admin(tx: Transaction, member: str) -> None:
    """Check that a member who is about to be shut out is not the last administrator of the server.

    Only those count who can log in and are bound for good. Raises LAST_ADMIN.
    """
    row = tx.one(_read_binding, **_named(member, ADMIN, _EVERYWHERE))
    if row is not None and row.expires_at is None and _can_log_in(tx, member):
        _require_admins_beside(tx, member)


def _require_admins_beside(tx: Transaction, member: str) -> None:
    if tx.one(_other_admins, leaving=member) is None:
        raise ApiError(Reason.LAST_ADMIN, "this is the last administrator of the server")


def require_own_bindings(tx: Transaction, caller: Principal, member: str) -> None:
    """Check that the caller holds whatever `member` is bound to, for a caller who is about to become able to be it.

    Raises GRANT_EXCEEDS_OWN.
    """
    given = grants_of(tx.all(_read_grants_of_members, members=[member], until=0))
    needs = [Need(each, grant.pattern) for grant in given for each in sorted(grant.permissions)]
    _require_own(tx, caller, needs, FOREVER)


def has_bindings(tx: Transaction) -> bool:
    """Tell whether anybody is bound to anything."""
    return tx.one(_any_binding) is not None


def bindings_of(tx: Transaction, principal: Principal) -> list[Binding]:
    """Return the bindings that count for a principal, its groups' too."""
    return [_binding(row) for row in tx.all(_bindings_of_members, members=principal.members)]


def list_bindings(
    tx: Transaction, visible: Visible, member: str, position: tuple[Any, ...] | None, size: int
) -> tuple[list[Binding], tuple[Any, ...] | None]:
    """Return a page of the bindings whose whole pattern is visible, by their keys, and where the next one begins.

    Only those of `member` unless it is empty.
    """
    statement: Select[Any] = select(_BINDINGS).where(_covered(visible))
    if member:
        statement = statement.where(_BINDINGS.c.member == member)
    rows, end = page(tx, statement, _KEY, size=size, last=position, descending=False)
    return [_binding(row) for row in rows], end


def with_changes(
    tx: Transaction, create: Sequence[Binding], remove: Sequence[Binding], now: int
) -> tuple[Grants, Grants]:
    """Compile the policy as of `now` as it is, and as it would be with some bindings more and some fewer.

    Raises INVALID_FIELD for one to create whose role does not exist, and NOT_FOUND for one to remove that is not there.
    """
    rows: dict[tuple[str, str, str, str], str | None] = {
        (row.member, row.role, row.project_pattern, row.domain_pattern): row.permissions
        for row in tx.all(_read_keyed_grants, until=now + 1)
    }
    own = {row.name: row.permissions for row in tx.all(READ_ROLES)}
    changed = dict(rows)
    for binding in remove:
        if binding.key not in changed:
            raise not_found("binding", f"of {binding.member} to {binding.role} at {binding.pattern}")
        del changed[binding.key]
    for place, binding in enumerate(create):
        if binding.role not in BUILT_IN_ROLES and binding.role not in own:
            raise invalid_field(f"create[{place}].role", "is not the name of a role")
        changed[binding.key] = own.get(binding.role)

    def compiled(bindings: Mapping[tuple[str, str, str, str], str | None]) -> Grants:
        given = [(member, project, domain, role, text) for (member, role, project, domain), text in bindings.items()]
        return Grants.compile(grants_of(given))

    return compiled(rows), compiled(changed)


def _changed(tx: Transaction, before: Binding | None, after: Binding | None) -> None:
    """Tell the audit of a binding that comes or goes."""
    for binding in filter(None, (before, after)):
        tx.changed(
            f"binding of {binding.member} to {binding.role} at {binding.pattern}",
            *(None if each is None else _described(each) for each in (before, after)),
            at=(binding.pattern.project, binding.pattern.domain),
        )


def _described(binding: Binding) -> Mapping[str, Any]:
    return {"creator": binding.creator, "expires_at": binding.expires_at}


def _covered(visible: Visible) -> ColumnElement[bool]:
    """Restrict bindings to those whose pattern one visible pattern covers.

    One condition a kind of pattern and not one a pattern: SQLite refuses conditions that are a thousand levels deep.
    """
    if (ANY, ANY) in visible.patterns:
        return true()
    project, domain = _BINDINGS.c.project_pattern, _BINDINGS.c.domain_pattern
    projects = sorted(pattern[0] for pattern in visible.patterns if pattern[1] == ANY)
    domains = sorted(pattern[1] for pattern in visible.patterns if pattern[0] == ANY)
    scopes = sorted(pattern for pattern in visible.patterns if ANY not in pattern)
    kinds = [
        *([project.in_(projects)] if projects else []),
        *([domain.in_(domains)] if domains else []),
        *([tuple_(project, domain).in_(scopes)] if scopes else []),
    ]
    return or_(*kinds) if kinds else false()


def _require_own(tx: Transaction, caller: Principal, needs: Sequence[Need], until: int) -> None:
    """Check that the caller holds all of this until then: nobody can make more of what is lent."""
    grants = Grants.compile(grants_of(tx.all(_read_grants_of_members, members=caller.members, until=until)))
    for need in needs:
        if not holds(caller, need, grants):
            raise ApiError(
                Reason.GRANT_EXCEEDS_OWN,
                f"only who holds {need.permission} at {need.target} can grant it there",
                {"permission": str(need.permission), "scope": str(need.target)},
            )


def _can_log_in(tx: Transaction, member: str) -> bool:
    """Tell whether somebody can be this member: users and groups belong to their issuer, accounts can be disabled."""
    account = account_of(member)
    return account is None or tx.one(_enabled_account, account_name=account) is not None


def _named(member: str, role: str, pattern: ScopePattern) -> dict[str, str]:
    return {
        "key_member": member,
        "key_role": role,
        "key_project_pattern": pattern.project,
        "key_domain_pattern": pattern.domain,
    }


def _binding(row: Row[Any]) -> Binding:
    pattern = ScopePattern(row.project_pattern, row.domain_pattern)
    return Binding(row.member, row.role, pattern, row.creator, row.created_at, row.expires_at)
