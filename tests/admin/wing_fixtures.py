"""The fixtures of both wings: one database of each kind for all of their tests, emptied after every one."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import URL
from wing_doors import Doors

from airspace_server.storage.database import Database
from airspace_server.storage.tables import METADATA, PolicyRevisionRow, table

_KEPT = table(PolicyRevisionRow)


@pytest.fixture(scope="session")
def wing_database(
    database_kind: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Database]:
    """A migrated database. Copying one for every test would take most of their time."""
    if database_kind == "sqlite":
        path: Path = tmp_path_factory.mktemp("wings") / "airspace.db"
        path.write_bytes(request.getfixturevalue("migrated_sqlite").read_bytes())
        url = f"sqlite:///{path}"
    else:
        server: URL = request.getfixturevalue("postgres")
        name = f"wings{uuid.uuid4().hex}"
        with psycopg.connect(
            server.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
        ) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE airspace_template')
        url = server.set(database=name).render_as_string(hide_password=False)
    opened = Database(url, pool_size=8)
    yield opened
    opened.close()


@pytest.fixture
def database(wing_database: Database) -> Iterator[Database]:
    """A migrated database that nothing is in."""
    yield wing_database
    with wing_database.write(across=True) as tx:
        for each in reversed(METADATA.sorted_tables):
            if each is not _KEPT:
                tx.execute(each.delete())


@pytest.fixture
def doors(database: Database, tmp_path: Path) -> Doors:
    """Every front door of both wings, and one active project, vision."""
    opened = Doors(database, tmp_path / "artifacts")
    opened.project("vision")
    return opened
