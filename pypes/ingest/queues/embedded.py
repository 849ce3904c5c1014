"""The embedded queue: one shard on one SQLite file, group commit in a thread, nothing acknowledged before it is durable.

Everything but the store is touched in the event loop only. While one commit syncs, appends gather for the next; the
acknowledgements that came meanwhile ride along, or go with an idle timer. A crash at any instant leaves a prefix of the
commits: a delivery whose receipt was given out is in one of them until the commit that removes it.

Life of a spool file: synced with its folder before the commit whose row names it, removed after the commit that
removes the row, or kept for the dead letters that took it over; what a crash left without a row is swept at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from pypes.access.trail import Trail
from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.errors import InvalidConfig
from pypes.ingest.accounts import NONE, Counts
from pypes.ingest.backlog.backlog import Backlog
from pypes.ingest.backlog.deliveries import HEADER_BYTES, Delivery, Group
from pypes.ingest.contracts.queue import GraphUse, QueueStats
from pypes.ingest.outcome import DeadLetter, Poison
from pypes.ingest.protocol import Rerun
from pypes.ingest.queues.audited import StoredAudit
from pypes.ingest.queues.callbacks import StoredCallbacks
from pypes.ingest.queues.committer import Committer, store_error
from pypes.ingest.queues.cursors import StoredCursors
from pypes.ingest.queues.intake import StoredIntake
from pypes.ingest.queues.lending import Finished, Lending
from pypes.ingest.queues.letters import StoredLetters
from pypes.ingest.queues.observing import Observation
from pypes.ingest.queues.receipt_maker import ReceiptMaker
from pypes.ingest.queues.receipts import StoredReceipts
from pypes.ingest.queues.recent import Recent
from pypes.ingest.queues.refill import Refill
from pypes.ingest.queues.retention import Retention
from pypes.ingest.queues.rewriting import REWRITE_S, SPARE_BYTES, Rewriting
from pypes.ingest.queues.room import Room
from pypes.ingest.queues.searching import DocumentSearch
from pypes.ingest.queues.statistics import stats_of
from pypes.ingest.queues.store_thread import StoreThread
from pypes.ingest.queues.tallying import QueueTallies
from pypes.ingest.queues.totals import Totals
from pypes.ingest.queues.write_buffer import Append, Change, Commit, Move, WriteBuffer
from pypes.ingest.receipt import ReceiptIds, first_key, time_of
from pypes.ingest.store.keys import SPAN_MS
from pypes.ingest.store.ledger import Ledger
from pypes.ingest.store.letter_reading import LetterReader
from pypes.ingest.store.recovery import Recovered, recover
from pypes.ingest.store.rows import index_bytes
from pypes.ingest.store.search import LedgerSearch
from pypes.ingest.store.shards import Shard
from pypes.ingest.store.spool import SpoolDir
from pypes.ingest.store.store import Store
from pypes.ingest.store.write_batch import Result
from pypes.observe import Observer, guarded
from pypes.observe.tallies import Tallies

log = logging.getLogger(__name__)

_PROBE_S = 1.0
OnLetters = Callable[[Sequence[DeadLetter]], None]
#: Tables that idempotency keys are spread over, at most; each is looked into for each key that comes.
_KEY_SPANS = 6


class EmbeddedQueue:
    """A durable :class:`pypes.ingest.contracts.queue.Queue` of one process; open it with :meth:`open`."""

    def __init__(
        self,
        store: Store,
        spool: SpoolDir,
        shard: Shard,
        found: Recovered,
        *,
        node: int,
        limits: Limits,
        durability: str,
        interval_s: float,
        probe_s: float,
        rewrite_s: float,
        spare_bytes: int,
        clock: Clock,
        observer: Observer | None,
        on_letters: OnLetters,
        tallies: Tallies,
    ) -> None:
        slot = shard.number
        node, number = shard.identity(node)
        loop = asyncio.get_running_loop()
        self.blobs = spool
        self._identity = node, number
        self._shard = shard
        self._store = store
        self._clock = clock
        self._on_letters = on_letters
        #: Graphs of which keys are noted as fresh.
        self._fresh_graphs: set[str] = set()
        self._appended = 0
        self._tallies = QueueTallies(tallies)
        watching = guarded(observer)
        self._observation = observation = Observation(watching) if watching is not None else None
        self._writing = StoreThread(loop, f"pypes-commit-{slot}")
        self._reading = StoreThread(loop, f"pypes-read-{slot}")
        self._folding = StoreThread(loop, f"pypes-fold-{slot}")
        # tokens of an earlier life of this queue must not be valid in this one
        self._backlog = Backlog(time.monotonic_ns(), limits.cache_bytes)
        self._buffer = WriteBuffer(node, number, self._backlog.has_bulk, clock.now)
        self._committer = Committer(
            self._writing,
            store,
            spool,
            self._buffer,
            durability=durability,
            interval_s=interval_s,
            probe_s=probe_s,
            last_key=found.last_key,
            clock=clock.fresh,
            on_committed=self._committed,
            on_refused=self._refused,
        )
        self._room = Room(limits, self._backlog.held, slot, lambda: self.leasing.notify_soon())
        self.leasing = Lending(
            self._backlog,
            self._room,
            clock,
            max_kept_bytes=limits.dead_letter_body_bytes,
            on_finished=self._tallies.before(self._finished if observation is None else observation.before(self._finished)),
            on_crashed=self._crashed,
            fetch=lambda: self._refill.fetch(),
            on_leased=None if observation is None else observation.leased,
        )
        self._refill = Refill(
            self._reading,
            store,
            spool,
            self._backlog,
            self._committer,
            node=node,
            shard=number,
            max_bytes=limits.cache_bytes,
            probe_s=probe_s,
            bury=partial(self.leasing.bury, has_body=False),
            write_off=lambda graph, size: self._room.count(graph, 0, -size),
            on_read=lambda has_lost: self.leasing.notify(has_lost=has_lost),
        )
        self._retention = Retention(
            store,
            self._writing,
            self._folding,
            limits,
            clock,
            found.history,
            oldest_waiting=lambda: next(iter(self._backlog.groups), None),
            on_receipts=self._room.set_receipts,
            on_keys=self._room.add_keys,
        )
        self._totals = Totals(found.history.counts, found.found)
        self._recent = Recent(self.totals)
        self._rewriting = Rewriting(self._committer, after_s=rewrite_s, spare_bytes=spare_bytes)
        ledger = Ledger(store)
        maker = ReceiptMaker(node, number, clock)
        self.intake = StoredIntake(self._room, self._committer, ledger, self._reading, spool, self._retention, maker.id_of)
        self.receipts = StoredReceipts(
            maker,
            self._backlog,
            self.leasing,
            ledger,
            self._reading,
            self._committer,
            clock,
            DocumentSearch(maker, self._backlog, ledger, LedgerSearch(store), self._reading, self._committer),
        )
        reader = LetterReader(store, spool, clock)
        self.letters = StoredLetters(reader, self._reading, self._committer, self.intake, self.receipts, spool)
        self.audited = StoredAudit(store, self._folding)
        self.callbacks = StoredCallbacks(ledger, self._reading, self._committer)
        self.cursors = StoredCursors(ledger, self._reading, self._committer, self.intake)
        self._restore(found)

    @classmethod
    async def open(
        cls,
        shard: Shard,
        *,
        node: int,
        limits: Limits,
        durability: str = "always",
        interval_s: float = 1.0,
        probe_s: float = _PROBE_S,
        rewrite_s: float = REWRITE_S,
        spare_bytes: int = SPARE_BYTES,
        version: str = "",
        clock: Clock | None = None,
        observer: Observer | None = None,
        on_letters: OnLetters = lambda letters: None,
        tallies: Tallies | None = None,
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
    ) -> EmbeddedQueue:
        """Open the queue in a locked shard, with everything in it that was not acknowledged. Raises :class:`StoreError`.

        ``node`` is in its receipts, unless the shard came from another node.

        An ``observer`` is told of deliveries; ``on_letters`` is called with dead letters, before they are durable; what there is
        to count is in ``tallies``.
        """
        if durability not in ("always", "interval", "never"):
            raise InvalidConfig(f"must be always, interval or never, not {durability!r}", where="queue.durability")
        loop, clock = asyncio.get_running_loop(), clock or Clock()
        path, born = shard.path / "queue.db", first_key(clock.fresh())
        span_ms = int(max(SPAN_MS, limits.keys_s * 1000 / _KEY_SPANS))
        trail = Trail(clock, shard.number + 1, limits.audit_bytes, shard.identity(node)[1] + 1)
        make = partial(Store, path, durability, version=version, born=born, key_span_ms=span_ms, trail=trail, connect=connect)
        store = await loop.run_in_executor(None, make)
        if store.tail.broken:
            log.warning(
                "the log of the queue ends in frames that cannot be read: the unsynced tail of a power cut, of which nothing was "
                "acknowledged, or damage to what was; `pypes queue check` reports the same",
                extra={"shard": shard.number, "frames": store.tail.broken, "valid": store.tail.valid},
            )
        spool = SpoolDir(shard.path / "spool", durability)
        try:
            found = await loop.run_in_executor(None, recover, store, spool)
            # of a store that was here before its node kept a time, or that came from elsewhere
            clock.reach(time_of(found.last_key))
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                store.close()
            shard.release()
            raise
        queue = cls(
            store,
            spool,
            shard,
            found,
            node=node,
            limits=limits,
            durability=durability,
            interval_s=interval_s,
            probe_s=probe_s,
            rewrite_s=rewrite_s,
            spare_bytes=spare_bytes,
            clock=clock,
            observer=observer,
            on_letters=on_letters,
            tallies=tallies or Tallies(),
        )
        queue._refill.fetch()
        return queue

    def _restore(self, known: Recovered) -> None:
        for problem in known.problems:
            log.error("a part of the queue is damaged: %s", problem, extra={"shard": self._shard.number})
        for found in known.found:
            group = Group(found.key, found.salt, found.size, found.entries)
            for position, account in found.done.items():
                group.finish(position, account)
            group.has_progress = bool(found.done)
            group.size += HEADER_BYTES * found.entries
            group.spent_bytes = found.size - sum(part.bytes for part in found.parts)
            group.crashes = found.crashes or None
            self._backlog.restore(group, found.parts)
            for part in found.parts:
                self._room.count(part.stream.graph, part.deliveries, part.bytes)
            if found.done:
                self._rewriting.restore(group)
            if found.crashes:
                self._buffer.recall_crashes(found.key)
        for key, position, poisons in known.poisons:
            self._backlog.past[key, position] = Rerun(poisons=poisons)
        self._fresh_graphs.update(each.graph for each in known.fresh)
        self._backlog.supersede(known.fresh)
        self._room.set_letters(known.history.letters)

    # -- what a commit brought ---------------------------------------------------------------------------

    def _committed(self, commit: Commit, result: Result) -> None:
        self._tallies.committed(self._committer.commit_s)
        if commit.batch.row is not None:
            self._admit(commit)
        if commit.complete:
            groups = self._backlog.groups
            for group in commit.complete:
                del groups[group.key]
            self._retention.count(commit.batch)
        if commit.batch.traces:
            self._retention.count_traces(commit.batch)
        if commit.complete and self._fresh_graphs:
            self._forget_fresh()
        self._totals.committed(commit)
        if commit.touched or commit.complete or commit.rewritten:
            self._rewriting.committed(commit)
        if commit.batch.is_rare:
            self._changed(commit, result)

    def _admit(self, commit: Commit) -> None:
        assert commit.batch.row is not None
        key, salt, count, _, _, data = commit.batch.row
        ids = ReceiptIds(*self._identity, key, salt).first(count)
        group = Group(key, salt, len(data) - index_bytes(data) + HEADER_BYTES * count, count)
        deliveries = [
            Delivery(group, position, id, append.header, append.body, append.decoded)
            for position, (id, append) in enumerate(zip(ids, commit.appends, strict=True))
        ]
        if commit.batch.fresh:
            self._fresh_graphs.update(each.graph for each in commit.batch.fresh)
        self._backlog.add(group, list(deliveries))
        self._appended += count
        self._totals.accepted(commit.appends)
        self.intake.confirm(commit.appends, ids)
        if self._observation is not None:
            self._observation.accepted(commit.appends)
        self.leasing.notify()
        if self._backlog.cache.is_starved:
            self._refill.fetch()

    def _forget_fresh(self) -> None:
        for graph in [graph for graph in self._fresh_graphs if not self._backlog.has_bulk(graph)]:
            self._fresh_graphs.discard(graph)
            self._buffer.stale(graph)

    def _changed(self, commit: Commit, result: Result) -> None:
        """Dead letters came or went, callbacks came: bring the counts up to date and tell who waits for it."""
        batch = commit.batch
        # what came had been counted when it was acknowledged, as far as it was known then
        counted = [(r.graph, -len(r.letters), -r.size if r.has_body else 0) for r in batch.dead]
        self._tallies.buried(batch.dead)
        if counted or result.letters:
            self._room.add_letters([*result.letters, *counted])
        gone, edited = set(result.removed), set(result.edited)
        for change in commit.changes:
            if not change.future.done():
                change.future.set_result(len((gone if change.packet is None else edited).intersection(change.ids)))
        for move in commit.moves:
            if not move.future.done():
                move.future.set_result(None)
        if batch.callbacks and self.callbacks.on_due is not None:
            self.callbacks.on_due()

    def _refused(self, appends: list[Append], changes: list[Change | Move], error: BaseException) -> None:
        """The store failed: none of these was accepted."""
        for append in appends:
            self.intake.refuse(append, error)
        for change in changes:
            if not change.future.done():
                change.future.set_exception(store_error(error))

    # -- what leasing brought ----------------------------------------------------------------------------

    def _finished(self, finished: Finished) -> None:
        self._buffer.finished(finished.deliveries, finished.details, finished.remains, finished.trace)
        self._committer.flush_later()
        if finished.remains is not None:
            self._on_letters(finished.remains.letters)

    def _crashed(self, delivery: Delivery, poisons: tuple[Poison, ...]) -> None:
        self._buffer.crashed(delivery, poisons)
        self._committer.kick_soon()

    # -- the rest ----------------------------------------------------------------------------------------

    def stats(self) -> QueueStats:
        is_failed = self._committer.failure is not None
        return stats_of(self._backlog, self._room, appended=self._appended, now=self._clock.now(), is_failed=is_failed)

    def uses(self) -> dict[str, GraphUse]:
        counts, lanes = self._totals.by_graph, self._backlog.lanes(self._clock.now())
        lately = self._recent.changes(counts)
        return {
            graph: replace(use, **counts.get(graph, NONE)._asdict(), lanes=lanes.get(graph, {}), lately=lately.get(graph))
            for graph, use in self._room.uses().items()
        }

    def totals(self) -> Mapping[str, Counts]:
        return self._totals.by_graph

    async def unfinished(self, graph: str) -> int:
        await self._committer.settled()
        return self._backlog.unfinished(graph)

    async def close(self) -> None:
        if self._committer.is_closed:
            return
        self._recent.close()
        self.leasing.close()
        self._refill.close()
        self._rewriting.close()
        await self._retention.close()
        await self._committer.close()
        self._reading.stop()
        self._folding.stop()
        await self._writing.call(self._store.close)
        self._writing.stop()
        self._shard.release()
