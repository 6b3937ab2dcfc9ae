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

class PromotedKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROMOTED_KIND_UNSPECIFIED: _ClassVar[PromotedKind]
    PROMOTED_KIND_TASK: _ClassVar[PromotedKind]
    PROMOTED_KIND_WORKFLOW: _ClassVar[PromotedKind]
    PROMOTED_KIND_LAUNCH_PLAN: _ClassVar[PromotedKind]

class PromotionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROMOTION_STATE_UNSPECIFIED: _ClassVar[PromotionState]
    PROMOTION_STATE_PENDING: _ClassVar[PromotionState]
    PROMOTION_STATE_PROMOTED: _ClassVar[PromotionState]
    PROMOTION_STATE_REJECTED: _ClassVar[PromotionState]
    PROMOTION_STATE_EXPIRED: _ClassVar[PromotionState]

class EntryState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENTRY_STATE_UNSPECIFIED: _ClassVar[EntryState]
    ENTRY_STATE_NEW: _ClassVar[EntryState]
    ENTRY_STATE_SAME: _ClassVar[EntryState]
    ENTRY_STATE_DIFFERENT: _ClassVar[EntryState]
    ENTRY_STATE_MISSING: _ClassVar[EntryState]

class DifferenceKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIFFERENCE_KIND_UNSPECIFIED: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_ADDED: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_REMOVED: _ClassVar[DifferenceKind]
    DIFFERENCE_KIND_CHANGED: _ClassVar[DifferenceKind]
PROMOTED_KIND_UNSPECIFIED: PromotedKind
PROMOTED_KIND_TASK: PromotedKind
PROMOTED_KIND_WORKFLOW: PromotedKind
PROMOTED_KIND_LAUNCH_PLAN: PromotedKind
PROMOTION_STATE_UNSPECIFIED: PromotionState
PROMOTION_STATE_PENDING: PromotionState
PROMOTION_STATE_PROMOTED: PromotionState
PROMOTION_STATE_REJECTED: PromotionState
PROMOTION_STATE_EXPIRED: PromotionState
ENTRY_STATE_UNSPECIFIED: EntryState
ENTRY_STATE_NEW: EntryState
ENTRY_STATE_SAME: EntryState
ENTRY_STATE_DIFFERENT: EntryState
ENTRY_STATE_MISSING: EntryState
DIFFERENCE_KIND_UNSPECIFIED: DifferenceKind
DIFFERENCE_KIND_ADDED: DifferenceKind
DIFFERENCE_KIND_REMOVED: DifferenceKind
DIFFERENCE_KIND_CHANGED: DifferenceKind

class Entry(_message.Message):
    __slots__ = ("kind", "project", "name", "version", "source_digest", "digest", "state")
    KIND_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    kind: PromotedKind
    project: str
    name: str
    version: str
    source_digest: str
    digest: str
    state: EntryState
    def __init__(self, kind: _Optional[_Union[PromotedKind, str]] = ..., project: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., source_digest: _Optional[str] = ..., digest: _Optional[str] = ..., state: _Optional[_Union[EntryState, str]] = ...) -> None: ...

class Difference(_message.Message):
    __slots__ = ("kind", "name", "difference", "active_version", "promoted_version")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_VERSION_FIELD_NUMBER: _ClassVar[int]
    PROMOTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    kind: PromotedKind
    name: str
    difference: DifferenceKind
    active_version: str
    promoted_version: str
    def __init__(self, kind: _Optional[_Union[PromotedKind, str]] = ..., name: _Optional[str] = ..., difference: _Optional[_Union[DifferenceKind, str]] = ..., active_version: _Optional[str] = ..., promoted_version: _Optional[str] = ...) -> None: ...

class Gate(_message.Message):
    __slots__ = ("name", "passed", "message")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    passed: bool
    message: str
    def __init__(self, name: _Optional[str] = ..., passed: _Optional[bool] = ..., message: _Optional[str] = ...) -> None: ...

class Approval(_message.Message):
    __slots__ = ("principal", "comment", "time")
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    principal: str
    comment: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, principal: _Optional[str] = ..., comment: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Promotion(_message.Message):
    __slots__ = ("scope", "name", "source_domain", "kind", "entity", "version", "activate", "state", "requester", "comment", "gates", "approvals", "entries", "artifacts", "overridden", "decider", "decision_comment", "create_time", "expire_time", "decide_time")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ACTIVATE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REQUESTER_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    GATES_FIELD_NUMBER: _ClassVar[int]
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    OVERRIDDEN_FIELD_NUMBER: _ClassVar[int]
    DECIDER_FIELD_NUMBER: _ClassVar[int]
    DECISION_COMMENT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    DECIDE_TIME_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    name: str
    source_domain: str
    kind: PromotedKind
    entity: str
    version: str
    activate: bool
    state: PromotionState
    requester: str
    comment: str
    gates: _containers.RepeatedCompositeFieldContainer[Gate]
    approvals: _containers.RepeatedCompositeFieldContainer[Approval]
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    artifacts: _containers.RepeatedScalarFieldContainer[str]
    overridden: bool
    decider: str
    decision_comment: str
    create_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    decide_time: _timestamp_pb2.Timestamp
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., name: _Optional[str] = ..., source_domain: _Optional[str] = ..., kind: _Optional[_Union[PromotedKind, str]] = ..., entity: _Optional[str] = ..., version: _Optional[str] = ..., activate: _Optional[bool] = ..., state: _Optional[_Union[PromotionState, str]] = ..., requester: _Optional[str] = ..., comment: _Optional[str] = ..., gates: _Optional[_Iterable[_Union[Gate, _Mapping]]] = ..., approvals: _Optional[_Iterable[_Union[Approval, _Mapping]]] = ..., entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., artifacts: _Optional[_Iterable[str]] = ..., overridden: _Optional[bool] = ..., decider: _Optional[str] = ..., decision_comment: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., decide_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PreviewPromotionRequest(_message.Message):
    __slots__ = ("source", "target", "kind", "name", "version")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    source: _identifiers_pb2.Scope
    target: _identifiers_pb2.Scope
    kind: PromotedKind
    name: str
    version: str
    def __init__(self, source: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., target: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., kind: _Optional[_Union[PromotedKind, str]] = ..., name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class PreviewPromotionResponse(_message.Message):
    __slots__ = ("entries", "artifacts", "gates", "active_version", "differences")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    GATES_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_VERSION_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    artifacts: _containers.RepeatedScalarFieldContainer[str]
    gates: _containers.RepeatedCompositeFieldContainer[Gate]
    active_version: str
    differences: _containers.RepeatedCompositeFieldContainer[Difference]
    def __init__(self, entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., artifacts: _Optional[_Iterable[str]] = ..., gates: _Optional[_Iterable[_Union[Gate, _Mapping]]] = ..., active_version: _Optional[str] = ..., differences: _Optional[_Iterable[_Union[Difference, _Mapping]]] = ...) -> None: ...

class RequestPromotionRequest(_message.Message):
    __slots__ = ("source", "target", "kind", "name", "version", "activate", "comment")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ACTIVATE_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    source: _identifiers_pb2.Scope
    target: _identifiers_pb2.Scope
    kind: PromotedKind
    name: str
    version: str
    activate: bool
    comment: str
    def __init__(self, source: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., target: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., kind: _Optional[_Union[PromotedKind, str]] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., activate: _Optional[bool] = ..., comment: _Optional[str] = ...) -> None: ...

class RequestPromotionResponse(_message.Message):
    __slots__ = ("promotion",)
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    promotion: Promotion
    def __init__(self, promotion: _Optional[_Union[Promotion, _Mapping]] = ...) -> None: ...

class GetPromotionRequest(_message.Message):
    __slots__ = ("scope", "name")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    name: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., name: _Optional[str] = ...) -> None: ...

class GetPromotionResponse(_message.Message):
    __slots__ = ("promotion",)
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    promotion: Promotion
    def __init__(self, promotion: _Optional[_Union[Promotion, _Mapping]] = ...) -> None: ...

class ListPromotionsRequest(_message.Message):
    __slots__ = ("scope", "pending_only", "page_size", "page_token")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    PENDING_ONLY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    pending_only: bool
    page_size: int
    page_token: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., pending_only: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPromotionsResponse(_message.Message):
    __slots__ = ("promotions", "next_page_token")
    PROMOTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    promotions: _containers.RepeatedCompositeFieldContainer[Promotion]
    next_page_token: str
    def __init__(self, promotions: _Optional[_Iterable[_Union[Promotion, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ApprovePromotionRequest(_message.Message):
    __slots__ = ("scope", "name", "comment")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    name: str
    comment: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., name: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class ApprovePromotionResponse(_message.Message):
    __slots__ = ("promotion",)
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    promotion: Promotion
    def __init__(self, promotion: _Optional[_Union[Promotion, _Mapping]] = ...) -> None: ...

class RejectPromotionRequest(_message.Message):
    __slots__ = ("scope", "name", "comment")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    name: str
    comment: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., name: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class RejectPromotionResponse(_message.Message):
    __slots__ = ("promotion",)
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    promotion: Promotion
    def __init__(self, promotion: _Optional[_Union[Promotion, _Mapping]] = ...) -> None: ...

class OverridePromotionRequest(_message.Message):
    __slots__ = ("scope", "name", "reason")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    name: str
    reason: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class OverridePromotionResponse(_message.Message):
    __slots__ = ("promotion",)
    PROMOTION_FIELD_NUMBER: _ClassVar[int]
    promotion: Promotion
    def __init__(self, promotion: _Optional[_Union[Promotion, _Mapping]] = ...) -> None: ...
