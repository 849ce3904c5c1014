"""A gate before a server with the protocol of S3: it lets requests through, or answers them itself as a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import urllib3

from tests.serving import http_server

#: The answer to a request of a method and a path, a status and a code of S3, or ``None`` to let it through.
Rule = Callable[[str, str], tuple[int, str] | None]


def _let_through(method: str, path: str) -> None:
    return None


@dataclass
class Gate:
    """What a test tells the gate, and the requests that came: method and path."""

    url: str = ""
    rule: Rule = _let_through
    came: list[tuple[str, str]] = field(default_factory=list)
    #: True to forget conditions on the way, as a server does that has none.
    drops_conditions: bool = False

    def open(self) -> None:
        self.rule = _let_through


@contextmanager
def gate(server: str) -> Iterator[Gate]:
    """A gate on a free port of loopback while it runs."""
    state = Gate()
    http = urllib3.PoolManager(maxsize=16)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            state.came.append((self.command, self.path))
            if (own := state.rule(self.command, self.path)) is not None:
                status, code = own
                self._send(status, {}, f"<Error><Code>{code}</Code><Message>as the test says</Message></Error>".encode())
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
            if state.drops_conditions:
                headers = {name: value for name, value in headers.items() if name.lower() not in ("if-match", "if-none-match")}
            found = http.request(self.command, server + self.path, body=body, headers=headers, preload_content=True)
            passed = {name: value for name, value in found.headers.items() if name.lower() not in _OWN}
            self._send(found.status, passed, found.data, found.headers.get("content-length"))

        def _send(self, status: int, headers: dict[str, str], data: bytes, length: str | None = None) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", length if self.command == "HEAD" and length else str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)
            self.wfile.flush()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with http_server(Handler) as state.url:
        yield state
    http.clear()


_OWN = ("connection", "content-length", "date", "server", "transfer-encoding")
