"""Reads bodies that a queue keeps only in its store back into memory: in time, and past damaged rows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pypes.ingest.backlog.backlog import Backlog
from pypes.ingest.backlog.deliveries import Delivery, Part
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.outcome import MOST_NAMED
from pypes.ingest.queues.committer import Committer
from pypes.ingest.queues.store_thread import StoreThread
from pypes.ingest.receipt import ReceiptIds
from pypes.ingest.store.rows import Row
from pypes.ingest.store.spool import SpoolDir
from pypes.ingest.store.store import Store

log = logging.getLogger(__name__)

_READ_BYTES = 8 << 20
_READ_TRIES = 3  # of what the disk does not give, before it no longer holds up what is behind it


class Refill:
    """Reads ahead in a thread while less is in memory than may be. ``probe_s``: time between tries of what cannot be read.

    ``bury(delivery, code, reason)`` is to finish a delivery whose body is lost, ``write_off(graph, bytes)`` to free the room of
    bodies that nobody can tell apart any more, ``on_read(has_lost)`` is called when something was read, with all that done.
    """

    def __init__(
        self,
        thread: StoreThread,
        store: Store,
        spool: SpoolDir,
        backlog: Backlog,
        committer: Committer,
        *,
        node: int,
        shard: int,
        max_bytes: int,
        probe_s: float,
        bury: Callable[[Delivery, str, str], None],
        write_off: Callable[[str, int], None],
        on_read: Callable[[bool], None],
    ) -> None:
        #: True while something is being read.
        self.is_busy = False
        self._loop = asyncio.get_running_loop()
        self._thread = thread
        self._store = store
        self._spool = spool
        self._backlog = backlog
        self._committer = committer
        self._node = node
        self._shard = shard
        self._max_bytes = min(_READ_BYTES, max_bytes)
        self._probe_s = probe_s
        self._bury = bury
        self._write_off = write_off
        self._on_read = on_read
        self._failures = 0
        #: Set while what could not be read is to be tried again.
        self._retry: asyncio.TimerHandle | None = None

    def fetch(self) -> None:
        """Something waits in the store only: read what goes next, unless enough is in memory."""
        if self.is_busy or self._retry is not None or self._committer.is_closed:
            return
        wanted = self._backlog.cache.wanted(self._max_bytes)
        if wanted:
            self.is_busy = True
            keys = [part.group.key for part in wanted]
            is_last_try = self._failures >= _READ_TRIES and self._committer.failure is None
            self._thread.submit(partial(self._store.load, keys, is_last_try=is_last_try), partial(self._fetched, wanted))

    def close(self) -> None:
        """Try nothing again."""
        if self._retry is not None:
            self._retry.cancel()

    def _try_again(self) -> None:
        self._retry = None
        self.fetch()

    def _fetched(self, wanted: list[Part], rows: list[Row] | None, error: BaseException | None) -> None:
        self.is_busy = False
        if self._committer.is_closed:
            return
        if rows is None:
            if not self._failures:
                log.error(
                    "waiting deliveries cannot be read from the store; trying again until the read succeeds", exc_info=error
                )
            self._failures += 1
            self._retry = self._loop.call_later(self._probe_s, self._try_again)
            return
        self._failures = 0
        rows_by_key = {row.key: row for row in rows}
        lost: list[Delivery] = []
        damaged: list[tuple[Part, list[Delivery | None], str]] = []
        for part in wanted:
            row = rows_by_key[part.group.key]
            deliveries = self._deliveries_of(part, row, lost)
            if self._backlog.cache.fill(part, deliveries) and row.entries is None:
                damaged.append((part, deliveries, row.damage))
        for delivery in lost:
            if delivery.backlog is None:  # it stays in the store for now
                continue
            self._backlog.withdraw(delivery)
            self._bury(delivery, "store.spool_missing", "the file with the body is gone; post the document again")
        for part, deliveries, damage in damaged:
            self._bury_damaged(part, [delivery for delivery in deliveries if delivery is not None], damage)
        self._on_read(bool(lost or damaged))
        if self._backlog.cache.is_starved:
            self.fetch()

    def _deliveries_of(self, part: Part, row: Row, lost: list[Delivery]) -> list[Delivery | None]:
        """The unfinished deliveries of a part that was read, by position; those whose file is gone are added to ``lost``."""
        group = part.group
        ids = ReceiptIds(self._node, self._shard, group.key, group.salt)
        deliveries: list[Delivery | None] = [None] * group.entries
        for position in part.positions if part.positions is not None else range(group.entries):
            if group.account(position) is not None:  # acknowledged before a restart
                continue
            entry = row.entries[position] if row.entries is not None else None
            if entry is None:
                header = row.headers[position] if row.headers is not None else Header("")
                deliveries[position] = Delivery(group, position, ids[position], header, b"", None)
                continue
            header, body, spool, size = entry
            found = Spooled(str(self._spool.path / spool), size) if spool else body
            deliveries[position] = delivery = Delivery(group, position, ids[position], header, found, None)
            if isinstance(found, Spooled) and not Path(found.path).exists():
                lost.append(delivery)
        return deliveries

    def _bury_damaged(self, part: Part, unfinished: list[Delivery], reason: str) -> None:
        """A row cannot be read: its deliveries are finished as failed, by name, and it is left as it is."""
        group = part.group
        named = unfinished[:MOST_NAMED]
        about = {"graphs": sorted({each.header.graph for each in unfinished}), "receipt": [each.id for each in named]}
        log.error(
            "deliveries of the queue are damaged and cannot be run: %s",
            reason,
            extra={"shard": self._shard, "commit": group.key, "deliveries": len(unfinished), **about},
        )
        self._committer.buffer.damaged(group, reason)
        assert part.backlog is not None
        self._write_off(part.backlog.stream.graph, self._backlog.write_off(part))
        for delivery in unfinished:
            self._backlog.withdraw(delivery)
            text = f"{reason}; receipt {delivery.id} of shard {self._shard}: post the document again"
            self._bury(delivery, "store.damaged", text)
