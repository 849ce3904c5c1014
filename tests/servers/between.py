"""A proxy between a client and a server, which answers in the server's place, or breaks connections, when a test says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import urllib3

from tests.serving import http_server

#: Headers that belong to one connection.
_OWN = ("connection", "content-length", "transfer-encoding", "keep-alive", "host")


@dataclass
class Between:
    """Passes requests on; tests set what is to happen instead."""

    url: str = ""
    #: Requests that were made, as ``METHOD /path``.
    requests: list[str] = field(default_factory=list)
    #: Answers in place of the server's, for the next requests: status and headers.
    answers: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    #: So many requests are let through; all others end without an answer.
    most: int | None = None
    #: True if the server performs the first request that has no answer.
    is_performed: bool = False


@contextmanager
def between(server: str) -> Iterator[Between]:
    """A proxy before the address of a server while it runs."""
    state = Between()
    pool = urllib3.PoolManager(retries=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # head and body in one packet: the client acknowledges two only after 40 ms
        wbufsize = -1

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            state.requests.append(f"{self.command} {self.path}")
            is_first_cut = state.most is not None and len(state.requests) == state.most + 1
            is_cut = state.most is not None and len(state.requests) > state.most
            if is_cut and not (is_first_cut and state.is_performed):
                self.close_connection = True
                return
            if state.answers:
                status, headers = state.answers.pop(0)
                self._answer(status, headers, b"{}")
                return
            passed = {name: value for name, value in self.headers.items() if name.lower() not in _OWN}
            answer = pool.request(self.command, server + self.path, body=body, headers=passed)
            if is_cut:
                self.close_connection = True
                return
            self._answer(answer.status, answer.headers, answer.data)

        def _answer(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in _OWN:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)
            self.wfile.flush()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with pool, http_server(Handler) as state.url:
        yield state
