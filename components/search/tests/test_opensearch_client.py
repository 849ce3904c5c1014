"""Requests to a search server belong to the trace of what is written, and to none otherwise."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any

from pypes import Packet
from pypes.core.trace_context import TraceContext
from pypes.runtime.scheduler import Feed
from pypes.runtime.scheduler.carrying import Carried
from pypes.testing.node import until
from pypes_search.opensearch import OpenSearch
from pypes_search.opensearch_client import Client
from tests.runtime.scheduler.graphs import running
from tests.serving import http_server

CONTEXT = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True)
PARENT = CONTEXT.traceparent


def test_fields_of_a_trace_are_sent_while_they_are_set() -> None:
    came: list[tuple[str | None, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            came.append((self.headers["traceparent"], self.headers["content-type"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"items": []}')

        def log_message(self, format: str, *args: Any) -> None:
            return

    with http_server(Handler) as url:
        client = Client(url)
        client.bulk([[{"index": {}}, {"a": 1}]])
        client.trace_fields = {"traceparent": PARENT}
        client.bulk([[{"index": {}}, {"a": 1}]])
        client.trace_fields = {}
        client.ask("POST", "/x", {})
        client.close()
    assert came == [(None, "application/x-ndjson"), (PARENT, "application/x-ndjson"), (None, "application/json")]


def test_a_publisher_sends_the_trace_of_what_it_writes() -> None:
    came: list[str | None] = []

    class Starting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            came.append(self.headers["traceparent"])
            self.send_response(503)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return

    with http_server(Starting) as url:
        publisher = OpenSearch()
        publisher.configure({"url": url})
        with running({"out": publisher}, []) as scheduler:
            assert set(came) == {None}
            scheduler.core.carried["r"] = Carried("r", CONTEXT)
            packet = Packet.from_document({"id": "a", "text": "b"}, {"id": "a", "receipt": "r"})
            scheduler.submit(Feed(iter([("out", [packet], range(1))]), 1))

            def is_asked() -> bool:
                scheduler.run()
                return came[-1] == PARENT

            until(is_asked, 20, "asked within the trace")
