"""Promotions and who approved them."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_PENDING = sa.text("state = 'PENDING'")


def upgrade() -> None:
    """Make the step."""
    op.create_table(
        "promotions",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("domain", sa.String(63), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("source_domain", sa.String(63), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("entity", sa.String(255), nullable=False),
        sa.Column("version", sa.String(255), nullable=False),
        sa.Column("activate", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("requester", sa.String(255), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("gates", sa.Text(), nullable=False),
        sa.Column("entries", sa.Text(), nullable=False),
        sa.Column("artifacts", sa.Text(), nullable=False),
        sa.Column("overridden", sa.Boolean(), nullable=False),
        sa.Column("decider", sa.String(255), nullable=False),
        sa.Column("decision_comment", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["projects.id"]),
        sa.PrimaryKeyConstraint("project", "domain", "name"),
    )
    op.create_index(
        "promotions_one_pending",
        "promotions",
        ["project", "domain", "source_domain", "kind", "entity", "version"],
        unique=True,
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )
    op.create_index("promotions_newest", "promotions", ["project", "domain", "created_at", "name"])
    op.create_table(
        "promotion_approvals",
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("domain", sa.String(63), nullable=False),
        sa.Column("promotion", sa.String(63), nullable=False),
        sa.Column("principal", sa.String(255), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "domain", "promotion"], ["promotions.project", "promotions.domain", "promotions.name"]
        ),
        sa.PrimaryKeyConstraint("project", "domain", "promotion", "principal"),
    )


def downgrade() -> None:
    """Undo the step."""
    op.drop_table("promotion_approvals")
    op.drop_table("promotions")
