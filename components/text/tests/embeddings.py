"""A server of embeddings for tests: it speaks the protocol of OpenAI over HTTP, and fails in the ways that servers do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

#: Says what to answer, given the texts of a request: a status, headers and a body, or ``None`` to answer as ever.
Fault = Callable[[list[str]], tuple[int, dict[str, str], Any] | None]


def vector_of(text: str, dims: int) -> list[float]:
    """The vector of a text: numbers that its hash gives."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return [(digest[n % 32] + 1) / 256 for n in range(dims)]


class Embeddings:
    """``POST /v1/embeddings``. ``calls`` are the texts of each request that was answered with 200, ``asked`` all requests.

    ``parents`` are the values of ``traceparent`` that came with these.
    """

    def __init__(self, dims: int = 8) -> None:
        self.dims = dims
        self.key = ""
        self.calls: list[list[str]] = []
        self.asked: list[dict[str, Any]] = []
        self.parents: list[str | None] = []
        #: Used for one request after the other, as long as there are some.
        self.faults: list[Fault] = []
        #: Used for every request.
        self.rule: Fault | None = None
        #: Changes the items of each answer.
        self.edit: Callable[[list[dict[str, Any]]], list[Any]] = lambda items: items
        self.vector: Callable[[str, int], list[float]] = vector_of
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.parents.append(self.headers.get("traceparent"))
                status, headers, body = server.answer(self.path, self.headers.get("Authorization", ""), request)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True  # connections that clients keep open do not keep the test

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def texts(self) -> list[str]:
        """All texts that vectors were given for."""
        return [text for call in self.calls for text in call]

    def answer(self, path: str, authorization: str, request: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        self.asked.append(request)
        if path != "/v1/embeddings":
            return 404, {}, {"error": {"message": f"no such path {path}"}}
        if self.key and authorization != f"Bearer {self.key}":
            return 401, {}, {"error": {"message": f"Incorrect API key provided: {authorization}"}}
        texts = request["input"]
        fault = self.faults.pop(0) if self.faults else self.rule
        if fault and (answer := fault(texts)):
            return answer
        self.calls.append(texts)
        dims = request.get("dimensions", self.dims)
        items = [{"object": "embedding", "index": n, "embedding": self.vector(text, dims)} for n, text in enumerate(texts)]
        tokens = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return 200, {}, {"object": "list", "data": self.edit(items), "model": request["model"], "usage": usage}

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def status(code: int, message: str = "no", **headers: str) -> Fault:
    """A fault that answers with a status, as an error of OpenAI; names of headers have ``_`` for ``-``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: (code, named, {"error": {"message": message, "type": "test"}})
