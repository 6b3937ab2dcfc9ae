"""The server under load: the real parts behind the real chain, and beside them a handler that does nothing.

`python -m bench.server DATA DATABASE_URL` says on stdout where it listens and a token to call it with, as one JSON
line, and serves until its stdin ends. An empty URL is SQLite in DATA.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

import grpc
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from airspace_server import observability
from airspace_server.access.issuer import SCOPE
from airspace_server.access.seed import seed_development
from airspace_server.app import Parts
from airspace_server.core import clock
from airspace_server.rpc.server import Listener, handlers
from airspace_server.settings import Settings
from airspace_server.storage.migrate import migrate

EMPTY = "/bench.Bench/Empty"
"""The RPC that does nothing: on the same server and thread pool, but without the chain."""


class _Dropped(SpanExporter):
    """Stands in for a collector: every span is recorded and batched, and leaves the process for nowhere."""

    def export(self, _spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def _nothing(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    return b""


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
    listener = Listener(settings.address(0), {**handlers(parts.methods(), parts.guards), **empty})
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
    serve(Settings.model_validate({"data": data, "database_url": url}))
