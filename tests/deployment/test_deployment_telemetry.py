"""Spans and measurements reach the collector that OpenTelemetry's own variables name."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from deployment_processes import Deployment, Ended, Wire
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from airspace.project.v1 import project_service_pb2 as pb

GET = "airspace.project.v1.ProjectService/GetProject"


class Collector:
    """Keeps what it is sent, as text."""

    def __init__(self) -> None:
        self.spans = self.measurements = ""
        self._server = grpc.server(ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_Traces(self), self._server)
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(_Metrics(self), self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0).wait()


class _Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def Export(self, request: Any, _context: grpc.ServicerContext) -> Any:
        self._collector.spans += str(request)
        return trace_service_pb2.ExportTraceServiceResponse()


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def Export(self, request: Any, _context: grpc.ServicerContext) -> Any:
        self._collector.measurements += str(request)
        return metrics_service_pb2.ExportMetricsServiceResponse()


def test_a_collector_gets_spans_and_measurements_of_calls_and_no_tenants_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
    deployment = Deployment(tmp_path)
    try:
        deployment.start("admin")
        with Wire(deployment.admin, deployment.token("admin")) as wire:
            answer = wire.raw(f"/{GET}", pb.GetProjectRequest(project="canary"))
        assert isinstance(answer, Ended)
        assert answer.code is grpc.StatusCode.NOT_FOUND
        assert deployment.stop("admin") == 0  # what was not sent yet is sent now
    finally:
        deployment.discard()
        collector.stop()
    assert f'name: "{GET}"' in collector.spans
    assert 'string_value: "airspace-' in collector.spans
    assert 'name: "rpc.server.duration"' in collector.measurements
    assert f'string_value: "/{GET}"' in collector.measurements
    assert "canary" not in collector.spans + collector.measurements
