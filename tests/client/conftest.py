from collections.abc import Iterator

import pytest
from client_servers import ScriptedServer, TokenEndpoint

from airspace_client import AirspaceClient


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.stop()


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[AirspaceClient]:
    with AirspaceClient.connect(server.target, timeout=20) as client:
        yield client


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    endpoint = TokenEndpoint()
    yield endpoint
    endpoint.stop()


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees a client file of the machine that it runs on."""
    for name in ("AIRSPACE_CONFIG", "AIRSPACE_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))
