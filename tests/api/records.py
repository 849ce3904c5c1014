"""What the tests of receipts, dead letters, keys and callbacks share: a component that refuses, a server that is called back."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jsonschema_rs

from pypes.api import receipts
from pypes.testing.node import Node

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
