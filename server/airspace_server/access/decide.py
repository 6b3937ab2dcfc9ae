"""The decision: may this principal do this here? Pure, and the only place where the question is answered.

Bindings are compiled into look-ups, so that a check costs the same for ten bindings as for a hundred thousand: at most
four dict look-ups for each of the principal's members.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from airspace_server.access.identity import Principal
from airspace_server.core.permissions import DELEGATED, Permission
from airspace_server.core.scope import ANY, EntityKind, Scope, ScopePattern


class Reach(Enum):
    """How much of a target a permission must be held in."""

    ALL = "all"
    """In every scope that the target stands for."""
    SOME = "some"
    """In at least one scope that the target stands for."""


@dataclass(frozen=True, slots=True)
class Need:
    """A permission that a call requires, and where."""

    permission: Permission
    target: ScopePattern
    reach: Reach = Reach.ALL
    exported: tuple[EntityKind, str] | None = None
    """What may be exported to where the permission is held instead: a kind, and a name in the target."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one binding gives: permissions to a member in the scopes of a pattern."""

    member: str
    pattern: ScopePattern
    permissions: frozenset[Permission]


@dataclass(frozen=True, slots=True)
class Grants:
    """The compiled policy: member, then pattern, then permissions. Immutable; a change makes a new one.

    `exports` are the projects that something of a scope is exported to, by project, domain, kind and name, which may be
    "*".
    """

    table: Mapping[str, Mapping[tuple[str, str], frozenset[Permission]]] = field(default_factory=dict)
    exports: Mapping[tuple[str, str, EntityKind, str], frozenset[str]] = field(default_factory=dict)

    @classmethod
    def compile(
        cls, grants: Iterable[Grant], exports: Iterable[tuple[tuple[str, str, EntityKind, str], str]] = ()
    ) -> "Grants":
        """Compile bindings and exports; several of one member at one pattern add up."""
        table: dict[str, dict[tuple[str, str], frozenset[Permission]]] = {}
        for grant in grants:
            patterns = table.setdefault(grant.member, {})
            key = (grant.pattern.project, grant.pattern.domain)
            patterns[key] = patterns.get(key, frozenset()) | grant.permissions
        consumers: dict[tuple[str, str, EntityKind, str], set[str]] = {}
        for thing, consumer in exports:
            consumers.setdefault(thing, set()).add(consumer)
        return cls(table, {thing: frozenset(them) for thing, them in consumers.items()})


def holds(principal: Principal, need: Need, grants: Grants) -> bool:
    """Tell whether the principal holds what is needed. Nothing known about a member means no."""
    if principal.execution is not None:
        return _holds_delegated(principal, principal.execution.scope, need, grants)
    permission, target, some = need.permission, need.target, need.reach is Reach.SOME
    covering = ((target.project, target.domain), (target.project, ANY), (ANY, target.domain), (ANY, ANY))
    for member in (principal.member, *principal.groups):
        patterns = grants.table.get(member)
        if patterns is None:
            continue
        if some:
            if any(permission in held and _meet(target, pattern) for pattern, held in patterns.items()):
                return True
            continue
        for pattern in covering:
            if pattern in patterns and permission in patterns[pattern]:
                return True
    return False


def _holds_delegated(principal: Principal, scope: Scope, need: Need, grants: Grants) -> bool:
    """Tell whether an execution holds what is needed: in its own scope alone, and only what its launcher holds there.

    A need in several scopes of which some are enough is one in its own, if that is among them.
    """
    here = ScopePattern(scope.project, scope.domain)
    within = _meet(need.target, (scope.project, scope.domain)) if need.reach is Reach.SOME else need.target == here
    return (
        within
        and need.permission in DELEGATED
        and principal.launcher is not None
        and holds(principal.launcher, Need(need.permission, here), grants)
    )


def first_missing(principal: Principal, needs: Sequence[Need], grants: Grants) -> Need | None:
    """Return the first need that the principal does not hold, None when it holds them all.

    An empty list of needs is nobody's right: the rules refuse it at start, and here it would be a fault.
    """
    if not needs:
        raise ValueError("a decision needs at least one requirement")
    for need in needs:
        if not holds(principal, need, grants) and not _holds_where_exported(principal, need, grants):
            return need
    return None


def _holds_where_exported(principal: Principal, need: Need, grants: Grants) -> bool:
    """Tell whether the principal holds the permission in a project that the thing is exported to, in its domain."""
    if need.exported is None:
        return False
    kind, name = need.exported
    project, domain = need.target.project, need.target.domain
    return any(
        holds(principal, Need(need.permission, ScopePattern(consumer, domain)), grants)
        for each in (name, ANY)
        for consumer in grants.exports.get((project, domain, kind, each), ())
    )


@dataclass(frozen=True, slots=True)
class Visible:
    """The patterns in which a principal holds a permission: what a list over several scopes may return."""

    patterns: frozenset[tuple[str, str]]

    def includes(self, target: ScopePattern | Scope) -> bool:
        """Tell whether all of `target` is visible through one pattern."""
        return any(ScopePattern(*pattern).covers(target) for pattern in self.patterns)

    @property
    def projects(self) -> frozenset[str] | None:
        """The projects of which at least one domain is visible; None stands for all of them."""
        names = frozenset(project for project, _ in self.patterns)
        return None if ANY in names else names

    def in_domain(self, domain: str) -> frozenset[str] | None:
        """Return the projects that are visible in one domain; None stands for all of them."""
        names = frozenset(project for project, of in self.patterns if of in (ANY, domain))
        return None if ANY in names else names


def visible(principal: Principal, permission: Permission, grants: Grants) -> Visible:
    """Find where the principal holds a permission."""
    if principal.execution is not None:
        scope = principal.execution.scope
        here = (scope.project, scope.domain)
        held = _holds_delegated(principal, scope, Need(permission, ScopePattern(*here)), grants)
        return Visible(frozenset({here} if held else ()))
    return Visible(
        frozenset(
            pattern
            for member in (principal.member, *principal.groups)
            for pattern, held in grants.table.get(member, {}).items()
            if permission in held
        )
    )


def _meet(target: ScopePattern, pattern: tuple[str, str]) -> bool:
    """Tell whether two patterns have a scope in common."""
    return (target.project in (ANY, pattern[0]) or pattern[0] == ANY) and (
        target.domain in (ANY, pattern[1]) or pattern[1] == ANY
    )
