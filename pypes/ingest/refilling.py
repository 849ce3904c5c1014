"""Bringing back what a queue keeps in its store only: in time, and past whatever is damaged."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.group import Delivery
from pypes.ingest.receipt import ReceiptIds
from pypes.ingest.recorded import RecordedQueue
from pypes.ingest.rows import Row
from pypes.ingest.waiting import Part

log = logging.getLogger(__name__)

_READ_BYTES = 8 << 20
_READ_TRIES = 3  # of what the disk does not give, before it no longer holds up what is behind it


class RefillingQueue(RecordedQueue):
    """Reads ahead in a thread while less is in memory than may be. ``probe_s``: time between tries of what cannot be read."""

    def __init__(self, *, probe_s: float, **options: Any) -> None:
        super().__init__(**options)
        self._probe_s = probe_s
        self._is_fetching = False
        self._unreadable = 0
        self._is_closed = False
        #: Why nothing can be written at the moment, None if it can.
        self._failure: BaseException | None = None

    def _fetch(self) -> None:
        if self._is_fetching or self._is_closed:
            return
        wanted = self._backlog.cache.wanted(min(_READ_BYTES, self._limits.cache_bytes))
        if wanted:
            self._is_fetching = True
            keys = [part.group.key for part in wanted]
            is_last_try = self._unreadable >= _READ_TRIES and self._failure is None
            self._reading.submit(partial(self._store.load, keys, is_last_try=is_last_try), partial(self._fetched, wanted))

    def _fetched(self, wanted: list[Part], rows: list[Row] | None, error: BaseException | None) -> None:
        self._is_fetching = False
        if self._is_closed:
            return
        if rows is None:
            log.error("the queue cannot read what waits in it; tried again", exc_info=error)
            self._unreadable += 1
            self._loop.call_later(self._probe_s, self._fetch)
            return
        self._unreadable = 0
        rows_by_key = {row.key: row for row in rows}
        lost: list[Delivery] = []
        damaged: list[tuple[Part, list[Delivery | None], str]] = []
        for part in wanted:
            row = rows_by_key[part.group.key]
            deliveries = self._deliveries_of(part, row, lost)
            if self._backlog.cache.fill(part, deliveries) and row.entries is None:
                damaged.append((part, deliveries, row.damage))
        for delivery in lost:
            if delivery.waiting is None:  # it stays in the store for now
                continue
            self._backlog.withdraw(delivery)
            self._bury(delivery, "store.spool_missing", "the file with the body is gone; post the document again", has_body=False)
        for part, deliveries, damage in damaged:
            self._bury_damaged(part, [delivery for delivery in deliveries if delivery is not None], damage)
        self._notify()
        if self._backlog.cache.is_starved:
            self._fetch()

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
        receipts = [delivery.id for delivery in unfinished]
        log.error(
            "deliveries of the queue are damaged and cannot be run: %s",
            reason,
            extra={"shard": self._shard, "commit": group.key, "receipts": receipts},
        )
        self._outbox.damaged(group, reason)
        self._bytes -= self._backlog.write_off(part)
        for delivery in unfinished:
            self._backlog.withdraw(delivery)
            text = f"{reason}; receipt {delivery.id} of shard {self._shard}: post the document again"
            self._bury(delivery, "store.damaged", text, has_body=False)
