"""A queue in memory behind the contracts, as far away as one over a network: it yields to the loop between any two steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.ingest.accounts import NONE, Counts, count
from pypes.ingest.contracts.queue import GraphUse, QueueStats
from pypes.ingest.queues.prefetched import Prefetched
from pypes.ingest.queues.statistics import stats_of
from pypes.ingest.store.spool import SpoolDir
from tests.ingest.memory.audited import MemoryAudit
from tests.ingest.memory.cursors import MemoryCursors
from tests.ingest.memory.intake import MemoryIntake
from tests.ingest.memory.leasing import YieldingLeasing
from tests.ingest.memory.letters import MemoryLetters
from tests.ingest.memory.receipts import MemoryReceipts
from tests.ingest.memory.shelf import Shelf
from tests.ingest.memory.step import step


class MemoryQueue:
    """A queue of all contracts; make it inside a running event loop. Nothing in it outlives the process."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        node: int = 0,
        shard: int = 0,
        clock: Clock | None = None,
        folder: Path | None = None,
        ahead: int = 0,
    ) -> None:
        shelf = self._shelf = Shelf(limits or Limits(), node, shard, clock or Clock())
        self._folder = folder
        self.intake = MemoryIntake(shelf)
        self.remote = YieldingLeasing(shelf)
        self.failures: list[str] = []
        self.leasing = Prefetched(self.remote, self.failures.append, ahead=ahead, retry_s=0.01)
        self.receipts = MemoryReceipts(shelf)
        self.letters = MemoryLetters(shelf, self.intake)
        self.audited = MemoryAudit(shelf)
        self.callbacks = shelf.callbacks
        self.cursors = MemoryCursors(shelf, self.intake)

    @property
    def blobs(self) -> SpoolDir:
        assert self._folder is not None, "give the queue a folder for large bodies"
        return SpoolDir(self._folder, "never")

    def stats(self) -> QueueStats:
        shelf = self._shelf
        return stats_of(shelf.backlog, shelf.room, appended=shelf.appended, now=shelf.clock.now(), is_failed=False)

    def uses(self) -> dict[str, GraphUse]:
        counts = self.totals()
        return {graph: replace(use, **counts.get(graph, NONE)._asdict()) for graph, use in self._shelf.room.uses().items()}

    def totals(self) -> dict[str, Counts]:
        shelf, found = self._shelf, dict[str, Counts]()
        count((group.account(0) for group in shelf.groups.values()), found)
        for group in shelf.backlog.groups.values():
            assert group.deliveries is not None
            for delivery in filter(None, group.deliveries):
                header = delivery.header
                found[header.graph] = found.get(header.graph, NONE).plus(Counts(accepted=header.documents))
        return found

    async def unfinished(self, graph: str) -> int:
        await step()
        return self._shelf.backlog.unfinished(graph)

    async def close(self) -> None:
        await self.leasing.close()
        self._shelf.is_closed = True
        self._shelf.lending.close()
        self._shelf.lines.close()
        assert not self.failures
