"""Attributes of projects, their domains and workflows."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the step."""
    op.create_table(
        "matchable_attributes",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("domain_pattern", sa.String(length=63), nullable=False),
        sa.Column("workflow", sa.String(length=255), nullable=False),
        sa.Column("resource", sa.String(length=63), nullable=False),
        sa.Column("attributes", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.id"]),
        sa.PrimaryKeyConstraint("project", "domain_pattern", "workflow", "resource"),
    )


def downgrade() -> None:
    """Undo the step."""
    op.drop_table("matchable_attributes")
