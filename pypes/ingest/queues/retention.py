"""Retention of receipts: how much the store holds, and the limit up to which receipts were forgotten."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.ingest.queues.store_thread import StoreThread
from pypes.ingest.receipt import first_key
from pypes.ingest.store.store import Store
from pypes.ingest.store.write_batch import Totals, WriteBatch

log = logging.getLogger(__name__)

_PRUNE_S = 60.0


class Retention:
    """Counts the receipts in a store, and has the oldest forgotten when there are too many or they are too old."""

    def __init__(
        self, thread: StoreThread, store: Store, limits: Limits, clock: Clock, totals: Totals, horizon: tuple[int, int]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = thread
        self._store = store
        self._limits = limits
        self._clock = clock
        self._count = totals.receipts
        self._bytes = totals.receipt_bytes
        #: The least commit key that may have been given out here, and the greatest that was forgotten.
        self._born, self._forgotten = horizon
        #: The time at which receipts that are too old were last looked for, by the loop's clock.
        self.pruned_at = self._loop.time()

    def has_forgotten(self, key: int) -> bool:
        """True if receipts of a commit may have been given out here and are not kept any more."""
        return self._born <= key <= self._forgotten

    def count(self, batch: WriteBatch) -> None:
        """Receipts came with a write batch; forget others in their place."""
        for _, _, entries, _, added, _ in batch.receipts:
            self._count += entries
            self._bytes += added
        limits = self._limits
        surplus, surplus_bytes = self._count - limits.receipts_kept, self._bytes - limits.receipts_bytes
        now = self._loop.time()
        if (
            surplus > max(1000, limits.receipts_kept // 20)
            or surplus_bytes > max(1 << 20, limits.receipts_bytes // 20)
            or now - self.pruned_at > _PRUNE_S
        ):
            self.pruned_at = now
            # just after a start or a jump of the wall clock, how old anything is may be told wrong yet
            before = first_key(self._clock.ago(limits.receipts_s)) if self._clock.is_steady() else 0
            self._thread.submit(partial(self._store.prune, before, max(0, surplus), max(0, surplus_bytes)), self._pruned)

    def _pruned(self, gone: tuple[int, int, int] | None, error: BaseException | None) -> None:
        if gone is None:
            log.warning("old receipts could not be removed; trying again later", exc_info=error)
            return
        count, size, horizon = gone
        self._count -= count
        self._bytes -= size
        self._forgotten = max(self._forgotten, horizon)
