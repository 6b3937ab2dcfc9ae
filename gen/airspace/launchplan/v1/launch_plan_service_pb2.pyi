import datetime

from airspace.options.v1 import options_pb2 as _options_pb2
from airspace.type.v1 import identifiers_pb2 as _identifiers_pb2
from google.protobuf import any_pb2 as _any_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TickOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TICK_OUTCOME_UNSPECIFIED: _ClassVar[TickOutcome]
    TICK_OUTCOME_FIRED: _ClassVar[TickOutcome]
    TICK_OUTCOME_CAUGHT_UP: _ClassVar[TickOutcome]
    TICK_OUTCOME_SKIPPED: _ClassVar[TickOutcome]
    TICK_OUTCOME_SUPPRESSED: _ClassVar[TickOutcome]
    TICK_OUTCOME_FAILED: _ClassVar[TickOutcome]

class ActivationCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTIVATION_CAUSE_UNSPECIFIED: _ClassVar[ActivationCause]
    ACTIVATION_CAUSE_ACTIVATE: _ClassVar[ActivationCause]
    ACTIVATION_CAUSE_DEACTIVATE: _ClassVar[ActivationCause]
    ACTIVATION_CAUSE_ROLLBACK: _ClassVar[ActivationCause]
    ACTIVATION_CAUSE_PROMOTE: _ClassVar[ActivationCause]

class LaunchPlanState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LAUNCH_PLAN_STATE_UNSPECIFIED: _ClassVar[LaunchPlanState]
    LAUNCH_PLAN_STATE_INACTIVE: _ClassVar[LaunchPlanState]
    LAUNCH_PLAN_STATE_ACTIVE: _ClassVar[LaunchPlanState]
TICK_OUTCOME_UNSPECIFIED: TickOutcome
TICK_OUTCOME_FIRED: TickOutcome
TICK_OUTCOME_CAUGHT_UP: TickOutcome
TICK_OUTCOME_SKIPPED: TickOutcome
TICK_OUTCOME_SUPPRESSED: TickOutcome
TICK_OUTCOME_FAILED: TickOutcome
ACTIVATION_CAUSE_UNSPECIFIED: ActivationCause
ACTIVATION_CAUSE_ACTIVATE: ActivationCause
ACTIVATION_CAUSE_DEACTIVATE: ActivationCause
ACTIVATION_CAUSE_ROLLBACK: ActivationCause
ACTIVATION_CAUSE_PROMOTE: ActivationCause
LAUNCH_PLAN_STATE_UNSPECIFIED: LaunchPlanState
LAUNCH_PLAN_STATE_INACTIVE: LaunchPlanState
LAUNCH_PLAN_STATE_ACTIVE: LaunchPlanState

class Tick(_message.Message):
    __slots__ = ("due_time", "last_due_time", "version", "outcome", "reason", "execution", "time")
    DUE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_DUE_TIME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    due_time: _timestamp_pb2.Timestamp
    last_due_time: _timestamp_pb2.Timestamp
    version: str
    outcome: TickOutcome
    reason: str
    execution: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, due_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_due_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[str] = ..., outcome: _Optional[_Union[TickOutcome, str]] = ..., reason: _Optional[str] = ..., execution: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Activation(_message.Message):
    __slots__ = ("sequence", "version", "cause", "principal", "time")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    version: str
    cause: ActivationCause
    principal: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, sequence: _Optional[int] = ..., version: _Optional[str] = ..., cause: _Optional[_Union[ActivationCause, str]] = ..., principal: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class LaunchPlan(_message.Message):
    __slots__ = ("id", "digest", "workflow", "state", "schedule", "create_time", "update_time", "spec", "closure")
    ID_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    CLOSURE_FIELD_NUMBER: _ClassVar[int]
    id: _identifiers_pb2.LaunchPlanId
    digest: str
    workflow: _identifiers_pb2.WorkflowId
    state: LaunchPlanState
    schedule: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    spec: _any_pb2.Any
    closure: _any_pb2.Any
    def __init__(self, id: _Optional[_Union[_identifiers_pb2.LaunchPlanId, _Mapping]] = ..., digest: _Optional[str] = ..., workflow: _Optional[_Union[_identifiers_pb2.WorkflowId, _Mapping]] = ..., state: _Optional[_Union[LaunchPlanState, str]] = ..., schedule: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., spec: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., closure: _Optional[_Union[_any_pb2.Any, _Mapping]] = ...) -> None: ...

class RegisterLaunchPlanRequest(_message.Message):
    __slots__ = ("launch_plan", "spec")
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    launch_plan: _identifiers_pb2.LaunchPlanId
    spec: _any_pb2.Any
    def __init__(self, launch_plan: _Optional[_Union[_identifiers_pb2.LaunchPlanId, _Mapping]] = ..., spec: _Optional[_Union[_any_pb2.Any, _Mapping]] = ...) -> None: ...

class RegisterLaunchPlanResponse(_message.Message):
    __slots__ = ("launch_plan", "created")
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    launch_plan: LaunchPlan
    created: bool
    def __init__(self, launch_plan: _Optional[_Union[LaunchPlan, _Mapping]] = ..., created: _Optional[bool] = ...) -> None: ...

class GetLaunchPlanRequest(_message.Message):
    __slots__ = ("launch_plan",)
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    launch_plan: _identifiers_pb2.LaunchPlanId
    def __init__(self, launch_plan: _Optional[_Union[_identifiers_pb2.LaunchPlanId, _Mapping]] = ...) -> None: ...

class GetLaunchPlanResponse(_message.Message):
    __slots__ = ("launch_plan",)
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    launch_plan: LaunchPlan
    def __init__(self, launch_plan: _Optional[_Union[LaunchPlan, _Mapping]] = ...) -> None: ...

class GetActiveLaunchPlanRequest(_message.Message):
    __slots__ = ("scope", "name")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    name: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., name: _Optional[str] = ...) -> None: ...

class GetActiveLaunchPlanResponse(_message.Message):
    __slots__ = ("launch_plan",)
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    launch_plan: LaunchPlan
    def __init__(self, launch_plan: _Optional[_Union[LaunchPlan, _Mapping]] = ...) -> None: ...

class ListLaunchPlansRequest(_message.Message):
    __slots__ = ("scope", "name", "active_only", "page_size", "page_token")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_ONLY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    name: str
    active_only: bool
    page_size: int
    page_token: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., name: _Optional[str] = ..., active_only: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListLaunchPlansResponse(_message.Message):
    __slots__ = ("launch_plans", "next_page_token")
    LAUNCH_PLANS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    launch_plans: _containers.RepeatedCompositeFieldContainer[LaunchPlan]
    next_page_token: str
    def __init__(self, launch_plans: _Optional[_Iterable[_Union[LaunchPlan, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ActivateLaunchPlanRequest(_message.Message):
    __slots__ = ("launch_plan",)
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    launch_plan: _identifiers_pb2.LaunchPlanId
    def __init__(self, launch_plan: _Optional[_Union[_identifiers_pb2.LaunchPlanId, _Mapping]] = ...) -> None: ...

class ActivateLaunchPlanResponse(_message.Message):
    __slots__ = ("launch_plan",)
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    launch_plan: LaunchPlan
    def __init__(self, launch_plan: _Optional[_Union[LaunchPlan, _Mapping]] = ...) -> None: ...

class DeactivateLaunchPlanRequest(_message.Message):
    __slots__ = ("launch_plan",)
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    launch_plan: _identifiers_pb2.LaunchPlanId
    def __init__(self, launch_plan: _Optional[_Union[_identifiers_pb2.LaunchPlanId, _Mapping]] = ...) -> None: ...

class DeactivateLaunchPlanResponse(_message.Message):
    __slots__ = ("launch_plan",)
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    launch_plan: LaunchPlan
    def __init__(self, launch_plan: _Optional[_Union[LaunchPlan, _Mapping]] = ...) -> None: ...

class RollbackLaunchPlanRequest(_message.Message):
    __slots__ = ("scope", "name")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    name: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., name: _Optional[str] = ...) -> None: ...

class RollbackLaunchPlanResponse(_message.Message):
    __slots__ = ("launch_plan",)
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    launch_plan: LaunchPlan
    def __init__(self, launch_plan: _Optional[_Union[LaunchPlan, _Mapping]] = ...) -> None: ...

class ListActivationsRequest(_message.Message):
    __slots__ = ("scope", "name", "page_size", "page_token")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    name: str
    page_size: int
    page_token: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., name: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListActivationsResponse(_message.Message):
    __slots__ = ("activations", "next_page_token")
    ACTIVATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    activations: _containers.RepeatedCompositeFieldContainer[Activation]
    next_page_token: str
    def __init__(self, activations: _Optional[_Iterable[_Union[Activation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListScheduleTicksRequest(_message.Message):
    __slots__ = ("scope", "name", "page_size", "page_token")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    name: str
    page_size: int
    page_token: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., name: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListScheduleTicksResponse(_message.Message):
    __slots__ = ("ticks", "next_page_token")
    TICKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ticks: _containers.RepeatedCompositeFieldContainer[Tick]
    next_page_token: str
    def __init__(self, ticks: _Optional[_Iterable[_Union[Tick, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PreviewScheduleRequest(_message.Message):
    __slots__ = ("launch_plan", "count")
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    launch_plan: _identifiers_pb2.LaunchPlanId
    count: int
    def __init__(self, launch_plan: _Optional[_Union[_identifiers_pb2.LaunchPlanId, _Mapping]] = ..., count: _Optional[int] = ...) -> None: ...

class PreviewScheduleResponse(_message.Message):
    __slots__ = ("ticks",)
    TICKS_FIELD_NUMBER: _ClassVar[int]
    ticks: _containers.RepeatedCompositeFieldContainer[_timestamp_pb2.Timestamp]
    def __init__(self, ticks: _Optional[_Iterable[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]]] = ...) -> None: ...
