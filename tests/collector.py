"""A collector of OpenTelemetry for tests: takes OTLP over HTTP in protobuf, and shows what came."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Taken(NamedTuple):
    """A request that was taken."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Collector(ThreadingHTTPServer):
    """``answers`` are statuses of the next requests, which are not taken, with their headers."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.taken: list[Taken] = []
        self.answers: list[tuple[int, Mapping[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def traces(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(each.body) for each in self.taken if each.path == "/v1/traces"]

    def spans(self, receipt: str = "") -> list[Span]:
        """All spans, or those of the trace of a delivery and those that are linked with it."""
        found = [
            span
            for request in self.traces()
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        if not receipt:
            return found
        own = {span.trace_id for span in found if said(span).get("messaging.message.id") == receipt}
        return [span for span in found if span.trace_id in own]

    def metrics(self) -> list[dict[str, Metric]]:
        """The metrics of each request, by their names."""
        return [
            {
                metric.name: metric
                for resource in each.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            }
            for each in (
                ExportMetricsServiceRequest.FromString(taken.body) for taken in self.taken if taken.path == "/v1/metrics"
            )
        ]


class Handler(BaseHTTPRequestHandler):
    server: Collector
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, more = self.server.answers.pop(0) if self.server.answers else (200, {})
        if status == 200:
            self.server.taken.append(Taken(self.path, headers, gzip.decompress(body) if "content-encoding" in headers else body))
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        return


def pairs(attributes: Any) -> Iterator[tuple[str, Any]]:
    each: KeyValue
    for each in attributes:
        yield each.key, getattr(each.value, str(each.value.WhichOneof("value")))


def said(span: Any) -> dict[str, Any]:
    """The attributes of a span, a link, an event, a data point or a resource."""
    return dict(pairs(span.attributes))
