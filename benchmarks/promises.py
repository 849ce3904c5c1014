"""What promises cost: the throughput of single documents with each, against the same without."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measure import SINGLE, Skipped, five_filters, node, settle, wrk
from benchmarks.report import Line
from pypes.testing.node import Node

SECONDS = 4.0
ROUNDS = 5
CONNECTIONS = 64
JSON = {"Content-Type": "application/json"}

#: Where a checkout of an earlier release lies, to compare with.
BASE_VARIABLE = "PYPES_BENCH_BASE"


def _rate(running: Node) -> float:
    """Documents per second until all are published; no two have the same id."""
    start = time.perf_counter()
    body = SINGLE.replace(b'"doc-0"', b'"doc-@"')
    rate = wrk(running.url + "/docs", body, JSON, connections=CONNECTIONS, seconds=SECONDS, counter="@")
    loaded = time.perf_counter() - start
    settle(running)
    return rate * loaded / (time.perf_counter() - start)


def _compared(one: Node, other: Node) -> tuple[float, float]:
    """Medians of interleaved rounds, the first of which is for warming up."""
    rates = [(_rate(one), _rate(other)) for _ in range(ROUNDS + 1)][1:]
    return statistics.median(a for a, _ in rates), statistics.median(b for _, b in rates)


def ordering() -> Line:
    """All ids differ, so nothing has to wait: what is left is the cost of keeping order."""
    ordered: dict[str, Any] = {**five_filters(), "order_by": "id"}
    with node(ordered) as one, node(five_filters()) as other:
        kept, free = _compared(one, other)
    claim = "single 1 KB documents through an ordered graph, against the same without order"
    return Line(claim, f"{kept:,.0f}/s of {free:,.0f}/s", kept / free, must=0.8, stretch=0.95, more_is_better=True)


@contextmanager
def _earlier(tree: Path) -> Iterator[Node]:
    """A node of the release in ``tree``."""
    with tempfile.TemporaryDirectory() as folder:
        running = Node(Path(folder), five_filters(), workers=1, instances=1, environ={"PYTHONPATH": str(tree)})
        try:
            running.start()
            running.wait_ready()
            yield running
        finally:
            running.close()


def receipts() -> Line:
    """Receipts cannot be switched off: the comparison is with a release that did not follow documents."""
    tree = Path(os.environ.get(BASE_VARIABLE, ""))
    if not (tree / "pypes").is_dir() or tree == Path():
        raise Skipped(f"{BASE_VARIABLE} does not name a checkout of the release before receipts followed every document")
    with node(five_filters()) as now, _earlier(tree.absolute()) as before:
        followed, bare = _compared(now, before)
    claim = "single 1 KB documents with receipts that follow each, against the release before"
    return Line(claim, f"{followed:,.0f}/s of {bare:,.0f}/s", followed / bare, must=0.95, stretch=1.0, more_is_better=True)
