"""The client of Airspace, the tenant-isolating control plane for Flyte.

    from airspace_client import AirspaceClient

    with AirspaceClient.from_config() as client:
        run = client.executions.launch("recommendation-engine", "development", "workflows.train.nightly",
                                       inputs={"learning_rate": 0.01})
        print(run.wait().phase, run.outputs())

What can go wrong is drawn in `AirspaceError`'s module, `airspace_client._errors`.
"""

from typing import TYPE_CHECKING

from airspace_client._auth import ClientCredentials, CommandToken, StaticToken, Token, TokenSource
from airspace_client._errors import (
    Aborted,
    AirspaceError,
    AlreadyExists,
    ConfigError,
    DeadlineExceeded,
    FailedPrecondition,
    InternalError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Reason,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from airspace_client._model import (
    AccessAnswer,
    Activation,
    ActivationCause,
    Approval,
    AuditRecord,
    Binding,
    ChainHead,
    Change,
    Data,
    Delivery,
    DeliveryState,
    Dependent,
    Difference,
    DifferenceKind,
    Domain,
    EmailTarget,
    EntityKind,
    EntryState,
    ErrorKind,
    Execution,
    ExecutionError,
    ExecutionPhase,
    Export,
    FlippedCalls,
    Freeze,
    Gate,
    Gates,
    Identity,
    LaunchPlan,
    LaunchPlanState,
    NodeExecution,
    NodePhase,
    NotificationChannel,
    NotificationEvent,
    NotificationRule,
    Notifications,
    Project,
    ProjectState,
    Promotion,
    PromotionEntry,
    PromotionPreview,
    PromotionState,
    Quota,
    Quotas,
    QuotaUsage,
    RecordKind,
    Registered,
    Role,
    RunAs,
    ServiceAccount,
    ServiceAccountSecret,
    Settings,
    SlackTarget,
    Task,
    Tick,
    TickOutcome,
    Transition,
    Verdict,
    Waiting,
    WaitReason,
    WebhookTarget,
    Workflow,
)
from airspace_client._tls import TLS

if TYPE_CHECKING:
    from airspace_client._client import AirspaceClient
    from airspace_client._executions import ExecutionHandle

__all__ = [
    "TLS",
    "Aborted",
    "AccessAnswer",
    "Activation",
    "ActivationCause",
    "AirspaceClient",
    "AirspaceError",
    "AlreadyExists",
    "Approval",
    "AuditRecord",
    "Binding",
    "ChainHead",
    "Change",
    "ClientCredentials",
    "CommandToken",
    "ConfigError",
    "Data",
    "DeadlineExceeded",
    "Delivery",
    "DeliveryState",
    "Dependent",
    "Difference",
    "DifferenceKind",
    "Domain",
    "EmailTarget",
    "EntityKind",
    "EntryState",
    "ErrorKind",
    "Execution",
    "ExecutionError",
    "ExecutionHandle",
    "ExecutionPhase",
    "Export",
    "FailedPrecondition",
    "FlippedCalls",
    "Freeze",
    "Gate",
    "Gates",
    "Identity",
    "InternalError",
    "InvalidArgument",
    "LaunchPlan",
    "LaunchPlanState",
    "NodeExecution",
    "NodePhase",
    "NotFound",
    "NotificationChannel",
    "NotificationEvent",
    "NotificationRule",
    "Notifications",
    "PermissionDenied",
    "Project",
    "ProjectState",
    "Promotion",
    "PromotionEntry",
    "PromotionPreview",
    "PromotionState",
    "Quota",
    "QuotaUsage",
    "Quotas",
    "Reason",
    "RecordKind",
    "Registered",
    "ResourceExhausted",
    "Role",
    "RunAs",
    "ServiceAccount",
    "ServiceAccountSecret",
    "Settings",
    "SlackTarget",
    "StaticToken",
    "Task",
    "Tick",
    "TickOutcome",
    "Token",
    "TokenSource",
    "Transition",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Verdict",
    "WaitReason",
    "Waiting",
    "WebhookTarget",
    "Workflow",
]


def __getattr__(name: str) -> object:
    """Import what needs gRPC when it is first asked for: `airspace --help` has no use for it, and it is slow."""
    match name:
        case "AirspaceClient":
            from airspace_client._client import AirspaceClient

            return AirspaceClient
        case "ExecutionHandle":
            from airspace_client._executions import ExecutionHandle

            return ExecutionHandle
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
