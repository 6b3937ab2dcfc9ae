"""Brings a database to the tables of this version, or waits until another process has."""

import time
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from airspace_server.storage.database import Database

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x41495253  # "AIRS": the advisory lock that two migrating processes meet at
_POLL_SECONDS: Final = 0.2


class NotMigratedError(RuntimeError):
    """The database did not get the tables of this version in time. For the operator."""


def config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration for these migrations."""
    made = Config()
    made.set_main_option("script_location", str(_MIGRATIONS))
    made.attributes["connection"] = connection
    return made


def migrate(database: Database) -> None:
    """Bring the database to the newest tables; of two processes that try at once, one waits.

    Raises NotMigratedError for a database of a version that this one does not know.

    It has a connection of its own: DDL is not what the guard of Database is for.
    """
    engine = create_engine(database.url, poolclass=NullPool)
    sqlite = engine.dialect.name == "sqlite"
    if sqlite:
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.begin() as connection:
        if not sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        try:
            command.upgrade(config(connection), "head")
        except CommandError as error:  # it knows nothing of the revision that the database is at
            raise NotMigratedError("the database has the tables of another version of this server") from error


def wait_until_migrated(database: Database, seconds: float) -> None:
    """Wait until another process has brought the database to this version's tables. Raises NotMigratedError."""
    head = ScriptDirectory(str(_MIGRATIONS)).get_current_head()
    deadline = time.monotonic() + seconds
    while True:
        try:
            with database.engine.connect() as connection:
                current = MigrationContext.configure(connection.execution_options(airspace_across=True))
                if current.get_current_revision() == head:
                    return
        except OperationalError:
            pass  # not there yet: the process that makes it may be a moment behind
        if time.monotonic() > deadline:
            raise NotMigratedError(f"the database is not at {head} after {seconds:.0f} s; start `airspace serve admin`")
        time.sleep(_POLL_SECONDS)


def _configure(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout=20000")
