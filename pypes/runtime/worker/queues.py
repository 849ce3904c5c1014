"""Queues: what waits of each graph on the whole node, and what became of its documents in the last second, as events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pypes.errors import StoreError, Unavailable
from pypes.ingest.accounts import NONE, Counts
from pypes.ingest.contracts.queue import GraphUse
from pypes.observe.events import Event
from pypes.runtime.worker.peers import Peers
from pypes.runtime.worker.snapshot import look


@dataclass(slots=True)
class _Use:
    """One graph in all shards: its documents since these were made, and what is not done."""

    counts: Counts = NONE
    deliveries: int = 0
    documents: int = 0
    bytes: int = 0
    oldest_s: float = 0.0

    def add(self, use: GraphUse) -> None:
        self.counts = self.counts.plus(Counts(use.accepted, use.published, use.dropped, use.failed))
        for lane in use.lanes.values():
            self.deliveries += lane.deliveries
            self.documents += lane.documents
            self.bytes += lane.bytes
            self.oldest_s = max(self.oldest_s, lane.oldest_s)


class Queues:
    """Compares what the shards of a node know with what they knew the last time. ``now()`` gives the time as it is shown.

    ``clock()`` gives seconds that only rise.
    """

    def __init__(self, peers: Peers, now: Callable[[], str], clock: Callable[[], float] = time.monotonic) -> None:
        self._peers = peers
        self._now = now
        self._clock = clock
        self._before: Mapping[str, _Use] | None = None
        self._at_s = 0.0
        #: Graphs of which something was told the last time.
        self._busy: set[str] = set()

    def forget(self) -> None:
        """Nobody looks: begin anew the next time."""
        self._before = None
        self._busy = set()

    async def step(self) -> list[Event]:
        """An event for each graph of which something waits, or whose documents came or went since the last time; none at first.

        One more tells that a graph has come to rest. While a shard cannot be asked, nothing is told: sums would be too small.
        """
        try:
            shards = await asyncio.gather(*(look(self._peers, number) for number in self._peers.numbers()))
        except (Unavailable, StoreError):
            self.forget()
            return []
        uses: dict[str, _Use] = {}
        for _, graphs in shards:
            for graph, part in graphs.items():
                uses.setdefault(graph, _Use()).add(part)
        at_s = self._clock()
        before, seconds = self._before, at_s - self._at_s
        self._before, self._at_s = uses, at_s
        if before is None or seconds <= 0:
            return []
        was_busy, self._busy = self._busy, set()
        events: list[Event] = []
        for graph, use in sorted(uses.items()):
            # a graph that was taken down and came back counts anew
            changes = Counts(*(max(0, new - old) for new, old in zip(use.counts, before.get(graph, _Use()).counts, strict=True)))
            if use.deliveries or any(changes):
                self._busy.add(graph)
            elif graph not in was_busy:
                continue
            events.append(Event(0, "queue", (graph,), self._body(graph, seconds, changes, use)))
        return events

    def _body(self, graph: str, seconds: float, changes: Counts, use: _Use) -> dict[str, Any]:
        rates = {name: round(change / seconds, 3) for name, change in changes._asdict().items()}
        waiting = {
            "deliveries": use.deliveries,
            "documents": use.documents,
            "bytes": use.bytes,
            "oldest_s": round(use.oldest_s, 3),
        }
        head = {"time": self._now(), "graph": graph, "seconds": round(seconds, 3)}
        return {**head, **rates, **waiting, "total": use.counts._asdict()}
