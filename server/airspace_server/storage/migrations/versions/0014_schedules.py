"""Schedules of active launch plans, and what became of their ticks."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the step. What is active was activated by nobody who is known, and says so at its first tick."""
    op.create_table(
        "schedules",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("domain", sa.String(63), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("version", sa.String(255), nullable=False),
        sa.Column("anchor_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("principal", sa.String(255), nullable=False),
        sa.Column("principal_groups", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "domain", "name", "version"],
            ["launch_plans.project", "launch_plans.domain", "launch_plans.name", "launch_plans.version"],
        ),
        sa.PrimaryKeyConstraint("project", "domain", "name"),
    )
    op.create_index("schedules_due", "schedules", ["next_at"])
    op.create_table(
        "schedule_ticks",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("domain", sa.String(63), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("last_due_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(255), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("execution", sa.String(63), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.id"]),
        sa.PrimaryKeyConstraint("project", "domain", "name", "due_at"),
    )
    op.execute(
        sa.text(
            "INSERT INTO schedules (project, domain, name, version, anchor_at, next_at, principal, principal_groups)"
            " SELECT project, domain, name, version, updated_at, 0, '', '[]' FROM launch_plans"
            " WHERE state = 'ACTIVE' AND schedule <> ''"
        )
    )


def downgrade() -> None:
    """Undo the step."""
    op.drop_table("schedule_ticks")
    op.drop_table("schedules")
