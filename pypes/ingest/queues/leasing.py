"""What every queue that keeps its order in memory does alike: room, leases, and telling when something is leasable.

How a lease ends and what is told about it then is in :mod:`pypes.ingest.queues.settling`.
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable

from pypes.core.limits import Limits
from pypes.errors import QueueFull
from pypes.ingest.backlog.backlog import Backlog
from pypes.ingest.backlog.group import Delivery
from pypes.ingest.delivery import Header
from pypes.ingest.protocol import Rerun
from pypes.ingest.queue import Lease, Queue, QueueStats, Stream
from pypes.ingest.queues.drain import MAX_RETRY_S, DrainRate

#: Part of a full queue that must have drained before who was refused shall post again.
_SPARE = 0.01
#: Part of a queue up to which the bulk lane may fill it, so that what is live finds room.
_BULK_SHARE = 0.9


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
        self._backlog = Backlog(time.monotonic_ns(), max_cached_bytes)
        self._deliveries = 0
        self._bytes = 0
        self._appended = 0
        self._acknowledged = 0
        self._acknowledged_bytes = 0
        self._dead_letter_count = 0
        self._dead_letter_bytes = 0
        #: What is known of earlier runs of deliveries, by commit key and position: blames, and what publishers have committed.
        self._past: dict[tuple[int, int], Rerun] = self._backlog.past
        self._drain = DrainRate(self._loop.time())
        self._timer: asyncio.TimerHandle | None = None
        self._is_notifying = False

    # -- what a subclass keeps ---------------------------------------------------------------------------

    @abstractmethod
    def _fetch(self) -> None:
        """Something waits in the store only; bring what goes next unless enough is in memory, then call :meth:`_notify`."""

    # -- appending ---------------------------------------------------------------------------------------

    @property
    def _is_buried(self) -> bool:
        """True while there are so many dead letters that nothing is taken or lent: there would be no room for what fails."""
        limits = self._limits
        return self._dead_letter_count >= limits.dead_letters_kept or self._dead_letter_bytes >= limits.dead_letters_bytes

    def check_room(self, size: int, *, is_bulk: bool = False, is_replay: bool = False) -> None:
        """As in :class:`Queue`; a replay makes room among the dead letters itself."""
        limits = self._limits
        if not is_replay and self._is_buried:
            raise QueueFull(
                "there is no room for more dead letters; replay or delete some, then post again",
                code="deadletters.full",
                retry_after_s=MAX_RETRY_S,
            )
        max_deliveries, max_bytes = limits.queue_max_deliveries, limits.queue_max_bytes
        if is_bulk:
            max_deliveries, max_bytes = int(_BULK_SHARE * max_deliveries), int(_BULK_SHARE * max_bytes)
        if self._deliveries >= max_deliveries or self._bytes + size > max_bytes:
            self._show_drain(self._loop.time())
            retry_after_s = self._drain.retry_after_s(
                self._deliveries + 1 - int((1 - _SPARE) * max_deliveries), self._bytes + size - int((1 - _SPARE) * max_bytes)
            )
            raise QueueFull("the queue is full; post again after the time in Retry-After", retry_after_s=retry_after_s)

    def _reserve(self, header: Header, size: int, *, is_replay: bool = False) -> None:
        """Make room for a delivery. Raises :class:`QueueFull`."""
        self.check_room(size, is_bulk=header.is_bulk, is_replay=is_replay)
        self._deliveries += 1
        self._bytes += size

    def _unreserve(self, size: int) -> None:
        """A delivery is not in the queue any more."""
        self._deliveries -= 1
        self._bytes -= size

    # -- leases ------------------------------------------------------------------------------------------

    def streams(self) -> list[Stream]:
        if self._is_buried:
            return []
        self._backlog.tick(self._loop.time())
        return self._backlog.streams()

    def is_held(self, graph: str) -> bool:
        return self._backlog.is_held(graph)

    def lease(self, n: int, max_bytes: int, ttl_s: float | None = None, stream: Stream | None = None) -> list[Lease]:
        if self._is_buried:
            return []
        now = self._loop.time()
        backlog = self._backlog
        backlog.tick(now)
        self._show_drain(now)
        backlog.now_ms = int(self._clock() * 1000)
        leases = backlog.lease(n, max_bytes, None if ttl_s is None else now + ttl_s, stream)
        if ttl_s is not None:
            self._set_timer()
        if backlog.cache.has_cold:
            self._fetch()
        return leases

    def extend(self, lease: Lease, ttl_s: float) -> bool:
        self._backlog.tick(self._loop.time())
        is_valid = self._backlog.extend(lease.token, self._loop.time() + ttl_s)
        self._set_timer()
        return is_valid

    def nack(self, lease: Lease, delay_s: float = 0.0, reason: str = "", suspect: bool = False) -> bool:
        delivery = self._backlog.settle(lease.token)
        if delivery is None:
            return False
        delivery.is_suspect = delivery.is_suspect or suspect
        self._backlog.give_back(delivery, self._loop.time() + delay_s if delay_s > 0 else None)
        if delay_s > 0:
            self._set_timer()
        else:
            self._notify_soon()
        return True

    def rerun(self, lease: Lease) -> Rerun | None:
        delivery = self._backlog.leased.get(lease.token)
        return None if delivery is None else self._backlog.rerun(delivery)

    def _ended(self, delivery: Delivery) -> None:
        """A delivery is finished: its room is free, and so are those that it kept waiting."""
        size = len(delivery.body)
        # PERF: as _unreserve(size)
        self._deliveries -= 1
        self._bytes -= size
        self._acknowledged += 1
        self._acknowledged_bytes += size
        if self._past:
            self._past.pop((delivery.group.key, delivery.position), None)
        if self._backlog.finish(delivery):
            self._notify_soon()

    # -- telling what became leasable --------------------------------------------------------------------

    def _notify_soon(self) -> None:
        """Tell after this turn of the loop, once for all that became leasable in it."""
        if not self._is_notifying:
            self._is_notifying = True
            self._loop.call_soon(self._notify)

    def _notify(self) -> None:
        self._is_notifying = False
        if self.on_ready is not None and self._backlog.is_leasable and not self._is_buried:
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

    def _show_drain(self, now: float) -> None:
        self._drain.show(self._acknowledged, self._acknowledged_bytes, now)

    # -- statistics --------------------------------------------------------------------------------------

    def _stats(self, *, is_failed: bool) -> QueueStats:
        self._show_drain(self._loop.time())
        backlog = self._backlog
        leased, delayed = len(backlog.leased), backlog.delayed
        bulk_deliveries, bulk_bytes = backlog.bulk
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
            cached_bytes=backlog.cache.bytes,
            oldest_s=max(0.0, self._clock() - (oldest.key >> 6) / 1000) if oldest else 0.0,
            commits=len(backlog.groups),
            is_failed=is_failed,
            drain_bytes_s=self._drain.rates[1],
            bulk_deliveries=bulk_deliveries,
            bulk_bytes=bulk_bytes,
            dead_letter_bytes=self._dead_letter_bytes,
        )
