import datetime

from airspace.notification.v1 import notification_service_pb2 as _notification_service_pb2
from airspace.options.v1 import options_pb2 as _options_pb2
from airspace.type.v1 import identifiers_pb2 as _identifiers_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Freeze(_message.Message):
    __slots__ = ("start", "end", "reason")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    start: _timestamp_pb2.Timestamp
    end: _timestamp_pb2.Timestamp
    reason: str
    def __init__(self, start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class Gates(_message.Message):
    __slots__ = ("successes", "within_hours", "soak_hours", "approvals", "closed", "freezes")
    SUCCESSES_FIELD_NUMBER: _ClassVar[int]
    WITHIN_HOURS_FIELD_NUMBER: _ClassVar[int]
    SOAK_HOURS_FIELD_NUMBER: _ClassVar[int]
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    FREEZES_FIELD_NUMBER: _ClassVar[int]
    successes: int
    within_hours: int
    soak_hours: int
    approvals: int
    closed: bool
    freezes: _containers.RepeatedCompositeFieldContainer[Freeze]
    def __init__(self, successes: _Optional[int] = ..., within_hours: _Optional[int] = ..., soak_hours: _Optional[int] = ..., approvals: _Optional[int] = ..., closed: _Optional[bool] = ..., freezes: _Optional[_Iterable[_Union[Freeze, _Mapping]]] = ...) -> None: ...

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

class Quotas(_message.Message):
    __slots__ = ("executions_running", "executions_queued", "launches_per_minute")
    EXECUTIONS_RUNNING_FIELD_NUMBER: _ClassVar[int]
    EXECUTIONS_QUEUED_FIELD_NUMBER: _ClassVar[int]
    LAUNCHES_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    executions_running: int
    executions_queued: int
    launches_per_minute: int
    def __init__(self, executions_running: _Optional[int] = ..., executions_queued: _Optional[int] = ..., launches_per_minute: _Optional[int] = ...) -> None: ...

class Quota(_message.Message):
    __slots__ = ("limit", "origin")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    limit: int
    origin: _identifiers_pb2.ScopePattern
    def __init__(self, limit: _Optional[int] = ..., origin: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ...) -> None: ...

class EffectiveQuotas(_message.Message):
    __slots__ = ("executions_running", "executions_queued", "launches_per_minute")
    EXECUTIONS_RUNNING_FIELD_NUMBER: _ClassVar[int]
    EXECUTIONS_QUEUED_FIELD_NUMBER: _ClassVar[int]
    LAUNCHES_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    executions_running: Quota
    executions_queued: Quota
    launches_per_minute: Quota
    def __init__(self, executions_running: _Optional[_Union[Quota, _Mapping]] = ..., executions_queued: _Optional[_Union[Quota, _Mapping]] = ..., launches_per_minute: _Optional[_Union[Quota, _Mapping]] = ...) -> None: ...

class EmailTarget(_message.Message):
    __slots__ = ("recipients",)
    RECIPIENTS_FIELD_NUMBER: _ClassVar[int]
    recipients: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, recipients: _Optional[_Iterable[str]] = ...) -> None: ...

class SlackTarget(_message.Message):
    __slots__ = ("secret",)
    SECRET_FIELD_NUMBER: _ClassVar[int]
    secret: str
    def __init__(self, secret: _Optional[str] = ...) -> None: ...

class WebhookTarget(_message.Message):
    __slots__ = ("url", "secret")
    URL_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    url: str
    secret: str
    def __init__(self, url: _Optional[str] = ..., secret: _Optional[str] = ...) -> None: ...

class NotificationRule(_message.Message):
    __slots__ = ("events", "email", "slack", "webhook")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    SLACK_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedScalarFieldContainer[_notification_service_pb2.Event]
    email: EmailTarget
    slack: SlackTarget
    webhook: WebhookTarget
    def __init__(self, events: _Optional[_Iterable[_Union[_notification_service_pb2.Event, str]]] = ..., email: _Optional[_Union[EmailTarget, _Mapping]] = ..., slack: _Optional[_Union[SlackTarget, _Mapping]] = ..., webhook: _Optional[_Union[WebhookTarget, _Mapping]] = ...) -> None: ...

class Notifications(_message.Message):
    __slots__ = ("rules",)
    RULES_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[NotificationRule]
    def __init__(self, rules: _Optional[_Iterable[_Union[NotificationRule, _Mapping]]] = ...) -> None: ...

class GetSettingsRequest(_message.Message):
    __slots__ = ("pattern",)
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    pattern: _identifiers_pb2.ScopePattern
    def __init__(self, pattern: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ...) -> None: ...

class GetSettingsResponse(_message.Message):
    __slots__ = ("own_run_as", "run_as", "run_as_origin", "own_quotas", "quotas", "own_gates", "gates", "gates_origins", "own_notifications", "notifications", "notifications_origin")
    class GatesOriginsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _identifiers_pb2.ScopePattern
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ...) -> None: ...
    OWN_RUN_AS_FIELD_NUMBER: _ClassVar[int]
    RUN_AS_FIELD_NUMBER: _ClassVar[int]
    RUN_AS_ORIGIN_FIELD_NUMBER: _ClassVar[int]
    OWN_QUOTAS_FIELD_NUMBER: _ClassVar[int]
    QUOTAS_FIELD_NUMBER: _ClassVar[int]
    OWN_GATES_FIELD_NUMBER: _ClassVar[int]
    GATES_FIELD_NUMBER: _ClassVar[int]
    GATES_ORIGINS_FIELD_NUMBER: _ClassVar[int]
    OWN_NOTIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    NOTIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    NOTIFICATIONS_ORIGIN_FIELD_NUMBER: _ClassVar[int]
    own_run_as: RunAs
    run_as: RunAs
    run_as_origin: _identifiers_pb2.ScopePattern
    own_quotas: Quotas
    quotas: EffectiveQuotas
    own_gates: Gates
    gates: Gates
    gates_origins: _containers.MessageMap[str, _identifiers_pb2.ScopePattern]
    own_notifications: Notifications
    notifications: Notifications
    notifications_origin: _identifiers_pb2.ScopePattern
    def __init__(self, own_run_as: _Optional[_Union[RunAs, _Mapping]] = ..., run_as: _Optional[_Union[RunAs, _Mapping]] = ..., run_as_origin: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ..., own_quotas: _Optional[_Union[Quotas, _Mapping]] = ..., quotas: _Optional[_Union[EffectiveQuotas, _Mapping]] = ..., own_gates: _Optional[_Union[Gates, _Mapping]] = ..., gates: _Optional[_Union[Gates, _Mapping]] = ..., gates_origins: _Optional[_Mapping[str, _identifiers_pb2.ScopePattern]] = ..., own_notifications: _Optional[_Union[Notifications, _Mapping]] = ..., notifications: _Optional[_Union[Notifications, _Mapping]] = ..., notifications_origin: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ...) -> None: ...

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

class UpdateQuotasRequest(_message.Message):
    __slots__ = ("pattern", "quotas")
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    QUOTAS_FIELD_NUMBER: _ClassVar[int]
    pattern: _identifiers_pb2.ScopePattern
    quotas: Quotas
    def __init__(self, pattern: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ..., quotas: _Optional[_Union[Quotas, _Mapping]] = ...) -> None: ...

class UpdateQuotasResponse(_message.Message):
    __slots__ = ("quotas",)
    QUOTAS_FIELD_NUMBER: _ClassVar[int]
    quotas: Quotas
    def __init__(self, quotas: _Optional[_Union[Quotas, _Mapping]] = ...) -> None: ...

class UpdateGatesRequest(_message.Message):
    __slots__ = ("pattern", "gates")
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    GATES_FIELD_NUMBER: _ClassVar[int]
    pattern: _identifiers_pb2.ScopePattern
    gates: Gates
    def __init__(self, pattern: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ..., gates: _Optional[_Union[Gates, _Mapping]] = ...) -> None: ...

class UpdateGatesResponse(_message.Message):
    __slots__ = ("gates",)
    GATES_FIELD_NUMBER: _ClassVar[int]
    gates: Gates
    def __init__(self, gates: _Optional[_Union[Gates, _Mapping]] = ...) -> None: ...

class UpdateNotificationsRequest(_message.Message):
    __slots__ = ("pattern", "notifications")
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    NOTIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    pattern: _identifiers_pb2.ScopePattern
    notifications: Notifications
    def __init__(self, pattern: _Optional[_Union[_identifiers_pb2.ScopePattern, _Mapping]] = ..., notifications: _Optional[_Union[Notifications, _Mapping]] = ...) -> None: ...

class UpdateNotificationsResponse(_message.Message):
    __slots__ = ("notifications",)
    NOTIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    notifications: Notifications
    def __init__(self, notifications: _Optional[_Union[Notifications, _Mapping]] = ...) -> None: ...
