"""A web server for tests of what fetches from one."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Origin:
    """A server whose answers the test sets; ``asked`` are the headers of the requests."""

    def __init__(self) -> None:
        self.status = 200
        #: The next answers that have another one.
        self.statuses: list[int] = []
        self.body = b"hello"
        self.headers: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []
        #: Paths and bodies of what was posted; posted to ``/length``, it answers with the length of the member ``text``, and to
        #: ``/docs/…`` as a node does.
        self.posted: list[tuple[str, bytes]] = []
        origin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = {name.lower(): value for name, value in self.headers.items()}
                origin.asked.append(asked)
                tags = (("if-none-match", "ETag"), ("if-modified-since", "Last-Modified"))
                is_same = any(asked.get(wanted, "") == origin.headers.get(tag) for wanted, tag in tags)
                status = origin.statuses.pop(0) if origin.statuses else 304 if is_same else origin.status
                self.send_response(status)
                for name, value in origin.headers.items():
                    self.send_header(name, value)
                if status != 304:
                    self.send_header("Content-Length", str(len(origin.body)))
                self.end_headers()
                if status != 304:
                    self.wfile.write(origin.body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                origin.posted.append((self.path, body))
                if self.path == "/length":
                    origin.body = json.dumps({"length": len(json.loads(body)["text"])}).encode()
                elif self.path.startswith("/docs/"):
                    origin.body = b'{"receipt": "r", "accepted": 1}'
                self.do_GET()

            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
