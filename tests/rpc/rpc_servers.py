"""A server as `airspace serve` builds it, on a loopback port of its own, and callers with real tokens of its issuer."""

import contextlib
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import psycopg
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from sqlalchemy import func, literal, select, union_all
from sqlalchemy.engine import URL

from airspace_server.access.accounts import create_service_account
from airspace_server.access.identity import Principal
from airspace_server.access.rules import method_path
from airspace_server.access.store import Binding, change, create_role, insert_binding
from airspace_server.app import FLYTE_SERVICES, NATIVE_SERVICES, Parts
from airspace_server.core.permissions import Permission
from airspace_server.core.scope import Scope, ScopePattern
from airspace_server.flyte.errors import translate
from airspace_server.rpc.interceptors import Guards, Handler, Method
from airspace_server.rpc.rationing import Room
from airspace_server.rpc.server import Listener, Service, bind, handlers
from airspace_server.rpc.status import native
from airspace_server.rpc.validation import Validator
from airspace_server.settings import Settings
from airspace_server.storage.tables import METADATA

NATIVE = {method_path(method): method for service in NATIVE_SERVICES for method in service.methods}
FLYTE = {method_path(method): method for service in FLYTE_SERVICES for method in service.methods}
METHODS = {**NATIVE, **FLYTE}
"""The descriptors of every RPC by the path under which gRPC calls it."""

OURS = Scope("ours", "development")
"""Where most tests are."""
SECONDS = 20.0
"""No call takes longer; one that does fails its test."""


_COUNTS = union_all(
    *(
        select(literal(name).label("name"), func.count().label("rows")).select_from(table)
        for name, table in METADATA.tables.items()
        if not name.startswith(("audit_", "usage"))
    )
)


@dataclass(frozen=True)
class Answer:
    """How a call ended. `messages` came before its end; `status` is google.rpc.Status, None when there was none."""

    code: grpc.StatusCode
    text: str
    status: Status | None
    request_id: str
    messages: tuple[bytes, ...] = ()

    @property
    def info(self) -> ErrorInfo:
        """The ErrorInfo of the status; fails the test where there is none."""
        return self._detail(ErrorInfo)[0]

    @property
    def reason(self) -> str:
        """The reason of a failed call, "" for one that did not fail."""
        return self.info.reason if self.status else ""

    @property
    def fields(self) -> list[str]:
        """The paths that BadRequest names."""
        return [violation.field for bad in self._detail(BadRequest) for violation in bad.field_violations]

    @property
    def wire(self) -> tuple[grpc.StatusCode, str, bytes]:
        """All that the caller can tell two answers apart by."""
        return self.code, self.text, self.status.SerializeToString() if self.status else b""

    def _detail(self, kind: type[Message]) -> list:
        found = []
        for packed in self.status.details if self.status else ():
            if packed.Is(kind.DESCRIPTOR):
                found.append(kind())
                packed.Unpack(found[-1])
        return found


@dataclass
class Caller:
    """A channel to a listener, and the token that its calls carry."""

    channel: grpc.Channel
    token: str = ""

    def __call__(self, path: str, request: Message | bytes = b"", *, request_id: str = "", **metadata: str) -> Answer:
        """Make a call and wait for its end."""
        payload = request if isinstance(request, bytes) else request.SerializeToString()
        sent = [*metadata.items()]
        if self.token:
            sent.append(("authorization", f"Bearer {self.token}"))
        if request_id:
            sent.append(("x-request-id", request_id))
        if METHODS[path].server_streaming:
            call = self.channel.unary_stream(path)(payload, metadata=sent, timeout=SECONDS)
            messages = []
            with contextlib.suppress(grpc.RpcError):
                messages.extend(call)
            return _answer(call, messages)
        try:
            message, call = self.channel.unary_unary(path).with_call(payload, metadata=sent, timeout=SECONDS)
        except grpc.RpcError as error:
            return _answer(error, ())
        return _answer(call, (message,))

    def stream(self, path: str, request: Message) -> grpc.Call:
        """Begin to listen to a stream."""
        sent = [("authorization", f"Bearer {self.token}")]
        return self.channel.unary_stream(path)(request.SerializeToString(), metadata=sent, timeout=SECONDS)

    def begin(self, path: str, request: Message | bytes) -> Answer:
        """Make a call, and of a stream only until it is clear that it was let in: its first message, or a second."""
        if not METHODS[path].server_streaming:
            return self(path, request)
        payload = request if isinstance(request, bytes) else request.SerializeToString()
        sent = [("authorization", f"Bearer {self.token}")]
        call = self.channel.unary_stream(path)(payload, metadata=sent, timeout=1.0)
        try:
            message = next(call)
        except StopIteration:
            return _answer(call, [])
        except grpc.RpcError:
            if call.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                return _answer(call, [])
            message = b""
        call.cancel()
        return Answer(grpc.StatusCode.OK, "", None, "", (message,))


def _answer(call: Any, messages: Iterable[bytes]) -> Answer:
    trailing = dict(call.trailing_metadata() or ())
    details = trailing.get("grpc-status-details-bin")
    status = Status.FromString(details) if details else None
    return Answer(call.code(), call.details() or "", status, str(trailing.get("x-request-id", "")), tuple(messages))


@dataclass
class Airspace:
    """A server's parts, and what tests do with them."""

    parts: Parts
    url: str
    methods: dict[str, Method] = field(init=False)
    tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.methods = {method.path: method for method in self.parts.methods()}

    def account(self, name: str, *bindings: tuple[str, str]) -> str:
        """Create a service account with bindings, each a role and a pattern such as "*/development"; return a token."""
        creator, now = "service-account:test", 7
        with self.parts.database.write() as tx:
            secret, _ = create_service_account(tx, name, creator, now)
            for role, pattern in bindings:
                scopes = ScopePattern(*pattern.split("/"))
                insert_binding(tx, Binding(f"service-account:{name}", role, scopes, creator, now))
        self.parts.policy.refresh()
        assert self.parts.issuer
        self.tokens[name] = self.parts.issuer.token(name, secret, "").access_token
        return self.tokens[name]

    def bind(self, name: str, role: str, pattern: str) -> None:
        """Bind a service account to one more role."""
        with self.parts.database.write() as tx:
            change(tx)
            scopes = ScopePattern(*pattern.split("/"))
            insert_binding(tx, Binding(f"service-account:{name}", role, scopes, "service-account:test", 7))
        self.parts.policy.refresh()

    def role(self, creator: str, name: str, *permissions: Permission) -> None:
        """Create a role, in the name of an administrator."""
        with self.parts.database.write() as tx:
            create_role(tx, Principal(f"service-account:{creator}"), name, permissions, 7)
        self.parts.policy.refresh()

    @contextlib.contextmanager
    def served(
        self, methods: Iterable[Method] | None = None, guards: Guards | None = None, room: Room | None = None
    ) -> Iterator[Callable[[str], Caller]]:
        """Serve these methods, all of them as they are if not said; give callers by the names of their accounts."""
        served = self.methods.values() if methods is None else methods
        listener = Listener("127.0.0.1:0", handlers(served, guards or self.parts.guards, room or Room()))
        listener.start()
        with grpc.insecure_channel(f"127.0.0.1:{listener.port}", options=[("grpc.enable_retries", 0)]) as channel:
            yield lambda name: Caller(channel, self.tokens[name] if name else "")
        listener.stop(1.0)

    def without_doors(self) -> list[Method]:
        """Bind every method without any front door: whoever may call one gets UNIMPLEMENTED."""
        services = [Service(descriptor, (), native) for descriptor in NATIVE_SERVICES]
        services += [Service(descriptor, (), translate) for descriptor in FLYTE_SERVICES]
        rules = {path: method.rule for path, method in self.methods.items()}
        return bind(services, rules, Validator(self.parts.settings.domains))

    def with_door(self, path: str, handler: Handler) -> list[Method]:
        """Return one method with another front door; everything before it in the chain is as it is."""
        return [replace(self.methods[path], handler=handler)]

    def rows(self) -> dict[str, int]:
        """Count the rows of every table but those of the audit and of usage, which are written on their own time."""
        with self.parts.database.read(across=True) as tx:
            return {row.name: row.rows for row in tx.all(_COUNTS)}


@contextlib.contextmanager
def airspace(url: str, data: Path) -> Iterator[Airspace]:
    """Build a server over a migrated database, with an administrator's account "admin"."""
    unlimited = 1_000_000  # tests ask one server for more than anybody else would
    settings = Settings(data=data, database_url=url, calls_per_second=unlimited, project_calls_per_second=unlimited)
    parts = Parts(settings, 1)
    parts.start()
    try:
        server = Airspace(parts, url)
        server.account("admin", ("admin", "*/*"))
        yield server
    finally:
        parts.watcher.close()
        parts.close()


@contextlib.contextmanager
def copied_sqlite(template: Path, folder: Path) -> Iterator[str]:
    """Copy a migrated SQLite file into a folder."""
    shutil.copyfile(template, folder / "airspace.db")
    yield f"sqlite:///{folder / 'airspace.db'}"


@contextlib.contextmanager
def copied_postgres(server: URL, template: str) -> Iterator[str]:
    """Copy a migrated Postgres database, and drop the copy in the end."""
    name = f"t{uuid.uuid4().hex}"
    postgres(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield server.set(database=name).render_as_string(hide_password=False)
    postgres(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def postgres(server: URL, statement: str) -> None:
    """Run a statement on a Postgres server itself."""
    plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(statement)
