"""A relay before a server: it passes requests on, or answers itself, or drops the answer, as a test says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

import urllib3

from tests.serving import http_server

#: What one hop keeps for itself.
_OWN: Final = ("connection", "host", "transfer-encoding", "content-length")


@dataclass
class Relay:
    """What a test sees of the relay, and tells it."""

    url: str = ""
    #: Method, path, headers and body of requests that came.
    came: list[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=list)
    #: Answers to the next requests, which are not passed on: status and headers.
    answers: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    #: So many of the next requests are passed on, and the connection is closed without an answer.
    drops: int = 0

    def keys(self) -> list[str]:
        """The idempotency keys that came."""
        return [headers["idempotency-key"] for method, _, headers, _ in self.came if method != "GET"]


@contextmanager
def relay(target: str) -> Iterator[Relay]:
    """A relay on a free port of loopback while it runs."""
    state = Relay()
    http = urllib3.PoolManager(retries=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.came.append((self.command, self.path, headers, body))
            if state.answers:
                self._answer(*state.answers.pop(0), b"{}")
                return
            sent = {name: value for name, value in headers.items() if name not in _OWN}
            answer = http.request(self.command, target + self.path, body=body or None, headers=sent)
            if state.drops:
                state.drops -= 1
                self.close_connection = True
            else:
                given = {name: value for name, value in answer.headers.items() if name.lower() not in _OWN}
                self._answer(answer.status, given, answer.data)

        do_GET = do_POST = do_DELETE = _pass

        def _answer(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with http_server(Handler) as state.url:
        yield state
    http.clear()
