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
import random
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from pypes.core.limits import Limits
from pypes.errors import InvalidConfig, PypesError, StoreError
from pypes.ingest.accounts import Account
from pypes.ingest.backlog import Delivery, Group
from pypes.ingest.delivery import Header, Spooled, body_bytes
from pypes.ingest.idempotency import Keys
from pypes.ingest.lane import Lane
from pypes.ingest.outbox import Append, Change, Commit, Cursor, Move, Outbox
from pypes.ingest.outcome import Blame, Details
from pypes.ingest.protocol import Rerun
from pypes.ingest.queue import Capabilities, Key, QueueStats
from pypes.ingest.reading import decode_blames
from pypes.ingest.receipt import MAX_SALT, ReceiptIds, commit_key, first_key
from pypes.ingest.refilling import RefillingQueue
from pypes.ingest.shards import Shard
from pypes.ingest.spool import SpoolDir, SpoolWriter
from pypes.ingest.store import Store
from pypes.ingest.turn import Found, Remains, Result, Totals

log = logging.getLogger(__name__)

_ACK_DELAY_S = 0.01
_PROBE_S = 1.0
_PRUNE_S = 60.0


class _Survey(NamedTuple):
    """What opening a store finds."""

    found: list[Found]
    problems: list[str]
    last_key: int
    totals: Totals
    horizon: tuple[int, int]
    blames: list[tuple[int, int, tuple[Blame, ...]]]
    fresh: list[tuple[str, int, int]]


class EmbeddedQueue(RefillingQueue):
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
        super().__init__(
            node=node,
            shard=shard.number,
            limits=limits,
            max_cached_bytes=limits.cache_bytes,
            clock=clock,
            probe_s=probe_s,
        )
        self._claim = shard
        self._spool = SpoolDir(shard.path / "spool")
        self._store = store
        self._durability = durability
        self._interval_s = interval_s
        self._random = random.Random()
        self._writing = Lane(self._loop, f"pypes-commit-{shard.number}")
        self._reading = Lane(self._loop, f"pypes-read-{shard.number}")
        self._outbox = Outbox(node, shard.number, self._backlog.has_bulk)
        self._keys = Keys()
        self._doubtful_spools: list[str] = []
        self._last_key = 0
        self._totals = Totals(0, 0, 0, 0)
        self._pruned_at = self._loop.time()
        #: Graphs of which keys are noted as fresh.
        self._fresh_graphs: set[str] = set()
        self._is_kicked = False
        self._is_busy = False
        self._ack_timer: asyncio.TimerHandle | None = None
        self._sync_timer: asyncio.TimerHandle | None = None
        self._settling: list[tuple[int, asyncio.Future[None]]] = []

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
        path, born = shard.path / "queue.db", first_key(clock())
        store = await loop.run_in_executor(None, partial(Store, path, durability, version=version, born=born, connect=connect))
        if store.tail.broken:
            log.warning(
                "the log of the queue ends in frames that cannot be read: the unsynced tail of a power cut, of which nothing was "
                "acknowledged, or damage to what was; `pypes queue check` tells the same",
                extra={"shard": shard.number, "frames": store.tail.broken, "valid": store.tail.valid},
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
            survey = await queue._writing.call(queue._survey)
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                store.close()
            queue._abandon()
            raise
        queue._restore(survey)
        queue._fetch()
        return queue

    def _survey(self) -> _Survey:
        store = self._store
        try:
            found, problems = store.scan()
            problems += store.damage()
            # with a part of the rows unknown, so is which files they name
            if not problems:
                self._spool.sweep({name for each in found for name in each.spools} | set(store.kept_spools()))
            blames = [(key, position, decode_blames(data)) for key, position, data in store.blames()]
            return _Survey(found, problems, store.last_key(found), store.totals(), store.horizon(), blames, store.fresh())
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"the queue cannot be read: {error}; restore the shard from a copy", where=str(store.path)
            ) from error

    def _restore(self, survey: _Survey) -> None:
        for problem in survey.problems:
            log.error("a part of the queue is damaged: %s", problem, extra={"shard": self._shard})
        for found in survey.found:
            group = Group(found.key, found.salt, found.size, found.entries)
            for position, account in found.done.items():
                group.finish(position, account)
            group.has_progress = bool(found.done)
            group.crashes = found.crashes or None
            self._backlog.restore(group, found.parts)
            self._deliveries += group.remaining
            self._bytes += sum(size for *_, size in found.parts)
            if found.crashes:
                self._outbox.recall_crashes(found.key)
        for key, position, blames in survey.blames:
            self._past[key, position] = Rerun(blames=blames)
        for graph, hash, key in survey.fresh:
            self._fresh_graphs.add(graph)
            self._backlog.supersede(graph, (hash,), key)
        self._last_key = survey.last_key
        self._born, self._forgotten = survey.horizon
        self._totals = survey.totals
        self._dead_letter_count, self._dead_letter_bytes = survey.totals.letters, survey.totals.letter_bytes

    # -- appending ---------------------------------------------------------------------------------------

    def spool(self) -> SpoolWriter:
        """A writer for a body too large for memory; append what its ``finish`` returns."""
        return self._spool.create(self._durability)

    def append(
        self, header: Header, body: bytes | Spooled, decoded: bytes | None = None, key: Key | None = None
    ) -> asyncio.Future[str]:
        if key is None:
            return self._append(header, body, decoded)
        try:
            if self._failure is not None or self._is_closed:
                raise self._refusal()
            known = self._keys.find(key)
        except PypesError:
            self._discard(body)
            raise
        if known is not None:
            self._discard(body)
            return known
        future = self._keys.begin(key, self._loop.create_future())
        look_up = partial(self._store.read, "SELECT digest, receipt FROM keys WHERE name = ?", (key.name,))
        self._reading.submit(look_up, partial(self._looked_up, Append(header, body, decoded, future, key)))
        return self._keys.follow(future)

    def _looked_up(self, append: Append, rows: list[tuple[bytes, str]] | None, error: BaseException | None) -> None:
        """Whether an idempotency key is known already; appends if not."""
        assert append.key is not None
        if rows:
            self._discard(append.body)
            self._keys.known(append.key, *rows[0])
            return
        try:
            if error is not None:
                self._discard(append.body)
                raise _store_error(error)
            self._append(append.header, append.body, append.decoded, append.future, append.key)
        except PypesError as refusal:
            self._keys.failed(append.key, refusal)

    def _append(
        self,
        header: Header,
        body: bytes | Spooled,
        decoded: bytes | None,
        future: asyncio.Future[str] | None = None,
        key: Key | None = None,
        replays: str | None = None,
        cursor: Cursor | None = None,
    ) -> asyncio.Future[str]:
        try:
            if self._failure is not None or self._is_closed:
                raise self._refusal()
            self._reserve(header, body_bytes(body), is_replay=replays is not None)
        except PypesError:
            self._discard(body)
            raise
        if future is None:
            future = self._loop.create_future()
        self._outbox.appends.append(Append(header, body, decoded, future, key, replays, cursor))
        self._kick_soon()
        return future

    # -- cursors ----------------------------------------------------------------------------------------

    def append_fetched(self, header: Header, body: bytes, cursor: Cursor) -> asyncio.Future[str]:
        """As :meth:`append`, for what a source fetched: its cursor is stored in the same transaction."""
        return self._append(header, body, None, cursor=cursor)

    def move(self, cursor: Cursor) -> asyncio.Future[None]:
        """Store a cursor alone; the future is done when it is durable. Raises :class:`StoreError`."""
        if self._failure is not None or self._is_closed:
            raise self._refusal()
        future: asyncio.Future[None] = self._loop.create_future()
        self._outbox.moves.append(Move(cursor, future))
        self._kick_soon()
        return future

    async def cursors(self, node: str, graph: str | None = None) -> dict[str, str]:
        """Stored cursors of the filters of one name, by graph; of one ``graph``, or of all."""
        rows = await self._read("SELECT graph, cursor FROM cursors WHERE node = ? AND graph = coalesce(?, graph)", node, graph)
        return dict(rows)

    def _discard(self, body: bytes | Spooled) -> None:
        """A body that is not taken on; its file goes."""
        if isinstance(body, Spooled):
            self._spool.remove([body.name])

    def _change(self, ids: list[str], packet: bytes | None) -> asyncio.Future[int]:
        if self._failure is not None or self._is_closed:
            raise self._refusal()
        future: asyncio.Future[int] = self._loop.create_future()
        self._outbox.changes.append(Change(ids, packet, future))
        self._kick_soon()
        return future

    def _refusal(self) -> StoreError:
        if self._is_closed:
            return StoreError("the queue is closed", code="store.closed")
        if isinstance(self._failure, StoreError):
            return _store_error(self._failure)
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
        if self._is_busy or self._failure is not None:
            return
        key = commit_key(self._clock(), self._last_key)
        commit = self._outbox.take(key, self._random.getrandbits(MAX_SALT.bit_length()))
        if commit is None:
            self._tell_settled(self._outbox.taken)
            return
        if commit.turn.row is not None:
            self._last_key = key
        self._is_busy = True
        self._writing.submit(partial(self._store.commit, commit.turn), partial(self._committed, commit))

    def _committed(self, commit: Commit, result: Result | None, error: BaseException | None) -> None:
        self._is_busy = False
        if result is None:
            assert error is not None
            self._take_back(commit, error)
            return
        self._outbox.written(commit)
        if commit.turn.row is not None:
            self._admit(commit)
        if commit.complete:
            groups = self._backlog.groups
            for group in commit.complete:
                del groups[group.key]
            self._count_receipts(commit)
            if self._fresh_graphs:
                self._forget_fresh()
        if commit.turn.is_rare:
            self._changed(commit, result)
        if commit.spools:
            self._writing.submit(partial(self._spool.remove, commit.spools), self._removed)
        if self._durability == "interval" and self._sync_timer is None:
            self._sync_timer = self._loop.call_later(self._interval_s, self._sync)
        self._tell_settled(commit.number)
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
        if commit.turn.fresh:
            self._supersede(commit)
        self._backlog.add(group, list(deliveries))
        self._appended += count
        for append, delivery in zip(commit.appends, deliveries, strict=True):
            if not append.future.done():  # done: the client hung up; what it sent was accepted all the same
                append.future.set_result(delivery.id)
            if append.key is not None:
                self._keys.end(append.key)
        self._notify()
        if self._backlog.is_starved:
            self._fetch()

    def _supersede(self, commit: Commit) -> None:
        """Live deliveries came while bulk ones of their graphs wait: those must not run over them later."""
        for graph, hash, key in commit.turn.fresh:
            self._fresh_graphs.add(graph)
            self._backlog.supersede(graph, (hash,), key)

    def _forget_fresh(self) -> None:
        for graph in [graph for graph in self._fresh_graphs if not self._backlog.has_bulk(graph)]:
            self._fresh_graphs.discard(graph)
            self._outbox.stale(graph)

    def _changed(self, commit: Commit, result: Result) -> None:
        """Dead letters came or went, callbacks came: bring the counts up to date and tell who waits for it."""
        turn = commit.turn
        was_buried = self._is_buried
        # what came had been counted when it was acknowledged, as far as it was known then
        self._dead_letter_count += result.letters - sum(len(remains.letters) for remains in turn.dead)
        self._dead_letter_bytes += result.letter_bytes - sum(r.size for r in turn.dead if r.has_body)
        if result.spools:
            self._writing.submit(partial(self._spool.remove, result.spools), self._removed)
        gone, edited = set(result.removed), set(result.edited)
        for change in commit.changes:
            if not change.future.done():
                change.future.set_result(len((gone if change.packet is None else edited).intersection(change.ids)))
        for move in commit.moves:
            if not move.future.done():
                move.future.set_result(None)
        if was_buried and not self._is_buried:
            self._notify()
        if turn.callbacks and self.on_callback is not None:
            self.on_callback()

    # -- acknowledging -----------------------------------------------------------------------------------

    def _finished(self, delivery: Delivery, account: Account, details: Details | None, remains: Remains | None) -> None:
        self._outbox.finished(delivery, details, remains, self._clock())
        self._flush_later()

    def _crashed(self, delivery: Delivery, blames: tuple[Blame, ...]) -> None:
        self._outbox.crashed(delivery, blames)
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

    # -- forgetting --------------------------------------------------------------------------------------

    def _count_receipts(self, commit: Commit) -> None:
        totals = self._totals
        count, size = totals.receipts, totals.receipt_bytes
        for _, _, entries, _, added, _ in commit.turn.receipts:
            count += entries
            size += added
        self._totals = totals._replace(receipts=count, receipt_bytes=size)
        limits = self._limits
        surplus, surplus_bytes = count - limits.receipts_kept, size - limits.receipts_bytes
        now = self._loop.time()
        if (
            surplus > max(1000, limits.receipts_kept // 20)
            or surplus_bytes > max(1 << 20, limits.receipts_bytes // 20)
            or now - self._pruned_at > _PRUNE_S
        ):
            self._pruned_at = now
            before = first_key(self._clock() - limits.receipts_s)
            prune = partial(self._store.prune, before, max(0, surplus), max(0, surplus_bytes))
            self._writing.submit(prune, self._pruned)

    def _pruned(self, gone: tuple[int, int, int] | None, error: BaseException | None) -> None:
        if gone is None:
            log.warning("old receipts were not forgotten; tried again later", exc_info=error)
            return
        totals = self._totals
        count, size, horizon = gone
        self._totals = totals._replace(receipts=totals.receipts - count, receipt_bytes=totals.receipt_bytes - size)
        self._forgotten = max(self._forgotten, horizon)

    # -- a disk that fails -------------------------------------------------------------------------------

    def _take_back(self, commit: Commit, error: BaseException) -> None:
        """A commit failed: nothing in it was accepted, and what it would have removed is still to be removed."""
        log.error("the queue's store failed; nothing is accepted until it works again", exc_info=error)
        self._failure = error
        appends, changes = self._outbox.take_back(commit)
        for append in appends:
            self._unreserve(append.header, body_bytes(append.body))
            # the row may be in the log all the same, and be found after a crash: its file stays until a later commit overwrote it
            if isinstance(append.body, Spooled):
                self._doubtful_spools.append(append.body.name)
            refusal = _store_error(error)
            if append.key is not None:
                self._keys.failed(append.key, refusal)
            elif not append.future.done():
                append.future.set_exception(refusal)
        for change in changes:
            if not change.future.done():
                change.future.set_exception(_store_error(error))
        self._tell_settled(None)
        if not self._is_closed:
            self._loop.call_later(self._probe_s, self._probe)

    def _probe(self) -> None:
        if not self._is_closed:
            self._writing.submit(self._store.sync, self._probed)

    def _probed(self, _: object, error: BaseException | None) -> None:
        if error is not None:
            self._failure = error
            self._loop.call_later(self._probe_s, self._probe)
            return
        log.info("the queue's store works again")
        self._failure = None
        doubtful, self._doubtful_spools = self._doubtful_spools, []
        if doubtful:
            self._writing.submit(partial(self._spool.remove, doubtful), self._removed)
        self._kick()

    def _sync(self) -> None:
        self._sync_timer = None
        self._writing.submit(self._store.sync, self._synced)

    def _synced(self, _: object, error: BaseException | None) -> None:
        if error is not None and self._failure is None:
            log.error("the queue's store failed to sync; nothing is accepted until it works again", exc_info=error)
            self._failure = error
            self._loop.call_later(self._probe_s, self._probe)

    # -- waiting for the store ---------------------------------------------------------------------------

    async def _settled(self) -> None:
        """Wait until what was acknowledged so far is in the store (or the store failed)."""
        if self._failure is not None or not (self._is_busy or self._outbox):
            return
        number = self._outbox.taken
        if self._outbox:
            self._outbox.is_flush_due = True
            number += 1
            self._kick_soon()
        future: asyncio.Future[None] = self._loop.create_future()
        self._settling.append((number, future))
        await future

    def _tell_settled(self, number: int | None) -> None:
        """The commit ``number`` is through, or the store failed: nothing more is going to be written for now."""
        if not self._settling:
            return
        waiting, self._settling = self._settling, []
        for due, future in waiting:
            if number is not None and due > number and self._outbox:
                self._settling.append((due, future))
            elif not future.done():
                future.set_result(None)

    # -- the rest ----------------------------------------------------------------------------------------

    def stats(self) -> QueueStats:
        return self._stats(is_failed=self._failure is not None)

    def capabilities(self) -> Capabilities:
        return Capabilities(is_durable=True, is_shared=False, durability=self._durability)

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        for timer in (self._timer, self._ack_timer, self._sync_timer):
            if timer is not None:
                timer.cancel()
        while self._failure is None and (self._is_busy or self._outbox):
            await self._settled()
        if self._durability == "interval" and self._failure is None:
            await self._writing.call(self._store.sync)
        self._reading.stop()
        await self._writing.call(self._store.close)
        self._abandon()

    def _abandon(self) -> None:
        self._reading.stop()
        self._writing.stop()
        self._claim.release()


def _store_error(error: BaseException) -> StoreError:
    """One of its own for each who is told, of the same kind."""
    if isinstance(error, StoreError):
        return type(error)(error.message, code=error.code, where=error.where)
    return StoreError(f"the queue's commit failed: {error!r}; see the log of the server")
