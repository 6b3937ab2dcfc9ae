"""Signals of executions."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the step."""
    op.create_table(
        "signals",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("domain", sa.String(63), nullable=False),
        sa.Column("execution", sa.String(63), nullable=False),
        sa.Column("signal_id", sa.String(255), nullable=False),
        sa.Column("type", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "domain", "execution"], ["executions.project", "executions.domain", "executions.name"]
        ),
        sa.PrimaryKeyConstraint("project", "domain", "execution", "signal_id"),
    )


def downgrade() -> None:
    """Undo the step."""
    op.drop_table("signals")
