"""Jams: a filter waits for room on the wire to a join, and the join waits for that filter.

Bounded queues can block a network of processes that would run for ever with unbounded ones. The relief is Parks' (Bounded
Scheduling of Process Networks, 1995): when nothing can run, the smallest full queue grows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pypes.runtime.scheduler.core import Core
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.lineage import Lineage
from pypes.runtime.scheduler.wire import Wire


class Jams:
    """Makes room where nothing else can: the smallest such wire grows up to a byte cap; then what goes there fails."""

    def __init__(self, core: Core) -> None:
        self._core = core
        #: Wires beyond their usual size.
        self.grown: set[Wire] = set()
        #: The number of times that this was the only way on.
        self.count = 0

    def resolve(self) -> bool:
        """Called when no filter can run; True if one can now."""
        core = self._core
        jammed = [wire for wire in core.wires if wire.parked is not None and self._waits_to_join(wire)]
        if not jammed:
            return False
        if core.flush_holds():
            return True
        self.count += 1
        wire = min(jammed, key=lambda full: full.packets)
        self.grown.add(wire)
        if self._size_bytes(wire) < core.limits.wire_bytes:
            wire.capacity = 2 * max(wire.capacity, wire.packets)
        elif core.awaits_something:
            return False  # what the join waits for may still come
        else:
            self._give_up(wire)
            wire.capacity = wire.packets + core.limits.wire_packets
        wire.unpark()
        return True

    def extend(self, wire: Wire) -> bool:
        """Let a wire grow further, as far as its byte cap; False if it has reached that."""
        size, most = self._size_bytes(wire), self._core.limits.wire_bytes
        if size >= most:
            return False
        self.grown.add(wire)
        wire.capacity = max(wire.packets + 1, int(wire.packets * min(2.0, most / size)) if size else 0)
        return True

    def restore(self, wire: Wire) -> None:
        """A wire need not be longer than usual any more; what is on it stays."""
        wire.capacity = wire.usual_capacity
        self.grown.discard(wire)
        if wire.parked is not None:
            wire.make_room()

    def _waits_to_join(self, wire: Wire) -> bool:
        target = self._core.target_of(wire)
        return target.is_join and not target.blocks

    def _size_bytes(self, wire: Wire) -> int:
        return wire.size_bytes() + self._core.target_of(wire).unloaded_bytes(wire)

    def _give_up(self, wire: Wire) -> None:
        """Fail all that is still sent here of the document that has most on the wire."""
        found = self._core.target_of(wire).largest(wire)
        if found is not None:
            epoch, documents = found
            wire.overflowed.setdefault(epoch, set()).update(documents)

    def refuse(
        self,
        fail: Callable[[Epoch, Any, Lineage, str, str], None],
        wire: Wire,
        epoch: Epoch,
        values: list[Any],
        lineages: Sequence[Lineage],
    ) -> tuple[list[Any], Sequence[Lineage]]:
        """Fail packets of documents that were given up on a wire; returns the others."""
        documents = wire.overflowed[epoch]
        reason = f"the wire {wire.label} is over its byte cap: a filter with several inputs waits for a document larger than that"
        left: list[tuple[Any, Lineage]] = []
        for value, lineage in zip(values, lineages, strict=True):
            if documents.isdisjoint((lineage,) if isinstance(lineage, int) else lineage or (-1,)):
                left.append((value, lineage))
            else:
                fail(epoch, value, lineage, "wire.overflow", reason)
        return [value for value, _ in left], [lineage for _, lineage in left]

    def shrink(self, epoch: Epoch) -> None:
        """An epoch is done: wires that had to grow go back to their size when they are empty."""
        for wire in list(self.grown):
            wire.overflowed.pop(epoch, None)
            if not wire.packets:
                wire.capacity = wire.usual_capacity
                self.grown.discard(wire)
