"""What was active when under the name of a launch plan, beginning with what is active now."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the step."""
    op.create_table(
        "activations",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("domain", sa.String(63), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("version", sa.String(255), nullable=False),
        sa.Column("cause", sa.String(16), nullable=False),
        sa.Column("principal", sa.String(255), nullable=False),
        sa.Column("principal_groups", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.id"]),
        sa.PrimaryKeyConstraint("project", "domain", "name", "sequence"),
    )
    op.execute(
        sa.text(
            "INSERT INTO activations (project, domain, name, sequence, version, cause, principal, principal_groups, at)"
            " SELECT project, domain, name, 1, version, 'ACTIVATE', '', '[]', updated_at FROM launch_plans"
            " WHERE state = 'ACTIVE'"
        )
    )


def downgrade() -> None:
    """Undo the step."""
    op.drop_table("activations")
