"""The front door of airspace.access.v1. The interceptors have authenticated, authorized and validated every call."""

from collections.abc import Sequence
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from airspace.access.v1 import access_service_pb2 as pb
from airspace.type.v1 import identifiers_pb2
from airspace_server.access import accounts, store
from airspace_server.access.accounts import ServiceAccount
from airspace_server.access.call import Call
from airspace_server.access.decide import visible
from airspace_server.access.explain import explain
from airspace_server.access.identity import Principal, service_account
from airspace_server.access.messages import scope_of, timestamp
from airspace_server.access.policy import FOREVER, PolicyStore
from airspace_server.access.preview import Flip, flips
from airspace_server.access.rules import number_of, permission_of
from airspace_server.access.store import Binding
from airspace_server.access.usage import HOUR, Usage
from airspace_server.core import names
from airspace_server.core.clock import MICROSECONDS, Clock
from airspace_server.core.errors import invalid_field
from airspace_server.core.permissions import BUILT_IN_ROLES, Permission
from airspace_server.core.scope import ScopePattern
from airspace_server.storage.database import Database
from airspace_server.storage.paging import Pager, page_size

_DAYS: Final = 7
_MAX_DAYS: Final = 30
_MOST_FLIPS: Final = 1_000


class AccessService:
    """Answers each RPC of airspace.access.v1.AccessService. `clock` tells the time, aware of its zone.

    Every change is in force in this process before it is answered.
    """

    def __init__(self, database: Database, policy: PolicyStore, usage: Usage, pager: Pager, clock: Clock) -> None:
        self._database = database
        self._policy = policy
        self._usage = usage
        self._pager = pager
        self._clock = clock

    def WhoAmI(self, request: pb.WhoAmIRequest, call: Call) -> pb.WhoAmIResponse:
        """Tell the caller who it is and what it is bound to."""
        del request
        with self._database.read() as tx:
            bindings = store.bindings_of(tx, call.principal)
        return pb.WhoAmIResponse(
            principal=call.principal.member,
            groups=sorted(call.principal.groups),
            bindings=[_binding(binding) for binding in bindings],
        )

    def ListRoles(self, request: pb.ListRolesRequest, call: Call) -> pb.ListRolesResponse:
        """List the roles, built-in ones first, then by name."""
        del call
        policy = self._policy.at_least(request.min_revision)
        return pb.ListRolesResponse(roles=[_role(name, permissions) for name, permissions in policy.roles.items()])

    def CreateRole(self, request: pb.CreateRoleRequest, call: Call) -> pb.CreateRoleResponse:
        """Create a role of the operator's own."""
        permissions = frozenset(_permission(number) for number in request.permissions)
        with self._database.write() as tx:
            revision = store.create_role(tx, call.principal, request.name, permissions, self._clock())
        self._policy.refresh()
        return pb.CreateRoleResponse(role=_role(request.name, permissions), revision=revision)

    def DeleteRole(self, request: pb.DeleteRoleRequest, call: Call) -> pb.DeleteRoleResponse:
        """Delete a role of the operator's own."""
        del call
        with self._database.write() as tx:
            revision = store.delete_role(tx, request.name)
        self._policy.refresh()
        return pb.DeleteRoleResponse(revision=revision)

    def ListBindings(self, request: pb.ListBindingsRequest, call: Call) -> pb.ListBindingsResponse:
        """List the bindings whose whole pattern lies where the caller may see access."""
        self._policy.at_least(request.min_revision)
        size = page_size(request.page_size)
        query = f"access.bindings\0{call.principal.member}\0{request.member}"
        position = self._pager.position(query, request.page_token)
        with self._database.read() as tx:
            found, end = store.list_bindings(tx, call.restriction(), request.member, position, size)
        token = self._pager.token(query, end) if end else ""
        return pb.ListBindingsResponse(bindings=map(_binding, found), next_page_token=token)

    def CreateBinding(self, request: pb.CreateBindingRequest, call: Call) -> pb.CreateBindingResponse:
        """Bind a member to a role at a pattern."""
        now = self._clock()
        expires_at = _expiry(request.expire_time, now) if request.HasField("expire_time") else None
        with self._database.write() as tx:
            binding, revision = store.create_binding(
                tx, call.principal, request.member, request.role, _pattern(request.pattern), now, expires_at
            )
        self._policy.refresh()
        return pb.CreateBindingResponse(binding=_binding(binding), revision=revision)

    def DeleteBinding(self, request: pb.DeleteBindingRequest, call: Call) -> pb.DeleteBindingResponse:
        """Remove a binding."""
        del call
        with self._database.write() as tx:
            revision = store.delete_binding(tx, request.member, request.role, _pattern(request.pattern))
        self._policy.refresh()
        return pb.DeleteBindingResponse(revision=revision)

    def CreateServiceAccount(
        self, request: pb.CreateServiceAccountRequest, call: Call
    ) -> pb.CreateServiceAccountResponse:
        """Create a service account and show its secret, this once."""
        with self._database.write() as tx:
            secret, revision = accounts.create_service_account(tx, request.name, call.principal.member, self._clock())
            # Bindings can wait for an account of this name, and who creates it can be it.
            store.require_own_bindings(tx, call.principal, service_account(request.name))
        self._policy.refresh()
        return pb.CreateServiceAccountResponse(name=request.name, secret=secret, revision=revision)

    def ListServiceAccounts(
        self, request: pb.ListServiceAccountsRequest, _call: Call
    ) -> pb.ListServiceAccountsResponse:
        """List the service accounts, by name."""
        query = "access.service-accounts"
        position = self._pager.position(query, request.page_token)
        size = page_size(request.page_size)
        with self._database.read() as tx:
            found, end = accounts.list_accounts(tx, position, size)
        token = self._pager.token(query, end) if end else ""
        return pb.ListServiceAccountsResponse(service_accounts=map(_account, found), next_page_token=token)

    def RotateServiceAccountSecret(
        self, request: pb.RotateServiceAccountSecretRequest, call: Call
    ) -> pb.RotateServiceAccountSecretResponse:
        """Give a service account a new secret and show it, this once."""
        with self._database.write() as tx:
            secret, revision = accounts.rotate_secret(tx, call.principal, request.name)
        self._policy.refresh()
        return pb.RotateServiceAccountSecretResponse(name=request.name, secret=secret, revision=revision)

    def DisableServiceAccount(
        self, request: pb.DisableServiceAccountRequest, _call: Call
    ) -> pb.DisableServiceAccountResponse:
        """Disable a service account."""
        with self._database.write() as tx:
            account, revision = accounts.disable(tx, request.name)
        self._policy.refresh()
        return pb.DisableServiceAccountResponse(service_account=_account(account), revision=revision)

    def EnableServiceAccount(
        self, request: pb.EnableServiceAccountRequest, call: Call
    ) -> pb.EnableServiceAccountResponse:
        """Enable a service account."""
        with self._database.write() as tx:
            account, revision = accounts.enable(tx, call.principal, request.name)
        self._policy.refresh()
        return pb.EnableServiceAccountResponse(service_account=_account(account), revision=revision)

    def PreviewPolicy(self, request: pb.PreviewPolicyRequest, _call: Call) -> pb.PreviewPolicyResponse:
        """Tell which calls of the last days would have been answered otherwise."""
        if not 0 <= request.days <= _MAX_DAYS:
            raise invalid_field("days", f"must be 0 to {_MAX_DAYS}")
        now = self._clock()
        create, remove = _wanted(request.create, "create"), _wanted(request.remove, "remove")
        with self._database.read() as tx:
            before, after = store.with_changes(tx, create, remove, now)
        first_hour = now // HOUR - (request.days or _DAYS) * 24
        found = flips(self._usage.since(first_hour), before, after)
        return pb.PreviewPolicyResponse(flipped=map(_flip, found[:_MOST_FLIPS]), total=len(found))

    def TestAccess(self, request: pb.TestAccessRequest, call: Call) -> pb.TestAccessResponse:
        """Tell whether a member may do something in a scope, and why. Only of what the caller may see."""
        for place, group in enumerate(request.groups):
            problem = names.member(group)
            if problem or not group.startswith("group:"):
                raise invalid_field(f"groups[{place}]", problem or "must be group:ID")
        try:
            permission = permission_of(request.permission)
        except ValueError:
            raise invalid_field("permission", "must be a permission that this server knows") from None
        policy = self._policy.at_least(request.min_revision)
        principal = Principal(request.member, frozenset(request.groups))
        with self._database.read() as tx:
            bindings = store.bindings_of(tx, principal)
        seen = visible(call.principal, Permission.ACCESS_VIEW, policy.grants)
        answer = explain(policy, principal, bindings, permission, scope_of(request.scope), self._clock(), seen)
        return pb.TestAccessResponse(
            allowed=answer.allowed,
            bindings=map(_binding, answer.bindings),
            could_grant=answer.could_grant,
            shut_out=answer.shut_out,
            revision=policy.revision,
        )


def _permission(number: int) -> Permission:
    try:
        return permission_of(number)
    except ValueError:
        raise invalid_field("permissions", "must be permissions that this server knows") from None


def _wanted(changes: Sequence[pb.BindingChange], field: str) -> list[Binding]:
    """Read bindings that would be made or removed. Rules of the contract do not reach into lists: this does."""
    wanted = []
    for place, change in enumerate(changes):
        for name, problem in (
            ("member", names.member(change.member)),
            ("role", names.account(change.role)),
            ("pattern.project", names.project_or_any(change.pattern.project)),
            ("pattern.domain", names.domain_or_any(change.pattern.domain)),
        ):
            if problem:
                raise invalid_field(f"{field}[{place}].{name}", problem)
        wanted.append(Binding(change.member, change.role, _pattern(change.pattern), "", 0))
    return wanted


def _flip(flip: Flip) -> pb.FlippedCalls:
    target = flip.need.target
    return pb.FlippedCalls(
        member=flip.member,
        method=flip.method,
        permission=number_of(flip.need.permission),
        pattern=identifiers_pb2.ScopePattern(project=target.project, domain=target.domain),
        calls=flip.calls,
        last_hour=timestamp(flip.last_hour * HOUR),
        allowed=flip.allowed,
    )


def _expiry(stamp: Timestamp, now: int) -> int:
    at = stamp.seconds * MICROSECONDS + stamp.nanos // 1_000
    if not now < at < FOREVER:
        raise invalid_field("expire_time", "must be in the future")
    return at


def _account(account: ServiceAccount) -> pb.ServiceAccount:
    return pb.ServiceAccount(
        name=account.name,
        disabled=account.disabled,
        creator=account.creator,
        create_time=timestamp(account.created_at),
    )


def _pattern(pattern: identifiers_pb2.ScopePattern) -> ScopePattern:
    return ScopePattern(pattern.project, pattern.domain)


def _role(name: str, permissions: frozenset[Permission]) -> pb.Role:
    numbers = sorted(number_of(permission) for permission in permissions)
    return pb.Role(name=name, permissions=numbers, built_in=name in BUILT_IN_ROLES)


def _binding(binding: Binding) -> pb.Binding:
    return pb.Binding(
        member=binding.member,
        role=binding.role,
        pattern=identifiers_pb2.ScopePattern(project=binding.pattern.project, domain=binding.pattern.domain),
        creator=binding.creator,
        create_time=timestamp(binding.created_at),
        expire_time=None if binding.expires_at is None else timestamp(binding.expires_at),
    )
