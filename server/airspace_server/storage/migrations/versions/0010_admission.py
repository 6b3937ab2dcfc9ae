"""Indexes of what waits and of what was admitted; an execution that a worker gave back is not one that none has had."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_WAITING = sa.text("phase = 'QUEUED' AND lease_expires_at = 0")
_ADMITTED = sa.text("phase IN ('QUEUED', 'RUNNING', 'FAILING', 'ABORTING') AND lease_expires_at > 0")


def upgrade() -> None:
    """Make the step."""
    op.execute(sa.text("UPDATE executions SET lease_expires_at = 1 WHERE lease_expires_at = 0 AND lease_epoch > 0"))
    for name, columns, where in (
        ("executions_waiting", ["project", "domain", "created_at", "name"], _WAITING),
        ("executions_admitted", ["project", "domain"], _ADMITTED),
    ):
        op.create_index(name, "executions", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Undo the step."""
    op.drop_index("executions_admitted", "executions")
    op.drop_index("executions_waiting", "executions")
    op.execute(sa.text("UPDATE executions SET lease_expires_at = 0 WHERE lease_expires_at = 1"))
