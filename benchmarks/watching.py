"""Ten people who watch a graph in the editor: the processor time that they cost the node, as a share of one core.

``python -m benchmarks.watching`` asks for what ten pages of *Watch* ask for, and prints a table. Browsers are left out: they
would share the cores with the node.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path

import psutil
import urllib3

from benchmarks.editor import CHAINS, EVERY_S, LENGTH, TAPPED, graph, traffic
from benchmarks.looking import looking
from benchmarks.measure import processor_s
from pypes.testing.node import Node, running

VIEWERS = 10
#: What a page hears of, and what it asks for again, each after so many seconds (``ui/src/pages/graph``).
KINDS = "breaker,counters,deployment,instance,queue"
GRAPH_S, STATUS_S = 20.0, 60.0
SECONDS = 60.0
ROUNDS = 3


@contextmanager
def watching(node: Node, name: str, viewers: int) -> Iterator[None]:
    """So many pages that show a graph at work."""
    over = threading.Event()

    def ask(path: str, every_s: float, number: int) -> None:
        http = urllib3.PoolManager(maxsize=1)
        over.wait(every_s * number / viewers)
        while not over.is_set():
            answer = http.request("GET", node.url + path, headers={"Pypes-Again": "1", "Accept-Encoding": "gzip"})
            assert answer.status == 200
            over.wait(every_s)

    with ExitStack() as stack:
        stack.enter_context(looking(node, f"/events?kind={KINDS}&graph={name}", viewers))
        for number, (path, every_s) in product(range(viewers), ((f"/graphs/{name}", GRAPH_S), ("/status", STATUS_S))):
            thread = threading.Thread(target=ask, args=(path, every_s, number))
            thread.start()
            stack.callback(thread.join)
        stack.callback(over.set)
        yield


def cost_s(node: Node, name: str, viewers: int) -> float:
    """Seconds of processor time of the node in a second, while so many watch."""
    assert node.process is not None
    top = psutil.Process(node.process.pid)
    with watching(node, name, viewers):
        before, began = processor_s(top), time.monotonic()
        time.sleep(SECONDS)
        return (processor_s(top) - before) / (time.monotonic() - began)


def main() -> None:
    shown = [graph(1, 1, 1), graph(CHAINS, LENGTH, TAPPED)]
    lines = []
    for made in shown:
        with (
            tempfile.TemporaryDirectory(prefix="pypes-watching-") as base,
            running(Path(base), made, workers=1, instances=1) as node,
            traffic(node, made["name"]),
        ):
            found = [[100 * cost_s(node, made["name"], viewers) for viewers in (0, VIEWERS)] for _ in range(ROUNDS)]
        more = [watched - alone for alone, watched in found]
        size = f"{len(made['nodes'])} filters, {len(made['wires'])} wires"
        for title, values in (("alone", [each[0] for each in found]), (f"{VIEWERS} viewers besides", more)):
            lines.append(f"| {size}: {title} | {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f}) |")
    head = f"| processor time of the node in % of a core, {1 / EVERY_S:.0f} documents a second | |"
    sys.stdout.write("\n".join([head, "|---|---|", *lines, ""]))


if __name__ == "__main__":
    main()
