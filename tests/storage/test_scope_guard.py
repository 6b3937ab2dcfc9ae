"""The second wall: no statement reaches a scoped table outside the scope of its transaction."""

import pytest
from sqlalchemy import and_, bindparam, delete, exists, func, or_, select, text, true, update

from airspace_server.core.scope import Scope
from airspace_server.storage.database import Database, ScopeGuardError, scoped
from airspace_server.storage.tables import METADATA, SCOPED, ProjectRow, TaskRow, WorkflowRow, table

PROJECTS, TASKS, WORKFLOWS = table(ProjectRow), table(TaskRow), table(WorkflowRow)
OURS, THEIRS = Scope("ours", "development"), Scope("theirs", "development")


def project(name: str) -> dict[str, object]:
    """Return a project's row."""
    times = {"created_at": 1, "updated_at": 1}
    return {"id": name, "name": name, "description": "", "labels": "{}", "state": "ACTIVE", "version": 1, **times}


def task(name: str) -> dict[str, object]:
    """Return a task's row without its scope."""
    return {
        "name": name,
        "version": "v1",
        "type": "python-task",
        "short_description": "",
        "digest": name,
        "closure": b"",
        "created_at": 1,
    }


@pytest.fixture
def two_tenants(database: Database) -> Database:
    """Two projects with a task of the same name each."""
    with database.write() as tx:
        tx.insert(PROJECTS, project("ours"), project("theirs"))
    for scope in (OURS, THEIRS):
        with database.write(scope) as tx:
            tx.insert(TASKS, task("fit"))
    return database


def test_every_table_with_a_project_and_a_domain_is_scoped() -> None:
    with_both = {name for name, each in METADATA.tables.items() if {"project", "domain"} <= set(each.c.keys())}
    assert {each.name for each in SCOPED} == with_both


def test_scoped_foreign_keys_carry_the_scope() -> None:
    for each in SCOPED:
        for constraint in each.foreign_key_constraints:
            if constraint.referred_table in SCOPED:
                project, domain, *_ = (column.name for column in constraint.columns)
                # What a launch plan runs may be of another project, and of the row's own domain alone.
                assert project == ("workflow_project" if constraint.referred_table is WORKFLOWS else "project")
                assert domain == "domain"
                assert [element.column.name for element in constraint.elements][:2] == ["project", "domain"]


def test_a_scoped_statement_sees_its_scope_alone(two_tenants: Database) -> None:
    for scope in (OURS, THEIRS):
        with two_tenants.read(scope) as tx:
            assert [row.project for row in tx.all(select(TASKS).where(scoped(TASKS)))] == [scope.project]


UNSCOPED = {
    "no condition": select(TASKS),
    "another's scope in constants": select(TASKS).where(TASKS.c.project == "theirs", TASKS.c.domain == "development"),
    "half a scope": select(TASKS).where(TASKS.c.project == bindparam("scope_project")),
    "a scope that an OR undoes": select(TASKS).where(or_(scoped(TASKS), true())),
    "a join that forgets the other table": select(TASKS)
    .join(WORKFLOWS, WORKFLOWS.c.name == TASKS.c.name)
    .where(scoped(TASKS)),
    "a tie in another SELECT": select(TASKS).where(
        TASKS.c.name.in_(select(TASKS.c.name).where(scoped(TASKS)).correlate(None))
    ),
    "a tie in the condition of an outer join": select(TASKS).outerjoin(
        WORKFLOWS, and_(WORKFLOWS.c.name == TASKS.c.name, scoped(TASKS), scoped(WORKFLOWS))
    ),
    "rows from a select": TASKS.insert().from_select(["project"], select(PROJECTS.c.id)),
    "a subquery": select(PROJECTS).where(PROJECTS.c.id.in_(select(TASKS.c.project))),
    "an exists": select(PROJECTS).where(exists().where(TASKS.c.project == PROJECTS.c.id)),
    "an alias": select(TASKS.alias("t")).where(scoped(TASKS)),
    "a count": select(func.count()).select_from(TASKS),
    "an update": update(TASKS).values(digest=""),
    "a delete": delete(TASKS),
    "text": text("SELECT * FROM tasks"),
}


@pytest.mark.parametrize("name", UNSCOPED)
def test_an_unscoped_statement_is_refused(two_tenants: Database, name: str) -> None:
    with pytest.raises(ScopeGuardError), two_tenants.write(OURS) as tx:
        tx.execute(UNSCOPED[name])
    with two_tenants.read(THEIRS) as tx:
        assert len(tx.all(select(TASKS).where(scoped(TASKS)))) == 1


def test_a_scoped_statement_needs_a_scope(two_tenants: Database) -> None:
    with pytest.raises(ScopeGuardError), two_tenants.read() as tx:
        tx.execute(select(TASKS).where(scoped(TASKS)), scope_project="theirs", scope_domain="development")


def test_rows_are_inserted_into_the_scope_of_the_transaction_whatever_they_say(two_tenants: Database) -> None:
    with two_tenants.write(OURS) as tx:
        tx.insert(TASKS, {**task("evaluate"), "project": "theirs", "domain": "development"})
        assert {row.name for row in tx.all(select(TASKS).where(scoped(TASKS)))} == {"fit", "evaluate"}


def test_an_insert_past_the_transaction_is_refused(two_tenants: Database) -> None:
    foreign = {**task("evaluate"), "project": "theirs", "domain": "development"}
    with pytest.raises(ScopeGuardError), two_tenants.write(OURS) as tx:
        tx._connection.execute(TASKS.insert(), [foreign])


def test_a_transaction_is_all_or_nothing(two_tenants: Database) -> None:
    def insert_and_fail() -> None:
        with two_tenants.write(OURS) as tx:
            tx.insert(TASKS, task("evaluate"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        insert_and_fail()
    with two_tenants.read(OURS) as tx:
        assert len(tx.all(select(TASKS).where(scoped(TASKS)))) == 1


def test_of_two_inserts_of_a_key_one_wins(two_tenants: Database) -> None:
    with two_tenants.write(OURS) as tx:
        assert tx.insert_new(TASKS, task("evaluate"))
        assert not tx.insert_new(TASKS, task("evaluate"))
