"""Cache of bodies: tracks which waiting deliveries have theirs in memory, and which in the store only. Pure bookkeeping."""

from __future__ import annotations

from collections.abc import Sequence

from pypes.ingest.backlog.deliveries import Delivery, Group, Part, StreamBacklog
from pypes.ingest.contracts.leasing import Stream


class Cache:
    """Bounds the bodies kept for waiting deliveries to ``max_bytes`` (None: no bound).

    What is beyond it is *cold* (only the key of its commit is kept) until :meth:`wanted` asks for it and :meth:`fill` brings it.
    ``streams`` share that room: one that nobody takes from makes place for the others.
    """

    def __init__(self, streams: dict[Stream, StreamBacklog], max_bytes: int | None) -> None:
        #: The bytes in memory of all deliveries that wait.
        self.bytes = 0
        self._streams = streams
        self._max_bytes = max_bytes
        self._cold = 0

    @property
    def has_cold(self) -> bool:
        return self._cold > 0

    @property
    def is_starved(self) -> bool:
        """True if some stream has nothing at hand but something in the store."""
        return self._cold > 0 and any(b.cold and not b.warm for b in self._streams.values())

    def take(self, backlog: StreamBacklog, size: int) -> None:
        """Something of a stream that was in memory does not wait any more."""
        backlog.cached_bytes -= size
        self.bytes -= size

    def put(self, backlog: StreamBacklog, size: int) -> None:
        """Something that is in memory waits in a stream, again or from now on."""
        backlog.cached_bytes += size
        self.bytes += size

    def keep(self, backlog: StreamBacklog, group: Group, own: list[Delivery], size: int) -> None:
        """Put new deliveries of a commit at the end of a stream; they are cold if there is no room for their ``size``."""
        # nothing warm behind what is cold: bodies are kept for those that go next
        if not backlog.cold and self._make_room(backlog, size):
            backlog.warm.extend(own)
            self.put(backlog, size)
        else:
            backlog.cold.append(self._part(group, own))

    def defer(self, backlog: StreamBacklog, part: Part) -> None:
        """Put deliveries that are only in the store at the end of a stream."""
        backlog.cold.append(part)
        self._cold += 1

    def _share(self, limit: int, other: StreamBacklog | None = None) -> int:
        """Bytes that each stream may keep in memory while all (and this one) compete."""
        return max(1, limit // max(1, sum(1 for b in self._streams.values() if b.warm or b.cold or b is other)))

    def _make_room(self, backlog: StreamBacklog, size: int) -> bool:
        """Let streams that keep more than their share go cold from their ends until ``size`` fits; False if it does not."""
        limit = self._max_bytes
        if limit is None or self.bytes + size <= limit:
            return True
        if len(self._streams) == 1:
            return False
        share = self._share(limit, backlog)
        if backlog.cached_bytes + size > share:
            return False
        while self.bytes + size > limit:
            largest = max(self._streams.values(), key=lambda b: b.cached_bytes if b.can_cool else -1)
            if largest is backlog or not largest.can_cool or largest.cached_bytes <= share:
                return False
            self._cool(largest)
        return True

    def _cool(self, backlog: StreamBacklog) -> None:
        """Keep no bodies of the last commit at hand any more; it is in the store."""
        warm = backlog.warm
        group = warm[-1].group
        own: list[Delivery] = []
        while warm and warm[-1].group is group:
            own.append(warm.pop())
        size = sum(d.cached_bytes for d in own)
        self.take(backlog, size)
        own.reverse()
        backlog.cold.appendleft(self._part(group, own))

    def _part(self, group: Group, own: list[Delivery]) -> Part:
        deliveries = group.deliveries
        assert deliveries is not None
        size = 0
        for delivery in own:
            size += len(delivery.body)
            deliveries[delivery.position] = None
        if len(own) == group.entries:
            positions = None
            group.deliveries = None
        else:
            positions = [delivery.position for delivery in own]
        self._cold += 1
        return Part(group, positions, size)

    def wanted(self, max_bytes: int, max_groups: int = 256) -> list[Part]:
        """Next commits of a stream that keeps less than half its share, up to ``max_bytes`` (at least one commit)."""
        if not self._cold:
            return []
        limit = self._max_bytes
        share = None if limit is None else self._share(limit)
        hungry = [b for b in self._streams.values() if b.cold and (share is None or 2 * b.cached_bytes < share)]
        if not hungry:
            return []
        # those that have nothing at hand first, live before bulk
        backlog = min(hungry, key=lambda b: (bool(b.warm), b.is_bulk, b.cached_bytes))
        wanted: list[Part] = []
        for part in backlog.cold:
            if len(wanted) == max_groups or (wanted and part.bytes > max_bytes):
                break
            max_bytes -= part.bytes
            part.backlog = backlog
            wanted.append(part)
        return wanted

    def fill(self, part: Part, deliveries: Sequence[Delivery | None]) -> bool:
        """Add the bodies that :meth:`wanted` requested: by position, None for finished deliveries and other streams.

        To be called in that order. False if it stays in the store, because something in front of it went cold meanwhile.
        """
        backlog = part.backlog
        if backlog is None or not backlog.cold or backlog.cold[0] is not part:
            return False
        backlog.cold.popleft()
        self._cold -= 1
        group = part.group
        own: list[Delivery] = []
        for position in part.positions if part.positions is not None else range(group.entries):
            delivery = deliveries[position]
            if delivery is not None and group.account(position) is None:
                delivery.backlog = backlog
                own.append(delivery)
                if group.crashes and position in group.crashes:
                    delivery.crashes, delivery.is_suspect = group.crashes[position], True
        if group.deliveries is None:
            group.deliveries = [None] * group.entries
        size = 0
        for delivery in own:
            group.deliveries[delivery.position] = delivery
            size += delivery.cached_bytes
        self._make_room(backlog, size)
        backlog.warm.extend(own)
        self.put(backlog, size)
        return True
