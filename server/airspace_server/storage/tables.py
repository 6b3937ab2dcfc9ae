"""Every table, grouped by the wing that owns it.

A scoped table has (project, domain) first in its key, foreign keys between scoped tables carry both, and the guard in
database.py refuses a statement that touches one without its scope. Times are microseconds since the epoch, UTC, as
integers: exact, the same on SQLite and Postgres, and comparable in keysets. SQLModel declares; statements are Core.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
    text,
)
from sqlmodel import Field, SQLModel

METADATA: Final[MetaData] = SQLModel.metadata


def _time(*, optional: bool = False) -> Any:
    return Field(sa_type=BigInteger, nullable=optional, default=None if optional else ...)


def _bytes(*, optional: bool = False) -> Any:
    return Field(sa_type=LargeBinary, nullable=optional, default=None if optional else ...)


def _text(*, optional: bool = False) -> Any:
    return Field(sa_type=Text, nullable=optional, default=None if optional else ...)


# --- admin: projects and the registry


class ProjectRow(SQLModel, table=True):
    """A project. `labels` is a JSON object; `version` counts changes and is what the etag shows."""

    __tablename__ = "projects"

    id: str = Field(primary_key=True, max_length=63)
    name: str = Field(max_length=64)
    description: str = Field(max_length=300)
    labels: str = _text()
    state: str = Field(max_length=16)
    version: int
    created_at: int = _time()
    updated_at: int = _time()


class TaskRow(SQLModel, table=True):
    """A version of a task. `closure` is a flyteidl.admin.TaskClosure."""

    __tablename__ = "tasks"
    __table_args__ = (
        ForeignKeyConstraint(["project"], ["projects.id"]),
        Index("tasks_newest", "project", "domain", "created_at", "name", "version"),
    )

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    name: str = Field(primary_key=True, max_length=255)
    version: str = Field(primary_key=True, max_length=255)
    type: str = Field(max_length=255)
    short_description: str = _text()
    digest: str = Field(max_length=64)
    closure: bytes = _bytes()
    created_at: int = _time()


class WorkflowRow(SQLModel, table=True):
    """A version of a workflow. `closure` is a flyteidl.core.CompiledWorkflowClosure, `interface` its TypedInterface."""

    __tablename__ = "workflows"
    __table_args__ = (
        ForeignKeyConstraint(["project"], ["projects.id"]),
        Index("workflows_newest", "project", "domain", "created_at", "name", "version"),
    )

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    name: str = Field(primary_key=True, max_length=255)
    version: str = Field(primary_key=True, max_length=255)
    short_description: str = _text()
    digest: str = Field(max_length=64)
    interface: bytes = _bytes()
    closure: bytes = _bytes()
    created_at: int = _time()


class LaunchPlanRow(SQLModel, table=True):
    """A version of a launch plan. `spec` and `closure` are flyteidl.admin's; `state` here is the truth.

    The partial index is what keeps at most one version of a name active. The workflow may be of another project, never
    of another domain: the foreign key has one domain for both.
    """

    __tablename__ = "launch_plans"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workflow_project", "domain", "workflow_name", "workflow_version"],
            ["workflows.project", "workflows.domain", "workflows.name", "workflows.version"],
            name="launch_plans_workflow",
        ),
        Index(
            "launch_plans_one_active",
            "project",
            "domain",
            "name",
            unique=True,
            sqlite_where=text("state = 'ACTIVE'"),
            postgresql_where=text("state = 'ACTIVE'"),
        ),
        Index("launch_plans_newest", "project", "domain", "created_at", "name", "version"),
    )

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    name: str = Field(primary_key=True, max_length=255)
    version: str = Field(primary_key=True, max_length=255)
    workflow_project: str = Field(max_length=63)
    workflow_name: str = Field(max_length=255)
    workflow_version: str = Field(max_length=255)
    state: str = Field(max_length=16)
    schedule: str = _text()
    digest: str = Field(max_length=64)
    spec: bytes = _bytes()
    closure: bytes = _bytes()
    created_at: int = _time()
    updated_at: int = _time()


class ActivationRow(SQLModel, table=True):
    """That the active version of a launch plan's name changed; `version` is "" when none is active since then.

    `principal` and `principal_groups`, a JSON list, are who did it, "" for what was active before this was kept.
    """

    __tablename__ = "activations"
    __table_args__ = (ForeignKeyConstraint(["project"], ["projects.id"]),)

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    name: str = Field(primary_key=True, max_length=255)
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    version: str = Field(max_length=255)
    cause: str = Field(max_length=16)
    principal: str = Field(max_length=255)
    principal_groups: str = _text()
    at: int = _time()


class ScheduleRow(SQLModel, table=True):
    """The schedule of the active version of a launch plan's name; the version says what it is.

    It was activated at `anchor_at` by `principal`, "" for nobody known, whose groups are a JSON list. `next_at` is its
    next tick, 0 when nobody has looked yet.
    """

    __tablename__ = "schedules"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project", "domain", "name", "version"],
            ["launch_plans.project", "launch_plans.domain", "launch_plans.name", "launch_plans.version"],
        ),
        Index("schedules_due", "next_at"),
    )

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    name: str = Field(primary_key=True, max_length=255)
    version: str = Field(max_length=255)
    anchor_at: int = _time()
    next_at: int = _time()
    principal: str = Field(max_length=255)
    principal_groups: str = _text()


class TickRow(SQLModel, table=True):
    """What became of a tick of a schedule, or of several that were missed: from `due_at` until `last_due_at`."""

    __tablename__ = "schedule_ticks"
    __table_args__ = (ForeignKeyConstraint(["project"], ["projects.id"]),)

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    name: str = Field(primary_key=True, max_length=255)
    due_at: int = Field(primary_key=True, sa_type=BigInteger)
    last_due_at: int = _time()
    version: str = Field(max_length=255)
    outcome: str = Field(max_length=16)
    reason: str = _text()
    execution: str = Field(max_length=63)
    at: int = _time()


class PromotionRow(SQLModel, table=True):
    """A promotion of a version into this scope. `gates` and `entries`, which are as they were last, are JSON lists.

    The partial index is what keeps one of a version waiting.
    """

    __tablename__ = "promotions"
    __table_args__ = (
        ForeignKeyConstraint(["project"], ["projects.id"]),
        Index(
            "promotions_one_pending",
            "project",
            "domain",
            "source_domain",
            "kind",
            "entity",
            "version",
            unique=True,
            sqlite_where=text("state = 'PENDING'"),
            postgresql_where=text("state = 'PENDING'"),
        ),
        Index("promotions_newest", "project", "domain", "created_at", "name"),
    )

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    name: str = Field(primary_key=True, max_length=63)
    source_domain: str = Field(max_length=63)
    kind: str = Field(max_length=16)
    entity: str = Field(max_length=255)
    version: str = Field(max_length=255)
    activate: bool
    state: str = Field(max_length=16)
    requester: str = Field(max_length=255)
    comment: str = _text()
    gates: str = _text()
    entries: str = _text()
    artifacts: str = _text()
    overridden: bool
    decider: str = Field(max_length=255)
    decision_comment: str = _text()
    created_at: int = _time()
    expires_at: int = _time()
    decided_at: int | None = _time(optional=True)


class PromotionApprovalRow(SQLModel, table=True):
    """That somebody approved a promotion."""

    __tablename__ = "promotion_approvals"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project", "domain", "promotion"], ["promotions.project", "promotions.domain", "promotions.name"]
        ),
    )

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    promotion: str = Field(primary_key=True, max_length=63)
    principal: str = Field(primary_key=True, max_length=255)
    comment: str = _text()
    at: int = _time()


class ReferenceRow(SQLModel, table=True):
    """That a version of a scope, a WORKFLOW or LAUNCH_PLAN, refers to a version of a project in the same domain."""

    __tablename__ = "version_references"
    __table_args__ = (
        Index(
            "version_references_by_use",
            "domain",
            "used_project",
            "used_kind",
            "used_name",
            "project",
            "kind",
            "name",
            "version",
            "used_version",
        ),
    )

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    kind: str = Field(primary_key=True, max_length=16)
    name: str = Field(primary_key=True, max_length=255)
    version: str = Field(primary_key=True, max_length=255)
    used_project: str = Field(primary_key=True, max_length=63)
    used_kind: str = Field(primary_key=True, max_length=16)
    used_name: str = Field(primary_key=True, max_length=255)
    used_version: str = Field(primary_key=True, max_length=255)


class NamedEntityRow(SQLModel, table=True):
    """What is said of a name of tasks, workflows or launch plans, for all its versions; no row says nothing."""

    __tablename__ = "named_entities"
    __table_args__ = (ForeignKeyConstraint(["project"], ["projects.id"]),)

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    kind: str = Field(primary_key=True, max_length=16)
    name: str = Field(primary_key=True, max_length=255)
    description: str = _text()
    state: str = Field(max_length=16)


class DescriptionRow(SQLModel, table=True):
    """How a version of a task or workflow was described when it was registered, a flyteidl.admin.DescriptionEntity."""

    __tablename__ = "descriptions"
    __table_args__ = (
        ForeignKeyConstraint(["project"], ["projects.id"]),
        Index("descriptions_newest", "project", "domain", "kind", "created_at", "name", "version"),
    )

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    kind: str = Field(primary_key=True, max_length=16)
    name: str = Field(primary_key=True, max_length=255)
    version: str = Field(primary_key=True, max_length=255)
    short_description: str = _text()
    description: bytes = _bytes()
    created_at: int = _time()


class ExportRow(SQLModel, table=True):
    """That a project lets another refer to something of its own in a domain. `name` may be "*".

    Not a scoped table: like a binding it is policy, which is read from both sides.
    """

    __tablename__ = "exports"
    __table_args__ = (ForeignKeyConstraint(["exporter"], ["projects.id"]),)

    exporter: str = Field(primary_key=True, max_length=63)
    export_domain: str = Field(primary_key=True, max_length=63)
    kind: str = Field(primary_key=True, max_length=16)
    name: str = Field(primary_key=True, max_length=255)
    consumer: str = Field(primary_key=True, max_length=63)
    creator: str = Field(max_length=255)
    created_at: int = _time()


# --- execution: executions, their nodes, attempts and transitions


class ExecutionRow(SQLModel, table=True):
    """An execution. `spec` is a flyteidl.admin.ExecutionSpec without inputs; inputs and outputs are LiteralMaps.

    `sequence` is that of its last transition. `lease_epoch` is the fencing token: every write of a worker names the
    epoch under which it leased the execution, and hits nothing once another worker has taken over.
    `lease_expires_at` is 0 until a worker has taken it, and never again.

    It runs a launch plan's workflow, or one task alone; the columns of the other kind are null.
    """

    __tablename__ = "executions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project", "domain", "launch_plan_name", "launch_plan_version"],
            ["launch_plans.project", "launch_plans.domain", "launch_plans.name", "launch_plans.version"],
        ),
        ForeignKeyConstraint(
            ["workflow_project", "domain", "workflow_name", "workflow_version"],
            ["workflows.project", "workflows.domain", "workflows.name", "workflows.version"],
            name="executions_workflow",
        ),
        ForeignKeyConstraint(
            ["project", "domain", "task_name", "task_version"],
            ["tasks.project", "tasks.domain", "tasks.name", "tasks.version"],
        ),
        CheckConstraint("(launch_plan_name IS NULL) <> (task_name IS NULL)", "executions_run_one_thing"),
        CheckConstraint("(launch_plan_name IS NULL) = (workflow_name IS NULL)", "executions_know_their_workflow"),
        CheckConstraint("(workflow_project IS NULL) = (workflow_name IS NULL)", "executions_know_whose_workflow"),
        Index("executions_newest", "project", "domain", "created_at", "name"),
        Index(
            "executions_open",
            "lease_expires_at",
            "created_at",
            sqlite_where=text("phase IN ('QUEUED', 'RUNNING', 'FAILING', 'ABORTING')"),
            postgresql_where=text("phase IN ('QUEUED', 'RUNNING', 'FAILING', 'ABORTING')"),
        ),
        Index(
            "executions_waiting",
            "project",
            "domain",
            "created_at",
            "name",
            sqlite_where=text("phase = 'QUEUED' AND lease_expires_at = 0"),
            postgresql_where=text("phase = 'QUEUED' AND lease_expires_at = 0"),
        ),
        Index(
            "executions_admitted",
            "project",
            "domain",
            sqlite_where=text("phase IN ('QUEUED', 'RUNNING', 'FAILING', 'ABORTING') AND lease_expires_at > 0"),
            postgresql_where=text("phase IN ('QUEUED', 'RUNNING', 'FAILING', 'ABORTING') AND lease_expires_at > 0"),
        ),
    )

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    name: str = Field(primary_key=True, max_length=63)
    launch_plan_name: str | None = Field(default=None, max_length=255)
    launch_plan_version: str | None = Field(default=None, max_length=255)
    workflow_project: str | None = Field(default=None, max_length=63)
    workflow_name: str | None = Field(default=None, max_length=255)
    workflow_version: str | None = Field(default=None, max_length=255)
    task_name: str | None = Field(default=None, max_length=255)
    task_version: str | None = Field(default=None, max_length=255)
    phase: str = Field(max_length=16)
    state: str = Field(max_length=16)
    spec: bytes = _bytes()
    labels: str = _text()
    inputs: bytes = _bytes()
    user_inputs: bytes = _bytes()
    outputs: bytes | None = _bytes(optional=True)
    error_code: str | None = _text(optional=True)
    error_message: str | None = _text(optional=True)
    error_kind: str | None = Field(default=None, max_length=8)
    principal: str = Field(max_length=255)
    principal_groups: str | None = _text(optional=True)
    abort_cause: str | None = _text(optional=True)
    abort_principal: str | None = Field(default=None, max_length=255)
    source_execution: str | None = Field(default=None, max_length=63)
    sequence: int = Field(sa_type=BigInteger)
    lease_owner: str | None = Field(default=None, max_length=64)
    lease_epoch: int = Field(sa_type=BigInteger)
    lease_expires_at: int = _time()
    created_at: int = _time()
    started_at: int | None = _time(optional=True)
    updated_at: int = _time()
    ended_at: int | None = _time(optional=True)


class TransitionRow(SQLModel, table=True):
    """One move of an execution (`node_id` is null) or of one of its nodes to a phase: what Watch streams."""

    __tablename__ = "execution_transitions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project", "domain", "execution"], ["executions.project", "executions.domain", "executions.name"]
        ),
    )

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    execution: str = Field(primary_key=True, max_length=63)
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    node_id: str | None = Field(default=None, max_length=255)
    attempt: int
    phase: str = Field(max_length=16)
    error_code: str | None = _text(optional=True)
    error_message: str | None = _text(optional=True)
    error_kind: str | None = Field(default=None, max_length=8)
    at: int = _time()


class NodeExecutionRow(SQLModel, table=True):
    """A node of an execution. `position` is its place in the order in which the nodes came up.

    `entity_kind` is a NodeKind; the entity is of the project `entity_project`, in the execution's domain.
    """

    __tablename__ = "node_executions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project", "domain", "execution"], ["executions.project", "executions.domain", "executions.name"]
        ),
    )

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    execution: str = Field(primary_key=True, max_length=63)
    node_id: str = Field(primary_key=True, max_length=255)
    position: int
    spec_node_id: str = Field(max_length=255)
    parent_id: str = Field(max_length=255)
    entity_kind: str = Field(max_length=16)
    entity_project: str = Field(max_length=63)
    entity_name: str = Field(max_length=255)
    entity_version: str = Field(max_length=255)
    phase: str = Field(max_length=16)
    attempts: int
    inputs: bytes | None = _bytes(optional=True)
    outputs: bytes | None = _bytes(optional=True)
    error_code: str | None = _text(optional=True)
    error_message: str | None = _text(optional=True)
    error_kind: str | None = Field(default=None, max_length=8)
    created_at: int = _time()
    started_at: int | None = _time(optional=True)
    updated_at: int = _time()
    ended_at: int | None = _time(optional=True)


class TaskAttemptRow(SQLModel, table=True):
    """One attempt of a node's task, from 0 on. `handle` is how its runner finds the attempt again after a restart.

    `deck` tells whether it left a page to look at among the artifacts (execution/decks.py).
    """

    __tablename__ = "task_attempts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project", "domain", "execution", "node_id"],
            [
                "node_executions.project",
                "node_executions.domain",
                "node_executions.execution",
                "node_executions.node_id",
            ],
        ),
    )

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    execution: str = Field(primary_key=True, max_length=63)
    node_id: str = Field(primary_key=True, max_length=255)
    attempt: int = Field(primary_key=True)
    phase: str = Field(max_length=16)
    handle: str = _text()
    outputs_uri: str = _text()
    deck: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    error_code: str | None = _text(optional=True)
    error_message: str | None = _text(optional=True)
    error_kind: str | None = Field(default=None, max_length=8)
    created_at: int = _time()
    updated_at: int = _time()
    ended_at: int | None = _time(optional=True)


class SignalRow(SQLModel, table=True):
    """A question to people about an execution, and their answer once it is given: a LiteralType and a Literal."""

    __tablename__ = "signals"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project", "domain", "execution"], ["executions.project", "executions.domain", "executions.name"]
        ),
    )

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    execution: str = Field(primary_key=True, max_length=63)
    signal_id: str = Field(primary_key=True, max_length=255)
    type: bytes = _bytes()
    value: bytes | None = _bytes(optional=True)
    created_at: int = _time()
    updated_at: int = _time()


class DeliveryRow(SQLModel, table=True):
    """A message about something that happened in a scope, to one target, and what became of it.

    `facts` is a JSON object. `secret` is the path of a file below the server's secrets. While it is WAITING, it is
    tried at `next_at`; who sends it raises the epoch and puts that off, and writes only under its own epoch.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        ForeignKeyConstraint(["project"], ["projects.id"]),
        Index(
            "deliveries_due",
            "next_at",
            sqlite_where=text("state = 'WAITING'"),
            postgresql_where=text("state = 'WAITING'"),
        ),
        Index("deliveries_newest", "project", "domain", "created_at", "id"),
    )

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    id: str = Field(primary_key=True, max_length=32)
    event: str = Field(max_length=32)
    subject: str = _text()
    title: str = _text()
    facts: str = _text()
    channel: str = Field(max_length=16)
    address: str = _text()
    secret: str = Field(max_length=127)
    state: str = Field(max_length=16)
    attempts: int
    reason: str = _text()
    next_at: int = _time()
    epoch: int = Field(sa_type=BigInteger)
    created_at: int = _time()
    updated_at: int = _time()


# --- artifacts


class UsedUrlRow(SQLModel, table=True):
    """A signed URL that may be used once and was, kept until it expires, in seconds since the epoch."""

    __tablename__ = "used_urls"
    __table_args__ = (ForeignKeyConstraint(["project"], ["projects.id"]),)

    project: str = Field(primary_key=True, max_length=63)
    domain: str = Field(primary_key=True, max_length=63)
    token: str = Field(primary_key=True, max_length=32)
    expires_at: int = Field(sa_type=BigInteger)


# --- access: the policy and who can log in


class RoleRow(SQLModel, table=True):
    """A role of the operator's own; the built-in ones are in core/permissions.py. `permissions` is a JSON list."""

    __tablename__ = "roles"

    name: str = Field(primary_key=True, max_length=63)
    permissions: str = _text()
    created_at: int = _time()


class BindingRow(SQLModel, table=True):
    """A member's role at a pattern, until `expires_at` if that is set. Not a scoped table: "*" is a value here."""

    __tablename__ = "bindings"

    member: str = Field(primary_key=True, max_length=255)
    role: str = Field(primary_key=True, max_length=63, index=True)
    project_pattern: str = Field(primary_key=True, max_length=63)
    domain_pattern: str = Field(primary_key=True, max_length=63)
    creator: str = Field(max_length=255)
    created_at: int = _time()
    expires_at: int | None = _time(optional=True)


class PolicyRevisionRow(SQLModel, table=True):
    """One row: how often the policy (roles, bindings, service accounts) has changed."""

    __tablename__ = "policy_revision"

    id: int = Field(primary_key=True)
    revision: int = Field(sa_type=BigInteger)


class UsageRow(SQLModel, table=True):
    """How often a member asked for a permission somewhere with an RPC in an hour, let in or not.

    `hour` counts hours since the epoch, UTC; `groups` is a JSON list of those that the token named; `reach` is as in
    access/decide.py. Not a scoped table: "*" is a value here.
    """

    __tablename__ = "usage"

    hour: int = Field(primary_key=True, sa_type=BigInteger)
    member: str = Field(primary_key=True, max_length=255)
    groups: str = Field(primary_key=True, max_length=2000)
    method: str = Field(primary_key=True, max_length=255)
    permission: str = Field(primary_key=True, max_length=63)
    reach: str = Field(primary_key=True, max_length=8)
    project_pattern: str = Field(primary_key=True, max_length=63)
    domain_pattern: str = Field(primary_key=True, max_length=63)
    calls: int = Field(sa_type=BigInteger)


class ServiceAccountRow(SQLModel, table=True):
    """A service account. `secret_hash` is of a random 256-bit secret, so a plain SHA-256 is enough.

    `generation` counts its secrets; a token says which one it was given out for.
    """

    __tablename__ = "service_accounts"

    name: str = Field(primary_key=True, max_length=63)
    secret_hash: str = Field(max_length=64)
    generation: int
    disabled: bool
    creator: str = Field(max_length=255)
    created_at: int = _time()


# --- settings


class SettingRow(SQLModel, table=True):
    """A setting of a pattern, as JSON. Not a scoped table: "*" is a value here."""

    __tablename__ = "settings"

    project_pattern: str = Field(primary_key=True, max_length=63)
    domain_pattern: str = Field(primary_key=True, max_length=63)
    name: str = Field(primary_key=True, max_length=63)
    value: str = _text()


class MatchableAttributesRow(SQLModel, table=True):
    """Attributes of one resource for a project, one of its domains or a workflow: a flyteidl.admin.MatchingAttributes.

    Not a scoped table: "*" is a domain here, and "" a workflow, where they are for all of them.
    """

    __tablename__ = "matchable_attributes"
    __table_args__ = (ForeignKeyConstraint(["project"], ["projects.id"]),)

    project: str = Field(primary_key=True, max_length=63)
    domain_pattern: str = Field(primary_key=True, max_length=63)
    workflow: str = Field(primary_key=True, max_length=255)
    resource: str = Field(primary_key=True, max_length=63)
    attributes: bytes = _bytes()
    version: int = Field(sa_type=BigInteger)


# --- audit


class AuditRecordRow(SQLModel, table=True):
    """A record of a chain; `audit/chain.py` says what each column means. `changes` is JSON.

    Not a scoped table: a chain belongs to a project, or as "*" to the server. Nothing updates or deletes a row.
    """

    __tablename__ = "audit_records"
    __table_args__ = (
        Index("audit_records_newest", "at", "chain", "sequence"),
        Index("audit_records_of_chain", "chain", "at", "sequence"),
    )

    chain: str = Field(primary_key=True, max_length=63)
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    at: int = _time()
    kind: str = Field(max_length=16)
    principal: str = Field(max_length=255)
    origin: str = Field(max_length=255)
    method: str = Field(max_length=255)
    permission: str = Field(max_length=63)
    domain: str = Field(max_length=63)
    reason: str = Field(max_length=63)
    request_id: str = Field(max_length=64)
    count: int = Field(sa_type=BigInteger)
    changes: str = _text()
    previous: str = Field(max_length=64)
    hash: str = Field(max_length=64)


class AuditHeadRow(SQLModel, table=True):
    """Where a chain ends, sealed with a key that is not in the database. Its writers wait here for each other."""

    __tablename__ = "audit_heads"

    chain: str = Field(primary_key=True, max_length=63)
    sequence: int = Field(sa_type=BigInteger)
    hash: str = Field(max_length=64)
    seal: str = Field(max_length=64)


# --- all wings


class AnsweredRequestRow(SQLModel, table=True):
    """What a mutation with a request_id answered, so that its repetition answers the same."""

    __tablename__ = "answered_requests"

    principal: str = Field(primary_key=True, max_length=255)
    method: str = Field(primary_key=True, max_length=255)
    request_id: str = Field(primary_key=True, max_length=36)
    fingerprint: str = Field(max_length=64)
    response: bytes = _bytes()
    created_at: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))


def table(row: type[SQLModel]) -> Table:
    """Return the Core table that a row class declares."""
    declared: Table = row.__table__  # type: ignore[attr-defined]
    return declared


SCOPED: Final[frozenset[Table]] = frozenset(
    candidate
    for candidate in METADATA.tables.values()
    if [column.name for column in candidate.primary_key.columns][:2] == ["project", "domain"]
)
"""The tables whose rows belong to one scope."""
