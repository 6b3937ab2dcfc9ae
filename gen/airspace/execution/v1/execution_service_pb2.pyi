import datetime

from airspace.options.v1 import options_pb2 as _options_pb2
from airspace.type.v1 import identifiers_pb2 as _identifiers_pb2
from google.protobuf import any_pb2 as _any_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExecutionPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXECUTION_PHASE_UNSPECIFIED: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_QUEUED: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_RUNNING: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_FAILING: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_ABORTING: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_SUCCEEDED: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_FAILED: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_ABORTED: _ClassVar[ExecutionPhase]
    EXECUTION_PHASE_TIMED_OUT: _ClassVar[ExecutionPhase]

class NodePhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_PHASE_UNSPECIFIED: _ClassVar[NodePhase]
    NODE_PHASE_QUEUED: _ClassVar[NodePhase]
    NODE_PHASE_RUNNING: _ClassVar[NodePhase]
    NODE_PHASE_SUCCEEDED: _ClassVar[NodePhase]
    NODE_PHASE_FAILED: _ClassVar[NodePhase]
    NODE_PHASE_ABORTED: _ClassVar[NodePhase]
    NODE_PHASE_SKIPPED: _ClassVar[NodePhase]
    NODE_PHASE_TIMED_OUT: _ClassVar[NodePhase]

class ErrorKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_KIND_UNSPECIFIED: _ClassVar[ErrorKind]
    ERROR_KIND_USER: _ClassVar[ErrorKind]
    ERROR_KIND_SYSTEM: _ClassVar[ErrorKind]

class WaitReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WAIT_REASON_UNSPECIFIED: _ClassVar[WaitReason]
    WAIT_REASON_QUOTA: _ClassVar[WaitReason]
    WAIT_REASON_SLOT: _ClassVar[WaitReason]
EXECUTION_PHASE_UNSPECIFIED: ExecutionPhase
EXECUTION_PHASE_QUEUED: ExecutionPhase
EXECUTION_PHASE_RUNNING: ExecutionPhase
EXECUTION_PHASE_FAILING: ExecutionPhase
EXECUTION_PHASE_ABORTING: ExecutionPhase
EXECUTION_PHASE_SUCCEEDED: ExecutionPhase
EXECUTION_PHASE_FAILED: ExecutionPhase
EXECUTION_PHASE_ABORTED: ExecutionPhase
EXECUTION_PHASE_TIMED_OUT: ExecutionPhase
NODE_PHASE_UNSPECIFIED: NodePhase
NODE_PHASE_QUEUED: NodePhase
NODE_PHASE_RUNNING: NodePhase
NODE_PHASE_SUCCEEDED: NodePhase
NODE_PHASE_FAILED: NodePhase
NODE_PHASE_ABORTED: NodePhase
NODE_PHASE_SKIPPED: NodePhase
NODE_PHASE_TIMED_OUT: NodePhase
ERROR_KIND_UNSPECIFIED: ErrorKind
ERROR_KIND_USER: ErrorKind
ERROR_KIND_SYSTEM: ErrorKind
WAIT_REASON_UNSPECIFIED: WaitReason
WAIT_REASON_QUOTA: WaitReason
WAIT_REASON_SLOT: WaitReason

class ExecutionError(_message.Message):
    __slots__ = ("code", "message", "kind")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    kind: ErrorKind
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., kind: _Optional[_Union[ErrorKind, str]] = ...) -> None: ...

class Waiting(_message.Message):
    __slots__ = ("position", "reason", "message")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    position: int
    reason: WaitReason
    message: str
    def __init__(self, position: _Optional[int] = ..., reason: _Optional[_Union[WaitReason, str]] = ..., message: _Optional[str] = ...) -> None: ...

class Execution(_message.Message):
    __slots__ = ("id", "launch_plan", "phase", "error", "principal", "abort_cause", "abort_principal", "create_time", "start_time", "end_time", "labels", "task", "waiting")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    ABORT_CAUSE_FIELD_NUMBER: _ClassVar[int]
    ABORT_PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    id: _identifiers_pb2.ExecutionId
    launch_plan: _identifiers_pb2.LaunchPlanId
    phase: ExecutionPhase
    error: ExecutionError
    principal: str
    abort_cause: str
    abort_principal: str
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    labels: _containers.ScalarMap[str, str]
    task: _identifiers_pb2.TaskId
    waiting: Waiting
    def __init__(self, id: _Optional[_Union[_identifiers_pb2.ExecutionId, _Mapping]] = ..., launch_plan: _Optional[_Union[_identifiers_pb2.LaunchPlanId, _Mapping]] = ..., phase: _Optional[_Union[ExecutionPhase, str]] = ..., error: _Optional[_Union[ExecutionError, _Mapping]] = ..., principal: _Optional[str] = ..., abort_cause: _Optional[str] = ..., abort_principal: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., task: _Optional[_Union[_identifiers_pb2.TaskId, _Mapping]] = ..., waiting: _Optional[_Union[Waiting, _Mapping]] = ...) -> None: ...

class NodeExecution(_message.Message):
    __slots__ = ("id", "spec_node_id", "parent_id", "phase", "entity", "attempts", "error", "create_time", "start_time", "end_time")
    ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    spec_node_id: str
    parent_id: str
    phase: NodePhase
    entity: str
    attempts: int
    error: ExecutionError
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., spec_node_id: _Optional[str] = ..., parent_id: _Optional[str] = ..., phase: _Optional[_Union[NodePhase, str]] = ..., entity: _Optional[str] = ..., attempts: _Optional[int] = ..., error: _Optional[_Union[ExecutionError, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class LaunchExecutionRequest(_message.Message):
    __slots__ = ("scope", "launch_plan", "version", "name", "inputs", "literals", "labels", "request_id")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    LITERALS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    launch_plan: str
    version: str
    name: str
    inputs: _struct_pb2.Struct
    literals: _any_pb2.Any
    labels: _containers.ScalarMap[str, str]
    request_id: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., launch_plan: _Optional[str] = ..., version: _Optional[str] = ..., name: _Optional[str] = ..., inputs: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., literals: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., request_id: _Optional[str] = ...) -> None: ...

class LaunchExecutionResponse(_message.Message):
    __slots__ = ("execution",)
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    execution: Execution
    def __init__(self, execution: _Optional[_Union[Execution, _Mapping]] = ...) -> None: ...

class GetExecutionRequest(_message.Message):
    __slots__ = ("execution",)
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    execution: _identifiers_pb2.ExecutionId
    def __init__(self, execution: _Optional[_Union[_identifiers_pb2.ExecutionId, _Mapping]] = ...) -> None: ...

class GetExecutionResponse(_message.Message):
    __slots__ = ("execution",)
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    execution: Execution
    def __init__(self, execution: _Optional[_Union[Execution, _Mapping]] = ...) -> None: ...

class ListExecutionsRequest(_message.Message):
    __slots__ = ("scope", "phases", "launch_plan", "page_size", "page_token")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    PHASES_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    phases: _containers.RepeatedScalarFieldContainer[ExecutionPhase]
    launch_plan: str
    page_size: int
    page_token: str
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ..., phases: _Optional[_Iterable[_Union[ExecutionPhase, str]]] = ..., launch_plan: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListExecutionsResponse(_message.Message):
    __slots__ = ("executions", "next_page_token")
    EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    executions: _containers.RepeatedCompositeFieldContainer[Execution]
    next_page_token: str
    def __init__(self, executions: _Optional[_Iterable[_Union[Execution, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class TerminateExecutionRequest(_message.Message):
    __slots__ = ("execution", "cause")
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    execution: _identifiers_pb2.ExecutionId
    cause: str
    def __init__(self, execution: _Optional[_Union[_identifiers_pb2.ExecutionId, _Mapping]] = ..., cause: _Optional[str] = ...) -> None: ...

class TerminateExecutionResponse(_message.Message):
    __slots__ = ("execution",)
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    execution: Execution
    def __init__(self, execution: _Optional[_Union[Execution, _Mapping]] = ...) -> None: ...

class WatchExecutionRequest(_message.Message):
    __slots__ = ("execution", "after_sequence")
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    execution: _identifiers_pb2.ExecutionId
    after_sequence: int
    def __init__(self, execution: _Optional[_Union[_identifiers_pb2.ExecutionId, _Mapping]] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class WatchExecutionResponse(_message.Message):
    __slots__ = ("sequence", "time", "execution", "node")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    time: _timestamp_pb2.Timestamp
    execution: ExecutionTransition
    node: NodeTransition
    def __init__(self, sequence: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., execution: _Optional[_Union[ExecutionTransition, _Mapping]] = ..., node: _Optional[_Union[NodeTransition, _Mapping]] = ...) -> None: ...

class ExecutionTransition(_message.Message):
    __slots__ = ("phase", "error")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    phase: ExecutionPhase
    error: ExecutionError
    def __init__(self, phase: _Optional[_Union[ExecutionPhase, str]] = ..., error: _Optional[_Union[ExecutionError, _Mapping]] = ...) -> None: ...

class NodeTransition(_message.Message):
    __slots__ = ("node_id", "phase", "attempt", "error")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    phase: NodePhase
    attempt: int
    error: ExecutionError
    def __init__(self, node_id: _Optional[str] = ..., phase: _Optional[_Union[NodePhase, str]] = ..., attempt: _Optional[int] = ..., error: _Optional[_Union[ExecutionError, _Mapping]] = ...) -> None: ...

class GetExecutionDataRequest(_message.Message):
    __slots__ = ("execution",)
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    execution: _identifiers_pb2.ExecutionId
    def __init__(self, execution: _Optional[_Union[_identifiers_pb2.ExecutionId, _Mapping]] = ...) -> None: ...

class GetExecutionDataResponse(_message.Message):
    __slots__ = ("inputs", "outputs", "input_literals", "output_literals")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    INPUT_LITERALS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_LITERALS_FIELD_NUMBER: _ClassVar[int]
    inputs: _struct_pb2.Struct
    outputs: _struct_pb2.Struct
    input_literals: _any_pb2.Any
    output_literals: _any_pb2.Any
    def __init__(self, inputs: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., outputs: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., input_literals: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., output_literals: _Optional[_Union[_any_pb2.Any, _Mapping]] = ...) -> None: ...

class ListNodeExecutionsRequest(_message.Message):
    __slots__ = ("execution", "page_size", "page_token")
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    execution: _identifiers_pb2.ExecutionId
    page_size: int
    page_token: str
    def __init__(self, execution: _Optional[_Union[_identifiers_pb2.ExecutionId, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListNodeExecutionsResponse(_message.Message):
    __slots__ = ("node_executions", "next_page_token")
    NODE_EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    node_executions: _containers.RepeatedCompositeFieldContainer[NodeExecution]
    next_page_token: str
    def __init__(self, node_executions: _Optional[_Iterable[_Union[NodeExecution, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetNodeExecutionDataRequest(_message.Message):
    __slots__ = ("execution", "node_id")
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    execution: _identifiers_pb2.ExecutionId
    node_id: str
    def __init__(self, execution: _Optional[_Union[_identifiers_pb2.ExecutionId, _Mapping]] = ..., node_id: _Optional[str] = ...) -> None: ...

class GetNodeExecutionDataResponse(_message.Message):
    __slots__ = ("inputs", "outputs", "input_literals", "output_literals")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    INPUT_LITERALS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_LITERALS_FIELD_NUMBER: _ClassVar[int]
    inputs: _struct_pb2.Struct
    outputs: _struct_pb2.Struct
    input_literals: _any_pb2.Any
    output_literals: _any_pb2.Any
    def __init__(self, inputs: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., outputs: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., input_literals: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., output_literals: _Optional[_Union[_any_pb2.Any, _Mapping]] = ...) -> None: ...

class GetQuotaUsageRequest(_message.Message):
    __slots__ = ("scope",)
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    scope: _identifiers_pb2.Scope
    def __init__(self, scope: _Optional[_Union[_identifiers_pb2.Scope, _Mapping]] = ...) -> None: ...

class GetQuotaUsageResponse(_message.Message):
    __slots__ = ("executions_running", "executions_queued", "launches_per_minute")
    EXECUTIONS_RUNNING_FIELD_NUMBER: _ClassVar[int]
    EXECUTIONS_QUEUED_FIELD_NUMBER: _ClassVar[int]
    LAUNCHES_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    executions_running: QuotaUsage
    executions_queued: QuotaUsage
    launches_per_minute: QuotaUsage
    def __init__(self, executions_running: _Optional[_Union[QuotaUsage, _Mapping]] = ..., executions_queued: _Optional[_Union[QuotaUsage, _Mapping]] = ..., launches_per_minute: _Optional[_Union[QuotaUsage, _Mapping]] = ...) -> None: ...

class QuotaUsage(_message.Message):
    __slots__ = ("limit", "used", "origin")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    limit: int
    used: int
    origin: _identifiers_pb2.ScopePattern
    def __init__(self, limit: _Optional[int] = ..., used: _Optional[int] = ..., origin: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ...) -> None: ...
