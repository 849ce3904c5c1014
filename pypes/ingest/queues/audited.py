"""The audit log of a queue on a store: read in the thread for what may take longer."""

from __future__ import annotations

from functools import partial

from pypes.access.audit import AuditQuery, Entry
from pypes.ingest.queues.store_thread import StoreThread
from pypes.ingest.store.store import Store


class StoredAudit:
    """Implements :class:`pypes.ingest.contracts.audited.Audited`."""

    def __init__(self, store: Store, reading: StoreThread) -> None:
        self._store = store
        self._reading = reading

    async def lines(self, query: AuditQuery, limit: int = 100) -> list[Entry]:
        found: list[Entry] = await self._reading.call(partial(self._store.lines, query, limit))
        return found
