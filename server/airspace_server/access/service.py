"""The front door of airspace.access.v1. The interceptors have authenticated, authorized and validated every call."""

from google.protobuf.timestamp_pb2 import Timestamp

from airspace.access.v1 import access_service_pb2 as pb
from airspace.type.v1 import identifiers_pb2
from airspace_server.access import store
from airspace_server.access.call import Call
from airspace_server.access.issuer import SERVICE_ACCOUNT, create_service_account
from airspace_server.access.rules import number_of, permission_of
from airspace_server.access.store import Binding, PolicyStore
from airspace_server.core.clock import Clock
from airspace_server.core.errors import invalid_field
from airspace_server.core.permissions import BUILT_IN_ROLES, Permission
from airspace_server.core.scope import ScopePattern
from airspace_server.storage.database import Database
from airspace_server.storage.paging import Pager, page_size


class AccessService:
    """Answers each RPC of airspace.access.v1.AccessService. `clock` tells the time, aware of its zone.

    Every change is in force in this process before it is answered.
    """

    def __init__(self, database: Database, policy: PolicyStore, pager: Pager, clock: Clock) -> None:
        self._database = database
        self._policy = policy
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
        del request, call
        return pb.ListRolesResponse(
            roles=[_role(name, permissions) for name, permissions in self._policy.snapshot().roles.items()]
        )

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
        size = page_size(request.page_size)
        query = f"access.bindings\0{call.principal.member}\0{request.member}"
        position = self._pager.position(query, request.page_token)
        with self._database.read() as tx:
            bindings = store.list_bindings(tx, call.restriction(), request.member, position, size + 1)
        page = bindings[:size]
        return pb.ListBindingsResponse(
            bindings=[_binding(binding) for binding in page],
            next_page_token=self._pager.token(query, page[-1].key) if len(bindings) > size else "",
        )

    def CreateBinding(self, request: pb.CreateBindingRequest, call: Call) -> pb.CreateBindingResponse:
        """Bind a member to a role at a pattern."""
        with self._database.write() as tx:
            binding, revision = store.create_binding(
                tx, call.principal, request.member, request.role, _pattern(request.pattern), self._clock()
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
            secret = create_service_account(tx, request.name, call.principal.member, self._clock())
            # Bindings can wait for an account of this name, and who creates it can be it.
            store.require_own_bindings(tx, call.principal, f"{SERVICE_ACCOUNT}:{request.name}")
        self._policy.refresh()
        return pb.CreateServiceAccountResponse(name=request.name, secret=secret)


def _permission(number: int) -> Permission:
    try:
        return permission_of(number)
    except ValueError:
        raise invalid_field("permissions", "must be permissions that this server knows") from None


def _pattern(pattern: identifiers_pb2.ScopePattern) -> ScopePattern:
    return ScopePattern(pattern.project, pattern.domain)


def _role(name: str, permissions: frozenset[Permission]) -> pb.Role:
    numbers = sorted(number_of(permission) for permission in permissions)
    return pb.Role(name=name, permissions=numbers, built_in=name in BUILT_IN_ROLES)


def _binding(binding: Binding) -> pb.Binding:
    created = Timestamp()
    created.FromMicroseconds(binding.created_at)
    return pb.Binding(
        member=binding.member,
        role=binding.role,
        pattern=identifiers_pb2.ScopePattern(project=binding.pattern.project, domain=binding.pattern.domain),
        creator=binding.creator,
        create_time=created,
    )
