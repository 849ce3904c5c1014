"""Holding: what a component with ``holds = True`` keeps beyond its turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from pypes.core.shown import shown
from pypes.runtime.scheduler.core import Filter
from pypes.runtime.scheduler.epoch import Epoch
from pypes.runtime.scheduler.failing import Failing
from pypes.runtime.scheduler.lineage import Lineage

#: The packets of a component that holds none.
NOTHING_HELD: Final[Mapping[Epoch, Sequence[tuple[Any, Lineage]]]] = MappingProxyType({})


class Holding:
    """By epoch, the packets that a component has taken and not let go of, with their lineages.

    A packet it sends is made of all of them, so it travels in a derived epoch, which none of theirs outlives.
    """

    def __init__(self, filter: Filter, failing: Failing) -> None:
        self._filter = filter
        self._failing = failing
        #: The packets are kept as well, so that they are not lost should ``flush`` fail.
        self.held: dict[Epoch, list[tuple[Any, Lineage]]] = {}
        self.release_asked = False
        self.flush_asked = False
        self._derived: tuple[Epoch, Lineage] | None = None
        #: By epoch, how many of its packets what was sent is made of; those after are dropped if nothing follows.
        self._carried: dict[Epoch, int] = {}

    def has(self, epoch: Epoch) -> bool:
        return epoch in self.held

    def is_open(self, epoch: Epoch) -> bool:
        """True for a derived epoch in which more may be sent."""
        return self._derived is not None and self._derived[0] is epoch

    def hold(self, epoch: Epoch, values: Sequence[Any], lineages: Sequence[Lineage]) -> None:
        self._derived = None
        if not self.held:
            core = self._filter.core
            core.timers.after(min(self._filter.component.max_hold_s, core.limits.hold_s), self._due)
        if epoch not in self.held:
            self.held[epoch] = []
            epoch.acquire()
        self.held[epoch].extend(zip(values, lineages, strict=True))

    def _due(self) -> None:
        """The component has held packets for as long as it may."""
        if self.held:
            self.ask_flush()

    def ask_flush(self) -> bool:
        """Have the component let go of what it holds in its next turn; True if that can be now."""
        self.flush_asked = True
        self._filter.core.ready.waiting |= self._filter.bit
        return not self._filter.blocks

    def unhold(self, epoch: Epoch, values: Sequence[Any]) -> None:
        """Forget those of these packets that were taken last."""
        held = self.held.get(epoch)
        if held is None:
            return
        last = {id(value) for value in values}
        while held and id(held[-1][0]) in last:
            held.pop()
        if epoch in self._carried:
            self._carried[epoch] = min(self._carried[epoch], len(held))
        if not held:
            del self.held[epoch]
            epoch.release()

    def derived(self) -> tuple[Epoch, Lineage]:
        """The epoch and the lineage of what is sent now; one epoch serves until something more is taken."""
        if self._derived is None or not self._derived[0].is_open:
            pairs = [(epoch, lineage) for epoch, held in self.held.items() for _, lineage in held]
            epoch = Epoch.derived(pairs)
            self._derived = epoch, tuple(range(len(pairs)))
            self._carried = {epoch: len(held) for epoch, held in self.held.items()}
        return self._derived

    def fail(self, error: BaseException) -> None:
        """``flush`` raised: everything held is dead-lettered, since nobody knows what the component would still send."""
        reason = shown(error, self._filter.core.secrets.redact)
        for epoch, held in self.held.items():
            for value, lineage in held:
                self._failing.dead_letter(epoch, value, lineage, "component.flush_failed", reason, error)
        self.release()

    def release(self) -> None:
        """Give up every hold. Called after what was sent is on its wires."""
        self.release_asked = self.flush_asked = False
        self._derived = None
        held, self.held = self.held, {}
        carried, self._carried = self._carried, {}
        for epoch, pairs in held.items():
            if carried.get(epoch, 0) < len(pairs):
                self._filter.note_dropped(epoch, [lineage for _, lineage in pairs[carried.get(epoch, 0) :]])
            epoch.release()
