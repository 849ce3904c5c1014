"""Requests to a search server belong to the trace of what is written, and to none otherwise."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any

from pypes_search.opensearch_client import Client
from tests.serving import http_server

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


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
