"""The desk of a shard: what its owner answers, for itself, for other workers and for the supervisor."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from pypes.access.audit import ITSELF, Cause
from pypes.ingest.contracts.intake import Key
from pypes.ingest.contracts.queue import GraphUse, Queue, QueueStats
from pypes.ingest.delivery import Header
from pypes.ingest.dispatch.topology import Topology
from pypes.ingest.receipt import Receipt, ReceiptQuery
from pypes.ingest.whereabouts import DocumentQuery, Looked
from pypes.runtime.contracts.shard import Runs
from pypes.runtime.worker.belonging import changing, text_of
from pypes.runtime.worker.members import Members
from pypes.runtime.worker.sources import Sources

#: Appends what another worker sent: header, body, name of the spool file that is the body, key; returns the receipt.
Append = Callable[[Header, bytes, str, Key | None], Coroutine[Any, Any, str]]


class ShardDesk:
    """Implements :class:`pypes.runtime.contracts.shard.ShardCalls` with a queue and the sources of the worker.

    ``topology()`` is what the worker knows of the node.
    """

    def __init__(
        self, queue: Queue, sources: Sources, members: Members, topology: Callable[[], Topology], append: Append
    ) -> None:
        self._queue = queue
        self._members = members
        self._sources = sources
        self._topology = topology
        self.append = append
        self.documents = queue.receipts.documents
        self.trace = queue.receipts.trace
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

    async def wait_receipt(self, id: str, wait_s: float) -> Receipt | None:
        found = await self._queue.receipts.wait(id, wait_s)
        return None if found is None else self._explained(found)

    async def receipts(self, query: ReceiptQuery, limit: int, after: str = "", *, newest: bool = False) -> list[Receipt]:
        return [self._explained(one) for one in await self._queue.receipts.find(query, limit, after, newest=newest)]

    async def look(self, query: DocumentQuery, limit: int, before: int = 0) -> Looked:
        looked = await self._queue.receipts.look(query, limit, before)
        return replace(looked, found=[replace(each, receipt=self._explained(each.receipt)) for each in looked.found])

    def _explained(self, receipt: Receipt) -> Receipt:
        """With the reason why it waits, if its graph is that."""
        if receipt.state not in ("queued", "processing"):
            return receipt
        topology = self._topology()
        if receipt.graph in topology.failed:
            # it may have been with an instance before, but nobody has it now
            reason = f"the graph cannot be set up: {topology.failed[receipt.graph]}"
            return replace(receipt, state="queued", reason=reason)
        if receipt.graph in topology.stalled:
            return replace(receipt, reason=f"the graph cannot run: {topology.stalled[receipt.graph]}")
        if receipt.graph in topology.paused and receipt.state == "queued":
            return replace(receipt, reason="the graph is paused")
        return receipt

    async def claim(self, graph: str, key: Key, owner: str) -> str | None:
        self._check_owner(graph, key, owner)
        return await self._queue.intake.known(key)

    async def known(self, key: Key) -> str | None:
        return await self._queue.intake.known(key)

    async def remaining(self, graph: str) -> int:
        return await self._queue.unfinished(graph)

    async def let_go(self, graph: str, owner: str) -> int:
        self._check_owner(graph, None, owner)
        return await self._queue.unfinished(graph)

    def _check_owner(self, graph: str, key: Key | None, owner: str) -> None:
        """Raise :class:`Unavailable` unless this process, which appends to the shard, believes in the same owner."""
        ranks = self._members.ranked(text_of(graph, key, is_ordered=graph in self._topology().ordered))
        if not ranks or ranks[0].name != owner:
            raise changing()

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
        return await self._queue.unfinished(graph) if graph in self._topology().closing else None
