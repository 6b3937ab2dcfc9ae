"""Who may do what."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from airspace.access.v1 import access_service_pb2 as pb
from airspace.type.v1.identifiers_pb2 import ScopePattern
from airspace_client import _wire
from airspace_client._model import (
    AccessAnswer,
    Binding,
    FlippedCalls,
    Identity,
    Role,
    ServiceAccount,
    ServiceAccountSecret,
)
from airspace_client._service import Service


class Access:
    """Roles, bindings and service accounts. In bindings, "*" stands for every project or every domain."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def who_am_i(self) -> Identity:
        """Return who the caller is and what it is bound to."""
        response: pb.WhoAmIResponse = self._service.call("WhoAmI", pb.WhoAmIRequest())
        return _wire.identity(response)

    def list_roles(self) -> tuple[Role, ...]:
        """Return the roles, built-in ones first, then by name."""
        response: pb.ListRolesResponse = self._service.call("ListRoles", pb.ListRolesRequest())
        return tuple(map(_wire.role, response.roles))

    def create_role(self, name: str, permissions: Sequence[str]) -> Role:
        """Create a role of permissions like "execution.launch", each of which the caller must hold everywhere."""
        request = pb.CreateRoleRequest(name=name, permissions=_wire.permission_names(permissions))
        response: pb.CreateRoleResponse = self._service.call("CreateRole", request)
        return _wire.role(response.role)

    def delete_role(self, name: str) -> None:
        """Delete a role of one's own. Raises FailedPrecondition while a binding uses it."""
        self._service.call("DeleteRole", pb.DeleteRoleRequest(name=name))

    def list_bindings(self, *, member: str = "") -> Iterator[Binding]:
        """Yield the bindings that the caller may see, or only those of one member, by member."""
        request = pb.ListBindingsRequest(member=member)
        return map(_wire.binding, self._service.pages("ListBindings", request, "bindings"))

    def create_binding(
        self, member: str, role: str, *, project: str, domain: str, expires: datetime | None = None
    ) -> Binding:
        """Bind a member ("user:ID", "group:ID", "service-account:ID") to a role, for good or until `expires`.

        One that exists is returned. Raises AlreadyExists for one that has another expiry.
        """
        pattern = ScopePattern(project=project, domain=domain)
        request = pb.CreateBindingRequest(member=member, role=role, pattern=pattern, expire_time=_wire.stamp(expires))
        response: pb.CreateBindingResponse = self._service.call("CreateBinding", request)
        return _wire.binding(response.binding)

    def delete_binding(self, member: str, role: str, *, project: str, domain: str) -> None:
        """Remove a binding. Raises NotFound when there is none."""
        pattern = ScopePattern(project=project, domain=domain)
        self._service.call("DeleteBinding", pb.DeleteBindingRequest(member=member, role=role, pattern=pattern))

    def create_service_account(self, name: str) -> ServiceAccountSecret:
        """Create a service account and return its secret, which is never shown again."""
        request = pb.CreateServiceAccountRequest(name=name)
        response: pb.CreateServiceAccountResponse = self._service.call("CreateServiceAccount", request)
        return _wire.service_account_secret(response)

    def list_service_accounts(self) -> Iterator[ServiceAccount]:
        """Yield the service accounts, by name."""
        request = pb.ListServiceAccountsRequest()
        return map(_wire.service_account, self._service.pages("ListServiceAccounts", request, "service_accounts"))

    def rotate_service_account_secret(self, name: str) -> ServiceAccountSecret:
        """Give an account a new secret. The old one and the tokens that it brought are worth nothing from then on."""
        request = pb.RotateServiceAccountSecretRequest(name=name)
        response: pb.RotateServiceAccountSecretResponse = self._service.call("RotateServiceAccountSecret", request)
        return _wire.service_account_secret(response)

    def disable_service_account(self, name: str) -> ServiceAccount:
        """Shut an account out. Raises FailedPrecondition for the last administrator."""
        request = pb.DisableServiceAccountRequest(name=name)
        response: pb.DisableServiceAccountResponse = self._service.call("DisableServiceAccount", request)
        return _wire.service_account(response.service_account)

    def enable_service_account(self, name: str) -> ServiceAccount:
        """Let an account in again, with the secret that it had."""
        request = pb.EnableServiceAccountRequest(name=name)
        response: pb.EnableServiceAccountResponse = self._service.call("EnableServiceAccount", request)
        return _wire.service_account(response.service_account)

    def preview(
        self,
        *,
        create: Sequence[tuple[str, str, str, str]] = (),
        remove: Sequence[tuple[str, str, str, str]] = (),
        days: int = 7,
    ) -> tuple[FlippedCalls, ...]:
        """Return the calls of the last days that would have been answered otherwise, the most frequent first.

        Bindings to create and to remove are (member, role, project, domain). Nothing is changed. At most 1000.
        """
        request = pb.PreviewPolicyRequest(create=map(_change, create), remove=map(_change, remove), days=days)
        response: pb.PreviewPolicyResponse = self._service.call("PreviewPolicy", request)
        return tuple(map(_wire.flipped_calls, response.flipped))

    def test(
        self, member: str, permission: str, *, project: str, domain: str, groups: Sequence[str] = ()
    ) -> AccessAnswer:
        """Return whether a member may do something like "execution.launch" there, and why or who could let it.

        `groups` ("group:ID") are those that its token would name.
        """
        (name,) = _wire.permission_names([permission])
        scope = _wire.scope(project, domain)
        request = pb.TestAccessRequest(member=member, groups=groups, permission=name, scope=scope)
        response: pb.TestAccessResponse = self._service.call("TestAccess", request)
        return _wire.access_answer(response)


def _change(binding: tuple[str, str, str, str]) -> pb.BindingChange:
    member, role, project, domain = binding
    return pb.BindingChange(member=member, role=role, pattern=ScopePattern(project=project, domain=domain))
