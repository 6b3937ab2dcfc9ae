from airspace.options.v1 import options_pb2 as _options_pb2
from airspace.type.v1 import identifiers_pb2 as _identifiers_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunAs(_message.Message):
    __slots__ = ("service_accounts", "iam_roles", "default_service_account", "default_iam_role")
    SERVICE_ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    IAM_ROLES_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_SERVICE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_IAM_ROLE_FIELD_NUMBER: _ClassVar[int]
    service_accounts: _containers.RepeatedScalarFieldContainer[str]
    iam_roles: _containers.RepeatedScalarFieldContainer[str]
    default_service_account: str
    default_iam_role: str
    def __init__(self, service_accounts: _Optional[_Iterable[str]] = ..., iam_roles: _Optional[_Iterable[str]] = ..., default_service_account: _Optional[str] = ..., default_iam_role: _Optional[str] = ...) -> None: ...

class GetSettingsRequest(_message.Message):
    __slots__ = ("pattern",)
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    pattern: _identifiers_pb2.ScopePattern
    def __init__(self, pattern: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ...) -> None: ...

class GetSettingsResponse(_message.Message):
    __slots__ = ("own_run_as", "run_as", "run_as_origin")
    OWN_RUN_AS_FIELD_NUMBER: _ClassVar[int]
    RUN_AS_FIELD_NUMBER: _ClassVar[int]
    RUN_AS_ORIGIN_FIELD_NUMBER: _ClassVar[int]
    own_run_as: RunAs
    run_as: RunAs
    run_as_origin: _identifiers_pb2.ScopePattern
    def __init__(self, own_run_as: _Optional[_Union[RunAs, _Mapping]] = ..., run_as: _Optional[_Union[RunAs, _Mapping]] = ..., run_as_origin: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ...) -> None: ...

class UpdateRunAsRequest(_message.Message):
    __slots__ = ("pattern", "run_as")
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    RUN_AS_FIELD_NUMBER: _ClassVar[int]
    pattern: _identifiers_pb2.ScopePattern
    run_as: RunAs
    def __init__(self, pattern: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ..., run_as: _Optional[_Union[RunAs, _Mapping]] = ...) -> None: ...

class UpdateRunAsResponse(_message.Message):
    __slots__ = ("run_as",)
    RUN_AS_FIELD_NUMBER: _ClassVar[int]
    run_as: RunAs
    def __init__(self, run_as: _Optional[_Union[RunAs, _Mapping]] = ...) -> None: ...
