"""Qdrant's REST interface over its client's own local mode: ``python -m tests.servers.qdrant PORT``.

The server itself cannot be had as a package. Requests are those that the client makes, and what they do is done by the local
mode that its makers ship for tests; a request that no test makes is answered 501.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pypes.testing.node import free_port
from tests.servers.process import home_of, running


@contextmanager
def qdrant(folder: Path) -> Iterator[str]:
    """The address of such a server while it runs."""
    home_of("qdrant_client")
    port = free_port()
    root = Path(__file__).parent.parent.parent
    with running([sys.executable, "-m", "tests.servers.qdrant", str(port)], port, folder / "log", cwd=root):
        yield f"http://127.0.0.1:{port}"


class Service:
    """What requests do; one at a time."""

    def __init__(self) -> None:
        from qdrant_client import QdrantClient, models

        self._client = QdrantClient(":memory:", force_disable_check_same_thread=True)
        self._models = models
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Status and result of a request."""
        with self._lock:
            try:
                return self._answer(method, [part for part in path.split("?")[0].split("/") if part], body)
            except ValueError as error:
                return (404 if "not found" in str(error) else 400), {"error": str(error)}

    def _answer(self, method: str, path: list[str], body: Any) -> tuple[int, Any]:
        client, models = self._client, self._models
        match method, path:
            case "GET", ["collections"]:
                return 200, client.get_collections()
            case "GET", ["collections", name, "exists"]:
                return 200, {"exists": client.collection_exists(name)}
            case "GET", ["collections", name]:
                return 200, client.get_collection(name)
            case "PUT", ["collections", name]:
                made = models.CreateCollection(**body)
                return 200, client.create_collection(name, vectors_config=made.vectors or {})
            case "DELETE", ["collections", name]:
                return 200, client.delete_collection(name)
            case "PUT", ["collections", name, "index"]:
                return 200, client.create_payload_index(name, body["field_name"], body["field_schema"])
            case "PUT", ["collections", name, "points"]:
                asked = models.PointsList(**body)
                return 200, client.upsert(name, asked.points, update_filter=asked.update_filter)
            case "POST", ["collections", name, "points"]:
                ids = models.PointRequest(**body)
                return 200, client.retrieve(name, ids.ids, with_payload=ids.with_payload, with_vectors=ids.with_vector or False)
            case "POST", ["collections", name, "points", "scroll"]:
                page = models.ScrollRequest(**body)
                found, following = client.scroll(
                    name,
                    scroll_filter=page.filter,
                    limit=page.limit or 10,
                    offset=page.offset,
                    with_payload=True if page.with_payload is None else page.with_payload,
                    with_vectors=page.with_vector or False,
                )
                return 200, {"points": [point.model_dump(mode="json") for point in found], "next_page_offset": following}
            case "POST", ["collections", name, "points", "delete"]:
                return 200, client.delete(name, models.PointIdsList(**body))
            case "POST", ["collections", name, "points", "count"]:
                return 200, client.count(name, count_filter=models.CountRequest(**body).filter)
        return 501, {"error": f"{method} /{'/'.join(path)} is not part of this"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # head and body in one packet: the client acknowledges two only after 40 ms
    wbufsize = -1
    service: Service

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        status, result = self.service.answer(self.command, self.path, json.loads(body) if body else None)
        data = json.dumps({"result": result, "status": "ok", "time": 0.0}, default=_plain).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_PUT = do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json")


def main() -> None:
    """Serve until standard input ends."""
    _Handler.service = Service()
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
