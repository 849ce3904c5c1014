"""The node: its graphs, what they publish to, and a steady load of documents of many shapes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import urllib3

from pypes.testing.node import Node, free_port, serving, until
from tests.planted.faults import Fault

HERE = Path(__file__).parent
#: Documents per second, by route.
LOAD = {"orders": 10.0, "letters": 30.0, "invoices": 10.0, "tickets": 10.0, "scans": 2.0}
#: Which of the invoices are poison while they are planted: every so many-th.
NESTED, EMPTY = 60, 25


def graph(name: str, publisher: dict[str, Any], **filters: dict[str, Any]) -> dict[str, Any]:
    """Filters one after the other."""
    nodes = {"json": {"component": "JSON"}, **filters, **publisher}
    names = [*nodes]
    wires = [[f"{one}.out", f"{other}.in"] for one, other in pairwise(names)]
    return {"pypes": 1, "name": name, "routes": [name], "nodes": nodes, "wires": wires}


def graphs(warehouse: str) -> list[dict[str, Any]]:
    """The graphs of the node."""
    archive = {"archive": {"component": "JSONLines", "params": {"path": "letters.jsonl"}}}
    index = {"index": {"component": "Null"}}
    embed = {"component": "TextVector", "pool": "models"}
    return [
        graph(
            "orders", {"warehouse": {"component": "Webhook", "params": {"url": warehouse}}}, prices={"component": "OrderPrices"}
        ),
        graph("letters", archive, language={"component": "LetterLanguage"}, threads={"component": "LetterThreads"}),
        graph("invoices", index, parse={"component": "InvoiceParser"}),
        graph("tickets", index, embed=embed),
        graph("scans", index, embed=embed),
    ]


class Warehouse:
    """A process that takes orders over HTTP, until it is closed for good."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}/orders"
        self._process = subprocess.Popen([sys.executable, str(HERE / "warehouse.py"), str(self._port)])
        self._kept = socket.socket()
        until(lambda: reaches(self._port), 20, "the warehouse is open")

    def close(self) -> None:
        """Answer nobody any more. The port is kept: somebody else's server there would take the orders."""
        self._process.kill()
        self._process.wait()
        if self._kept.fileno() >= 0 and self._kept.getsockname()[1] == 0:
            self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._kept.bind(("127.0.0.1", self._port))

    def end(self) -> None:
        """Leave nothing behind."""
        self.close()
        self._kept.close()


def reaches(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


class Shown(Node):
    """The node, under load from :meth:`feed` on."""

    def __init__(self, base: Path, fault: Fault, warehouse: Warehouse, port: int = 0) -> None:
        self._warehouse = warehouse
        self._ends = threading.Event()
        #: Names the fault that is planted.
        self.planted = base / "planted"
        (base / "pypes.ini").write_text("[pool:models]\nprocesses = 1\n")
        first, *others = graphs(warehouse.url)
        environ = {"PYPES_PLANTED": str(self.planted), **dict(fault.settings)}
        super().__init__(base, first, "--load", str(HERE / "parts.py"), workers=1, instances=2, environ=environ)
        for other in others:
            self.add(other)
        if port:
            self.command = [f"127.0.0.1:{port}" if part == f"127.0.0.1:{self.port}" else part for part in self.command]
            self.port, self.url = port, f"http://127.0.0.1:{port}"

    def close_warehouse(self) -> None:
        self._warehouse.close()

    @contextmanager
    def fed(self) -> Iterator[None]:
        """Post documents to all graphs, one after the other, until the block ends."""
        threads = [threading.Thread(target=self._feed, args=(route, rate)) for route, rate in LOAD.items()]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ends.set()
            for thread in threads:
                thread.join()

    def _feed(self, route: str, per_s: float) -> None:
        number = 0
        while not self._ends.wait(1 / per_s):
            number += 1
            # refused or not answered: whoever posts goes on
            with suppress(urllib3.exceptions.HTTPError):
                self.post(json.dumps(self._document(route, number)).encode(), f"/docs/{route}")

    def _document(self, route: str, number: int) -> dict[str, Any]:
        document: dict[str, Any] = {"id": f"{route}-{number}", "text": f"number {number} of {route} " * 20}
        if route == "orders":
            document["prices"] = [number, 2 * number]
        elif route == "scans":
            document["pages"] = 30
        elif route == "invoices" and self.planted.exists() and self.planted.read_text() == "poison":
            document["layout"] = "nested" if number % NESTED == 0 else "empty" if number % EMPTY == 0 else "plain"
        return document


@contextmanager
def working(base: Path, fault: Fault, port: int = 0) -> Iterator[Shown]:
    """A node that works well under load, in which the fault can be planted."""
    with ExitStack() as stack:
        stack.enter_context(fault.disk(base / "data"))
        warehouse = Warehouse()
        stack.callback(warehouse.end)
        node = Shown(base, fault, warehouse, port)
        stack.enter_context(serving(node))
        stack.enter_context(node.fed())
        yield node
