"""What every queue that keeps its order in memory does alike: leases, acknowledgement, waiting for receipts."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence

from msgspec import structs

from pypes.core.limits import Limits
from pypes.errors import QueueFull
from pypes.ingest.backlog import Backlog, Delivery, Group, counts_of
from pypes.ingest.delivery import Spooled, body_bytes
from pypes.ingest.outbox import Letter
from pypes.ingest.outcome import Blame, DeadLetter, Outcome, dead_letter_id
from pypes.ingest.protocol import Rerun
from pypes.ingest.queue import Callback, Lease, Queue, QueueStats, Stream
from pypes.ingest.receipt import DocumentReport, Receipt, ReceiptId, rfc3339

_MAX_RETRY_AFTER_S = 30.0


class LeasingQueue(Queue):
    """Base of the in-memory and the embedded queue. Subclasses keep what :meth:`_finished` and the others tell them."""

    def __init__(
        self, *, node: int, shard: int, limits: Limits, max_cached_bytes: int | None, clock: Callable[[], float]
    ) -> None:
        self._node = node
        self._shard = shard
        self._limits = limits
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        # tokens of an earlier life of this queue must not be valid in this one
        self._backlog = Backlog(time.time_ns(), max_cached_bytes)
        self._deliveries = 0
        self._bytes = 0
        self._appended = 0
        self._acknowledged = 0
        self._dead_letter_count = 0
        self._waiters: dict[tuple[int, int], list[asyncio.Future[None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    # -- what a subclass keeps ---------------------------------------------------------------------------

    @abstractmethod
    def _finished(self, delivery: Delivery, letters: Sequence[Letter]) -> None:
        """A delivery was finished: its group knows the counts; keep that, and its dead letters."""

    @abstractmethod
    def _crashed(self, delivery: Delivery) -> None:
        """The count of crashes of a delivery changed; keep it."""

    @abstractmethod
    def _fetch(self) -> None:
        """Something waits in the store only; bring what goes next unless enough is in memory, then call :meth:`_notify`."""

    # -- appending ---------------------------------------------------------------------------------------

    def _reserve(self, body: bytes | Spooled) -> None:
        size = body_bytes(body)
        limits = self._limits
        if self._deliveries >= limits.queue_max_deliveries or self._bytes + size > limits.queue_max_bytes:
            # a queue with much in it needs longer until it takes more
            retry_after_s = min(_MAX_RETRY_AFTER_S, 1.0 + self._deliveries / 50_000)
            raise QueueFull("the queue is full; post again after the time in Retry-After", retry_after_s=retry_after_s)
        self._deliveries += 1
        self._bytes += size

    def _unreserve(self, size: int) -> None:
        self._deliveries -= 1
        self._bytes -= size

    # -- leases ------------------------------------------------------------------------------------------

    def streams(self) -> list[Stream]:
        raise NotImplementedError

    def lease(self, n: int, max_bytes: int, ttl_s: float | None = None, stream: Stream | None = None) -> list[Lease]:
        now = self._loop.time()
        backlog = self._backlog
        backlog.tick(now)
        backlog.now_ms = int(self._clock() * 1000)
        leases = backlog.lease(n, max_bytes, None if ttl_s is None else now + ttl_s)
        if ttl_s is not None:
            self._set_timer()
        if backlog.has_cold:
            self._fetch()
        return leases

    def extend(self, lease: Lease, ttl_s: float) -> bool:
        self._backlog.tick(self._loop.time())
        is_valid = self._backlog.extend(lease.token, self._loop.time() + ttl_s)
        self._set_timer()
        return is_valid

    def ack(self, lease: Lease, outcome: Outcome, id: str | None = None) -> bool:
        delivery = self._backlog.settle(lease.token)
        if delivery is None:
            return False
        letters: list[Letter] = [(letter, lease.id, None, None) for letter in outcome.dead_letters]
        if outcome.keeps_body and letters:
            first = letters[0][0]
            if isinstance(lease.body, Spooled):
                letters[0] = (first, lease.id, lease.header, lease.body.name)
            else:
                letters[0] = (structs.replace(first, packet=lease.body), lease.id, lease.header, None)
        self._finish(delivery, outcome, letters)
        return True

    def _finish(self, delivery: Delivery, outcome: Outcome, letters: Sequence[Letter]) -> None:
        group = delivery.group
        ms = max(0, int(self._clock() * 1000) - (group.key >> 6))
        group.finish(delivery.position, counts_of(delivery.header, outcome, ms))
        self._deliveries -= 1
        self._bytes -= len(delivery.body)
        self._acknowledged += 1
        self._dead_letter_count += len(letters)
        self._finished(delivery, letters)
        if self._waiters:
            for waiter in self._waiters.pop((group.key, delivery.position), ()):
                if not waiter.done():
                    waiter.set_result(None)

    def nack(self, lease: Lease, delay_s: float = 0.0, reason: str = "", suspect: bool = False) -> bool:
        delivery = self._backlog.settle(lease.token)
        if delivery is None:
            return False
        delivery.is_suspect = delivery.is_suspect or suspect
        self._backlog.give_back(delivery, self._loop.time() + delay_s if delay_s > 0 else None)
        if delay_s > 0:
            self._set_timer()
        else:
            self._loop.call_soon(self._notify)
        return True

    def record_crash(self, lease: Lease) -> int:
        delivery = self._backlog.leased.get(lease.token)
        if delivery is None:
            return lease.crashes
        delivery.crashes += 1
        group = delivery.group
        group.crashes = {**(group.crashes or {}), delivery.position: delivery.crashes}
        self._crashed(delivery)
        return delivery.crashes

    def dead_letter(self, lease: Lease, code: str, reason: str) -> bool:
        delivery = self._backlog.settle(lease.token)
        if delivery is None:
            return False
        self._bury(delivery, code, reason)
        return True

    def blame(self, lease: Lease, blame: Blame) -> None:
        raise NotImplementedError

    def committed(self, lease: Lease, publisher: str, documents: Sequence[int]) -> None:
        raise NotImplementedError

    def rerun(self, lease: Lease) -> Rerun | None:
        return None

    async def documents(self, id: str, limit: int, after: int = -1) -> list[DocumentReport] | None:
        raise NotImplementedError

    async def receipts(self, state: str | None, since: float, limit: int, after: str = "") -> list[Receipt]:
        raise NotImplementedError

    async def callbacks(self, now: float, limit: int) -> list[Callback]:
        return []

    async def next_callback(self) -> float | None:
        return None

    def callback_done(self, receipt: str) -> None:
        raise NotImplementedError

    def callback_failed(self, receipt: str, due: float) -> None:
        raise NotImplementedError

    def _bury(self, delivery: Delivery, code: str, reason: str) -> None:
        header, body, receipt = delivery.header, delivery.body, delivery.id
        spool = body.name if isinstance(body, Spooled) else None
        letter = DeadLetter(
            id=dead_letter_id(receipt, 0, ""),
            documents=(),
            graph=header.graph,
            version=0,
            filter="",
            component="",
            code=code,
            error=reason,
            traceback="",
            attempts=delivery.attempt,
            packet=b"" if isinstance(body, Spooled) else body,
            time=self._clock(),
        )
        self._finish(delivery, Outcome(failed=header.documents), [(letter, receipt, header, spool)])

    # -- telling what became leasable --------------------------------------------------------------------

    def _notify(self) -> None:
        if self.on_ready is not None and self._backlog.is_leasable:
            self.on_ready()

    def _set_timer(self) -> None:
        due = self._backlog.next_due()
        if self._timer is not None:
            if due is not None and self._timer.when() <= due and not self._timer.cancelled():
                return
            self._timer.cancel()
        self._timer = None if due is None else self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        # a timer may ring a little early: what is due within a millisecond is due
        if self._backlog.tick(self._loop.time() + 0.001):
            self._notify()
        self._set_timer()

    # -- receipts ----------------------------------------------------------------------------------------

    async def wait_receipt(self, id: str, wait_s: float) -> Receipt | None:
        rid = ReceiptId.parse(id)
        group = self._find(rid)
        if group is not None and group.counts(rid.position) is None and wait_s > 0:
            waiters = self._waiters.setdefault((rid.key, rid.position), [])
            waiter = self._loop.create_future()
            waiters.append(waiter)
            timer = self._loop.call_later(wait_s, _wake, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                waiters.remove(waiter)
                if not waiters and self._waiters.get((rid.key, rid.position)) is waiters:
                    del self._waiters[rid.key, rid.position]
        return await self.receipt(id)

    def _find(self, rid: ReceiptId) -> Group | None:
        group = self._backlog.groups.get(rid.key)
        if group is None or (rid.node, rid.shard, rid.salt) != (self._node, self._shard, group.salt):
            return None
        return group if rid.position < group.entries else None

    def _unfinished_receipt(self, rid: ReceiptId, accepted: int, is_taken: bool) -> Receipt:
        state = "processing" if is_taken else "queued"
        return Receipt(str(rid), state, accepted, 0, 0, 0, accepted, rfc3339(rid.received))

    def _finished_receipt(self, rid: ReceiptId, counts: Sequence[int]) -> Receipt:
        accepted, published, dropped, failed, ms = counts
        state = "failed" if failed else "done"
        finished = rfc3339(rid.received + ms / 1000)
        return Receipt(str(rid), state, accepted, published, dropped, failed, 0, rfc3339(rid.received), None, finished)

    # -- statistics --------------------------------------------------------------------------------------

    def _stats(self, *, is_failed: bool) -> QueueStats:
        backlog = self._backlog
        leased, delayed = len(backlog.leased), backlog.delayed
        oldest = next((g for g in backlog.groups.values() if g.remaining), None)
        return QueueStats(
            deliveries=self._deliveries,
            bytes=self._bytes,
            ready=self._deliveries - leased - delayed,
            leased=leased,
            delayed=delayed,
            appended=self._appended,
            acknowledged=self._acknowledged,
            dead_letters=self._dead_letter_count,
            cached_bytes=backlog.cached_bytes,
            oldest_s=max(0.0, self._clock() - (oldest.key >> 6) / 1000) if oldest else 0.0,
            commits=len(backlog.groups),
            is_failed=is_failed,
        )


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
