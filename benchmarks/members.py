"""The cost of many members: greetings of a node among fifty, and lists gathered from all of them.

``python -m benchmarks.members`` starts one real node, and 49 members that one process plays: they prove the secret, answer
greetings, and have a hundred receipts each.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measure import processor_s
from pypes import __version__
from pypes.api.links import Link, Links
from pypes.ingest.receipt import ReceiptIds, commit_key
from pypes.runtime.fleet.secret import FleetAccess
from pypes.runtime.rpc import Peer, RpcServer
from pypes.testing.node import Node, free_port, serving, until
from tests.fleet.nodes import GRAPH, Fleet, listing

MEMBERS = 50
SECONDS = 60.0
LISTS = 20


class Player(asyncio.Protocol):
    """A connection to a member that is played."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._head = b""
        self._link: Link | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._link is not None:
            self._link.feed(data)
            return
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if end:
            lines = (line.partition(b": ") for line in head.split(b"\r\n")[1:])
            self._link = self._links.open([(name.lower(), value) for name, _, value in lines], self._transport)
            if self._link is not None and rest:
                self._link.feed(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._link is not None:
            self._link.end()


def answering(number: int) -> Any:
    """Answers of one member."""
    ids = ReceiptIds(number, 0, commit_key(time.time(), 0), 1).first(100)
    counts = {"accepted": 1, "published": 1, "dropped": 0, "failed": 0, "pending": 0}
    times = {"received": "2026-01-01T00:00:00Z", "started": None, "finished": None}
    receipts = [{"receipt": id, "graph": "copy", "version": 1, "state": "done", **times, **counts} for id in reversed(ids)]

    async def handle(peer: Peer, method: str, params: dict[str, Any]) -> Any:
        if method == "greet":
            return {"node": number, "boot": str(number), "version": __version__, "state": "ready"}
        return receipts

    return handle


@contextmanager
def played(ports: list[int], secret: str) -> Iterator[None]:
    """Members at these ports."""
    loop = asyncio.new_event_loop()

    async def start() -> None:
        for number, port in enumerate(ports, 1):
            links = Links(FleetAccess((secret,)), RpcServer(answering(number)))
            await loop.create_server(lambda links=links: Player(links), "127.0.0.1", port)  # type: ignore[misc]

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        listed, environ = listing(base, 1.0)
        node = Node(base / "node", GRAPH, workers=1, instances=1, environ=environ)
        ports = [free_port() for _ in range(MEMBERS - 1)]
        listed.write_text("\n".join([node.url, *(f"http://127.0.0.1:{port}" for port in ports)]))
        with played(ports, (base / "secret").read_text()), serving(node):
            fleet = Fleet(base, [node])
            until(lambda: sum(member["state"] == "ready" for member in fleet.members(node)) == MEMBERS, 60.0, "all known")
            assert node.process is not None
            top = psutil.Process(node.process.pid)
            time.sleep(5.0)
            used = processor_s(top)
            time.sleep(SECONDS)
            used = processor_s(top) - used
            listed.write_text(node.url)
            until(lambda: len(fleet.members(node)) == 1, 30.0, "alone")
            time.sleep(5.0)
            alone = processor_s(top)
            time.sleep(SECONDS)
            alone = processor_s(top) - alone
            listed.write_text("\n".join([node.url, *(f"http://127.0.0.1:{port}" for port in ports)]))
            until(lambda: sum(member["state"] == "ready" for member in fleet.members(node)) == MEMBERS, 60.0, "all known")
            times = []
            for _ in range(LISTS):
                begin = time.perf_counter()
                answer = node.get("/receipts?limit=100")
                times.append(time.perf_counter() - begin)
                assert answer.status == 200, answer.data
            sys.stdout.write(
                f"greetings of {MEMBERS} members: {(used - alone) / SECONDS:.2%} of a core"
                f" ({used / SECONDS:.2%} with them, {alone / SECONDS:.2%} alone)\n"
                f"a list of 100 receipts of {MEMBERS} members: median {statistics.median(times) * 1000:.0f} ms,"
                f" longest {max(times) * 1000:.0f} ms\n"
            )


if __name__ == "__main__":
    main()
