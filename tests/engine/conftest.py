import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from engine_rows import add_project
from engine_runners import RUNNERS

from airspace_server.artifacts.local import LocalArtifactStore
from airspace_server.core.clock import now
from airspace_server.engine.runners.local import LocalRunner
from airspace_server.engine.runners.sandbox import Sandbox
from airspace_server.engine.worker import Worker


@pytest.fixture
def database(database):
    """The test's own database, with a project in it."""
    add_project(database)
    return database


@pytest.fixture
def artifacts(tmp_path):
    return LocalArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def programs(tmp_path):
    """A folder with the stand-in for flytekit's command."""
    folder = tmp_path / "programs"
    folder.mkdir()
    program = folder / "pyflyte-execute"
    source = Path(__file__).with_name("engine_stand_in.py").read_text()
    program.write_text(f"#!{sys.executable} -S\n{source}")
    program.chmod(0o755)
    return folder


@pytest.fixture
def runner(tmp_path, programs):
    return LocalRunner(tmp_path / "work", programs)


collect_ignore = [] if "shut in" in RUNNERS else ["test_engine_sandbox.py"]


@pytest.fixture
def sandbox(tmp_path, artifacts):
    return Sandbox(tmp_path, artifacts)


@pytest.fixture
def until():
    """Wait for a condition."""

    def wait(condition, seconds=30.0):
        deadline = time.monotonic() + seconds
        pause = threading.Event()
        while not (found := condition()):
            assert time.monotonic() < deadline, "waited too long"
            pause.wait(0.01)
        return found

    return wait


@pytest.fixture
def working(database, artifacts, runner):
    """Run a worker while the block runs."""

    @contextmanager
    def work(*, later_us=0, **options):
        options = {"runner": runner, "owner": "worker-1", "slots": 2, "drain": 0.0, "database": database} | options
        used = {"database": options.pop("database"), "artifacts": artifacts, "runner": options.pop("runner")}
        worker = Worker(**used, clock=lambda: now() + later_us, **options)
        stop = threading.Event()
        failures = []

        def run():
            try:
                worker.run(stop)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield stop
        finally:
            stop.set()
            thread.join(60)
        assert not failures
        assert not thread.is_alive()

    return work
