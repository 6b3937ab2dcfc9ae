"""Why somebody may do something somewhere, or what is missing and who could give it. Pure, but for the bindings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from airspace_server.access.decide import Grants, Need, Visible, holds
from airspace_server.access.identity import Principal
from airspace_server.access.policy import Policy
from airspace_server.access.store import Binding
from airspace_server.core.permissions import Permission
from airspace_server.core.scope import Scope, ScopePattern

_MOST: Final = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a principal may, and why: see TestAccessResponse in the contract."""

    allowed: bool
    bindings: tuple[Binding, ...]
    could_grant: tuple[str, ...]
    shut_out: bool


def explain(
    policy: Policy,
    principal: Principal,
    bindings: Iterable[Binding],
    permission: Permission,
    scope: Scope,
    now: int,
    seen: Visible,
) -> Answer:
    """Say whether `principal`, of these bindings, may do this there as of `now`, in microseconds.

    `seen` is where the one who asks may see access: what only wider bindings give is told without naming them.
    """
    need = Need(permission, ScopePattern(scope.project, scope.domain))
    held = holds(principal, need, policy.grants)
    # Of accounts without rights here nobody here learns whether they are.
    shut_out = held and policy.shuts_out(principal.member)
    giving = [
        each
        for each in bindings
        if permission in policy.roles.get(each.role, frozenset())
        and each.pattern.covers(scope)
        and seen.includes(each.pattern)
    ]
    counting = [each for each in giving if (each.expires_at is None or each.expires_at > now) == held]
    return Answer(
        held and not shut_out, tuple(counting), () if held else tuple(_grantors(policy, need, seen)), shut_out
    )


def _grantors(policy: Policy, need: Need, seen: Visible) -> Sequence[str]:
    """Name who holds it there and may bind others there, by bindings that are seen: only who holds it can grant it."""
    shown = Grants(
        {
            member: {at: held for at, held in patterns.items() if seen.includes(ScopePattern(*at))}
            for member, patterns in policy.grants.table.items()
        }
    )
    both = (need, Need(Permission.ACCESS_MANAGE, need.target))
    members = (Principal(member) for member in shown.table)
    found = sorted(
        each.member
        for each in members
        if all(holds(each, one, shown) for one in both) and not policy.shuts_out(each.member)
    )
    return found[:_MOST]
