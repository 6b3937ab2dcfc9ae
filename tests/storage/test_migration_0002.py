"""What was registered and run before references between projects: its references are found, its rows are kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from flyteidl.core import compiler_pb2, workflow_pb2
from sqlalchemy import create_engine, exc, select, text

from airspace_server.core.scope import Scope
from airspace_server.storage.database import Database, scoped
from airspace_server.storage.migrate import config, migrate
from airspace_server.storage.tables import ExecutionRow, LaunchPlanRow, NodeExecutionRow, ReferenceRow, table

KEY = {"project": "maps", "domain": "development", "version": "v1"}


def closure() -> bytes:
    """A workflow with a task, a task in a branch, a sub-workflow, and in that a launch plan."""
    made = compiler_pb2.CompiledWorkflowClosure()
    nodes = made.primary.template.nodes
    nodes.add(id="n0").task_node.reference_id.name = "fit"
    branch = nodes.add(id="n1").branch_node.if_else
    branch.case.then_node.task_node.reference_id.name = "inner"
    nodes.add(id="n2").workflow_node.sub_workflow_ref.name = "sub"
    failure = made.primary.template.failure_node
    failure.task_node.reference_id.name = "tidy"
    inner = made.sub_workflows.add().template.nodes.add(id="n0")
    inner.workflow_node.launchplan_ref.name = "plan"
    for each in (nodes[0].task_node, branch.case.then_node.task_node, failure.task_node):
        each.reference_id.version = "v1"
    assert isinstance(nodes[2], workflow_pb2.Node)
    nodes[2].workflow_node.sub_workflow_ref.version = inner.workflow_node.launchplan_ref.version = "v1"
    return made.SerializeToString()


@pytest.fixture
def before(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database with the first tables, in which something was registered and run."""
    if database_kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'before.db'}"
    else:
        url = request.getfixturevalue("database_url")
    engine = create_engine(url)
    with engine.begin() as connection:
        if database_kind == "postgresql":
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        command.upgrade(config(connection), "0001")
        for name, values in {
            "projects": {
                "id": "maps", "name": "", "description": "", "labels": "", "state": "ACTIVE", "version": 1,
                "created_at": 1, "updated_at": 1,
            },
            "tasks": {
                **KEY, "name": "fit", "type": "", "short_description": "", "digest": "", "closure": b"",
                "created_at": 1,
            },
            "workflows": {
                **KEY, "name": "train", "short_description": "", "digest": "", "interface": b"",
                "closure": closure(), "created_at": 1,
            },
            "launch_plans": {
                **KEY, "name": "nightly", "workflow_name": "train", "workflow_version": "v1", "state": "ACTIVE",
                "schedule": "", "digest": "", "spec": b"", "closure": b"", "created_at": 1, "updated_at": 1,
            },
            "executions": {
                "project": "maps", "domain": "development", "name": "run", "launch_plan_name": "nightly",
                "launch_plan_version": "v1", "workflow_name": "train", "workflow_version": "v1", "phase": "RUNNING",
                "state": "ACTIVE", "spec": b"", "labels": "{}", "inputs": b"", "user_inputs": b"", "principal": "u",
                "sequence": 1, "lease_epoch": 0, "lease_expires_at": 0, "created_at": 1, "updated_at": 1,
            },
            "node_executions": {
                "project": "maps", "domain": "development", "execution": "run", "node_id": "n0", "position": 0,
                "spec_node_id": "n0", "parent_id": "", "entity_kind": "TASK", "entity_name": "fit",
                "entity_version": "v1", "phase": "RUNNING", "attempts": 0, "created_at": 1, "updated_at": 1,
            },
        }.items():  # fmt: skip
            columns, places = ", ".join(values), ", ".join(f":{column}" for column in values)
            connection.execute(text(f"INSERT INTO {name} ({columns}) VALUES ({places})"), values)
        task = {"project": "maps", "domain": "development", "name": "alone", "task_name": "fit", "task_version": "v1"}
        kept = "phase, state, spec, labels, inputs, user_inputs, principal, sequence, lease_epoch, lease_expires_at"
        connection.execute(
            text(
                "INSERT INTO executions"
                f" (project, domain, name, task_name, task_version, created_at, updated_at, {kept})"
                f" SELECT :project, :domain, :name, :task_name, :task_version, 2, 2, {kept} FROM executions"
            ),
            task,
        )
    engine.dispose()
    database = Database(url)
    migrate(database)
    yield database
    database.close()


def test_what_was_registered_before_is_known_to_depend_on_what_it_refers_to(before: Database) -> None:
    references = table(ReferenceRow)
    with before.read(Scope("maps", "development")) as tx:
        rows = tx.all(select(references).where(scoped(references)))
    found = {(row.kind, row.name, row.used_kind, row.used_name) for row in rows}
    assert found == {
        ("WORKFLOW", "train", "TASK", "fit"),
        ("WORKFLOW", "train", "TASK", "inner"),
        ("WORKFLOW", "train", "TASK", "tidy"),
        ("WORKFLOW", "train", "WORKFLOW", "sub"),
        ("WORKFLOW", "train", "LAUNCH_PLAN", "plan"),
        ("LAUNCH_PLAN", "nightly", "WORKFLOW", "train"),
    }
    assert {(row.version, row.used_project, row.used_version) for row in rows} == {("v1", "maps", "v1")}


def test_what_there_was_is_of_its_own_project(before: Database) -> None:
    plans, executions, nodes = table(LaunchPlanRow), table(ExecutionRow), table(NodeExecutionRow)
    with before.read(Scope("maps", "development")) as tx:
        assert [row.workflow_project for row in tx.all(select(plans).where(scoped(plans)))] == ["maps"]
        ran = {row.name: row.workflow_project for row in tx.all(select(executions).where(scoped(executions)))}
        assert [row.entity_project for row in tx.all(select(nodes).where(scoped(nodes)))] == ["maps"]
    assert ran == {"run": "maps", "alone": None}


def test_a_launch_plan_still_cannot_be_without_its_workflow(before: Database) -> None:
    plans = table(LaunchPlanRow)
    for change in ({"workflow_name": "gone"}, {"workflow_project": "gone"}, {"workflow_project": None}):
        with pytest.raises(exc.IntegrityError), before.write(Scope("maps", "development")) as tx:
            tx.execute(plans.update().where(scoped(plans)).values(**change))
