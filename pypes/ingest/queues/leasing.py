"""What every queue that keeps its order in memory does alike: room, leases, and telling when something is leasable.

How a lease ends and what is told about it then is in :mod:`pypes.ingest.queues.settling`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import abstractmethod
from collections.abc import Callable, Collection

from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.errors import LettersFull, QueueFull
from pypes.ingest.backlog.backlog import Backlog
from pypes.ingest.backlog.group import Delivery
from pypes.ingest.delivery import Header
from pypes.ingest.protocol import Rerun
from pypes.ingest.queue import Lease, Queue, QueueStats, Stream
from pypes.ingest.queues.drain import MAX_RETRY_S, DrainRate
from pypes.ingest.queues.shares import MOST, Shares

log = logging.getLogger(__name__)

#: Part of a full queue that must have drained before who was refused shall post again.
_SPARE = 0.01
#: Part of a queue up to which the bulk lane may fill it, so that what is live finds room.
_BULK_SHARE = 0.9


class LeasingQueue(Queue):
    """Base of the in-memory and the embedded queue. Subclasses keep what :meth:`_finished` and the others tell them."""

    def __init__(self, *, node: int, shard: int, limits: Limits, max_cached_bytes: int | None, clock: Clock) -> None:
        self._node = node
        self._shard = shard
        self._limits = limits
        self._times = clock
        self._clock = clock.now
        self._loop = asyncio.get_running_loop()
        # tokens of an earlier life of this queue must not be valid in this one
        self._backlog = Backlog(time.monotonic_ns(), max_cached_bytes)
        self._deliveries = 0
        self._bytes = 0
        #: Bodies that are being written to the disk and are not in the queue yet.
        self._arriving_bytes = 0
        self._appended = 0
        self._acknowledged = 0
        self._acknowledged_bytes = 0
        self._shares = Shares(limits, self._backlog.held)
        # below these no graph can be beyond its share
        self._shared_deliveries, self._shared_bytes = (
            int(MOST * b) for b in (limits.queue_max_deliveries, limits.queue_max_bytes)
        )
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

    def deployed(self, graphs: Collection[str]) -> None:
        self._watch(lambda: self._shares.deploy(graphs))

    def _watch(self, change: Callable[[], None]) -> None:
        """Make a change to the dead letters or the graphs that share; whoever may go on then is told."""
        before = frozenset(self._backlog.held)
        change()
        held = self._backlog.held
        if held == before:
            return
        for graph in held - before:
            reached = self._shares.reached_letters(graph)
            assert reached is not None
            log.warning(
                "a graph has so many dead letters that nothing more of it is taken or run until some are replayed or deleted",
                extra={"shard": self._shard, "graph": graph, "limit": reached.limit, "share": reached.share},
            )
        for graph in before - held:
            log.info("there is room for dead letters of a graph again", extra={"shard": self._shard, "graph": graph})
        if before - held:
            self._notify_soon()

    def check_room(self, size: int, graph: str = "", *, is_bulk: bool = False, is_replay: bool = False) -> None:
        """As in :class:`Queue`; a replay makes room among the dead letters itself."""
        limits = self._limits
        if graph in self._backlog.held and not is_replay:
            self._refuse_letters(graph)
        max_deliveries, max_bytes = limits.queue_max_deliveries, limits.queue_max_bytes
        if is_bulk:
            max_deliveries, max_bytes = int(_BULK_SHARE * max_deliveries), int(_BULK_SHARE * max_bytes)
        deliveries, total = self._deliveries, self._bytes + self._arriving_bytes
        if deliveries >= max_deliveries or total + size > max_bytes:
            retry_after_s = self._retry_after_s(deliveries + 1, total + size, max_deliveries, max_bytes)
            raise QueueFull("the queue is full; post again after the time in Retry-After", retry_after_s=retry_after_s)
        # PERF: far from full, no graph is looked at
        if graph and (deliveries + 1 > self._shared_deliveries or total + size > self._shared_bytes or is_bulk):
            self._check_share(graph, size, max_deliveries, max_bytes)

    def reserve_arriving(self, size: int, *, is_repeatable: bool = False) -> None:
        """As in :class:`Queue`."""
        if not is_repeatable:
            self.check_room(size)
        elif self._arriving_bytes + size > self._limits.queue_max_bytes:
            raise QueueFull("so much is arriving that the queue has no room for more; post again after the time in Retry-After")
        self._arriving_bytes += size

    def release_arriving(self, size: int) -> None:
        """As in :class:`Queue`."""
        self._arriving_bytes -= size

    def _check_share(self, graph: str, size: int, max_deliveries: int, max_bytes: int) -> None:
        reached = self._shares.reached(graph, size, (self._deliveries, self._bytes), (max_deliveries, max_bytes))
        if reached is None:
            return
        use, is_bytes = self._shares.uses[graph], reached.limit == "queue_max_bytes"
        share = (max_deliveries, reached.share) if is_bytes else (reached.share, max_bytes)
        raise QueueFull(
            f"graph {graph!r} fills its share of the queue ({reached.limit}: {reached.share} of {reached.bound}); "
            "post again after the time in Retry-After",
            retry_after_s=self._retry_after_s(use.deliveries + 1, use.bytes + size, *share),
            where=graph,
        )

    def _refuse_letters(self, graph: str) -> None:
        reached = self._shares.reached_letters(graph)
        assert reached is not None
        raise LettersFull(
            f"there is no room for more dead letters of graph {graph!r} ({reached.limit}: {reached.share} of {reached.bound}); "
            "replay or delete some, then post again",
            retry_after_s=MAX_RETRY_S,
            where=graph,
        )

    def _retry_after_s(self, deliveries: int, size: int, max_deliveries: int, max_bytes: int) -> float:
        """When so much will have become less than may be, at the pace of the drain."""
        self._show_drain(self._loop.time())
        return self._drain.retry_after_s(deliveries - int((1 - _SPARE) * max_deliveries), size - int((1 - _SPARE) * max_bytes))

    def _reserve(self, header: Header, size: int, *, is_replay: bool = False) -> None:
        """Make room for a delivery. Raises :class:`QueueFull`."""
        graph = header.graph
        self.check_room(size, graph, is_bulk=header.is_bulk, is_replay=is_replay)
        self._count(graph, 1, size)

    def _count(self, graph: str, deliveries: int, size: int) -> None:
        """So many deliveries and bytes of a graph are in the queue more (or less)."""
        self._deliveries += deliveries
        self._bytes += size
        use = self._shares.uses[graph]
        use.deliveries += deliveries
        use.bytes += size

    # -- leases ------------------------------------------------------------------------------------------

    def streams(self) -> list[Stream]:
        self._backlog.tick(self._loop.time())
        return self._backlog.streams()

    def is_held(self, graph: str) -> bool:
        return self._backlog.is_held(graph)

    def lease(self, n: int, max_bytes: int, ttl_s: float | None = None, stream: Stream | None = None) -> list[Lease]:
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
        assert delivery.waiting is not None
        # PERF: as _count(graph, -1, -size)
        self._deliveries -= 1
        self._bytes -= size
        use = self._shares.uses[delivery.waiting.stream.graph]
        use.deliveries -= 1
        use.bytes -= size
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
            dead_letters=self._shares.letters,
            cached_bytes=backlog.cache.bytes,
            oldest_s=max(0.0, self._clock() - (oldest.key >> 6) / 1000) if oldest else 0.0,
            commits=len(backlog.groups),
            is_failed=is_failed,
            drain_bytes_s=self._drain.rates[1],
            bulk_deliveries=bulk_deliveries,
            bulk_bytes=bulk_bytes,
            dead_letter_bytes=self._shares.letter_bytes,
            held=self._shares.held_deliveries,
        )
