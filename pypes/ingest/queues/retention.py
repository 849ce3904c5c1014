"""Retention: receipts are folded into blocks when they are minutes old, and forgotten when they are too old or too many.

So are idempotency keys and lines of the audit log, here by time alone. All of it is done a little at a time, so that nothing has
to wait for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial

from pypes.core.graph_limits import NO_LIMITS, GraphLimits
from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.core.watched_tasks import WatchedTasks
from pypes.errors import StoreError
from pypes.ingest.queues.store_thread import StoreThread
from pypes.ingest.receipt import first_key, time_of
from pypes.ingest.store import folding
from pypes.ingest.store.blocks import MOST
from pypes.ingest.store.forgetting import Forgotten, forget, forget_traces
from pypes.ingest.store.keys import Span, Stored
from pypes.ingest.store.store import Store
from pypes.ingest.store.write_batch import Amount, History, WriteBatch

log = logging.getLogger(__name__)

#: The age of a receipt, in seconds, at which it is folded: until then it is looked up most. It is less where receipts are kept
#: for less than a day: this part of that time.
FOLD_S = 600.0
_FOLD_PART = FOLD_S / 86_400
#: Receipts that are not folded, at most, whatever their age: they are read at the next start.
ROWS = 1 << 18
#: Seconds between two looks for what is old, or as many as a receipt is left in its row, if that is less.
_LOOK_S = 60.0
_LEAST_LOOK_S = 1.0
#: The part of the time for which folding is at work while there is much to fold.
_SHARE = 0.25
#: Early forgetting is logged once in so many seconds.
_WARN_S = 3600.0
#: Idempotency keys that are written in one transaction.
_KEYS_AT_ONCE = 1000
#: Greater than the key of any commit.
_LAST_KEY = 1 << 62


class Retention:
    """Keeps the history of a store within the limits. ``oldest_waiting()`` is the least key of a commit that is not done.

    ``on_receipts(graph, bytes)`` hears how many bytes of receipts of a graph there are in blocks, ``on_keys(graph, count)`` how
    many more idempotency keys there are of a graph.
    """

    def __init__(
        self,
        store: Store,
        writing: StoreThread,
        reading: StoreThread,
        limits: Limits,
        clock: Clock,
        history: History,
        *,
        oldest_waiting: Callable[[], int | None],
        on_receipts: Callable[[str, int], None],
        on_keys: Callable[[str, int], None],
    ) -> None:
        self._store = store
        self._writing = writing
        self._reading = reading
        self._limits = limits
        self._clock = clock
        self._oldest_waiting = oldest_waiting
        self._on_receipts = on_receipts
        self._on_keys = on_keys
        self._loop = asyncio.get_running_loop()
        self._graphs: Mapping[str, GraphLimits] = {}
        self._row_receipts, self._row_bytes = history.rows
        self._blocks = dict(history.blocks)
        self._block_bytes = sum(amount.bytes for amount in history.blocks.values())
        #: Of a trace that takes the place of another one, both count until the next start.
        self._trace_bytes = history.trace_bytes
        #: Rows that cannot be read: they stay where they are.
        self._unreadable: set[int] = set()
        self._warned_at = -_WARN_S
        self._tasks = WatchedTasks(lambda _: None)
        self._round: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(self._look_s, self._on_timer)
        for graph, amount in history.blocks.items():
            on_receipts(graph, amount.bytes)
        for graphs in history.keys.values():
            for graph, keys in graphs.items():
                on_keys(graph, keys)

    def deployed(self, graphs: Mapping[str, GraphLimits]) -> None:
        """Take the limits that graphs have of their own."""
        self._graphs = dict(graphs)

    def count(self, batch: WriteBatch) -> None:
        """Receipts came with a write batch; make room for them if there are too many."""
        for row in batch.receipts:
            self._row_receipts += row[2]
            self._row_bytes += row[4]
        # PERF: a few more are waited for, so that not every commit makes a block
        if self._row_receipts > ROWS + MOST or self._row_bytes > self._most_row_bytes:
            self._start()

    @property
    def _surplus(self) -> int:
        return self._row_bytes + self._block_bytes - self._limits.receipts_bytes

    @property
    def _most_row_bytes(self) -> int:
        """Bytes of rows at which the receipts are a twentieth beyond their bound."""
        most = self._limits.receipts_bytes
        return most + most // 20 - self._block_bytes

    def _on_timer(self) -> None:
        self._timer = self._loop.call_later(self._look_s, self._on_timer)
        self._start()

    def _start(self) -> None:
        if self._round is None:
            self._round = self._tasks.start(self._look(), "retention")
            self._round.add_done_callback(self._looked)

    def _looked(self, _: asyncio.Task[None]) -> None:
        self._round = None

    async def look(self) -> None:
        """Fold and forget what is due now."""
        self._start()
        if self._round is not None:
            await self._round

    async def _look(self) -> None:
        try:
            await self._fold()
            await self._forget()
            await self._forget_keys()
            await self._forget_traces()
            await self._forget_lines()
        except StoreError as error:
            log.warning("old receipts could not be folded or removed; trying again later", exc_info=error)

    async def close(self) -> None:
        """Stop at the next step."""
        self._timer.cancel()
        await self._tasks.close()

    # -- folding -----------------------------------------------------------------------------------------

    @property
    def _fold_s(self) -> float:
        """Age at which receipts are folded, in seconds."""
        own = (each.receipts_s for each in self._graphs.values() if each.receipts_s)
        return min(FOLD_S, _FOLD_PART * min([self._limits.receipts_s, *own]))

    @property
    def _look_s(self) -> float:
        return max(_LEAST_LOOK_S, min(_LOOK_S, self._fold_s))

    async def _fold(self) -> None:
        fold_s = self._fold_s
        aged = first_key(self._clock.ago(fold_s))
        # they wait for as long again for enough others to fill a block
        patient = first_key(self._clock.ago(2 * fold_s))
        while True:
            began = self._loop.time()
            is_many = self._row_receipts > ROWS or self._surplus > 0
            before = _LAST_KEY if is_many else aged
            fold = await self._reading.call(partial(self._store.read_fold, before, frozenset(self._unreadable)))
            if fold is None:
                return
            if fold.unreadable:
                self._unreadable.update(fold.unreadable)
                log.error("receipts are damaged and are left where they are", extra={"commits": fold.unreadable})
            if not is_many and fold.entries < MOST and fold.keys and fold.keys[0] >= patient:
                return
            await self._write_fold(fold)
            await asyncio.sleep((self._loop.time() - began) * (1 / _SHARE - 1))

    async def _write_fold(self, fold: folding.Fold) -> None:
        await self._writing.call(partial(self._store.change, partial(folding.write, fold=fold)))
        self._row_receipts -= fold.entries
        self._row_bytes -= fold.bytes
        for block in fold.blocks:
            self._count_block(block.graph, block.entries, folding.BLOCK_BYTES + block.size)

    def _count_block(self, graph: str, receipts: int, size: int) -> None:
        known = self._blocks.get(graph, Amount())
        self._blocks[graph] = Amount(known.receipts + receipts, known.bytes + size)
        self._block_bytes += size
        self._on_receipts(graph, known.bytes + size)

    # -- forgetting --------------------------------------------------------------------------------------

    async def _forget(self) -> None:
        # just after a start or a jump of the wall clock, how old anything is may be told wrong yet
        is_steady = self._clock.is_steady()
        for graph in list(self._blocks):
            own = self._graphs.get(graph, NO_LIMITS)
            receipts_s = min(own.receipts_s or self._limits.receipts_s, self._limits.receipts_s)
            before = first_key(self._clock.ago(receipts_s)) if is_steady else 0
            most = own.receipts_bytes if own.receipts_bytes is not None else self._limits.receipts_bytes
            while (await self._forget_some(graph, before, self._blocks[graph].bytes - most)).receipts:
                pass
        while self._surplus > 0 and self._block_bytes > 0:
            # whoever has most makes room, so that a graph with few keeps them
            graph = max(self._blocks, key=lambda graph: self._blocks[graph].bytes)
            gone = await self._forget_some(graph, 0, self._surplus)
            if not gone.receipts:
                break
            self._warn(gone.last)

    async def _forget_some(self, graph: str, before: int, surplus: int) -> Forgotten:
        job = partial(forget, graph=graph, before=before, surplus=surplus)
        gone: Forgotten = await self._writing.call(partial(self._store.change, job))
        if gone.receipts:
            self._count_block(graph, -gone.receipts, -gone.bytes)
        return gone

    def _warn(self, last: int) -> None:
        kept_s = self._clock.now() - time_of(last)
        if kept_s < self._limits.receipts_s and self._loop.time() >= self._warned_at + _WARN_S:
            self._warned_at = self._loop.time()
            log.warning(
                "receipts are forgotten before their time, because there are so many; raise receipts_bytes, or lower receipts_s",
                extra={
                    "kept_s": round(kept_s),
                    "receipts_s": self._limits.receipts_s,
                    "receipts_bytes": self._limits.receipts_bytes,
                },
            )

    async def _forget_keys(self) -> None:
        if not self._clock.is_steady():
            return
        before_ms = self._clock.ago(self._limits.keys_s) * 1000
        for span in self._store.keys.spans:
            if span.end > before_ms:
                continue
            oldest = self._oldest_waiting()
            if oldest is not None and oldest >> 6 < span.end:
                rows = await self._reading.call(partial(self._store.waiting_keys, span))
                for at in range(0, len(rows), _KEYS_AT_ONCE):
                    job = partial(self._rescue, rows[at : at + _KEYS_AT_ONCE])
                    await self._writing.call(partial(self._store.change, job))
            gone = await self._writing.call(partial(self._store.change, partial(self._drop, span)))
            for graph, keys in gone.items():
                self._on_keys(graph, -keys)

    # -- traces ------------------------------------------------------------------------------------------

    def count_traces(self, batch: WriteBatch) -> None:
        """Traces came with a write batch; make room for them if there are too many."""
        self._trace_bytes += sum(len(data) for _, _, _, data in batch.traces)
        most = self._limits.traces_bytes
        if self._trace_bytes > most + most // 20:
            self._start()

    async def _forget_traces(self) -> None:
        before = first_key(self._clock.ago(self._limits.traces_s)) if self._clock.is_steady() else 0
        while self._trace_bytes > 0:
            job = partial(forget_traces, before=before, surplus=self._trace_bytes - self._limits.traces_bytes)
            gone: int = await self._writing.call(partial(self._store.change, job))
            if not gone:
                break
            self._trace_bytes = max(0, self._trace_bytes - gone)

    async def _forget_lines(self) -> None:
        if self._clock.is_steady():
            job = partial(self._store.trail.forget, before=self._clock.ago(self._limits.audit_s))
            await self._writing.call(partial(self._store.change, job))

    def _rescue(self, rows: list[Stored], _: object) -> None:
        self._store.keys.rescue(rows)

    def _drop(self, span: Span, _: object) -> dict[str, int]:
        return self._store.keys.drop(span)
