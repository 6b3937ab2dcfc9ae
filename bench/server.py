"""The server under load: the real parts behind the real chain, and beside them a handler that does nothing.

`python -m bench.server DATA DATABASE_URL` says on stdout where it listens and a token to call it with, as one JSON
line, and serves until its stdin ends. An empty URL is SQLite in DATA.
"""

import json
import sys
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import grpc
from google.protobuf.message import Message
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from airspace.execution.v1.execution_service_pb2 import GetExecutionResponse
from airspace_server import observability
from airspace_server.access.issuer import SCOPE
from airspace_server.access.seed import seed_development
from airspace_server.app import Parts
from airspace_server.core import clock
from airspace_server.rpc.interceptors import Method
from airspace_server.rpc.rationing import Room
from airspace_server.rpc.server import Listener, handlers
from airspace_server.settings import Settings
from airspace_server.storage.migrate import migrate
from airspace_server.storage.tables import AnsweredRequestRow, table
from bench.workload import GET

EMPTY = "/bench.Bench/Empty"
"""The RPC that does nothing: on the same server and thread pool, but without the chain."""
CHAIN = "/bench.Bench/Chain"
"""The RPC that does nothing behind the chain: authenticated, authorized and checked as GetExecution is."""
COMMIT = "/bench.Bench/Commit"
"""As CHAIN, and inserts a row that the audit does not look at."""
RECORD = "/bench.Bench/Record"
"""As COMMIT, and says that something was changed, which the audit records."""


class _Dropped(SpanExporter):
    """Stands in for a collector: every span is recorded and batched, and leaves the process for nowhere."""

    def export(self, _spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def _nothing(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    return b""


def _behind_the_chain(parts: Parts, like: Method) -> list[Method]:
    """Make the methods that do little or nothing, with the rule and the request of another."""

    def write(*, change: bool) -> Message:
        key = {"principal": "bench", "method": uuid.uuid4().hex, "request_id": "", "fingerprint": ""}
        with parts.database.write() as tx:
            tx.insert(table(AnsweredRequestRow), {**key, "response": b"", "created_at": 0})
            if change:
                tx.changed("nothing", None, {})
        return GetExecutionResponse()

    doors = {
        CHAIN: lambda _request, _call: GetExecutionResponse(),
        COMMIT: lambda _request, _call: write(change=False),
        RECORD: lambda _request, _call: write(change=True),
    }
    return [replace(like, path=path, handler=handler) for path, handler in doors.items()]


def serve(settings: Settings) -> None:
    """Serve until stdin ends."""
    observability.start("bench")
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(_Dropped()))
    trace.set_tracer_provider(provider)

    parts = Parts(settings, http_port=0)
    migrate(parts.database)
    secret = seed_development(parts.database, clock.now())["admin"]
    service, name = EMPTY[1:].split("/")
    empty: dict[str, dict[str, Any]] = {service: {name: grpc.unary_unary_rpc_method_handler(_nothing)}}
    methods = parts.methods()
    methods += _behind_the_chain(parts, next(method for method in methods if method.path == GET))
    served = handlers(methods, parts.guards, Room())
    listener = Listener(settings.address(0), {**served, service: {**served[service], **empty[service]}})
    parts.start()
    listener.start()
    if parts.issuer is None:
        raise RuntimeError("development mode has the built-in issuer")
    token = parts.issuer.token("admin", secret, SCOPE).access_token
    print(json.dumps({"target": settings.address(listener.port), "token": token}), flush=True)
    sys.stdin.read()
    listener.stop(0)
    parts.close()
    provider.shutdown()


if __name__ == "__main__":
    data, url = sys.argv[1:]
    # What is measured is what calls cost, and not how many of them one caller may make.
    unlimited = {"calls_per_second": 1_000_000, "project_calls_per_second": 1_000_000}
    serve(Settings.model_validate({"data": data, "database_url": url, **unlimited}))
