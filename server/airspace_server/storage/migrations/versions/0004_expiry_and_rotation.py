"""Bindings that expire, and service accounts whose secrets change."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the step."""
    with op.batch_alter_table("bindings", schema=None) as batch_op:
        batch_op.add_column(sa.Column("expires_at", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("service_accounts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("generation", sa.Integer(), nullable=False, server_default="1"))
    with op.batch_alter_table("service_accounts", schema=None) as batch_op:
        batch_op.alter_column("generation", server_default=None)


def downgrade() -> None:
    """Undo the step."""
    with op.batch_alter_table("service_accounts", schema=None) as batch_op:
        batch_op.drop_column("generation")
    with op.batch_alter_table("bindings", schema=None) as batch_op:
        batch_op.drop_column("expires_at")
