"""Deployments of real processes. What is started is stopped, whatever a test did to it."""

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import URL

sys.path.extend(str(Path(__file__).parents[1] / part) for part in ("flyte", "admin", "execution"))

from deployment_processes import Deployment


@pytest.fixture(scope="module")
def empty_database(database_kind: str, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The settings of a database that nothing is in, not even tables."""
    if database_kind == "sqlite":
        yield {}
        return
    server: URL = request.getfixturevalue("postgres")
    name = f"deployed{uuid.uuid4().hex}"
    with psycopg.connect(
        server.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
    ) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        yield {"database_url": server.set(drivername="postgresql", database=name).render_as_string(hide_password=False)}
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
def split(empty_database: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Admin and execution apart, and a worker, on one data folder."""
    deployment = Deployment(tmp_path_factory.mktemp("split"), slots="1", **empty_database)
    try:
        deployment.start("admin", "execution", "worker")
        yield deployment
    finally:
        deployment.discard()
