"""Jams: a filter waits for room on the wire to a join, and the join waits for that filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypes.core.ports import Pype
from pypes.runtime.scheduler.epoch import Epoch

if TYPE_CHECKING:
    from pypes.runtime.scheduler.hub import Scheduler


class Jams:
    """Makes room where nothing else can: the smallest such wire grows up to a byte cap; then what goes there fails."""

    def __init__(self, hub: Scheduler) -> None:
        self._hub = hub
        #: Wires beyond their usual size.
        self.grown: set[Pype] = set()

    def resolve(self) -> bool:
        """Called when no filter can run; True if one can now."""
        hub = self._hub
        jammed = [pype for pype in hub.pypes if pype.parked is not None and self._waits_to_join(pype)]
        if not jammed:
            return False
        if hub.flush_holds():
            return True
        pype = min(jammed, key=lambda full: full.packets)
        self.grown.add(pype)
        if pype.size_bytes() < hub.limits.wire_bytes:
            pype.capacity = 2 * max(pype.capacity, pype.packets)
        elif hub.awaits_something:
            return False  # what the join waits for may still come
        else:
            pype.overflowed.update(pype.waiting)
            pype.capacity = pype.packets + hub.limits.wire_packets
        hub.unpark(pype)
        return True

    def extend(self, pype: Pype) -> bool:
        """Let a wire grow further, as far as its byte cap; False if it has reached that."""
        size, most = pype.size_bytes(), self._hub.limits.wire_bytes
        if size >= most:
            return False
        self.grown.add(pype)
        pype.capacity = max(pype.packets + 1, int(pype.packets * min(2.0, most / size)) if size else 0)
        return True

    def restore(self, pype: Pype) -> None:
        """A wire need not be longer than usual any more; what is on it stays."""
        pype.capacity = self._hub.limits.wire_packets
        self.grown.discard(pype)
        if pype.parked is not None and not pype.is_full():
            self._hub.unpark(pype)

    def _waits_to_join(self, pype: Pype) -> bool:
        target = self._hub.task_of(pype)
        return target.is_join and not target.blocks

    def shrink(self, epoch: Epoch) -> None:
        """An epoch is done: wires that had to grow go back to their size when they are empty."""
        for pype in list(self.grown):
            pype.overflowed.discard(epoch)
            if not pype.waiting:
                pype.capacity = self._hub.limits.wire_packets
                self.grown.discard(pype)
