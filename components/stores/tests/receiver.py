"""A receiver of webhooks: a real server over HTTP that answers, waits or drops connections as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.serving import http_server


@dataclass
class Request:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def messages(self) -> list[dict[str, Any]]:
        said = json.loads(self.body)
        return said if isinstance(said, list) else [said]


@dataclass
class Receiver:
    """What a test sees of the receiver, and tells it."""

    url: str = ""
    #: Requests that were taken, also if nobody heard of it.
    taken: list[Request] = field(default_factory=list)
    #: Requests that came.
    came: list[Request] = field(default_factory=list)
    #: Answers to the next requests, which are not taken: status and headers.
    answers: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    #: So many of the next requests are taken, and the connection is closed without an answer.
    drops: int = 0
    #: So many of the next requests are taken, and nothing is answered until the test ends.
    hangs: int = 0
    #: A text with which a request is refused.
    refused: str = ""

    def messages(self, path: str = "/") -> list[dict[str, Any]]:
        """The messages that were taken at a path."""
        return [message for request in self.taken if request.path == path for message in request.messages]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver on a free port of loopback while it runs."""
    state = Receiver()
    is_over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # head and body in one packet: the client acknowledges two only after 40 ms
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            request = Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            state.came.append(request)
            if state.answers:
                self._answer(*state.answers.pop(0))
            elif state.refused and state.refused.encode() in body:
                self._answer(422, {})
            else:
                state.taken.append(request)
                if state.drops:
                    state.drops -= 1
                    self.close_connection = True
                elif state.hangs:
                    state.hangs -= 1
                    is_over.wait()
                    self.close_connection = True
                else:
                    self._answer(204, {})

        def _answer(self, status: int, headers: Mapping[str, str]) -> None:
            data = b"" if status == 204 else b"not so"
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with http_server(Handler) as state.url:
        try:
            yield state
        finally:
            is_over.set()
