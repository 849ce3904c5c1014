"""The audit log of a queue on a store: read in the thread for what may take longer."""

from __future__ import annotations

from functools import partial

from pypes.access.audit import AuditQuery, Entry, Kept
from pypes.ingest.queues.store_thread import StoreThread
from pypes.ingest.store.store import Store


class StoredAudit:
    """Implements :class:`pypes.ingest.contracts.audited.Audited`."""

    def __init__(self, store: Store, reading: StoreThread) -> None:
        self._store = store
        self._reading = reading

    async def lines(self, query: AuditQuery, limit: int = 100) -> list[Entry]:
        look = partial(self._store.trail.page, query=query, limit=limit)
        found: list[Entry] = await self._reading.call(partial(self._store.audit, look))
        return found

    async def kept(self) -> Kept:
        found: Kept = await self._reading.call(partial(self._store.audit, self._store.trail.kept))
        return found
