"""The time from a 202 until the document is found in the search index, by a client that reads the index itself.

On an idle node, and beside a load of half of what the node takes of single documents with the same graph.
"""

from __future__ import annotations

import http.client
import json
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.documents import document, singles
from benchmarks.load import Load
from benchmarks.measure import JSON, ROUNDS, NodeSide, measured, node
from benchmarks.open_loop import quantile
from benchmarks.paced import paced
from benchmarks.report import Line
from pypes.errors import NotFound
from pypes.testing.node import Node
from pypes_search.query import search

GRAPH = Path(__file__).parent.parent / "graphs" / "search.json"
PROBES = 120
#: Between two documents that are looked for, and between two looks.
PAUSE_S, LOOK_S = 0.02, 0.0005
DEADLINE_S = 30.0


def probes(running: Node, count: int, name: str) -> list[float]:
    """Milliseconds from each 202 until a search finds the word that only this document has."""
    index = running.base / "data" / "search.db"
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    pause = threading.Event().wait
    took = []
    for number in range(count):
        word = f"{name}x{number}"
        body = json.dumps({**json.loads(document(number)), "id": word, "text": f"the one that has {word}"})
        connection.request("POST", "/docs", body=body, headers=JSON)
        answer = connection.getresponse()
        accepted = time.perf_counter()
        text = answer.read()
        if answer.status != 202:
            raise RuntimeError(f"{answer.status}: {text[:300]!r}")
        while not _is_found(index, word):
            if time.perf_counter() - accepted > DEADLINE_S:
                raise RuntimeError(f"{word} is not found after {DEADLINE_S:.0f} s")
            pause(LOOK_S)
        took.append((time.perf_counter() - accepted) * 1000)
        pause(PAUSE_S)
    connection.close()
    return took


def _is_found(index: Path, word: str) -> bool:
    try:
        return bool(search(index, word, 1))
    except NotFound:  # nothing has been published yet
        return False


def lines() -> Iterator[Line]:
    graph = json.loads(GRAPH.read_text())
    bodies = [body.replace(b'"body":', b'"text":', 1).replace(b'"doc-', b'"@doc-', 1) for body in singles(2000)]
    load = Load(bodies, JSON, connections=64, counter="@")
    idle, loaded = [], []
    with node(graph) as running:
        probes(running, 20, "warm")
        most = measured(NodeSide(running), load, 3.0).rate
        for number in range(ROUNDS):
            idle.append(probes(running, PROBES, f"idle{number}"))
            with paced(running.port, most / 2):
                loaded.append(probes(running, PROBES, f"loaded{number}"))
    for when, rounds, must, stretch in (
        ("idle", idle, 20, 5),
        (f"at half of the {most:,.0f} single documents/s that the graph takes", loaded, 100, 30),
    ):
        p50, p99 = (statistics.median(quantile(took, share) for took in rounds) for share in (0.5, 0.99))
        yield Line(
            f"document found in the search index after its 202, {when}: p99",
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms of {PROBES} documents in each of {ROUNDS} rounds",
            p99,
            must=must,
            stretch=stretch,
            unit=" ms",
        )
