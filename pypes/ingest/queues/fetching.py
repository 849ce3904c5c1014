"""What sources fetch, and how far they came: the cursors of a queue on a store."""

from __future__ import annotations

import asyncio

from pypes.ingest.delivery import Header
from pypes.ingest.queues.letters import LetteredQueue
from pypes.ingest.queues.outbox import Cursor, Move


class FetchingQueue(LetteredQueue):
    """Stores cursors with what was fetched, or alone; reads them in a thread."""

    def append_fetched(self, header: Header, body: bytes, *cursors: Cursor) -> asyncio.Future[str]:
        """As :meth:`append`, for what a source fetched: its cursors are stored in the same transaction."""
        return self._append(header, body, None, cursors=cursors)

    def move(self, *cursors: Cursor) -> asyncio.Future[None]:
        """Store cursors alone, in one transaction; the future is done when they are durable. Raises :class:`StoreError`."""
        self._committer.check()
        future: asyncio.Future[None] = self._loop.create_future()
        self._outbox.moves.append(Move(cursors, future))
        self._committer.kick_soon()
        return future

    async def cursors(self, node: str, graph: str | None = None) -> dict[str, str]:
        """Stored cursors of the filters of one name, by graph; of one ``graph``, or of all."""
        rows = await self._read("SELECT graph, cursor FROM cursors WHERE node = ? AND graph = coalesce(?, graph)", node, graph)
        return dict(rows)

    async def cursors_of(self, graph: str) -> dict[str, str]:
        """Stored cursors of one graph, by filter."""
        return dict(await self._read("SELECT node, cursor FROM cursors WHERE graph = ?", graph))
