"""The groups that launchers were in, by which their executions may do something too."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the step."""
    with op.batch_alter_table("executions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("principal_groups", sa.Text(), nullable=True))


def downgrade() -> None:
    """Undo the step."""
    with op.batch_alter_table("executions", schema=None) as batch_op:
        batch_op.drop_column("principal_groups")
