"""The migrations make exactly the tables that the code declares."""

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from airspace_server.storage.database import Database
from airspace_server.storage.migrate import NotMigratedError, migrate, wait_until_migrated
from airspace_server.storage.tables import METADATA


def test_the_migrated_tables_are_the_declared_ones(database: Database) -> None:
    with database.engine.connect() as connection:
        connection = connection.execution_options(airspace_across=True)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    migrate(database)
    wait_until_migrated(database, 1)


def test_two_processes_may_migrate_at_once(tmp_path: Path) -> None:
    databases = [Database(f"sqlite:///{tmp_path / 'new.db'}") for _ in range(2)]
    failures: list[BaseException] = []

    def run(database: Database) -> None:
        try:
            migrate(database)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for database in databases:
        wait_until_migrated(database, 1)
        database.close()


def test_a_process_does_not_start_on_tables_that_are_not_there(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(NotMigratedError):
        wait_until_migrated(database, 0)
    database.close()
