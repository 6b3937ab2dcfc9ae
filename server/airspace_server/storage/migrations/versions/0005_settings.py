"""Settings of projects and domains."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the step."""
    op.create_table(
        "settings",
        sa.Column("project_pattern", sa.String(length=63), nullable=False),
        sa.Column("domain_pattern", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project_pattern", "domain_pattern", "name"),
    )


def downgrade() -> None:
    """Undo the step."""
    op.drop_table("settings")
