"""Commits gathered changes to the store, one transaction at a time, in a thread, and handles a failing disk."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from functools import partial

from pypes.errors import StoreError
from pypes.ingest.delivery import Spooled
from pypes.ingest.queues.store_thread import StoreThread
from pypes.ingest.queues.write_buffer import Append, Change, Commit, Move, WriteBuffer
from pypes.ingest.receipt import MAX_SALT, commit_key
from pypes.ingest.store.spool import SpoolDir
from pypes.ingest.store.store import Store
from pypes.ingest.store.write_batch import Result, WriteBatch

log = logging.getLogger(__name__)

_ACK_DELAY_S = 0.01


class Committer:
    """Commits the content of ``buffer``: while one transaction syncs, the next gathers there.

    ``on_committed(commit, result)`` is called when one is through, ``on_refused(appends, changes, error)`` when it failed: none
    of these was accepted, and nothing is before the store works again, which is tried every ``probe_s`` seconds.
    """

    def __init__(
        self,
        thread: StoreThread,
        store: Store,
        spool: SpoolDir,
        buffer: WriteBuffer,
        *,
        durability: str,
        interval_s: float,
        probe_s: float,
        last_key: int,
        clock: Callable[[], float],
        on_committed: Callable[[Commit, Result], None],
        on_refused: Callable[[list[Append], list[Change | Move], BaseException], None],
    ) -> None:
        self.buffer = buffer
        #: The reason why nothing can be written at the moment, ``None`` if something can.
        self.failure: BaseException | None = None
        self.is_closed = False
        #: Time that the last commit took in its thread, in seconds.
        self.commit_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._thread = thread
        self._store = store
        self._spool = spool
        self._durability = durability
        self._interval_s = interval_s
        self._probe_s = probe_s
        self._last_key = last_key
        self._clock = clock
        self._on_committed = on_committed
        self._on_refused = on_refused
        self._random = random.Random()
        self._is_kicked = False
        self._is_busy = False
        self._doubtful_spools: list[str] = []
        self._flush_timer: asyncio.TimerHandle | None = None
        self._sync_timer: asyncio.TimerHandle | None = None
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    # -- committing --------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise :class:`StoreError` while nothing is accepted."""
        if self.is_closed:
            raise StoreError("the queue is closed", code="store.closed")
        if self.failure is None:
            return
        if isinstance(self.failure, StoreError):
            raise store_error(self.failure)
        raise StoreError(
            "the disk of the queue failed and accepts nothing at the moment; post again later",
            code="store.failed",
            where=str(self._store.path),
        )

    def kick_soon(self) -> None:
        """Commit the write buffer after this iteration of the loop, so that all requests read in one iteration share a commit."""
        if not self._is_kicked and not self._is_busy:
            self._is_kicked = True
            self._loop.call_soon(self._kick)

    def flush_later(self) -> None:
        """Commit within a moment, if nothing else makes a commit before."""
        if self._flush_timer is None:
            self._flush_timer = self._loop.call_later(_ACK_DELAY_S, self._flush)

    def _flush(self) -> None:
        self._flush_timer = None
        self.buffer.is_flush_due = True
        if not self._is_busy:
            self._kick()

    def _kick(self) -> None:
        self._is_kicked = False
        if self._is_busy or self.failure is not None:
            return
        key = commit_key(self._clock(), self._last_key)
        commit = self.buffer.take(key, self._random.getrandbits(MAX_SALT.bit_length()))
        if commit is None:
            self._notify_settled(self.buffer.taken)
            return
        if commit.batch.row is not None:
            self._last_key = key
        self._is_busy = True
        self._thread.submit(partial(self._write, commit.batch), partial(self._committed, commit))

    def _write(self, batch: WriteBatch) -> Result:
        """Commit, in the thread; there is one at a time."""
        began = time.perf_counter()
        result = self._store.commit(batch)
        self.commit_s = time.perf_counter() - began
        return result

    def _committed(self, commit: Commit, result: Result | None, error: BaseException | None) -> None:
        self._is_busy = False
        if result is None:
            assert error is not None
            self._take_back(commit, error)
            return
        self.buffer.written(commit)
        self._on_committed(commit, result)
        if commit.spools or result.spools:
            self._remove([*commit.spools, *result.spools])
        if self._durability == "interval" and self._sync_timer is None:
            self._sync_timer = self._loop.call_later(self._interval_s, self._sync)
        self._notify_settled(commit.number)
        self._kick()

    def _remove(self, spools: list[str]) -> None:
        self._thread.submit(partial(self._spool.remove, spools), _removed)

    # -- a disk that fails -------------------------------------------------------------------------------

    def _take_back(self, commit: Commit, error: BaseException) -> None:
        """Handle a failed commit: nothing in it was accepted, and its removals remain to be done."""
        log.error("the store of the queue failed; nothing is accepted until the store works again", exc_info=error)
        self.failure = error
        appends, changes = self.buffer.take_back(commit)
        # a row may be in the log all the same, and be found after a crash: its file stays until a later commit overwrote it
        self._doubtful_spools += [append.body.name for append in appends if isinstance(append.body, Spooled)]
        self._on_refused(appends, changes, error)
        self._notify_settled(None)
        if not self.is_closed:
            self._loop.call_later(self._probe_s, self._probe)

    def _probe(self) -> None:
        if not self.is_closed:
            self._thread.submit(self._store.sync, self._probed)

    def _probed(self, _: object, error: BaseException | None) -> None:
        if error is not None:
            self.failure = error
            self._loop.call_later(self._probe_s, self._probe)
            return
        log.info("the store of the queue works again")
        self.failure = None
        doubtful, self._doubtful_spools = self._doubtful_spools, []
        if doubtful:
            self._remove(doubtful)
        self._kick()

    def _sync(self) -> None:
        self._sync_timer = None
        self._thread.submit(self._store.sync, self._synced)

    def _synced(self, _: object, error: BaseException | None) -> None:
        if error is not None and self.failure is None:
            log.error("the store of the queue failed to sync; nothing is accepted until the store works again", exc_info=error)
            self.failure = error
            self._loop.call_later(self._probe_s, self._probe)

    # -- waiting for the store ---------------------------------------------------------------------------

    async def settled(self) -> None:
        """Wait until all acknowledgements so far are in the store (or the store failed)."""
        if self.failure is not None or not (self._is_busy or self.buffer):
            return
        number = self.buffer.taken
        if self.buffer:
            self.buffer.is_flush_due = True
            number += 1
            self.kick_soon()
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((number, future))
        await future

    def _notify_settled(self, number: int | None) -> None:
        """The commit ``number`` is through, or the store failed: nothing more is going to be written for now."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        for due, future in waiting:
            if number is not None and due > number and self.buffer:
                self._waiting.append((due, future))
            elif not future.done():
                future.set_result(None)

    async def close(self) -> None:
        """Accept nothing more, and make durable what there is unless the store failed."""
        self.is_closed = True
        for timer in (self._flush_timer, self._sync_timer):
            if timer is not None:
                timer.cancel()
        while self.failure is None and (self._is_busy or self.buffer):
            await self.settled()
        if self._durability == "interval" and self.failure is None:
            await self._thread.call(self._store.sync)


def _removed(_: object, error: BaseException | None) -> None:
    if error is not None:
        log.warning("spool files could not be removed; the next start removes them", exc_info=error)


def store_error(error: BaseException) -> StoreError:
    """One of its own for each who is told, of the same kind."""
    if isinstance(error, StoreError):
        return type(error)(error.message, code=error.code, where=error.where)
    return StoreError(f"the commit of the queue failed: {error!r}; see the log of the server")
