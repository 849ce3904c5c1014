"""Jams: a filter waits for room on the wire to a join, and the join waits for that filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.origins import Origin
from pypes.runtime.scheduler.wire import Wire

if TYPE_CHECKING:
    from pypes.runtime.scheduler.hub import Scheduler
    from pypes.runtime.scheduler.tasklet import Tasklet


class Jams:
    """Makes room where nothing else can: the smallest such wire grows up to a byte cap; then what goes there fails."""

    def __init__(self, hub: Scheduler) -> None:
        self._hub = hub
        #: Wires beyond their usual size.
        self.grown: set[Wire] = set()
        #: How often that was the only way on.
        self.count = 0

    def resolve(self) -> bool:
        """Called when no filter can run; True if one can now."""
        hub = self._hub
        jammed = [wire for wire in hub.wires if wire.parked is not None and self._waits_to_join(wire)]
        if not jammed:
            return False
        if hub.flush_holds():
            return True
        self.count += 1
        wire = min(jammed, key=lambda full: full.packets)
        self.grown.add(wire)
        if self._size_bytes(wire) < hub.limits.wire_bytes:
            wire.capacity = 2 * max(wire.capacity, wire.packets)
        elif hub.awaits_something:
            return False  # what the join waits for may still come
        else:
            self._give_up(wire)
            wire.capacity = wire.packets + hub.limits.wire_packets
        wire.unpark()
        return True

    def extend(self, wire: Wire) -> bool:
        """Let a wire grow further, as far as its byte cap; False if it has reached that."""
        size, most = self._size_bytes(wire), self._hub.limits.wire_bytes
        if size >= most:
            return False
        self.grown.add(wire)
        wire.capacity = max(wire.packets + 1, int(wire.packets * min(2.0, most / size)) if size else 0)
        return True

    def restore(self, wire: Wire) -> None:
        """A wire need not be longer than usual any more; what is on it stays."""
        wire.capacity = self._hub.limits.wire_packets
        self.grown.discard(wire)
        if wire.parked is not None:
            wire.make_room()

    def _waits_to_join(self, wire: Wire) -> bool:
        target = self._hub.task_of(wire)
        return target.is_join and not target.blocks

    def _size_bytes(self, wire: Wire) -> int:
        joining = self._hub.task_of(wire).joining
        return wire.size_bytes() + (joining.size_bytes(wire) if joining is not None else 0)

    def _give_up(self, wire: Wire) -> None:
        """What is still sent here of the document that has most on the wire fails."""
        joining = self._hub.task_of(wire).joining
        assert joining is not None
        found = joining.largest(wire)
        if found is not None:
            epoch, documents = found
            wire.overflowed.setdefault(epoch, set()).update(documents)

    def refuse(
        self, task: Tasklet, wire: Wire, epoch: Epoch, values: list[Any], origins: Sequence[Origin]
    ) -> tuple[list[Any], Sequence[Origin]]:
        """Fail what ``task`` sends of documents that were given up on a wire; returns the others."""
        documents = wire.overflowed[epoch]
        reason = f"the wire {wire.label} is over its byte cap: a filter with several inputs waits for a document larger than that"
        left: list[tuple[Any, Origin]] = []
        for value, origin in zip(values, origins, strict=True):
            if documents.isdisjoint((origin,) if isinstance(origin, int) else origin or (-1,)):
                left.append((value, origin))
            else:
                task.dead_letter(epoch, value, origin, "wire.overflow", reason)
        return [value for value, _ in left], [origin for _, origin in left]

    def shrink(self, epoch: Epoch) -> None:
        """An epoch is done: wires that had to grow go back to their size when they are empty."""
        for wire in list(self.grown):
            wire.overflowed.pop(epoch, None)
            if not wire.packets:
                wire.capacity = self._hub.limits.wire_packets
                self.grown.discard(wire)
