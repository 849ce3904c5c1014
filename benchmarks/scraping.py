"""The cost of scrapes where there is much to show: fifty graphs of twenty filters each.

``python -m benchmarks.scraping PORT`` is the one who scrapes, once a second, in a process of its own.
"""

from __future__ import annotations

import asyncio
import http.client
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import psutil

from benchmarks.documents import SINGLE
from benchmarks.load import beside
from benchmarks.measure import JSON, processor_s
from benchmarks.open_loop import Answers, Client, quantile, steady
from benchmarks.report import Line
from pypes.core.machine import cores
from pypes.testing.node import Node, until

GRAPHS, FILTERS = 50, 20
SCRAPES = 30
#: Documents a second, seconds of a round, and rounds with and without scrapes.
RATE = 200
SECONDS = 6.0
ROUNDS = 9
EVERY_S = 1.0
#: So many components are set up.
READY_S = 180.0
_READY = b"scraping\n"


def graph(number: int) -> dict[str, Any]:
    """A chain of filters that set a field, between an adapter and a publisher."""
    names = [f"set{n:02}" for n in range(FILTERS - 2)]
    nodes: dict[str, Any] = {"json": {"component": "JSON", "params": {}}}
    nodes |= {name: {"component": "SetField", "params": {"field": name, "value": "x"}} for name in names}
    nodes["end"] = {"component": "Null", "params": {}}
    name = f"graph{number:02}"
    wires = [[f"{a}.out", f"{b}.in"] for a, b in pairwise(nodes)]
    return {"pypes": 1, "name": name, "routes": [name], "nodes": nodes, "wires": wires}


def scrape(connection: http.client.HTTPConnection) -> bytes:
    """The metrics of a node, as Prometheus asks for them."""
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"/metrics: {answer.status}")
    return text


def scraper(port: int) -> AbstractContextManager[tuple[IO[bytes], IO[bytes]]]:
    """Somebody who scrapes once a second."""
    return beside("benchmarks.scraping", str(port), ready=_READY)


def _timed(running: Node) -> Line:
    """One scrape after the other. The first is left out: names are made for it."""
    assert running.process is not None
    process = psutil.Process(running.process.pid)
    connection = http.client.HTTPConnection("127.0.0.1", running.port)
    series = sum(not line.startswith(b"#") for line in scrape(connection).splitlines())
    took = []
    used_s = processor_s(process)
    for _ in range(SCRAPES):
        began_s = time.perf_counter()
        scrape(connection)
        took.append((time.perf_counter() - began_s) * 1000)
    used_ms = (processor_s(process) - used_s) / SCRAPES * 1000
    connection.close()
    median = statistics.median(took)
    return Line(
        f"a scrape of {GRAPHS} graphs of {FILTERS} filters, median of {SCRAPES} one after the other",
        f"{series:,} series, {median:.1f} ms; the longest {max(took):.1f} ms; {used_ms:.1f} ms of processor time",
        median,
        must=50,
        stretch=25,
        unit=" ms",
    )


async def _round(port: int) -> Answers:
    def make(number: int) -> tuple[bytes, Mapping[str, str]]:
        return SINGLE, JSON

    client = Client(port)
    try:
        return await steady(client, "/docs/graph00", make, rate=RATE, seconds=SECONDS, follows=False)
    finally:
        client.close()


def _p99s(port: int) -> tuple[float, float]:
    """Milliseconds until the 202, p99 of all rounds with scrapes, and of those without."""
    took: dict[bool, list[float]] = {False: [], True: []}
    asyncio.run(_round(port))  # warms up
    for number in range(ROUNDS):
        for is_scraped in (False, True)[:: -1 if number % 2 else 1]:
            if is_scraped:
                with scraper(port):
                    answers = asyncio.run(_round(port))
            else:
                answers = asyncio.run(_round(port))
            took[is_scraped] += answers.accepted
    return quantile(took[True], 0.99), quantile(took[False], 0.99)


def lines() -> Iterator[Line]:
    """Time of a scrape, and of POSTs meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        running = Node(Path(folder), graph(0), workers=1, instances=cores())
        for number in range(1, GRAPHS):
            running.add(graph(number))
        try:
            running.start()
            until(running.is_ready, READY_S, "all graphs are set up")
            for number in range(GRAPHS):
                running.post(SINGLE, f"/docs/graph{number:02}")
            yield _timed(running)
            with_it, without = _p99s(running.port)
            yield Line(
                f"same node, {RATE} POSTs a second: p99 until the 202 with a scrape a second, against none",
                f"{with_it:.2f} ms of {without:.2f} ms",
                with_it / without,
                must=1.1,
                stretch=1.05,
            )
        finally:
            running.close()


def main(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    over = threading.Event()

    def wait() -> None:
        sys.stdin.buffer.read()
        over.set()

    threading.Thread(target=wait).start()
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    while not over.wait(EVERY_S):
        scrape(connection)


if __name__ == "__main__":
    main(int(sys.argv[1]))
