"""Why somebody may do something somewhere, or what is missing and who could give it. Pure, but for the bindings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from airspace_server.access.decide import Need, holds
from airspace_server.access.identity import Principal
from airspace_server.access.issuer import SERVICE_ACCOUNT
from airspace_server.access.store import Binding, Policy
from airspace_server.core.permissions import Permission
from airspace_server.core.scope import ANY, Scope, ScopePattern

_MOST: Final = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a principal may, and why: see TestAccessResponse in the contract."""

    allowed: bool
    bindings: tuple[Binding, ...]
    could_grant: tuple[str, ...]
    shut_out: bool


def explain(
    policy: Policy, principal: Principal, bindings: Iterable[Binding], permission: Permission, scope: Scope, now: int
) -> Answer:
    """Say whether `principal`, of these bindings, may do this there as of `now`, in microseconds."""
    need = Need(permission, ScopePattern(scope.project, scope.domain))
    held = holds(principal, need, policy.grants)
    shut_out = held and _shut_out(
        policy, principal
    )  # of accounts without rights here nobody here learns whether they are
    giving = [
        each
        for each in bindings
        if permission in policy.roles.get(each.role, frozenset()) and _covers(each.pattern, scope)
    ]
    counting = [each for each in giving if (each.expires_at is None or each.expires_at > now) == held]
    return Answer(held and not shut_out, tuple(counting), () if held else tuple(_grantors(policy, need)), shut_out)


def _shut_out(policy: Policy, principal: Principal) -> bool:
    kind, _, name = principal.member.partition(":")
    return kind == SERVICE_ACCOUNT and name not in policy.service_accounts


def _covers(pattern: ScopePattern, scope: Scope) -> bool:
    return pattern.project in (ANY, scope.project) and pattern.domain in (ANY, scope.domain)


def _grantors(policy: Policy, need: Need) -> Sequence[str]:
    """Name who holds it there and may bind others there: only who holds a permission can grant it."""
    both = (need, Need(Permission.ACCESS_MANAGE, need.target))
    members = (Principal(member) for member in policy.grants.table)
    found = sorted(
        each.member
        for each in members
        if all(holds(each, one, policy.grants) for one in both) and not _shut_out(policy, each)
    )
    return found[:_MOST]
