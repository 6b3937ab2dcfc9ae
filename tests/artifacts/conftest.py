"""A store, a signer and a real HTTP server of artifacts on a port of its own."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from airspace_server.artifacts.http import routes
from airspace_server.artifacts.local import LocalArtifactStore
from airspace_server.artifacts.signing import UrlGrant, UrlSigner
from airspace_server.core.scope import Scope

SCOPE = Scope("fraud", "development")
MAX_UPLOAD = 1 << 20


@dataclass
class Clock:
    microseconds: int = 1_900_000_000_250_000

    def __call__(self) -> int:
        return self.microseconds

    def advance(self, seconds: int) -> None:
        self.microseconds += seconds * 10**6

    def after(self, seconds: int) -> int:
        return self.microseconds // 10**6 + seconds


class WatchedStore(LocalArtifactStore):
    """Says when a write is over, however it ended."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.write_over = threading.Event()

    def write(self, *args, **kwargs) -> int:
        try:
            return super().write(*args, **kwargs)
        finally:
            self.write_over.set()


@dataclass
class Door:
    """The server as a client sees it, and the signer that the server trusts."""

    port: int
    clock: Clock
    signer: UrlSigner
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put_url(self, path: str, scope: Scope = SCOPE, limit: int = MAX_UPLOAD, md5: bytes | None = None) -> str:
        return self.base_url + self.signer.sign(UrlGrant("PUT", scope, path, self.clock.after(600), limit, md5))

    def page_url(self, path: str, token: str = "5" * 32) -> str:
        return self.base_url + self.signer.sign(UrlGrant("GET", SCOPE, path, self.clock.after(600), page=token))

    def get_url(self, path: str, scope: Scope = SCOPE) -> str:
        return self.base_url + self.signer.sign(UrlGrant("GET", scope, path, self.clock.after(600)))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signer(clock: Clock) -> UrlSigner:
    return UrlSigner(b"k" * 32, clock)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def store(root: Path) -> WatchedStore:
    return WatchedStore(root)


@pytest.fixture
def use_page() -> Callable[[UrlGrant], None]:
    """Lets no page be shown: those that have pages have their own."""

    def refuse(grant: UrlGrant) -> None:
        raise AssertionError(f"{grant} is used as a page")

    return refuse


@pytest.fixture
def door(store: WatchedStore, signer: UrlSigner, clock: Clock, use_page: Callable[[UrlGrant], None]) -> Iterator[Door]:
    app = Starlette(routes=routes(store, signer, MAX_UPLOAD, use_page))
    # Listening before the server runs: a client that comes early waits in the backlog.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        door = Door(listener.getsockname()[1], clock, signer)
        try:
            yield door
        finally:
            door.client.close()
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
