"""Real processes of a server, and calls to them with nothing between a test and the wire."""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

BIN = Path(sys.executable).parent
START_SECONDS = 60.0
STOP_SECONDS = 60.0
DEADLINE = 20.0
"""Seconds after which a test stops to wait for something that must happen soon."""


def environment(settings: dict[str, str]) -> dict[str, str]:
    """This process's environment without what configures servers and clients, and with `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRSPACE_", "FLYTE"))}
    named = {f"AIRSPACE_{name.upper()}": value for name, value in settings.items()}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{kept.get('PATH', '')}", "NO_PROXY": "127.0.0.1,localhost", **named}


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now."""
    bound = [socket.socket() for _ in range(count)]
    for each in bound:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in bound]
    for each in bound:
        each.close()
    return ports


def until(condition: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """Return what a condition returns once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


@dataclass
class Process:
    """A process of a server, started as an operator starts it; its settings are environment variables."""

    command: tuple[str, ...]
    settings: dict[str, str]
    log: Path
    lines: list[str] = field(default_factory=list)
    program: Path = BIN / "airspace"

    def start(self, ready: str) -> None:
        """Start it and wait for the line that begins with `ready`."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, *self.command],
                env=environment(self.settings),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=lambda: [*map(said.put, self.process.stdout), said.put("")])
        self._reader.start()
        deadline = time.monotonic() + START_SECONDS
        while True:
            line = said.get(timeout=max(0.01, deadline - time.monotonic()))
            assert line, self.log.read_text()
            self.lines.append(line.rstrip("\n"))
            if line.startswith(ready):
                return

    def signal(self) -> None:
        """Ask for its end."""
        self.process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """Wait for its end and return its exit code."""
        code = self.process.wait(STOP_SECONDS)
        self._reader.join()
        self.process.stdout.close()
        return code

    def stop(self) -> int:
        """Ask for its end, wait for it and return its exit code."""
        self.signal()
        return self.ended()

    def discard(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.ended()


READY = {
    "all": "airspace ready",
    "admin": "airspace ready",
    "execution": "airspace execution ready",
    "worker": "airspace worker ready",
}


class Deployment:
    """The processes of a server apart, on fixed ports and one data folder."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.data = folder / "data"
        grpc_port, http_port, execution_port = free_ports(3)
        self.admin = f"127.0.0.1:{grpc_port}"
        self.execution = f"127.0.0.1:{execution_port}"
        self.http = f"http{'s' if 'tls_certificate' in settings else ''}://127.0.0.1:{http_port}"
        self.settings = {
            "data": str(self.data),
            "grpc_port": str(grpc_port),
            "http_port": str(http_port),
            "execution_port": str(execution_port),
            **settings,
        }
        self.processes: dict[str, Process] = {}

    def start(self, *names: str) -> None:
        for name in names:
            command = {"all": ("serve",), "worker": ("worker",)}.get(name, ("serve", name))
            process = Process(command, self.settings, self.data.parent / f"{name}.log")
            process.start(READY[name])
            self.processes[name] = process

    def stop(self, name: str) -> int:
        return self.processes.pop(name).stop()

    def discard(self) -> None:
        while self.processes:
            self.processes.popitem()[1].discard()

    def token(self, account: str, verify: Any = True) -> str:
        """Log in as one of the accounts that development mode begins with."""
        secret = (self.data / "clients" / f"{account}.secret").read_text()
        return login(self.http, account, secret, verify)


def login(http: str, account: str, secret: str, verify: Any = True) -> str:
    """The client credentials grant, as flytekit does it."""
    with httpx.Client(trust_env=False, verify=verify) as client:
        answer = client.post(f"{http}/oauth2/token", data={"grant_type": "client_credentials"}, auth=(account, secret))
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


@dataclass(frozen=True)
class Ended:
    """How a call ended that did not succeed: code, text and the details' bytes."""

    code: grpc.StatusCode
    message: str
    details: bytes

    @property
    def info(self) -> ErrorInfo:
        status = Status.FromString(self.details)
        found = ErrorInfo()
        assert any(each.Unpack(found) for each in status.details)
        return found


class Wire:
    """Calls one listener with raw bytes. A context manager."""

    def __init__(
        self, target: str, token: str = "", *, roots: bytes | None = None, identity: tuple[bytes, bytes] | None = None
    ) -> None:
        """With `identity`, a certificate and its key, the client shows that one."""
        certificate, key = identity or (None, None)
        credentials = grpc.ssl_channel_credentials(roots, key, certificate) if roots else None
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_reconnect_backoff_ms", 200),
            ("grpc.enable_http_proxy", 0),
        ]
        self._channel = (
            grpc.secure_channel(target, credentials, options) if credentials else grpc.insecure_channel(target, options)
        )
        self._metadata = [("authorization", f"Bearer {token}")] if token else []

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def raw(
        self, method: str, request: Message, *, timeout: float = DEADLINE, request_id: str = "same"
    ) -> bytes | Ended:
        """Call a method; return the answer's bytes, or how the call ended."""
        metadata = [*self._metadata, ("x-request-id", request_id)]
        try:
            return self._channel.unary_unary(method)(request.SerializeToString(), timeout=timeout, metadata=metadata)
        except grpc.RpcError as error:
            return _ended(error)

    def call(self, method: str, request: Message, kind: type[Message], **about: Any) -> Any:
        """Call a method that must succeed."""
        answer = self.raw(method, request, **about)
        assert isinstance(answer, bytes), answer
        return kind.FromString(answer)

    def stream(self, method: str, request: Message, timeout: float = 60.0) -> Any:
        """Begin a stream of raw answers."""
        metadata = [*self._metadata, ("x-request-id", "same")]
        return self._channel.unary_stream(method)(request.SerializeToString(), timeout=timeout, metadata=metadata)


def follow(stream: Iterable[bytes]) -> Iterator[bytes | Ended]:
    """Yield what a stream answers, and at last how it ended unless it ended well."""
    try:
        yield from stream
    except grpc.RpcError as error:
        yield _ended(error)


def _ended(error: Any) -> Ended:
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    return Ended(error.code(), error.details(), details)
