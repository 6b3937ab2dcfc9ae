import datetime

from airspace.options.v1 import options_pb2 as _options_pb2
from airspace.type.v1 import identifiers_pb2 as _identifiers_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EntityKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENTITY_KIND_UNSPECIFIED: _ClassVar[EntityKind]
    ENTITY_KIND_TASK: _ClassVar[EntityKind]
    ENTITY_KIND_WORKFLOW: _ClassVar[EntityKind]
    ENTITY_KIND_LAUNCH_PLAN: _ClassVar[EntityKind]
ENTITY_KIND_UNSPECIFIED: EntityKind
ENTITY_KIND_TASK: EntityKind
ENTITY_KIND_WORKFLOW: EntityKind
ENTITY_KIND_LAUNCH_PLAN: EntityKind

class Export(_message.Message):
    __slots__ = ("scope", "kind", "name", "consumer", "creator", "create_time")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    kind: EntityKind
    name: str
    consumer: str
    creator: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., kind: _Optional[_Union[EntityKind, str]] = ..., name: _Optional[str] = ..., consumer: _Optional[str] = ..., creator: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Dependent(_message.Message):
    __slots__ = ("scope", "kind", "name", "version", "uses_version")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    USES_VERSION_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    kind: EntityKind
    name: str
    version: str
    uses_version: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., kind: _Optional[_Union[EntityKind, str]] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., uses_version: _Optional[str] = ...) -> None: ...

class CreateExportRequest(_message.Message):
    __slots__ = ("scope", "kind", "name", "consumer")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    kind: EntityKind
    name: str
    consumer: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., kind: _Optional[_Union[EntityKind, str]] = ..., name: _Optional[str] = ..., consumer: _Optional[str] = ...) -> None: ...

class CreateExportResponse(_message.Message):
    __slots__ = ("export",)
    EXPORT_FIELD_NUMBER: _ClassVar[int]
    export: Export
    def __init__(self, export: _Optional[_Union[Export, _Mapping]] = ...) -> None: ...

class ListExportsRequest(_message.Message):
    __slots__ = ("scope", "page_size", "page_token")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    page_size: int
    page_token: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListExportsResponse(_message.Message):
    __slots__ = ("exports", "next_page_token")
    EXPORTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    exports: _containers.RepeatedCompositeFieldContainer[Export]
    next_page_token: str
    def __init__(self, exports: _Optional[_Iterable[_Union[Export, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteExportRequest(_message.Message):
    __slots__ = ("scope", "kind", "name", "consumer")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    kind: EntityKind
    name: str
    consumer: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., kind: _Optional[_Union[EntityKind, str]] = ..., name: _Optional[str] = ..., consumer: _Optional[str] = ...) -> None: ...

class DeleteExportResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListDependentsRequest(_message.Message):
    __slots__ = ("scope", "kind", "name", "version", "page_size", "page_token")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    kind: EntityKind
    name: str
    version: str
    page_size: int
    page_token: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., kind: _Optional[_Union[EntityKind, str]] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDependentsResponse(_message.Message):
    __slots__ = ("dependents", "next_page_token")
    DEPENDENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    dependents: _containers.RepeatedCompositeFieldContainer[Dependent]
    next_page_token: str
    def __init__(self, dependents: _Optional[_Iterable[_Union[Dependent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
