"""The three processes of a server apart: the admin endpoint is still all that a client knows."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e_clients import EXECUTIONS, PROJECT, SCOPE, Account, create_project, register
from e2e_server import BIN, clean_environment, free_ports


class Split:
    """What tests ask of a server, whatever runs it: its data folder and where it listens."""

    def __init__(self, data: Path, grpc: str, execution: str) -> None:
        self.data = data
        self.grpc = grpc
        self.execution = execution

    def client_file(self, account: str) -> Path:
        return self.data / "clients" / f"{account}.yaml"


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Split]:
    data = tmp_path_factory.mktemp("split") / "data"
    grpc, http, execution = free_ports(3)
    settings = {
        "AIRSPACE_DATA": str(data),
        "AIRSPACE_GRPC_PORT": str(grpc),
        "AIRSPACE_HTTP_PORT": str(http),
        "AIRSPACE_EXECUTION_PORT": str(execution),
    }
    with (
        _running(settings, "airspace ready", "serve", "admin"),
        _running(settings, "airspace execution ready", "serve", "execution"),
        _running(settings, "airspace worker ready", "worker"),
    ):
        yield Split(data, f"127.0.0.1:{grpc}", f"127.0.0.1:{execution}")


def test_pyflytes_users_notice_nothing(split, flows):
    create_project(Account(split, "admin"), PROJECT)
    developer = Account(split, "developer")

    assert register(developer, flows).code == 0
    ended = developer.wait(developer.launch("double_wf", x=3))

    assert ended.outputs == {"o0": "6 apples"}


def test_the_execution_service_decides_for_itself_who_may_do_what(split):
    """A forwarded call and a direct one are refused alike: the admin process vouches for nobody."""
    developer = Account(split, "developer")
    production = {"scope": {**SCOPE, "domain": "production"}}
    forwarded = developer.grpcurl(f"{EXECUTIONS}/ListExecutions", production)
    direct_header = f"authorization: Bearer {developer.token}"
    method = f"{EXECUTIONS}/ListExecutions"
    request = '{"scope": {"project": "recommendation-engine", "domain": "production"}}'
    direct = developer.run("grpcurl", "-plaintext", "-H", direct_header, "-d", request, split.execution, method)
    without = developer.run("grpcurl", "-plaintext", "-d", request, split.execution, method)

    assert forwarded.code == direct.code == 71
    assert re.search(r'"reason":"(\w+)"', forwarded.err)[1] == re.search(r'"reason":"(\w+)"', direct.err)[1]
    assert without.code == 80


@contextmanager
def _running(settings: dict[str, str], ready: str, *command: str) -> Iterator[None]:
    log = Path(settings["AIRSPACE_DATA"]).parent / f"{command[-1]}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [BIN / "airspace", *command],
            env=clean_environment(**settings),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert any(line.startswith(ready) for line in process.stdout), log.read_text()
        yield
    finally:
        process.terminate()
        code = process.wait(timeout=60)
        process.stdout.close()
    assert code == 0, log.read_text()
