"""A node that is looked at: a server that answers /status and /deadletters as it is told, and counts on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import orjson

from tests.observe.test_picture import status
from tests.serving import http_server


class Looked:
    """The node; ``step`` documents and packets more at each look."""

    def __init__(self) -> None:
        self.url = ""
        self.is_down = False
        self.looks = 0
        self.step = 100
        self.status: dict[str, Any] = status()
        self.groups: list[dict[str, Any]] = [
            {
                "graph": "shop",
                "filter": "judge",
                "code": "rejected",
                "count": 7,
                "failures": 7,
                "latest": "2026-11-20T10:00:00.1Z",
            }
        ]

    def answer(self, path: str) -> bytes:
        if path == "/status":
            self.looks += 1
            for shard in self.status["shards"]:
                for name in ("accepted", "published"):
                    shard["graphs"]["shop"] = {**shard["graphs"]["shop"], name: self.looks * self.step}
            self.status["work"] = {"shop": {"filters": self.filters(), "wires": {}}}
            return orjson.dumps(self.status)
        assert path == "/deadletters?group=code"
        return orjson.dumps({"groups": self.groups})

    def filters(self) -> dict[str, dict[str, float]]:
        """Two filters that work, and one that does not."""
        count = self.looks * self.step
        rest = {"failures": 0, "waiting_s": 0.0, "parked_s": 0.0}
        work = {
            name: {"packets_in": count, "packets_out": count, "seconds": count * each, **rest}
            for name, each in (("json", 0.0001), ("judge", 0.002))
        }
        return {"idle": {"packets_in": 5, "packets_out": 5, "seconds": 1.0, **rest}, **work}


@contextmanager
def looked_at() -> Iterator[Looked]:
    node = Looked()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = b"" if node.is_down else node.answer(self.path)
            self.send_response(503 if node.is_down else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with http_server(Handler) as node.url:
        yield node
