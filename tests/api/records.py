"""What the tests of receipts, dead letters, keys and callbacks share: a component that refuses, a server that is called back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema_rs

from pypes.api import receipts
from pypes.testing.node import Node, running

COMPONENTS = '''
from pathlib import Path

import pypes


@pypes.component(name="Refuse")
def refuse(packet):
    """Refuse what says so, drop what says so."""
    if packet.get("refuse") and not Path("mended").exists():
        raise pypes.Reject("as it says", code=packet.get("code", "test.refused"))
    return None if packet.get("drop") else packet
'''


class Hook(ThreadingHTTPServer):
    """A server that takes callbacks; the first answer to each path that ends in ``-later`` is 503."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken: dict[str, list[tuple[str, bytes]]] = {}

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        taken = self.server.taken.setdefault(self.path, [])
        taken.append((self.headers["Pypes-Signature"], self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(503 if self.path.endswith("-later") and len(taken) == 1 else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def recording(base: Path, hook: Hook) -> Iterator[Node]:
    """A node with two workers, and a graph that refuses and drops; ``o`` is the same in order."""
    (base / "refuse.py").write_text(COMPONENTS)
    (base / "secret").write_text("s3cret")
    (base / "pypes.ini").write_text(f"[callbacks]\nhosts = {hook.host}\nsecret_file = secret\n")
    nodes: dict[str, Any] = {
        "json": {"component": "JSON"},
        "text": {"component": "Text"},
        "refuse": {"component": "Refuse"},
        "out": {"component": "JSONLines", "params": {"path": str(base / "out.jsonl")}},
    }
    wires = [["json.out", "refuse.in"], ["text.out", "refuse.in"], ["refuse.out", "out.in"]]
    graph = {"pypes": 1, "name": "g", "nodes": nodes, "wires": wires}
    ordered = {**graph, "name": "o", "routes": ["o"], "order_by": "id"}
    (base / "graphs").mkdir()
    (base / "graphs" / "o.json").write_text(json.dumps(ordered))
    with running(base, graph, "--load", str(base / "refuse.py"), workers=2, instances=2) as node:
        yield node
        assert "Traceback" not in node.log()


def post(node: Node, body: bytes, path: str = "/docs", content_type: str = "application/json", **headers: str) -> Any:
    """Post over a connection of its own, so that any worker may get it."""
    headers = {"Content-Type": content_type, "Connection": "close"} | {n.replace("_", "-"): v for n, v in headers.items()}
    return node.http.request("POST", node.url + path, body=body, headers=headers)


def get(node: Node, path: str, status: int = 200) -> Any:
    answer = node.http.request("GET", node.url + path, headers={"Connection": "close"})
    assert answer.status == status, answer.data
    return answer.json()


def finished(node: Node, receipt: str) -> Any:
    found = get(node, f"/receipts/{receipt}?wait=20")
    assert found["pending"] == 0, found
    jsonschema_rs.validator_for(dict(receipts.RECEIPT)).validate(found)
    return found
