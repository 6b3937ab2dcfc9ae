"""The processes of a server: admin, execution, worker, alone or together; how they start, say they are ready, and stop.

`serve` runs all of them: both servers in this process, each with its own listener, the worker as a child.
"""

import contextlib
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final

import uvicorn
from starlette.applications import Starlette

from airspace_server import certificates
from airspace_server.access import keys, seed
from airspace_server.access.executions import ExecutionIssuer
from airspace_server.app import Parts, executes
from airspace_server.artifacts.local import LocalArtifactStore
from airspace_server.audit.ledger import Ledger
from airspace_server.certificates import Identity, Watched
from airspace_server.core import clock
from airspace_server.engine.callback import Callback
from airspace_server.engine.runners.limits import niceness_counts
from airspace_server.engine.runners.local import LocalRunner
from airspace_server.engine.runners.sandbox import Sandbox
from airspace_server.engine.worker import Worker
from airspace_server.rpc.forward import Forwarder, Route
from airspace_server.rpc.rationing import Room
from airspace_server.rpc.server import Handlers, Listener, handlers
from airspace_server.settings import Settings, SettingsError, StartError
from airspace_server.storage.database import Database
from airspace_server.storage.migrate import migrate, wait_until_migrated

_log: Final = logging.getLogger("airspace")

DRAIN_SECONDS: Final = 10.0
"""How long calls that are under way may take after a server was told to stop."""
_MIGRATION_SECONDS: Final = 30.0
_READY: Final = "airspace worker ready"
_START_SECONDS: Final = 30.0


def serve(settings: Settings) -> None:
    """Run the admin server, the execution server and a worker, until SIGTERM or SIGINT."""
    with _stopping() as stop, _alone(settings), _http_socket(settings) as http_socket:
        parts = _prepared(settings, _port(http_socket), migrates=True)
        methods = parts.methods()
        execution = Listener(
            # Nobody needs to find it here, so any free port does unless one was asked for.
            settings.address(settings.execution_port if "execution_port" in settings.model_fields_set else 0),
            handlers([method for method in methods if executes(method)], parts.guards, Room()),
            tls=parts.mutual_tls,
        )
        admins = _admin_listeners(parts, handlers(methods, parts.guards, Room()))
        admin = admins[0]
        _seed(parts, settings.address(admin.port))
        found = settings.model_copy(update={"grpc_port": admin.port, "http_port": _port(http_socket)})
        with _worker_child(found, stop), _serving(parts, [*admins, execution], http_socket), _by_itself(parts):
            _ready(settings, admins, _port(http_socket))
            stop.wait()


def serve_admin(settings: Settings) -> None:
    """Run the admin server alone; it forwards what belongs to the execution server."""
    settings.require_forwarding()
    execution = Route(settings.forwarded_to, _roots(settings), _forwarding_identity(settings))
    with _stopping() as stop, _alone(settings), _http_socket(settings) as http_socket, execution:
        parts = _prepared(settings, _port(http_socket), migrates=True)
        methods = parts.methods()
        room = Room()
        own = handlers([method for method in methods if not executes(method)], parts.guards, room)
        forwarder = Forwarder(execution, parts.token_of, parts.guards, room)
        passed = forwarder.handlers([method for method in methods if executes(method)])
        admins = _admin_listeners(parts, _merged(own, passed))
        _seed(parts, settings.address(admins[0].port))
        with _serving(parts, admins, http_socket, forwarder.close):
            _ready(settings, admins, _port(http_socket))
            stop.wait()


def serve_execution(settings: Settings) -> None:
    """Run the execution server alone."""
    settings.require_apart()
    with _stopping() as stop:
        parts = _prepared(settings, settings.http_port, migrates=False)
        methods = [method for method in parts.methods() if executes(method)]
        address = settings.address(settings.execution_port)
        listener = Listener(address, handlers(methods, parts.guards, Room()), tls=parts.mutual_tls)
        with _serving(parts, [listener], None), _by_itself(parts):
            _say(f"airspace execution ready grpc={settings.address(listener.port)} data={settings.data}")
            stop.wait()


def work(settings: Settings, *, child: bool) -> None:
    """Run a worker; as a child it also stops when its parent is gone, which the end of stdin tells."""
    settings.require_apart()
    with _stopping() as stop:
        if child:
            threading.Thread(target=_stop_at_end_of, args=(sys.stdin, stop), name="parent", daemon=True).start()
        database = Database(settings.database)
        wait_until_migrated(database, _MIGRATION_SECONDS)
        data = settings.data.resolve()
        database.before_commit = Ledger(database, keys.secret(data / "keys", "audit-heads"), clock.now).keep
        artifacts = LocalArtifactStore(data / "artifacts")
        weights = ", ".join(f"{domain} {weight}" for domain, weight in settings.weights.items())
        _log.info("domains share the slots", extra={"airspace": {"slots": settings.slots, "weights": weights}})
        if not niceness_counts():
            _log.warning("cores may be shared by session and not by domain: set kernel.sched_autogroup_enabled=0")
        worker = Worker(
            database,
            artifacts,
            LocalRunner(data / "work", callback=_callback(settings), sandbox=_sandbox(settings, artifacts)),
            owner=f"{socket.gethostname()[:32]}-{os.getpid()}",
            slots=settings.slots,
            weights=settings.weights,
        )
        _say(_READY)
        worker.run(stop)
        database.close()


def _sandbox(settings: Settings, artifacts: LocalArtifactStore) -> Sandbox | None:
    """Say what tasks are shut in with, and tell the operator when they are not. Raises StartError."""
    problem = "the setting sandbox is false"
    if settings.sandbox is not False:
        sandbox = Sandbox(settings.data.resolve(), artifacts)
        failed = sandbox.problem()
        if failed is None:
            _log.info("tasks are shut in", extra={"airspace": {"own_users": os.geteuid() == 0}})
            return sandbox
        if settings.sandbox:
            raise StartError(f"this machine cannot shut tasks in, as the setting sandbox asks: {failed}")
        problem = failed
    _log.warning(
        "tasks are not shut in: they read and end all that this server can", extra={"airspace": {"why": problem}}
    )
    return None


def _callback(settings: Settings) -> Callback:
    """Say how tasks call back: with tokens that the servers of these settings accept, to where people's clients go."""
    issuer = ExecutionIssuer(settings.data / "keys", settings.url(settings.http_port), settings.audience, clock.now)
    # Development's certificate is its own authority; others' are whom the operator names, or the machine knows.
    roots = settings.trusted if settings.mode == "development" else settings.tls_roots
    encrypted = settings.tls_certificate is not None
    return Callback(issuer.token, settings.grpc_endpoint, encrypted, None if roots is None else roots.absolute())


# --- what they share


def _admin_listeners(parts: Parts, served: Handlers) -> list[Listener]:
    """Make the listener that everybody uses, and where it is set one more, for clients with certificates.

    That is another port because grpc asks every client of a port for a certificate or none: Flyte's have none.
    """
    settings = parts.settings
    listeners = [Listener(settings.address(settings.grpc_port), served, tls=parts.tls)]
    if settings.mtls_port is not None:
        listeners.append(Listener(settings.address(settings.mtls_port), served, tls=parts.mutual_tls))
    return listeners


def _roots(settings: Settings) -> Watched[bytes] | None:
    roots = settings.tls_roots
    return None if roots is None else Watched((roots,), lambda: certificates.authorities(roots))


def _forwarding_identity(settings: Settings) -> Watched[Identity] | None:
    """Return what the admin process shows to the execution listener.

    It must stand for no account: whatever got through here without its caller's token would be that account's call.
    """
    certificate, key = settings.tls_client_certificate, settings.tls_client_key
    if certificate is None or key is None:
        return None

    def read() -> Identity:
        own = certificates.identity(certificate, key)
        listed = sorted(certificates.shown(own.certificate).names & settings.tls_client_accounts.keys())
        if listed:
            raise SettingsError(
                f"tls_client_accounts must not have {listed[0]}: the admin process forwards calls as it"
            )
        return own

    return Watched((certificate, key), read)


def _prepared(settings: Settings, http_port: int, *, migrates: bool) -> Parts:
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    parts = Parts(settings, http_port)
    if migrates:
        migrate(parts.database)
    else:
        wait_until_migrated(parts.database, _MIGRATION_SECONDS)
    return parts


def _seed(parts: Parts, grpc_target: str) -> None:
    """Make the first principals: three accounts in development, the named administrator in production."""
    clients = parts.settings.data.absolute() / "clients"
    if parts.settings.mode == "development":
        secrets = seed.seed_development(parts.database, clock.now())
        seed.write_client_files(
            clients, secrets, grpc_target, parts.url, tls=parts.tls is not None, roots=parts.settings.trusted
        )
        for name in seed.DEVELOPMENT:
            _say(f"airspace client file {clients / f'{name}.yaml'}")
    else:
        try:
            seed.seed_production(parts.database, parts.settings.bootstrap_admin, clients, clock.now())
        except ValueError as error:
            raise SettingsError(str(error)) from None


@contextlib.contextmanager
def _serving(
    parts: Parts,
    listeners: Sequence[Listener],
    http_socket: socket.socket | None,
    end_streams: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Serve until the block is left; then drain: no new calls, running ones get some seconds, then the end.

    Streams do not end by themselves; `end_streams` is for those that the watcher in here does not know of.
    """
    parts.start()
    http = _Http(parts, http_socket) if http_socket is not None else None
    for listener in listeners:
        listener.start()
    try:
        yield
    finally:
        parts.watcher.close()
        end_streams()
        stops = [threading.Thread(target=listener.stop, args=(DRAIN_SECONDS,)) for listener in listeners]
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join()
        if http is not None:
            http.stop()
        parts.close()


@contextlib.contextmanager
def _by_itself(parts: Parts) -> Iterator[None]:
    """Fire schedules and send notifications until the block is left."""
    for work in (parts.scheduling, parts.telling, parts.notifying):
        work.start()
    try:
        yield
    finally:
        for work in (parts.scheduling, parts.telling, parts.notifying):
            work.stop()
        parts.sender.close()


class _Http:
    """The HTTP port, on a thread of its own."""

    def __init__(self, parts: Parts, bound: socket.socket) -> None:
        identity = parts.identity
        config = uvicorn.Config(
            Starlette(routes=parts.routes()),
            log_config=None,
            proxy_headers=bool(parts.settings.http_proxies),
            forwarded_allow_ips=parts.settings.http_proxies,
            access_log=False,  # a signed URL is a secret, and would stand in it
            lifespan="off",
            timeout_graceful_shutdown=int(DRAIN_SECONDS),
            ssl_context_factory=None if identity is None else lambda *_: certificates.choosing(identity),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [bound]}, name="http", daemon=True)
        self._thread.start()
        _wait_for(lambda: self._server.started or not self._thread.is_alive(), "the HTTP port")
        if not self._server.started:
            raise StartError("the HTTP port did not start; the log says why")

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


@contextlib.contextmanager
def _worker_child(settings: Settings, stop: threading.Event) -> Iterator[None]:
    """Run a worker beside the servers, and a new one when it dies, until `stop` is set or the block is left.

    It drains while the servers do; the block's end waits for it.
    """
    environment = {**os.environ, **settings.environment()}
    lock = threading.Lock()
    running: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "airspace_server", "worker", "--child"]
        child = subprocess.Popen(  # noqa: S603 -- our own arguments
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        running[:] = [child]
        return child

    def keep() -> None:
        while True:
            running[0].wait()
            with lock:
                if stop.is_set():
                    return
                _log.error("the worker ended; starting another", extra={"airspace": {"code": running[0].returncode}})
                start()
            stop.wait(1.0)  # a worker that cannot start must not spin

    def end() -> None:
        stop.wait()
        with lock:
            running[0].terminate()

    child = start()
    _await_line(child.stdout, _READY)
    threads = [threading.Thread(target=target, name="worker", daemon=True) for target in (keep, end)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _await_line(stream: IO[str] | None, line: str) -> None:
    if stream is None or stream.readline().strip() != line:
        raise StartError("the worker did not start; its own log says why")


def _stop_at_end_of(stream: IO[str], stop: threading.Event) -> None:
    stream.read()
    stop.set()


@contextlib.contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and SIGINT set."""
    stop = threading.Event()

    def handle(_number: int, _frame: object) -> None:
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the data folder: a second admin server would write its own addresses into the clients' files."""
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (settings.data / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(f"another server uses {settings.data}") from None
        yield


@contextlib.contextmanager
def _http_socket(settings: Settings) -> Iterator[socket.socket]:
    """Bind the HTTP port before anything else: its number is part of the issuer's name."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named: asyncio turns Nagle's algorithm off only then, which costs 40 ms an answer.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((settings.host, settings.http_port))
        except OSError as error:
            address = settings.address(settings.http_port)
            raise StartError(f"cannot listen on {address}: {error.strerror}") from None
        yield bound


def _port(bound: socket.socket) -> int:
    port: int = bound.getsockname()[1]
    return port


def _merged(first: Handlers, second: Handlers) -> Handlers:
    return {service: {**first.get(service, {}), **second.get(service, {})} for service in {*first, *second}}


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise StartError(f"{what} did not start in {_START_SECONDS:.0f} s")
        time.sleep(0.01)


def _ready(settings: Settings, admins: Sequence[Listener], http_port: int) -> None:
    admin, *mutual = admins
    further = "".join(f"mtls={settings.address(each.port)} " for each in mutual)
    _say(
        f"airspace ready grpc={settings.address(admin.port)} http={settings.address(http_port)} {further}"
        f"data={Path(settings.data).absolute()}"
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
