"""The cost of OpenTelemetry: one delivery in a hundred traced and sent to a collector, with the metrics, against none of it."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from benchmarks.documents import BATCH_DOCUMENTS, batches
from benchmarks.endpoint import single_documents
from benchmarks.load import Load
from benchmarks.measure import NDJSON_GZIP, NodeSide, five_filters, interleaved, medians, node, rounds
from benchmarks.report import Line
from pypes.core.machine import cores

SECONDS: Final = 4.0
ROUNDS: Final = rounds(7)
SHARE: Final = 0.01
MUST: Final = 0.05


class _Taking(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.requests += 1  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def collector() -> Iterator[ThreadingHTTPServer]:
    """A collector that throws away what it is sent, in this process: its time is not that of the node."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Taking)
    server.requests = 0  # type: ignore[attr-defined]
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _compared(what: str, load: Load) -> Line:
    """Rounds on two nodes in turn, the one with a collector and the one without."""
    with collector() as taking:
        environ = {
            "PYPES_OBSERVE_OTLP_ENDPOINT": f"http://127.0.0.1:{taking.server_port}",
            "PYPES_OBSERVE_OTLP_INTERVAL_S": "1",
            "PYPES_OBSERVE_TRACE_SHARE": str(SHARE),
        }
        graph = five_filters()
        with node(graph, instances=cores()) as plain, node(graph, instances=cores(), environ=environ) as telling:
            found = interleaved((NodeSide(plain), NodeSide(telling)), load, seconds=SECONDS, number=ROUNDS)
        if not taking.requests:  # type: ignore[attr-defined]
            raise RuntimeError("the collector was sent nothing")
    usual, told = medians(found, lambda each: each.processor_us)
    share = statistics.median(b.processor_us / a.processor_us for a, b in found)
    return Line(
        f"{what}: processor time for each document, with one delivery in a hundred and the metrics sent by OTLP, against none",
        f"{told:.2f} µs; without {usual:.2f} µs",
        share,
        must=1 + MUST,
        stretch=1 + MUST / 2,
    )


def lines() -> Iterator[Line]:
    """Single documents and batches."""
    yield _compared("single documents of 1 KB", single_documents())
    load = Load(batches(100), NDJSON_GZIP, connections=16)
    yield _compared(f"gzip NDJSON batches of {BATCH_DOCUMENTS:,} documents of 1 KB", load)
