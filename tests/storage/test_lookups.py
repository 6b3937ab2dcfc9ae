"""Database.find: the short way to one row keeps every promise of the long one."""

import threading

import pytest
from sqlalchemy import bindparam, select, update

from airspace_server.core.scope import Scope
from airspace_server.storage.database import Database, ScopeGuardError, scoped
from airspace_server.storage.lookups import Lookups, NoShortWayError
from airspace_server.storage.tables import ProjectRow, ServiceAccountRow, TaskRow, table

PROJECTS, TASKS, ACCOUNTS = table(ProjectRow), table(TaskRow), table(ServiceAccountRow)
OURS, THEIRS = Scope("ours", "development"), Scope("theirs", "development")
FIT = select(TASKS).where(scoped(TASKS), TASKS.c.name == bindparam("own_name"), TASKS.c.version == "v1")


@pytest.fixture
def tasks(database: Database) -> Database:
    """Two projects, each with a task "fit" that carries the project's name as its closure."""
    for scope in (OURS, THEIRS):
        times = {"created_at": 1, "updated_at": 1}
        texts = {"name": "", "description": "", "labels": "{}", "state": "ACTIVE"}
        task = {"name": "fit", "version": "v1", "type": "é", "short_description": "", "digest": "", "created_at": 7}
        with database.write() as tx:
            tx.insert(PROJECTS, {"id": scope.project, "version": 1, **texts, **times})
        with database.write(scope) as tx:
            tx.insert(TASKS, {**task, "closure": scope.project.encode()})
    return database


def test_a_row_is_found_as_a_transaction_would_read_it(tasks: Database) -> None:
    found = tasks.find(OURS, FIT, own_name="fit")
    with tasks.read(OURS) as tx:
        assert tuple(found) == tuple(tx.one(FIT, own_name="fit") or ())
    assert (found.type, found.closure, found.created_at) == ("é", b"ours", 7)


def test_nothing_is_none(tasks: Database) -> None:
    assert tasks.find(OURS, FIT, own_name="evaluate") is None


def test_a_lookup_sees_its_scope_alone_whatever_values_it_is_given(tasks: Database) -> None:
    other = {"scope_project": "theirs", "scope_domain": "development"}
    assert tasks.find(OURS, FIT, own_name="fit", **other).project == "ours"
    with tasks.read(OURS) as tx:
        assert [row.project for row in tx.all(FIT, own_name="fit", **other)] == ["ours"]


def test_an_unscoped_lookup_is_refused(tasks: Database) -> None:
    with pytest.raises(ScopeGuardError):
        tasks.find(OURS, select(TASKS).where(TASKS.c.name == bindparam("own_name")), own_name="fit")


def test_a_lookup_sees_what_was_committed_before_it(tasks: Database) -> None:
    assert tasks.find(OURS, FIT, own_name="fit").digest == ""
    with tasks.write(OURS) as tx:
        tx.execute(update(TASKS).where(scoped(TASKS)).values(digest="new"))
    assert tasks.find(OURS, FIT, own_name="fit").digest == "new"


def test_what_the_drivers_do_not_give_alike_is_refused(tasks: Database) -> None:
    with pytest.raises(TypeError):
        tasks.find(OURS, select(ACCOUNTS.c.disabled))
    with pytest.raises(TypeError):
        tasks.find(OURS, FIT.where(TASKS.c.name.in_(["fit"])), own_name="fit")


def test_a_lookup_over_a_connection_that_broke_is_answered_all_the_same(tasks: Database) -> None:
    assert tasks.find(OURS, FIT, own_name="fit") is not None
    for connection in tasks._lookups._idle:
        if connection is not None and connection.dbapi_connection is not None:
            connection.dbapi_connection.close()
    for _ in range(3):
        assert tasks.find(OURS, FIT, own_name="fit").closure == b"ours"


def test_lookups_that_find_every_connection_busy_go_the_long_way(tasks: Database) -> None:
    lookups = Lookups(tasks.engine, 0)
    with pytest.raises(NoShortWayError):
        lookups.row(FIT, {"own_name": "fit", "scope_project": "ours", "scope_domain": "development"})
    tasks._lookups = lookups
    assert tasks.find(OURS, FIT, own_name="fit").closure == b"ours"


def test_a_missing_value_is_an_error_and_not_an_empty_answer(tasks: Database) -> None:
    with pytest.raises(Exception, match="own_name"):
        tasks.find(OURS, FIT)


def test_lookups_leave_no_transaction_open_and_the_pool_its_connections(tasks: Database) -> None:
    for _ in range(50):
        tasks.find(OURS, FIT, own_name="fit")
    assert tasks.engine.pool.checkedout() == 1
    with tasks.write(OURS) as tx:
        tx.execute(update(TASKS).where(scoped(TASKS)).values(digest="new"))
    tasks.close()
    assert tasks.find(OURS, FIT, own_name="fit").digest == "new"


def test_threads_share_lookups(tasks: Database) -> None:
    wrong: list[str] = []

    def look(scope: Scope) -> None:
        for _ in range(100):
            project = tasks.find(scope, FIT, own_name="fit").project
            if project != scope.project:
                wrong.append(project)

    threads = [threading.Thread(target=look, args=(scope,)) for scope in (OURS, THEIRS) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
