"""The cost of forwarding: single documents of a graph with order, posted to the node that owns it and to one that does not.

``python -m benchmarks.forwarding``. Of three nodes behind a balancer, two of three documents are forwarded.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks.endpoint import single_documents
from benchmarks.load import Load
from benchmarks.measure import five_filters, processor_s
from pypes.runtime.fleet.owning import owner
from pypes.testing.node import Node, until
from tests.fleet.nodes import Fleet, fleet

SECONDS = 4.0
ROUNDS = 9
#: The part of the documents that a balancer sends to one of the two of three nodes that do not own them.
FORWARDED = 2 / 3


def load() -> Load:
    """The usual single document, with another id each time."""
    usual = single_documents()
    body = json.dumps({**json.loads(usual.bodies[0]), "id": "@"}).encode()
    return replace(usual, bodies=[body.replace(b'"@"', b'"~"')], counter="~")


def measured(found: Fleet, node: Node, posts: Load) -> float:
    """Processor time of all nodes for each document that is posted to one of them, in microseconds."""
    tops = [psutil.Process(each.process.pid) for each in found.nodes if each.process is not None]
    before = sum(map(processor_s, tops))
    answered = posts.run(f"{node.url}/docs", SECONDS)
    until(lambda: all(_is_idle(each) for each in found.nodes), 60.0, "idle")
    return (sum(map(processor_s, tops)) - before) / answered.requests * 1e6


def _is_idle(node: Node) -> bool:
    status = json.loads(node.get("/status").data)
    return all(shard["queue"]["deliveries"] == 0 for shard in status["shards"])


def main() -> None:
    graph = {**five_filters(), "order_by": "id"}
    with tempfile.TemporaryDirectory() as folder, fleet(Path(folder), 2, graph) as found:
        own = owner(graph["name"], [urlsplit(node.url).netloc for node in found.nodes])
        sides = sorted(found.nodes, key=lambda node: urlsplit(node.url).netloc != own)
        posts = load()
        for node in sides:
            measured(found, node, posts)
        rounds = []
        for number in range(ROUNDS):
            order = sides if number % 2 else sides[::-1]
            costs = {node.port: measured(found, node, posts) for node in order}
            rounds.append((costs[sides[0].port], costs[sides[1].port]))
            time.sleep(0.5)
        direct, forwarded = (statistics.median(each) for each in zip(*rounds, strict=True))
        ratio = statistics.median(other / mine for mine, other in rounds)
        sys.stdout.write(
            f"owner {direct:.0f} µs, forwarded {forwarded:.0f} µs: {ratio:.2f};"
            f" two of three forwarded: {1 + (ratio - 1) * FORWARDED:.2f} (must 1.25)\n"
        )


if __name__ == "__main__":
    main()
