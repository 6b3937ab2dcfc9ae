from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Permission(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PERMISSION_UNSPECIFIED: _ClassVar[Permission]
    PERMISSION_PROJECT_CREATE: _ClassVar[Permission]
    PERMISSION_PROJECT_VIEW: _ClassVar[Permission]
    PERMISSION_PROJECT_UPDATE: _ClassVar[Permission]
    PERMISSION_PROJECT_ARCHIVE: _ClassVar[Permission]
    PERMISSION_REGISTRY_VIEW: _ClassVar[Permission]
    PERMISSION_REGISTRY_REGISTER: _ClassVar[Permission]
    PERMISSION_REGISTRY_UPDATE: _ClassVar[Permission]
    PERMISSION_LAUNCHPLAN_ACTIVATE: _ClassVar[Permission]
    PERMISSION_EXECUTION_VIEW: _ClassVar[Permission]
    PERMISSION_EXECUTION_LAUNCH: _ClassVar[Permission]
    PERMISSION_EXECUTION_TERMINATE: _ClassVar[Permission]
    PERMISSION_EXECUTION_SIGNAL: _ClassVar[Permission]
    PERMISSION_ARTIFACT_READ: _ClassVar[Permission]
    PERMISSION_ARTIFACT_WRITE: _ClassVar[Permission]
    PERMISSION_SETTINGS_VIEW: _ClassVar[Permission]
    PERMISSION_SETTINGS_UPDATE: _ClassVar[Permission]
    PERMISSION_ACCESS_VIEW: _ClassVar[Permission]
    PERMISSION_ACCESS_MANAGE: _ClassVar[Permission]
    PERMISSION_PROMOTION_PROMOTE: _ClassVar[Permission]
    PERMISSION_EXPORT_MANAGE: _ClassVar[Permission]
    PERMISSION_AUDIT_VIEW: _ClassVar[Permission]
    PERMISSION_PROMOTION_OVERRIDE: _ClassVar[Permission]

class Guard(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GUARD_UNSPECIFIED: _ClassVar[Guard]
    GUARD_REQUIRE: _ClassVar[Guard]
    GUARD_AUTHENTICATED: _ClassVar[Guard]
    GUARD_FILTERED: _ClassVar[Guard]
    GUARD_PUBLIC: _ClassVar[Guard]

class Format(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FORMAT_UNSPECIFIED: _ClassVar[Format]
    FORMAT_PROJECT: _ClassVar[Format]
    FORMAT_DOMAIN: _ClassVar[Format]
    FORMAT_ENTITY: _ClassVar[Format]
    FORMAT_VERSION: _ClassVar[Format]
    FORMAT_EXECUTION: _ClassVar[Format]
    FORMAT_UUID: _ClassVar[Format]
    FORMAT_MEMBER: _ClassVar[Format]
    FORMAT_ACCOUNT: _ClassVar[Format]
    FORMAT_PROJECT_OR_ANY: _ClassVar[Format]
    FORMAT_DOMAIN_OR_ANY: _ClassVar[Format]
    FORMAT_ENTITY_OR_ANY: _ClassVar[Format]
    FORMAT_OTHER_PROJECT: _ClassVar[Format]
PERMISSION_UNSPECIFIED: Permission
PERMISSION_PROJECT_CREATE: Permission
PERMISSION_PROJECT_VIEW: Permission
PERMISSION_PROJECT_UPDATE: Permission
PERMISSION_PROJECT_ARCHIVE: Permission
PERMISSION_REGISTRY_VIEW: Permission
PERMISSION_REGISTRY_REGISTER: Permission
PERMISSION_REGISTRY_UPDATE: Permission
PERMISSION_LAUNCHPLAN_ACTIVATE: Permission
PERMISSION_EXECUTION_VIEW: Permission
PERMISSION_EXECUTION_LAUNCH: Permission
PERMISSION_EXECUTION_TERMINATE: Permission
PERMISSION_EXECUTION_SIGNAL: Permission
PERMISSION_ARTIFACT_READ: Permission
PERMISSION_ARTIFACT_WRITE: Permission
PERMISSION_SETTINGS_VIEW: Permission
PERMISSION_SETTINGS_UPDATE: Permission
PERMISSION_ACCESS_VIEW: Permission
PERMISSION_ACCESS_MANAGE: Permission
PERMISSION_PROMOTION_PROMOTE: Permission
PERMISSION_EXPORT_MANAGE: Permission
PERMISSION_AUDIT_VIEW: Permission
PERMISSION_PROMOTION_OVERRIDE: Permission
GUARD_UNSPECIFIED: Guard
GUARD_REQUIRE: Guard
GUARD_AUTHENTICATED: Guard
GUARD_FILTERED: Guard
GUARD_PUBLIC: Guard
FORMAT_UNSPECIFIED: Format
FORMAT_PROJECT: Format
FORMAT_DOMAIN: Format
FORMAT_ENTITY: Format
FORMAT_VERSION: Format
FORMAT_EXECUTION: Format
FORMAT_UUID: Format
FORMAT_MEMBER: Format
FORMAT_ACCOUNT: Format
FORMAT_PROJECT_OR_ANY: Format
FORMAT_DOMAIN_OR_ANY: Format
FORMAT_ENTITY_OR_ANY: Format
FORMAT_OTHER_PROJECT: Format
AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
authorization: _descriptor.FieldDescriptor
RULES_FIELD_NUMBER: _ClassVar[int]
rules: _descriptor.FieldDescriptor

class Requirement(_message.Message):
    __slots__ = ("permission", "scope", "project", "any_domain_of", "pattern", "server", "exported")
    PERMISSION_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    ANY_DOMAIN_OF_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    EXPORTED_FIELD_NUMBER: _ClassVar[int]
    permission: Permission
    scope: str
    project: str
    any_domain_of: str
    pattern: str
    server: bool
    exported: bool
    def __init__(self, permission: _Optional[_Union[Permission, str]] = ..., scope: _Optional[str] = ..., project: _Optional[str] = ..., any_domain_of: _Optional[str] = ..., pattern: _Optional[str] = ..., server: _Optional[bool] = ..., exported: _Optional[bool] = ...) -> None: ...

class Authorization(_message.Message):
    __slots__ = ("guard", "require", "filter")
    GUARD_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    guard: Guard
    require: _containers.RepeatedCompositeFieldContainer[Requirement]
    filter: Permission
    def __init__(self, guard: _Optional[_Union[Guard, str]] = ..., require: _Optional[_Iterable[_Union[Requirement, _Mapping]]] = ..., filter: _Optional[_Union[Permission, str]] = ...) -> None: ...

class Rules(_message.Message):
    __slots__ = ("required", "format", "max")
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    required: bool
    format: Format
    max: int
    def __init__(self, required: _Optional[bool] = ..., format: _Optional[_Union[Format, str]] = ..., max: _Optional[int] = ...) -> None: ...
