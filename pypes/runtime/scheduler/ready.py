"""Ready: which filters have something to do, and which must not run now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pypes.runtime.scheduler.meter import Meter


class Blockable(Protocol):
    """A filter as it is blocked: its bit, for how many reasons it must not run, and what it counts."""

    bit: int
    blocks: int
    meter: Meter


class Ready:
    """Bit masks over the filters, so that finding the next one costs the same however many are idle.

    ``waiting``: filters that have something to do; ``blocked``: filters that must not run now, each for as many reasons as its
    ``blocks`` count (a full wire ahead, an offloaded call, a back-off). Only these methods change that count. ``gathering``:
    filters that leave packets on their wires for now, so that more come to take with them.
    """

    __slots__ = ("blocked", "clock", "gathering", "waiting")

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.waiting = 0
        self.blocked = 0
        self.gathering = 0

    def block(self, filter: Blockable) -> None:
        """Keep a filter from running for one more reason."""
        filter.blocks += 1
        self.blocked |= filter.bit

    def unblock(self, filter: Blockable) -> None:
        """Take away one reason; without any, the filter may run."""
        filter.blocks -= 1
        if not filter.blocks:
            self.blocked &= ~filter.bit

    def hold_up(self, filter: Blockable) -> None:
        """As :meth:`block`, where the filter counts the time: it could go on but for others, or for what it has met."""
        filter.meter.hold_up(self.clock())
        self.block(filter)

    def let_on(self, filter: Blockable) -> None:
        """Undo :meth:`hold_up`."""
        filter.meter.let_on(self.clock())
        self.unblock(filter)

    def clear(self) -> None:
        """Forget all; the filters' own counts are theirs to forget."""
        self.waiting = self.blocked = self.gathering = 0
