"""Logs as JSON lines on stderr; traces and metrics where an OTLP collector is named."""

import json
import logging
import os
import sys
import threading
from collections import deque
from datetime import UTC, datetime
from typing import Final, TextIO

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

_SECONDS: Final = 0.1
_LINES: Final = 1000
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


class Batches(logging.Handler):
    """Writes lines many at a time: at most 0.1 s after they came, and at once what is WARNING or worse.

    With one write a line, the calls that run at the same time queue up behind one another's writes, which costs more
    than the lines do (`make bench`). A process that is killed loses the lines of its last tenth of a second.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._records: deque[logging.LogRecord] = deque()
        self._writing = threading.RLock()  # a signal's handler may log in the midst of it
        threading.Thread(target=self._write_regularly, name="log", daemon=True).start()

    def createLock(self) -> None:
        """Make no lock: appending to a deque needs none, and writing has its own."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line. Whoever brings one too many writes them all: a slow reader slows the server, not fills it."""
        self._records.append(record)
        if record.levelno >= logging.WARNING or len(self._records) >= _LINES:
            self.flush()

    def flush(self) -> None:
        """Write what there is; logging does so too when the process ends."""
        with self._writing:
            if not self._records:
                return
            taken = [self._records.popleft() for _ in range(len(self._records))]
            try:
                self._stream.write("".join(self._line(record) for record in taken))
                self._stream.flush()
            except OSError:
                self.handleError(taken[-1])

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record) + "\n"
        except Exception:
            self.handleError(record)
            return ""

    def _write_regularly(self) -> None:
        pause = threading.Event()
        while not pause.wait(_SECONDS):
            self.flush()


def start(process: str) -> None:
    """Begin to log; to trace and to count too where OTEL_EXPORTER_OTLP_ENDPOINT names a collector. Once a process."""
    handler = Batches(sys.stderr)
    handler.setFormatter(JsonLines())
    # No line says which source line or thread it comes from: Python's logging HOWTO has this under "Optimization".
    logging._srcfile = None  # noqa: SLF001 -- the documented way
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=os.environ.get("AIRSPACE_LOG", "INFO"), handlers=[handler])
    # httpx and alembic report every step at INFO; uvicorn's access log would hold signed URLs, which are secrets.
    for noisy in ("httpx", "httpcore", "alembic", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    resource = Resource.create({"service.name": f"airspace-{process}"})
    if _exported("TRACES"):
        provider = TracerProvider(resource=resource)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
    if _exported("METRICS"):
        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        metrics.set_meter_provider(MeterProvider([reader], resource))


def _exported(signal: str) -> bool:
    """Tell whether OpenTelemetry's own variables name a collector for a signal."""
    return any(os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("ENDPOINT", f"{signal}_ENDPOINT"))
