"""Window of a stream at an instance: limits the deliveries in flight, so that a stuck publisher keeps no other stream waiting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Protocol, TypeVar

from pypes.core.limits import Limits
from pypes.ingest.contracts.leasing import Lease, Stream
from pypes.ingest.delivery import Spooled

#: The weight of a delivery in a window besides its body, in bytes.
OVERHEAD_BYTES = 512
#: The window of the bulk lane of a graph at one instance, per ingest worker (one delivery at least): a few milliseconds of work.
BULK_DELIVERIES = 64
BULK_DOCUMENTS = 128
BULK_BYTES = 1 << 20
#: A new measurement's weight in the running mean of the time that a delivery takes.
_WEIGHT = 0.2
#: Deliveries that an instance is done with in so many seconds, going by its pace, are given to it together.
AT_ONCE_S = 0.002
_LEAST_PACE_S = 1e-6


class Window:
    """Deliveries of one stream in flight on a link: ``count`` deliveries that weigh ``load`` bytes.

    ``moved_at``: when the first of them was sent, or one was acknowledged since; seconds of the loop's clock.
    ``was_flush_requested``: the instance was asked to let go of them. ``pace_s``: mean time in which it is done with a delivery
    while it has some; infinite as long as nothing was acknowledged.
    """

    __slots__ = ("count", "load", "moved_at", "pace_s", "was_flush_requested")

    def __init__(self) -> None:
        self.count = 0
        self.load = 0
        self.moved_at = 0.0
        self.pace_s = inf
        self.was_flush_requested = False

    def share(self, given: Sequence[Weighted], most: int, most_bytes: int) -> int:
        """The number of deliveries that go here together, one at least, before it is looked again who has least to do.

        PERF: a frame costs an instance as much as a dozen small documents, so what it is done with at once is not spread.
        """
        count = 0
        limit = min(len(given), most - self.count, int(AT_ONCE_S / max(self.pace_s, _LEAST_PACE_S)))
        load = self.load
        while count < limit and load < most_bytes:
            load += given[count].weight
            count += 1
        return max(1, count)

    def leave(self, deliveries: int, load: int, now: float) -> None:
        """Let go of deliveries that were acknowledged at this time."""
        self.count -= deliveries
        self.load -= load
        pace_s = (now - self.moved_at) / deliveries
        self.pace_s = pace_s if self.pace_s == inf else self.pace_s + _WEIGHT * (pace_s - self.pace_s)
        self.moved_at = now


class Weighted(Protocol):
    """A delivery, as far as windows go."""

    weight: int


class Windowed(Protocol):
    """A link, as far as its windows go."""

    def window(self, stream: Stream) -> Window: ...


L = TypeVar("L", bound=Windowed)


class Windows:
    """Sizes of windows, and weights of deliveries in them."""

    def __init__(self, limits: Limits) -> None:
        self._live = limits.window_deliveries, limits.window_bytes
        self._bulk = min(BULK_DELIVERIES, limits.window_deliveries), min(BULK_BYTES, limits.window_bytes)

    def bounds(self, stream: Stream) -> tuple[int, int]:
        """Deliveries and bytes that one instance may have of a stream; the last delivery may go beyond."""
        return self._bulk if stream.is_bulk else self._live

    def with_room(self, links: Iterable[L], stream: Stream) -> list[L]:
        """Those of ``links`` that have room for more of a stream."""
        count, load = self.bounds(stream)
        return [link for link in links if (window := link.window(stream)).count < count and window.load < load]

    def weight(self, lease: Lease) -> int:
        body = lease.body
        if lease.header.is_bulk:
            return max(OVERHEAD_BYTES + len(body), lease.header.documents * (BULK_BYTES // BULK_DOCUMENTS))
        if isinstance(body, Spooled):
            # it takes no memory on its way; but whoever reads it is busy for long
            return max(OVERHEAD_BYTES, min(body.size, self._live[1] // 8))
        return OVERHEAD_BYTES + len(body if lease.decoded is None else lease.decoded)
