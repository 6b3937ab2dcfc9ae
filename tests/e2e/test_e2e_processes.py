"""Servers that end, start again and die, on a data folder of their own."""

import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_clients import PROJECT, Account, create_project, register
from e2e_server import Server, eventually, free_ports

SCOPE = ("-p", PROJECT, "-d", "development")
HOLD = ("executions", "launch", *SCOPE, "flows.quick.hold_wf", "--version", "v1", "--inputs")


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with fixed ports: it comes back where it was."""
    ports = free_ports(3)
    flags = ("--grpc-port", str(ports[0]), "--http-port", str(ports[1]), "--execution-port", str(ports[2]))
    server = Server(tmp_path_factory.mktemp("restarted") / "data", *flags)
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def owner(restarted: Server, flows: Path) -> Account:
    admin = Account(restarted, "admin")
    create_project(admin, PROJECT)
    registered = register(admin, flows)
    assert registered.code == 0, registered.text
    return admin


def test_a_task_survives_the_death_of_its_worker(restarted, owner):
    name, gate = _held(owner, restarted)
    worker = restarted.worker()

    worker.kill()
    gate.touch()

    assert owner.airspace("executions", "watch", *SCOPE, name).code == 0
    assert owner.airspace_json("executions", "outputs", *SCOPE, name) == {"o0": "released"}
    assert restarted.worker().pid != worker.pid
    eventually(lambda: not restarted.processes(name))


def test_a_server_that_comes_back_has_kept_everything_and_finishes_what_ran(restarted, owner):
    name, gate = _held(owner, restarted)
    before = owner.airspace_json("launch-plans", "list", *SCOPE)
    addresses = restarted.grpc, restarted.http

    assert restarted.stop() == 0
    gate.touch()
    restarted.start()

    assert (restarted.grpc, restarted.http) == addresses
    assert owner.airspace("executions", "watch", *SCOPE, name).code == 0
    assert owner.airspace_json("executions", "outputs", *SCOPE, name) == {"o0": "released"}
    assert owner.airspace_json("launch-plans", "list", *SCOPE) == before


def test_a_second_server_on_the_same_ports_says_so_and_does_not_start(restarted, owner, tmp_path):
    port = restarted.http.rpartition(":")[2]
    refused = owner.run("airspace", "serve", "--data", tmp_path / "other", "--http-port", port)

    assert refused.code == 2
    assert refused.err.startswith("error: ")
    assert "Traceback" not in refused.err


def test_the_end_of_a_server_ends_every_process_of_it(tmp_path):
    server = Server(tmp_path / "data")
    worker = server.worker()
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{server.http}/healthz") as answer:
        assert answer.status == 200

    assert server.stop() == 0

    assert not worker.is_running()
    with socket.socket() as probe:
        host, _, port = server.grpc.rpartition(":")
        assert probe.connect_ex((host, int(port))) != 0


def _held(owner: Account, server: Server) -> tuple[str, Path]:
    """Launch a task that waits for a file, and return its execution's name once the task runs."""
    gate = server.file(PROJECT)
    name = owner.airspace_json(*HOLD, f'{{"gate": "{gate}"}}')["name"]
    eventually(lambda: server.has_printed(name, "holding"))
    return name, gate
