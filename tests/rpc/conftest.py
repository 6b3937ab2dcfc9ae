"""Servers for the tests of the chain."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from rpc_requests import populate
from rpc_servers import OURS, Airspace, airspace, copied_postgres, copied_sqlite


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the module's own."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def server(migrated_sqlite: Path, folder: Path) -> Iterator[Airspace]:
    """An empty server on SQLite, for what has nothing to do with databases."""
    with copied_sqlite(migrated_sqlite, folder) as url, airspace(url, folder) as built:
        yield built


@pytest.fixture(scope="module")
def populated(
    database_kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airspace]:
    """A server on each kind of database, with one of everything in ours/development."""
    data = tmp_path_factory.mktemp(database_kind)
    if database_kind == "sqlite":
        copy = copied_sqlite(request.getfixturevalue("migrated_sqlite"), data)
    else:
        copy = copied_postgres(request.getfixturevalue("postgres"), "airspace_template")
    with copy as url, airspace(url, data) as built:
        populate(built, OURS)
        yield built
