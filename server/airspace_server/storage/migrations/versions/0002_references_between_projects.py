"""References between projects: whose workflow a launch plan and an execution have, who uses what, and exports.

All that is registered so far refers to its own project, so what it refers to is read from the stored closures.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op
from flyteidl.core import compiler_pb2, identifier_pb2, workflow_pb2
from google.protobuf.message import Message

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NAMES = {"fk": "fk_%(table_name)s_%(referred_table_name)s"}  # SQLite keeps no names for those that were given none


def upgrade() -> None:
    """Make the step."""
    op.create_table(
        "exports",
        sa.Column("exporter", sa.String(length=63), nullable=False),
        sa.Column("export_domain", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("consumer", sa.String(length=63), nullable=False),
        sa.Column("creator", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["exporter"], ["projects.id"]),
        sa.PrimaryKeyConstraint("exporter", "export_domain", "kind", "name", "consumer"),
    )
    op.create_table(
        "version_references",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("domain", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=False),
        sa.Column("used_project", sa.String(length=63), nullable=False),
        sa.Column("used_kind", sa.String(length=16), nullable=False),
        sa.Column("used_name", sa.String(length=255), nullable=False),
        sa.Column("used_version", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint(
            "project",
            "domain",
            "kind",
            "name",
            "version",
            "used_project",
            "used_kind",
            "used_name",
            "used_version",
        ),
    )
    op.create_index(
        "version_references_by_use",
        "version_references",
        [
            "domain",
            "used_project",
            "used_kind",
            "used_name",
            "project",
            "kind",
            "name",
            "version",
            "used_version",
        ],
    )
    _widen("launch_plans")
    _widen("executions")
    with op.batch_alter_table("node_executions") as batch:
        batch.add_column(sa.Column("entity_project", sa.String(length=63), nullable=True))
    op.execute("UPDATE node_executions SET entity_project = project")
    with op.batch_alter_table("node_executions") as batch:
        batch.alter_column("entity_project", existing_type=sa.String(length=63), nullable=False)
    _fill_references()


def downgrade() -> None:
    """Refuse: what refers to another project could not be kept."""
    raise NotImplementedError("this step cannot be taken back; restore the database as it was before")


def _widen(name: str) -> None:
    """Let the workflow of a launch plan or an execution be of another project than its own."""
    connection = op.get_bind()
    found = [
        key["name"] for key in sa.inspect(connection).get_foreign_keys(name) if key["referred_table"] == "workflows"
    ]
    with op.batch_alter_table(name) as batch:
        batch.add_column(sa.Column("workflow_project", sa.String(length=63), nullable=True))
    op.execute(f"UPDATE {name} SET workflow_project = project WHERE workflow_name IS NOT NULL")  # noqa: S608 -- our names
    with op.batch_alter_table(name, naming_convention=_NAMES) as batch:
        batch.drop_constraint(found[0] or f"fk_{name}_workflows", type_="foreignkey")
        batch.create_foreign_key(
            f"{name}_workflow",
            "workflows",
            ["workflow_project", "domain", "workflow_name", "workflow_version"],
            ["project", "domain", "name", "version"],
        )
        if name == "launch_plans":
            batch.alter_column("workflow_project", existing_type=sa.String(length=63), nullable=False)
        else:
            batch.create_check_constraint(
                "executions_know_whose_workflow", "(workflow_project IS NULL) = (workflow_name IS NULL)"
            )


def _fill_references() -> None:
    connection = op.get_bind()
    references = sa.table("version_references", *(sa.column(name) for name in _COLUMNS))
    key = ("project", "domain", "name", "version")
    workflows = sa.table("workflows", *(sa.column(name) for name in (*key, "closure")))
    plans = sa.table("launch_plans", *(sa.column(name) for name in (*key, "workflow_name", "workflow_version")))
    # Not one by one from an open cursor: a version's closure is read by itself, and there may be many.
    for one in connection.execute(sa.select(*(workflows.c[name] for name in key))).all():
        of_one = sa.and_(*(workflows.c[name] == value for name, value in zip(key, one, strict=True)))
        closure = connection.execute(sa.select(workflows.c.closure).where(of_one)).scalar_one()
        rows = [_row(one, "WORKFLOW", *used) for used in sorted(set(_used(closure)))]
        if rows:
            connection.execute(references.insert(), rows)
    for plan in connection.execute(sa.select(plans)).all():
        row = _row(plan[:4], "LAUNCH_PLAN", "WORKFLOW", plan.workflow_name, plan.workflow_version)
        connection.execute(references.insert(), [row])


_COLUMNS = (
    "project",
    "domain",
    "kind",
    "name",
    "version",
    "used_project",
    "used_kind",
    "used_name",
    "used_version",
)


def _row(owner: Any, kind: str, used_kind: str, used_name: str, used_version: str) -> dict[str, str]:
    project, domain, name, version = owner
    values = (project, domain, kind, name, version, project, used_kind, used_name, used_version)
    return dict(zip(_COLUMNS, values, strict=True))


def _used(stored: bytes) -> Iterator[tuple[str, str, str]]:
    closure = compiler_pb2.CompiledWorkflowClosure.FromString(stored)
    for workflow in (closure.primary, *closure.sub_workflows):
        for kind, used in _identifiers(workflow.template):
            yield kind, used.name, used.version


def _identifiers(message: Message) -> Iterator[tuple[str, identifier_pb2.Identifier]]:
    """Find what the nodes of a message run, however deep they stand in it."""
    if isinstance(message, workflow_pb2.TaskNode):
        yield "TASK", message.reference_id
    elif isinstance(message, workflow_pb2.WorkflowNode):
        if message.HasField("launchplan_ref"):
            yield "LAUNCH_PLAN", message.launchplan_ref
        elif message.HasField("sub_workflow_ref"):
            yield "WORKFLOW", message.sub_workflow_ref
    else:
        for field, value in message.ListFields():
            if field.message_type is None or field.message_type.GetOptions().map_entry:
                continue
            for inner in value if field.is_repeated else (value,):
                yield from _identifiers(inner)
