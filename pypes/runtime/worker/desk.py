"""The desk of a shard: what its owner answers, for itself, for other workers and for the supervisor."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from pypes.access.audit import ITSELF, Cause
from pypes.ingest.contracts.intake import Key
from pypes.ingest.contracts.queue import GraphUse, Queue, QueueStats
from pypes.ingest.delivery import Header
from pypes.runtime.contracts.shard import Runs
from pypes.runtime.worker.sources import Sources

#: Appends what another worker sent: header, body, name of the spool file that is the body, key; returns the receipt.
Append = Callable[[Header, bytes, str, Key | None], Coroutine[Any, Any, str]]


class ShardDesk:
    """Implements :class:`pypes.runtime.contracts.shard.ShardCalls` with a queue and the sources of the worker."""

    def __init__(self, queue: Queue, sources: Sources, is_closing: Callable[[str], bool], append: Append) -> None:
        self._queue = queue
        self._sources = sources
        self._is_closing = is_closing
        self.append = append
        self.wait_receipt = queue.receipts.wait
        self.documents = queue.receipts.documents
        self.trace = queue.receipts.trace
        self.receipts = queue.receipts.find
        self.look = queue.receipts.look
        self.letters = queue.letters.find
        self.letter = queue.letters.get
        self.origin = queue.letters.origin
        self.letter_groups = queue.letters.groups
        self.edit_letter = queue.letters.edit
        self.delete_letters = queue.letters.delete
        self.replay = queue.letters.replay
        self.replay_together = queue.letters.replay_together
        self.lines = queue.audited.lines
        self.kept = queue.audited.kept

    async def trigger(self, graph: str, at: float | None = None) -> list[str]:
        return await self._sources.trigger(self._queue, graph, at)

    async def run(self, graph: str, is_confirmed: bool, cause: Cause = ITSELF) -> Runs:
        return await self._sources.run(self._queue, graph, is_confirmed, cause)

    async def runs(self, graph: str) -> Runs:
        return await self._sources.runs(self._queue, graph)

    async def stats(self) -> QueueStats:
        return self._queue.stats()

    async def uses(self) -> dict[str, GraphUse]:
        return self._queue.uses()

    async def unfinished(self, graph: str) -> int | None:
        return await self._queue.unfinished(graph) if self._is_closing(graph) else None
