"""Stalling: a filter that yields without taking the input it has, again and again."""

from __future__ import annotations

from typing import Final

from pypes.runtime.scheduler.core import Filter

#: The waits before such a filter is run again, in seconds; after the last one its input is dead-lettered.
BACKOFF_S: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)


class Stall:
    """The turns of a filter, one after the other, in which it took nothing of its input."""

    __slots__ = ("_turns",)

    def __init__(self) -> None:
        self._turns = 0

    def is_over(self, filter: Filter) -> bool:
        """Count one more such turn; True after the last back-off, of which the second turn in a row has the first."""
        waits = self._turns - 1
        self._turns += 1
        if waits >= len(BACKOFF_S):
            return True
        if waits >= 0:
            filter.core.pause(filter, BACKOFF_S[waits])
        return False
