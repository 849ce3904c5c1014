"""The embedded queue: one shard on one SQLite file, group commit in a thread, nothing acknowledged before it is durable.

Everything but the store is touched in the event loop only. While one commit syncs, appends gather for the next; the
acknowledgements that came meanwhile ride along, or go with an idle timer. A crash at any instant leaves a prefix of the
commits: a delivery whose receipt was given out is in one of them until the commit that removes it.

Life of a spool file: synced with its folder before the commit whose row names it, removed after the commit that
removes the row, or kept for the dead letter that took it over; what a crash left without a row is swept at the next start.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pypes.core.limits import Limits
from pypes.errors import InvalidConfig, PypesError, StoreError
from pypes.ingest.backlog import COUNTS, Delivery, Group
from pypes.ingest.deadletter import KeptLetter, LetterGroup, LetterQuery
from pypes.ingest.delivery import Header, Spooled, body_bytes
from pypes.ingest.lane import Lane
from pypes.ingest.leasing import LeasingQueue
from pypes.ingest.outbox import Append, Commit, Letter, Outbox
from pypes.ingest.outcome import DeadLetter
from pypes.ingest.queue import Capabilities, Key, QueueStats
from pypes.ingest.receipt import MAX_SALT, Receipt, ReceiptId, ReceiptIds, commit_key, first_key
from pypes.ingest.shards import Shard
from pypes.ingest.spool import SpoolDir, SpoolWriter
from pypes.ingest.store import Found, Row, Store

log = logging.getLogger(__name__)

_READ_BYTES = 8 << 20
_ACK_DELAY_S = 0.01
_PROBE_S = 1.0
_PRUNE_S = 60.0


class EmbeddedQueue(LeasingQueue):
    """A durable queue of one process; open it with :meth:`open`."""

    def __init__(
        self,
        store: Store,
        shard: Shard,
        *,
        node: int,
        limits: Limits,
        durability: str,
        interval_s: float,
        probe_s: float,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(node=node, shard=shard.number, limits=limits, max_cached_bytes=limits.cache_bytes, clock=clock)
        self._claim = shard
        self._spool = SpoolDir(shard.path / "spool")
        self._store = store
        self._durability = durability
        self._interval_s = interval_s
        self._probe_s = probe_s
        self._random = random.Random()
        self._writing = Lane(self._loop, f"pypes-commit-{shard.number}")
        self._reading = Lane(self._loop, f"pypes-read-{shard.number}")
        self._outbox = Outbox()
        self._redriving: set[str] = set()
        self._doubtful_spools: list[str] = []
        self._last_key = 0
        self._receipts = 0
        self._pruned_at = self._loop.time()
        self._is_kicked = False
        self._is_busy = False
        self._is_fetching = False
        self._is_failed = False
        self._is_closed = False
        self._ack_timer: asyncio.TimerHandle | None = None
        self._sync_timer: asyncio.TimerHandle | None = None
        self._idle: asyncio.Future[None] | None = None

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
        version: str = "",
        clock: Callable[[], float] = time.time,
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
    ) -> EmbeddedQueue:
        """Open the queue in a claimed shard, with everything in it that was not acknowledged. Raises :class:`StoreError`."""
        if durability not in ("always", "interval", "never"):
            raise InvalidConfig(f"must be always, interval or never, not {durability!r}", where="queue.durability")
        loop = asyncio.get_running_loop()
        store = await loop.run_in_executor(
            None, partial(Store, shard.path / "queue.db", durability, version=version, connect=connect)
        )
        queue = cls(
            store,
            shard,
            node=node,
            limits=limits,
            durability=durability,
            interval_s=interval_s,
            probe_s=probe_s,
            clock=clock,
        )
        try:
            found, queue._last_key, queue._receipts, queue._dead_letter_count = await queue._writing.call(queue._survey)
        except BaseException:
            queue._abandon()
            raise
        for each in found:
            queue._restore(each)
        queue._fetch()
        return queue

    def _survey(self) -> tuple[list[Found], int, int, int]:
        store = self._store
        try:
            found = store.scan()
            referenced = {name for each in found for name in each.spools} | set(store.spools_of_dead_letters())
            self._spool.sweep(referenced)
            return found, store.last_key(), store.count_receipts(), store.count_dead_letters()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"the queue cannot be read: {error}; restore the shard from a copy", where=str(store.path)
            ) from error

    def _restore(self, found: Found) -> None:
        group = Group(found.key, found.salt, found.size, found.entries)
        for position, counts in found.done.items():
            group.finish(position, counts)
        group.has_progress = bool(found.done)
        group.crashes = found.crashes or None
        self._backlog.add(group, None)
        self._deliveries += group.remaining
        self._bytes += found.size

    # -- appending ---------------------------------------------------------------------------------------

    def spool(self) -> SpoolWriter:
        """A writer for a body too large for memory; append what its ``finish`` returns."""
        return self._spool.create(self._durability)

    def append(
        self, header: Header, body: bytes | Spooled, decoded: bytes | None = None, key: Key | None = None
    ) -> asyncio.Future[str]:
        return self._append(header, body, decoded, None)

    def _append(self, header: Header, body: bytes | Spooled, decoded: bytes | None, redriven: str | None) -> asyncio.Future[str]:
        try:
            if self._is_failed or self._is_closed:
                raise self._refusal()
            self._reserve(body)
        except PypesError:
            if isinstance(body, Spooled) and redriven is None:
                self._spool.remove([body.name])
            raise
        future: asyncio.Future[str] = self._loop.create_future()
        self._outbox.appends.append(Append(header, body, decoded, future, redriven))
        self._kick_soon()
        return future

    def _refusal(self) -> StoreError:
        if self._is_closed:
            return StoreError("the queue is closed", code="store.closed")
        return StoreError(
            "the queue's disk failed and takes nothing at the moment; post again later",
            code="store.failed",
            where=str(self._store.path),
        )

    def _kick_soon(self) -> None:
        # after this turn of the loop, so that all requests read in one turn share a commit
        if not self._is_kicked and not self._is_busy:
            self._is_kicked = True
            self._loop.call_soon(self._kick)

    def _kick(self) -> None:
        self._is_kicked = False
        if self._is_busy or self._is_failed:
            return
        key = commit_key(self._clock(), self._last_key)
        commit = self._outbox.take(key, self._random.getrandbits(MAX_SALT.bit_length()))
        if commit is None:
            if self._idle is not None and not self._idle.done():
                self._idle.set_result(None)
            return
        if commit.turn.row is not None:
            self._last_key = key
        self._is_busy = True
        self._writing.submit(partial(self._store.commit, commit.turn), partial(self._committed, commit))

    def _committed(self, commit: Commit, _: object, error: BaseException | None) -> None:
        self._is_busy = False
        if error is not None:
            self._take_back(commit, error)
            return
        if commit.turn.row is not None:
            self._admit(commit)
        if commit.complete:
            groups = self._backlog.groups
            for group in commit.complete:
                del groups[group.key]
                self._receipts += group.entries
            self._prune()
        if commit.spools:
            self._writing.submit(partial(self._spool.remove, commit.spools), self._removed)
        if self._durability == "interval" and self._sync_timer is None:
            self._sync_timer = self._loop.call_later(self._interval_s, self._sync)
        self._kick()

    def _admit(self, commit: Commit) -> None:
        assert commit.turn.row is not None
        key, salt, count, size = commit.turn.row[:4]
        ids = ReceiptIds(self._node, self._shard, key, salt)
        group = Group(key, salt, size, count)
        deliveries = [
            Delivery(group, position, ids[position], append.header, append.body, append.decoded)
            for position, append in enumerate(commit.appends)
        ]
        self._backlog.add(group, list(deliveries))
        self._appended += count
        for append, delivery in zip(commit.appends, deliveries, strict=True):
            if not append.future.done():  # done: the client hung up; what it sent was accepted all the same
                append.future.set_result(delivery.id)
        if self._backlog.is_leasable:
            self._notify()
        else:
            self._fetch()

    # -- acknowledging -----------------------------------------------------------------------------------

    def _finished(self, delivery: Delivery, letters: Sequence[Letter]) -> None:
        self._outbox.finished(delivery, letters)
        self._flush_later()

    def _crashed(self, delivery: Delivery) -> None:
        self._outbox.crashed(delivery)
        self._kick_soon()

    def _flush_later(self) -> None:
        if self._ack_timer is None:
            self._ack_timer = self._loop.call_later(_ACK_DELAY_S, self._flush)

    def _flush(self) -> None:
        self._ack_timer = None
        self._outbox.is_flush_due = True
        if not self._is_busy:
            self._kick()

    def _removed(self, _: object, error: BaseException | None) -> None:
        if error is not None:
            log.warning("spool files were not removed; they will be at the next start", exc_info=error)

    def _prune(self) -> None:
        surplus = self._receipts - self._limits.receipts_kept
        now = self._loop.time()
        if surplus > max(1000, self._limits.receipts_kept // 20) or now - self._pruned_at > _PRUNE_S:
            self._pruned_at = now
            before = first_key(self._clock() - self._limits.receipts_s)
            self._writing.submit(partial(self._store.prune, before, max(0, surplus)), self._pruned)

    def _pruned(self, gone: int | None, error: BaseException | None) -> None:
        if error is not None:
            log.warning("old receipts were not forgotten; tried again later", exc_info=error)
        else:
            self._receipts -= gone or 0

    # -- a disk that fails -------------------------------------------------------------------------------

    def _take_back(self, commit: Commit, error: BaseException) -> None:
        """A commit failed: nothing in it was accepted, and what it would have removed is still to be removed."""
        log.error("the queue's store failed; nothing is accepted until it works again", exc_info=error)
        self._is_failed = True
        for append in self._outbox.take_back(commit):
            self._unreserve(body_bytes(append.body))
            # the row may be in the log all the same, and be found after a crash: its file stays until a later commit overwrote it
            if isinstance(append.body, Spooled) and append.redriven is None:
                self._doubtful_spools.append(append.body.name)
            if not append.future.done():
                append.future.set_exception(_store_error(error))
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        if not self._is_closed:
            self._loop.call_later(self._probe_s, self._probe)

    def _probe(self) -> None:
        if not self._is_closed:
            self._writing.submit(self._store.sync, self._probed)

    def _probed(self, _: object, error: BaseException | None) -> None:
        if error is not None:
            self._loop.call_later(self._probe_s, self._probe)
            return
        log.info("the queue's store works again")
        self._is_failed = False
        doubtful, self._doubtful_spools = self._doubtful_spools, []
        if doubtful:
            self._writing.submit(partial(self._spool.remove, doubtful), self._removed)
        self._kick()

    def _sync(self) -> None:
        self._sync_timer = None
        self._writing.submit(self._store.sync, self._synced)

    def _synced(self, _: object, error: BaseException | None) -> None:
        if error is not None and not self._is_failed:
            log.error("the queue's store failed to sync; nothing is accepted until it works again", exc_info=error)
            self._is_failed = True
            self._loop.call_later(self._probe_s, self._probe)

    # -- reading again what was not kept in memory -------------------------------------------------------

    def _fetch(self) -> None:
        if self._is_fetching or self._is_closed:
            return
        wanted = self._backlog.wanted(min(_READ_BYTES, self._limits.cache_bytes))
        if wanted:
            self._is_fetching = True
            self._reading.submit(partial(self._store.load, wanted[0].key, wanted[-1].key), partial(self._fetched, wanted))

    def _fetched(self, wanted: list[Group], rows: list[Row] | None, error: BaseException | None) -> None:
        self._is_fetching = False
        if self._is_closed:
            return
        if rows is None:
            log.error("the queue cannot read what waits in it; tried again", exc_info=error)
            self._loop.call_later(self._probe_s, self._fetch)
            return
        entries_by_key = {row.key: row.entries for row in rows}
        lost = []
        for group in wanted:
            ids = ReceiptIds(self._node, self._shard, group.key, group.salt)
            deliveries: list[Delivery | None] = []
            for position, (header, body, spool, size) in enumerate(entries_by_key[group.key]):
                if group.counts(position) is not None:  # acknowledged before a restart
                    self._bytes -= size
                    deliveries.append(None)
                    continue
                found = Spooled(str(self._spool.path / spool), size) if spool else body
                delivery = Delivery(group, position, ids[position], header, found, None)
                deliveries.append(delivery)
                if isinstance(found, Spooled) and not Path(found.path).exists():
                    lost.append(delivery)
            self._backlog.fill(group, deliveries)
        for delivery in lost:
            self._backlog.cached_bytes -= delivery.cached_bytes
            self._bury(delivery, "store.spool_missing", "the file with the body is gone; post the document again")
        self._notify()

    # -- receipts and dead letters -----------------------------------------------------------------------

    async def receipt(self, id: str) -> Receipt | None:
        rid = ReceiptId.parse(id)
        if (rid.node, rid.shard) != (self._node, self._shard):
            return None
        group = self._find(rid)
        if group is None:
            return await self._old_receipt(rid)
        accepted = -1
        if group.counts(rid.position) is None and group.deliveries is None:
            rows = await self._reading.call(partial(self._store.load, rid.key, rid.key))
            if not rows:  # finished meanwhile
                return await self._old_receipt(rid)
            accepted = rows[0].entries[rid.position][0].documents
        counts = group.counts(rid.position)
        if counts is not None:
            return self._finished_receipt(rid, counts)
        delivery = group.deliveries[rid.position] if group.deliveries is not None else None
        if delivery is None:
            return self._unfinished_receipt(rid, accepted, False)
        return self._unfinished_receipt(rid, delivery.header.documents, delivery.attempt > 0)

    async def _old_receipt(self, rid: ReceiptId) -> Receipt | None:
        found = await self._reading.call(partial(self._store.receipt, rid.key))
        if found is None or found[0] != rid.salt or len(found[1]) < (rid.position + 1) * COUNTS:
            return None
        return self._finished_receipt(rid, found[1][rid.position * COUNTS : (rid.position + 1) * COUNTS])

    async def letters(self, query: LetterQuery | None = None, limit: int = 100, after: str = "") -> list[DeadLetter]:
        await self._settled()
        letters: list[DeadLetter] = await self._reading.call(partial(self._store.dead_letters, limit, after))
        return letters

    async def letter(self, id: str) -> KeptLetter | None:
        raise NotImplementedError

    async def letter_groups(self, query: LetterQuery | None = None) -> list[LetterGroup]:
        raise NotImplementedError

    async def edit_letter(self, id: str, packet: bytes) -> bool:
        raise NotImplementedError

    async def delete_letters(self, ids: Sequence[str]) -> int:
        raise NotImplementedError

    async def replay(self, id: str, from_start: bool) -> str:
        (receipt,) = await self.redrive([id])
        return receipt

    async def redrive(self, ids: Sequence[str]) -> list[str]:
        await self._settled()
        receipts = []
        for id in ids:
            if id in self._redriving:
                continue
            self._redriving.add(id)
            try:
                found = await self._reading.call(partial(self._store.dead_delivery, id))
                if found is not None:
                    header, body, spool = found
                    if spool is not None:
                        body = self._spool.locate(spool)
                    # one transaction: the dead letter goes when the delivery comes
                    receipts.append(await self._append(header, body, None, id))
                    self._dead_letter_count -= 1
            finally:
                self._redriving.discard(id)
        return receipts

    async def _settled(self) -> None:
        """Wait until what was acknowledged so far is in the store (or the store failed)."""
        while self._is_busy or (self._outbox and not self._is_failed):
            self._outbox.is_flush_due = True
            if self._idle is None or self._idle.done():
                self._idle = self._loop.create_future()
            self._kick_soon()
            await asyncio.shield(self._idle)

    # -- the rest ----------------------------------------------------------------------------------------

    def stats(self) -> QueueStats:
        return self._stats(is_failed=self._is_failed)

    def capabilities(self) -> Capabilities:
        return Capabilities(is_durable=True, is_shared=False, durability=self._durability)

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        for timer in (self._timer, self._ack_timer, self._sync_timer):
            if timer is not None:
                timer.cancel()
        await self._settled()
        if self._durability == "interval" and not self._is_failed:
            await self._writing.call(self._store.sync)
        self._reading.stop()
        await self._writing.call(self._store.close)
        self._abandon()

    def _abandon(self) -> None:
        self._reading.stop()
        self._writing.stop()
        self._claim.release()


def _store_error(error: BaseException) -> StoreError:
    if isinstance(error, StoreError):
        return StoreError(error.message, code=error.code, where=error.where)
    return StoreError(f"the queue's commit failed: {error!r}; see the log of the server")
