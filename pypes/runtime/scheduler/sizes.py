"""Sizes: estimated bytes of the packets that wait on the wires of a filter, each measured once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.wire import Wire, size_of


class Sizes:
    """Sizes of what waits on some wires, by chunk in the order of its packets."""

    __slots__ = ("_chunks", "_measured", "_total")

    def __init__(self) -> None:
        self._chunks: dict[tuple[Wire, Epoch], deque[int]] = {}
        #: By wire, how many of its packets have been measured.
        self._measured: dict[Wire, int] = {}
        self._total = 0

    def total(self, wires: Sequence[Wire]) -> int:
        """Bytes of all that waits on ``wires``; measures those packets that came since it was last asked."""
        for wire in wires:
            new = wire.packets - self._measured.get(wire, 0)
            if not new:
                continue
            self._measured[wire] = wire.packets
            # PERF: what is new is at the end of chunks, and nearly always of the last ones
            for epoch, (values, _) in reversed(wire.waiting.items()):
                sizes = self._chunks.setdefault((wire, epoch), deque())
                for value in islice(values, len(sizes), None):
                    size = size_of(value)
                    sizes.append(size)
                    self._total += size
                    new -= 1
                if not new:
                    break
        return self._total

    def fitting(self, wire: Wire, room_bytes: int, *, is_first: bool) -> int:
        """The number of packets of a wire's oldest chunk that fit into so many bytes; the first of a batch always fits."""
        epoch = next(iter(wire.waiting), None)
        count = 0
        for size in self._chunks[wire, epoch] if epoch is not None else ():
            room_bytes -= size
            if room_bytes < 0 and not (is_first and not count):
                break
            count += 1
        return count

    def take(self, wire: Wire, epoch: Epoch, count: int) -> int:
        """Forget the first packets of a chunk, which were taken; returns their bytes."""
        sizes = self._chunks[wire, epoch]
        taken = sum(sizes.popleft() for _ in range(count))
        if not sizes:
            del self._chunks[wire, epoch]
        self._measured[wire] -= count
        self._total -= taken
        return taken

    def clear(self) -> None:
        """Forget all: packets were put back in front of others."""
        self._chunks.clear()
        self._measured.clear()
        self._total = 0
