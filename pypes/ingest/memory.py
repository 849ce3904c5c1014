"""The in-memory queue: for tests and for graphs run without a server; nothing in it outlives the process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pypes.core.limits import Limits
from pypes.errors import StoreError
from pypes.ingest.backlog import Delivery, Group
from pypes.ingest.deadletter import KeptLetter, LetterGroup, LetterQuery
from pypes.ingest.delivery import Header, Spooled
from pypes.ingest.leasing import LeasingQueue
from pypes.ingest.outbox import Letter
from pypes.ingest.outcome import DeadLetter
from pypes.ingest.queue import Capabilities, Key, QueueStats
from pypes.ingest.receipt import Receipt, ReceiptId, ReceiptIds, commit_key


class MemoryQueue(LeasingQueue):
    """A queue in memory; make it inside a running event loop."""

    def __init__(
        self, *, limits: Limits | None = None, node: int = 0, shard: int = 0, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(node=node, shard=shard, limits=limits or Limits(), max_cached_bytes=None, clock=clock)
        self._last_key = 0
        self._finished_groups: dict[int, Group] = {}
        self._dead: dict[str, tuple[DeadLetter, Header | None, bytes | Spooled]] = {}
        self._is_closed = False

    def append(
        self, header: Header, body: bytes | Spooled, decoded: bytes | None = None, key: Key | None = None
    ) -> asyncio.Future[str]:
        if self._is_closed:
            raise StoreError("the queue is closed", code="store.closed")
        self._reserve(body)
        self._last_key = commit_key(self._clock(), self._last_key)
        group = Group(self._last_key, 0, len(body), 1)
        id = ReceiptIds(self._node, self._shard, group.key, 0)[0]
        self._backlog.add(group, [Delivery(group, 0, id, header, body, decoded)])
        self._appended += 1
        future: asyncio.Future[str] = self._loop.create_future()
        future.set_result(id)
        self._loop.call_soon(self._notify)
        return future

    def _finished(self, delivery: Delivery, letters: Sequence[Letter]) -> None:
        group = delivery.group
        del self._backlog.groups[group.key]
        self._finished_groups[group.key] = group
        while len(self._finished_groups) > self._limits.receipts_kept:
            del self._finished_groups[next(iter(self._finished_groups))]
        for letter, _, header, _ in letters:
            self._dead[letter.id] = (letter, header, delivery.body)
        if isinstance(delivery.body, Spooled) and not any(spool for *_, spool in letters):
            Path(delivery.body.path).unlink(missing_ok=True)

    def _crashed(self, delivery: Delivery) -> None:
        """Nothing outlives the process, so there is nothing to keep."""

    def _fetch(self) -> None:
        """Everything is in memory already."""

    async def receipt(self, id: str) -> Receipt | None:
        rid = ReceiptId.parse(id)
        group = self._find(rid)
        if group is not None and group.deliveries is not None and (delivery := group.deliveries[0]) is not None:
            return self._unfinished_receipt(rid, delivery.header.documents, delivery.attempt > 0)
        finished = self._finished_groups.get(rid.key)
        if finished is None or rid.position or (rid.node, rid.shard, rid.salt) != (self._node, self._shard, 0):
            return None
        counts = finished.counts(0)
        return None if counts is None else self._finished_receipt(rid, counts)

    async def letters(self, query: LetterQuery | None = None, limit: int = 100, after: str = "") -> list[DeadLetter]:
        return [self._dead[id][0] for id in sorted(self._dead) if id > after][:limit]

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
        receipts = []
        for id in ids:
            _, header, body = self._dead.get(id, (None, None, b""))
            if header is not None:
                receipts.append(await self.append(header, body))
                del self._dead[id]
                self._dead_letter_count -= 1
        return receipts

    def stats(self) -> QueueStats:
        return self._stats(is_failed=False)

    def capabilities(self) -> Capabilities:
        return Capabilities(is_durable=False, is_shared=False, durability="never")

    async def close(self) -> None:
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
