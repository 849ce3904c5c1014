"""A server of lists for tests of what polls one: pages by path, with the headers and statuses that a test sets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.serving import http_server


@dataclass
class Listing:
    """The pages of a server, and what was asked of it."""

    url: str = ""
    pages: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, Mapping[str, str]] = field(default_factory=dict)
    #: The next answers that have another status.
    statuses: list[int] = field(default_factory=list)
    #: So many bytes of the next answer are sent, and then the connection is closed.
    cut: int | None = None
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)


@contextmanager
def listing() -> Iterator[Listing]:
    """A server on a free port of loopback while it runs."""
    state = Listing()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # head and body in one packet: the client acknowledges two only after 40 ms
        wbufsize = -1

        def do_GET(self) -> None:
            asked = {name.lower(): value for name, value in self.headers.items()}
            state.asked.append((self.path, asked))
            page = state.pages.get(self.path)
            headers = state.headers.get(self.path, {})
            data = page if isinstance(page, bytes) else json.dumps(page).encode()
            is_same = "ETag" in headers and asked.get("if-none-match") == headers["ETag"]
            status = state.statuses.pop(0) if state.statuses else 404 if page is None else 304 if is_same else 200
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            data = b"" if status == 304 else data
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            cut, state.cut = state.cut, None
            self.wfile.write(data if cut is None else data[:cut])
            self.wfile.flush()
            self.close_connection = cut is not None

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with http_server(Handler) as state.url:
        yield state
