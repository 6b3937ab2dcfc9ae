"""One server for all end-to-end tests of a test process, with one registration; who breaks a server starts its own."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_clients import PROJECT, Account, create_project, register
from e2e_server import Server

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"  # for FlyteRemote, which is in this process


@pytest.fixture(scope="session")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the package `flows` and nothing else: pyflyte packs everything that it finds."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(Path(__file__).with_name("flows"), source / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    return source


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("e2e") / "data")
    yield started
    assert started.stop() == 0


@pytest.fixture(scope="session")
def admin(server: Server) -> Account:
    return Account(server, "admin")


@pytest.fixture(scope="session")
def releaser(server: Server) -> Account:
    return Account(server, "releaser")


@pytest.fixture(scope="session")
def developer(server: Server, admin: Account, flows: Path) -> Account:
    """A developer whose flows are registered in development as version v1."""
    create_project(admin, PROJECT)
    account = Account(server, "developer")
    registered = register(account, flows)
    assert registered.code == 0, registered.text
    return account


@pytest.fixture(scope="session")
def finished(developer: Account):
    """An execution of double_lp that has succeeded."""
    plan = developer.remote.fetch_launch_plan(name="double_lp", version="v1")
    return developer.wait(developer.remote.execute(plan, inputs={"x": 7}))
