"""Callbacks of a queue on a store: read in a thread, changed through the write buffer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pypes.ingest.contracts.callbacks import Callback
from pypes.ingest.queues.committer import Committer
from pypes.ingest.queues.store_thread import StoreThread
from pypes.ingest.store.ledger import Ledger


class StoredCallbacks:
    """Implements :class:`pypes.ingest.contracts.callbacks.Callbacks`."""

    def __init__(self, ledger: Ledger, reading: StoreThread, committer: Committer) -> None:
        self.on_due: Callable[[], None] | None = None
        self._ledger = ledger
        self._reading = reading
        self._committer = committer

    async def due(self, now: float, limit: int) -> list[Callback]:
        await self._committer.settled()
        found: list[Callback] = await self._reading.call(partial(self._ledger.callbacks, now, limit))
        return found

    async def next_due(self) -> float | None:
        await self._committer.settled()
        due: float | None = await self._reading.call(self._ledger.next_callback)
        return due

    def done(self, receipt: str) -> None:
        self._committer.buffer.called(receipt)
        self._committer.kick_soon()

    def failed(self, receipt: str, due: float) -> None:
        self._committer.buffer.postponed(receipt, due)
        self._committer.kick_soon()
