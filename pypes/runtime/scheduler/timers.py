"""Timers of the scheduler: times to come at which it has something to do."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class Timers:
    """Calls that are due at a time of the clock, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        #: The next one is first; empty if there is none.
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def __bool__(self) -> bool:
        return bool(self.heap)

    @property
    def next_s(self) -> float | None:
        """The time at which the next one is due, ``None`` if there is none."""
        return self.heap[0][0] if self.heap else None

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        heapq.heappush(self.heap, (self._clock() + delay_s, next(self._order), call))

    def fire(self) -> None:
        """Make the calls that are due."""
        now = self._clock()
        while self.heap and self.heap[0][0] <= now:
            heapq.heappop(self.heap)[2]()
