"""Runs one component of which some outputs have no wire, as in a graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pypes import Component, Packet
from pypes.core.limits import Limits
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.runtime.scheduler import Epoch, Failure, Feed, Scheduler
from pypes_basic.null import Null


def run_unwired(
    component: type[Component], packets: list[Packet], *wired: str, **params: Any
) -> tuple[dict[str, int], list[Failure]]:
    """The counts and dead letters of a component whose outputs ``wired`` have a wire, and no other."""
    made = component()
    made.configure(params)
    graph = Graph(
        "g", {name: GraphNode(name, name, {}) for name in ("it", "end")}, tuple(Wire("it", port, "end", "in") for port in wired)
    )
    done: list[Epoch] = []
    scheduler = Scheduler(graph, {"it": made, "end": Null()}, limits=Limits(), on_done=done.append)
    scheduler.setup()
    try:
        batches: Iterable[Any] = [("it", packets, range(len(packets)))]
        scheduler.submit(Feed(iter(batches), len(packets)))
        scheduler.drain()
    finally:
        scheduler.teardown()
    return made._counts.totals, [letter for epoch in done for letter in epoch.dead_letters]
