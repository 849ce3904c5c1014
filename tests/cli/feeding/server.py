"""A server for pypes feed that answers as it is told."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pypes.ingest.delivery import PACKETS


class Server(ThreadingHTTPServer):
    """Accepts what it is sent; ``refuse`` maps bytes found in a body to the statuses to answer with, in turn.

    Documents with ``poison`` in them fail, those with ``drop`` are dropped.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.refuse: dict[bytes, list[tuple[int, dict[str, str]]]] = {}
        self.accepted: list[tuple[dict[str, str], bytes]] = []
        self.outcomes: list[list[str]] = []
        self.paths: Counter[str] = Counter()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def ids(self) -> list[str]:
        """The ids that documents were given, in the order of their arrival."""
        heads = [f"Pypes-Id: {headers.get('Pypes-Id', '')}\r\n".encode() + body for headers, body in self.accepted]
        return [id.decode() for head in heads for id in re.findall(rb"Pypes-Id: (.+?)\r", head)]

    @property
    def deleted(self) -> list[str]:
        """The ids that were deleted."""
        found = [json.loads(body) for headers, body in self.accepted if headers["Content-Type"] == PACKETS]
        return [packet["meta"]["id"] for packets in found for packet in packets if packet["meta"]["requestmethod"] == "DELETE"]


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        raw = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
        with self.server.lock:
            self.server.paths[self.path] += 1
            for mark, answers in self.server.refuse.items():
                if mark in raw and answers:
                    status, headers = answers.pop(0)
                    self.answer(status, {"code": "test.refused", "title": "refused"}, headers)
                    return
            self.server.accepted.append((dict(self.headers), raw))
            found = [self.outcome(document) for document in self.documents(raw)]
            self.server.outcomes.append(found)
            self.answer(202, {"receipt": str(len(self.server.outcomes) - 1), "accepted": len(found)}, {})

    def documents(self, raw: bytes) -> list[bytes]:
        kind = self.headers["Content-Type"]
        if kind == PACKETS:
            return raw.split(b"},{")
        return raw.splitlines() if kind == "application/x-ndjson" else raw.split(b"Content-Disposition")[1:] or [raw]

    def outcome(self, document: bytes) -> str:
        return "failed" if b"poison" in document else "dropped" if b"drop" in document else "published"

    def do_GET(self) -> None:
        _, what, *rest = self.path.partition("?")[0].split("/")
        if what == "deadletters":
            self.answer(200, {"code": "test.poison", "error": f"letter {rest[0]} says why", "filter": "html"}, {})
            return
        found = self.server.outcomes[int(rest[0])]
        if rest[1:]:
            shown = [{"index": at, "outcome": one, "filter": None, "deadletter": f"L{at}"} for at, one in enumerate(found)]
            self.answer(200, {"documents": shown, "next": None}, {})
        else:
            self.answer(200, {"state": "done", **{one: found.count(one) for one in ("published", "dropped", "failed")}}, {})

    def answer(self, status: int, content: Any, headers: dict[str, str]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        return
