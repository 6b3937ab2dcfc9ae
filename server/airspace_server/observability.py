"""Logs as JSON lines on stderr, and traces where an OTLP collector is named."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

_encode: Final = json.JSONEncoder(ensure_ascii=False, default=str).encode  # dumps would make an encoder for each line


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the fields under `airspace` of the record."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "airspace", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line)


def start(process: str) -> None:
    """Begin to log, and to trace if OTEL_EXPORTER_OTLP_ENDPOINT or its form for traces is set. Once a process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    # No line says which source line or thread it comes from: Python's logging HOWTO has this under "Optimization".
    logging._srcfile = None  # noqa: SLF001 -- the documented way
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=os.environ.get("AIRSPACE_LOG", "INFO"), handlers=[handler])
    # httpx and alembic report every step at INFO; uvicorn's access log would hold signed URLs, which are secrets.
    for noisy in ("httpx", "httpcore", "alembic", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        provider = TracerProvider(resource=Resource.create({"service.name": f"airspace-{process}"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
