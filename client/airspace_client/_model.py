"""What the server holds, as this package gives it: frozen values with names, times in UTC and no protobuf.

The one exception: bodies of registered versions are Flyte's own messages, which this package does not know. They stay
in a google.protobuf.Any, and whoever has flyteidl installed can unpack them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from google.protobuf.any_pb2 import Any as AnyMessage


class ProjectState(StrEnum):
    """Whether a project takes new work."""

    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"
    UNKNOWN = "UNKNOWN"
    """A state that is newer than this client."""


class LaunchPlanState(StrEnum):
    """Whether a version is the one that its name stands for."""

    INACTIVE = "INACTIVE"
    ACTIVE = "ACTIVE"
    UNKNOWN = "UNKNOWN"
    """A state that is newer than this client."""


class EntityKind(StrEnum):
    """What can be registered."""

    TASK = "TASK"
    WORKFLOW = "WORKFLOW"
    LAUNCH_PLAN = "LAUNCH_PLAN"
    UNKNOWN = "UNKNOWN"
    """A kind that is newer than this client."""


class ExecutionPhase(StrEnum):
    """Where an execution is in its life."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    FAILING = "FAILING"
    ABORTING = "ABORTING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"
    TIMED_OUT = "TIMED_OUT"
    UNKNOWN = "UNKNOWN"
    """A phase that is newer than this client."""


class NodePhase(StrEnum):
    """Where a node is in its life."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"
    SKIPPED = "SKIPPED"
    TIMED_OUT = "TIMED_OUT"
    UNKNOWN = "UNKNOWN"
    """A phase that is newer than this client."""


class ErrorKind(StrEnum):
    """Whose fault a failure is: the task's code or inputs, or the machine."""

    USER = "USER"
    SYSTEM = "SYSTEM"
    UNKNOWN = "UNKNOWN"
    """Not said, or a kind that is newer than this client."""


ENDED: Final = frozenset(
    {ExecutionPhase.SUCCEEDED, ExecutionPhase.FAILED, ExecutionPhase.ABORTED, ExecutionPhase.TIMED_OUT}
)
"""The phases that an execution never leaves."""


@dataclass(frozen=True, slots=True)
class Project:
    """A team. `etag` changes with every change; give it to `update` to be told when someone else was faster."""

    id: str
    name: str
    description: str
    labels: Mapping[str, str]
    state: ProjectState
    etag: str
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Domain:
    """A stage that versions move through, for example "production"."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Task:
    """A version of a task. `closure` is a flyteidl.admin.TaskClosure, absent in lists."""

    project: str
    domain: str
    name: str
    version: str
    digest: str
    type: str
    create_time: datetime
    closure: "AnyMessage | None" = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A version of a workflow. `closure` is a flyteidl.admin.WorkflowClosure, absent in lists."""

    project: str
    domain: str
    name: str
    version: str
    digest: str
    create_time: datetime
    closure: "AnyMessage | None" = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """A version of a launch plan: a workflow version of the same scope, its inputs and, if any, its schedule.

    `spec` is a flyteidl.admin.LaunchPlanSpec and `closure` a flyteidl.admin.LaunchPlanClosure, absent in lists.
    """

    project: str
    domain: str
    name: str
    version: str
    digest: str
    workflow: str
    workflow_version: str
    state: LaunchPlanState
    schedule: str
    create_time: datetime
    update_time: datetime
    spec: "AnyMessage | None" = field(default=None, repr=False)
    closure: "AnyMessage | None" = field(default=None, repr=False)


class TickOutcome(StrEnum):
    """What became of a tick of a schedule."""

    FIRED = "FIRED"
    CAUGHT_UP = "CAUGHT_UP"
    SKIPPED = "SKIPPED"
    SUPPRESSED = "SUPPRESSED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    """One that is newer than this client."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What became of a tick, or of several from `due_time` until `last_due_time` that were missed."""

    due_time: datetime
    last_due_time: datetime
    version: str
    outcome: TickOutcome
    reason: str
    execution: str
    time: datetime


class ActivationCause(StrEnum):
    """Why the active version of a launch plan's name changed."""

    ACTIVATE = "ACTIVATE"
    DEACTIVATE = "DEACTIVATE"
    ROLLBACK = "ROLLBACK"
    PROMOTE = "PROMOTE"
    UNKNOWN = "UNKNOWN"
    """One that is newer than this client."""


@dataclass(frozen=True, slots=True)
class Activation:
    """That the active version of a name changed; `version` is empty when none is active since then."""

    sequence: int
    version: str
    cause: ActivationCause
    principal: str
    time: datetime


Version = TypeVar("Version", Task, Workflow, LaunchPlan)


@dataclass(frozen=True, slots=True)
class Registered(Generic[Version]):
    """What registering gave: the version, and whether it is new (False: this very content was there before)."""

    version: Version
    created: bool


@dataclass(frozen=True, slots=True)
class ExecutionError:
    """Why an execution, a node or an attempt failed: a word for programs, and what the task said."""

    code: str
    message: str
    kind: ErrorKind


class WaitReason(StrEnum):
    """What an execution waits for before it begins."""

    QUOTA = "QUOTA"
    """As many executions run in its scope as may."""
    SLOT = "SLOT"
    """A worker with a free slot."""
    UNKNOWN = "UNKNOWN"
    """A reason that is newer than this client."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why an execution waits: its place among those of its scope that wait, from 1 on, and what it waits for."""

    position: int
    reason: WaitReason
    message: str

    def __str__(self) -> str:
        """Read as the sentence that says both."""
        return self.message


@dataclass(frozen=True, slots=True)
class Execution:
    """A run of a launch plan version of the same scope, or of a task alone: the other two names are then empty.

    `waiting` says why it has not begun; only `get` knows it.
    """

    project: str
    domain: str
    name: str
    launch_plan: str
    launch_plan_version: str
    phase: ExecutionPhase
    error: ExecutionError | None
    principal: str
    abort_cause: str
    abort_principal: str
    create_time: datetime
    start_time: datetime | None
    end_time: datetime | None
    labels: Mapping[str, str]
    task: str
    task_version: str
    waiting: Waiting | None = None

    @property
    def ended(self) -> bool:
        """Whether its phase is one that it never leaves."""
        return self.phase in ENDED

    @property
    def succeeded(self) -> bool:
        """Whether it ended with outputs."""
        return self.phase is ExecutionPhase.SUCCEEDED


@dataclass(frozen=True, slots=True)
class NodeExecution:
    """A node of a workflow, in an execution. `parent_id` is empty at the top, `attempts` counts its task's starts."""

    id: str
    spec_node_id: str
    parent_id: str
    phase: NodePhase
    entity: str
    attempts: int
    error: ExecutionError | None
    create_time: datetime
    start_time: datetime | None
    end_time: datetime | None


@dataclass(frozen=True, slots=True)
class Transition:
    """One move of an execution or of one of its nodes.

    `sequence` counts an execution's transitions from 1 on. `node_id` is None when the execution itself moved.
    `attempt` is the attempt of the node's task that it is about, from 1 on, or 0.
    """

    sequence: int
    time: datetime
    node_id: str | None
    phase: ExecutionPhase | NodePhase
    attempt: int
    error: ExecutionError | None


@dataclass(frozen=True, slots=True)
class Data:
    """Inputs and outputs as plain JSON values. `outputs` is None until there are any.

    Whole numbers come as int, whether the value's type is integer or float: JSON does not tell them apart.
    """

    inputs: Mapping[str, object]
    outputs: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class Role:
    """A set of permissions with a name. Permissions are written like "execution.launch"."""

    name: str
    permissions: tuple[str, ...]
    built_in: bool


@dataclass(frozen=True, slots=True)
class Binding:
    """A member's role where project and domain match; "*" stands for every one of them.

    From `expire_time` on it gives nothing; None is for good.
    """

    member: str
    role: str
    project: str
    domain: str
    creator: str
    create_time: datetime
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunAs:
    """As whom tasks may run outside of the server, and as whom those run that name nobody ("" is nobody)."""

    service_accounts: tuple[str, ...] = ()
    iam_roles: tuple[str, ...] = ()
    default_service_account: str = ""
    default_iam_role: str = ""


@dataclass(frozen=True, slots=True)
class Quotas:
    """How much each project may run in each domain; None for what is inherited. 0 lets nothing run or wait."""

    executions_running: int | None = None
    executions_queued: int | None = None
    launches_per_minute: int | None = None

    def __str__(self) -> str:
        """Read as "executions_running=5, launches_per_minute=60"; nothing where all is inherited."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return ", ".join(f"{name}={limit}" for name, limit in values if limit is not None)


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit that holds: which, how much, and the project and domain it is set for (None: the server's own)."""

    name: str
    limit: int
    origin: tuple[str, str] | None

    def __str__(self) -> str:
        """Read as "executions_running=5 (ads/*)"."""
        return f"{self.name}={self.limit} ({'/'.join(self.origin) if self.origin else 'built in'})"


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """How much of a quota a scope uses, its limit, and for what that is set (None: the server's own)."""

    name: str
    limit: int
    used: int
    origin: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a project and domain, "*" for every one: what holds, where it is set, and what is set here."""

    run_as: RunAs | None
    run_as_origin: tuple[str, str] | None
    own_run_as: RunAs | None
    quotas: tuple[Quota, ...]
    own_quotas: Quotas
    gates: "Gates"
    gates_origins: Mapping[str, tuple[str, str]]
    own_gates: "Gates | None"
    notifications: "Notifications"
    notifications_origin: tuple[str, str] | None
    own_notifications: "Notifications | None"


class NotificationEvent(StrEnum):
    """What can be told."""

    EXECUTION_SUCCEEDED = "EXECUTION_SUCCEEDED"
    EXECUTION_FAILED = "EXECUTION_FAILED"
    EXECUTION_TIMED_OUT = "EXECUTION_TIMED_OUT"
    EXECUTION_ABORTED = "EXECUTION_ABORTED"
    PROMOTION_PROMOTED = "PROMOTION_PROMOTED"
    PROMOTION_REJECTED = "PROMOTION_REJECTED"
    TICK_FAILED = "TICK_FAILED"
    TICK_SUPPRESSED = "TICK_SUPPRESSED"
    LAUNCH_REFUSED = "LAUNCH_REFUSED"
    UNKNOWN = "UNKNOWN"
    """An event that is newer than this client."""


class NotificationChannel(StrEnum):
    """How something is told."""

    EMAIL = "EMAIL"
    SLACK = "SLACK"
    WEBHOOK = "WEBHOOK"
    UNKNOWN = "UNKNOWN"
    """A channel that is newer than this client."""


class DeliveryState(StrEnum):
    """What became of a message."""

    WAITING = "WAITING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    GIVEN_UP = "GIVEN_UP"
    UNKNOWN = "UNKNOWN"
    """A state that is newer than this client."""


@dataclass(frozen=True, slots=True)
class EmailTarget:
    """An e-mail for each of these addresses."""

    recipients: tuple[str, ...]

    def __str__(self) -> str:
        """Say who."""
        return f"email {', '.join(self.recipients)}"


@dataclass(frozen=True, slots=True)
class SlackTarget:
    """A message to the webhook of Slack whose URL the operator's secret of this name holds."""

    secret: str

    def __str__(self) -> str:
        """Say where."""
        return f"slack {self.secret}"


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """A CloudEvent to a URL, signed with the operator's secret of this name."""

    url: str
    secret: str

    def __str__(self) -> str:
        """Say where."""
        return f"webhook {self.url} ({self.secret})"


@dataclass(frozen=True, slots=True)
class NotificationRule:
    """Who is told of which events; None is a kind of target that is newer than this client."""

    events: tuple[NotificationEvent, ...]
    target: EmailTarget | SlackTarget | WebhookTarget | None

    def __str__(self) -> str:
        """Say who is told of what."""
        return f"{self.target}: {', '.join(self.events)}"


@dataclass(frozen=True, slots=True)
class Notifications:
    """Who is told what happens; no rule tells nobody."""

    rules: tuple[NotificationRule, ...] = ()

    def __str__(self) -> str:
        """Say all of it."""
        return "; ".join(map(str, self.rules)) or "nobody is told"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to one target, and what became of it. `next_time` is set while it waits."""

    id: str
    event: NotificationEvent
    subject: str
    title: str
    channel: NotificationChannel
    target: str
    state: DeliveryState
    attempts: int
    reason: str
    create_time: datetime
    update_time: datetime
    next_time: datetime | None


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time in which nothing is promoted, and why."""

    start: datetime
    end: datetime
    reason: str = ""

    def __str__(self) -> str:
        """Say when, and why."""
        return f"{self.start:%Y-%m-%dT%H:%M} to {self.end:%Y-%m-%dT%H:%M} UTC ({self.reason})"


@dataclass(frozen=True, slots=True)
class Gates:
    """What a domain asks of versions that are promoted into it; the order of the domains holds without being set.

    What is None is inherited, and freezes are added to those that are inherited. Of gates that hold nothing is None.
    """

    successes: int | None = None
    within_hours: int | None = None
    soak_hours: int | None = None
    approvals: int | None = None
    closed: bool | None = None
    freezes: tuple[Freeze, ...] = ()

    def __str__(self) -> str:
        """Say what is asked."""
        numbers = {name: getattr(self, name) for name in ("successes", "within_hours", "soak_hours", "approvals")}
        asked = [f"{name}={number}" for name, number in numbers.items() if number is not None]
        closed = [] if self.closed is None else ["closed" if self.closed else "open"]
        return ", ".join([*asked, *closed, *(f"frozen {freeze}" for freeze in self.freezes)]) or "none"


class PromotionState(StrEnum):
    """Where a promotion is."""

    PENDING = "PENDING"
    PROMOTED = "PROMOTED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"
    """A state that is newer than this client."""


class EntryState(StrEnum):
    """How a version that is promoted relates to what is in the target."""

    NEW = "NEW"
    SAME = "SAME"
    DIFFERENT = "DIFFERENT"
    MISSING = "MISSING"
    UNKNOWN = "UNKNOWN"
    """A state that is newer than this client."""


class DifferenceKind(StrEnum):
    """How something differs from what is active in the target."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"
    UNKNOWN = "UNKNOWN"
    """One that is newer than this client."""


@dataclass(frozen=True, slots=True)
class PromotionEntry:
    """A version that is promoted, or that must be there because it is another project's."""

    kind: EntityKind
    project: str
    name: str
    version: str
    source_digest: str
    digest: str
    state: EntryState


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in which a promoted launch plan differs from the active one; a version is empty for what one lacks."""

    kind: EntityKind
    name: str
    difference: DifferenceKind
    active_version: str
    promoted_version: str


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition of the target domain, whether it holds, and what was asked for and found."""

    name: str
    passed: bool
    message: str


@dataclass(frozen=True, slots=True)
class Approval:
    """That somebody approved a promotion."""

    principal: str
    comment: str
    time: datetime


@dataclass(frozen=True, slots=True)
class PromotionPreview:
    """What a promotion would do."""

    entries: tuple[PromotionEntry, ...]
    artifacts: tuple[str, ...]
    gates: tuple[Gate, ...]
    active_version: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion into a domain. `decide_time` is None while it waits."""

    project: str
    domain: str
    name: str
    source_domain: str
    kind: EntityKind
    entity: str
    version: str
    activate: bool
    state: PromotionState
    requester: str
    comment: str
    gates: tuple[Gate, ...]
    approvals: tuple[Approval, ...]
    entries: tuple[PromotionEntry, ...]
    artifacts: tuple[str, ...]
    overridden: bool
    decider: str
    decision_comment: str
    create_time: datetime
    expire_time: datetime
    decide_time: datetime | None


class RecordKind(StrEnum):
    """What an audit record is about."""

    MUTATION = "MUTATION"
    DENIAL = "DENIAL"
    UNKNOWN = "UNKNOWN"
    """A kind that is newer than this client."""


@dataclass(frozen=True, slots=True)
class Change:
    """A resource before and after a mutation: SHA-256 of what describes it, empty where it is not there."""

    domain: str
    resource: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who changed what, or was refused what. `chain` is a project, or "*" for the server; "*" as domain is none."""

    chain: str
    sequence: int
    time: datetime
    kind: RecordKind
    principal: str
    origin: str
    method: str
    permission: str
    domain: str
    reason: str
    request_id: str
    count: int
    changes: tuple[Change, ...]
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where a chain of audit records ends."""

    chain: str
    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a chain was found: where it ends, and what is wrong from which record on; "" for a chain that holds."""

    chain: str
    sequence: int
    hash: str
    problem: str
    problem_sequence: int


@dataclass(frozen=True, slots=True)
class Export:
    """That a scope lets the project `consumer` refer to a name of its own in every version; "*" is every name."""

    project: str
    domain: str
    kind: EntityKind
    name: str
    consumer: str
    creator: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Dependent:
    """A version of a workflow or launch plan that refers to something; `uses_version` is the version of that."""

    project: str
    domain: str
    kind: EntityKind
    name: str
    version: str
    uses_version: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the caller is: a member such as "service-account:developer", its groups and what these are bound to."""

    principal: str
    groups: tuple[str, ...]
    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class ServiceAccountSecret:
    """A new service account and its OAuth2 secret, which the server never shows again."""

    name: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """An account of a program. A disabled one can do nothing."""

    name: str
    disabled: bool
    creator: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class FlippedCalls:
    """Calls that a change of the policy would have answered otherwise; `allowed` is what they would be.

    `last_hour` is when the hour of the last of them began.
    """

    member: str
    method: str
    permission: str
    project: str
    domain: str
    calls: int
    last_hour: datetime
    allowed: bool


@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """Whether a member may do something somewhere, and why.

    `bindings` are what gives it, or would if they had not expired; `could_grant` names members who can. `shut_out` is
    True for a service account that is bound to it but disabled, or not there.
    """

    allowed: bool
    bindings: tuple[Binding, ...]
    could_grant: tuple[str, ...]
    shut_out: bool
    revision: int
