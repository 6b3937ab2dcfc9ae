"""A schedule that pyflyte registered and activated fires, on a real server, with what the clients see of it."""

import sqlite3
import time
from contextlib import closing

import pytest
from e2e_clients import IN_DEVELOPMENT, PROJECT, Account
from e2e_server import Server, eventually

IN = ("-p", PROJECT, "-d", "development")
DAY = 86_400_000_000


@pytest.fixture
def activated(developer: Account, releaser: Account):
    done = releaser.pyflyte("launchplan", *IN_DEVELOPMENT, "--activate", "double_lp", "v1")
    assert done.code == 0, done.text
    yield
    done = releaser.pyflyte("launchplan", *IN_DEVELOPMENT, "--deactivate", "double_lp", "v1")
    assert done.code == 0, done.text


def overslept(server: Server) -> int:
    """Let the server believe that a tick of yesterday is still to come, and return when that was due."""
    ours = "WHERE project = ? AND domain = 'development' AND name = 'double_lp'"
    with closing(sqlite3.connect(server.data / "airspace.db", timeout=20)) as connection, connection:
        ((then,),) = connection.execute(f"SELECT next_at FROM schedules {ours}", (PROJECT,)).fetchall()
        connection.execute(f"UPDATE schedules SET next_at = ? {ours}", (then - DAY, PROJECT))
    return then - DAY


def test_a_schedule_fires_what_is_due_and_its_execution_succeeds(
    activated, server: Server, developer: Account, releaser: Account
):
    coming = developer.airspace_json("launch-plans", "next", *IN, "double_lp", "--version", "v1", "--count", "2")
    due = overslept(server)
    eventually(lambda: developer.airspace_json("launch-plans", "ticks", *IN, "double_lp"))
    (tick,) = developer.airspace_json("launch-plans", "ticks", *IN, "double_lp")
    execution = developer.wait(developer.remote.fetch_execution(name=tick["execution"]))

    assert all(moment.endswith("T02:00:00Z") for moment in coming)
    assert tick["outcome"] in ("FIRED", "CAUGHT_UP")
    assert tick["due_time"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(due // 1_000_000))
    assert execution.outputs == {"o0": "8 pears"}
    assert execution.spec.metadata.mode == 1  # SCHEDULED
    assert execution.spec.metadata.principal == "service-account:releaser"
    audited = releaser.airspace("audit", "list", *IN)
    assert audited.code != 0  # it is not the releaser's to read
