"""Cost of a backup: how long it takes, and how long POSTs take meanwhile.

``python -m benchmarks.backup [MEGABYTES]`` starts a node with so many of waiting bodies and as many in a publisher's file, and
makes backups while one client posts. Prints the page.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

from pypes.testing.node import Node, running, until

ROUNDS: Final = 5
_MB: Final = 1_000_000
_LINES: Final = {"component": "JSONLines", "params": {"path": "lines.jsonl"}}


def graph(name: str, **more: Any) -> dict[str, Any]:
    nodes = {"json": {"component": "JSON"}, "lines": _LINES}
    return {"pypes": 1, "name": name, "nodes": nodes, "wires": [["json.out", "lines.in"]], **more}


class Client(threading.Thread):
    """Posts one document after the other, and takes the seconds of each."""

    def __init__(self, node: Node) -> None:
        super().__init__(daemon=True)
        self.node = node
        self.seconds: list[float] = []
        self.is_over = threading.Event()

    def run(self) -> None:
        body = b'{"id": "x", "text": "%s"}' % (b"x" * 1000)
        while not self.is_over.is_set():
            began = time.perf_counter()
            if self.node.post(body).status != 202:
                raise SystemExit("a document was refused")
            self.seconds.append(time.perf_counter() - began)

    def take(self) -> list[float]:
        taken, self.seconds = self.seconds, []
        return sorted(taken)


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """p50 and p99, in milliseconds."""
    return statistics.median(seconds) * 1e3, seconds[int(len(seconds) * 0.99)] * 1e3


def main(megabytes: int) -> None:
    took, quiet, meanwhile = [], [], []
    with tempfile.TemporaryDirectory() as name, running(folder := Path(name), graph("g"), workers=1, instances=1) as node:
        node.http.request("PUT", f"{node.url}/graphs/held", json=graph("held", routes=["held"]))
        node.http.request("POST", f"{node.url}/graphs/held/pause")
        for _ in range(megabytes * 5):
            node.post(b'{"text": "%s"}' % (b"x" * 200_000), "/docs/held")
        (folder / "data" / "kept.bin").write_bytes(os.urandom(_MB) * megabytes)
        client = Client(node)
        client.start()
        until(lambda: len(client.seconds) > 100, 60, "posts")
        for n in range(ROUNDS):
            client.take()
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "pypes", "backup", folder / "data", folder / f"b{n}"],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            took.append(time.perf_counter() - began)
            meanwhile.append(percentiles(client.take()))
            time.sleep(took[-1])
            quiet.append(percentiles(client.take()))
        client.is_over.set()
        client.join()
    seconds = statistics.median(took)
    sys.stdout.write(
        f"| {2 * megabytes} MB, half of them waiting bodies | {seconds:.1f} s | {2 * megabytes / seconds:.0f} MB/s |\n"
    )
    for name, found in (("without a backup", quiet), ("while it is made", meanwhile)):
        p50, p99 = (statistics.median(column) for column in zip(*found, strict=True))
        sys.stdout.write(f"| POST of 1 KB, one client, {name} | p50 {p50:.1f} ms | p99 {p99:.1f} ms |\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
