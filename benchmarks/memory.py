"""A large CSV through a node with one instance: resident memory of every process while it runs."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from typing import Any

import psutil

from benchmarks.measure import node
from benchmarks.report import Line
from pypes.testing.node import Node, until

ROW = b"%08d,some title of a row,more words in a column that is a little longer,42.5,2026-01-01,a,b,c,d,e\n"


def graph() -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": "bench",
        "nodes": {"csv": {"component": "CSV", "params": {}}, "end": {"component": "Null", "params": {}}},
        "wires": [["csv.out", "end.in"]],
    }


def rows(size_bytes: int) -> Iterator[bytes]:
    yield b"id,title,text,price,date,a,b,c,d,e\n"
    block = b"".join(ROW % n for n in range(10_000))
    for _ in range(size_bytes // len(block)):
        yield block


def csv(size_bytes: int = 1_000_000_000) -> Line:
    peaks: dict[str, float] = {}
    stop = threading.Event()
    with node(graph()) as running:
        watcher = threading.Thread(target=_watch, args=(running, peaks, stop))
        watcher.start()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=600)
            connection.request("POST", "/docs", body=rows(size_bytes), headers={"Content-Type": "text/csv"}, encode_chunked=True)
            receipt = __import__("json").loads(connection.getresponse().read())["receipt"]
            until(lambda: running.get(f"/receipts/{receipt}?wait=10").json()["state"] == "done", 900, "the CSV is published")
        finally:
            stop.set()
            watcher.join()
    peak = max(peaks.values())
    each = ", ".join(f"{role} {mb:.0f}" for role, mb in sorted(peaks.items()))
    claim = f"{size_bytes / 1e9:.0f} GB CSV posted to a node with one instance: resident memory of every process"
    return Line(claim, f"peaks in MB: {each}", peak, must=200, stretch=120, unit=" MB")


def _watch(running: Node, peaks: dict[str, float], stop: threading.Event) -> None:
    while not stop.wait(0.2):
        for role, processes in running.roles().items():
            for process in processes:
                try:
                    peaks[role] = max(peaks.get(role, 0.0), process.memory_info().rss / 1e6)
                except psutil.NoSuchProcess:
                    continue
