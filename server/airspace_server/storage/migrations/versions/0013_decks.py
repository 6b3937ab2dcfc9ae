"""Which attempts left a deck, and which URLs that may be used once have been."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the step."""
    op.add_column("task_attempts", sa.Column("deck", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "used_urls",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("domain", sa.String(63), nullable=False),
        sa.Column("token", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.id"]),
        sa.PrimaryKeyConstraint("project", "domain", "token"),
    )


def downgrade() -> None:
    """Undo the step."""
    op.drop_table("used_urls")
    op.drop_column("task_attempts", "deck")
