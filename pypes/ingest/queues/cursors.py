"""Cursors of a queue on a store: read in a thread, moved through the write buffer."""

from __future__ import annotations

import asyncio
from functools import partial

from pypes.access.audit import Cause
from pypes.ingest.contracts.cursors import Cursor
from pypes.ingest.delivery import Header
from pypes.ingest.queues.committer import Committer
from pypes.ingest.queues.intake import StoredIntake
from pypes.ingest.queues.store_thread import StoreThread
from pypes.ingest.queues.write_buffer import Move
from pypes.ingest.store.ledger import Ledger


class StoredCursors:
    """Implements :class:`pypes.ingest.contracts.cursors.Cursors`."""

    def __init__(self, ledger: Ledger, reading: StoreThread, committer: Committer, intake: StoredIntake) -> None:
        self._ledger = ledger
        self._reading = reading
        self._committer = committer
        self._intake = intake

    def append(self, header: Header, body: bytes, *cursors: Cursor) -> asyncio.Future[str]:
        return self._intake.put(header, body, cursors=cursors)

    def move(self, *cursors: Cursor, cause: Cause | None = None) -> asyncio.Future[None]:
        self._committer.check()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._committer.buffer.moves.append(Move(cursors, future, cause))
        self._committer.kick_soon()
        return future

    async def of_filter(self, filter: str, graph: str | None = None) -> dict[str, str]:
        found: dict[str, str] = await self._reading.call(partial(self._ledger.cursors_of_filter, filter, graph))
        return found

    async def of_graph(self, graph: str) -> dict[str, str]:
        found: dict[str, str] = await self._reading.call(partial(self._ledger.cursors_of_graph, graph))
        return found
