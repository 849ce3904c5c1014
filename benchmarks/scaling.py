"""Two instances against one on work that keeps a core busy, with the deliveries queued before the clock starts."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import Line
from pypes.testing.node import Node, until

DOCUMENTS = 1500
BUSY = '''
from pypes import Packet, component

@component
def busy(packet: Packet) -> Packet:
    """Keep a core busy for some milliseconds."""
    total = 0
    for n in range(60_000):
        total += n * n % 7
    packet["total"] = total
    return packet
'''


def graph() -> dict[str, Any]:
    nodes = {
        name: {"component": component, "params": {}} for name, component in (("json", "JSON"), ("busy", "busy"), ("end", "Null"))
    }
    return {"pypes": 1, "name": "bench", "nodes": nodes, "wires": [["json.out", "busy.in"], ["busy.out", "end.in"]]}


def _rate(instances: int) -> float:
    """Documents per second while a backlog is worked off, from the first published to the last."""
    with tempfile.TemporaryDirectory() as folder:
        load = Path(folder) / "busy.py"
        load.write_text(BUSY)
        running = Node(Path(folder), graph(), "--load", str(load), workers=1, instances=instances)
        try:
            running.start()
            running.wait_ready()
            body = b"\n".join(json.dumps({"id": n}).encode() for n in range(10))
            start = time.perf_counter()
            receipts = [running.post(body, content_type="application/x-ndjson").json()["receipt"] for _ in range(DOCUMENTS // 10)]
            for receipt in receipts:
                until(lambda r=receipt: running.get(f"/receipts/{r}?wait=10").json()["state"] == "done", 120, "done")
            return DOCUMENTS / (time.perf_counter() - start)
        finally:
            running.close()


def two_instances() -> Line:
    ratios = []
    for _ in range(3):
        one, two = _rate(1), _rate(2)
        ratios.append(two / one)
    claim = "two instances against one, CPU-bound graph, deliveries already queued"
    return Line(claim, f"last round {one:,.0f}/s and {two:,.0f}/s", statistics.median(ratios), 1.8, 1.95, more_is_better=True)
