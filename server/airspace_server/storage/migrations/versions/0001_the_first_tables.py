"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the step."""
    op.create_table(
        "answered_requests",
        sa.Column("principal", sa.String(length=255), nullable=False),
        sa.Column("method", sa.String(length=255), nullable=False),
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "method", "request_id"),
    )
    with op.batch_alter_table("answered_requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_answered_requests_created_at"), ["created_at"], unique=False)

    op.create_table(
        "bindings",
        sa.Column("member", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=63), nullable=False),
        sa.Column("project_pattern", sa.String(length=63), nullable=False),
        sa.Column("domain_pattern", sa.String(length=63), nullable=False),
        sa.Column("creator", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member", "role", "project_pattern", "domain_pattern"),
    )
    with op.batch_alter_table("bindings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bindings_role"), ["role"], unique=False)

    op.create_table(
        "policy_revision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.String(length=300), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "roles",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("permissions", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "service_accounts",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("creator", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "tasks",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("domain", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("short_description", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("closure", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"],
            ["projects.id"],
        ),
        sa.PrimaryKeyConstraint("project", "domain", "name", "version"),
    )
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.create_index("tasks_newest", ["project", "domain", "created_at", "name", "version"], unique=False)

    op.create_table(
        "workflows",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("domain", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("short_description", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("interface", sa.LargeBinary(), nullable=False),
        sa.Column("closure", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"],
            ["projects.id"],
        ),
        sa.PrimaryKeyConstraint("project", "domain", "name", "version"),
    )
    with op.batch_alter_table("workflows", schema=None) as batch_op:
        batch_op.create_index("workflows_newest", ["project", "domain", "created_at", "name", "version"], unique=False)

    op.create_table(
        "launch_plans",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("domain", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("workflow_name", sa.String(length=255), nullable=False),
        sa.Column("workflow_version", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("spec", sa.LargeBinary(), nullable=False),
        sa.Column("closure", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "domain", "workflow_name", "workflow_version"],
            ["workflows.project", "workflows.domain", "workflows.name", "workflows.version"],
        ),
        sa.PrimaryKeyConstraint("project", "domain", "name", "version"),
    )
    with op.batch_alter_table("launch_plans", schema=None) as batch_op:
        batch_op.create_index(
            "launch_plans_newest", ["project", "domain", "created_at", "name", "version"], unique=False
        )
        batch_op.create_index(
            "launch_plans_one_active",
            ["project", "domain", "name"],
            unique=True,
            sqlite_where=sa.text("state = 'ACTIVE'"),
            postgresql_where=sa.text("state = 'ACTIVE'"),
        )

    op.create_table(
        "executions",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("domain", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("launch_plan_name", sa.String(length=255), nullable=True),
        sa.Column("launch_plan_version", sa.String(length=255), nullable=True),
        sa.Column("workflow_name", sa.String(length=255), nullable=True),
        sa.Column("workflow_version", sa.String(length=255), nullable=True),
        sa.Column("task_name", sa.String(length=255), nullable=True),
        sa.Column("task_version", sa.String(length=255), nullable=True),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("spec", sa.LargeBinary(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("inputs", sa.LargeBinary(), nullable=False),
        sa.Column("user_inputs", sa.LargeBinary(), nullable=False),
        sa.Column("outputs", sa.LargeBinary(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_kind", sa.String(length=8), nullable=True),
        sa.Column("principal", sa.String(length=255), nullable=False),
        sa.Column("abort_cause", sa.Text(), nullable=True),
        sa.Column("abort_principal", sa.String(length=255), nullable=True),
        sa.Column("source_execution", sa.String(length=63), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_epoch", sa.BigInteger(), nullable=False),
        sa.Column("lease_expires_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(launch_plan_name IS NULL) <> (task_name IS NULL)", name="executions_run_one_thing"),
        sa.CheckConstraint(
            "(launch_plan_name IS NULL) = (workflow_name IS NULL)", name="executions_know_their_workflow"
        ),
        sa.ForeignKeyConstraint(
            ["project", "domain", "launch_plan_name", "launch_plan_version"],
            ["launch_plans.project", "launch_plans.domain", "launch_plans.name", "launch_plans.version"],
        ),
        sa.ForeignKeyConstraint(
            ["project", "domain", "task_name", "task_version"],
            ["tasks.project", "tasks.domain", "tasks.name", "tasks.version"],
        ),
        sa.ForeignKeyConstraint(
            ["project", "domain", "workflow_name", "workflow_version"],
            ["workflows.project", "workflows.domain", "workflows.name", "workflows.version"],
        ),
        sa.PrimaryKeyConstraint("project", "domain", "name"),
    )
    with op.batch_alter_table("executions", schema=None) as batch_op:
        batch_op.create_index("executions_newest", ["project", "domain", "created_at", "name"], unique=False)
        batch_op.create_index(
            "executions_open",
            ["lease_expires_at", "created_at"],
            unique=False,
            sqlite_where=sa.text("phase IN ('QUEUED', 'RUNNING', 'FAILING', 'ABORTING')"),
            postgresql_where=sa.text("phase IN ('QUEUED', 'RUNNING', 'FAILING', 'ABORTING')"),
        )

    op.create_table(
        "execution_transitions",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("domain", sa.String(length=63), nullable=False),
        sa.Column("execution", sa.String(length=63), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("node_id", sa.String(length=255), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_kind", sa.String(length=8), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "domain", "execution"],
            ["executions.project", "executions.domain", "executions.name"],
        ),
        sa.PrimaryKeyConstraint("project", "domain", "execution", "sequence"),
    )
    op.create_table(
        "node_executions",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("domain", sa.String(length=63), nullable=False),
        sa.Column("execution", sa.String(length=63), nullable=False),
        sa.Column("node_id", sa.String(length=255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("spec_node_id", sa.String(length=255), nullable=False),
        sa.Column("parent_id", sa.String(length=255), nullable=False),
        sa.Column("entity_kind", sa.String(length=16), nullable=False),
        sa.Column("entity_name", sa.String(length=255), nullable=False),
        sa.Column("entity_version", sa.String(length=255), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("inputs", sa.LargeBinary(), nullable=True),
        sa.Column("outputs", sa.LargeBinary(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_kind", sa.String(length=8), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project", "domain", "execution"],
            ["executions.project", "executions.domain", "executions.name"],
        ),
        sa.PrimaryKeyConstraint("project", "domain", "execution", "node_id"),
    )
    op.create_table(
        "task_attempts",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("domain", sa.String(length=63), nullable=False),
        sa.Column("execution", sa.String(length=63), nullable=False),
        sa.Column("node_id", sa.String(length=255), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("outputs_uri", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_kind", sa.String(length=8), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project", "domain", "execution", "node_id"],
            [
                "node_executions.project",
                "node_executions.domain",
                "node_executions.execution",
                "node_executions.node_id",
            ],
        ),
        sa.PrimaryKeyConstraint("project", "domain", "execution", "node_id", "attempt"),
    )


def downgrade() -> None:
    """Take the step back."""
    op.drop_table("task_attempts")
    op.drop_table("node_executions")
    op.drop_table("execution_transitions")
    with op.batch_alter_table("executions", schema=None) as batch_op:
        batch_op.drop_index(
            "executions_open",
            sqlite_where=sa.text("phase IN ('QUEUED', 'RUNNING', 'FAILING', 'ABORTING')"),
            postgresql_where=sa.text("phase IN ('QUEUED', 'RUNNING', 'FAILING', 'ABORTING')"),
        )
        batch_op.drop_index("executions_newest")

    op.drop_table("executions")
    with op.batch_alter_table("launch_plans", schema=None) as batch_op:
        batch_op.drop_index(
            "launch_plans_one_active",
            sqlite_where=sa.text("state = 'ACTIVE'"),
            postgresql_where=sa.text("state = 'ACTIVE'"),
        )
        batch_op.drop_index("launch_plans_newest")

    op.drop_table("launch_plans")
    with op.batch_alter_table("workflows", schema=None) as batch_op:
        batch_op.drop_index("workflows_newest")

    op.drop_table("workflows")
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.drop_index("tasks_newest")

    op.drop_table("tasks")
    op.drop_table("service_accounts")
    op.drop_table("roles")
    op.drop_table("projects")
    op.drop_table("policy_revision")
    with op.batch_alter_table("bindings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bindings_role"))

    op.drop_table("bindings")
    with op.batch_alter_table("answered_requests", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_answered_requests_created_at"))

    op.drop_table("answered_requests")
