"""What is wanted of the sources of a graph: kept in the shard that owns it, so that it outlives whoever was told."""

from __future__ import annotations

import msgspec

from pypes.ingest.queues.embedded import EmbeddedQueue

#: Under which name it stands among the cursors of a graph: no filter has it.
_NAME = ""


class Wanted(msgspec.Struct):
    """What is stored of a graph's runs: the scheduled time of the last one (0: none yet), and whether one is due or under way.

    ``is_manual``: somebody has asked for it, so it is due whatever the time is. ``has_met``: the graph's file of the fleet was
    there once, so it must not be missing.
    """

    at: float = 0.0
    is_due: bool = False
    is_manual: bool = False
    has_met: bool = False

    @classmethod
    async def read(cls, queue: EmbeddedQueue, graph: str) -> Wanted:
        """What is wanted of one graph."""
        text = (await queue.cursors(_NAME, graph)).get(graph)
        return cls() if text is None else msgspec.json.decode(text, type=cls)

    @classmethod
    async def due(cls, queue: EmbeddedQueue) -> list[str]:
        """Graphs of which a run is due, or was under way."""
        return [graph for graph, text in (await queue.cursors(_NAME)).items() if msgspec.json.decode(text, type=cls).is_due]

    async def store(self, queue: EmbeddedQueue, graph: str) -> None:
        """Returns when it is durable; raises :class:`StoreError`."""
        await queue.move((graph, _NAME, msgspec.json.encode(self).decode()))
