"""Places for suspects: deliveries that were in hand when an instance died run again, but not on the last instance of a graph.

What ended one instance is likely to end the next. Were that the only one left, all graphs on it would wait until the first is
back. So suspects wait for that, and all of them go to one instance, so that another goes on with the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pypes.ingest.dispatch.link import Link
from pypes.ingest.dispatch.topology import Topology

#: Longest time for which suspects wait for another instance, in seconds.
SPARE_S = 10.0


class Suspects:
    """Chooses the links that may get suspects. ``on_again()``: they have waited long enough; try again."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_again: Callable[[], None]) -> None:
        self._loop = loop
        self._on_again = on_again
        #: The greatest number of instances that ran a graph.
        self._most: dict[str, int] = {}
        #: The time until which suspects of a graph wait.
        self._until: dict[str, float] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    def apply(self, topology: Topology) -> None:
        """Note how many instances run each graph."""
        runs = topology.runs
        everywhere = sum(1 for id in topology.instances if id not in runs)
        for graph in topology.graphs:
            count = everywhere + sum(1 for id in topology.instances if id in runs and graph in runs[id])
            self._most[graph] = max(count, self._most.get(graph, 0))
        for graph in self._most.keys() - topology.graphs.keys():
            del self._most[graph]

    def places(self, graph: str, running: list[Link], candidates: list[Link]) -> list[Link]:
        """Those of ``candidates`` that may get a suspect of a graph; ``running`` are all links whose instances run it."""
        if len(running) >= min(2, self._most.get(graph, 0)):
            self._until.pop(graph, None)
            chosen = [link for link in running if any(sent.is_alone for sent in link.outstanding.values())]
            return [link for link in candidates if link in chosen] if chosen else candidates
        now = self._loop.time()
        until = self._until.get(graph)
        if until is None:
            self._until[graph] = now + SPARE_S
            self._timers = {timer for timer in self._timers if timer.when() > now}
            self._timers.add(self._loop.call_later(SPARE_S, self._on_again))
            return []
        return candidates if now >= until else []

    def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
