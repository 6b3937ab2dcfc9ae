import datetime

from airspace.options.v1 import options_pb2 as _options_pb2
from airspace.type.v1 import identifiers_pb2 as _identifiers_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(_message.Message):
    __slots__ = ("name", "permissions", "built_in")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
    BUILT_IN_FIELD_NUMBER: _ClassVar[int]
    name: str
    permissions: _containers.RepeatedScalarFieldContainer[_options_pb2.Permission]
    built_in: bool
    def __init__(self, name: _Optional[str] = ..., permissions: _Optional[_Iterable[_Union[_options_pb2.Permission, str]]] = ..., built_in: _Optional[bool] = ...) -> None: ...

class Binding(_message.Message):
    __slots__ = ("member", "role", "pattern", "creator", "create_time", "expire_time")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    member: str
    role: str
    pattern: _identifiers_pb2.ScopePattern
    creator: str
    create_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, member: _Optional[str] = ..., role: _Optional[str] = ..., pattern: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ..., creator: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ServiceAccount(_message.Message):
    __slots__ = ("name", "disabled", "creator", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    disabled: bool
    creator: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., disabled: _Optional[bool] = ..., creator: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class WhoAmIRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WhoAmIResponse(_message.Message):
    __slots__ = ("principal", "groups", "bindings")
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    BINDINGS_FIELD_NUMBER: _ClassVar[int]
    principal: str
    groups: _containers.RepeatedScalarFieldContainer[str]
    bindings: _containers.RepeatedCompositeFieldContainer[Binding]
    def __init__(self, principal: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ..., bindings: _Optional[_Iterable[_Union[Binding, _Mapping]]] = ...) -> None: ...

class ListRolesRequest(_message.Message):
    __slots__ = ("min_revision",)
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    min_revision: int
    def __init__(self, min_revision: _Optional[int] = ...) -> None: ...

class ListRolesResponse(_message.Message):
    __slots__ = ("roles",)
    ROLES_FIELD_NUMBER: _ClassVar[int]
    roles: _containers.RepeatedCompositeFieldContainer[Role]
    def __init__(self, roles: _Optional[_Iterable[_Union[Role, _Mapping]]] = ...) -> None: ...

class CreateRoleRequest(_message.Message):
    __slots__ = ("name", "permissions")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    permissions: _containers.RepeatedScalarFieldContainer[_options_pb2.Permission]
    def __init__(self, name: _Optional[str] = ..., permissions: _Optional[_Iterable[_Union[_options_pb2.Permission, str]]] = ...) -> None: ...

class CreateRoleResponse(_message.Message):
    __slots__ = ("role", "revision")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    role: Role
    revision: int
    def __init__(self, role: _Optional[_Union[Role, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class DeleteRoleRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteRoleResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class ListBindingsRequest(_message.Message):
    __slots__ = ("member", "page_size", "page_token", "min_revision")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    member: str
    page_size: int
    page_token: str
    min_revision: int
    def __init__(self, member: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., min_revision: _Optional[int] = ...) -> None: ...

class ListBindingsResponse(_message.Message):
    __slots__ = ("bindings", "next_page_token")
    BINDINGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    bindings: _containers.RepeatedCompositeFieldContainer[Binding]
    next_page_token: str
    def __init__(self, bindings: _Optional[_Iterable[_Union[Binding, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateBindingRequest(_message.Message):
    __slots__ = ("member", "role", "pattern", "expire_time")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    member: str
    role: str
    pattern: _identifiers_pb2.ScopePattern
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, member: _Optional[str] = ..., role: _Optional[str] = ..., pattern: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateBindingResponse(_message.Message):
    __slots__ = ("binding", "revision")
    BINDING_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    binding: Binding
    revision: int
    def __init__(self, binding: _Optional[_Union[Binding, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class DeleteBindingRequest(_message.Message):
    __slots__ = ("member", "role", "pattern")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    member: str
    role: str
    pattern: _identifiers_pb2.ScopePattern
    def __init__(self, member: _Optional[str] = ..., role: _Optional[str] = ..., pattern: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ...) -> None: ...

class DeleteBindingResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class CreateServiceAccountRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class CreateServiceAccountResponse(_message.Message):
    __slots__ = ("name", "secret", "revision")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    secret: str
    revision: int
    def __init__(self, name: _Optional[str] = ..., secret: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class ListServiceAccountsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListServiceAccountsResponse(_message.Message):
    __slots__ = ("service_accounts", "next_page_token")
    SERVICE_ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    service_accounts: _containers.RepeatedCompositeFieldContainer[ServiceAccount]
    next_page_token: str
    def __init__(self, service_accounts: _Optional[_Iterable[_Union[ServiceAccount, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RotateServiceAccountSecretRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RotateServiceAccountSecretResponse(_message.Message):
    __slots__ = ("name", "secret", "revision")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    secret: str
    revision: int
    def __init__(self, name: _Optional[str] = ..., secret: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class DisableServiceAccountRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DisableServiceAccountResponse(_message.Message):
    __slots__ = ("service_account", "revision")
    SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    service_account: ServiceAccount
    revision: int
    def __init__(self, service_account: _Optional[_Union[ServiceAccount, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class EnableServiceAccountRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class EnableServiceAccountResponse(_message.Message):
    __slots__ = ("service_account", "revision")
    SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    service_account: ServiceAccount
    revision: int
    def __init__(self, service_account: _Optional[_Union[ServiceAccount, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class TestAccessRequest(_message.Message):
    __slots__ = ("member", "groups", "permission", "scope", "min_revision")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    PERMISSION_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    member: str
    groups: _containers.RepeatedScalarFieldContainer[str]
    permission: _options_pb2.Permission
    scope: _identifiers_pb2.Scope
    min_revision: int
    def __init__(self, member: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ..., permission: _Optional[_Union[_options_pb2.Permission, str]] = ..., scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class TestAccessResponse(_message.Message):
    __slots__ = ("allowed", "bindings", "could_grant", "shut_out", "revision")
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    BINDINGS_FIELD_NUMBER: _ClassVar[int]
    COULD_GRANT_FIELD_NUMBER: _ClassVar[int]
    SHUT_OUT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    allowed: bool
    bindings: _containers.RepeatedCompositeFieldContainer[Binding]
    could_grant: _containers.RepeatedScalarFieldContainer[str]
    shut_out: bool
    revision: int
    def __init__(self, allowed: _Optional[bool] = ..., bindings: _Optional[_Iterable[_Union[Binding, _Mapping]]] = ..., could_grant: _Optional[_Iterable[str]] = ..., shut_out: _Optional[bool] = ..., revision: _Optional[int] = ...) -> None: ...

class BindingChange(_message.Message):
    __slots__ = ("member", "role", "pattern")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    member: str
    role: str
    pattern: _identifiers_pb2.ScopePattern
    def __init__(self, member: _Optional[str] = ..., role: _Optional[str] = ..., pattern: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ...) -> None: ...

class PreviewPolicyRequest(_message.Message):
    __slots__ = ("create", "remove", "days")
    CREATE_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    create: _containers.RepeatedCompositeFieldContainer[BindingChange]
    remove: _containers.RepeatedCompositeFieldContainer[BindingChange]
    days: int
    def __init__(self, create: _Optional[_Iterable[_Union[BindingChange, _Mapping]]] = ..., remove: _Optional[_Iterable[_Union[BindingChange, _Mapping]]] = ..., days: _Optional[int] = ...) -> None: ...

class FlippedCalls(_message.Message):
    __slots__ = ("member", "method", "permission", "pattern", "calls", "last_hour", "allowed")
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PERMISSION_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    LAST_HOUR_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    member: str
    method: str
    permission: _options_pb2.Permission
    pattern: _identifiers_pb2.ScopePattern
    calls: int
    last_hour: _timestamp_pb2.Timestamp
    allowed: bool
    def __init__(self, member: _Optional[str] = ..., method: _Optional[str] = ..., permission: _Optional[_Union[_options_pb2.Permission, str]] = ..., pattern: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ..., calls: _Optional[int] = ..., last_hour: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., allowed: _Optional[bool] = ...) -> None: ...

class PreviewPolicyResponse(_message.Message):
    __slots__ = ("flipped", "total")
    FLIPPED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    flipped: _containers.RepeatedCompositeFieldContainer[FlippedCalls]
    total: int
    def __init__(self, flipped: _Optional[_Iterable[_Union[FlippedCalls, _Mapping]]] = ..., total: _Optional[int] = ...) -> None: ...
