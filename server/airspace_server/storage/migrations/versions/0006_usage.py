"""How often who asked for what."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the step."""
    op.create_table(
        "usage",
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("member", sa.String(length=255), nullable=False),
        sa.Column("groups", sa.String(length=2000), nullable=False),
        sa.Column("method", sa.String(length=255), nullable=False),
        sa.Column("permission", sa.String(length=63), nullable=False),
        sa.Column("reach", sa.String(length=8), nullable=False),
        sa.Column("project_pattern", sa.String(length=63), nullable=False),
        sa.Column("domain_pattern", sa.String(length=63), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "hour", "member", "groups", "method", "permission", "reach", "project_pattern", "domain_pattern"
        ),
    )


def downgrade() -> None:
    """Undo the step."""
    op.drop_table("usage")
