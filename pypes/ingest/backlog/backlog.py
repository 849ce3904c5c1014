"""Waiting deliveries of a queue, in memory: order, leases, delays and progress. Pure bookkeeping, no clock, no loop, no store."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from msgspec import structs

from pypes.ingest.backlog.cache import Cache
from pypes.ingest.backlog.deliveries import Delivery, Group, Part, StreamBacklog
from pypes.ingest.backlog.key_locks import KeyLocks
from pypes.ingest.contracts.leasing import Lease, Stream
from pypes.ingest.contracts.queue import LaneUse
from pypes.ingest.delivery import Header
from pypes.ingest.ordering import Fresh, Overtaken, fresh_of
from pypes.ingest.outcome import Poison
from pypes.ingest.protocol import Rerun
from pypes.ingest.receipt import time_of


class Backlog:
    """Deliveries by stream, each in the order in which they were appended; those given back go first.

    Which of those that wait are in memory, up to ``max_cached_bytes``, is for :attr:`cache` to say. Deliveries with order keys
    are let go by the :class:`KeyLocks` of their graph.
    """

    def __init__(self, first_token: int, max_cached_bytes: int | None = None) -> None:
        self.groups: dict[int, Group] = {}
        self.leased: dict[int, Delivery] = {}
        #: Records of earlier runs of deliveries, by commit key and position: poisons.
        self.past: dict[tuple[int, int], Rerun] = {}
        #: Graphs of which nothing is lent for now; kept by whoever leases.
        self.held: set[str] = set()
        self._streams: dict[Stream, StreamBacklog] = {}
        self.cache = Cache(self._streams, max_cached_bytes)
        self._locks: dict[str, KeyLocks] = {}
        self._delayed: list[tuple[float, int, Delivery]] = []
        self._token = first_token
        #: The time of day, ms since the epoch, which :meth:`lease` notes as the first hand-over; kept by whoever leases.
        self.now_ms = 0

    @property
    def delayed(self) -> int:
        return len(self._delayed)

    @property
    def bulk(self) -> tuple[int, int]:
        """Unfinished deliveries and bytes of bulk lanes."""
        lanes = [backlog for backlog in self._streams.values() if backlog.is_bulk]
        return sum(lane.deliveries for lane in lanes), sum(lane.bytes for lane in lanes)

    def lanes(self, now: float) -> dict[str, dict[str, LaneUse]]:
        """By graph and lane, what is not done at ``now`` (seconds of the node's clock), lent or not."""
        oldest = {backlog: key for backlog in self._streams.values() if (key := backlog.oldest()) is not None}
        for delivery in (*self.leased.values(), *(delayed for _, _, delayed in self._delayed)):
            backlog, key = delivery.backlog, delivery.group.key
            assert backlog is not None
            if key < oldest.get(backlog, key + 1):
                oldest[backlog] = key
        found: dict[str, dict[str, LaneUse]] = {}
        for stream, backlog in self._streams.items():
            age_s = max(0.0, now - time_of(oldest[backlog])) if backlog in oldest else 0.0
            use = LaneUse(backlog.deliveries, backlog.documents, backlog.bytes, age_s)
            found.setdefault(stream.graph, {})["bulk" if stream.is_bulk else "live"] = use
        return found

    def unfinished(self, graph: str) -> int:
        """Deliveries of a graph in both lanes, lent or not."""
        return sum(backlog.deliveries for stream, backlog in self._streams.items() if stream.graph == graph)

    def waiting(self, stream: Stream) -> int:
        """Bytes of a stream's deliveries that are not lent: in memory, or as they are stored, whichever is more."""
        backlog = self._streams.get(stream)
        if backlog is None:
            return 0
        if backlog.bytes <= backlog.cached_bytes:  # PERF: asked for each body and each hand-over while bodies wait
            return backlog.cached_bytes
        lent = sum(len(delivery.body) for delivery in self.leased.values() if delivery.backlog is backlog)
        return max(backlog.cached_bytes, backlog.bytes - lent)

    def has_bulk(self, graph: str) -> bool:
        """True while bulk deliveries of a graph are unfinished, lent or not."""
        backlog = self._streams.get(Stream(graph, True))
        return backlog is not None and backlog.deliveries > 0

    def supersede(self, documents: Iterable[Fresh]) -> None:
        """Record live documents that came while bulk deliveries of their graph were unfinished.

        :meth:`add` notes that by itself; whoever restores a backlog says it again. Forgotten when the last of the bulk
        deliveries is finished.
        """
        for graph, key, commit, identity in documents:
            known = self._locks_of(graph).fresh.setdefault(key, {})
            known[identity] = max(commit, known.get(identity, 0))

    def _backlog_of(self, stream: Stream) -> StreamBacklog:
        backlog = self._streams.get(stream)
        if backlog is None:
            self._streams[stream] = backlog = StreamBacklog(stream)
        return backlog

    def _lane_of(self, header: Header) -> StreamBacklog:
        # a stream is equal to the tuple of what it holds, which is sooner made
        backlog = self._streams.get((header.graph, header.is_bulk))  # type: ignore[call-overload]
        return self._backlog_of(Stream(header.graph, header.is_bulk)) if backlog is None else backlog

    def _locks_of(self, graph: str) -> KeyLocks:
        locks = self._locks.get(graph)
        if locks is None:
            live, bulk = self._backlog_of(Stream(graph, False)), self._backlog_of(Stream(graph, True))
            self._locks[graph] = locks = KeyLocks(live, bulk)
        return locks

    # -- what comes --------------------------------------------------------------------------------------

    def add(self, group: Group, deliveries: list[Delivery | None]) -> None:
        """Put the deliveries of a new commit at the ends of their streams; what has no room in the cache is cold."""
        self.groups[group.key] = group
        group.deliveries = deliveries
        first = deliveries[0]
        if len(deliveries) == 1 and first is not None:
            # PERF: what comes one by one, as it does while little comes
            self._append(self._lane_of(first.header), group, [first])
            return
        lanes: dict[tuple[str, bool], list[Delivery]] = {}
        for delivery in deliveries:
            if delivery is not None:
                header = delivery.header
                lanes.setdefault((header.graph, header.is_bulk), []).append(delivery)
        for own in lanes.values():
            self._append(self._lane_of(own[0].header), group, own)

    def _append(self, backlog: StreamBacklog, group: Group, own: list[Delivery]) -> None:
        size = 0
        for delivery in own:
            delivery.backlog = backlog
            size += delivery.cached_bytes
            backlog.bytes += len(delivery.body)
            header = delivery.header
            backlog.documents += header.documents
            if header.keys and not backlog.is_bulk and self.has_bulk(header.graph):
                self.supersede(fresh_of(header.graph, header.keys, header.identities, group.key))
        backlog.deliveries += len(own)
        self.cache.keep(backlog, group, own, size)

    def restore(self, group: Group, parts: Iterable[tuple[Stream, list[int] | None, int, int, int]]) -> None:
        """Put a commit of an earlier life at the end, cold: stream, positions (None: all), what is unfinished in numbers."""
        self.groups[group.key] = group
        for stream, positions, deliveries, size, documents in parts:
            if deliveries:
                backlog = self._backlog_of(stream)
                backlog.deliveries += deliveries
                backlog.documents += documents
                backlog.bytes += size
                self.cache.defer(backlog, Part(group, positions, size))

    def write_off(self, part: Part) -> int:
        """The bodies of a part that was brought are lost, its deliveries are without; returns how many bytes they had."""
        assert part.backlog is not None
        part.backlog.bytes -= part.bytes
        return part.bytes

    def withdraw(self, delivery: Delivery) -> None:
        """Take out a delivery that was brought but never lent; it is the caller's to finish."""
        backlog = delivery.backlog
        assert backlog is not None
        if delivery.is_in_line:
            backlog.step_out(delivery)
            if delivery in backlog.free:
                backlog.free.remove(delivery)
        else:
            backlog.warm.remove(delivery)
        self.cache.take(backlog, delivery.cached_bytes)

    # -- leases ------------------------------------------------------------------------------------------

    @property
    def is_leasable(self) -> bool:
        held = self.held
        return any(backlog.is_leasable and backlog.stream.graph not in held for backlog in self._streams.values())

    def streams(self) -> list[Stream]:
        """Streams with something at hand that may run; with order keys, :meth:`lease` may find that it may not yet."""
        held = self.held
        return [b.stream for b in self._streams.values() if b.is_leasable and b.stream.graph not in held]

    def is_held(self, graph: str) -> bool:
        """True if deliveries of a graph wait for others of their keys to be finished."""
        locks = self._locks.get(graph)
        return locks is not None and (locks.live.is_held or locks.bulk.is_held)

    def lease(self, stream: Stream, n: int, max_bytes: int) -> list[Lease]:
        """As :meth:`Leasing.take`; call :meth:`tick` first to bring back due deliveries."""
        leases: list[Lease] = []
        backlog = self._streams.get(stream)
        if backlog is not None and stream.graph not in self.held:
            self._take(backlog, n, max_bytes, leases)
        return leases

    def _take(self, backlog: StreamBacklog, n: int, max_bytes: int, leases: list[Lease]) -> None:
        """Lend up to ``n`` of one stream."""
        returned, free, warm = backlog.returned, backlog.free, backlog.warm
        has_progress = False
        cached_bytes = 0
        backlog.is_barred = False
        while n > 0:
            if returned:
                source = returned
            elif free and backlog.has_free():
                source = free
            elif warm:
                source = warm
            else:
                break
            delivery = source[0]
            if source is warm and delivery.header.keys:
                if not backlog.look_at(delivery, self._locks_of(delivery.header.graph)):
                    break
                warm.popleft()
                has_progress = True
                continue
            size = len(delivery.body)
            if leases and size > max_bytes:
                break
            source.popleft()
            max_bytes -= size
            n -= 1
            cached_bytes += delivery.cached_bytes
            leases.append(self._lend(backlog, delivery))
        self.cache.take(backlog, cached_bytes)
        if self._locks and (has_progress or leases) and (locks := self._locks.get(backlog.stream.graph)) is not None:
            locks.unbar(backlog)

    def _lend(self, backlog: StreamBacklog, delivery: Delivery) -> Lease:
        self._token = token = self._token + 1
        if delivery.is_in_line and not delivery.attempt:
            backlog.step_out(delivery)
            if delivery.is_passable:
                self._locks[backlog.stream.graph].lock(delivery)
        rerun = self.rerun(delivery) if self.past or delivery.is_in_line else None
        delivery.token = token
        delivery.attempt += 1
        if not delivery.started:
            delivery.started = self.now_ms
        self.leased[token] = delivery
        return Lease(
            delivery.id,
            token,
            delivery.attempt,
            delivery.header,
            delivery.body,
            delivery.decoded,
            delivery.is_suspect,
            delivery.crashes,
            rerun,
        )

    def rerun(self, delivery: Delivery) -> Rerun | None:
        """History of a delivery that has run before; None for a first run."""
        superseded = Overtaken()
        backlog = delivery.backlog
        if delivery.header.keys and backlog is not None and backlog.is_bulk and backlog.stream.graph in self._locks:
            superseded = self._locks[backlog.stream.graph].superseded(delivery)
        past = self.past.get((delivery.group.key, delivery.position))
        if not any(superseded):
            return past
        return structs.replace(past or Rerun(), superseded=superseded)

    def poisons(self, delivery: Delivery) -> tuple[Poison, ...]:
        """The documents of a delivery that ended an instance."""
        past = self.past.get((delivery.group.key, delivery.position))
        return past.poisons if past is not None else ()

    def settle(self, token: int) -> Delivery | None:
        """End a lease; the delivery is the caller's to finish or to give back. None if the lease is not valid."""
        return self.leased.pop(token, None)

    def finish(self, *finished: Delivery) -> bool:
        """Deliveries of one stream that were settled (or withdrawn) are finished; True if that may have made another leasable."""
        backlog = finished[0].backlog
        assert backlog is not None
        backlog.deliveries -= len(finished)
        backlog.documents -= sum([delivery.header.documents for delivery in finished])
        backlog.bytes -= sum([len(delivery.body) for delivery in finished])
        locks = self._locks.get(backlog.stream.graph) if self._locks else None
        if locks is None:
            return False
        if backlog.is_bulk and not backlog.deliveries:
            locks.fresh.clear()
        locks.unbar(None)
        for delivery in finished:
            if delivery.is_in_line:
                for freed in locks.release(delivery):
                    assert freed.backlog is not None
                    freed.backlog.free.append(freed)
        return True

    def give_back(self, delivery: Delivery, due: float | None = None) -> None:
        """Make a delivery whose lease ended leasable again, at ``due`` or now."""
        backlog = delivery.backlog
        assert backlog is not None
        delivery.token = 0
        self.cache.put(backlog, delivery.cached_bytes)
        if due is None:
            backlog.returned.append(delivery)
        else:
            self._token += 1
            heapq.heappush(self._delayed, (due, self._token, delivery))

    def tick(self, now: float) -> bool:
        """Bring back due deliveries; True if there were any."""
        found = False
        while self._delayed and self._delayed[0][0] <= now:
            delivery = heapq.heappop(self._delayed)[2]
            assert delivery.backlog is not None
            delivery.backlog.returned.append(delivery)
            found = True
        return found

    def next_due(self) -> float | None:
        """Time of the next work for :meth:`tick`."""
        return self._delayed[0][0] if self._delayed else None
