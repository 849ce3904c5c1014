"""Ready: which filters have something to do, and which must not run now."""

from __future__ import annotations

from typing import Protocol


class Blockable(Protocol):
    """A filter as it is blocked: its bit, and for how many reasons it must not run."""

    bit: int
    blocks: int


class Ready:
    """Bit masks over the filters, so that finding the next one costs the same however many are idle.

    ``waiting``: filters that have something to do; ``blocked``: filters that must not run now, each for as many reasons as its
    ``blocks`` count (a full wire ahead, an offloaded call, a back-off). Only these methods change that count. ``gathering``:
    filters that leave packets on their wires for now, so that more come to take with them.
    """

    __slots__ = ("blocked", "gathering", "waiting")

    def __init__(self) -> None:
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

    def clear(self) -> None:
        """Forget all; the filters' own counts are theirs to forget."""
        self.waiting = self.blocked = self.gathering = 0
