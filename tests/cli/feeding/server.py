"""A server for pypes feed that answers as it is told."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from pypes.core.media_types import PACKETS


class Server(ThreadingHTTPServer):
    """Accepts what it is sent; ``refuse`` maps bytes found in a body to the statuses to answer with, in turn.

    Documents with ``poison`` in them fail, those with ``drop`` are dropped.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.refuse: dict[bytes, list[tuple[int, dict[str, str]]]] = {}
        self.code = "test.refused"
        self.node = "1"
        self.accepted: list[tuple[dict[str, str], bytes]] = []
        self.outcomes: list[list[str]] = []
        self.ids_of: list[list[str | None]] = []
        #: Receipts that have not ended.
        self.unfinished: set[str] = set()
        #: Receipts that are gone, and dead letters that were looked at.
        self.forgotten: set[str] = set()
        self.asked: list[str] = []
        #: What was asked to be deleted of the dead letters.
        self.cleared: list[str] = []
        #: Bodies with this in them get no answer before ``release``; ``held`` tells that one has come.
        self.hold = b""
        self.held = threading.Event()
        self.release = threading.Event()
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
        if self.server.hold and self.server.hold in raw:
            self.server.held.set()
            self.server.release.wait(30)
        with self.server.lock:
            self.server.paths[self.path] += 1
            for mark, answers in self.server.refuse.items():
                if mark in raw and answers:
                    status, headers = answers.pop(0)
                    self.answer(status, {"code": self.server.code, "title": "refused"}, headers)
                    return
            self.server.accepted.append((dict(self.headers), raw))
            found = [self.outcome(document) for document in self.documents(raw)]
            self.server.outcomes.append(found)
            self.server.ids_of.append(self.ids(raw))
            content = {"receipt": str(len(self.server.outcomes) - 1), "accepted": len(found)}
            self.answer(202, content, {"Pypes-Graph": "search"})

    def do_DELETE(self) -> None:
        self.server.cleared.append(self.path)
        self.answer(200, {"count": 1}, {})

    def documents(self, raw: bytes) -> list[bytes]:
        kind = self.headers["Content-Type"]
        if kind == PACKETS:
            return raw.split(b"},{")
        return raw.splitlines() if kind == "application/x-ndjson" else raw.split(b"Content-Disposition")[1:] or [raw]

    def ids(self, raw: bytes) -> list[str | None]:
        if self.headers["Content-Type"] == PACKETS:
            return [packet["meta"]["id"] for packet in json.loads(raw)]
        found = re.findall(rb"Pypes-Id: (.+?)\r", f"Pypes-Id: {self.headers.get('Pypes-Id', '')}\r\n".encode() + raw)
        return [unquote(id.decode()) for id in found]

    def outcome(self, document: bytes) -> str:
        return "failed" if b"poison" in document else "dropped" if b"drop" in document else "published"

    def do_GET(self) -> None:
        _, what, *rest = self.path.partition("?")[0].split("/")
        if what == "status":
            self.answer(200, {"node": self.server.node}, {})
            return
        if what == "deadletters":
            self.server.asked.append(rest[0])
            self.answer(200, {"code": "test.poison", "error": f"letter {rest[0]} says why", "filter": "html"}, {})
            return
        if what == "receipts" and not rest:
            failed = [{"receipt": str(at)} for at, one in enumerate(self.server.outcomes) if "failed" in one]
            self.answer(200, {"receipts": failed[::-1], "next": None}, {})
            return
        if rest[0] in self.server.forgotten:
            self.answer(410, {"code": "receipt.forgotten", "title": "gone"}, {})
            return
        found = self.server.outcomes[int(rest[0])]
        ids = [*self.server.ids_of[int(rest[0])], *[None] * len(found)]
        if rest[1:]:
            shown = [
                {"index": at, "id": ids[at], "outcome": one, "filter": None, "deadletter": f"L{at}"}
                for at, one in enumerate(found)
            ]
            self.answer(200, {"documents": shown, "next": None}, {})
        else:
            state = "processing" if rest[0] in self.server.unfinished else "failed" if "failed" in found else "done"
            self.answer(200, {"state": state, **{one: found.count(one) for one in ("published", "dropped", "failed")}}, {})

    def answer(self, status: int, content: Any, headers: dict[str, str]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        return
